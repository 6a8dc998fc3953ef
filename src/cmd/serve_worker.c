#include "cmd/serve_worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/serve_intake.h"
#include "deliver/pool.h"
#include "os/log.h"

/* A configuration on this worker's loop. It goes a moment after its last use, for that may have
 * been inside a call of its own lookups. */
struct worker_site {
	struct queue_site queue;
	struct cmd_site site;
	struct serve_worker *worker;
	struct arena *arena;
	struct net_timer *end;
};

enum worker_note_kind { WORKER_RELOAD, WORKER_STOP, WORKER_HURRY, WORKER_LOOK, WORKER_SET_MOST };

struct worker_note {
	struct net_note note;
	enum worker_note_kind kind;
	struct serve_generation *generation;
	unsigned number; /* of a reload */
	uint64_t limit_ms;
	unsigned most;
	enum console_look_how how;
	struct serve_view *view;
	struct net_chan *to;
};

struct serve_worker {
	struct serve_worker_options options;
	struct net_loop *loop;
	struct net_chan *notes;
	struct queue *queue;
	struct serve_intake *intake;
	uint64_t stop_at; /* the end of a stop: monotonic */
	bool is_queue_stopping;
	struct net_note ended;
	struct deliver_pool *pool; /* outlives configurations: keys tell them apart */
	struct log_counters counters;
	_Atomic unsigned n_reloads; /* told */
	pthread_t thread;
	bool has_thread;
};

static void worker_log(const struct serve_worker *w, enum log_event_id id, struct str reason)
{
	struct log_value v = { .field = FIELD_reason, .text = reason };
	struct log_event e = { .id = id, .values = &v, .n_values = 1 };

	os_log_event(w->options.log, &e);
}

/* ---- a configuration ---- */

static void worker_finding(void *arg, const struct table_finding *f)
{
	struct arena *a = arena_new();

	worker_log(arg, f->is_error ? EVENT_trouble : EVENT_notice, cmd_table_finding_text(a, f));
	arena_free(a);
}

static void site_end(void *arg)
{
	struct worker_site *s = arg;

	net_timer_free(s->end);
	cmd_site_close(&s->site);
	arena_free(s->arena);
	free(s);
}

static void site_gone(struct queue_site *q)
{
	struct worker_site *s = (struct worker_site *)(void *)q;

	net_timer_set(s->end, 0);
}

static struct queue_site *site_new(struct serve_worker *w, struct conf *conf, struct error *e)
{
	struct worker_site *s = base_alloc(sizeof(*s));
	struct cmd_site_options o = {
		.conf = conf_ref(conf),
		.loop = w->loop,
		.found = worker_finding,
		.arg = w,
	};

	s->worker = w;
	s->arena = arena_new();
	s->queue.refs = 1;
	s->queue.gone = site_gone;
	s->queue.deliver = &s->site.deliver;
	s->end = net_timer_new(w->loop, site_end, s);
	s->queue.settings = queue_settings_new(s->arena, conf, e);
	bool is_open = cmd_site_open(&s->site, &o, e);
	s->site.deliver.pool = w->pool;
	if (is_open && s->queue.settings && cmd_site_open_tls(&s->site, e))
		return &s->queue;
	if (is_open)
		cmd_site_close(&s->site);
	net_timer_free(s->end);
	arena_free(s->arena);
	free(s);
	return NULL;
}

/* ---- notes of the main thread ---- */

static void worker_stopped(void *arg)
{
	struct serve_worker *w = arg;

	net_loop_stop(w->loop);
}

/* Reloads that come faster than they are taken must not keep the worker from its mail: what the
 * next note replaces is passed over. */
static void worker_take(struct serve_worker *w, struct serve_generation *g, unsigned number)
{
	struct error e;

	if (number != atomic_load(&w->n_reloads)) {
		serve_generation_unref(g);
		return;
	}
	struct queue_site *site = site_new(w, g->conf, &e);

	if (site)
		queue_set_site(w->queue, site);
	if (!site || !serve_intake_take(w->intake, g, &e))
		worker_log(w, EVENT_reload_refused, error_text(&e));
	serve_generation_unref(g);
}

/* Nobody brings mail any more: what the queue has under way may end, too. */
static void worker_intake_ended(void *arg)
{
	struct serve_worker *w = arg;
	uint64_t now = net_loop_now(w->loop);

	w->is_queue_stopping = true;
	queue_stop(w->queue, w->stop_at > now ? w->stop_at - now : 0, worker_stopped, w);
}

/* What is under way there has the same time as those who bring mail. */
static void worker_stop(struct serve_worker *w, uint64_t limit_ms)
{
	w->stop_at = net_loop_now(w->loop) + limit_ms;
	queue_rest(w->queue);
	serve_intake_stop(w->intake, limit_ms, worker_intake_ended, w);
}

static void worker_hurry(struct serve_worker *w)
{
	w->stop_at = 0;
	serve_intake_hurry(w->intake);
	if (w->is_queue_stopping)
		queue_hurry(w->queue);
}

static void look_count(void *arg, const struct sched_dest_view *d)
{
	size_t *n = arg;

	(void)d;
	++*n;
}

struct looking {
	struct serve_view *view;
	struct console_blocked *blocked;
	size_t most;
	uint64_t now;
};

static struct console_destination
destination_of(const struct looking *l, const struct sched_dest_view *d)
{
	return (struct console_destination){
		.name = d->name,
		.window = d->window,
		.attempts = d->n_attempts,
		.recipients = d->n_rcpts,
		.blocked_ms = d->blocked_until > l->now ? d->blocked_until - l->now : 0,
	};
}

static void look_blocked(void *arg, const struct sched_dest_view *view)
{
	struct looking *l = arg;
	struct console_destination d = destination_of(l, view);

	if (d.window > 0 && d.blocked_ms == 0)
		return;
	l->view->n_blocked++;
	console_blocked_add(l->blocked, &d);
}

static void look_destination(void *arg, const struct sched_dest_view *view)
{
	struct looking *l = arg;
	struct serve_view *v = l->view;

	if (v->n == l->most) {
		v->is_cut = true;
		return;
	}
	v->v[v->n] = destination_of(l, view);
	v->v[v->n].name = arena_str(v->arena, view->name);
	v->n++;
}

static struct console_sessions worker_sessions(const struct serve_worker *w)
{
	struct listen_totals in = serve_intake_totals(w->intake);

	return (struct console_sessions){
		.smtp = in.smtp,
		.smtps = in.smtps,
		.lmtp = in.lmtp,
		.tls = in.tls,
		.outbound = deliver_pool_open(w->pool),
		.idle = deliver_pool_count(w->pool),
	};
}

static void worker_look_blocked(struct serve_worker *w, struct looking *l)
{
	l->blocked = console_blocked_new();
	queue_each_destination(w->queue, look_blocked, l);
	l->view->n = console_blocked_take(l->blocked, l->view->arena, &l->view->v);
	console_blocked_free(l->blocked);
}

static void worker_look_all(struct serve_worker *w, struct looking *l)
{
	queue_each_destination(w->queue, look_count, &l->most);
	if (l->most > CONTROL_DESTINATIONS_MAX)
		l->most = CONTROL_DESTINATIONS_MAX;
	l->view->v = ARENA_ARRAY(l->view->arena, l->most + 1, struct console_destination);
	queue_each_destination(w->queue, look_destination, l);
}

static void worker_look(struct serve_worker *w, const struct worker_note *n)
{
	struct serve_view *v = n->view;
	struct looking l = { .view = v, .now = net_loop_now(w->loop) };

	v->totals = queue_totals(w->queue);
	v->sessions = worker_sessions(w);
	switch (n->how) {
	case CONSOLE_LOOK_TOTALS:
		break;
	case CONSOLE_LOOK_BLOCKED:
		worker_look_blocked(w, &l);
		break;
	case CONSOLE_LOOK_ALL:
		worker_look_all(w, &l);
		break;
	}
	net_chan_post(n->to, &v->note);
}

static void worker_received(void *arg, struct net_note *note)
{
	struct serve_worker *w = arg;
	struct worker_note *n = (struct worker_note *)(void *)note;

	switch (n->kind) {
	case WORKER_RELOAD:
		worker_take(w, n->generation, n->number);
		break;
	case WORKER_STOP:
		worker_stop(w, n->limit_ms);
		break;
	case WORKER_HURRY:
		worker_hurry(w);
		break;
	case WORKER_LOOK:
		worker_look(w, n);
		break;
	case WORKER_SET_MOST:
		queue_set_most(w->queue, n->most);
		deliver_pool_set_most(w->pool, n->most);
		break;
	}
	free(n);
}

static void worker_tell(struct serve_worker *w, enum worker_note_kind kind,
			struct serve_generation *g, uint64_t limit_ms)
{
	struct worker_note *n = base_alloc(sizeof(*n));

	n->kind = kind;
	n->generation = g ? serve_generation_ref(g) : NULL;
	n->limit_ms = limit_ms;
	if (kind == WORKER_RELOAD)
		n->number = atomic_fetch_add(&w->n_reloads, 1) + 1;
	net_chan_post(w->notes, &n->note);
}

void serve_worker_reload(struct serve_worker *w, struct serve_generation *g)
{
	worker_tell(w, WORKER_RELOAD, g, 0);
}

void serve_worker_set_most(struct serve_worker *w, unsigned sessions)
{
	struct worker_note *n = base_alloc(sizeof(*n));

	n->kind = WORKER_SET_MOST;
	n->most = sessions;
	net_chan_post(w->notes, &n->note);
}

void serve_worker_look(struct serve_worker *w, enum console_look_how how, struct net_chan *to,
		       void *tag)
{
	struct worker_note *n = base_alloc(sizeof(*n));

	n->kind = WORKER_LOOK;
	n->how = how;
	n->to = to;
	n->view = base_alloc(sizeof(*n->view));
	n->view->member = w->options.member;
	n->view->tag = tag;
	n->view->arena = arena_new();
	net_chan_post(w->notes, &n->note);
}

void serve_view_free(struct serve_view *v)
{
	if (!v)
		return;
	arena_free(v->arena);
	free(v);
}

void serve_worker_stop(struct serve_worker *w, uint64_t limit_ms)
{
	worker_tell(w, WORKER_STOP, NULL, limit_ms);
}

void serve_worker_hurry(struct serve_worker *w)
{
	worker_tell(w, WORKER_HURRY, NULL, 0);
}

/* ---- the thread ---- */

static void *worker_run(void *arg)
{
	struct serve_worker *w = arg;
	struct error e;

	if (!queue_start(w->queue, &e))
		worker_log(w, EVENT_trouble, error_text(&e));
	net_loop_run(w->loop);
	net_chan_post(w->options.ended, &w->ended);
	return NULL;
}

bool serve_worker_start(struct serve_worker *w, struct error *e)
{
	int code = pthread_create(&w->thread, NULL, worker_run, w);

	w->has_thread = code == 0;
	return code == 0 || error_set(e, ERROR_SYSTEM, "a thread: %s", strerror(code));
}

void serve_worker_join(struct serve_worker *w)
{
	if (w->has_thread)
		CHECK(pthread_join(w->thread, NULL) == 0);
	w->has_thread = false;
}

static bool worker_listen(struct serve_worker *w, struct error *e)
{
	struct serve_intake_options o = {
		.loop = w->loop,
		.queue = w->queue,
		.store = w->options.store,
		.log = w->options.log,
		.counters = &w->counters,
		.clients = w->options.clients,
	};

	w->intake = serve_intake_new(&o);
	return serve_intake_take(w->intake, w->options.generation, e);
}

struct serve_worker *serve_worker_new(const struct serve_worker_options *o, struct error *e)
{
	struct serve_worker *w = base_alloc(sizeof(*w));
	struct queue_options q = {
		.team = o->team,
		.member = o->member,
		.store = o->store,
		.log = o->log,
		.counters = &w->counters,
	};

	w->options = *o;
	w->loop = net_loop_new();
	w->notes = net_chan_new(w->loop, worker_received, w);
	net_chan_hold(w->notes);
	w->pool = deliver_pool_new(w->loop);
	q.loop = w->loop;
	q.site = site_new(w, o->generation->conf, e);
	if (q.site)
		w->queue = queue_new(&q, e);
	if (w->queue && worker_listen(w, e))
		return w;
	serve_worker_free(w);
	return NULL;
}

void serve_worker_free(struct serve_worker *w)
{
	struct net_note *note;

	CHECK(!w->has_thread);
	serve_intake_free(w->intake);
	queue_free(w->queue);
	deliver_pool_free(w->pool);
	while ((note = net_chan_take(w->notes))) {
		struct worker_note *n = (struct worker_note *)(void *)note;
		serve_generation_unref(n->generation);
		if (n->kind == WORKER_LOOK)
			net_chan_post(n->to, &n->view->note);
		free(n);
	}
	net_chan_release(w->notes);
	net_chan_free(w->notes);
	net_loop_run(w->loop); /* what ends a moment later */
	net_loop_free(w->loop);
	free(w);
}

const struct log_counters *serve_worker_counters(const struct serve_worker *w)
{
	return &w->counters;
}
