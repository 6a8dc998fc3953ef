#include "tls/tls_test.h"

static struct made root, leaf;
static struct str root_file, leaf_file;

static int set_up(void **state)
{
	(void)state;
	root = make(&(struct recipe){ .cn = "Root", .constraints = "critical,CA:TRUE" });
	leaf = make(&(struct recipe){ .cn = "leaf", .sans = "DNS:mx.test", .issuer = &root });
	root_file = file_of_certs(&root, NULL);
	leaf_file = file_of(&leaf, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unmake(&root);
	unmake(&leaf);
	files_remove();
	return 0;
}

static struct tls_client *trusting_client(void)
{
	return client_of((struct tls_client_options){ .ca_file = root_file });
}

static struct tls_server *usual_server(void)
{
	return server_of((struct tls_server_options){ .cert_file = leaf_file });
}

/* Sends all of `data` from one session to the other. */
static void carry(struct wire *w, struct tls_session *from, struct tls_session *to, struct str data)
{
	size_t sent = 0, got = 0;

	while (got < data.n) {
		struct str out;

		sent += tls_session_application_in(from, str_from(data, sent));
		wire_run(w);
		out = tls_session_application_out(to);
		ok(out.n > 0, "something arrives");
		ok(out.n <= data.n - got && memcmp(out.p, data.p + got, out.n) == 0, "as sent");
		got += out.n;
		tls_session_application_used(to, out.n);
		tls_session_step(to);
	}
}

TEST(in_every_split)
{
	static const size_t pieces[] = { 1, 2, 3, 5, 7, 64, 1000, 16384, 16401, 40000, 0 };
	struct tls_client *c = trusting_client();
	struct tls_server *s = usual_server();
	char *mem = malloc(100000);

	for (size_t i = 0; i < 100000; i++)
		mem[i] = (char)(i * 7 + (i >> 9));
	FOR_EACH(piece, pieces) {
		size_t n = *piece == 0 || *piece > 60 ? 100000 : 3000;
		struct wire w = wire_of(c, &any_demand, s);

		w.piece = *piece;
		ok(tls_session_application_in(w.client, STR("early")) == 0,
		   "nothing is taken before the handshake");
		wire_run(&w);
		ok(tls_session_state(w.client) == TLS_STATE_UP, "client up");
		ok(tls_session_state(w.server) == TLS_STATE_UP, "server up");
		carry(&w, w.client, w.server, str_span(mem, n));
		carry(&w, w.server, w.client, str_span(mem, n));
		tls_session_close(w.client);
		ok(tls_session_application_in(w.client, STR("late")) == 0, "nothing after close");
		wire_run(&w);
		ok(tls_session_state(w.server) == TLS_STATE_CLOSED, "close_notify arrived");
		ok(tls_session_state(w.client) == TLS_STATE_UP, "the other side is still open");
		tls_session_close(w.server);
		wire_run(&w);
		ok(tls_session_state(w.client) == TLS_STATE_CLOSED, "closed both ways");
		ok(tls_session_error(w.client).n == 0, "that is no error");
		wire_close(&w);
	}
	free(mem);
	tls_server_free(s);
	tls_client_free(c);
}

#define V10 1
#define V11 2
#define V12 4
#define V13 8

static const struct {
	const char *rule;
	tls_versions client, server;
	const char *protocol, *client_error, *server_error;
} version_cases[] = {
	{ "the highest both have", 15, 15, "TLSv1.3" },
	{ "server stops at 1.2", 15, V10 | V11 | V12, "TLSv1.2" },
	{ "client stops at 1.2", V12, 15, "TLSv1.2" },
	{ "1.1 when both insist", V11, V11, "TLSv1.1" },
	{ "1.0 when both insist", V10, 15, "TLSv1" },
	{ "hole in the client: OpenSSL offers only what is below", V11 | V13, 15, "TLSv1.1" },
	{ "hole in the server: 1.3 above it", 15, V10 | V13, "TLSv1.3" },
	{ "client above server", V13, V12, NULL, "alert \"protocol version\" (70)",
	  "(we sent alert \"protocol version\")" },
	{ "server above client", V12, V13, NULL, "alert \"protocol version\" (70)",
	  "unsupported protocol" },
	{ "old server, modern client", V12 | V13, V10, NULL, "alert \"protocol version\" (70)",
	  "unsupported protocol" },
};

TEST(versions)
{
	struct tls_client *c = trusting_client();

	FOR_EACH(v, version_cases) {
		struct tls_server *s = server_of((struct tls_server_options){
			.cert_file = leaf_file, .versions = v->server });
		struct tls_demand d = any_demand;
		struct arena *a = arena_new();
		struct tls_peer p;
		struct wire w;

		d.versions = v->client;
		w = wire_of(c, &d, s);
		wire_run(&w);
		p = tls_session_peer(w.client, a);
		if (v->protocol) {
			ok_str(p.protocol, str_of(v->protocol), v->rule);
			ok(p.is_tls && p.fault == CHAIN_OK && p.handshake_error.n == 0, v->rule);
			ok(p.cipher.n > 0 && p.cipher_bits >= 128, v->rule);
		} else {
			ok(!p.is_tls && p.protocol.n == 0, v->rule);
			ok(tls_session_state(w.client) == TLS_STATE_FAILED, v->rule);
			ok(says(p.handshake_error, v->client_error), p.handshake_error.p);
			ok(says(tls_session_error(w.server), v->server_error),
			   tls_session_error(w.server).p);
		}
		arena_free(a);
		wire_close(&w);
		tls_server_free(s);
	}
	tls_client_free(c);
}

static const struct {
	const char *rule;
	struct str list, server;
	bool needs_authentication;
	const char *cipher, *error;
} cipher_cases[] = {
	{ "high grade", STR_INIT("aNULL:-aNULL:HIGH:@STRENGTH:!aNULL"),
	  STR_INIT("ECDHE-ECDSA-AES256-GCM-SHA384"), false, "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ "an exclusion takes its suites away", STR_INIT("HIGH:!AES256:!CHACHA20:!ARIA256"),
	  STR_INIT("HIGH:!aNULL"), false, "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ "anonymous where allowed", STR_INIT("aNULL"), STR_INIT("aNULL"), false,
	  "ADH-AES256-GCM-SHA384" },
	{ "never anonymous where the certificate decides", STR_INIT("aNULL:ECDSA"),
	  STR_INIT("aNULL"), true, NULL, "alert \"handshake failure\" (40)" },
	{ "without encryption where asked for", STR_INIT("eNULL"), STR_INIT("eNULL:@SECLEVEL=0"),
	  false, "ECDHE-ECDSA-NULL-SHA" },
	{ "nothing in common", STR_INIT("ECDHE-ECDSA-AES128-GCM-SHA256"),
	  STR_INIT("ECDHE-ECDSA-AES256-GCM-SHA384"), false, NULL,
	  "alert \"handshake failure\" (40)" },
};

TEST(ciphers_below_tls13)
{
	struct tls_client *c = trusting_client();

	FOR_EACH(v, cipher_cases) {
		struct tls_server *s = server_of((struct tls_server_options){
			.cert_file = leaf_file, .cipher_list = v->server });
		struct tls_demand d = { .versions = V12,
					.cipher_list = v->list,
					.needs_authentication = v->needs_authentication };
		struct wire w = wire_of(c, &d, s);
		struct arena *a = arena_new();
		struct tls_peer p;

		wire_run(&w);
		p = tls_session_peer(w.client, a);
		if (v->cipher) {
			ok_str(p.cipher, str_of(v->cipher), v->rule);
			ok(p.fault == (p.n_chain ? CHAIN_OK : CHAIN_NO_CERTIFICATE), v->rule);
		} else {
			ok(says(p.handshake_error, v->error), p.handshake_error.p);
			ok(says(tls_session_error(w.server), "no shared cipher"), v->rule);
		}
		arena_free(a);
		wire_close(&w);
		tls_server_free(s);
	}
	tls_client_free(c);
}

static const struct {
	const char *rule;
	struct tls_demand d;
	const char *text;
} refused_demands[] = {
	{ "no protocol", { .versions = 0, .cipher_list = STR_INIT("HIGH") }, "no TLS protocol" },
	{ "all excluded",
	  { .versions = 15, .cipher_list = STR_INIT("HIGH:!ALL") },
	  "\"HIGH:!ALL\"" },
	{ "unknown suite", { .versions = 15, .cipher_list = STR_INIT("NOSUCH") }, "\"NOSUCH\"" },
	{ "malformed", { .versions = 15, .cipher_list = STR_INIT("HIGH:@NOSUCH") }, "@NOSUCH" },
	{ "NUL in the list", { .versions = 15, .cipher_list = STR_INIT("HIGH\0x") }, "NUL" },
	{ "NUL in the server name",
	  { .versions = 15, .cipher_list = STR_INIT("HIGH"), .sni = STR_INIT("a\0b") },
	  "server name" },
};

TEST(demands_that_cannot_be_met)
{
	struct tls_client *c = trusting_client();

	FOR_EACH(v, refused_demands) {
		struct error e = { 0 };

		ok(tls_client_session(c, &v->d, &e) == NULL, v->rule);
		ok(e.kind == ERROR_CONFIG && says(error_text(&e), v->text), e.text);
		ok(ERR_peek_error() == 0, "the error queue is drained");
	}
	tls_client_free(c);
}

TEST(end_without_close_notify)
{
	struct tls_client *c = trusting_client();
	struct tls_server *s = usual_server();
	struct wire w = wire_of(c, &any_demand, s);

	wire_run(&w);
	ok(tls_session_application_in(w.server, STR("250 ok\r\n")) == 8, "taken");
	wire_run(&w);
	tls_session_network_end(w.client);
	ok(tls_session_step(w.client) == TLS_STATE_TRUNCATED, "truncation is told");
	ok(says(tls_session_error(w.client), "without close_notify"), "in words");
	ok_str(tls_session_application_out(w.client), STR("250 ok\r\n"), "what came is kept");
	wire_close(&w);

	w = wire_of(c, &any_demand, s);
	tls_session_step(w.client);
	tls_session_network_end(w.client);
	ok(tls_session_step(w.client) == TLS_STATE_FAILED, "in mid-handshake it is a failure");
	ok(says(tls_session_error(w.client), "during the handshake"), "in words");
	wire_close(&w);
	tls_server_free(s);
	tls_client_free(c);
}

TEST(a_record_cut_in_two_is_not_delivered)
{
	struct tls_client *c = trusting_client();
	struct tls_server *s = usual_server();
	struct wire w = wire_of(c, &any_demand, s);
	struct str out;

	wire_run(&w);
	ok(tls_session_application_in(w.server, STR("250 ok\r\n")) == 8, "taken");
	out = tls_session_network_out(w.server);
	tls_session_network_in(w.client, str_first(out, out.n - 1));
	tls_session_network_end(w.client);
	ok(tls_session_step(w.client) == TLS_STATE_TRUNCATED, "truncated");
	ok(tls_session_application_out(w.client).n == 0, "no octet of a record that is not whole");
	wire_close(&w);
	tls_server_free(s);
	tls_client_free(c);
}

static const struct {
	const char *rule;
	struct str octets;
} garbage[] = {
	{ "an SMTP reply", STR_INIT("250 HELP\r\n220 ready\r\n") },
	{ "HTTP", STR_INIT("HTTP/1.1 400 Bad Request\r\n\r\n") },
	{ "zeros", STR_INIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") },
	{ "a record longer than any", STR_INIT("\x16\x03\x01\xff\xff\x01\0\0\0\0\0\0\0\0\0\0") },
	{ "application data first", STR_INIT("\x17\x03\x03\0\x05hello") },
	{ "an alert first", STR_INIT("\x15\x03\x03\0\x02\x02\x28") },
	{ "an unknown message", STR_INIT("\x16\x03\x03\0\x04\x63\0\0\0") },
	{ "a goodbye instead of a handshake", STR_INIT("\x15\x03\x03\x00\x02\x01\x00") },
};

TEST(an_answer_in_the_clear)
{
	struct tls_client *c = trusting_client();
	struct error e = { 0 };
	struct tls_session *s = tls_client_session(c, &any_demand, &e);

	tls_session_step(s);
	tls_session_network_in(s, STR("454 TLS not available\r\n"));
	ok(tls_session_step(s) == TLS_STATE_FAILED, "failed");
	ok(says(tls_session_error(s), "is not TLS"), tls_session_error(s).p);
	tls_session_free(s);
	tls_client_free(c);
}

static void feed_garbage(struct tls_session *s, struct str octets, size_t piece, const char *rule)
{
	struct str rest = octets;

	tls_session_step(s);
	while (rest.n > 0) {
		struct str in = test_exact(str_first(rest, piece));

		tls_session_network_in(s, in);
		tls_session_step(s);
		free((void *)in.p);
		rest = str_from(rest, piece);
	}
	tls_session_network_end(s);
	ok(tls_session_step(s) == TLS_STATE_FAILED, rule);
	ok(tls_session_error(s).n > 0 && ERR_peek_error() == 0, rule);
	ok(tls_session_application_out(s).n == 0, rule);
	tls_session_free(s);
}

TEST(garbage_from_the_network)
{
	struct tls_client *c = trusting_client();
	struct tls_server *s = usual_server();
	struct error e = { 0 };

	FOR_EACH(g, garbage) {
		for (size_t piece = 1; piece <= g->octets.n; piece++) {
			feed_garbage(tls_client_session(c, &any_demand, &e), g->octets, piece,
				     g->rule);
			feed_garbage(tls_server_session(s), g->octets, piece, g->rule);
		}
	}
	tls_server_free(s);
	tls_client_free(c);
}

/* One octet of the server's first flight turned over, at every place: never up with a chain that
 * was not sent, never a crash. */
TEST(damage_in_every_octet)
{
	struct tls_client *c = trusting_client();
	struct tls_server *s = usual_server();

	for (size_t at = 0; at < 1200; at += 3) {
		struct wire w = wire_of(c, &any_demand, s);
		struct str out;

		tls_session_step(w.client);
		move_octets(w.client, w.server, 0);
		out = tls_session_network_out(w.server);
		if (at < out.n)
			((char *)out.p)[at] ^= 0x41;
		wire_run(&w);
		ok(at >= out.n || tls_session_state(w.client) != TLS_STATE_UP ||
			   tls_session_state(w.server) != TLS_STATE_UP,
		   "damage does not pass on both sides");
		wire_close(&w);
	}
	tls_server_free(s);
	tls_client_free(c);
}

TEST(ports_have_limits)
{
	struct tls_client *c = trusting_client();
	struct tls_server *s = usual_server();
	struct wire w = wire_of(c, &any_demand, s);
	size_t sent = 0, got = 0, n = 2000000;
	char *mem = calloc(1, n);

	wire_run(&w);
	for (size_t before = 1; sent != before;) {
		before = sent;
		sent += tls_session_application_in(w.server, str_span(mem + sent, n - sent));
		wire_run(&w);
		ok(buf_len(&w.client->network_in) <= TLS_RECORD_BUFFER_MAX, "network in");
		ok(buf_len(&w.client->application_out) <= TLS_RECORD_BUFFER_MAX, "application");
		ok(buf_len(&w.server->network_out) <= TLS_RECORD_BUFFER_MAX, "network out");
	}
	ok(sent < n, "nobody takes without end");
	ok(tls_session_is_full(w.client), "full is told, for the socket to pause");
	while (got < n) {
		struct str out = tls_session_application_out(w.client);

		got += out.n;
		tls_session_application_used(w.client, out.n);
		tls_session_step(w.client);
		sent += tls_session_application_in(w.server, str_span(mem + sent, n - sent));
		wire_run(&w);
	}
	ok(got == n, "nothing is lost once it is taken");
	free(mem);
	wire_close(&w);
	tls_server_free(s);
	tls_client_free(c);
}

TEST(a_flood_is_cut)
{
	struct tls_client *c = trusting_client();
	struct tls_server *s = usual_server();
	struct wire w = wire_of(c, &any_demand, s);
	static char mem[TLS_READ_MAX];

	wire_run(&w);
	for (int i = 0; i < 10; i++) /* the caller does not heed is_full */
		tls_session_network_in(w.client, str_span(mem, sizeof(mem)));
	ok(tls_session_step(w.client) == TLS_STATE_FAILED, "failed, not grown");
	wire_close(&w);
	tls_server_free(s);
	tls_client_free(c);
}

TEST(server_name_is_sent)
{
	struct tls_client *c = trusting_client();
	struct tls_server *s = usual_server();
	struct tls_demand d = any_demand;
	struct arena *a = arena_new();
	struct wire w;

	d.sni = STR("mx.test");
	w = wire_of(c, &d, s);
	wire_run(&w);
	ok_str(tls_session_sni(w.server), STR("mx.test"), "seen by the server");
	ok_str(tls_session_peer(w.client, a).sni_sent, STR("mx.test"), "in the record");
	wire_close(&w);
	w = wire_of(c, &any_demand, s);
	wire_run(&w);
	ok(tls_session_sni(w.server).n == 0, "none sent when none is demanded");
	wire_close(&w);
	arena_free(a);
	tls_server_free(s);
	tls_client_free(c);
}

TEST(contexts_are_shared)
{
	struct tls_client *c = trusting_client();
	struct error e = { 0 };
	struct tls_demand d = any_demand;
	struct tls_session *a = tls_client_session(c, &d, &e), *b, *more;
	char list[64];

	d.sni = STR("other.test");
	b = tls_client_session(c, &d, &e);
	ok(SSL_get_SSL_CTX(a->ssl) == SSL_get_SSL_CTX(b->ssl), "whatever the server name");
	tls_session_free(b);
	d.needs_authentication = true;
	b = tls_client_session(c, &d, &e);
	ok(SSL_get_SSL_CTX(a->ssl) != SSL_get_SSL_CTX(b->ssl), "never across trust");
	tls_session_free(b);
	for (int i = 0; i < 2 * TLS_CONTEXTS_MAX + 3; i++) {
		snprintf(list, sizeof(list), "HIGH:MEDIUM:NOSUCH%d", i);
		d.cipher_list = str_of(list);
		more = tls_client_session(c, &d, &e);
		ok(more != NULL, e.text);
		tls_session_free(more);
	}
	tls_client_free(c);
	tls_session_step(a);
	ok(tls_session_network_out(a).n > 100, "a session outlives its context and its client");
	tls_session_free(a);
}

TEST(both_ends_export_the_same)
{
	struct tls_client *c = trusting_client();
	struct tls_server *s = server_of((struct tls_server_options){
		.eccert_file = leaf_file, .prefers_own_ciphers = true });
	char here[TLS_EXPORTER_SIZE], there[TLS_EXPORTER_SIZE];
	struct wire w = wire_of(c, &any_demand, s);

	ok(!tls_session_exporter(w.client, here), "not before the handshake");
	wire_run(&w);
	ok(tls_session_exporter(w.client, here) && tls_session_exporter(w.server, there), "both");
	ok(memcmp(here, there, sizeof(here)) == 0, "the same");
	wire_close(&w);
	tls_client_free(c);
	tls_server_free(s);
}

TEST(client_certificate)
{
	struct made me = make(&(struct recipe){ .cn = "me", .issuer = &root });
	struct str file = file_of(&me, &root);
	struct tls_client *c = client_of((struct tls_client_options){ .chain_files = file });
	struct tls_server *s = server_of(
		(struct tls_server_options){ .cert_file = leaf_file, .asks_certificate = true });
	struct wire w = wire_of(c, &any_demand, s);
	struct arena *a = arena_new();
	struct tls_peer p;

	wire_run(&w);
	p = tls_session_peer(w.server, a);
	ok(p.n_chain == 2, "leaf and its chain are sent");
	ok_str(p.chain[0].subject, STR("CN=me"), "leaf first");
	ok_str(p.chain[1].subject, STR("CN=Root"), "then the chain");
	arena_free(a);
	wire_close(&w);
	tls_client_free(c);
	tls_server_free(s);
	unmake(&me);
}

TEST(state_names)
{
	ok_str(tls_session_state_name(TLS_STATE_UP), STR("up"), "name");
	ok_str(tls_session_state_name(TLS_STATE_TRUNCATED), STR("truncated"), "name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(in_every_split),           RUN(versions),
		RUN(ciphers_below_tls13),      RUN(demands_that_cannot_be_met),
		RUN(end_without_close_notify), RUN(a_record_cut_in_two_is_not_delivered),
		RUN(an_answer_in_the_clear),   RUN(garbage_from_the_network),
		RUN(damage_in_every_octet),    RUN(ports_have_limits),
		RUN(a_flood_is_cut),           RUN(server_name_is_sent),
		RUN(contexts_are_shared),      RUN(both_ends_export_the_same),
		RUN(client_certificate),       RUN(state_names),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
