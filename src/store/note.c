/* Notes on their way: the queue between the loops and the threads of the store. */

#include "store/room.h"

void note_queue_init(struct note_queue *q)
{
	*q = (struct note_queue){ 0 };
	q->last = &q->first;
	CHECK(pthread_mutex_init(&q->mutex, NULL) == 0);
	CHECK(pthread_cond_init(&q->filled, NULL) == 0);
}

void note_queue_fini(struct note_queue *q)
{
	CHECK(!q->first);
	pthread_cond_destroy(&q->filled);
	pthread_mutex_destroy(&q->mutex);
}

void note_queue_put(struct note_queue *q, struct note *n)
{
	n->link.next = NULL;
	pthread_mutex_lock(&q->mutex);
	*q->last = &n->link;
	q->last = &n->link.next;
	q->n++;
	if (q->is_awaited)
		pthread_cond_signal(&q->filled);
	pthread_mutex_unlock(&q->mutex);
}

static struct net_note *queue_cut(struct note_queue *q, size_t max)
{
	struct net_note *first = q->first, *last = first;

	if (!first)
		return NULL;
	for (q->n--; last->next && max > 1; last = last->next, max--)
		q->n--;
	q->first = last->next;
	if (!q->first)
		q->last = &q->first;
	last->next = NULL;
	return first;
}

struct note *note_queue_take(struct note_queue *q, size_t max)
{
	pthread_mutex_lock(&q->mutex);
	while (!q->first && !q->is_closing) {
		q->is_awaited = true;
		pthread_cond_wait(&q->filled, &q->mutex);
	}
	q->is_awaited = false;
	struct net_note *first = queue_cut(q, max);
	pthread_mutex_unlock(&q->mutex);
	return first ? note_of(first) : NULL;
}

void note_queue_close(struct note_queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->is_closing = true;
	pthread_cond_signal(&q->filled);
	pthread_mutex_unlock(&q->mutex);
}

size_t note_queue_length(struct note_queue *q)
{
	pthread_mutex_lock(&q->mutex);
	size_t n = q->n;
	pthread_mutex_unlock(&q->mutex);
	return n;
}

struct note *note_next(const struct note *n)
{
	return n->link.next ? note_of(n->link.next) : NULL;
}

void note_fail(struct note *n, enum store_fault fault, struct str text)
{
	n->result.fault = fault;
	n->result.text = arena_str(n->arena, text);
	note_return(n);
}

struct str store_fault_name(enum store_fault f)
{
	switch (f) {
	case STORE_DONE:
		return STR("done");
	case STORE_FULL:
		return STR("full");
	case STORE_IO:
		return STR("io");
	case STORE_BUSY:
		return STR("busy");
	case STORE_DAMAGED:
		return STR("damaged");
	case STORE_REFUSED:
		return STR("refused");
	}
	CHECK(!"fault of no kind");
}
