/* What the engine asks, and who may do it. */

#include "listen/room.h"

#include <stdlib.h>

#include "mail/mailbox.h"

bool listen_session_is_over_rate(struct listen_session *s, enum listen_rate rate)
{
	const struct listen_setting *o = s->port->setting;

	return s->is_counted && o->rate_max[rate] > 0 &&
	       listen_clients_count(s->port->listen->clients, &s->key, rate, o->rate_unit_ms,
				    listen_session_now(s)) > o->rate_max[rate];
}

/* Refusals. */

static struct str reply_text(struct arena *a, struct smtp_reply r)
{
	return arena_fmt(a, "%d %u.%u.%u " STR_FMT, r.code, r.status.class, r.status.subject,
			 r.status.detail, STR_ARG(r.text));
}

void listen_session_log_refusal(struct listen_session *s, const char *command,
				struct smtp_reply reply, struct str to)
{
	struct arena *a = arena_new();
	struct listen_client c = listen_session_client(s, a);
	struct log_value v[] = {
		{ .field = FIELD_command, .text = str_of(command) },
		{ .field = FIELD_client, .text = c.name },
		{ .field = FIELD_reply, .text = reply_text(a, reply) },
		{ .field = FIELD_from, .text = s->mail ? s->mail->mail.sender : STR_NONE },
		{ .field = FIELD_to, .text = to },
		{ .field = FIELD_proto, .text = message_protocol_name(c.protocol) },
		{ .field = FIELD_helo, .text = c.helo.n ? c.helo : STR_NONE },
	};

	listen_session_log(s, EVENT_rejected, v, ARRAY_LEN(v));
	arena_free(a);
}

static const char *const verbs[] = {
	[SMTP_SERVER_GREET] = "CONNECT", [SMTP_SERVER_STARTTLS] = "STARTTLS",
	[SMTP_SERVER_MAIL] = "MAIL",     [SMTP_SERVER_RCPT] = "RCPT",
	[SMTP_SERVER_VRFY] = "VRFY",     [SMTP_SERVER_AUTH] = "AUTH",
	[SMTP_SERVER_DATA] = "DATA",
};

void listen_session_count_refusal(struct listen_session *s, enum smtp_refusal why)
{
	const struct listen *l = s->port->listen;

	if (l->calls->refused)
		l->calls->refused(l->arg, why, 1);
}

void listen_session_count_refusals(struct listen_session *s)
{
	const struct listen *l = s->port->listen;

	for (int i = 0; i < SMTP_REFUSAL_COUNT; i++) {
		uint64_t n = smtp_server_refusals(s->engine, (enum smtp_refusal)i);
		if (n > s->refusals[i] && l->calls->refused)
			l->calls->refused(l->arg, (enum smtp_refusal)i, n - s->refusals[i]);
		s->refusals[i] = n;
	}
}

/* Of our own replies; what the restrictions say of a recipient is not among them. */
static enum smtp_refusal refusal_of(const struct smtp_reply *r)
{
	if (r->status.subject == 3 && r->status.detail == 1)
		return SMTP_REFUSAL_ROOM;
	return r->status.class == 4 && r->status.subject == 7 ? SMTP_REFUSAL_LIMIT
							      : SMTP_REFUSAL_OTHER;
}

static void refuse_as(struct listen_session *s, const struct smtp_server_event *e,
		      enum smtp_refusal why, struct smtp_reply reply)
{
	struct str to = e->kind == SMTP_SERVER_RCPT ? e->rcpt.address : STR_NONE;

	listen_session_count_refusal(s, why);
	listen_session_log_refusal(s, verbs[e->kind], reply, to);
	smtp_server_answer(s->engine, reply, listen_session_now(s));
}

void listen_session_refuse(struct listen_session *s, const struct smtp_server_event *e,
			   struct smtp_reply reply)
{
	refuse_as(s, e, refusal_of(&reply), reply);
}

/* Questions that go out. */

struct listen_request *
listen_session_request(struct listen_session *s, enum listen_request_kind kind)
{
	struct listen_request *r = base_alloc(sizeof(*r));

	CHECK(!s->request);
	r->session = s;
	r->kind = kind;
	s->request = r;
	return r;
}

/* The session, or NULL; the request is gone either way. */
static struct listen_session *answered(struct listen_request *r, struct listen_request *copy)
{
	struct listen_session *s = r->session;

	*copy = *r;
	free(r);
	if (s)
		s->request = NULL;
	return s;
}

void listen_admit(struct listen_request *request, struct str destination)
{
	struct listen_request r;
	struct listen_session *s = answered(request, &r);

	CHECK(r.kind == LISTEN_REQUEST_RCPT);
	if (!s)
		return;
	listen_message_rcpt(s, r.address, &r.rcpt, destination);
	smtp_server_accept(s->engine, listen_session_now(s));
	listen_session_turn(s);
}

void listen_kept(struct listen_request *request)
{
	struct listen_request r;
	struct listen_session *s = answered(request, &r);

	CHECK(r.kind == LISTEN_REQUEST_MESSAGE);
	if (!s)
		return;
	s->mail->is_kept = true;
	listen_message_answer(s);
	listen_session_turn(s);
}

void listen_named(struct listen_request *request, struct str name, bool is_in_doubt)
{
	struct listen_request r;
	struct listen_session *s = answered(request, &r);

	CHECK(r.kind == LISTEN_REQUEST_NAME);
	if (!s)
		return;
	listen_arrive_name(s, name, is_in_doubt);
	listen_session_turn(s);
}

void listen_refuse(struct listen_request *request, const struct smtp_reply *reply)
{
	struct listen_request r;
	struct listen_session *s = answered(request, &r);

	CHECK(reply->code >= 400 && r.kind != LISTEN_REQUEST_NAME);
	if (!s)
		return;
	if (r.kind == LISTEN_REQUEST_RCPT) {
		listen_session_log_refusal(s, "RCPT", *reply, r.address);
		listen_session_count_refusal(s, SMTP_REFUSAL_OTHER);
		smtp_server_answer(s->engine, *reply, listen_session_now(s));
	} else {
		s->mail->refusal = *reply;
		s->mail->refusal.text = arena_str(s->mail->arena, reply->text);
		listen_message_answer(s);
	}
	listen_session_turn(s);
}

/* Commands. */

static void count(struct listen_session *s, enum listen_command c)
{
	s->last = c;
	if (s->n_commands[c] < UINT16_MAX)
		s->n_commands[c]++;
}

static void take(struct listen_session *s)
{
	smtp_server_accept(s->engine, listen_session_now(s));
}

void listen_session_greet(struct listen_session *s)
{
	struct smtp_reply r = { 220, STATUS(0, 0, 0), s->port->setting->banner };

	s->owes_greeting = !s->is_known;
	if (s->owes_greeting)
		return;
	smtp_server_answer(s->engine, r, listen_session_now(s));
}

static void starttls(struct listen_session *s, const struct smtp_server_event *e)
{
	count(s, COMMAND_STARTTLS);
	if (listen_session_is_over_rate(s, LISTEN_RATE_TLS))
		listen_session_refuse(s, e,
				      (struct smtp_reply){ 454, STATUS(4, 7, 0),
							   STR("too many TLS sessions from you") });
	else
		take(s);
}

struct str
listen_session_complete(const struct listen_session *s, struct arena *a, struct str address)
{
	struct str origin = str_of(s->port->listen->origin);
	struct mailbox m;

	if (origin.n == 0)
		origin = s->port->setting->origin;
	if (!s->port->setting->completes_names || address.n == 0 || !mailbox_parse(address, &m) ||
	    m.domain.n > 0 || str_has_prefix(origin, STR("/")))
		return address;
	return arena_fmt(a, STR_FMT "@" STR_FMT, STR_ARG(address), STR_ARG(origin));
}

static bool
refuses_for_room(struct listen_session *s, const struct smtp_server_event *e, uint64_t size_octets)
{
	const struct listen *l = s->port->listen;

	if (!l->calls->is_short || !l->calls->is_short(l->arg, size_octets))
		return false;
	listen_session_refuse(s, e,
			      (struct smtp_reply){ 452, STATUS(4, 3, 1),
						   STR("no room for mail now") });
	return true;
}

/* There may have been room when MAIL was said. */
static void data(struct listen_session *s, const struct smtp_server_event *e)
{
	count(s, e->verb == SMTP_VERB_BDAT ? COMMAND_BDAT : COMMAND_DATA);
	if (!refuses_for_room(s, e, s->mail->mail.size_octets))
		take(s);
}

static void mail(struct listen_session *s, const struct smtp_server_event *e)
{
	count(s, COMMAND_MAIL);
	if (listen_session_is_over_rate(s, LISTEN_RATE_MESSAGES)) {
		listen_session_refuse(s, e,
				      (struct smtp_reply){ 450, STATUS(4, 7, 1),
							   STR("too much mail from you") });
	} else if (!refuses_for_room(s, e, e->mail.size_octets)) {
		listen_message_mail(s, &e->mail);
		take(s);
	}
}

static void ask_about(struct listen_session *s, const struct smtp_server_event *e)
{
	const struct listen *l = s->port->listen;
	struct listen_request *r = listen_session_request(s, LISTEN_REQUEST_RCPT);
	struct arena *a = arena_new();
	struct listen_client c = listen_session_client(s, a);

	r->rcpt = e->rcpt;
	r->address = listen_session_complete(s, s->mail->arena, e->rcpt.address);
	struct listen_admission question = {
		.client = &c,
		.sender = s->mail->mail.sender,
		.recipient = r->address,
		.is_smtputf8 = s->mail->mail.is_smtputf8,
		.is_requiretls = s->mail->mail.is_requiretls,
	};
	l->calls->rcpt(l->arg, r, &question);
	arena_free(a);
}

void listen_session_judged(struct listen_session *s, const struct smtp_server_event *e,
			   struct smtp_reply verdict)
{
	struct arena *a;

	if (verdict.code == 0) {
		ask_about(s, e);
		return;
	}
	a = arena_new();
	if (!str_has_prefix(verdict.text, STR("<")))
		verdict.text = arena_fmt(a, "<" STR_FMT ">: " STR_FMT, STR_ARG(e->rcpt.address),
					 STR_ARG(verdict.text));
	bool is_policy = verdict.status.subject == 7 && verdict.status.detail == 1;
	refuse_as(s, e, is_policy ? SMTP_REFUSAL_RELAY : SMTP_REFUSAL_OTHER, verdict);
	arena_free(a);
}

static void rcpt(struct listen_session *s, const struct smtp_server_event *e)
{
	count(s, COMMAND_RCPT);
	if (listen_session_is_over_rate(s, LISTEN_RATE_RECIPIENTS)) {
		listen_session_refuse(s, e,
				      (struct smtp_reply){ 450, STATUS(4, 7, 1),
							   STR("too many recipients from you") });
		return;
	}
	listen_gate_ask(s, e);
}

static void vrfy(struct listen_session *s, const struct smtp_server_event *e)
{
	count(s, COMMAND_VRFY);
	if (s->port->setting->has_vrfy)
		take(s);
	else
		listen_session_refuse(s, e,
				      (struct smtp_reply){ 502, STATUS(5, 5, 1),
							   STR("VRFY is disabled") });
}

static void closed(struct listen_session *s, const struct smtp_server_event *e)
{
	s->is_closing = true;
	s->gives_up_at = listen_session_now(s) + LISTEN_FAREWELL_MS;
	if (!str_eq(e->argument, STR("the peer said QUIT")))
		listen_session_log_lost(s, e->argument);
}

static void ask(struct listen_session *s, const struct smtp_server_event *e)
{
	switch (e->kind) {
	case SMTP_SERVER_GREET:
		listen_session_greet(s);
		return;
	case SMTP_SERVER_HELO:
		count(s, COMMAND_EHLO);
		take(s);
		return;
	case SMTP_SERVER_STARTTLS:
		starttls(s, e);
		return;
	case SMTP_SERVER_MAIL:
		mail(s, e);
		return;
	case SMTP_SERVER_RCPT:
		rcpt(s, e);
		return;
	case SMTP_SERVER_DATA:
		data(s, e);
		return;
	case SMTP_SERVER_MESSAGE:
		listen_message_end(s, e->index);
		return;
	case SMTP_SERVER_RSET:
		count(s, COMMAND_RSET);
		take(s);
		return;
	case SMTP_SERVER_NOOP:
		count(s, COMMAND_NOOP);
		take(s);
		return;
	case SMTP_SERVER_VRFY:
		vrfy(s, e);
		return;
	case SMTP_SERVER_HELP:
		count(s, COMMAND_HELP);
		take(s);
		return;
	case SMTP_SERVER_QUIT:
		count(s, COMMAND_QUIT);
		take(s);
		return;
	case SMTP_SERVER_AUTH:
		count(s, COMMAND_AUTH);
		listen_auth_begin(s, e);
		return;
	case SMTP_SERVER_AUTH_RESPONSE:
		listen_auth_response(s, e->response);
		return;
	case SMTP_SERVER_CONTENT:
		listen_message_content(s, e->content);
		return;
	case SMTP_SERVER_DROP:
		listen_message_drop(s);
		return;
	case SMTP_SERVER_AUTH_DROP:
		listen_auth_drop(s);
		return;
	case SMTP_SERVER_START_TLS:
		s->wants_tls = true;
		return;
	case SMTP_SERVER_CLOSED:
		closed(s, e);
		return;
	case SMTP_SERVER_NOTHING:
		return;
	}
}

bool listen_session_event(struct listen_session *s)
{
	struct smtp_server_event e = smtp_server_next(s->engine);

	ask(s, &e);
	return e.kind != SMTP_SERVER_NOTHING;
}
