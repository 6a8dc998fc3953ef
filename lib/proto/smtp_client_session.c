/* The session around the transactions: greeting, EHLO, STARTTLS, QUIT. RFC 5321 section 4.1.4,
 * RFC 3207 section 4. */

#include "proto/smtp_client_inside.h"

struct str smtp_session_stage_name(enum stage s, enum smtp_dialect d)
{
	switch (s) {
	case STAGE_GREETING:
		return STR("waiting for the greeting");
	case STAGE_EHLO:
		return d == SMTP_DIALECT_LMTP ? STR("sending LHLO") : STR("sending EHLO");
	case STAGE_HELO:
		return STR("sending HELO");
	case STAGE_STARTTLS:
		return STR("sending STARTTLS");
	case STAGE_TLS:
		return STR("negotiating TLS");
	case STAGE_AUTH:
		return STR("sending AUTH");
	case STAGE_IDLE:
		return STR("idle");
	case STAGE_RSET:
		return STR("sending RSET");
	case STAGE_MAIL:
		return STR("sending MAIL FROM");
	case STAGE_RCPT:
		return STR("sending RCPT TO");
	case STAGE_DATA:
		return STR("sending DATA");
	case STAGE_CONTENT:
		return STR("sending the message");
	case STAGE_DOT:
		return STR("sending the end of the message");
	case STAGE_QUIT:
		return STR("sending QUIT");
	case STAGE_OVER:
		return STR("closed");
	}
	CHECK(!"stage");
	return STR_NONE;
}

static uint64_t timeout_of(const struct smtp_client_timeouts *t, enum stage s)
{
	switch (s) {
	case STAGE_GREETING:
		return t->greeting_ms;
	case STAGE_EHLO:
	case STAGE_HELO:
	case STAGE_AUTH: /* as in Postfix */
		return t->helo_ms;
	case STAGE_STARTTLS:
	case STAGE_TLS:
		return t->starttls_ms;
	case STAGE_RSET:
		return t->rset_ms;
	case STAGE_MAIL:
		return t->mail_ms;
	case STAGE_RCPT:
		return t->rcpt_ms;
	case STAGE_DATA:
		return t->data_init_ms;
	case STAGE_CONTENT:
		return t->data_xfer_ms;
	case STAGE_DOT:
		return t->data_done_ms;
	case STAGE_QUIT:
		return t->quit_ms;
	case STAGE_IDLE:
	case STAGE_OVER:
		return 0;
	}
	CHECK(!"stage");
	return 0;
}

/* Progress begins the time anew; where there is a rate to keep, not later than what was taken is
 * worth at that rate. What went fast buys no time for a silence. */
static uint64_t content_from(const struct smtp_client *c, uint64_t now)
{
	uint64_t earned = now;

	if (c->o.data_rate_min > 0)
		earned = c->content_since + c->content_written * 1000 / c->o.data_rate_min;
	return earned < now ? earned : now;
}

void smtp_session_wait(struct smtp_client *c, enum stage stage, uint64_t now)
{
	uint64_t ms = timeout_of(&c->o.timeouts, stage);

	if (c->stage == STAGE_DATA) {
		c->content_since = now;
		c->content_written = 0;
	}
	if (stage == STAGE_CONTENT)
		now = content_from(c, now);
	c->stage = stage;
	c->deadline = ms == 0 || ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
}

/* A peer whose replies are in step with our commands is told QUIT, as RFC 5321 section 4.1.1.10
 * asks, though nobody waits for the answer. From others nothing more is wanted. */
static void say_goodbye(struct smtp_client *c, enum smtp_client_cause cause)
{
	bool is_in_step = c->stage <= STAGE_STARTTLS || c->stage == STAGE_RSET;

	if (cause == SMTP_CAUSE_REPLY && is_in_step)
		smtp_wire_command(c, "QUIT");
	else
		buf_reset(&c->output);
}

void smtp_session_close(struct smtp_client *c)
{
	smtp_event_add(c, (struct event_node){ .kind = SMTP_CLIENT_CLOSED });
	smtp_session_wait(c, STAGE_OVER, 0);
}

void smtp_session_fail(struct smtp_client *c, struct verdict v)
{
	if (c->stage == STAGE_QUIT) { /* what goes wrong now hurts nobody */
		smtp_session_close(c);
		return;
	}
	say_goodbye(c, v.cause);
	if (smtp_transaction_is_open(c))
		smtp_transaction_settle_rest(c, v);
	c->end = v;
	smtp_event_add(c, (struct event_node){ .kind = SMTP_CLIENT_FAILED, .verdict = v });
	smtp_session_wait(c, STAGE_OVER, 0);
}

static void send_helo(struct smtp_client *c, uint64_t now)
{
	smtp_wire_command(c, "HELO " STR_FMT, STR_ARG(c->o.helo_name));
	smtp_session_wait(c, STAGE_HELO, now);
}

static bool says_esmtp(struct str greeting)
{
	struct str word;

	while (str_token(&greeting, STR(" \t\n"), &word))
		if (str_ieq_ascii(word, STR("ESMTP")))
			return true;
	return false;
}

void smtp_session_hello(struct smtp_client *c, uint64_t now)
{
	c->extensions = 0;
	c->size_limit = 0;
	buf_reset(&c->mechanisms);
	if (c->o.dialect == SMTP_DIALECT_LMTP) {
		smtp_wire_command(c, "LHLO " STR_FMT, STR_ARG(c->o.helo_name));
	} else if (c->o.helo_only || (c->o.ehlo_only_if_esmtp && !says_esmtp(c->greeting))) {
		send_helo(c, now);
		return;
	} else {
		smtp_wire_command(c, "EHLO " STR_FMT, STR_ARG(c->o.helo_name));
	}
	smtp_session_wait(c, STAGE_EHLO, now);
}

/* A 5xx at the door may be this one server's trouble; smtp_skip_5xx_greeting. */
static void refuse_greeting(struct smtp_client *c, struct smtp_reply r)
{
	struct verdict v = smtp_verdict_reply(c, r);

	smtp_session_fail(c, c->o.greeting_5xx_defers ? smtp_verdict_soften(v) : v);
}

static void take_greeting(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	if (r.code >= 400) {
		refuse_greeting(c, r);
		return;
	}
	c->greeting = arena_str(c->own, r.text);
	smtp_session_hello(c, now);
}

/* A server may have several lines of them. What is past the limit is as good as not offered. */
static void take_mechanisms(struct smtp_client *c, struct str words)
{
	struct buf *list = &c->mechanisms;
	struct str word;

	while (str_token(&words, STR(" \t="), &word))
		if (!buf_fmt(list, "%s" STR_FMT, buf_len(list) ? " " : "", STR_ARG(word)))
			return;
}

/* One line of the EHLO reply: a keyword with its parameters. RFC 5321 section 4.1.1.1. Some
 * servers write "AUTH=" for "AUTH ". */
static void take_ehlo_line(struct smtp_client *c, struct str line)
{
	struct str keyword = STR_NONE, value = STR_NONE;

	if (!str_token(&line, STR(" \t="), &keyword))
		return;
	unsigned bit = smtp_extension_of(keyword) & ~c->o.discarded;
	c->extensions |= bit;
	if (bit == SMTP_EXT_AUTH)
		take_mechanisms(c, line);
	if (bit == SMTP_EXT_SIZE && str_token(&line, STR(" \t"), &value) &&
	    !str_to_u64(value, &c->size_limit))
		c->size_limit = 0;
}

static void take_ehlo_lines(struct smtp_client *c, struct str text)
{
	struct str line;

	c->extensions = SMTP_EXT_EHLO;
	if (!str_cut(text, '\n', &line, &text)) /* the first line greets */
		return;
	while (str_cut(text, '\n', &line, &text))
		take_ehlo_line(c, line);
	take_ehlo_line(c, text);
	if (!c->is_tls)
		c->was_starttls_offered = (c->extensions & SMTP_EXT_STARTTLS) != 0;
}

/* RFC 5321 section 4.1.1.1: the reply begins with the server's name. */
static void take_hello_name(struct smtp_client *c, struct str text)
{
	struct str name = STR_NONE;

	if (str_token(&text, STR(" \t\n"), &name))
		c->hello_name = arena_str(c->own, name);
}

static void become_ready(struct smtp_client *c, uint64_t now)
{
	smtp_session_wait(c, STAGE_IDLE, now);
	smtp_event_add(c, (struct event_node){ .kind = SMTP_CLIENT_READY });
}

static bool wants_starttls(const struct smtp_client *c)
{
	return c->o.starttls == SMTP_STARTTLS_IF_OFFERED && !c->is_tls &&
	       (c->extensions & SMTP_EXT_STARTTLS);
}

static void take_ehlo(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	if (r.code >= 400 && c->stage == STAGE_EHLO && c->o.dialect == SMTP_DIALECT_SMTP) {
		send_helo(c, now); /* RFC 5321 section 3.2 */
		return;
	}
	if (r.code >= 400) {
		smtp_session_fail(c, smtp_verdict_reply(c, r));
		return;
	}
	take_hello_name(c, r.text);
	if (c->stage == STAGE_EHLO)
		take_ehlo_lines(c, r.text);
	if (!wants_starttls(c)) {
		become_ready(c, now);
		return;
	}
	smtp_wire_command(c, "STARTTLS");
	smtp_session_wait(c, STAGE_STARTTLS, now);
}

/* A 220 that comes before STARTTLS has left is somebody else's: behind it TLS would begin, and the
 * command would be sent inside, so that every later reply belonged to the command before. */
static void take_starttls(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	if (buf_len(&c->output) > 0) {
		smtp_session_fail(c, smtp_verdict_injection(c));
		return;
	}
	c->starttls_reply = r;
	c->starttls_reply.text = arena_str(c->own, r.text);
	if (r.code >= 400) {
		become_ready(c, now);
		return;
	}
	smtp_session_wait(c, STAGE_TLS, now);
	smtp_event_add(c, (struct event_node){ .kind = SMTP_CLIENT_START_TLS });
}

/* What a reply is that fits no command. RFC 5321 section 3.8 allows 421 at any time, and that
 * alone. */
static void fail_by_reply(struct smtp_client *c, struct smtp_reply r, const char *what)
{
	struct str line = smtp_reply_one_line(c->events, r);

	smtp_session_fail(c, smtp_verdict_protocol(c, arena_fmt(c->events, "%s, \"" STR_FMT "\"",
								what, STR_ARG(line))));
}

/* As long as the final dot has not left, a reply cannot be the reply to it. */
enum stage smtp_session_awaits(const struct smtp_client *c)
{
	return c->stage == STAGE_DOT && buf_len(&c->output) > 0 ? STAGE_CONTENT : c->stage;
}

/* RFC 5321 section 4.3.2: which success may answer what. */
static bool is_of_class(struct smtp_reply r, enum stage s)
{
	if (s == STAGE_DATA)
		return r.code >= 300;
	if (s == STAGE_AUTH)
		return r.code == 334 || r.code >= 400 || r.code < 300;
	if (s == STAGE_CONTENT) /* nothing is awaited; a refusal may come early */
		return r.code >= 400;
	return r.code >= 400 || r.code < 300;
}

void smtp_session_reply(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	if (r.code == 421) {
		smtp_session_fail(c, smtp_transaction_bye(c, smtp_verdict_reply(c, r)));
		return;
	}
	if (!is_of_class(r, smtp_session_awaits(c))) {
		fail_by_reply(c, r, "a reply that fits no command");
		return;
	}
	switch (c->stage) {
	case STAGE_GREETING:
		take_greeting(c, r, now);
		return;
	case STAGE_EHLO:
	case STAGE_HELO:
		take_ehlo(c, r, now);
		return;
	case STAGE_STARTTLS:
		take_starttls(c, r, now);
		return;
	case STAGE_AUTH:
		smtp_auth_reply(c, r, now);
		return;
	case STAGE_QUIT:
		smtp_session_close(c);
		return;
	case STAGE_RSET:
	case STAGE_MAIL:
	case STAGE_RCPT:
	case STAGE_DATA:
	case STAGE_CONTENT:
	case STAGE_DOT:
		smtp_transaction_reply(c, r, now);
		return;
	case STAGE_TLS:
	case STAGE_IDLE:
	case STAGE_OVER:
		fail_by_reply(c, r, "a reply that nobody asked for");
		return;
	}
}
