/* What files and settings come to before there is a peer. */

#include "tls/tls_test.h"

static struct made root, leaf;

static int set_up(void **state)
{
	(void)state;
	root = make(
		&(struct recipe){ .cn = "Root, of \"all\"", .constraints = "critical,CA:TRUE" });
	leaf = make(&(struct recipe){ .cn = "leaf", .issuer = &root });
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unmake(&leaf);
	unmake(&root);
	files_remove();
	return 0;
}

TEST(tls_file_has_certificates_and_dates)
{
	struct arena *a = arena_new();
	struct error e = { 0 };
	struct tls_file f;
	struct str file = file_of_certs(&root, &leaf);

	ok(tls_file_read(a, file, &f, &e) && f.n_certs == 2 && f.n_keys == 0, "two");
	ok(f.certs[0].begins_at < f.certs[0].ends_at, "in this order");
	ok(f.certs[0].ends_at - f.certs[0].begins_at >= DAY, "in seconds");
	ok_str(f.certs[1].subject, STR("CN=leaf"), "by name");
	file_add_key(file, &leaf);
	ok(tls_file_read(a, file, &f, &e) && f.n_certs == 2 && f.n_keys == 0, "private keys: none");
	arena_free(a);
}

TEST(tls_file_that_is_none)
{
	struct arena *a = arena_new();
	struct error e = { 0 };
	struct tls_file f;

	ok(!tls_file_read(a, STR("no/such/file"), &f, &e) && says(error_text(&e), "no/such/file"),
	   "missing");
	ok(tls_file_read(a, file_with("no PEM\n"), &f, &e) && f.n_certs == 0, "a text");
	ok(!tls_file_read(a, file_with("-----BEGIN CERTIFICATE-----\nAAAA\n"), &f, &e),
	   "half a certificate");
	ok(ERR_peek_error() == 0, "the error queue is drained");
	arena_free(a);
}

TEST(tls_checks_of_files)
{
	struct str both = file_of(&leaf, NULL), certs = file_of_certs(&root, &leaf);
	struct error e = { 0 };

	ok(tls_ca_file_check(certs, &e), "CAs");
	ok(!tls_ca_file_check(file_with(""), &e), "no CA");
	ok(tls_identity_check(both, STR(""), &e), "a key and its certificate");
	ok(!tls_identity_check(certs, both, &e) && says(error_text(&e), "does not belong"),
	   "a key of another");
	ok(!tls_chain_files_check(certs, &e), "certificates without a key");
}

TEST(tls_digest_octets)
{
	static const struct {
		struct str name;
		size_t n;
	} cases[] = {
		{ STR_INIT("md5"), 16 },      { STR_INIT("sha1"), 20 }, { STR_INIT("SHA256"), 32 },
		{ STR_INIT("sha3-512"), 64 }, { STR_INIT("md17"), 0 },  { STR_INIT(""), 0 },
		{ STR_INIT("sha256\0x"), 0 },
	};

	FOR_EACH(c, cases)
		ok(tls_digest_octets(c->name) == c->n, c->name.p);
	ok(ERR_peek_error() == 0, "the error queue is drained");
}

TEST(tls_session_check)
{
	struct tls_client *c = client_of((struct tls_client_options){ .verify_depth = 9 });
	struct tls_demand d = { .versions = TLS_VERSIONS_ALL, .cipher_list = STR("HIGH") };
	struct error e = { 0 };
	struct tls_session *s = tls_client_session(c, &d, &e);

	ok(s && tls_session_check(s, &e), "all versions");
	tls_session_free(s);
	d.versions = 1; /* TLS 1.0 has no ciphers but those with SHA-1 */
	d.cipher_list = STR("HIGH:!SHA");
	s = tls_client_session(c, &d, &e);
	ok(s && !tls_session_check(s, &e) && says(error_text(&e), "no cipher"), "none is left");
	tls_session_free(s);
	tls_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(tls_file_has_certificates_and_dates),
		RUN(tls_file_that_is_none),
		RUN(tls_checks_of_files),
		RUN(tls_digest_octets),
		RUN(tls_session_check),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
