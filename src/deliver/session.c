#include "deliver/session.h"

#include <stdlib.h>

#include "proto/smtp_reply.h"

enum {
	SESSION_QUEUE_MAX =
		256 * 1024,       /* octets waiting for the socket before the content pauses */
	SESSION_LINGER_MS = 1000, /* how long a finished connection waits for the peer's close */
};

struct session {
	struct net_loop *loop;
	struct net_stream *stream;
	struct net_timer *timer;
	struct tls_client *tls_client;
	struct tls_session *tls;
	struct smtp_client *smtp;
	struct smtp_client_options smtp_options;
	struct tls_demand demand;
	const struct session_calls *calls;
	void *arg;
	struct arena *arena;

	uint64_t tls_limit_ms;
	uint64_t started, connected, tls_started, tls_up, greeted, ended; /* 0: not yet */
	uint64_t last;     /* of the session as a whole */
	uint64_t deadline; /* of connect or handshake; UINT64_MAX: none, or the engine's counts */
	uint64_t adopted;  /* 0: by nobody but who started it */
	size_t *n_open;
	unsigned n_mails;

	struct content *content;
	uint64_t content_at;
	bool wants_content;

	bool is_pumping, is_over, is_tls_ended, is_left;
	bool has_shown; /* the handshake is complete, and what it showed is here */
	struct tls_peer shown;
	struct str tls_error;
	struct session_end end;
};

static void session_pump(struct session *s);

static uint64_t session_now(const struct session *s)
{
	return net_loop_now(s->loop);
}

/* A limit of 0 is none, as in Postfix. */
static uint64_t session_after(uint64_t from, uint64_t limit_ms)
{
	return limit_ms > 0 ? from + limit_ms : UINT64_MAX;
}

static void
session_over(struct session *s, enum session_end_kind kind, struct status status, struct str reason)
{
	if (s->is_over)
		return;
	s->is_over = true;
	s->ended = session_now(s);
	s->end.kind = kind;
	s->end.may_try_next_host = true;
	s->end.outcome.kind = OUTCOME_DEFERRED;
	s->end.outcome.status = status;
	s->end.outcome.reason = arena_str(s->arena, reason);
}

/* The reason is what tells a failed handshake from one that was never tried. */
static void session_tls_failed(struct session *s, struct str why)
{
	s->tls_error = arena_str(s->arena, why.n ? why : STR("the handshake did not succeed"));
	session_over(s, SESSION_TLS_FAILED, STATUS(4, 7, 5), s->tls_error);
}

/* The conversation begins: after the connection, or inside TLS under smtp_tls_wrappermode. */
static void session_speak(struct session *s)
{
	s->smtp = smtp_client_new(&s->smtp_options, session_now(s));
	s->deadline = UINT64_MAX;
}

static void session_tls_is_up(struct session *s)
{
	s->tls_up = session_now(s);
	s->deadline = UINT64_MAX;
	if (!s->smtp)
		session_speak(s);
	else if (!s->calls->secured || s->calls->secured(s->arg))
		smtp_client_tls_up(s->smtp, s->tls_up);
	else
		smtp_client_quit(s->smtp, s->tls_up);
}

/* Everything TLS can do with what lies at its ports. A peer may say goodbye in the octets that
 * complete the handshake: then TLS was up, and the engine hears how it ended. */
static void session_step_tls(struct session *s)
{
	enum tls_state state = tls_session_step(s->tls);

	if (s->tls_up)
		return;
	if (tls_session_was_up(s->tls))
		session_tls_is_up(s);
	else if (state != TLS_STATE_HANDSHAKING)
		session_tls_failed(s, tls_session_error(s->tls));
}

static void session_start_tls(struct session *s)
{
	struct error e = { 0 };

	s->tls_started = session_now(s);
	s->deadline = session_after(s->tls_started, s->tls_limit_ms);
	s->tls = s->tls_client ? tls_client_session(s->tls_client, &s->demand, &e) : NULL;
	if (s->tls)
		session_step_tls(s);
	else
		session_tls_failed(s, error_text(&e));
}

/* TLS said its last word and all it carried has been read: the engine learns how it ended, once.
 * True when it did. */
static bool session_tls_end(struct session *s)
{
	enum tls_state state = tls_session_state(s->tls);

	if (s->is_tls_ended || state == TLS_STATE_HANDSHAKING || state == TLS_STATE_UP)
		return false;
	s->is_tls_ended = true;
	if (state == TLS_STATE_CLOSED)
		smtp_client_read_end(s->smtp, session_now(s));
	else
		smtp_client_lost(s->smtp, tls_session_error(s->tls), session_now(s));
	return true;
}

/* Decrypted octets to the engine. True when there were any. */
static bool session_take_input(struct session *s)
{
	if (!s->tls || !s->tls_up || !s->smtp)
		return false;
	struct str in = tls_session_application_out(s->tls);
	if (in.n == 0)
		return session_tls_end(s);
	smtp_client_read(s->smtp, in, session_now(s));
	tls_session_application_used(s->tls, in.n);
	session_step_tls(s);
	return true;
}

/* The engine's octets towards the peer. True when any moved. */
static bool session_give_output(struct session *s)
{
	struct str out = s->smtp ? smtp_client_output(s->smtp) : STR_NONE;
	bool moved = false;

	if (out.n > 0 && !s->tls && net_stream_queued(s->stream) < SESSION_QUEUE_MAX) {
		net_stream_write(s->stream, out);
		smtp_client_wrote(s->smtp, out.n, session_now(s));
		moved = true;
	}
	if (!s->tls)
		return moved;
	if (out.n > 0 && s->tls_up && net_stream_queued(s->stream) < SESSION_QUEUE_MAX) {
		size_t n = tls_session_application_in(s->tls, out);
		smtp_client_wrote(s->smtp, n, session_now(s));
		session_step_tls(s);
		moved = n > 0;
	}
	struct str wire = tls_session_network_out(s->tls);
	if (wire.n > 0 && net_stream_queued(s->stream) < SESSION_QUEUE_MAX) {
		net_stream_write(s->stream, wire);
		tls_session_network_sent(s->tls, wire.n);
		session_step_tls(s);
		moved = true;
	}
	return moved;
}

static void session_content_failed(struct session *s, struct error *e)
{
	s->wants_content = false;
	smtp_client_content_failed(s->smtp, error_text(e), session_now(s));
}

/* One piece of the message. True when one was given. */
static bool session_give_content(struct session *s)
{
	struct error e = { 0 };
	struct str piece;

	if (!s->wants_content || !smtp_client_wants_content(s->smtp) ||
	    net_stream_queued(s->stream) >= SESSION_QUEUE_MAX)
		return false;
	if (!content_read(s->content, s->content_at, &piece, &e)) {
		session_content_failed(s, &e);
		return true;
	}
	s->content_at += piece.n;
	if (piece.n > 0) {
		smtp_client_content(s->smtp, piece, session_now(s));
	} else {
		s->wants_content = false;
		smtp_client_content_end(s->smtp, session_now(s));
	}
	return true;
}

static void session_engine_failed(struct session *s, const struct smtp_client_event *ev)
{
	session_over(s, SESSION_FAILED, ev->outcome.status, ev->outcome.reason);
	s->end.may_try_next_host = ev->may_try_next_host;
	s->end.cause = ev->cause;
	s->end.outcome.kind = ev->outcome.kind;
	s->end.outcome.reply = ev->outcome.reply;
	s->end.outcome.reply.text = arena_str(s->arena, ev->outcome.reply.text);
}

static void session_event(struct session *s, const struct smtp_client_event *ev)
{
	switch (ev->kind) {
	case SMTP_CLIENT_NOTHING:
		return;
	case SMTP_CLIENT_START_TLS:
		session_start_tls(s);
		return;
	case SMTP_CLIENT_READY:
		s->calls->ready(s->arg);
		return;
	case SMTP_CLIENT_CHALLENGE:
		s->calls->challenge(s->arg, ev->octets);
		return;
	case SMTP_CLIENT_AUTH:
		s->calls->authenticated(s->arg, ev);
		return;
	case SMTP_CLIENT_CONTENT:
		s->wants_content = true;
		return;
	case SMTP_CLIENT_RCPT:
		s->calls->rcpt(s->arg, ev);
		return;
	case SMTP_CLIENT_DONE:
		s->wants_content = false;
		s->calls->done(s->arg);
		return;
	case SMTP_CLIENT_FAILED:
		session_engine_failed(s, ev);
		return;
	case SMTP_CLIENT_CLOSED:
		session_over(s, SESSION_QUIT, STATUS(0, 0, 0), STR_NONE);
		return;
	}
}

static bool session_take_event(struct session *s)
{
	if (!s->smtp)
		return false;
	if (!s->greeted && smtp_client_greeting(s->smtp).n > 0)
		s->greeted = session_now(s);
	struct smtp_client_event ev = smtp_client_next(s->smtp);
	session_event(s, &ev);
	return ev.kind != SMTP_CLIENT_NOTHING;
}

static bool session_move(struct session *s)
{
	return session_take_event(s) || session_take_input(s) || session_give_output(s) ||
	       session_give_content(s);
}

/* The engine's last word, a QUIT, goes out; after trouble with TLS only its alert. */
static void session_hang_up(struct session *s)
{
	while (s->stream && s->connected && s->end.kind != SESSION_TLS_FAILED &&
	       session_give_output(s))
		;
	if (s->tls && s->tls_up) {
		tls_session_close(s->tls);
		(void)tls_session_step(s->tls);
	}
	if (s->tls && s->connected && s->stream)
		net_stream_write(s->stream, tls_session_network_out(s->tls));
	if (s->stream && s->connected)
		net_stream_finish(s->stream, SESSION_LINGER_MS);
	else
		net_stream_free(s->stream);
	s->stream = NULL;
	net_timer_stop(s->timer);
}

/* While the engine waits for TLS its own deadline does not count: a handshake that takes too long
 * has failed. */
static void session_set_timer(struct session *s)
{
	uint64_t at = s->deadline;

	if (at == UINT64_MAX && s->smtp)
		at = smtp_client_deadline(s->smtp);
	net_timer_set(s->timer, at < s->last ? at : s->last);
}

/* QUIT goes out, and nobody waits for the reply. */
static void session_go(struct session *s)
{
	if (session_is_idle(s))
		smtp_client_quit(s->smtp, session_now(s));
	session_hang_up(s);
	session_free(s);
}

/* Moves all that can move. Calls out of here may come back in, and find the work going on. */
static void session_pump(struct session *s)
{
	if (s->is_pumping)
		return;
	s->is_pumping = true;
	while (!s->is_over && session_move(s))
		;
	s->is_pumping = false;
	if (s->is_left) {
		session_go(s);
		return;
	}
	if (!s->is_over) {
		session_set_timer(s);
		return;
	}
	session_hang_up(s);
	s->calls->over(s->arg, &s->end); /* may free s */
}

static void session_on_connected(void *arg)
{
	struct session *s = arg;

	s->connected = session_now(s);
	if (s->smtp_options.is_tls_already) {
		session_start_tls(s);
	} else {
		session_speak(s);
	}
	session_pump(s);
}

static void session_on_read(void *arg, struct str octets)
{
	struct session *s = arg;

	if (s->tls) {
		tls_session_network_in(s->tls, octets);
		session_step_tls(s);
	} else if (s->smtp) {
		smtp_client_read(s->smtp, octets, session_now(s));
	}
	session_pump(s);
}

static void session_on_ended(void *arg)
{
	struct session *s = arg;

	if (s->tls) {
		tls_session_network_end(s->tls);
		session_step_tls(s);
	} else if (s->smtp) {
		smtp_client_read_end(s->smtp, session_now(s));
	}
	session_pump(s);
}

static void session_on_drained(void *arg)
{
	session_pump(arg);
}

static void session_on_failed(void *arg, const struct net_failure *why)
{
	struct session *s = arg;
	struct str text = str_of(why->text);

	net_stream_free(s->stream);
	s->stream = NULL;
	s->end.is_shortage = !s->connected && why->fault == NET_FAULT_SHORTAGE;
	if (s->end.is_shortage)
		session_over(s, SESSION_NOT_CONNECTED, STATUS(4, 3, 0), text);
	else if (!s->connected)
		session_over(s, SESSION_NOT_CONNECTED, STATUS(4, 4, 1), text);
	else if (s->tls && !s->tls_up)
		session_tls_failed(s, text);
	else
		smtp_client_lost(s->smtp, text, session_now(s));
	/* without a stream nothing can be written: only events are left */
	while (!s->is_over && session_take_event(s))
		;
	CHECK(s->is_over);
	session_hang_up(s);
	s->calls->over(s->arg, &s->end);
}

static void session_too_long(struct session *s, struct str why)
{
	if (!s->connected)
		session_over(s, SESSION_NOT_CONNECTED, STATUS(4, 4, 1), why);
	else if (s->tls && !s->tls_up)
		session_tls_failed(s, why);
	else
		smtp_client_lost(s->smtp, why, session_now(s));
}

static void session_on_timer(void *arg)
{
	struct session *s = arg;
	uint64_t now = session_now(s);

	if (now >= s->last)
		session_too_long(s, STR("the session took too long"));
	else if (s->deadline == UINT64_MAX)
		smtp_client_tick(s->smtp, now);
	else if (now >= s->deadline)
		session_too_long(s, s->connected ? STR("the TLS handshake timed out")
						 : STR("connection timed out"));
	session_pump(s);
}

static const struct net_stream_calls stream_calls = {
	.connected = session_on_connected,
	.read = session_on_read,
	.ended = session_on_ended,
	.drained = session_on_drained,
	.failed = session_on_failed,
};

static const struct str *session_copy_list(struct arena *a, const struct str *v, size_t n)
{
	struct str *copy = ARENA_ARRAY(a, n, struct str);

	for (size_t i = 0; i < n; i++)
		copy[i] = arena_str(a, v[i]);
	return copy;
}

struct session *
session_start(const struct session_options *o, const struct session_calls *calls, void *arg)
{
	struct session *s = base_alloc(sizeof(*s));

	s->loop = o->loop;
	s->calls = calls;
	s->arg = arg;
	s->arena = arena_new();
	s->tls_client = o->tls;
	s->tls_limit_ms = o->tls_ms;
	s->n_open = o->n_open;
	if (s->n_open)
		++*s->n_open;
	s->smtp_options = o->smtp;
	s->smtp_options.helo_name = arena_str(s->arena, o->smtp.helo_name);
	s->demand = o->demand;
	s->demand.cipher_list = arena_str(s->arena, o->demand.cipher_list);
	s->demand.sni = arena_str(s->arena, o->demand.sni);
	s->demand.digest = arena_str(s->arena, o->demand.digest);
	s->demand.session_key = arena_str(s->arena, o->demand.session_key);
	s->demand.trust_files =
		session_copy_list(s->arena, o->demand.trust_files, o->demand.n_trust_files);
	s->started = session_now(s);
	s->last = session_after(s->started, o->total_ms);
	s->deadline = session_after(s->started, o->connect_ms);
	s->timer = net_timer_new(o->loop, session_on_timer, s);
	session_set_timer(s);
	s->stream = o->socket.n > 0
			    ? net_stream_connect_unix(o->loop, o->socket, &stream_calls, s)
			    : net_stream_connect(o->loop, &o->to, o->source, &stream_calls, s);
	return s;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	if (s->n_open)
		--*s->n_open;
	net_stream_free(s->stream);
	net_timer_free(s->timer);
	tls_session_free(s->tls);
	smtp_client_free(s->smtp);
	arena_free(s->arena);
	free(s);
}

void session_mail(struct session *s, const struct smtp_mail *mail, struct content *content)
{
	s->content = content;
	s->content_at = 0;
	s->wants_content = false;
	s->n_mails++;
	smtp_client_mail(s->smtp, mail, session_now(s));
	session_pump(s);
}

void session_auth(struct session *s, struct str mechanism, struct str initial)
{
	smtp_client_auth(s->smtp, mechanism, initial, session_now(s));
	session_pump(s);
}

void session_auth_response(struct session *s, struct str octets)
{
	smtp_client_auth_response(s->smtp, octets, session_now(s));
	session_pump(s);
}

void session_auth_cancel(struct session *s, struct str why)
{
	smtp_client_auth_cancel(s->smtp, why, session_now(s));
	session_pump(s);
}

bool session_binding(const struct session *s, char out[TLS_EXPORTER_SIZE])
{
	return s->tls && s->tls_up && tls_session_exporter(s->tls, out);
}

void session_quit(struct session *s)
{
	smtp_client_quit(s->smtp, session_now(s));
	session_pump(s);
}

bool session_is_idle(const struct session *s)
{
	return !s->is_over && s->smtp && smtp_client_is_idle(s->smtp) &&
	       (!s->tls || tls_session_state(s->tls) == TLS_STATE_UP);
}

void session_adopt(struct session *s, const struct session_calls *calls, void *arg)
{
	s->calls = calls;
	s->arg = arg;
	s->adopted = session_now(s);
	smtp_client_forget(s->smtp);
}

static void session_nobody_rcpt(void *arg, const struct smtp_client_event *ev)
{
	(void)arg, (void)ev;
}

static void session_nobody_over(void *arg, const struct session_end *end)
{
	(void)arg, (void)end;
}

void session_leave(struct session *s)
{
	static const struct session_calls nobody = { .rcpt = session_nobody_rcpt,
						     .over = session_nobody_over };

	s->calls = &nobody;
	s->is_left = true;
	if (!s->is_pumping)
		session_go(s);
}

unsigned session_n_mails(const struct session *s)
{
	return s->n_mails;
}

uint64_t session_age_ms(const struct session *s)
{
	return net_loop_now(s->loop) - s->started;
}

bool session_is_stale(const struct session *s)
{
	return s->smtp && smtp_client_is_stale(s->smtp);
}

void session_keep_tls(struct session *s)
{
	if (s->tls)
		tls_session_keep(s->tls);
}

bool session_was_tls_offered(const struct session *s)
{
	return s->tls && tls_session_was_offered(s->tls);
}

/* A handshake is looked at once: digests of a chain cost more than the mail of a kept session. */
static struct tls_peer session_handshake(struct session *s, struct arena *a)
{
	if (!s->tls)
		return (struct tls_peer){ 0 };
	if (!tls_session_was_up(s->tls))
		return tls_session_peer(s->tls, a);
	if (!s->has_shown)
		s->shown = tls_session_peer(s->tls, s->arena);
	s->has_shown = true;
	return tls_peer_copy(a, &s->shown);
}

struct tls_peer session_peer(struct session *s, struct arena *a)
{
	struct tls_peer p = session_handshake(s, a);

	p.is_offered = s->smtp_options.is_tls_already ||
		       (s->smtp && smtp_client_was_starttls_offered(s->smtp));
	p.is_requiretls_offered =
		p.is_tls && s->smtp && (smtp_client_extensions(s->smtp) & SMTP_EXT_REQUIRETLS);
	p.is_garbled = s->smtp && (smtp_client_extensions(s->smtp) & SMTP_EXT_GARBLED);
	struct smtp_reply refusal =
		s->smtp ? smtp_client_starttls_reply(s->smtp) : (struct smtp_reply){ 0 };
	if (refusal.code >= 400)
		p.starttls_refusal = smtp_reply_one_line(a, refusal);
	if (s->tls_error.n > 0)
		p.handshake_error = arena_str(a, s->tls_error);
	return p;
}

const struct smtp_client *session_smtp(const struct session *s)
{
	return s->smtp;
}

static uint64_t span_ms(uint64_t from, uint64_t to)
{
	return from && to > from ? to - from : 0;
}

struct session_times session_times(const struct session *s)
{
	uint64_t until = s->ended ? s->ended : session_now(s);

	if (s->adopted)
		return (struct session_times){ .total_ms = span_ms(s->adopted, until) };
	return (struct session_times){
		.connect_ms = span_ms(s->started, s->connected),
		.greeting_ms = span_ms(s->connected, s->greeted),
		.tls_ms = span_ms(s->tls_started, s->tls_up),
		.total_ms = span_ms(s->started, until),
	};
}
