/* For this room's tests: a listener with a store of one message, and clients that play scripts
 * against it, all on one loop. A line of a script is
 *
 *	C text     the client says it, with CRLF
 *	S text     the reply's last line begins with it
 *	+ text     some line of that reply has it
 *	- text     no line of that reply has it
 *	T          TLS from here on
 *	E          the server closes
 *	X          the client is gone, without a word */

#ifndef HOPSEAL_LISTEN_POST_TEST_H
#define HOPSEAL_LISTEN_POST_TEST_H

#include "base/buf.h"
#include "listen/room.h"
#include "tls/tls_test.h"

#define POST_UTC_S 1795346400 /* Sun, 22 Nov 2026 11:20:00 +0000 */
#define POST_CONTENT_MAX (32 * 1024 * 1024)
#define POST_PATIENCE_MS 20000

/* A listener and what it was given. */
struct post {
	struct net_loop *loop;
	struct conf *conf;
	struct listen_setup *setup;
	struct listen_sockets *sockets;
	struct listen_clients *clients;
	struct listen *listen;
	struct net_timer *patience, *later;

	struct buf content, envelope; /* of the message that was kept last */
	unsigned n_kept, n_spools, n_dropped;
	unsigned n_decided;
	bool answers_later, is_moody; /* moody: some at once */
	bool is_short, cannot_spool, cannot_add;
	unsigned n_rooms; /* 1: there is room once more; 0: as is_short says */
	const char *name; /* of all clients; NULL: unknown */
	bool is_name_in_doubt, is_name_lost;
	struct listen_request *lost[8];
	size_t n_lost;
	struct {
		struct listen_request *request;
		bool is_rcpt, is_good;
	} waiting[1024];
	size_t n_waiting;

	struct buf log; /* names of events, and their texts */
	size_t n_clients;
	bool is_impatient;
};

struct client {
	struct post *post;
	const char *rule;
	struct net_stream *stream;
	struct tls_client *tls_client;
	struct tls_session *tls;
	struct str script;
	struct buf in, reply;
	bool is_over, is_at_end;
};

/* The calls. */

static void post_answer(struct post *p, struct listen_request *r, bool is_rcpt, bool is_good)
{
	struct smtp_reply no = { 550, STATUS(5, 1, 2), STR("no such place") };
	struct smtp_reply full = { 452, STATUS(4, 3, 1), STR("the disk is full") };

	(void)p;
	if (!is_good)
		listen_refuse(r, is_rcpt ? &no : &full);
	else if (is_rcpt)
		listen_admit(r, STR("smtp:there"));
	else
		listen_kept(r);
}

static void post_decide(struct post *p, struct listen_request *r, bool is_rcpt, bool is_good)
{
	if (!p->answers_later || (p->is_moody && ++p->n_decided % 3 == 0)) {
		post_answer(p, r, is_rcpt, is_good);
		return;
	}
	CHECK(p->n_waiting < ARRAY_LEN(p->waiting));
	p->waiting[p->n_waiting].request = r;
	p->waiting[p->n_waiting].is_rcpt = is_rcpt;
	p->waiting[p->n_waiting++].is_good = is_good;
	net_timer_set(p->later, net_loop_now(p->loop) + 5);
}

static void post_later(void *arg)
{
	struct post *p = arg;

	while (p->n_waiting > 0) {
		size_t i = --p->n_waiting;

		post_answer(p, p->waiting[i].request, p->waiting[i].is_rcpt, p->waiting[i].is_good);
	}
}

static void post_name(void *arg, struct listen_request *r, const struct address *client)
{
	struct post *p = arg;

	CHECK(client->octets[0] == 127);
	if (p->is_name_lost && p->n_lost < ARRAY_LEN(p->lost))
		p->lost[p->n_lost++] = r;
	else
		listen_named(r, str_of(p->name), p->is_name_in_doubt);
}

static void post_rcpt(void *arg, struct listen_request *r, const struct listen_admission *a)
{
	post_decide(arg, r, true, !str_has_prefix(a->recipient, STR("nobody@")));
}

static bool post_spool_begin(void *arg, struct listen_spool *out, struct error *e)
{
	struct post *p = arg;

	if (p->cannot_spool)
		return error_set(e, ERROR_LIMIT, "no room");
	p->n_spools++;
	snprintf(out->id, sizeof(out->id), "ID%u", p->n_spools);
	buf_reset(&p->content);
	out->handle = p;
	return true;
}

static bool post_spool_add(void *arg, struct listen_spool *s, struct str octets, struct error *e)
{
	struct post *p = arg;

	CHECK(s->handle == p);
	if (p->cannot_add)
		return error_set(e, ERROR_IO, "a bad disk");
	return buf_add(&p->content, octets) || error_set(e, ERROR_LIMIT, "full");
}

static void post_spool_drop(void *arg, struct listen_spool *s)
{
	struct post *p = arg;

	CHECK(s->handle == p);
	p->n_dropped++;
}

static void post_accept(void *arg, struct listen_request *r, const struct listen_message *m)
{
	struct post *p = arg;

	buf_reset(&p->envelope);
	CHECK(buf_fmt(&p->envelope, "<" STR_FMT ">%s%s%s%s%s%s", STR_ARG(m->sender),
		      m->is_smtputf8 ? " utf8" : "", m->is_requiretls ? " requiretls" : "",
		      m->is_8bitmime ? " 8bitmime" : "", m->scan->is_8bit ? " 8bit" : "",
		      m->scan->has_8bit_header ? " 8bitheader" : "",
		      m->scan->has_tls_required_no ? " tlsrequiredno" : ""));
	CHECK(buf_fmt(&p->envelope, " user=" STR_FMT, STR_ARG(m->client->user)));
	for (size_t i = 0; i < m->n_rcpts; i++)
		CHECK(buf_fmt(&p->envelope, " <" STR_FMT ">", STR_ARG(m->rcpts[i].address)) &&
		      (m->rcpts[i].notify.n == 0 ||
		       buf_fmt(&p->envelope, " notify=" STR_FMT, STR_ARG(m->rcpts[i].notify))));
	CHECK(m->n_rcpts == 0 || str_eq(m->rcpts[0].destination, STR("smtp:there")));
	CHECK(m->scan->size_octets == buf_len(&p->content));
	p->n_kept++;
	post_decide(p, r, false, !str_eq(m->sender, STR("unlucky@x.example")));
}

static bool post_is_short(void *arg, uint64_t size)
{
	struct post *p = arg;
	bool was_short = p->is_short;

	(void)size;
	if (p->n_rooms > 0 && --p->n_rooms == 0)
		p->is_short = true;
	return was_short;
}

static void post_log(void *arg, const struct log_event *e)
{
	struct post *p = arg;

	CHECK(event_text(&p->log, e) && buf_add(&p->log, STR("\n")));
}

static const struct listen_calls post_calls = {
	.name = post_name,
	.rcpt = post_rcpt,
	.spool_begin = post_spool_begin,
	.spool_add = post_spool_add,
	.spool_drop = post_spool_drop,
	.accept = post_accept,
	.is_short = post_is_short,
	.log = post_log,
};

static int64_t post_utc_ms(void)
{
	return POST_UTC_S * 1000ll;
}

static void post_impatient(void *arg)
{
	struct post *p = arg;

	p->is_impatient = true;
	net_loop_stop(p->loop);
}

static UNUSED struct conf *post_conf(const char *text, struct error *e)
{
	struct conf_source s = { STR("main.cf"), str_of(text) };
	struct conf_machine m = { .hostname = STR("mx.example") };
	struct arena *a = arena_new();
	struct conf_findings found;
	struct conf *c = conf_new(&s, 1, &m, a, &found);

	if (!c)
		error_set(e, ERROR_CONFIG, STR_FMT, STR_ARG(found.v[0].text));
	arena_free(a);
	return c;
}

static UNUSED void post_open(struct post *p, const char *text)
{
	struct error e = { 0 };

	*p = (struct post){ .loop = net_loop_new() };
	p->conf = post_conf(text, &e);
	ok(p->conf != NULL, e.text);
	p->setup = listen_setup_new(p->conf, &e);
	ok(p->setup != NULL, e.text);
	ok(listen_setup_read(p->setup, &e), e.text);
	p->sockets = listen_bind(p->setup, NULL, &e);
	ok(p->sockets != NULL, e.text);
	p->clients = listen_clients_new();
	buf_init(&p->content, POST_CONTENT_MAX);
	buf_init(&p->envelope, 1024 * 1024);
	buf_init(&p->log, 16 * 1024 * 1024);
	struct listen_options o = { .loop = p->loop,
				    .setup = p->setup,
				    .sockets = p->sockets,
				    .clients = p->clients,
				    .origin = STR("origin.example"),
				    .calls = &post_calls,
				    .arg = p,
				    .utc_ms = post_utc_ms };
	p->listen = listen_new(&o, &e);
	ok(p->listen != NULL, e.text);
	p->patience = net_timer_new(p->loop, post_impatient, p);
	p->later = net_timer_new(p->loop, post_later, p);
}

static UNUSED void post_close(struct post *p)
{
	listen_free(p->listen);
	while (p->n_lost > 0)
		listen_named(p->lost[--p->n_lost], STR("late.example"), false);
	post_later(p); /* nobody hears it any more */
	ok(listen_clients_connections(p->clients) == 0, "all connections were counted out");
	ok(p->n_spools == p->n_kept + p->n_dropped, "every spool has an end");
	listen_sockets_free(p->sockets);
	listen_clients_free(p->clients);
	listen_setup_unref(p->setup);
	conf_unref(p->conf);
	net_timer_free(p->patience);
	net_timer_free(p->later);
	net_loop_drain(p->loop);
	net_loop_free(p->loop);
	buf_fini(&p->content);
	buf_fini(&p->envelope);
	buf_fini(&p->log);
}

/* Clients. */

static void client_over(struct client *c)
{
	if (c->is_over)
		return;
	c->is_over = true;
	net_stream_free(c->stream);
	c->stream = NULL;
	if (--c->post->n_clients == 0)
		net_loop_stop(c->post->loop);
}

static void client_flush(struct client *c)
{
	struct str out = tls_session_network_out(c->tls);

	net_stream_write(c->stream, out);
	tls_session_network_sent(c->tls, out.n);
}

static void client_write(struct client *c, struct str octets)
{
	if (!c->tls) {
		net_stream_write(c->stream, octets);
		return;
	}
	while (octets.n > 0) {
		size_t n = tls_session_application_in(c->tls, octets);

		ok(n > 0, c->rule);
		octets = str_from(octets, n);
		client_flush(c);
	}
}

static bool client_take_reply(struct client *c)
{
	struct str line, rest;

	buf_reset(&c->reply);
	for (rest = buf_str(&c->in); str_cut(rest, '\n', &line, &rest);) {
		bool is_last = line.n < 4 || line.p[3] != '-';

		CHECK(buf_add(&c->reply, line) && buf_add(&c->reply, STR("\n")));
		if (!is_last)
			continue;
		buf_consume(&c->in, buf_len(&c->in) - rest.n);
		return true;
	}
	return false;
}

/* The last line, without its end. */
static struct str client_last_line(const struct client *c)
{
	struct str rest = str_trim(buf_str(&c->reply)), before, line;

	return str_rcut(rest, '\n', &before, &line) ? line : rest;
}

static void client_check(struct client *c, char what, struct str text)
{
	struct str last = client_last_line(c);
	size_t at;

	if (what == 'S' && !str_has_prefix(last, text))
		fail_msg("%s: got \"" STR_FMT "\", want \"" STR_FMT "\"", c->rule, STR_ARG(last),
			 STR_ARG(text));
	if (what != 'S' && str_search(buf_str(&c->reply), text, &at) != (what == '+'))
		fail_msg("%s: \"" STR_FMT "\" %c \"" STR_FMT "\"", c->rule,
			 STR_ARG(buf_str(&c->reply)), what, STR_ARG(text));
}

static void client_starttls(struct client *c)
{
	struct error e = { 0 };

	ok(buf_len(&c->in) == 0, c->rule);
	c->tls = tls_client_session(c->tls_client, &any_demand, &e);
	ok(c->tls != NULL, e.text);
	tls_session_step(c->tls);
	client_flush(c);
}

/* False: it has to wait. */
static bool client_step(struct client *c, struct str line)
{
	char what = line.p[0];
	struct str text = str_from(line, 2);

	if (c->tls && tls_session_state(c->tls) == TLS_STATE_HANDSHAKING)
		return false;
	if (what == 'C') {
		client_write(c, text);
		client_write(c, STR("\r\n"));
	} else if (what == 'T') {
		client_starttls(c);
	} else if (what == 'X') {
		client_over(c);
	} else if (what == 'E') {
		ok(buf_len(&c->in) == 0 || !c->is_at_end, c->rule);
		return c->is_at_end;
	} else {
		if (what == 'S' && !client_take_reply(c))
			return false;
		client_check(c, what, text);
	}
	return true;
}

static void client_turn(struct client *c)
{
	struct str line, rest;

	while (!c->is_over && str_cut(c->script, '\n', &line, &rest) && client_step(c, line))
		c->script = rest;
	if (!c->is_over && c->script.n == 0)
		client_over(c);
	else if (!c->is_over && c->is_at_end)
		fail_msg("%s: closed before \"" STR_FMT "\"", c->rule,
			 STR_ARG(str_first(c->script, 60)));
}

static void client_connected(void *arg)
{
	client_turn(arg);
}

static void client_read(void *arg, struct str octets)
{
	struct client *c = arg;

	if (c->tls) {
		tls_session_network_in(c->tls, octets);
		tls_session_step(c->tls);
		octets = tls_session_application_out(c->tls);
		ok(tls_session_state(c->tls) != TLS_STATE_FAILED, tls_session_error(c->tls).p);
	}
	ok(buf_add(&c->in, octets), c->rule);
	if (c->tls) {
		tls_session_application_used(c->tls, octets.n);
		client_flush(c);
	}
	client_turn(c);
}

static void client_ended(void *arg)
{
	struct client *c = arg;

	c->is_at_end = true;
	client_turn(c);
}

static void client_failed(void *arg, const struct net_failure *why)
{
	(void)why;
	client_ended(arg);
}

static const struct net_stream_calls client_calls = { .connected = client_connected,
						      .read = client_read,
						      .ended = client_ended,
						      .failed = client_failed };

static UNUSED void
client_open(struct client *c, struct post *p, size_t listener, const char *rule, const char *script)
{
	const struct listen_setting *s = &p->setup->v[listener];
	struct net_endpoint at;

	*c = (struct client){ .post = p, .rule = rule, .script = str_of(script) };
	buf_init(&c->in, 1024 * 1024);
	buf_init(&c->reply, 1024 * 1024);
	c->tls_client = client_of((struct tls_client_options){ .verify_depth = 9 });
	p->n_clients++;
	if (s->path.n) {
		c->stream = net_stream_connect_unix(p->loop, s->path, &client_calls, c);
		return;
	}
	at = listen_endpoint(p->listen, listener);
	c->stream = net_stream_connect(p->loop, &at, NULL, &client_calls, c);
}

static UNUSED void client_close(struct client *c)
{
	client_over(c);
	tls_session_free(c->tls);
	tls_client_free(c->tls_client);
	buf_fini(&c->in);
	buf_fini(&c->reply);
}

/* Until all clients are over. */
static UNUSED void post_run(struct post *p, const char *rule)
{
	net_timer_set(p->patience, net_loop_now(p->loop) + POST_PATIENCE_MS);
	net_loop_run(p->loop);
	net_timer_stop(p->patience);
	ok(!p->is_impatient, rule);
}

static UNUSED void post_play(struct post *p, size_t listener, const char *rule, const char *script)
{
	struct client c;

	client_open(&c, p, listener, rule, script);
	post_run(p, rule);
	client_close(&c);
}

#endif
