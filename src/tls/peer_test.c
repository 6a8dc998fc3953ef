/* What the client notes of each kind of chain: nothing here is refused, everything is told. */

#include "tls/tls_test.h"

#include <time.h>

static struct made root, other_root, old_root, middle, false_ca;
static struct made good, below_middle, wrong_ca, expired, future, selfsigned, below_false,
	client_only;
static struct made below_old, expired_and_unknown;

#define CA "critical,CA:TRUE"

static int set_up(void **state)
{
	(void)state;
	root = make(&(struct recipe){ .cn = "Root", .constraints = CA });
	other_root = make(&(struct recipe){ .cn = "Other", .constraints = CA });
	old_root = make(
		&(struct recipe){ .cn = "Old", .constraints = CA, .from = -90 * DAY, .to = -DAY });
	middle = make(&(struct recipe){ .cn = "Middle", .constraints = CA, .issuer = &root });
	false_ca = make(&(struct recipe){ .cn = "False", .issuer = &root });
	good = make(&(struct recipe){ .cn = "good", .issuer = &root });
	below_middle = make(&(struct recipe){ .cn = "below", .issuer = &middle });
	wrong_ca = make(&(struct recipe){ .cn = "wrong", .issuer = &other_root });
	expired = make(
		&(struct recipe){ .cn = "expired", .issuer = &root, .from = -9 * DAY, .to = -DAY });
	future = make(
		&(struct recipe){ .cn = "future", .issuer = &root, .from = DAY, .to = 9 * DAY });
	selfsigned = make(&(struct recipe){ .cn = "self" });
	below_false = make(&(struct recipe){ .cn = "belowfalse", .issuer = &false_ca });
	client_only = make(
		&(struct recipe){ .cn = "clientonly", .issuer = &root, .usage = "clientAuth" });
	below_old = make(&(struct recipe){ .cn = "belowold", .issuer = &old_root });
	expired_and_unknown = make(&(struct recipe){
		.cn = "both", .issuer = &other_root, .from = -9 * DAY, .to = -DAY });
	return 0;
}

static int tear_down(void **state)
{
	struct made *all[] = { &root,        &other_root, &old_root,           &middle,
			       &false_ca,    &good,       &below_middle,       &wrong_ca,
			       &expired,     &future,     &selfsigned,         &below_false,
			       &client_only, &below_old,  &expired_and_unknown };

	(void)state;
	FOR_EACH(m, all)
		unmake(*m);
	files_remove();
	return 0;
}

static const struct {
	const char *rule;
	const struct made *leaf, *sent_with, *trusted, *trusted_too;
	unsigned depth;
	enum chain_fault fault;
	const char *text;
	size_t n_chain;
} cases[] = {
	{ "leaf below the root", &good, NULL, &root, NULL, 9, CHAIN_OK, "", 1 },
	{ "root sent as well", &good, &root, &root, NULL, 9, CHAIN_OK, "", 2 },
	{ "through an intermediate", &below_middle, &middle, &root, NULL, 9, CHAIN_OK, "", 2 },
	{ "intermediate not sent", &below_middle, NULL, &root, NULL, 9, CHAIN_UNKNOWN_CA,
	  "unable to get local issuer certificate at depth 0", 1 },
	{ "intermediate known to us", &below_middle, NULL, &root, &middle, 9, CHAIN_OK, "", 1 },
	{ "another CA", &wrong_ca, NULL, &root, NULL, 9, CHAIN_UNKNOWN_CA, "at depth 0", 1 },
	{ "another CA, sent", &wrong_ca, &other_root, &root, NULL, 9, CHAIN_UNKNOWN_CA,
	  "self-signed certificate in certificate chain at depth 1", 2 },
	{ "no CA at all", &good, NULL, NULL, NULL, 9, CHAIN_UNKNOWN_CA, "at depth 0", 1 },
	{ "self-signed", &selfsigned, NULL, &root, NULL, 9, CHAIN_SELF_SIGNED,
	  "self-signed certificate at depth 0", 1 },
	{ "self-signed and trusted itself", &selfsigned, NULL, &selfsigned, NULL, 9, CHAIN_OK, "",
	  1 },
	{ "expired", &expired, NULL, &root, NULL, 9, CHAIN_EXPIRED, "expired at depth 0", 1 },
	{ "not yet valid", &future, NULL, &root, NULL, 9, CHAIN_NOT_YET_VALID, "at depth 0", 1 },
	{ "expired root", &below_old, NULL, &old_root, NULL, 9, CHAIN_EXPIRED, "expired at depth 1",
	  1 },
	{ "unknown CA says more than expired", &expired_and_unknown, NULL, &root, NULL, 9,
	  CHAIN_UNKNOWN_CA, "issuer", 1 },
	{ "issued by no CA", &below_false, &false_ca, &root, NULL, 9, CHAIN_INVALID, "at depth 1",
	  2 },
	{ "for clients only", &client_only, NULL, &root, NULL, 9, CHAIN_INVALID, "purpose", 1 },
	{ "depth 1 allows the root", &good, NULL, &root, NULL, 1, CHAIN_OK, "", 1 },
	{ "depth 1 allows no intermediate", &below_middle, &middle, &root, NULL, 1, CHAIN_TOO_LONG,
	  "too long at depth 2", 2 },
	{ "depth 2 allows one", &below_middle, &middle, &root, NULL, 2, CHAIN_OK, "", 2 },
};

static struct tls_peer
peer_of(struct arena *a, struct str trusted, struct str chain, unsigned depth)
{
	struct tls_client *c =
		client_of((struct tls_client_options){ .ca_file = trusted, .verify_depth = depth });
	struct tls_server *s = server_of((struct tls_server_options){ .cert_file = chain });
	struct wire w = wire_of(c, &any_demand, s);
	struct tls_peer p;

	wire_run(&w);
	ok(tls_session_state(w.client) == TLS_STATE_UP,
	   "the handshake is completed whatever comes");
	p = tls_session_peer(w.client, a);
	wire_close(&w);
	tls_server_free(s);
	tls_client_free(c);
	return p;
}

TEST(chains)
{
	struct arena *a = arena_new();

	FOR_EACH(c, cases) {
		struct str trusted =
			c->trusted ? file_of_certs(c->trusted, c->trusted_too) : STR("");
		struct tls_peer p = peer_of(a, trusted, file_of(c->leaf, c->sent_with), c->depth);

		if (p.fault != c->fault || !says(p.fault_text, c->text))
			fail_msg("%s: fault %d \"" STR_FMT "\"", c->rule, p.fault,
				 STR_ARG(p.fault_text));
		ok(p.n_chain == c->n_chain, c->rule);
		files_remove();
	}
	arena_free(a);
}

static struct str hex_of(struct arena *a, const unsigned char *octets, size_t n)
{
	struct str s = STR("");

	for (size_t i = 0; i < n; i++)
		s = arena_fmt(a, STR_FMT "%02x", STR_ARG(s), octets[i]);
	return s;
}

TEST(certificates)
{
	struct arena *a = arena_new();
	struct tls_peer p =
		peer_of(a, file_of_certs(&root, NULL), file_of(&below_middle, &middle), 9);
	unsigned char digest[32], *der = NULL;
	unsigned n = sizeof(digest);
	int length;

	ok_str(p.chain[0].subject, STR("CN=below"), "subject");
	ok_str(p.chain[0].issuer, STR("CN=Middle"), "issuer");
	ok_str(p.chain[1].issuer, STR("CN=Root"), "as presented");
	CHECK(X509_digest(below_middle.cert, EVP_sha256(), digest, &n));
	ok_str(p.chain[0].sha256, hex_of(a, digest, n), "digest of the certificate");
	length = i2d_PUBKEY(below_middle.key, &der);
	CHECK(length > 0 && EVP_Digest(der, (size_t)length, digest, &n, EVP_sha256(), NULL));
	OPENSSL_free(der);
	ok_str(p.chain[0].spki_sha256, hex_of(a, digest, n), "digest of the public key");
	ok(p.chain[0].not_before < time(NULL) && p.chain[0].not_after > time(NULL), "dates");
	ok(p.chain[0].not_after - p.chain[0].not_before == 31 * DAY, "in seconds");
	arena_free(a);
	files_remove();
}

static void names_are(struct recipe r, const struct peer_name *want, size_t n, const char *rule)
{
	struct arena *a = arena_new();
	struct made m;
	struct tls_peer p;

	r.issuer = &root;
	m = make(&r);
	p = peer_of(a, file_of_certs(&root, NULL), file_of(&m, NULL), 9);
	ok(p.n_names == n, rule);
	for (size_t i = 0; i < n; i++) {
		ok(p.names[i].kind == want[i].kind, rule);
		ok_str(p.names[i].text, want[i].text, rule);
	}
	arena_free(a);
	unmake(&m);
	files_remove();
}

static void push_name(GENERAL_NAMES *list, int type, struct str octets)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	CHECK(g && text && ASN1_STRING_set(text, octets.p, (int)octets.n));
	GENERAL_NAME_set0_value(g, type, text);
	CHECK(sk_GENERAL_NAME_push(list, g) > 0);
}

TEST(names)
{
	static const struct peer_name all[] = {
		{ PEER_NAME_DNS, STR_INIT("mx.test") },  { PEER_NAME_DNS, STR_INIT("*.test") },
		{ PEER_NAME_IP, STR_INIT("192.0.2.1") }, { PEER_NAME_IP, STR_INIT("2001:db8::1") },
		{ PEER_NAME_CN, STR_INIT("MX common") },
	};
	static const struct peer_name only_cn[] = { { PEER_NAME_CN, STR_INIT("mx.test") } };
	static const struct peer_name odd[] = {
		{ PEER_NAME_DNS, STR_INIT("") },      { PEER_NAME_DNS, STR_INIT("b.test") },
		{ PEER_NAME_DNS, STR_INIT("") },      { PEER_NAME_DNS, STR_INIT("") },
		{ PEER_NAME_CN, STR_INIT("x.test") },
	};
	GENERAL_NAMES *list = GENERAL_NAMES_new();

	names_are((struct recipe){ .cn = "MX common",
				   .sans = "DNS:mx.test,DNS:*.test,IP:192.0.2.1,"
					   "IP:2001:db8::1,email:a@test" },
		  all, ARRAY_LEN(all), "alternative names in order, then the CN");
	names_are((struct recipe){ .cn = "mx.test" }, only_cn, 1, "the CN alone");

	push_name(list, GEN_DNS, STR("mx.test\0.evil.test"));
	push_name(list, GEN_DNS, STR("b.test\0"));
	push_name(list, GEN_DNS, STR("c\n.test"));
	push_name(list, GEN_DNS, STR("d\xc3\xa9.test"));
	names_are((struct recipe){ .cn = "x.test", .names = list }, odd, ARRAY_LEN(odd),
		  "what no name can be is \"\", and still hides the CN");
	GENERAL_NAMES_free(list);
}

/* Whether there is a DNS name is then not known: the CN must not stand in for it. */
TEST(names_that_cannot_be_read)
{
	static const struct peer_name none[] = { { PEER_NAME_DNS, STR_INIT("") },
						 { PEER_NAME_CN, STR_INIT("mx.test") } };

	names_are((struct recipe){ .cn = "mx.test", .raw_sans = STR("\x30\x05\x82\x09xx") }, none,
		  2, "malformed");
	names_are((struct recipe){ .cn = "mx.test",
				   .sans = "DNS:a.test",
				   .raw_sans = STR("\x30\x08\x82\x06b.test") },
		  none, 2, "twice");
}

static size_t n_names_kept(int type, int n)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	struct arena *a = arena_new();
	struct made m;
	size_t n_kept;

	for (int i = 0; i < n; i++)
		push_name(list, type, STR("a.test"));
	push_name(list, GEN_DNS, STR("b.test"));
	m = make(&(struct recipe){ .cn = "cn", .issuer = &root, .names = list });
	n_kept = peer_of(a, file_of_certs(&root, NULL), file_of(&m, NULL), 9).n_names;
	arena_free(a);
	unmake(&m);
	GENERAL_NAMES_free(list);
	files_remove();
	return n_kept;
}

TEST(more_names_than_are_kept)
{
	ok(n_names_kept(GEN_DNS, TLS_NAMES_MAX + 10) == TLS_NAMES_MAX,
	   "of what is behind the limit nothing is known: the CN does not stand in for it");
	ok(n_names_kept(GEN_EMAIL, TLS_NAMES_MAX + 10) == 2, "mail addresses do not count");
}

static const struct {
	const char *name;
	size_t octets; /* 0: refused */
} digests[] = {
	{ "md5", 16 },    { "sha1", 20 },   { "SHA1", 20 },     { "sha224", 28 },  { "sha256", 32 },
	{ "sha384", 48 }, { "sha512", 64 }, { "sha3-256", 32 }, { "shake128", 0 }, { "sha257", 0 },
	{ "sha256 ", 0 }, { "none", 0 },    { "NULL", 0 },
};

TEST(fingerprint_in_the_digest_asked_for)
{
	struct tls_client *c = client_of((struct tls_client_options){ 0 });
	struct tls_server *s =
		server_of((struct tls_server_options){ .cert_file = file_of(&good, NULL) });

	FOR_EACH(d, digests) {
		struct arena *a = arena_new();
		struct tls_demand demand = any_demand;
		struct error e = { 0 };
		struct tls_peer p;
		struct wire w;
		unsigned char octets[EVP_MAX_MD_SIZE];
		unsigned n = 0;

		demand.digest = str_of(d->name);
		if (!d->octets) {
			ok(tls_client_session(c, &demand, &e) == NULL, d->name);
			ok(says(error_text(&e), d->name), "named");
			arena_free(a);
			continue;
		}
		w = wire_of(c, &demand, s);
		wire_run(&w);
		p = tls_session_peer(w.client, a);
		CHECK(X509_digest(good.cert, EVP_get_digestbyname(d->name), octets, &n));
		ok(n == d->octets, d->name);
		ok_str(p.fingerprint.digest, str_of(d->name), "its name as asked for");
		ok_str(p.fingerprint.certificate, hex_of(a, octets, n), d->name);
		ok(p.fingerprint.public_key.n == 2 * d->octets, d->name);
		wire_close(&w);
		arena_free(a);
	}
	tls_server_free(s);
	tls_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(chains),
		RUN(certificates),
		RUN(names),
		RUN(names_that_cannot_be_read),
		RUN(more_names_than_are_kept),
		RUN(fingerprint_in_the_digest_asked_for),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
