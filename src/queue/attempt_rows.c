/* What operators, and other members, did to the rows of an attempt's recipients. */

#include "queue/attempt.h"

/* As the store has it now; NULL: gone, or in doubt. */
static struct store_message *read_message(const struct queue_attempt *a, struct arena *arena)
{
	struct queue *q = a->queue;
	struct store_message *now;
	struct error e;

	if (store_message(store_client_reader(q->store), arena, a->part->message->envelope.id, &now,
			  &e))
		return now;
	queue_log_trouble(q, &e);
	return NULL;
}

/* NULL: gone. */
static const struct store_rcpt *
row_of(const struct store_message *now, const struct attempt_rcpt *r)
{
	for (size_t i = 0; now && i < now->n_rcpts; i++)
		if (now->rcpts[i].index == r->rcpt->index)
			return &now->rcpts[i];
	return NULL;
}

static bool is_still_there(const struct store_message *now, const struct attempt_rcpt *r)
{
	const struct store_rcpt *row = row_of(now, r);

	return row && row->state == STORE_QUEUED && str_eq(row->destination, r->rcpt->destination);
}

/* Those to be routed anew that a member has under way still: its end tells of them. */
static void attempt_leave_claimed(struct queue_attempt *a)
{
	for (unsigned i = 0; i < a->n; i++)
		a->rcpts[i].is_left =
			queue_claims_want(queue_claims(a->queue), a->part->message->envelope.id,
					  a->rcpts[i].rcpt->index);
}

/* Claimed first and looked for then: who routes them anew, once an operator has said so, sees the
 * claim. */
static void attempt_claim(struct queue_attempt *a)
{
	struct queue *q = a->queue;
	uint64_t id = a->part->message->envelope.id;

	a->claim = (struct queue_claim){ .message = id, .rcpts = a->rcpts[0].rcpt, .n = a->n };
	queue_claim_take(queue_claims(q), &a->claim);
	if (!queue_changed_since(q, a->part->read_at))
		return;
	struct arena *arena = arena_new();
	struct store_message *now = read_message(a, arena);

	if (!now) /* or it could not be read */
		queue_attempt_tell_backlog(a, queue_now_utc() + QUEUE_RECORD_RETRY_MS);
	for (unsigned i = 0; i < a->n; i++)
		a->rcpts[i].is_left = !is_still_there(now, &a->rcpts[i]);
	arena_free(arena);
}

bool queue_attempt_claim(struct queue_attempt *a)
{
	unsigned n_left = 0;

	if (a->part->destination.n == 0)
		attempt_leave_claimed(a);
	else
		attempt_claim(a);
	for (unsigned i = 0; i < a->n; i++) {
		if (!a->rcpts[i].is_left)
			continue;
		queue_part_settle(a->part, a->rcpts[i].rcpt);
		n_left++;
	}
	return n_left < a->n;
}

void queue_attempt_leave(struct queue_attempt *a)
{
	if (!queue_changed_since(a->queue, a->begun_at))
		return;
	struct arena *arena = arena_new();
	const struct store_message *now = read_message(a, arena);

	for (unsigned i = 0; i < a->n; i++) {
		struct attempt_rcpt *r = &a->rcpts[i];
		const struct store_rcpt *row = row_of(now, r);
		r->is_left |= r->has_outcome && r->outcome.kind != OUTCOME_DELIVERED && row &&
			      !str_eq(row->destination, a->part->destination);
	}
	arena_free(arena);
}
