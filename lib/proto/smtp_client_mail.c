/* A transaction: MAIL, RCPT, DATA, the message. RFC 5321 section 3.3; with PIPELINING all
 * commands go out ahead of their replies (RFC 2920 section 3.1), and the replies find their
 * command by counting.
 *
 * A refusal of MAIL or DATA, or of the message, is every open recipient's outcome. A refusal of
 * RCPT is that recipient's. When nothing is left to send, the transaction is given up: what the
 * server still remembers of it is reset before the next one, which costs no round trip when
 * there is no next one. */

#include "proto/smtp_client_inside.h"

#include <stdlib.h>

bool smtp_transaction_is_open(const struct smtp_client *c)
{
	return c->stage >= STAGE_RSET && c->stage <= STAGE_DOT;
}

bool smtp_transaction_is_sent(const struct smtp_client *c)
{
	return c->stage == STAGE_DOT && !c->t.is_void && buf_len(&c->output) == 0;
}

static bool is_pipelining(const struct smtp_client *c)
{
	return (c->extensions & SMTP_EXT_PIPELINING) != 0;
}

static bool is_under_way(const struct transaction *t)
{
	return t->send.stage != t->await.stage || t->send.rcpt != t->await.rcpt;
}

static void settle(struct smtp_client *c, size_t rcpt, struct verdict v)
{
	c->t.rcpts[rcpt] |= RCPT_SETTLED;
	smtp_event_add(c, (struct event_node){
				  .kind = SMTP_CLIENT_RCPT, .index = rcpt, .verdict = v });
}

void smtp_transaction_settle_rest(struct smtp_client *c, struct verdict v)
{
	c->t.is_refused = true;
	smtp_event_add(c, (struct event_node){
				  .kind = SMTP_CLIENT_RCPT, .is_rest = true, .verdict = v });
}

static void finish(struct smtp_client *c, bool needs_rset, uint64_t now)
{
	c->needs_rset = needs_rset;
	smtp_session_wait(c, STAGE_IDLE, now);
	smtp_event_add(c, (struct event_node){ .kind = SMTP_CLIENT_DONE });
}

/* The row of commands. */

static struct place first_rcpt_from(const struct transaction *t, size_t i)
{
	while (i < t->mail.n_rcpts && (t->rcpts[i] & RCPT_SETTLED))
		i++;
	return i < t->mail.n_rcpts ? (struct place){ STAGE_RCPT, i }
				   : (struct place){ STAGE_DATA, 0 };
}

static struct place after_sent(const struct transaction *t)
{
	if (t->send.stage == STAGE_RSET)
		return (struct place){ STAGE_MAIL, 0 };
	if (t->send.stage == STAGE_MAIL)
		return first_rcpt_from(t, 0);
	if (t->send.stage == STAGE_RCPT)
		return first_rcpt_from(t, t->send.rcpt + 1);
	return (struct place){ STAGE_CONTENT, 0 };
}

static struct place sent_rcpt_from(const struct transaction *t, size_t i)
{
	size_t end = t->send.stage == STAGE_RCPT ? t->send.rcpt : t->mail.n_rcpts;

	while (i < end && !(t->rcpts[i] & RCPT_SENT))
		i++;
	if (i < end)
		return (struct place){ STAGE_RCPT, i };
	return t->send.stage == STAGE_RCPT ? t->send : (struct place){ STAGE_DATA, 0 };
}

static struct place after_awaited(const struct transaction *t)
{
	if (t->await.stage == STAGE_RSET)
		return (struct place){ STAGE_MAIL, 0 };
	if (t->await.stage == STAGE_MAIL)
		return sent_rcpt_from(t, 0);
	return sent_rcpt_from(t, t->await.rcpt + 1);
}

/* Commands. */

static void send_mail(struct smtp_client *c)
{
	const struct smtp_mail *m = &c->t.mail;
	struct arena *a = c->events;
	struct str size = STR_NONE, body = STR_NONE, utf8 = STR_NONE, ret = STR_NONE,
		   envid = STR_NONE, tls = STR_NONE, auth = STR_NONE;

	if ((c->extensions & SMTP_EXT_SIZE) && m->size_octets > 0)
		size = arena_fmt(a, " SIZE=%llu", (unsigned long long)m->size_octets);
	if ((c->extensions & SMTP_EXT_8BITMIME) && m->is_8bit)
		body = STR(" BODY=8BITMIME");
	if (m->is_smtputf8)
		utf8 = STR(" SMTPUTF8");
	if ((c->extensions & SMTP_EXT_DSN) && m->ret.n)
		ret = arena_fmt(a, " RET=" STR_FMT, STR_ARG(m->ret));
	if ((c->extensions & SMTP_EXT_DSN) && m->envid.n)
		envid = arena_fmt(a, " ENVID=" STR_FMT, STR_ARG(m->envid));
	if (m->is_requiretls)
		tls = STR(" REQUIRETLS");
	if ((c->extensions & SMTP_EXT_AUTH) && m->has_dummy_auth)
		auth = STR(" AUTH=<>");
	smtp_wire_command(c,
			  "MAIL FROM:<" STR_FMT
			  ">" STR_FMT STR_FMT STR_FMT STR_FMT STR_FMT STR_FMT STR_FMT,
			  STR_ARG(m->sender), STR_ARG(size), STR_ARG(body), STR_ARG(utf8),
			  STR_ARG(ret), STR_ARG(envid), STR_ARG(tls), STR_ARG(auth));
}

static void send_rcpt(struct smtp_client *c, size_t i)
{
	const struct smtp_rcpt *r = &c->t.mail.rcpts[i];
	bool has_dsn = (c->extensions & SMTP_EXT_DSN) != 0;
	struct str notify = STR_NONE, orcpt = STR_NONE;

	if (has_dsn && r->notify.n)
		notify = arena_fmt(c->events, " NOTIFY=" STR_FMT, STR_ARG(r->notify));
	if (has_dsn && r->orcpt.n)
		orcpt = arena_fmt(c->events, " ORCPT=" STR_FMT, STR_ARG(r->orcpt));
	smtp_wire_command(c, "RCPT TO:<" STR_FMT ">" STR_FMT STR_FMT, STR_ARG(r->address),
			  STR_ARG(notify), STR_ARG(orcpt));
	c->t.rcpts[i] |= RCPT_SENT;
}

static void send_one(struct smtp_client *c)
{
	size_t before = buf_len(&c->output);

	if (c->t.send.stage == STAGE_RSET)
		smtp_wire_command(c, "RSET");
	else if (c->t.send.stage == STAGE_MAIL)
		send_mail(c);
	else if (c->t.send.stage == STAGE_RCPT)
		send_rcpt(c, c->t.send.rcpt);
	else
		smtp_wire_command(c, "DATA");
	c->t.ahead_octets += buf_len(&c->output) - before;
	c->t.send = after_sent(&c->t);
}

static bool may_send(const struct smtp_client *c)
{
	const struct transaction *t = &c->t;

	if (t->is_refused || t->send.stage == STAGE_CONTENT)
		return false;
	if (is_under_way(t))
		return is_pipelining(c) && t->ahead_octets < SMTP_PIPELINE_MAX;
	return t->send.stage != STAGE_DATA || t->n_accepted > 0;
}

/* Sends what may be sent; gives up when nothing is under way and nothing may be. */
static void go_on(struct smtp_client *c, uint64_t now)
{
	if (!is_under_way(&c->t))
		c->t.ahead_octets = 0;
	while (may_send(c))
		send_one(c);
	if (is_under_way(&c->t))
		smtp_session_wait(c, c->t.await.stage, now);
	else
		finish(c, true, now);
}

/* The beginning. */

/* No address may ever become a command of its own. */
static void refuse_bad_recipients(struct smtp_client *c)
{
	for (size_t i = 0; i < c->t.mail.n_rcpts; i++) {
		const struct smtp_rcpt *r = &c->t.mail.rcpts[i];
		if (r->address.n == 0 || !smtp_wire_is_path(r->address) ||
		    !smtp_wire_is_value(r->notify) || !smtp_wire_is_value(r->orcpt))
			settle(c, i,
			       smtp_verdict_local(
				       STATUS(5, 1, 3),
				       STR("the recipient address or a parameter of it cannot "
					   "be sent")));
	}
}

static void set_up(struct smtp_client *c, const struct smtp_mail *m, enum stage first)
{
	CHECK(m->n_rcpts > 0 && m->n_rcpts <= SMTP_RECIPIENTS_MAX);
	mime_downgrade_free(c->downgrade);
	c->downgrade = NULL;
	free(c->t.rcpts);
	c->t = (struct transaction){ .mail = *m, .send = { first, 0 }, .await = { first, 0 } };
	c->t.rcpts = base_alloc(m->n_rcpts);
}

void smtp_transaction_stillborn(struct smtp_client *c, const struct smtp_mail *m)
{
	CHECK(c->end.outcome.reason.n > 0); /* the session failed; after CLOSED there is no mail */
	set_up(c, m, STAGE_MAIL);
	smtp_event_forget(c);
	smtp_transaction_settle_rest(c, c->end);
	smtp_event_add(c, (struct event_node){ .kind = SMTP_CLIENT_FAILED, .verdict = c->end });
}

void smtp_transaction_begin(struct smtp_client *c, const struct smtp_mail *m, uint64_t now)
{
	set_up(c, m, c->needs_rset ? STAGE_RSET : STAGE_MAIL);
	c->stage = c->t.send.stage;
	if (!smtp_transaction_refuse(c))
		refuse_bad_recipients(c);
	if (c->t.is_refused || first_rcpt_from(&c->t, 0).stage == STAGE_DATA)
		finish(c, c->needs_rset, now);
	else
		go_on(c, now);
}

/* Replies. */

/* RFC 5321 section 4.5.3.1.10: 552 is what older servers say of too many recipients. With a
 * status that says otherwise (mailbox full, message too big) it is the refusal that it seems. */
static struct smtp_reply rcpt_reply(const struct smtp_client *c, struct smtp_reply r)
{
	bool is_too_many = r.status.class == 0 || (r.status.subject == 5 && r.status.detail == 3);

	if (r.code == 552 && is_too_many && c->t.n_accepted > 0) {
		r.code = 452;
		r.status = STATUS(4, 5, 3);
	}
	return r;
}

static void take_rcpt(struct smtp_client *c, size_t i, struct smtp_reply r)
{
	if (c->t.is_refused)
		return;
	if (r.code >= 300) {
		settle(c, i, smtp_verdict_reply(c, rcpt_reply(c, r)));
		return;
	}
	c->t.rcpts[i] |= RCPT_ACCEPTED;
	c->t.n_accepted++;
}

static void take_data(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	if (r.code >= 400) {
		if (!c->t.is_refused)
			smtp_transaction_settle_rest(c, smtp_verdict_reply(c, r));
		finish(c, true, now);
	} else if (!c->t.is_refused && c->t.n_accepted > 0) {
		content_out_init(&c->content, c->o.line_length_limit);
		if (smtp_transaction_must_downgrade(c))
			c->downgrade = mime_downgrade_new();
		smtp_session_wait(c, STAGE_CONTENT, now);
		smtp_event_add(c, (struct event_node){ .kind = SMTP_CLIENT_CONTENT });
	} else if (c->o.dialect == SMTP_DIALECT_LMTP) { /* RFC 2033 section 4.2 */
		smtp_session_fail(
			c, smtp_verdict_protocol(c, STR("354 to DATA without a valid recipient")));
	} else {
		c->t.is_void = true;
		CHECK(buf_add(&c->output, STR(".\r\n")));
		smtp_wire_note(c, STR("C: "), STR("."));
		smtp_session_wait(c, STAGE_DOT, now);
	}
}

static size_t accepted_from(const struct transaction *t, size_t i)
{
	while (i < t->mail.n_rcpts && !(t->rcpts[i] & RCPT_ACCEPTED))
		i++;
	return i;
}

/* LMTP answers for each accepted recipient, in their order; RFC 2033 section 4.2. */
static void take_dot(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	struct transaction *t = &c->t;

	if (c->o.dialect == SMTP_DIALECT_LMTP) {
		settle(c, t->await.rcpt, smtp_verdict_reply(c, r));
		t->await.rcpt = accepted_from(t, t->await.rcpt + 1);
		if (t->await.rcpt < t->mail.n_rcpts) {
			smtp_session_wait(c, STAGE_DOT, now);
			return;
		}
	} else if (!t->is_void) {
		smtp_transaction_settle_rest(c, smtp_verdict_reply(c, r));
	}
	finish(c, false, now);
}

/* In LMTP a 421 after the dot answers for one recipient. Nobody will answer for the others. */
struct verdict smtp_transaction_bye(struct smtp_client *c, struct verdict v)
{
	if (c->stage != STAGE_DOT || c->o.dialect != SMTP_DIALECT_LMTP)
		return v;
	settle(c, c->t.await.rcpt, v);
	v.is_fate_unknown = true;
	return v;
}

static void take_setup(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	struct place at = c->t.await;

	if (at.stage == STAGE_RSET && r.code >= 300) { /* says nothing about this message */
		smtp_session_fail(c, smtp_verdict_soften(smtp_verdict_reply(c, r)));
		return;
	}
	c->t.is_heard = true;
	if (at.stage == STAGE_MAIL && r.code >= 300)
		smtp_transaction_settle_rest(c, smtp_verdict_reply(c, r));
	if (at.stage == STAGE_RCPT)
		take_rcpt(c, at.rcpt, r);
	c->t.await = after_awaited(&c->t);
	go_on(c, now);
}

void smtp_transaction_reply(struct smtp_client *c, struct smtp_reply r, uint64_t now)
{
	if (smtp_session_awaits(c) == STAGE_CONTENT)
		smtp_session_fail(c, smtp_verdict_reply(c, r));
	else if (c->stage == STAGE_DOT)
		take_dot(c, r, now);
	else if (c->stage == STAGE_DATA)
		take_data(c, r, now);
	else
		take_setup(c, r, now);
}

/* The message. */

/* A message that cannot be converted after all has begun already: only the end of the session
 * keeps half of it from being delivered. */
static bool take_converted(struct smtp_client *c, enum mime_downgrade_fault f)
{
	if (f != MIME_DOWNGRADE_FINE) {
		smtp_session_fail(c, smtp_verdict_inconvertible(c, f));
		return false;
	}
	CHECK(content_out_feed(&c->content, buf_str(&c->converted), &c->output));
	buf_reset(&c->converted);
	return true;
}

void smtp_transaction_content(struct smtp_client *c, struct str in, uint64_t now)
{
	CHECK(in.n <= SMTP_CONTENT_PIECE_MAX && !c->t.has_content_end);
	smtp_session_wait(c, STAGE_CONTENT, now);
	if (c->downgrade)
		(void)take_converted(c, mime_downgrade_feed(c->downgrade, in, &c->converted));
	else
		CHECK(content_out_feed(&c->content, in, &c->output));
}

void smtp_transaction_content_end(struct smtp_client *c, uint64_t now)
{
	c->t.has_content_end = true;
	if (c->downgrade && !take_converted(c, mime_downgrade_end(c->downgrade, &c->converted)))
		return;
	CHECK(content_out_end(&c->content, &c->output));
	smtp_wire_note(c, STR("C: "), STR("(the message)"));
	smtp_wire_note(c, STR("C: "), STR("."));
	c->t.await.rcpt = accepted_from(&c->t, 0);
	smtp_session_wait(c, STAGE_DOT, now);
}
