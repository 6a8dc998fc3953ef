#include <stdio.h>

#include "mail/mailbox.h"
#include "queue/inside.h"

void queue_destination_cut(struct str destination, struct str *transport, struct str *nexthop)
{
	if (!str_cut(destination, ':', transport, nexthop)) {
		*transport = destination;
		*nexthop = STR("");
	}
}

struct str queue_destination(struct arena *a, const struct route *r)
{
	return arena_fmt(a, STR_FMT ":" STR_FMT, STR_ARG(r->transport), STR_ARG(r->nexthop));
}

bool queue_is_deliverable(struct str destination)
{
	struct str transport, nexthop;

	queue_destination_cut(destination, &transport, &nexthop);
	return str_eq(transport, STR("smtp")) || str_eq(transport, STR("relay")) ||
	       str_eq(transport, STR("lmtp"));
}

const struct sched_limits *queue_limits(const struct queue_settings *s, struct str transport)
{
	if (str_eq(transport, STR("smtp")))
		return &s->smtp;
	if (str_eq(transport, STR("lmtp")))
		return &s->lmtp;
	return str_eq(transport, STR("relay")) ? &s->relay : &s->other;
}

bool queue_is_deferred(const struct queue_settings *s, struct str destination)
{
	struct str words = s->deferred, word, transport, nexthop;

	queue_destination_cut(destination, &transport, &nexthop);
	while (str_token(&words, STR(", \t\r\n"), &word))
		if (str_eq(word, transport))
			return true;
	return false;
}

bool queue_counts_alone(const struct queue_settings *s, struct str destination)
{
	struct str transport, nexthop;

	queue_destination_cut(destination, &transport, &nexthop);
	return queue_is_deliverable(destination) && queue_limits(s, transport)->rcpts_max == 1;
}

struct str queue_who(struct arena *a, const struct queue_settings *s, struct str destination,
		     struct str address)
{
	struct str base;
	struct mailbox m;

	if (!queue_counts_alone(s, destination))
		return STR("");
	if (!mailbox_parse(address, &m))
		return address;
	if (mailbox_strip_extension(m.local, s->recipient_delimiter, &base))
		m.local = base;
	return arena_lower(a, m.local);
}

/* ---- one recipient ---- */

static int64_t lifetime_ms(const struct queue_settings *s, const struct store_message *m)
{
	return m->sender.n == 0 ? s->bounce_lifetime_ms : s->lifetime_ms;
}

static void verdict_finish(struct queue_verdict *v, const struct store_rcpt *r, enum dsn_kind kind)
{
	v->kind = kind;
	v->is_told = dsn_is_wanted(r->notify, kind);
	v->record.verdict = v->is_told ? STORE_TO_BE_TOLD : STORE_GONE;
}

static void verdict_defer(struct queue_verdict *v, const struct queue_settings *s,
			  const struct store_message *m, const struct store_rcpt *r, int64_t now_ms)
{
	int64_t age = now_ms > m->arrived_ms ? now_ms - m->arrived_ms : 0;

	v->record.verdict = STORE_RETRY_AT;
	v->record.due_ms =
		now_ms + (int64_t)sched_retry_after((uint64_t)age, (uint64_t)s->backoff_least_ms,
						    (uint64_t)s->backoff_most_ms);
	v->kind = DSN_DELAY;
	v->is_told = s->warning_ms > 0 && age >= s->warning_ms && !r->is_warned &&
		     m->sender.n > 0 && dsn_is_wanted(r->notify, DSN_DELAY);
}

struct queue_verdict queue_verdict(const struct queue_settings *s, const struct store_message *m,
				   const struct store_rcpt *r, const struct outcome *o,
				   int64_t now_ms)
{
	struct queue_verdict v = {
		.record = { .index = r->index, .outcome = *o, .was_asked_for = r->is_asked_for }
	};
	bool is_old = now_ms - m->arrived_ms >= lifetime_ms(s, m);

	switch (o->kind) {
	case OUTCOME_DELIVERED:
		verdict_finish(&v, r, DSN_SUCCESS);
		break;
	case OUTCOME_BOUNCED:
		v.is_soft = s->is_soft_bounce && !is_old;
		v.is_expired = s->is_soft_bounce && is_old;
		if (v.is_soft)
			verdict_defer(&v, s, m, r, now_ms);
		else
			verdict_finish(&v, r, DSN_FAILURE);
		break;
	case OUTCOME_DEFERRED:
		v.is_expired = is_old;
		if (is_old)
			verdict_finish(&v, r, DSN_FAILURE);
		else
			verdict_defer(&v, s, m, r, now_ms);
		break;
	}
	return v;
}

void queue_verdict_hand_on(struct queue_verdict *v)
{
	if (v->kind != DSN_SUCCESS || !v->is_told)
		return;
	v->is_told = false;
	v->record.verdict = STORE_GONE;
}

void queue_verdict_keep(struct queue_verdict *v, const struct queue_settings *s,
			const struct store_message *m, const struct store_rcpt *r, int64_t now_ms)
{
	if (v->record.outcome.kind != OUTCOME_DEFERRED)
		return;
	v->is_expired = false;
	v->record.was_asked_for = false;
	verdict_defer(v, s, m, r, now_ms);
	v->record.due_ms = now_ms + s->backoff_least_ms;
}

/* ---- the destination ---- */

/* A host that took part in the conversation until our mail was up, or that refused for good. */
static bool try_took_part(const struct deliver_try *t)
{
	return t->kind == DELIVER_TRY_SESSION && t->trouble.reason.n == 0;
}

enum sched_feedback queue_feedback(const struct deliver_result *result)
{
	for (size_t i = 0; i < result->n_rcpts; i++)
		if (result->rcpts[i].outcome.kind != OUTCOME_DEFERRED)
			return SCHED_OK;
	for (size_t i = 0; i < result->n_tries; i++)
		if (try_took_part(&result->tries[i]))
			return SCHED_OK;
	for (size_t i = 0; i < result->n_tries; i++)
		if (result->tries[i].is_shortage)
			return SCHED_NEUTRAL;
	return SCHED_TROUBLE;
}

bool queue_is_short(const struct deliver_result *result)
{
	return queue_feedback(result) == SCHED_NEUTRAL;
}

/* "421" or "450/4.7.1". */
static bool reply_matches(struct str word, const struct smtp_reply *reply)
{
	struct str code = word, status = STR("");
	uint64_t number;
	char text[24];
	int n = snprintf(text, sizeof(text), "%u.%u.%u", reply->status.class, reply->status.subject,
			 reply->status.detail);

	(void)!str_cut(word, '/', &code, &status);
	return str_to_u64(code, &number) && number == (uint64_t)reply->code &&
	       (status.n == 0 || str_eq(status, str_span(text, (size_t)n)));
}

bool queue_is_suspension(const struct queue_settings *s, const struct outcome *o)
{
	struct str words = s->suspend_replies, word;

	if (o->kind != OUTCOME_DEFERRED || o->reply.code == 0)
		return false;
	while (str_token(&words, STR(", \t\r\n"), &word))
		if (reply_matches(word, &o->reply))
			return true;
	return false;
}
