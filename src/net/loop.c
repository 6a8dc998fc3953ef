/* The loop and its small handles: timers, watched descriptors, signals, work on other threads.
 *
 * libuv needs a closing handle's memory until its close callback. Every handle here is the first
 * member of its owner, so that one callback gives all of them back. */

#include "net/room.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

void net_must(int uv_error, const char *what)
{
	char text[128];

	if (uv_error == 0)
		return;
	(void)snprintf(text, sizeof(text), "%s: %s", what, uv_strerror(uv_error));
	base_refused(text);
}

static void *memory_new(size_t n)
{
	return base_realloc(NULL, n);
}

static void *memory_zeroed(size_t count, size_t size)
{
	size_t n;

	CHECK(size_mul(count, size, &n));
	return base_alloc(n);
}

/* Without memory libuv aborts in some places, and says nothing. */
static void take_memory(void)
{
	CHECK(uv_replace_allocator(memory_new, base_realloc, memory_zeroed, free) == 0);
}

struct net_loop *net_loop_new(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct net_loop *l = base_alloc(sizeof(*l));

	CHECK(pthread_once(&once, take_memory) == 0);
	/* libuv writes without MSG_NOSIGNAL: a peer that hangs up would end the process. */
	signal(SIGPIPE, SIG_IGN);
	net_must(uv_loop_init(&l->uv), "a loop of events");
	return l;
}

void net_loop_free(struct net_loop *l)
{
	if (!l)
		return;
	CHECK(l->n_owned == 0);
	while (l->finishing)
		net_stream_abandon(l->finishing);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&l->uv) == 0);
	free(l);
}

void net_loop_run(struct net_loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void net_loop_drain(struct net_loop *l)
{
	while (l->finishing)
		uv_run(&l->uv, UV_RUN_ONCE);
}

void net_loop_stop(struct net_loop *l)
{
	uv_stop(&l->uv);
}

uint64_t net_loop_now(struct net_loop *l)
{
	uv_update_time(&l->uv);
	return uv_now(&l->uv);
}

struct work {
	uv_work_t uv;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static void on_work(uv_work_t *uv)
{
	struct work *w = (struct work *)uv;

	w->work(w->arg);
}

static void on_work_done(uv_work_t *uv, int status)
{
	struct work *w = (struct work *)uv;

	(void)status; /* nothing here is ever cancelled */
	w->done(w->arg);
	free(w);
}

void net_loop_work(struct net_loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct work *w = base_alloc(sizeof(*w));

	*w = (struct work){ .work = work, .done = done, .arg = arg };
	CHECK(uv_queue_work(&l->uv, &w->uv, on_work, on_work_done) == 0);
}

static struct net_loop *owner_of(const uv_handle_t *h)
{
	return (struct net_loop *)h->loop; /* uv is its first member */
}

static void on_closed(uv_handle_t *h)
{
	free(h);
}

void net_handle_free(uv_handle_t *h)
{
	owner_of(h)->n_owned--;
	uv_close(h, on_closed);
}

struct net_timer {
	uv_timer_t uv;
	void (*expired)(void *arg);
	void *arg;
};

struct net_timer *net_timer_new(struct net_loop *l, void (*expired)(void *arg), void *arg)
{
	struct net_timer *t = base_alloc(sizeof(*t));

	CHECK(uv_timer_init(&l->uv, &t->uv) == 0);
	t->expired = expired;
	t->arg = arg;
	l->n_owned++;
	return t;
}

void net_timer_free(struct net_timer *t)
{
	if (t)
		net_handle_free((uv_handle_t *)&t->uv);
}

static void on_timer(uv_timer_t *uv)
{
	struct net_timer *t = (struct net_timer *)uv;

	t->expired(t->arg);
}

void net_timer_set(struct net_timer *t, uint64_t at)
{
	uint64_t now = net_loop_now(owner_of((uv_handle_t *)&t->uv));

	if (at == UINT64_MAX)
		net_timer_stop(t);
	else
		uv_timer_start(&t->uv, on_timer, at > now ? at - now : 0, 0);
}

void net_timer_stop(struct net_timer *t)
{
	uv_timer_stop(&t->uv);
}

struct net_watch {
	uv_poll_t uv;
	void (*readable)(void *arg);
	void *arg;
};

static void on_poll(uv_poll_t *uv, int status, int events)
{
	struct net_watch *w = (struct net_watch *)uv;

	(void)status, (void)events; /* whoever reads the descriptor finds out */
	w->readable(w->arg);
}

struct net_watch *
net_watch_new(struct net_loop *l, int fd, void (*readable)(void *arg), void *arg, struct error *e)
{
	struct net_watch *w = base_alloc(sizeof(*w));
	int r = uv_poll_init(&l->uv, &w->uv, fd);

	if (r != 0) {
		free(w);
		error_set(e, ERROR_SYSTEM, "cannot watch descriptor %d: %s", fd, uv_strerror(r));
		return NULL;
	}
	w->readable = readable;
	w->arg = arg;
	l->n_owned++;
	CHECK(uv_poll_start(&w->uv, UV_READABLE, on_poll) == 0);
	return w;
}

void net_watch_free(struct net_watch *w)
{
	if (w)
		net_handle_free((uv_handle_t *)&w->uv);
}

struct net_signal {
	uv_signal_t uv;
	void (*caught)(void *arg, int signum);
	void *arg;
};

static void on_signal(uv_signal_t *uv, int signum)
{
	struct net_signal *s = (struct net_signal *)uv;

	s->caught(s->arg, signum);
}

struct net_signal *
net_signal_new(struct net_loop *l, int signum, void (*caught)(void *arg, int signum), void *arg)
{
	struct net_signal *s = base_alloc(sizeof(*s));

	net_must(uv_signal_init(&l->uv, &s->uv), "a watch for signals");
	net_must(uv_signal_start(&s->uv, on_signal, signum), "a watch for signals");
	uv_unref((uv_handle_t *)&s->uv);
	s->caught = caught;
	s->arg = arg;
	l->n_owned++;
	return s;
}

void net_signal_free(struct net_signal *s)
{
	if (s)
		net_handle_free((uv_handle_t *)&s->uv);
}
