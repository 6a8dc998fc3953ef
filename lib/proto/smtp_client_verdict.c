/* Outcomes with their reasons, and the events that carry them out. */

#include "proto/smtp_client_inside.h"

static struct str stage_name(const struct smtp_client *c)
{
	return smtp_session_stage_name(c->stage, c->o.dialect);
}

/* What a reply answers. */
static struct str occasion(struct smtp_client *c)
{
	struct str name = stage_name(c);

	if (c->stage == STAGE_GREETING)
		return STR("as its greeting");
	if (c->stage == STAGE_IDLE)
		return STR("unasked");
	if (c->stage == STAGE_CONTENT)
		return STR("before the end of the message");
	return arena_fmt(c->events, "in reply to " STR_FMT, STR_ARG(str_from(name, 8)));
}

static enum outcome_kind kind_of(int code)
{
	return code < 400 ? OUTCOME_DELIVERED : code < 500 ? OUTCOME_DEFERRED : OUTCOME_BOUNCED;
}

/* What the peer said about the thing that is under way. The reply's text is copied. */
struct verdict smtp_verdict_reply(struct smtp_client *c, struct smtp_reply r)
{
	struct verdict v = { .cause = SMTP_CAUSE_REPLY };
	struct str line = smtp_reply_one_line(c->events, r);

	r.text = arena_str(c->events, r.text);
	v.outcome.kind = kind_of(r.code);
	v.outcome.status = r.status.class ? r.status : STATUS((uint8_t)(r.code / 100), 0, 0);
	v.outcome.reply = r;
	v.outcome.reason =
		arena_fmt(c->events, STR_FMT " (" STR_FMT ")", STR_ARG(line), STR_ARG(occasion(c)));
	v.may_try_next_host = v.outcome.kind == OUTCOME_DEFERRED;
	return v;
}

struct verdict smtp_verdict_soften(struct verdict v)
{
	v.outcome.kind = OUTCOME_DEFERRED;
	v.outcome.status.class = 4;
	v.may_try_next_host = true;
	return v;
}

static struct verdict deferral(const struct smtp_client *c, struct status s, struct str reason,
			       enum smtp_client_cause cause)
{
	return (struct verdict){
		.outcome = { .kind = OUTCOME_DEFERRED, .status = s, .reason = reason },
		.cause = cause,
		.may_try_next_host = true,
		.is_fate_unknown = smtp_transaction_is_sent(c),
	};
}

static struct str doubt(const struct smtp_client *c)
{
	return smtp_transaction_is_sent(c) ? STR("; the message may arrive more than once")
					   : STR_NONE;
}

struct verdict smtp_verdict_timeout(struct smtp_client *c)
{
	return deferral(c, STATUS(4, 4, 2),
			arena_fmt(c->events, "timed out while " STR_FMT STR_FMT,
				  STR_ARG(stage_name(c)), STR_ARG(doubt(c))),
			SMTP_CAUSE_TIMEOUT);
}

struct verdict smtp_verdict_lost(struct smtp_client *c, struct str why)
{
	why = smtp_reply_harmless(c->events, str_first(why, SMTP_REASON_MAX));
	return deferral(c, STATUS(4, 4, 2),
			arena_fmt(c->events, "was lost while " STR_FMT STR_FMT "%s" STR_FMT,
				  STR_ARG(stage_name(c)), STR_ARG(doubt(c)), why.n ? ": " : "",
				  STR_ARG(why)),
			SMTP_CAUSE_LOST);
}

struct verdict smtp_verdict_protocol(struct smtp_client *c, struct str what)
{
	return deferral(c, STATUS(4, 5, 0),
			arena_fmt(c->events,
				  "broke the protocol: sent " STR_FMT " (while " STR_FMT
				  ")" STR_FMT,
				  STR_ARG(what), STR_ARG(stage_name(c)), STR_ARG(doubt(c))),
			SMTP_CAUSE_PROTOCOL);
}

struct verdict smtp_verdict_out_of_step(struct smtp_client *c)
{
	return smtp_verdict_protocol(c, STR("octets before the command"));
}

struct verdict smtp_verdict_injection(struct smtp_client *c)
{
	return deferral(c, STATUS(4, 7, 5),
			STR("sent octets in the clear between our STARTTLS and the TLS handshake: "
			    "somebody may be injecting replies"),
			SMTP_CAUSE_INJECTION);
}

struct verdict smtp_verdict_local(struct status s, struct str reason)
{
	return (struct verdict){
		.outcome = { .kind = OUTCOME_BOUNCED, .status = s, .reason = reason },
		.cause = SMTP_CAUSE_LOCAL,
	};
}

struct verdict smtp_verdict_inconvertible(struct smtp_client *c, enum mime_downgrade_fault f)
{
	return smtp_verdict_local(STATUS(5, 6, 3),
				  arena_fmt(c->events,
					    "the server does not offer 8BITMIME, and " STR_FMT,
					    STR_ARG(mime_downgrade_fault_text(f))));
}

struct verdict smtp_verdict_unreadable(struct smtp_client *c, struct str why)
{
	struct verdict v =
		deferral(c, STATUS(4, 3, 0),
			 arena_fmt(c->events, "the message cannot be read: " STR_FMT,
				   STR_ARG(smtp_reply_harmless(c->events,
							       str_first(why, SMTP_REASON_MAX)))),
			 SMTP_CAUSE_LOCAL);

	v.may_try_next_host = false;
	return v;
}

void smtp_event_add(struct smtp_client *c, struct event_node n)
{
	struct event_node *copy = ARENA_NEW(c->events, struct event_node);

	*copy = n;
	copy->next = NULL;
	*c->last = copy;
	c->last = &copy->next;
}

void smtp_event_forget(struct smtp_client *c)
{
	c->first = NULL;
	c->last = &c->first;
}

static struct smtp_client_event event_of(const struct event_node *n)
{
	return (struct smtp_client_event){
		.kind = n->kind,
		.index = n->index,
		.octets = n->octets,
		.outcome = n->verdict.outcome,
		.cause = n->verdict.cause,
		.may_try_next_host = n->verdict.may_try_next_host,
		.is_fate_unknown = n->verdict.is_fate_unknown,
	};
}

static void drop_first(struct smtp_client *c)
{
	c->first = c->first->next;
	if (!c->first)
		c->last = &c->first;
}

/* A node for the rest gives one event for each recipient without an outcome. */
static bool take_of_rest(struct smtp_client *c, struct event_node *n, struct smtp_client_event *e)
{
	while (n->index < c->t.mail.n_rcpts && (c->t.rcpts[n->index] & RCPT_SETTLED))
		n->index++;
	if (n->index == c->t.mail.n_rcpts)
		return false;
	c->t.rcpts[n->index] |= RCPT_SETTLED;
	*e = event_of(n);
	return true;
}

struct smtp_client_event smtp_event_take(struct smtp_client *c)
{
	struct smtp_client_event e = { .kind = SMTP_CLIENT_NOTHING };

	while (c->first) {
		if (c->first->is_rest) {
			if (take_of_rest(c, c->first, &e))
				return e;
			drop_first(c);
			continue;
		}
		e = event_of(c->first);
		drop_first(c);
		return e;
	}
	return e;
}
