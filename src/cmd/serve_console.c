#include "cmd/serve_console.h"

#include <stdlib.h>

#include "os/os.h"
#include "os/privileges.h"

struct serve_console {
	struct serve_console_options options;
	struct console_sockets sockets;
	struct console *console;
	struct net_chan *answers;
	struct list looks;
	struct arena *arena;
	bool has_group;
	unsigned group;
};

/* ---- looking at all workers ---- */

struct console_look {
	struct list link;
	struct serve_console *console;
	enum console_look_how how;
	unsigned waiting; /* workers */
	struct serve_view **views;
	bool is_forgotten;
	void (*done)(void *arg, const struct console_view *v);
	void *arg;
};

static void look_end(struct console_look *l)
{
	for (unsigned i = 0; i < l->console->options.n_workers; i++)
		serve_view_free(l->views[i]);
	list_remove(&l->link);
	free(l->views);
	free(l);
}

static void add_sessions(struct console_sessions *sum, const struct console_sessions *s)
{
	sum->smtp += s->smtp;
	sum->smtps += s->smtps;
	sum->lmtp += s->lmtp;
	sum->tls += s->tls;
	sum->outbound += s->outbound;
	sum->idle += s->idle;
}

static size_t
look_all(const struct console_look *l, struct arena *a, struct console_destination **out)
{
	size_t n = 0;

	for (unsigned i = 0; i < l->console->options.n_workers; i++)
		n += l->views[i]->n;
	*out = ARENA_ARRAY(a, n + 1, struct console_destination);
	n = 0;
	for (unsigned i = 0; i < l->console->options.n_workers; i++)
		for (size_t k = 0; k < l->views[i]->n; k++)
			(*out)[n++] = l->views[i]->v[k];
	return n;
}

static size_t
look_blocked(const struct console_look *l, struct arena *a, struct console_destination **out)
{
	struct console_blocked *b = console_blocked_new();
	size_t n;

	for (unsigned i = 0; i < l->console->options.n_workers; i++)
		for (size_t k = 0; k < l->views[i]->n; k++)
			console_blocked_add(b, &l->views[i]->v[k]);
	n = console_blocked_take(b, a, out);
	console_blocked_free(b);
	return n;
}

static void look_tell(struct console_look *l)
{
	unsigned n = l->console->options.n_workers;
	struct console_view v = { .workers = n };
	struct console_destination *all;
	struct arena *a = arena_new();

	v.n = (l->how == CONSOLE_LOOK_BLOCKED ? look_blocked : look_all)(l, a, &all);
	v.v = all;
	for (unsigned i = 0; i < n; i++) {
		const struct serve_view *one = l->views[i];
		v.n_blocked += one->n_blocked;
		v.totals.n_dests += one->totals.n_dests;
		v.totals.n_dead += one->totals.n_dead;
		v.totals.n_attempts += one->totals.n_attempts;
		v.totals.n_parts += one->totals.n_parts;
		v.totals.n_rcpts += one->totals.n_rcpts;
		add_sessions(&v.sessions, &one->sessions);
		v.is_cut |= one->is_cut;
	}
	l->done(l->arg, &v);
	arena_free(a);
}

static void look_answered(void *arg, struct net_note *note)
{
	struct serve_view *view = (struct serve_view *)(void *)note;
	struct console_look *l = view->tag;

	(void)arg;
	l->views[view->member] = view;
	if (--l->waiting > 0)
		return;
	if (l->is_forgotten)
		look_end(l);
	else
		look_tell(l);
}

static struct console_look *look_new(void *arg, enum console_look_how how,
				     void (*done)(void *done_arg, const struct console_view *v),
				     void *done_arg)
{
	struct serve_console *c = arg;
	struct console_look *l = base_alloc(sizeof(*l));

	l->console = c;
	l->how = how;
	l->waiting = c->options.n_workers;
	l->views = base_alloc(c->options.n_workers * sizeof(struct serve_view *));
	l->done = done;
	l->arg = done_arg;
	list_add(&c->looks, &l->link);
	for (unsigned i = 0; i < c->options.n_workers; i++)
		serve_worker_look(c->options.workers[i], how, c->answers, l);
	return l;
}

static void look_free(void *arg, struct console_look *l)
{
	(void)arg;
	l->is_forgotten = true;
	if (l->waiting == 0)
		look_end(l);
}

/* ---- what the console asks for ---- */

static struct str daemon_configuration(void *arg)
{
	const struct serve_console *c = arg;

	return conf_fingerprint((*c->options.generation)->conf);
}

static unsigned daemon_workers(void *arg)
{
	const struct serve_console *c = arg;

	return c->options.n_workers;
}

static const struct log_counters *daemon_counters(void *arg, unsigned worker)
{
	const struct serve_console *c = arg;

	return serve_worker_counters(c->options.workers[worker]);
}

static void daemon_changing(void *arg, bool has_begun)
{
	const struct serve_console *c = arg;

	queue_team_changing(c->options.team, has_begun);
}

static void daemon_changed(void *arg, const struct store_selection *which)
{
	const struct serve_console *c = arg;

	queue_team_changed(c->options.team, which);
}

static bool daemon_reload(void *arg, struct error *e)
{
	const struct serve_console *c = arg;

	return c->options.reload(c->options.arg, e);
}

static void daemon_stop(void *arg)
{
	const struct serve_console *c = arg;

	c->options.stop(c->options.arg);
}

/* ---- life ---- */

static bool find_owner(struct console_sockets_options *o, const struct conf *conf, struct error *e)
{
	struct os_user user;

	if (!os_is_root())
		return true;
	if (!os_user_find(conf_str(conf, CONF_hopseal_user), &user, e))
		return false;
	o->has_owner = true;
	o->owner = user.uid;
	return true;
}

struct serve_console *serve_console_new(const struct conf *conf, struct error *e)
{
	struct serve_console *c = base_alloc(sizeof(*c));
	struct str group = conf_str(conf, CONF_hopseal_control_group);
	struct console_sockets_options o = {
		.control = conf_str(conf, CONF_hopseal_control_socket),
		.metrics = conf_str(conf, CONF_hopseal_metrics_listen),
	};

	c->sockets = (struct console_sockets){ .control = -1, .metrics = -1 };
	c->has_group = group.n > 0;
	c->arena = arena_new();
	list_init(&c->looks);
	if ((!c->has_group || os_group_find(group, &c->group, e)) && find_owner(&o, conf, e)) {
		o.has_group = c->has_group;
		o.group = c->group;
		if (console_bind(&c->sockets, &o, e))
			return c;
	}
	serve_console_free(c);
	return NULL;
}

bool serve_console_start(struct serve_console *c, const struct serve_console_options *o,
			 struct error *e)
{
	struct console_options options = {
		.loop = o->loop,
		.sockets = &c->sockets,
		.has_group = c->has_group,
		.group = c->group,
		.daemon = {
			.arg = c,
			.store = o->store,
			.directory = arena_str(c->arena, conf_str((*o->generation)->conf,
						CONF_hopseal_queue_directory)).p,
			.log = o->log,
			.started_at = os_utc_s(),
			.configuration = daemon_configuration,
			.look_new = look_new,
			.look_free = look_free,
			.workers = daemon_workers,
			.counters = daemon_counters,
			.changing = daemon_changing,
			.changed = daemon_changed,
			.reload = daemon_reload,
			.stop = daemon_stop,
		},
	};

	c->options = *o;
	c->answers = net_chan_new(o->loop, look_answered, c);
	net_chan_hold(c->answers);
	c->console = console_new(&options, e);
	return c->console != NULL;
}

void serve_console_pulse(struct serve_console *c, void (*done)(void *arg), void *arg)
{
	console_pulse(c->console, done, arg);
}

void serve_console_stop(struct serve_console *c)
{
	if (!c)
		return;
	console_free(c->console);
	c->console = NULL;
	console_unbind(&c->sockets);
}

void serve_console_free(struct serve_console *c)
{
	struct net_note *note;

	if (!c)
		return;
	serve_console_stop(c);
	while (c->answers && (note = net_chan_take(c->answers)))
		look_answered(c, note);
	CHECK(list_is_empty(&c->looks));
	if (c->answers) {
		net_chan_release(c->answers);
		net_chan_free(c->answers);
	}
	arena_free(c->arena);
	free(c);
}
