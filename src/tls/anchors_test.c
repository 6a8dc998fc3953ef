/* Private trust anchors, against real handshakes: certificates and bare keys, as issuer and as the
 * server's own; nobody else is trusted. */

#include "tls/tls_test.h"

static struct made root, other_root, middle, good, below_middle, selfsigned, expired, stranger;
static struct made below_good;

#define CA "critical,CA:TRUE"

static int set_up(void **state)
{
	(void)state;
	root = make(&(struct recipe){ .cn = "Root", .constraints = CA });
	other_root = make(&(struct recipe){ .cn = "Other", .constraints = CA });
	middle = make(&(struct recipe){ .cn = "Middle", .constraints = CA, .issuer = &root });
	good = make(&(struct recipe){ .cn = "good", .issuer = &root });
	below_middle = make(&(struct recipe){ .cn = "below", .issuer = &middle });
	selfsigned = make(&(struct recipe){ .cn = "self" });
	stranger = make(&(struct recipe){ .cn = "stranger", .issuer = &other_root });
	expired = make(
		&(struct recipe){ .cn = "expired", .issuer = &root, .from = -9 * DAY, .to = -DAY });
	below_good = make(&(struct recipe){ .cn = "belowgood", .issuer = &good });
	return 0;
}

static int tear_down(void **state)
{
	struct made *all[] = { &root,       &other_root, &middle,   &good,      &below_middle,
			       &selfsigned, &expired,    &stranger, &below_good };

	(void)state;
	FOR_EACH(m, all)
		unmake(*m);
	files_remove();
	return 0;
}

static struct str file_of_key(const struct made *m)
{
	struct str file = file_with("");
	FILE *f = fopen(file.p, "a");

	CHECK(f && PEM_write_PUBKEY(f, m->key) && fclose(f) == 0);
	return file;
}

static const struct {
	const char *rule;
	const struct made *leaf, *sent_with, *cert, *key; /* cert, key: the anchor */
	enum chain_fault fault;
} cases[] = {
	{ "the root's certificate", &good, NULL, &root, NULL, CHAIN_OK },
	{ "the root's key, root not sent", &good, NULL, NULL, &root, CHAIN_OK },
	{ "the root's key, root sent", &good, &root, NULL, &root, CHAIN_OK },
	{ "an intermediate's certificate", &below_middle, &middle, &middle, NULL, CHAIN_OK },
	{ "an intermediate not sent", &below_middle, NULL, &middle, NULL, CHAIN_OK },
	{ "an intermediate's key", &below_middle, &middle, NULL, &middle, CHAIN_OK },
	{ "an intermediate's key, not sent", &below_middle, NULL, NULL, &middle, CHAIN_OK },
	{ "the root's key above an intermediate", &below_middle, &middle, NULL, &root, CHAIN_OK },
	{ "the server's own certificate", &good, NULL, &good, NULL, CHAIN_OK },
	{ "the server's own key", &good, NULL, NULL, &good, CHAIN_OK },
	{ "self-signed, its certificate", &selfsigned, NULL, &selfsigned, NULL, CHAIN_OK },
	{ "self-signed, its key", &selfsigned, NULL, NULL, &selfsigned, CHAIN_OK },
	{ "another root", &good, NULL, &other_root, NULL, CHAIN_UNKNOWN_CA },
	{ "another key", &good, NULL, NULL, &other_root, CHAIN_UNKNOWN_CA },
	{ "another server's certificate", &good, NULL, &stranger, NULL, CHAIN_UNKNOWN_CA },
	{ "a root of ours that is no anchor", &stranger, NULL, &root, NULL, CHAIN_UNKNOWN_CA },
	{ "self-signed, another anchor", &selfsigned, NULL, &root, NULL, CHAIN_SELF_SIGNED },
	{ "expired below an anchor", &expired, NULL, &root, NULL, CHAIN_EXPIRED },
	{ "expired, its own certificate", &expired, NULL, &expired, NULL, CHAIN_EXPIRED },
	{ "expired, its own key", &expired, NULL, NULL, &expired, CHAIN_EXPIRED },
	{ "a leaf is no CA, though an anchor", &below_good, &good, &good, NULL, CHAIN_INVALID },
	{ "nor by its key", &below_good, &good, NULL, &good, CHAIN_INVALID },
};

/* The other root is what the configuration trusts otherwise: it must not count. */
static enum chain_fault fault_of(struct arena *a, struct str chain, struct str anchors)
{
	struct str ca = file_of_certs(&other_root, NULL);
	struct tls_client *c = client_of((struct tls_client_options){ .ca_file = ca });
	struct tls_server *s = server_of((struct tls_server_options){ .cert_file = chain });
	struct tls_demand d = any_demand;
	struct wire w;
	enum chain_fault fault;

	d.trust_files = &anchors;
	d.n_trust_files = 1;
	w = wire_of(c, &d, s);
	wire_run(&w);
	ok(tls_session_state(w.client) == TLS_STATE_UP, "nothing is refused here");
	fault = tls_session_peer(w.client, a).fault;
	wire_close(&w);
	tls_server_free(s);
	tls_client_free(c);
	files_remove();
	return fault;
}

TEST(what_anchors_accept)
{
	struct arena *a = arena_new();

	FOR_EACH(c, cases) {
		struct str anchors = c->cert ? file_of_certs(c->cert, NULL) : file_of_key(c->key);
		enum chain_fault fault = fault_of(a, file_of(c->leaf, c->sent_with), anchors);

		if (fault != c->fault)
			fail_msg("%s: fault %d, want %d", c->rule, fault, c->fault);
	}
	arena_free(a);
}

TEST(the_configured_ca_counts_for_sessions_without_anchors)
{
	struct arena *a = arena_new();
	struct str ca = file_of_certs(&other_root, NULL);
	struct tls_client *c = client_of((struct tls_client_options){ .ca_file = ca });
	struct tls_server *s =
		server_of((struct tls_server_options){ .cert_file = file_of(&stranger, NULL) });
	struct str anchors = file_of_certs(&root, NULL);
	struct tls_demand d = any_demand;

	for (int i = 0; i < 4; i++) {
		struct wire w;

		d.trust_files = &anchors;
		d.n_trust_files = i % 2;
		w = wire_of(c, &d, s);
		wire_run(&w);
		ok(tls_session_peer(w.client, a).fault == (i % 2 ? CHAIN_UNKNOWN_CA : CHAIN_OK),
		   "one context, two kinds of trust");
		wire_close(&w);
	}
	tls_server_free(s);
	tls_client_free(c);
	files_remove();
	arena_free(a);
}

TEST(files_are_counted_or_refused)
{
	struct str both = file_of_certs(&root, &middle), text, half;
	struct error e = { 0 };
	size_t n = 0;
	FILE *f = fopen(both.p, "a");

	CHECK(f && PEM_write_PUBKEY(f, good.key) && fclose(f) == 0);
	ok(tls_trust_anchors_count(both, &n, &e) && n == 3, "two certificates and a key");
	ok(!tls_trust_anchors_count(STR("nowhere.pem"), &n, &e), "missing");
	ok(says(error_text(&e), "nowhere.pem"), "named");
	text = file_with("no PEM here\n");
	ok(!tls_trust_anchors_count(text, &n, &e), "no PEM");
	ok(!tls_trust_anchors_count(file_with(""), &n, &e), "empty");
	ok(!tls_trust_anchors_count(file_of(&good, NULL), &n, &e), "a private key inside");
	half = file_of_certs(&root, NULL);
	f = fopen(half.p, "a");
	CHECK(f && fputs("-----BEGIN CERTIFICATE-----\nAAAA\n", f) >= 0 && fclose(f) == 0);
	ok(!tls_trust_anchors_count(half, &n, &e), "cut off");
	text = file_with("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	ok(!tls_trust_anchors_count(text, &n, &e), "no certificate in the armour");
	ok(ERR_peek_error() == 0, "the error queue is drained");
}

TEST(a_session_needs_its_anchors)
{
	struct tls_client *c = client_of((struct tls_client_options){ 0 });
	struct tls_demand d = any_demand;
	struct str gone = STR("nowhere.pem");
	struct error e = { 0 };

	d.trust_files = &gone;
	d.n_trust_files = 1;
	ok(tls_client_session(c, &d, &e) == NULL && says(error_text(&e), "trust anchors"), "none");
	tls_client_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(what_anchors_accept),
		RUN(the_configured_ca_counts_for_sessions_without_anchors),
		RUN(files_are_counted_or_refused),
		RUN(a_session_needs_its_anchors),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
