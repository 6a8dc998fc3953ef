/* Due mail of a destination, from the store into memory. */

#include <stdlib.h>

#include "os/os.h"
#include "queue/inside.h"

struct refill {
	struct queue *queue;
	struct sched_dest *dest;
	struct str destination;
	unsigned room; /* by sched_weight */
	struct store_due_place place;
	unsigned n_pages_max;   /* where recipients are counted by themselves */
	bool is_alone, is_long; /* they are; and so many were passed over that others have their
	                         * turns before the end is read */
	struct arena *arena;    /* of one recipient at a time */
};

/* Parts of the message that wait for the destination: their recipients, and one of them. */
static size_t
n_waiting(const struct queue_message *m, struct str destination, struct queue_part **part)
{
	size_t n = 0;

	for (const struct list *l = m->parts.next; l != &m->parts; l = l->next) {
		struct queue_part *p = LIST_OF(l, struct queue_part, of_message);
		if (!list_is_in(&p->sched.link) || !str_eq(p->destination, destination))
			continue;
		n += p->sched.n_rcpts - p->sched.n_taken;
		*part = p;
	}
	return n;
}

/* How many recipients of one message may be added to those that wait. */
static size_t most_of_one(const struct refill *r, size_t waiting)
{
	size_t most = r->room < SCHED_WEIGHT_MAX ? r->room : QUEUE_PART_MAX;

	return waiting >= QUEUE_PART_MAX         ? 0
	       : most > QUEUE_PART_MAX - waiting ? QUEUE_PART_MAX - waiting
						 : most;
}

static bool is_crowded(struct refill *r, const struct store_rcpt *rcpt)
{
	arena_reset(r->arena);
	return sched_is_crowded(r->queue->sched, r->dest,
				queue_who(r->arena, r->queue->options.site->settings,
					  r->destination, rcpt->address));
}

/* In memory, or routed anew while another member has it under way: whose end is told. */
static bool is_under_way(const struct refill *r, const struct queue_message *here, uint64_t message,
			 uint32_t index)
{
	return (here && queue_message_has(here, index)) ||
	       (r->destination.n == 0 && queue_claims_want(queue_claims(r->queue), message, index));
}

/* None of it may be added: where most is like that, nothing is made of it. */
static bool is_passed_over(struct refill *r, const struct store_message *m)
{
	const struct queue_message *here = queue_message_find(r->queue, m->id);

	for (size_t i = 0; i < m->n_rcpts; i++)
		if (!is_under_way(r, here, m->id, m->rcpts[i].index) &&
		    !is_crowded(r, &m->rcpts[i]))
			return false;
	return true;
}

/* Rows that are in memory already, or on their way to the store, are read again and passed over.
 * When a message has many of its recipients here the others stay in the store, so that messages
 * behind it get their turns; they are read when those were given out. False: they do. */
static bool take_message(struct refill *r, const struct store_message *m)
{
	struct queue *q = r->queue;
	bool is_known = queue_message_find(q, m->id);
	struct queue_message *here = queue_message_get(q, m);
	struct store_rcpt *fresh = base_alloc((m->n_rcpts + 1) * sizeof(*fresh));
	struct queue_part *part = NULL;
	size_t most = most_of_one(r, n_waiting(here, r->destination, &part)), n = 0, i = 0;

	for (; i < m->n_rcpts && n < most; i++)
		if (!is_under_way(r, here, m->id, m->rcpts[i].index))
			fresh[n++] = m->rcpts[i];
	if (n > 0 && !is_known)
		queue_log_queued(q, m);
	if (n > 0) {
		unsigned weight = sched_view(r->dest, 0).weight, more;
		struct queue_part *last = queue_parts_add(here, r->dest, fresh, n, false);
		part = last ? last : part;
		more = sched_view(r->dest, 0).weight - weight;
		r->room -= more < r->room ? more : r->room;
	}
	if (i < m->n_rcpts && part)
		part->has_more = true;
	free(fresh);
	queue_message_unref(here);
	return i == m->n_rcpts;
}

/* When the first row after a place is due; UINT64_MAX: there is none. */
static bool next_due(struct queue *q, struct arena *a, struct str destination,
		     const struct store_due_place *after, uint64_t *due, struct error *e)
{
	struct store_due rows;

	if (!store_due(store_client_reader(q->store), a, destination, INT64_MAX, after, 1, &rows,
		       e))
		return false;
	*due = rows.n > 0 ? queue_due(q, rows.messages[0].rcpts[0].due_ms) : UINT64_MAX;
	return true;
}

/* One page of rows. */
static void take_rows(struct refill *r, const struct store_due *rows)
{
	r->place = rows->next;
	for (size_t i = 0; i < rows->n && r->room > 0; i++) {
		const struct store_message *m = &rows->messages[i];
		bool is_last = i + 1 == rows->n;
		if (r->is_alone && is_passed_over(r, m))
			continue;
		if (!take_message(r, m) && is_last) /* on with the next message */
			r->place = (struct store_due_place){ m->rcpts[m->n_rcpts - 1].due_ms,
							     m->id + 1, 0 };
	}
}

/* No honest due time is further ahead than this: the wall clock was set back since. */
static int64_t due_at_most(const struct queue *q)
{
	return queue_now_utc() + q->options.site->settings->backoff_most_ms;
}

static bool refill_until(struct refill *r, int64_t until_ms, struct error *e)
{
	struct arena *a = arena_new();
	struct store_due rows;
	unsigned n_pages = 0;
	bool is_good;

	do {
		struct store_due_place from = r->place;
		arena_reset(a);
		is_good = store_due(store_client_reader(r->queue->store), a, r->destination,
				    until_ms, &r->place, QUEUE_READ_MAX, &rows, e);
		if (is_good)
			take_rows(r, &rows);
		if (r->room == 0)
			r->place = from; /* the rest of the page is left */
		r->is_long = r->is_alone && rows.n_rcpts == QUEUE_READ_MAX &&
			     ++n_pages == r->n_pages_max;
	} while (is_good && r->room > 0 && rows.n_rcpts == QUEUE_READ_MAX && !r->is_long);
	arena_free(a);
	return is_good;
}

/* Behind what was read the last time, up to what was due when that began at the start. What waits
 * for long at the start keeps nobody behind it from being seen. */
static bool refill_on(struct refill *r, uint64_t now, bool *is_end, struct error *e)
{
	struct sched_place *kept = sched_place(r->dest);
	bool is_first = kept->until_ms == 0;
	int64_t until = is_first ? queue_now_utc() : kept->until_ms;

	r->place = (struct store_due_place){ kept->due_ms, kept->message, kept->after };
	r->n_pages_max = QUEUE_READ_PAGES;
	if (!refill_until(r, until, e))
		return false;
	*is_end = !r->is_long && r->room > 0;
	if (*is_end)
		*kept = (struct sched_place){ 0 };
	else if (r->is_long || !is_first)
		*kept = (struct sched_place){ r->place.due_ms, until, r->place.message,
					      r->place.after_index,
					      r->room > 0 ? now + QUEUE_READ_PAUSE_MS : now };
	return true;
}

/* While that pauses: those of whom enough was tried are likely to be found at the start again. */
static bool refill_first(struct refill *r, struct error *e)
{
	r->n_pages_max = 1;
	return refill_until(r, queue_now_utc(), e);
}

static bool refill_to_end(struct refill *r, uint64_t *due, struct error *e)
{
	struct queue *q = r->queue;
	struct arena *a = arena_new();
	struct store_due_place honest = r->place;
	bool is_good;

	*due = net_loop_now(q->options.loop);
	r->place = (struct store_due_place){ .due_ms = due_at_most(q) + 1 };
	is_good = refill_until(r, INT64_MAX, e);
	if (is_good && r->room > 0)
		is_good = next_due(q, a, r->destination, &honest, due, e);
	arena_free(a);
	return is_good;
}

static bool refill(struct refill *r, uint64_t *due, struct error *e)
{
	const struct sched_place *kept = sched_place(r->dest);
	uint64_t now = net_loop_now(r->queue->options.loop);
	bool is_on = kept->until_ms > 0, is_end = false;

	if (!(is_on && now < kept->next_at ? refill_first(r, e) : refill_on(r, now, &is_end, e)))
		return false;
	*due = r->room == 0    ? now
	       : kept->next_at ? kept->next_at
			       : now + QUEUE_READ_PAUSE_MS; /* from the start again */
	return !is_end || is_on || refill_to_end(r, due, e);
}

void queue_refill(struct queue *q, struct sched_dest *d, unsigned room)
{
	uint64_t now = net_loop_now(q->options.loop), due;
	struct arena *a = arena_new();
	struct refill r = { .queue = q,
			    .dest = d,
			    .destination = arena_str(a, sched_view(d, now).name),
			    .room = room,
			    .arena = arena_new() };
	struct error e;

	r.is_alone = queue_counts_alone(q->options.site->settings, r.destination);
	if (!refill(&r, &due, &e)) {
		queue_log_trouble(q, &e);
		due = now + QUEUE_RECORD_RETRY_MS;
	}
	sched_refilled(q->sched, d, due, net_loop_now(q->options.loop));
	arena_free(r.arena);
	arena_free(a);
}

/* The recipient as the store has it, where it waits for the same destination; or NULL. */
static const struct store_rcpt *
waits_for(const struct store_message *there, const struct store_rcpt *r)
{
	for (size_t i = 0; i < there->n_rcpts; i++) {
		const struct store_rcpt *x = &there->rcpts[i];
		if (x->index == r->index)
			return x->state == STORE_QUEUED && str_eq(x->destination, r->destination)
				       ? x
				       : NULL;
	}
	return NULL;
}

bool queue_still_there(struct queue *q, const struct store_message *m, struct store_rcpt *out,
		       size_t *n, struct error *e)
{
	const struct queue_message *here = queue_message_find(q, m->id);
	struct arena *a = arena_new();
	struct store_message *there;
	bool is_good = store_message(store_client_reader(q->store), a, m->id, &there, e);

	*n = 0;
	for (size_t i = 0; is_good && there && i < m->n_rcpts; i++) {
		const struct store_rcpt *now = waits_for(there, &m->rcpts[i]);
		if (!now || (here && queue_message_has(here, m->rcpts[i].index)))
			continue;
		out[*n] = m->rcpts[i];
		out[(*n)++].is_asked_for = now->is_asked_for;
	}
	arena_free(a);
	return is_good;
}

static void load_destination(void *arg, struct str name, int64_t due_ms)
{
	struct queue *q = arg;
	uint64_t now = net_loop_now(q->options.loop);

	if (queue_is_mine(q, name))
		sched_backlog(q->sched, queue_dest(q, name),
			      due_ms > due_at_most(q) ? now : queue_due(q, due_ms), now);
}

bool queue_load_all(struct queue *q, struct error *e)
{
	return store_backlogs(store_client_reader(q->store), load_destination, q, e);
}

bool queue_load_destination(struct queue *q, struct str name, struct error *e)
{
	const struct store_due_place start = { 0 };
	struct arena *a = arena_new();
	struct store_due rows;
	bool is_good = !queue_is_mine(q, name) || store_due(store_client_reader(q->store), a, name,
							    INT64_MAX, &start, 1, &rows, e);

	if (is_good && queue_is_mine(q, name) && rows.n > 0)
		load_destination(q, name, rows.messages[0].rcpts[0].due_ms);
	arena_free(a);
	return is_good;
}

bool queue_load_message(struct queue *q, uint64_t id, struct error *e)
{
	struct arena *a = arena_new();
	struct store_message *m;
	bool is_good = store_message(store_client_reader(q->store), a, id, &m, e);

	for (size_t i = 0; is_good && m && i < m->n_rcpts; i++)
		if (m->rcpts[i].state == STORE_QUEUED)
			load_destination(q, m->rcpts[i].destination, m->rcpts[i].due_ms);
	arena_free(a);
	return is_good;
}
