/* A thread that reads the store for operators and monitors: neither mail nor the daemon's main loop
 * waits for it. One job after the other; long ones come in pieces. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "console/room.h"

struct console_reader {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t is_wanted;
	struct reader_job *first, **last;
	bool is_ending;
	struct net_chan *back;
	const char *directory;
	struct store_reader *store; /* the thread's; NULL: not open */
};

static struct reader_job *take_job(struct console_reader *r)
{
	struct reader_job *j;

	pthread_mutex_lock(&r->lock);
	while (!r->first && !r->is_ending)
		pthread_cond_wait(&r->is_wanted, &r->lock);
	j = r->first;
	if (j) {
		r->first = j->next;
		if (!r->first)
			r->last = &r->first;
	}
	pthread_mutex_unlock(&r->lock);
	return j;
}

/* After trouble the database is opened anew: the store may have done so, too. */
static void do_job(struct console_reader *r, struct reader_job *j)
{
	j->is_good = true;
	if (!r->store)
		r->store = store_reader_open(r->directory, &j->e);
	j->is_good = r->store && j->work(j, r->store);
	if (j->is_good)
		return;
	store_reader_close(r->store);
	r->store = NULL;
}

static void *reader_run(void *arg)
{
	struct console_reader *r = arg;
	struct reader_job *j;

	while ((j = take_job(r))) {
		do_job(r, j);
		net_chan_post(r->back, &j->note);
	}
	store_reader_close(r->store);
	return NULL;
}

static void job_done(void *arg, struct net_note *note)
{
	struct reader_job *j = (struct reader_job *)(void *)note;

	(void)arg;
	j->done(j);
}

void console_reader_ask(struct console_reader *r, struct reader_job *j)
{
	j->next = NULL;
	pthread_mutex_lock(&r->lock);
	*r->last = j;
	r->last = &j->next;
	pthread_cond_signal(&r->is_wanted);
	pthread_mutex_unlock(&r->lock);
}

struct console_reader *
console_reader_new(struct net_loop *l, const char *directory, struct error *e)
{
	struct console_reader *r = base_alloc(sizeof(*r));
	int code;

	r->last = &r->first;
	r->directory = directory;
	r->back = net_chan_new(l, job_done, r);
	net_chan_hold(r->back);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->is_wanted, NULL);
	code = pthread_create(&r->thread, NULL, reader_run, r);
	if (code == 0)
		return r;
	(void)error_set(e, ERROR_SYSTEM, "a thread: %s", strerror(code));
	net_chan_release(r->back);
	net_chan_free(r->back);
	pthread_cond_destroy(&r->is_wanted);
	pthread_mutex_destroy(&r->lock);
	free(r);
	return NULL;
}

void console_reader_free(struct console_reader *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	CHECK(!r->first);
	r->is_ending = true;
	pthread_cond_signal(&r->is_wanted);
	pthread_mutex_unlock(&r->lock);
	CHECK(pthread_join(r->thread, NULL) == 0);
	net_chan_release(r->back);
	net_chan_free(r->back);
	pthread_cond_destroy(&r->is_wanted);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
