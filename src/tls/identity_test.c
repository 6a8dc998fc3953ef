/* Files: CA bundles, certificates, keys. Every complaint names the file and says what is wrong. */

#include "tls/tls_test.h"

static struct made ec, ec2, rsa, root;

static int set_up(void **state)
{
	(void)state;
	root = make(&(struct recipe){ .cn = "Root", .constraints = "critical,CA:TRUE" });
	ec = make(&(struct recipe){ .cn = "ec", .issuer = &root });
	ec2 = make(&(struct recipe){ .cn = "ec2", .issuer = &root });
	rsa = make(&(struct recipe){ .cn = "rsa", .issuer = &root, .is_rsa = true });
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unmake(&ec);
	unmake(&ec2);
	unmake(&rsa);
	unmake(&root);
	files_remove();
	return 0;
}

static struct str key_file(const struct made *m)
{
	struct str f = file_with("");

	file_add_key(f, m);
	return f;
}

static struct str encrypted_key_file(const struct made *m)
{
	struct str f = file_with("");
	FILE *out = fopen(f.p, "w");

	CHECK(out &&
	      PEM_write_PKCS8PrivateKey(out, m->key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL));
	fclose(out);
	return f;
}

static void refused(struct tls_client_options o, enum error_kind kind, const char *words,
		    struct str file, const char *rule)
{
	struct error e = { 0 };
	struct tls_client *c = tls_client_new(&o, &e);

	ok(c == NULL, rule);
	if (e.kind != kind || !says(error_text(&e), words) || !says(error_text(&e), file.p))
		fail_msg("%s: kind %d, \"%s\"", rule, e.kind, e.text);
	ok(ERR_peek_error() == 0, "the error queue is drained");
}

#define NOWHERE STR("no/such/file.pem")

TEST(ca_files)
{
	struct str empty = file_with(""), text = file_with("hello\n");
	struct str broken = file_with("-----BEGIN CERTIFICATE-----\n!!!!\n"
				      "-----END CERTIFICATE-----\n");

	refused((struct tls_client_options){ .ca_file = NOWHERE }, ERROR_NO_INPUT,
		"No such file or directory", NOWHERE, "missing");
	refused((struct tls_client_options){ .ca_file = STR("/") }, ERROR_NO_INPUT,
		"Is a directory", STR("/"), "a folder");
	refused((struct tls_client_options){ .ca_file = empty }, ERROR_DATA, "no certificate",
		empty, "empty");
	refused((struct tls_client_options){ .ca_file = text }, ERROR_DATA, "no certificate", text,
		"no PEM");
	refused((struct tls_client_options){ .ca_file = broken }, ERROR_DATA, "CA file", broken,
		"broken PEM");
	refused((struct tls_client_options){ .ca_file = STR("a\0b") }, ERROR_CONFIG,
		"not a file name", STR("a"), "NUL");
}

TEST(ca_path_is_looked_at_when_needed)
{
	struct tls_client *c = client_of((struct tls_client_options){ .ca_path = STR("/") });

	ok(tls_client_warning(c).n == 0, "a folder is fine");
	tls_client_free(c);
	c = client_of((struct tls_client_options){ .ca_path = NOWHERE });
	ok(says(tls_client_warning(c), NOWHERE.p), "a missing one is told, and trusts nobody");
	tls_client_free(c);
}

TEST(pairs)
{
	struct str cert = file_of_certs(&ec, NULL), key = key_file(&ec), other = key_file(&ec2);
	struct str both = file_of(&ec, &root), empty = file_with("");
	struct str locked = encrypted_key_file(&ec), rsa_key = key_file(&rsa);
	struct tls_client_options o = { .cert_file = cert };

	refused(o, ERROR_DATA, "no private key", cert, "the key is looked for in the same file");
	o.key_file = NOWHERE;
	refused(o, ERROR_NO_INPUT, "No such file", NOWHERE, "missing key");
	o.key_file = other;
	refused(o, ERROR_CONFIG, "does not belong to", other, "another key");
	refused(o, ERROR_CONFIG, "does not belong to", cert, "names the certificate too");
	o.key_file = rsa_key;
	refused(o, ERROR_CONFIG, "does not belong to", rsa_key, "a key of another type");
	o.key_file = locked;
	refused(o, ERROR_CONFIG, "encrypted", locked, "a key with a pass phrase");
	o.key_file = empty;
	refused(o, ERROR_DATA, "no private key", empty, "an empty key file");
	o.cert_file = NOWHERE;
	refused(o, ERROR_NO_INPUT, "client certificate: no/such", NOWHERE, "missing certificate");
	o.cert_file = key;
	refused(o, ERROR_DATA, "no certificate", key, "a key where a certificate should be");
	o.cert_file = cert;
	o.key_file = key;
	tls_client_free(client_of(o));
	tls_client_free(client_of((struct tls_client_options){ .cert_file = both }));
	o.eccert_file = file_of(&ec2, NULL);
	refused(o, ERROR_CONFIG, "ec2", STR("cannot be used"), "two of one key type");
	o.cert_file = file_of(&rsa, NULL);
	o.key_file = STR("");
	tls_client_free(client_of(o));
}

static struct str joined(struct str a, struct str b)
{
	static char text[200];

	snprintf(text, sizeof(text), "%s, %s", a.p, b.p);
	return str_of(text);
}

TEST(chain_files)
{
	struct str cert = file_of_certs(&ec, NULL), key = key_file(&ec), chain;
	struct str both = file_of(&rsa, &root), other = key_file(&ec2), empty = file_with("\n");
	struct tls_client_options o = { .cert_file = NOWHERE };

	o.chain_files = joined(key, cert);
	tls_client_free(client_of(o)); /* cert_file is overridden */
	chain = file_of(&ec, &root);
	o.chain_files = joined(chain, both);
	tls_client_free(client_of(o));
	o.chain_files = joined(cert, key);
	refused(o, ERROR_CONFIG, "comes before its private key", cert, "certificate first");
	o.chain_files = key;
	refused(o, ERROR_CONFIG, "no certificate follows", key, "key alone");
	o.chain_files = joined(key, both);
	refused(o, ERROR_CONFIG, "no certificate follows", key, "two keys in a row");
	o.chain_files = joined(other, cert);
	refused(o, ERROR_CONFIG, "does not belong to", other, "another key");
	o.chain_files = joined(chain, NOWHERE);
	refused(o, ERROR_NO_INPUT, "No such file", NOWHERE, "missing");
	o.chain_files = joined(chain, empty);
	refused(o, ERROR_DATA, "no private key and no certificate", empty, "nothing inside");
}

TEST(servers)
{
	struct error e = { 0 };
	struct tls_server_options o = { .versions = 15, .cert_file = NOWHERE };

	ok(tls_server_new(&o, &e) == NULL && says(error_text(&e), "server certificate: no/such"),
	   e.text);
	o.cert_file = file_of(&ec, NULL);
	o.cipher_list = STR("NOSUCH");
	ok(tls_server_new(&o, &e) == NULL && says(error_text(&e), "\"NOSUCH\""), e.text);
	o.cipher_list = STR("");
	o.versions = 0;
	ok(tls_server_new(&o, &e) == NULL && says(error_text(&e), "no TLS protocol"), e.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(ca_files), RUN(ca_path_is_looked_at_when_needed), RUN(pairs), RUN(chain_files),
		RUN(servers),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
