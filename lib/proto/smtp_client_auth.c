/* AUTH: RFC 4954, for whatever mechanism the caller runs. */

#include "proto/smtp_client_inside.h"

#include "base/base64.h"

#define COMMAND_MAX 512 /* RFC 5321 section 4.5.3.1.4: longer ones go behind a challenge */
#define TELLING_MIN 4   /* octets of a response that a reply must not repeat; less is no secret */
#define TELLING_RUN 8   /* in a row, of a longer one: whoever quotes it may cut it */

struct str smtp_client_mechanisms(const struct smtp_client *c)
{
	return buf_len(&c->mechanisms) ? buf_str(&c->mechanisms) : STR("");
}

struct str smtp_client_auth_mechanism(const struct smtp_client *c)
{
	return c->auth.is_authenticated ? c->auth.mechanism : STR("");
}

static bool is_repeated(struct str sent, struct str text)
{
	size_t at;

	if (sent.n < TELLING_RUN)
		return sent.n >= TELLING_MIN && str_search(text, sent, &at);
	for (; sent.n >= TELLING_RUN; sent = str_from(sent, 1))
		if (str_search(text, str_first(sent, TELLING_RUN), &at))
			return true;
	return false;
}

/* Servers that lost the thread quote what they were told as an unknown command. */
struct str smtp_auth_discreet(const struct smtp_client *c, struct str text)
{
	for (size_t i = 0; i < c->auth.n_sent; i++)
		if (is_repeated(c->auth.sent[i], text))
			return STR("(a text that repeats what was said to authenticate)");
	return text;
}

static void keep_quiet_about(struct smtp_client *c, struct str text)
{
	if (c->auth.n_sent < ARRAY_LEN(c->auth.sent))
		c->auth.sent[c->auth.n_sent++] = text;
}

/* RFC 4954 section 4: an empty initial response is "=". */
static struct str initial_text(struct smtp_client *c, struct str initial)
{
	if (!initial.p)
		return STR_NONE;
	return initial.n ? base64_encode(c->own, initial) : STR("=");
}

void smtp_client_auth(struct smtp_client *c, struct str mechanism, struct str initial, uint64_t now)
{
	struct arena *a = c->events;

	if (c->stage == STAGE_OVER)
		return;
	CHECK(c->stage == STAGE_IDLE && !c->first && !c->auth.is_authenticated);
	CHECK(smtp_wire_is_value(mechanism) && mechanism.n);
	if (!smtp_reply_reader_is_idle(&c->reader)) { /* as in smtp_client_mail */
		smtp_session_wait(c, STAGE_AUTH, now);
		smtp_session_fail(c, smtp_verdict_out_of_step(c));
		return;
	}
	c->auth = (struct auth_exchange){ .mechanism = arena_str(c->own, mechanism) };
	struct str text = initial_text(c, initial);
	struct str command = arena_fmt(a, "AUTH " STR_FMT, STR_ARG(mechanism));
	keep_quiet_about(c, text);
	if (!text.p || command.n + 1 + text.n + 2 > COMMAND_MAX) {
		c->auth.waiting = text;
		smtp_wire_secret(c, command, command);
	} else {
		smtp_wire_secret(c,
				 arena_fmt(a, STR_FMT " " STR_FMT, STR_ARG(command), STR_ARG(text)),
				 arena_fmt(a, STR_FMT " ***", STR_ARG(command)));
	}
	smtp_session_wait(c, STAGE_AUTH, now);
}

static void send_response(struct smtp_client *c, struct str text, uint64_t now)
{
	c->auth.is_asked = false;
	smtp_wire_secret(c, text, STR("***"));
	smtp_session_wait(c, STAGE_AUTH, now);
}

static void cancel(struct smtp_client *c, struct str why, uint64_t now)
{
	c->auth.is_asked = false;
	c->auth.cancelled = arena_str(c->own, why);
	smtp_wire_command(c, "*");
	smtp_session_wait(c, STAGE_AUTH, now);
}

void smtp_client_auth_response(struct smtp_client *c, struct str octets, uint64_t now)
{
	if (c->stage == STAGE_OVER)
		return;
	CHECK(c->stage == STAGE_AUTH && c->auth.is_asked);
	struct str text = base64_encode(c->own, octets);
	keep_quiet_about(c, text);
	if (text.n + 2 > SMTP_AUTH_LINE_MAX)
		cancel(c, STR("our response is longer than a line may be"), now);
	else
		send_response(c, text, now);
}

void smtp_client_auth_cancel(struct smtp_client *c, struct str why, uint64_t now)
{
	if (c->stage == STAGE_OVER)
		return;
	CHECK(c->stage == STAGE_AUTH && c->auth.is_asked);
	cancel(c, why, now);
}

static void take_challenge(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	struct str octets, waiting = c->auth.waiting;

	c->auth.is_asked = true;
	if (waiting.p) {
		c->auth.waiting = STR_NONE;
		send_response(c, str_eq(waiting, STR("=")) ? STR("") : waiting, now);
	} else if (++c->auth.n_rounds > SMTP_AUTH_ROUNDS_MAX) {
		cancel(c, STR("the server asks and asks"), now);
	} else if (!base64_decode(c->events, r.text, &octets)) {
		cancel(c, STR("the server's challenge is no base 64"), now);
	} else {
		smtp_event_add(c, (struct event_node){ .kind = SMTP_CLIENT_CHALLENGE,
						       .octets = octets });
	}
}

/* The reply to "*" says nothing; why it was sent does. */
static struct verdict verdict_of(struct smtp_client *c, struct smtp_reply r)
{
	struct verdict v = smtp_verdict_reply(c, r);

	if (!c->auth.cancelled.p)
		return v;
	v = smtp_verdict_soften(smtp_verdict_local(STATUS(4, 7, 0), c->auth.cancelled));
	return v;
}

void smtp_auth_reply(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	bool is_in_step = !c->auth.is_asked && buf_len(&c->output) == 0;

	/* nothing was asked that this could answer */
	if (!is_in_step || (r.code == 334 && c->auth.cancelled.p)) {
		smtp_session_fail(c,
				  smtp_verdict_protocol(c, STR("a reply that nobody asked for")));
		return;
	}
	if (r.code == 334) {
		take_challenge(c, r, now);
		return;
	}
	struct verdict v = verdict_of(c, r);
	c->auth.is_authenticated = v.outcome.kind == OUTCOME_DELIVERED;
	smtp_session_wait(c, STAGE_IDLE, now);
	smtp_event_add(c, (struct event_node){ .kind = SMTP_CLIENT_AUTH, .verdict = v });
}
