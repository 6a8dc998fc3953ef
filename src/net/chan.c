/* Notes between threads. Posting adds to a list under a mutex and wakes the loop if the list was
 * empty: libuv makes one call of many wake-ups, so a call takes the whole list. */

#include "net/room.h"

#include <pthread.h>
#include <stdlib.h>

struct net_chan {
	uv_async_t uv; /* the first member: net_handle_free */
	void (*received)(void *arg, struct net_note *n);
	void *arg;
	bool is_freed;        /* while notes are given out */
	struct net_note *out; /* taken from the list, not given out yet */

	pthread_mutex_t mutex; /* of the rest */
	struct net_note *first, **last;
};

static struct net_note *chan_take_all(struct net_chan *c)
{
	pthread_mutex_lock(&c->mutex);
	struct net_note *n = c->first;
	c->first = NULL;
	c->last = &c->first;
	pthread_mutex_unlock(&c->mutex);
	return n;
}

static struct net_note *chan_next(struct net_chan *c)
{
	struct net_note *n = c->out;

	if (n)
		c->out = n->next;
	return n;
}

/* What is posted meanwhile wakes the loop again, so that its other work has its turn. A call may
 * free the channel: its memory stays until libuv closes the handle, which is not in here. */
static void on_async(uv_async_t *uv)
{
	struct net_chan *c = (struct net_chan *)uv;
	struct net_note *n;

	CHECK(!c->out);
	c->out = chan_take_all(c);
	while ((n = chan_next(c)) != NULL) {
		c->received(c->arg, n);
		if (c->is_freed)
			return;
	}
}

struct net_chan *
net_chan_new(struct net_loop *l, void (*received)(void *arg, struct net_note *n), void *arg)
{
	struct net_chan *c = base_alloc(sizeof(*c));

	net_must(uv_async_init(&l->uv, &c->uv, on_async), "a wake-up between threads");
	uv_unref((uv_handle_t *)&c->uv);
	CHECK(pthread_mutex_init(&c->mutex, NULL) == 0);
	c->last = &c->first;
	c->received = received;
	c->arg = arg;
	l->n_owned++;
	return c;
}

void net_chan_free(struct net_chan *c)
{
	if (!c)
		return;
	CHECK(!net_chan_take(c));
	pthread_mutex_destroy(&c->mutex);
	c->is_freed = true;
	net_handle_free((uv_handle_t *)&c->uv);
}

struct net_note *net_chan_take(struct net_chan *c)
{
	if (!c->out)
		c->out = chan_take_all(c);
	return chan_next(c);
}

void net_chan_post(struct net_chan *c, struct net_note *n)
{
	bool was_empty;

	n->next = NULL;
	pthread_mutex_lock(&c->mutex);
	was_empty = !c->first;
	*c->last = n;
	c->last = &n->next;
	pthread_mutex_unlock(&c->mutex);
	if (!was_empty)
		return; /* whoever made it so wakes the loop */
	/* libuv before 1.53 reads its "pending" flag without ordering it after the caller's own
	 * writes: without the fence the note may be missed. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	uv_async_send(&c->uv);
}

void net_chan_hold(struct net_chan *c)
{
	uv_ref((uv_handle_t *)&c->uv);
}

void net_chan_release(struct net_chan *c)
{
	uv_unref((uv_handle_t *)&c->uv);
}
