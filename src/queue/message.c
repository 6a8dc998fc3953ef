/* Messages and their recipients while something of them is in memory. */

#include <stdlib.h>
#include <string.h>

#include "queue/inside.h"

static struct queue_message **bucket_of(const struct queue *q, uint64_t id)
{
	return &q->bucket[(id * 0x9e3779b97f4a7c15ull >> 32) & (q->n_buckets - 1)];
}

struct queue_message *queue_message_find(const struct queue *q, uint64_t id)
{
	struct queue_message *m = *bucket_of(q, id);

	while (m && m->envelope.id != id)
		m = m->next_in_bucket;
	return m;
}

static void buckets_grow(struct queue *q)
{
	size_t n_old = q->n_buckets;
	struct queue_message **old = q->bucket;

	q->n_buckets = n_old * 2;
	q->bucket = base_alloc(q->n_buckets * sizeof(struct queue_message *));
	for (size_t i = 0; i < n_old; i++) {
		for (struct queue_message *m = old[i], *next; m; m = next) {
			next = m->next_in_bucket;
			m->next_in_bucket = *bucket_of(q, m->envelope.id);
			*bucket_of(q, m->envelope.id) = m;
		}
	}
	free(old);
}

static struct store_message envelope_copy(struct arena *a, const struct store_message *m)
{
	struct store_message copy = *m;

	copy.sender = arena_str(a, m->sender);
	copy.ret = arena_str(a, m->ret);
	copy.envid = arena_str(a, m->envid);
	copy.client = STR("");
	copy.rcpts = NULL;
	copy.n_rcpts = 0;
	return copy;
}

struct queue_message *queue_message_get(struct queue *q, const struct store_message *from)
{
	struct queue_message *m = queue_message_find(q, from->id);

	if (!m) {
		if (q->n_messages >= q->n_buckets)
			buckets_grow(q);
		m = base_alloc(sizeof(*m));
		m->queue = q;
		m->arena = arena_new();
		m->envelope = envelope_copy(m->arena, from);
		m->active_ms = queue_now_utc();
		(void)store_id_text(from->id, m->id_text);
		list_init(&m->parts);
		m->next_in_bucket = *bucket_of(q, from->id);
		*bucket_of(q, from->id) = m;
		q->n_messages++;
	}
	m->refs++;
	return m;
}

void queue_message_ref(struct queue_message *m)
{
	m->refs++;
}

static void message_free(struct queue_message *m)
{
	struct queue_message **at = bucket_of(m->queue, m->envelope.id);

	while (*at != m)
		at = &(*at)->next_in_bucket;
	*at = m->next_in_bucket;
	m->queue->n_messages--;
	store_content_unref(m->content);
	free(m->told);
	arena_free(m->arena);
	free(m);
}

void queue_message_unref(struct queue_message *m)
{
	CHECK(m->refs > 0);
	if (m->refs == 1 && m->n_told > 0) {
		queue_notice_start(m); /* holds references of its own */
		m->n_told = 0;
	}
	if (--m->refs == 0)
		message_free(m);
}

static void told_remove_delay(struct queue_message *m, uint32_t index)
{
	for (size_t i = 0; i < m->n_told && m->n_delays > 0; i++) {
		if (m->told[i].index != index || m->told[i].kind != DSN_DELAY)
			continue;
		m->told[i] = m->told[--m->n_told];
		m->n_delays--;
		return;
	}
}

void queue_message_tell(struct queue_message *m, const struct queue_told *t)
{
	told_remove_delay(m, t->index);
	m->n_delays += t->kind == DSN_DELAY;
	if (m->n_told == m->told_room) {
		m->told_room = m->told_room ? m->told_room * 2 : 4;
		m->told = base_realloc(m->told, m->told_room * sizeof(*m->told));
	}
	struct queue_told *copy = &m->told[m->n_told++];

	*copy = *t;
	copy->rcpt.address = arena_str(m->arena, t->rcpt.address);
	copy->rcpt.orcpt = arena_str(m->arena, t->rcpt.orcpt);
	copy->rcpt.outcome = outcome_copy(m->arena, &t->rcpt.outcome);
	copy->rcpt.advice = arena_str(m->arena, t->rcpt.advice);
}

/* ---- parts ---- */

static int by_index(const void *a, const void *b)
{
	const struct store_rcpt *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

bool queue_message_has(const struct queue_message *m, uint32_t index)
{
	const struct store_rcpt key = { .index = index };

	for (const struct list *l = m->parts.next; l != &m->parts; l = l->next) {
		const struct queue_part *p = LIST_OF(l, struct queue_part, of_message);
		const struct store_rcpt *r =
			bsearch(&key, p->rcpts, p->sched.n_rcpts, sizeof(key), by_index);
		if (r && !p->is_settled[r - p->rcpts])
			return true;
	}
	return false;
}

/* Those recipients of `m` that are for `destination`. */
static struct queue_part *
part_new(struct queue_message *m, struct str destination, const struct store_rcpt *rcpts, size_t n)
{
	struct queue_part *p = base_alloc(sizeof(*p));

	p->message = m;
	queue_message_ref(m);
	p->arena = arena_new();
	p->destination = arena_str(p->arena, destination);
	p->rcpts = ARENA_ARRAY(p->arena, n, struct store_rcpt);
	p->is_settled = ARENA_ARRAY(p->arena, n, bool);
	p->read_at = net_loop_now(m->queue->options.loop);
	p->sched.who = STR("");
	p->sched.n_rcpts = (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		p->rcpts[i] = rcpts[i];
		p->rcpts[i].destination = p->destination;
		p->rcpts[i].address = arena_str(p->arena, rcpts[i].address);
		p->rcpts[i].orcpt = arena_str(p->arena, rcpts[i].orcpt);
		p->rcpts[i].notify = arena_str(p->arena, rcpts[i].notify);
		p->rcpts[i].last = (struct outcome){ 0 };
	}
	qsort(p->rcpts, n, sizeof(*p->rcpts), by_index);
	list_add(&m->parts, &p->of_message);
	return p;
}

static struct queue_part *part_add(struct queue_message *m, struct sched_dest *d,
				   const struct store_rcpt *rcpts, size_t n, bool is_routed)
{
	uint64_t now = net_loop_now(m->queue->options.loop);
	struct queue_part *p = part_new(m, sched_view(d, now).name, rcpts, n);

	p->is_routed = is_routed;
	if (n == 1)
		p->sched.who = queue_who(p->arena, m->queue->options.site->settings, p->destination,
					 p->rcpts[0].address);
	sched_add(m->queue->sched, d, &p->sched, now);
	return p;
}

struct queue_part *queue_parts_add(struct queue_message *m, struct sched_dest *d,
				   const struct store_rcpt *rcpts, size_t n, bool is_routed)
{
	struct queue *q = m->queue;
	struct str destination = sched_view(d, 0).name, who;
	struct queue_part *last = NULL;

	if (!queue_counts_alone(q->options.site->settings, destination))
		return n > 0 ? part_add(m, d, rcpts, n, is_routed) : NULL;
	struct arena *a = arena_new();

	for (size_t i = 0, made = 0; i < n; i++) {
		arena_reset(a);
		who = queue_who(a, q->options.site->settings, destination, rcpts[i].address);
		if (sched_is_crowded(q->sched, d, who))
			continue;
		if (made++ == QUEUE_PART_MAX) {
			last->has_more = true;
			break;
		}
		last = part_add(m, d, &rcpts[i], 1, is_routed);
	}
	arena_free(a);
	return last;
}

struct queue_part *queue_part_out(struct queue_message *m, const struct store_rcpt *r)
{
	struct queue_part *p = part_new(m, r->destination, r, 1);

	p->n_out = 1;
	return p;
}

void queue_part_free(struct queue_part *p)
{
	struct queue_message *m = p->message;

	list_remove(&p->of_message);
	if (p->is_taken_back || p->has_more)
		queue_tell_backlog(m->queue, p->destination, queue_now_utc());
	arena_free(p->arena);
	free(p);
	queue_message_unref(m);
}

void queue_part_settle(struct queue_part *p, const struct store_rcpt *r)
{
	p->is_settled[r - p->rcpts] = true;
}

void queue_part_given_out(struct queue_part *p)
{
	if (!p->has_more || list_is_in(&p->sched.link))
		return;
	p->has_more = false;
	queue_tell_backlog(p->message->queue, p->destination, queue_now_utc());
}

void queue_part_check(struct queue_part *p)
{
	if (p->n_out == 0 && !list_is_in(&p->sched.link))
		queue_part_free(p);
}
