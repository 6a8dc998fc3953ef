#include "table/remote.h"

#include <stdlib.h>

#include "base/limits.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "os/os.h"
#include "table/remote_pool.h"

enum {
	REMOTE_TIMEOUT_MS = 10 * 1000,
	/* After the deadline: the engine's own words say more. */
	REMOTE_GRACE_MS = 100,
};

struct remote {
	const struct table_context *context;
	struct net_loop *loop;
	bool (*answered)(void *table, struct table_lookup *l);
	void *table;
	uint64_t timeout_ms;
	struct net_chan *chan;
	struct net_timer *timer; /* set while lookups wait */
	struct remote_pool *pool;
	struct remote_job *oldest, *newest; /* those that are waited for, by deadline */
	size_t n_jobs;
};

/* ---- what is waited for ---- */

static uint64_t remote_due(struct remote *r, const struct remote_job *j)
{
	uint64_t now = os_now_ms(), due = j->deadline_ms + REMOTE_GRACE_MS;

	return net_loop_now(r->loop) + (due > now ? due - now : 0);
}

static void remote_link(struct remote *r, struct remote_job *j)
{
	j->older = r->newest;
	if (r->newest != NULL)
		r->newest->newer = j;
	else
		r->oldest = j;
	r->newest = j;
	if (r->n_jobs++ > 0)
		return;
	net_chan_hold(r->chan);
	net_timer_set(r->timer, remote_due(r, j));
}

static void remote_unlink(struct remote *r, struct remote_job *j)
{
	if (j->older != NULL)
		j->older->newer = j->newer;
	else
		r->oldest = j->newer;
	if (j->newer != NULL)
		j->newer->older = j->older;
	else
		r->newest = j->older;
	if (--r->n_jobs > 0)
		return;
	net_chan_release(r->chan);
	net_timer_stop(r->timer);
}

/* Nobody waits for this job any more. */
static void remote_let_go(struct remote *r, struct remote_job *j)
{
	remote_unlink(r, j);
	j->lookup = NULL;
	if (remote_pool_withdraw(r->pool, j))
		remote_job_free(j);
}

/* ---- answers ---- */

void remote_fail(const struct remote *r, struct table_lookup *l, struct str why)
{
	l->answer.status = ANSWER_FAILED;
	l->answer.failure = arena_fmt(l->query.arena, STR_FMT ": " STR_FMT,
				      STR_ARG(r->context->source), STR_ARG(why));
}

static void remote_answer(const struct remote *r, struct table_lookup *l, enum answer_status status,
			  struct str text)
{
	if (status == ANSWER_FAILED) {
		remote_fail(r, l, text);
	} else if (status == ANSWER_FOUND && str_contains(text, '\0')) {
		remote_fail(r, l, STR("the value has a NUL"));
	} else if (status == ANSWER_FOUND && r->context->options.is_utf8 && !domain_is_utf8(text)) {
		remote_fail(r, l, STR("the value is not UTF-8"));
	} else {
		l->answer.status = status;
		l->answer.value = text;
	}
}

static void remote_tell(const struct remote *r, struct table_lookup *l)
{
	if (r->answered == NULL || r->answered(r->table, l))
		table_lookup_answered(l);
}

/* The caller may free the table when it is answered. */
static void remote_received(void *arg, struct net_note *n)
{
	struct remote *r = arg;
	struct remote_job *j = (struct remote_job *)n;
	struct table_lookup *l = j->lookup;

	if (l != NULL) {
		remote_unlink(r, j);
		remote_answer(r, l, j->status, buf_str(&j->text));
		remote_tell(r, l);
	}
	remote_job_free(j);
}

/* An engine that does not keep to its deadline is not waited for. One lookup at a time: the next
 * one is due at once, if it is. */
static void remote_overdue(void *arg)
{
	struct remote *r = arg;
	struct remote_job *j = r->oldest;
	struct table_lookup *l = j->lookup;

	if (j->deadline_ms + REMOTE_GRACE_MS > os_now_ms()) {
		net_timer_set(r->timer, remote_due(r, j));
		return;
	}
	remote_pool_blame(r->pool, j);
	remote_let_go(r, j);
	if (r->oldest != NULL)
		net_timer_set(r->timer, remote_due(r, r->oldest));
	remote_fail(r, l, STR("no answer in time"));
	remote_tell(r, l);
}

/* ---- from the type ---- */

struct remote *remote_new(const struct table_context *c, const struct remote_options *options)
{
	struct remote *r = base_alloc(sizeof(*r));
	const struct conf *conf = c->options.conf;
	struct remote_options o = *options;

	if (o.timeout_ms == 0)
		o.timeout_ms = conf ? conf_time_s(conf, CONF_hopseal_table_timeout) * 1000
				    : REMOTE_TIMEOUT_MS;
	r->context = c;
	r->answered = o.answered;
	r->table = o.table;
	r->timeout_ms = o.timeout_ms;
	r->loop = c->options.loop;
	if (r->loop != NULL) {
		r->chan = net_chan_new(r->loop, remote_received, r);
		r->timer = net_timer_new(r->loop, remote_overdue, r);
	}
	r->pool = remote_pool_new(&o, r->chan);
	return r;
}

bool remote_lookup(struct remote *r, struct table_lookup *l, struct str key)
{
	struct remote_job *j;
	struct error why;

	if (l->folded.p == NULL || str_contains(l->key, '\0'))
		return true;
	if (r->loop == NULL) {
		remote_fail(r, l, STR("no server is asked here"));
		return true;
	}
	if (r->n_jobs >= TABLE_REMOTE_WAITING_MAX) {
		remote_fail(r, l, STR("too many lookups wait for an answer"));
		return true;
	}
	j = remote_job_new(key, os_now_ms() + r->timeout_ms);
	j->lookup = l;
	if (!remote_pool_submit(r->pool, j, &why)) {
		remote_job_free(j);
		remote_fail(r, l, error_text(&why));
		return true;
	}
	l->remote = j;
	remote_link(r, j);
	return false;
}

bool remote_wants_whole_keys(const void *table)
{
	(void)table;
	return true;
}

void remote_cancel(struct remote *r, struct table_lookup *l)
{
	remote_let_go(r, l->remote);
}

void remote_free(struct remote *r)
{
	struct net_note *n;

	CHECK(r->n_jobs == 0);
	remote_pool_close(r->pool);
	while (r->chan != NULL && (n = net_chan_take(r->chan)) != NULL)
		remote_job_free((struct remote_job *)n);
	net_chan_free(r->chan);
	net_timer_free(r->timer);
	free(r);
}
