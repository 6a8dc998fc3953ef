#include "tls/tls_test.h"

static struct made root, leaf, brief;
static struct str root_file, leaf_file, brief_file;

static int set_up(void **state)
{
	(void)state;
	root = make(&(struct recipe){ .cn = "Root", .constraints = "critical,CA:TRUE" });
	leaf = make(&(struct recipe){ .cn = "leaf", .sans = "DNS:mx.test", .issuer = &root });
	brief = make(&(struct recipe){
		.cn = "brief", .sans = "DNS:mx.test", .issuer = &root, .from = -DAY, .to = 2 });
	root_file = file_of_certs(&root, NULL);
	leaf_file = file_of(&leaf, &root);
	brief_file = file_of(&brief, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unmake(&root);
	unmake(&leaf);
	unmake(&brief);
	files_remove();
	return 0;
}

static struct tls_server *giving_server(tls_versions versions, struct str cert)
{
	return server_of((struct tls_server_options){
		.cert_file = cert, .versions = versions, .gives_tickets = true });
}

static struct tls_client *client_for(struct str ca, unsigned lifetime_s)
{
	return client_of(
		(struct tls_client_options){ .ca_file = ca, .session_lifetime_s = lifetime_s });
}

static struct tls_demand demand_of(const char *key)
{
	struct tls_demand d = any_demand;

	d.session_key = str_of(key);
	return d;
}

struct met {
	struct arena *arena;
	struct tls_peer peer;
};

/* One connection from beginning to end. */
static struct met meet(struct tls_client *c, struct tls_server *s, struct tls_demand d, bool keeps)
{
	struct wire w = wire_of(c, &d, s);
	struct met m = { .arena = arena_new() };

	wire_run(&w);
	ok(tls_session_state(w.client) == TLS_STATE_UP, "up");
	m.peer = tls_session_peer(w.client, m.arena);
	if (keeps)
		tls_session_keep(w.client);
	wire_run(&w);
	tls_session_close(w.client);
	wire_run(&w);
	wire_close(&w);
	return m;
}

static bool is_resumed(struct tls_client *c, struct tls_server *s, struct tls_demand d)
{
	struct met m = meet(c, s, d, true);
	bool is_resumed = m.peer.is_resumed;

	arena_free(m.arena);
	return is_resumed;
}

static void same_peer(const struct tls_peer *a, const struct tls_peer *b)
{
	ok(b->fault == a->fault, "the fault");
	ok_str(b->fault_text, a->fault_text, "its words");
	ok(b->n_chain == a->n_chain, "certificates");
	for (size_t i = 0; i < a->n_chain; i++)
		ok_str(b->chain[i].sha256, a->chain[i].sha256, "a certificate");
	ok(b->n_names == a->n_names, "names");
	for (size_t i = 0; i < a->n_names; i++)
		ok_str(b->names[i].text, a->names[i].text, "a name");
	ok_str(b->fingerprint.certificate, a->fingerprint.certificate, "the fingerprint");
	ok_str(b->fingerprint.public_key, a->fingerprint.public_key, "that of the key");
	ok_str(b->protocol, a->protocol, "the version");
}

TEST(shows_what_the_first_handshake_showed)
{
	static const tls_versions versions[] = { 1 << 2, 1 << 3 };
	struct str cas[] = { root_file, STR("") };

	FOR_EACH(v, versions) {
		FOR_EACH(ca, cas) {
			struct tls_client *c = client_for(*ca, 3600);
			struct tls_server *s = giving_server(*v, leaf_file);
			struct tls_demand d = demand_of("a");
			d.digest = STR("sha256");
			struct met first = meet(c, s, d, true);
			ok(!first.peer.is_resumed, "the first is in full");
			ok((first.peer.fault == CHAIN_OK) == (ca->n > 0), "trusted or not");
			for (int i = 0; i < 5; i++) {
				struct met again = meet(c, s, d, true);
				ok(again.peer.is_resumed, "resumed");
				same_peer(&first.peer, &again.peer);
				arena_free(again.arena);
			}
			arena_free(first.arena);
			tls_client_free(c);
			tls_server_free(s);
		}
	}
}

TEST(only_under_its_key)
{
	struct tls_client *c = client_for(root_file, 3600);
	struct tls_server *s = giving_server(TLS_VERSIONS_ALL, leaf_file);

	ok(!is_resumed(c, s, demand_of("a")), "the first");
	ok(!is_resumed(c, s, demand_of("b")), "another key");
	ok(!is_resumed(c, s, demand_of("")), "no key");
	ok(is_resumed(c, s, demand_of("a")), "its own");
	tls_client_free(c);
	tls_server_free(s);
}

TEST(only_where_the_peer_was_found_good)
{
	struct tls_client *c = client_for(root_file, 3600);
	struct tls_server *s = giving_server(TLS_VERSIONS_ALL, leaf_file);

	arena_free(meet(c, s, demand_of("a"), false).arena);
	ok(!is_resumed(c, s, demand_of("a")), "nobody said so");
	ok(is_resumed(c, s, demand_of("a")), "now somebody did");
	tls_client_free(c);
	tls_server_free(s);
}

TEST(not_without_a_lifetime)
{
	struct tls_client *c = client_for(root_file, 0);
	struct tls_server *s = giving_server(TLS_VERSIONS_ALL, leaf_file);

	ok(!is_resumed(c, s, demand_of("a")), "the first");
	ok(!is_resumed(c, s, demand_of("a")), "the second");
	tls_client_free(c);
	tls_server_free(s);
}

TEST(tickets_of_tls_1_3_are_used_once)
{
	struct tls_client *c = client_for(root_file, 3600);
	struct tls_server *s = giving_server(1 << 3, leaf_file);

	ok(!is_resumed(c, s, demand_of("a")), "the first brings two tickets");
	for (int i = 0; i < 2; i++) {
		struct met m = meet(c, s, demand_of("a"), false);
		ok(m.peer.is_resumed, "one of them");
		arena_free(m.arena);
	}
	ok(!is_resumed(c, s, demand_of("a")), "none is left");
	tls_client_free(c);
	tls_server_free(s);
}

TEST(no_longer_than_a_certificate_lives)
{
	struct tls_client *c = client_for(root_file, 3600);
	struct tls_server *s = giving_server(TLS_VERSIONS_ALL, brief_file);

	ok(!is_resumed(c, s, demand_of("a")), "the first");
	sleep(3);
	struct met m = meet(c, s, demand_of("a"), true);
	ok(!m.peer.is_resumed, "in full again");
	ok(m.peer.fault == CHAIN_EXPIRED, "and looked at");
	arena_free(m.arena);
	tls_client_free(c);
	tls_server_free(s);
}

TEST(no_longer_than_its_lifetime_from_the_full_handshake)
{
	struct tls_client *c = client_for(root_file, 2);
	struct tls_server *s = giving_server(TLS_VERSIONS_ALL, leaf_file);

	ok(!is_resumed(c, s, demand_of("a")), "the first");
	sleep(1);
	ok(is_resumed(c, s, demand_of("a")), "resumed");
	sleep(2);
	ok(!is_resumed(c, s, demand_of("a")), "a resumption proves nothing anew");
	tls_client_free(c);
	tls_server_free(s);
}

TEST(a_server_that_forgot_is_met_in_full)
{
	struct tls_client *c = client_for(root_file, 3600);
	struct tls_server *s = giving_server(TLS_VERSIONS_ALL, leaf_file);

	ok(!is_resumed(c, s, demand_of("a")), "the first");
	tls_server_free(s);
	s = giving_server(TLS_VERSIONS_ALL, brief_file);
	struct met m = meet(c, s, demand_of("a"), true);
	ok(!m.peer.is_resumed, "in full");
	ok(m.peer.fault == CHAIN_EXPIRED, "what it shows now counts");
	arena_free(m.arena);
	tls_client_free(c);
	tls_server_free(s);
}

TEST(sessions_may_outlive_their_client)
{
	struct tls_client *c = client_for(root_file, 3600);
	struct tls_server *s = giving_server(TLS_VERSIONS_ALL, leaf_file);
	struct tls_demand d = demand_of("a");
	struct wire w = wire_of(c, &d, s);

	tls_client_free(c);
	wire_run(&w);
	tls_session_keep(w.client);
	wire_run(&w);
	ok(tls_session_state(w.client) == TLS_STATE_UP, "up");
	wire_close(&w);
	tls_server_free(s);
}

TEST(so_many_and_no_more)
{
	struct tls_client *c = client_for(root_file, 3600);
	struct tls_server *s = giving_server(TLS_VERSIONS_ALL, leaf_file);
	char key[16];

	for (int i = 0; i < TLS_SESSIONS_KEY_MAX; i++) { /* two tickets each, none taken */
		struct tls_demand d = demand_of("a");
		struct wire w = wire_of(c, &d, s);
		wire_run(&w);
		tls_session_keep(w.client);
		wire_run(&w);
		tls_session_close(w.client);
		wire_run(&w);
		wire_close(&w);
	}
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		ok(!is_resumed(c, s, demand_of(key)), "another");
	}
	ok(is_resumed(c, s, demand_of("a")), "still there");
	tls_client_free(c);
	tls_server_free(s);
}

TEST(terms_tell_what_counts)
{
	struct tls_client *a = client_for(root_file, 0), *b = client_for(leaf_file, 0);
	struct tls_client *same = client_for(root_file, 3600);
	struct arena *m = arena_new();
	struct str anchors = file_of_certs(&root, NULL);
	struct tls_demand d = any_demand;
	struct str terms = tls_client_terms(a, m, &d), with;

	ok_str(tls_client_terms(same, m, &d), terms, "the same trust");
	ok(!str_eq(tls_client_terms(b, m, &d), terms), "other CAs");
	d.sni = STR("mx.test");
	ok(!str_eq(tls_client_terms(a, m, &d), terms), "a server name");
	d = any_demand;
	d.versions = 1 << 3;
	ok(!str_eq(tls_client_terms(a, m, &d), terms), "versions");
	d = any_demand;
	d.needs_authentication = true;
	ok(!str_eq(tls_client_terms(a, m, &d), terms), "authentication");
	d = any_demand;
	d.trust_files = &anchors;
	d.n_trust_files = 1;
	with = tls_client_terms(a, m, &d);
	ok(!str_eq(with, terms), "trust anchors");
	file_add_cert(anchors, &leaf);
	ok(!str_eq(tls_client_terms(a, m, &d), with), "another version of them");
	arena_free(m);
	tls_client_free(a);
	tls_client_free(b);
	tls_client_free(same);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(shows_what_the_first_handshake_showed),
		RUN(only_under_its_key),
		RUN(only_where_the_peer_was_found_good),
		RUN(not_without_a_lifetime),
		RUN(tickets_of_tls_1_3_are_used_once),
		RUN(no_longer_than_a_certificate_lives),
		RUN(no_longer_than_its_lifetime_from_the_full_handshake),
		RUN(a_server_that_forgot_is_met_in_full),
		RUN(sessions_may_outlive_their_client),
		RUN(so_many_and_no_more),
		RUN(terms_tell_what_counts),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
