/* A session is pumped: octets go up from the wire to the engine, its events are answered by the
 * script, its output goes down again, until nothing moves. `held` stops the events while a deed
 * of the script waits for its time, for ever in the case of silence. */

#include "cmd/sink_session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/sink_mail.h"

#define IN_MAX (2 * TLS_READ_MAX)
#define QUEUED_MAX (256 * 1024) /* on the stream, before the engine's output has to wait */
#define LINGER_MS 500

enum hold { HELD_NOT, HELD_FOR_EVENT, HELD_FOR_HANDSHAKE, HELD_FOR_TLS_UP, HELD_FOR_EVER };

struct cmd_sink_session {
	struct cmd_sink *sink;
	struct cmd_sink_session *next, *prev;
	uint64_t number;
	char peer[NET_ENDPOINT_TEXT_MAX];

	struct net_stream *stream;
	struct net_timer *timer;
	struct smtp_server *engine;
	struct tls_session *tls;
	bool is_tls_up;

	struct buf in;  /* in the clear, not taken by the engine yet */
	bool has_ended; /* the peer's side */
	bool is_end_told;
	bool wants_tls;  /* the 220 has to go out first */
	bool is_closing; /* the engine is done: its output has to go out first */
	bool is_over;

	enum hold held;
	bool is_deaf;
	struct smtp_server_event event; /* waits for `rule` */
	const struct cmd_sink_rule *rule;
	uint64_t held_until;

	struct cmd_sink_mail mail;
};

static void log_line(const struct cmd_sink_session *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void log_line(const struct cmd_sink_session *s, const char *fmt, ...)
{
	va_list ap;

	if (!s->sink->is_logging)
		return;
	va_start(ap, fmt);
	fprintf(stderr, "sink: #%llu %s: ", (unsigned long long)s->number, s->peer);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static void session_free(struct cmd_sink_session *s)
{
	struct cmd_sink *sink = s->sink;

	net_stream_free(s->stream);
	net_timer_free(s->timer);
	tls_session_free(s->tls);
	smtp_server_free(s->engine);
	buf_fini(&s->in);
	cmd_sink_mail_fini(&s->mail);
	if (s->prev)
		s->prev->next = s->next;
	else
		sink->sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	log_line(s, "session ends");
	free(s);
	if (sink->changed)
		sink->changed(sink->arg);
}

/* The wire is somebody else's from now on. */
static void session_over(struct cmd_sink_session *s, enum cmd_sink_deed how)
{
	if (how == SINK_RESET)
		net_stream_reset(s->stream);
	else
		net_stream_finish(s->stream, LINGER_MS);
	s->stream = NULL;
	s->is_over = true;
}

/* The message. */

static struct str protocol_of(const struct cmd_sink_session *s)
{
	if (s->sink->engine.dialect == SMTP_DIALECT_LMTP)
		return s->is_tls_up ? STR("LMTPS") : STR("LMTP");
	if (s->is_tls_up)
		return STR("ESMTPS");
	return smtp_server_is_esmtp(s->engine) ? STR("ESMTP") : STR("SMTP");
}

static void message_begin(struct cmd_sink_session *s)
{
	struct cmd_sink_trace trace = {
		.peer = str_of(s->peer),
		.helo = smtp_server_helo_name(s->engine),
		.hostname = s->sink->engine.hostname,
		.protocol = protocol_of(s),
	};

	cmd_sink_mail_begin(&s->mail, s->sink->maildir, &trace);
}

static void print_message(const struct cmd_sink_session *s)
{
	struct arena *a = arena_new();
	struct tls_peer p = s->is_tls_up ? tls_session_peer(s->tls, a) : (struct tls_peer){ 0 };
	struct str rest = buf_str(&s->mail.recipients), rcpt;
	const char *comma = "";

	printf("received %llu from=<" STR_FMT "> to=", (unsigned long long)s->sink->n_messages,
	       STR_ARG(buf_str(&s->mail.sender)));
	for (; str_cut(rest, '\n', &rcpt, &rest); comma = ",")
		printf("%s<" STR_FMT ">", comma, STR_ARG(rcpt));
	printf(" octets=%llu tls=%s", (unsigned long long)s->mail.n_octets,
	       s->is_tls_up ? p.protocol.p : "none");
	if (s->is_tls_up)
		printf(" cipher=%s sni=%s%s", p.cipher.p, tls_session_sni(s->tls).p,
		       s->mail.is_requiretls ? " requiretls=yes" : "");
	printf(" helo=" STR_FMT "\n", STR_ARG(smtp_server_helo_name(s->engine)));
	fflush(stdout);
	arena_free(a);
}

/* False: it could not be kept. */
static bool message_keep(struct cmd_sink_session *s)
{
	if (s->mail.is_kept) /* LMTP: for another recipient */
		return true;
	if (!cmd_sink_mail_keep(&s->mail))
		return false;
	s->sink->n_messages++;
	s->sink->n_octets += s->mail.n_octets;
	if (!s->sink->is_quiet)
		print_message(s);
	if (s->sink->changed)
		s->sink->changed(s->sink->arg);
	return true;
}

/* Deeds. */

static bool is_positive(const struct cmd_sink_rule *r)
{
	return r->deed == SINK_ACCEPT || r->code / 100 == 2;
}

/* What accepting means beyond the reply. False: it was answered otherwise. */
static bool event_accept(struct cmd_sink_session *s, uint64_t now)
{
	const struct smtp_server_event *ev = &s->event;

	if (ev->kind == SMTP_SERVER_MAIL) {
		cmd_sink_mail_from(&s->mail, ev->mail.sender);
		s->mail.is_requiretls = ev->mail.is_requiretls;
	}
	if (ev->kind == SMTP_SERVER_RCPT)
		cmd_sink_mail_rcpt(&s->mail, ev->rcpt.address);
	if (ev->kind == SMTP_SERVER_MESSAGE && !message_keep(s)) {
		cmd_say("sink: %s", s->mail.trouble.text);
		smtp_server_answer(s->engine,
				   (struct smtp_reply){ 451, STATUS(4, 3, 0),
							STR("The message cannot be stored") },
				   now);
		return false;
	}
	return true;
}

static void event_answer(struct cmd_sink_session *s, const struct cmd_sink_rule *r, uint64_t now)
{
	struct smtp_reply reply = { r->code, r->status, r->text };

	if (is_positive(r) && !event_accept(s, now))
		return;
	if (r->deed == SINK_ACCEPT)
		smtp_server_accept(s->engine, now);
	else if (r->deed == SINK_REPLY)
		smtp_server_answer(s->engine, reply, now);
	else
		smtp_server_answer_raw(s->engine, r->code, r->text, now);
}

static void tls_begin(struct cmd_sink_session *s)
{
	s->tls = tls_server_session(s->sink->tls);
	while (buf_len(&s->in) > 0) { /* a client that does not wait for the 220 */
		struct str in = str_first(buf_str(&s->in), TLS_READ_MAX);

		tls_session_network_in(s->tls, in);
		buf_consume(&s->in, in.n);
	}
	if (s->has_ended)
		tls_session_network_end(s->tls);
}

/* Goes on with what was held, in the usual way. */
static void
held_accept(struct cmd_sink_session *s, enum hold held, const struct cmd_sink_rule *r, uint64_t now)
{
	switch (held) {
	case HELD_FOR_EVENT:
		if (s->event.kind == SMTP_SERVER_CONTENT)
			cmd_sink_mail_content(&s->mail, s->event.content);
		else
			event_answer(s, r, now);
		return;
	case HELD_FOR_HANDSHAKE:
		tls_begin(s);
		return;
	case HELD_FOR_TLS_UP:
		s->is_tls_up = true;
		if (!s->sink->is_wrapper)
			smtp_server_tls_up(s->engine, now);
		return;
	case HELD_NOT:
	case HELD_FOR_EVER:
		return;
	}
}

/* Reads on, or it would not learn that the peer has left; but in mid-message it is deaf as well,
 * and the peer's octets pile up on the way. */
static void session_silence(struct cmd_sink_session *s)
{
	s->held = HELD_FOR_EVER;
	s->is_deaf = s->rule->stage == SINK_CONTENT;
	buf_reset(&s->in);
}

/* Its time has come. */
static void rule_do(struct cmd_sink_session *s, uint64_t now)
{
	const struct cmd_sink_rule *r = s->rule;
	enum hold held = s->held;

	s->held = HELD_NOT;
	switch (r->deed) {
	case SINK_DROP:
	case SINK_RESET:
		session_over(s, r->deed);
		return;
	case SINK_SILENCE:
		session_silence(s);
		return;
	case SINK_RAW:
		if (held == HELD_FOR_HANDSHAKE) {
			net_stream_write(s->stream, r->text);
			session_silence(s);
			return;
		}
		held_accept(s, held, r, now);
		return;
	case SINK_ACCEPT:
	case SINK_REPLY:
	case SINK_STRIP:
		held_accept(s, held, r, now);
		return;
	}
}

static void stage_reached(struct cmd_sink_session *s, enum cmd_sink_stage stage,
			  struct str argument, enum hold held)
{
	uint64_t now = net_loop_now(s->sink->loop);

	s->rule = cmd_sink_script_find(s->sink->script, stage, s->is_tls_up, argument);
	s->held = held;
	s->held_until = now + s->rule->delay_ms;
	if (s->rule->deed != SINK_ACCEPT)
		log_line(s, STR_FMT ": by the script", STR_ARG(cmd_sink_stage_name(stage)));
	if (s->rule->delay_ms == 0)
		rule_do(s, now);
}

/* Events. */

static const struct {
	enum cmd_sink_stage stage;
	const char *verb;
} questions[] = {
	[SMTP_SERVER_GREET] = { SINK_GREET, "connected" },
	[SMTP_SERVER_HELO] = { SINK_EHLO, "EHLO" },
	[SMTP_SERVER_STARTTLS] = { SINK_STARTTLS, "STARTTLS" },
	[SMTP_SERVER_MAIL] = { SINK_MAIL, "MAIL" },
	[SMTP_SERVER_RCPT] = { SINK_RCPT, "RCPT" },
	[SMTP_SERVER_DATA] = { SINK_DATA, "DATA" },
	[SMTP_SERVER_MESSAGE] = { SINK_MESSAGE, "end of message" },
	[SMTP_SERVER_RSET] = { SINK_RSET, "RSET" },
	[SMTP_SERVER_NOOP] = { SINK_NOOP, "NOOP" },
	[SMTP_SERVER_VRFY] = { SINK_VRFY, "VRFY" },
	[SMTP_SERVER_HELP] = { SINK_NOOP, "HELP" },
	[SMTP_SERVER_QUIT] = { SINK_QUIT, "QUIT" },
};

static struct str argument_of(const struct cmd_sink_session *s)
{
	const struct smtp_server_event *ev = &s->event;

	if (ev->kind == SMTP_SERVER_MESSAGE && s->sink->engine.dialect == SMTP_DIALECT_LMTP)
		return cmd_sink_mail_rcpt_at(&s->mail, ev->index);
	if (ev->kind == SMTP_SERVER_MAIL)
		return ev->mail.sender;
	if (ev->kind == SMTP_SERVER_RCPT)
		return ev->rcpt.address;
	return ev->argument;
}

static void question(struct cmd_sink_session *s)
{
	const struct smtp_server_event *ev = &s->event;
	enum cmd_sink_stage stage = questions[ev->kind].stage;
	const char *verb = questions[ev->kind].verb;
	struct str argument = argument_of(s);

	if (ev->kind == SMTP_SERVER_HELO && ev->verb == SMTP_VERB_HELO) {
		stage = SINK_HELO;
		verb = "HELO";
	}
	log_line(s, "%s%s" STR_FMT "%s", verb, argument.n ? " " : "", STR_ARG(argument),
		 s->is_tls_up ? " (TLS)" : "");
	stage_reached(s, stage, argument, HELD_FOR_EVENT);
}

static void first_content(struct cmd_sink_session *s)
{
	message_begin(s);
	stage_reached(s, SINK_CONTENT, STR(""), HELD_FOR_EVENT);
}

/* False when there is no event. */
static bool session_event(struct cmd_sink_session *s)
{
	s->event = smtp_server_next(s->engine);
	switch (s->event.kind) {
	case SMTP_SERVER_NOTHING:
		return false;
	case SMTP_SERVER_GREET:
	case SMTP_SERVER_HELO:
	case SMTP_SERVER_STARTTLS:
	case SMTP_SERVER_MAIL:
	case SMTP_SERVER_RCPT:
	case SMTP_SERVER_DATA:
	case SMTP_SERVER_RSET:
	case SMTP_SERVER_NOOP:
	case SMTP_SERVER_VRFY:
	case SMTP_SERVER_HELP:
	case SMTP_SERVER_QUIT:
		question(s);
		return true;
	case SMTP_SERVER_MESSAGE:
		if (!s->mail.has_content)
			message_begin(s);
		question(s);
		return true;
	case SMTP_SERVER_CONTENT:
		if (s->mail.has_content)
			cmd_sink_mail_content(&s->mail, s->event.content);
		else
			first_content(s);
		return true;
	case SMTP_SERVER_DROP:
		cmd_sink_mail_reset(&s->mail);
		return true;
	case SMTP_SERVER_AUTH: /* never announced, so never asked */
	case SMTP_SERVER_AUTH_RESPONSE:
	case SMTP_SERVER_AUTH_DROP:
		return true;
	case SMTP_SERVER_START_TLS:
		s->wants_tls = true;
		return true;
	case SMTP_SERVER_CLOSED:
		log_line(s, "closed: " STR_FMT, STR_ARG(s->event.argument));
		s->is_closing = true;
		return true;
	}
	return false;
}

/* The pump. */

static struct str readable(const struct cmd_sink_session *s)
{
	return s->tls ? tls_session_application_out(s->tls) : buf_str(&s->in);
}

/* The peer's side has ended and all of it was taken. */
static bool is_at_end(const struct cmd_sink_session *s)
{
	bool is_open = !s->tls || tls_session_state(s->tls) == TLS_STATE_UP ||
		       tls_session_state(s->tls) == TLS_STATE_HANDSHAKING;

	return (s->has_ended || !is_open) && readable(s).n == 0;
}

static bool pump_up(struct cmd_sink_session *s, uint64_t now)
{
	struct str in = str_first(readable(s), smtp_server_room(s->engine));

	if (s->held || s->wants_tls || (s->tls && !s->is_tls_up))
		return false;
	if (in.n > 0) {
		smtp_server_read(s->engine, in, now);
		if (s->tls)
			tls_session_application_used(s->tls, in.n);
		else
			buf_consume(&s->in, in.n);
		return true;
	}
	if (!is_at_end(s) || s->is_end_told)
		return false;
	s->is_end_told = true;
	smtp_server_read_end(s->engine, now);
	return true;
}

static bool pump_tls(struct cmd_sink_session *s)
{
	enum tls_state before, after;

	if (!s->tls || s->held)
		return false;
	before = tls_session_state(s->tls);
	after = tls_session_step(s->tls);
	if (before == after)
		return false;
	log_line(s, "TLS " STR_FMT "%s" STR_FMT, STR_ARG(tls_session_state_name(after)),
		 tls_session_error(s->tls).n ? ": " : "", STR_ARG(tls_session_error(s->tls)));
	if (before == TLS_STATE_HANDSHAKING && after != TLS_STATE_FAILED)
		stage_reached(s, SINK_TLS, tls_session_sni(s->tls), HELD_FOR_TLS_UP);
	return true;
}

static bool pump_down(struct cmd_sink_session *s)
{
	struct str out = smtp_server_output(s->engine);
	size_t n = 0;

	if (net_stream_queued(s->stream) > QUEUED_MAX)
		return false;
	if (out.n > 0 && s->tls)
		n = tls_session_application_in(s->tls, out);
	else if (out.n > 0) {
		net_stream_write(s->stream, out);
		n = out.n;
	}
	if (n > 0)
		smtp_server_wrote(s->engine, n);
	if (s->tls) {
		out = tls_session_network_out(s->tls);
		net_stream_write(s->stream, out);
		tls_session_network_sent(s->tls, out.n);
		n += out.n;
	}
	return n > 0;
}

static bool has_output(const struct cmd_sink_session *s)
{
	bool can_say = !s->tls || tls_session_state(s->tls) == TLS_STATE_UP;

	return can_say && smtp_server_output(s->engine).n > 0;
}

/* What waits for the output to be gone. */
static bool pump_turn(struct cmd_sink_session *s)
{
	if (has_output(s) || s->held)
		return false;
	if (s->wants_tls) {
		s->wants_tls = false;
		stage_reached(s, SINK_HANDSHAKE, STR(""), HELD_FOR_HANDSHAKE);
		return true;
	}
	if (!s->is_closing && !(s->tls && tls_session_state(s->tls) == TLS_STATE_FAILED))
		return false;
	if (s->tls) {
		tls_session_close(s->tls);
		tls_session_step(s->tls);
		pump_down(s);
	}
	session_over(s, SINK_DROP);
	return true;
}

/* The pump's turns as long as something moves. */
static void session_pump(struct cmd_sink_session *s)
{
	uint64_t now = net_loop_now(s->sink->loop);
	bool has_moved = true;

	while (has_moved && !s->is_over) {
		has_moved = pump_tls(s);
		if (!s->is_over)
			has_moved |= pump_up(s, now);
		while (!s->is_over && !s->held && !s->wants_tls && !s->is_closing &&
		       session_event(s))
			has_moved = true;
		if (!s->is_over)
			has_moved |= pump_down(s);
		if (!s->is_over)
			has_moved |= pump_turn(s);
	}
	if (!s->is_over && s->held == HELD_FOR_EVER && s->has_ended)
		session_over(s, SINK_DROP);
}

static void session_wait(struct cmd_sink_session *s)
{
	bool is_full = s->tls ? tls_session_is_full(s->tls) : buf_len(&s->in) > 0;

	if (s->held == HELD_FOR_EVER ? s->is_deaf : is_full)
		net_stream_pause(s->stream);
	else
		net_stream_resume(s->stream);
	if (s->held == HELD_FOR_EVER)
		net_timer_stop(s->timer);
	else
		net_timer_set(s->timer, s->held ? s->held_until : smtp_server_deadline(s->engine));
}

/* The end of every call from the loop: `s` may be gone afterwards. */
static void session_turn(struct cmd_sink_session *s)
{
	session_pump(s);
	if (s->is_over)
		session_free(s);
	else
		session_wait(s);
}

static void on_read(void *arg, struct str octets)
{
	struct cmd_sink_session *s = arg;

	if (s->held == HELD_FOR_EVER)
		return;
	if (s->tls)
		tls_session_network_in(s->tls, octets);
	else
		CHECK(buf_add(&s->in, octets)); /* paused while there is any left */
	session_turn(s);
}

static void on_ended(void *arg)
{
	struct cmd_sink_session *s = arg;

	s->has_ended = true;
	if (s->tls)
		tls_session_network_end(s->tls);
	session_turn(s);
}

static void on_drained(void *arg)
{
	session_turn(arg);
}

static void on_failed(void *arg, const struct net_failure *why)
{
	struct cmd_sink_session *s = arg;

	log_line(s, "%s", why->text);
	session_free(s);
}

static void on_timer(void *arg)
{
	struct cmd_sink_session *s = arg;
	uint64_t now = net_loop_now(s->sink->loop);

	if (!s->held)
		smtp_server_tick(s->engine, now);
	else if (s->held_until <= now)
		rule_do(s, now);
	session_turn(s);
}

static const struct net_stream_calls calls = {
	.read = on_read,
	.ended = on_ended,
	.drained = on_drained,
	.failed = on_failed,
};

void cmd_sink_session_begin(struct cmd_sink *sink, struct net_stream *stream)
{
	struct cmd_sink_session *s = base_alloc(sizeof(*s));
	struct smtp_server_options o = sink->engine;
	struct net_endpoint peer;

	o.is_tls_already = sink->is_wrapper;
	s->sink = sink;
	s->number = ++sink->n_sessions;
	s->stream = stream;
	if (net_stream_peer(stream, &peer))
		net_endpoint_text(&peer, s->peer);
	else
		snprintf(s->peer, sizeof(s->peer), "unix");
	s->timer = net_timer_new(sink->loop, on_timer, s);
	s->engine = smtp_server_new(&o, net_loop_now(sink->loop));
	buf_init(&s->in, IN_MAX);
	cmd_sink_mail_init(&s->mail);
	s->next = sink->sessions;
	if (s->next)
		s->next->prev = s;
	sink->sessions = s;
	net_stream_set_calls(stream, &calls, s);
	if (sink->is_wrapper)
		stage_reached(s, SINK_HANDSHAKE, STR(""), HELD_FOR_HANDSHAKE);
	session_turn(s);
}

void cmd_sink_sessions_stop(struct cmd_sink *sink)
{
	struct cmd_sink_session *next;

	for (struct cmd_sink_session *s = sink->sessions; s; s = next) {
		next = s->next;
		smtp_server_stop(s->engine, net_loop_now(sink->loop));
		session_turn(s);
	}
}

void cmd_sink_sessions_kill(struct cmd_sink *sink)
{
	while (sink->sessions)
		session_free(sink->sessions);
}
