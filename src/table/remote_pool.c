#include "table/remote_pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "os/os.h"

enum {
	POOL_IDLE_MS = 10 * 1000, /* this and the next as Postfix's client of socketmap */
	POOL_AGE_MS = 100 * 1000,
	POOL_DOWN_MS = 5000,  /* a source that is down is not asked again so long */
	POOL_CLOSE_MS = 1000, /* waited for threads at the end */
};

struct remote_thread {
	struct remote_pool *pool;
	struct remote_thread *next_idle; /* or the next of those that ended */
	pthread_t id;
	pthread_cond_t woken;
	struct remote_job *job; /* handed over while idle */
	/* its own: */
	void *connection;
	uint64_t opened_at;
	bool is_refused; /* it could not be opened */
};

/* Lives until the loop's side and the last thread are done with it. */
struct remote_pool {
	struct remote_options o;
	int stop_fd;
	pthread_mutex_t mutex; /* of the rest */
	pthread_cond_t ended;  /* n_threads became 0 */
	struct net_chan *chan;
	struct remote_job *first, **last; /* the queue */
	struct remote_thread *idle;       /* the one that worked last comes first */
	struct remote_thread *done;       /* ended, and not joined yet */
	size_t n_threads;
	bool is_closed;       /* no new jobs, and nothing is posted */
	bool is_left;         /* by the loop's side */
	uint64_t answered_at; /* when the source last answered */
	uint64_t down_until;
	char down_why[256];
};

/* ---- for engines ---- */

uint64_t remote_left_ms(const struct remote_call *call)
{
	uint64_t now = os_now_ms();

	return call->deadline_ms > now ? call->deadline_ms - now : 0;
}

bool remote_wait(const struct remote_call *call, int fd, short events, struct error *why)
{
	struct pollfd fds[] = { { .fd = fd, .events = events },
				{ .fd = call->stop_fd, .events = POLLIN } };

	for (;;) {
		uint64_t left = remote_left_ms(call);
		int n = poll(fds, ARRAY_LEN(fds), left < INT32_MAX ? (int)left : INT32_MAX);
		if (n < 0 && errno != EINTR)
			return error_set(why, ERROR_SYSTEM, "poll: %s", strerror(errno));
		if (n > 0 && fds[1].revents != 0)
			return error_set(why, ERROR_TEMP, "the table was closed");
		if (n > 0)
			return true;
		if (n == 0 && left == 0)
			return error_set(why, ERROR_TEMP, "no answer in time");
	}
}

const char *remote_quote(struct str said, char out[REMOTE_QUOTE_MAX])
{
	size_t n = 0;

	while (said.n > 0 && n < REMOTE_QUOTE_MAX - 1) {
		size_t shown = str_shown_len(str_first(said, REMOTE_QUOTE_MAX - 1 - n));
		memcpy(out + n, said.p, shown);
		n += shown;
		said = str_from(said, shown);
		if (said.n > 0 && n < REMOTE_QUOTE_MAX - 1) {
			out[n++] = '?';
			said = str_from(said, 1);
		}
	}
	out[n] = '\0';
	return out;
}

/* ---- jobs ---- */

struct remote_job *remote_job_new(struct str key, uint64_t deadline_ms)
{
	struct remote_job *j = base_alloc(sizeof(*j) + key.n + 1);
	char *copy = (char *)(j + 1);

	if (key.n > 0)
		memcpy(copy, key.p, key.n);
	j->key = str_span(copy, key.n);
	j->deadline_ms = deadline_ms;
	buf_init(&j->text, TABLE_VALUE_MAX);
	return j;
}

void remote_job_free(struct remote_job *j)
{
	buf_fini(&j->text);
	free(j);
}

static void job_fail(struct remote_job *j, struct str why)
{
	bool fits;

	j->status = ANSWER_FAILED;
	buf_reset(&j->text);
	fits = buf_add(&j->text, why);
	CHECK(fits);
}

/* ---- under the mutex ---- */

static void pool_post(struct remote_pool *p, struct remote_job *j)
{
	if (p->is_closed)
		remote_job_free(j);
	else
		net_chan_post(p->chan, &j->note);
}

static bool pool_is_down(const struct remote_pool *p, struct error *why)
{
	uint64_t now = os_now_ms();

	if (p->down_until <= now)
		return false;
	error_set(why, ERROR_TEMP, "%s; it is asked again in %u s", p->down_why,
		  (unsigned)((p->down_until - now + 999) / 1000));
	return true;
}

/* One lookup that began at `since` got no answer. If others got theirs meanwhile, it is that
 * lookup's own trouble. */
static void pool_set_down(struct remote_pool *p, uint64_t since, struct str why)
{
	if (p->answered_at >= since)
		return;
	p->down_until = os_now_ms() + POOL_DOWN_MS;
	why = str_first(why, sizeof(p->down_why) - 1);
	memcpy(p->down_why, why.p, why.n);
	p->down_why[why.n] = '\0';
}

static void pool_enqueue(struct remote_pool *p, struct remote_job *j)
{
	j->next = NULL;
	j->is_queued = true;
	*p->last = j;
	p->last = &j->next;
}

static void pool_dequeue(struct remote_pool *p, struct remote_job **at)
{
	struct remote_job *j = *at;

	*at = j->next;
	if (p->last == &j->next)
		p->last = at;
	j->is_queued = false;
}

/* The next job that is worth a try; what waited while the source went down is answered at once. */
static struct remote_job *pool_next(struct remote_pool *p)
{
	struct error why;

	while (p->first != NULL) {
		struct remote_job *j = p->first;
		pool_dequeue(p, &p->first);
		if (!pool_is_down(p, &why))
			return j;
		job_fail(j, error_text(&why));
		pool_post(p, j);
	}
	return NULL;
}

/* ---- the threads ---- */

static void thread_close(struct remote_thread *t)
{
	if (t->connection != NULL)
		t->pool->o.engine->close(t->connection);
	t->connection = NULL;
}

static bool thread_open(struct remote_thread *t, const struct remote_call *call, struct error *why)
{
	const struct remote_options *o = &t->pool->o;

	t->connection = o->engine->open(o->config, call, why);
	t->opened_at = os_now_ms();
	t->is_refused = t->connection == NULL;
	return !t->is_refused;
}

static enum remote_status
thread_ask_once(struct remote_thread *t, struct remote_job *j, struct error *why)
{
	struct remote_call call = { .deadline_ms = j->deadline_ms, .stop_fd = t->pool->stop_fd };

	buf_reset(&j->text);
	if (t->connection == NULL && !thread_open(t, &call, why))
		return REMOTE_BROKEN;
	enum remote_status status =
		t->pool->o.engine->lookup(t->connection, &call, j->key, &j->text, why);
	if (status == REMOTE_BROKEN || status == REMOTE_LOST)
		thread_close(t);
	return status;
}

static enum remote_status
thread_ask(struct remote_thread *t, struct remote_job *j, struct error *why)
{
	if (os_now_ms() - t->opened_at >= t->pool->o.age_ms)
		thread_close(t);

	bool is_kept = t->connection != NULL;
	enum remote_status status = thread_ask_once(t, j, why);

	if (status == REMOTE_LOST && is_kept)
		status = thread_ask_once(t, j, why);
	return status;
}

static void thread_serve(struct remote_thread *t, struct remote_job *j)
{
	struct remote_pool *p = t->pool;
	uint64_t began = os_now_ms();
	struct error why = { 0 };
	enum remote_status status = thread_ask(t, j, &why);
	bool is_answer = status != REMOTE_BROKEN && status != REMOTE_LOST;
	bool is_late = os_now_ms() >= j->deadline_ms;

	if (status == REMOTE_FOUND)
		j->status = ANSWER_FOUND;
	else if (status == REMOTE_NONE)
		j->status = ANSWER_NONE;
	else
		job_fail(j, error_text(&why));

	pthread_mutex_lock(&p->mutex);
	if (is_answer) {
		p->answered_at = os_now_ms();
		p->down_until = 0;
	} else if (t->is_refused || is_late) {
		pool_set_down(p, began, error_text(&why));
	}
	pool_post(p, j);
	pthread_mutex_unlock(&p->mutex);
}

static struct timespec in_ms(uint64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	ms += (uint64_t)at.tv_nsec / 1000000;
	at.tv_sec += (time_t)(ms / 1000);
	at.tv_nsec = (long)(ms % 1000) * 1000000;
	return at;
}

/* Waits as long as an idle connection is kept. Under the mutex. */
static struct remote_job *thread_wait(struct remote_thread *t)
{
	struct remote_pool *p = t->pool;
	struct timespec at = in_ms(p->o.idle_ms);
	int error = 0;

	t->job = NULL;
	t->next_idle = p->idle;
	p->idle = t;
	while (t->job == NULL && !p->is_closed && error != ETIMEDOUT)
		error = pthread_cond_timedwait(&t->woken, &p->mutex, &at);
	if (t->job != NULL)
		return t->job; /* whoever gave it has taken us off the list */

	struct remote_thread **link = &p->idle;
	while (*link != t)
		link = &(*link)->next_idle;
	*link = t->next_idle;
	return NULL;
}

/* Gives the mutex back, and the pool with it when nobody is left. */
static void pool_leave(struct remote_pool *p)
{
	bool is_last = p->is_left && p->n_threads == 0;

	pthread_mutex_unlock(&p->mutex);
	if (!is_last)
		return;
	if (p->o.config_free != NULL)
		p->o.config_free(p->o.config);
	if (p->stop_fd >= 0)
		close(p->stop_fd);
	pthread_cond_destroy(&p->ended);
	pthread_mutex_destroy(&p->mutex);
	free(p);
}

/* The end of a thread. Who uses the pool waits for it, so that what libraries keep for each thread
 * is gone with the table. Under the mutex. */
static void thread_end(struct remote_thread *t)
{
	struct remote_pool *p = t->pool;

	pthread_cond_destroy(&t->woken);
	if (p->is_left) {
		pthread_detach(t->id);
		free(t);
	} else {
		t->next_idle = p->done;
		p->done = t;
	}
	if (--p->n_threads == 0)
		pthread_cond_signal(&p->ended);
	pool_leave(p);
}

/* Those that ended need nothing of the pool any more. Under the mutex. */
static void pool_join(struct remote_pool *p)
{
	while (p->done != NULL) {
		struct remote_thread *t = p->done;
		p->done = t->next_idle;
		pthread_join(t->id, NULL);
		free(t);
	}
}

/* Without a connection it does not wait: a new thread is as good. */
static void *thread_main(void *arg)
{
	struct remote_thread *t = arg;
	struct remote_pool *p = t->pool;
	struct remote_job *j = t->job;

	for (;;) {
		if (j != NULL)
			thread_serve(t, j);
		else if (t->connection != NULL)
			thread_close(t);
		pthread_mutex_lock(&p->mutex);
		j = pool_next(p);
		if (j == NULL && t->connection != NULL)
			j = thread_wait(t);
		if (j == NULL && t->connection == NULL)
			break;
		pthread_mutex_unlock(&p->mutex);
	}
	thread_end(t);
	return NULL;
}

static void cond_init(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	CHECK(pthread_condattr_init(&attr) == 0);
	CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(c, &attr) == 0);
	pthread_condattr_destroy(&attr);
}

/* Signals are the main thread's. */
static int thread_start(struct remote_thread *t)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&t->id, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static bool pool_start_thread(struct remote_pool *p, struct remote_job *j, struct error *why)
{
	struct remote_thread *t = base_alloc(sizeof(*t));
	int error;

	pool_join(p);
	t->pool = p;
	t->job = j;
	cond_init(&t->woken);
	error = thread_start(t);
	if (error == 0) {
		p->n_threads++;
		return true;
	}
	pthread_cond_destroy(&t->woken);
	free(t);
	return error_set(why, ERROR_SYSTEM, "no thread can be had: %s", strerror(error));
}

/* ---- from the loop's thread ---- */

struct remote_pool *remote_pool_new(const struct remote_options *o, struct net_chan *chan)
{
	struct remote_pool *p = base_alloc(sizeof(*p));

	p->o = *o;
	if (p->o.idle_ms == 0)
		p->o.idle_ms = POOL_IDLE_MS;
	if (p->o.age_ms == 0)
		p->o.age_ms = POOL_AGE_MS;
	if (p->o.n_connections == 0 || p->o.n_connections > TABLE_REMOTE_CONNECTIONS_MAX)
		p->o.n_connections = TABLE_REMOTE_CONNECTIONS_MAX;
	p->chan = chan;
	p->last = &p->first;
	p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); /* -1: waits end at their deadline */
	CHECK(pthread_mutex_init(&p->mutex, NULL) == 0);
	cond_init(&p->ended);
	return p;
}

bool remote_pool_submit(struct remote_pool *p, struct remote_job *j, struct error *why)
{
	bool is_taken = true;

	pthread_mutex_lock(&p->mutex);
	if (pool_is_down(p, why)) {
		is_taken = false;
	} else if (p->idle != NULL) {
		struct remote_thread *t = p->idle;
		p->idle = t->next_idle;
		t->job = j;
		pthread_cond_signal(&t->woken);
	} else if (p->n_threads >= p->o.n_connections || !pool_start_thread(p, j, why)) {
		is_taken = p->n_threads > 0;
		if (is_taken)
			pool_enqueue(p, j);
	}
	pthread_mutex_unlock(&p->mutex);
	return is_taken;
}

bool remote_pool_withdraw(struct remote_pool *p, struct remote_job *j)
{
	bool is_ours;

	pthread_mutex_lock(&p->mutex);
	is_ours = j->is_queued;
	if (is_ours) {
		struct remote_job **at = &p->first;
		while (*at != j)
			at = &(*at)->next;
		pool_dequeue(p, at);
	}
	pthread_mutex_unlock(&p->mutex);
	return is_ours;
}

void remote_pool_blame(struct remote_pool *p, const struct remote_job *j)
{
	pthread_mutex_lock(&p->mutex);
	pool_set_down(p, j->deadline_ms - p->o.timeout_ms, STR("no answer in time"));
	pthread_mutex_unlock(&p->mutex);
}

void remote_pool_close(struct remote_pool *p)
{
	struct timespec at = in_ms(POOL_CLOSE_MS);
	uint64_t one = 1;
	int error = 0;

	pthread_mutex_lock(&p->mutex);
	p->is_closed = true;
	while (p->first != NULL) {
		struct remote_job *j = p->first;
		pool_dequeue(p, &p->first);
		remote_job_free(j);
	}
	for (struct remote_thread *t = p->idle; t != NULL; t = t->next_idle)
		pthread_cond_signal(&t->woken);
	if (p->stop_fd >= 0 && write(p->stop_fd, &one, sizeof(one)) < 0)
		error = ETIMEDOUT; /* never: the counter has room */
	while (p->n_threads > 0 && error != ETIMEDOUT)
		error = pthread_cond_timedwait(&p->ended, &p->mutex, &at);
	pool_join(p);
	p->is_left = true;
	pool_leave(p);
}
