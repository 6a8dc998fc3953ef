/* Due mail of a destination, from the store into memory. */

#include <stdlib.h>

#include "os/os.h"
#include "queue/inside.h"

/* Rows that are in memory already, or on their way to the store, are read again and passed over. */
static size_t take_message(struct queue *q, struct sched_dest *d, struct str destination,
			   const struct store_message *m, size_t room)
{
	struct queue_message *here = queue_message_get(q, m);
	struct store_rcpt *fresh = base_alloc((m->n_rcpts + 1) * sizeof(*fresh));
	size_t n = 0;

	for (size_t i = 0; i < m->n_rcpts && n < room; i++)
		if (!queue_message_has(here, m->rcpts[i].index))
			fresh[n++] = m->rcpts[i];
	if (n > 0) {
		struct queue_part *p = queue_part_new(here, destination, fresh, n);
		sched_add(q->sched, d, &p->sched, net_loop_now(q->options.loop));
	}
	free(fresh);
	queue_message_unref(here);
	return n;
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

static bool refill(struct queue *q, struct sched_dest *d, struct str destination, size_t room,
		   uint64_t *due, struct error *e)
{
	struct arena *a = arena_new();
	struct store_due_place place = { 0 };
	struct store_due rows;
	int64_t now_ms = queue_now_utc();
	bool is_good;

	do {
		arena_reset(a);
		is_good = store_due(store_client_reader(q->store), a, destination, now_ms, &place,
				    QUEUE_READ_MAX, &rows, e);
		for (size_t i = 0; is_good && i < rows.n && room > 0; i++)
			room -= take_message(q, d, destination, &rows.messages[i], room);
		place = rows.next;
	} while (is_good && room > 0 && rows.n_rcpts == QUEUE_READ_MAX);
	*due = net_loop_now(q->options.loop);
	if (is_good && room > 0)
		is_good = next_due(q, a, destination, &place, due, e);
	arena_free(a);
	return is_good;
}

void queue_refill(struct queue *q, struct sched_dest *d, unsigned room)
{
	uint64_t now = net_loop_now(q->options.loop), due;
	struct arena *a = arena_new();
	struct str destination = arena_str(a, sched_view(d, now).name);
	struct error e;

	if (!refill(q, d, destination, room, &due, &e)) {
		queue_log_trouble(q, &e);
		due = now + QUEUE_RECORD_RETRY_MS;
	}
	sched_refilled(q->sched, d, due, net_loop_now(q->options.loop));
	arena_free(a);
}

static bool waits_for(const struct store_message *there, const struct store_rcpt *r)
{
	for (size_t i = 0; i < there->n_rcpts; i++)
		if (there->rcpts[i].index == r->index)
			return there->rcpts[i].state == STORE_QUEUED &&
			       str_eq(there->rcpts[i].destination, r->destination);
	return false;
}

bool queue_still_there(struct queue *q, const struct store_message *m, struct store_rcpt *out,
		       size_t *n, struct error *e)
{
	const struct queue_message *here = queue_message_find(q, m->id);
	struct arena *a = arena_new();
	struct store_message *there;
	bool is_good = store_message(store_client_reader(q->store), a, m->id, &there, e);

	*n = 0;
	for (size_t i = 0; is_good && there && i < m->n_rcpts; i++)
		if (!(here && queue_message_has(here, m->rcpts[i].index)) &&
		    waits_for(there, &m->rcpts[i]))
			out[(*n)++] = m->rcpts[i];
	arena_free(a);
	return is_good;
}

static void load_destination(void *arg, const struct store_destination *d)
{
	struct queue *q = arg;

	if (d->n_queued > 0 && queue_is_mine(q, d->name))
		sched_backlog(q->sched, queue_dest(q, d->name), queue_due(q, d->due_ms),
			      net_loop_now(q->options.loop));
}

bool queue_load_all(struct queue *q, struct error *e)
{
	return store_destinations(store_client_reader(q->store), load_destination, q, e);
}
