/* Figures from three sides: the store's rows, the workers, the writer. They are asked at once, and
 * the last answer ends it. */

#include <stddef.h>
#include <stdlib.h>

#include "console/room.h"

struct gather {
	struct console *console;
	unsigned owed; /* parts that were not answered yet */
	bool is_forgotten;
	void (*done)(void *arg, const struct console_figures *f);
	void *arg;
	struct console_figures figures;
	struct console_look *look;
	struct arena *arena;
	struct console_view view;
	struct reader_job totals;
	struct net_timer *later;
};

void console_back(struct console *c)
{
	CHECK(c->n_out > 0);
	c->n_out--;
	if (c->is_closing)
		net_loop_stop(c->loop);
}

static void gather_end(void *arg)
{
	struct gather *g = arg;
	struct console *c = g->console;

	if (g->figures.e.kind == ERROR_NONE && !g->totals.is_good)
		g->figures.e = g->totals.e;
	if (g->look)
		c->options.daemon.look_free(c->options.daemon.arg, g->look);
	if (!g->is_forgotten)
		g->done(g->arg, &g->figures);
	net_timer_free(g->later);
	arena_free(g->arena);
	free(g);
	console_back(c);
}

static void gather_answer(struct gather *g, unsigned parts)
{
	g->owed &= ~parts;
	if (g->owed == 0)
		net_timer_set(g->later, 0);
}

/* ---- the store's rows ---- */

static void count_destination(void *arg, const struct store_destination *d)
{
	struct console_totals *t = arg;

	t->queued += d->n_queued;
	t->held += d->n_held;
	t->finished += d->n_finished;
	t->destinations++;
}

static struct gather *gather_of(struct reader_job *j)
{
	return (struct gather *)(void *)((char *)j - offsetof(struct gather, totals));
}

/* All that asks the disk, which may keep one waiting. */
static bool totals_work(struct reader_job *j, struct store_reader *r)
{
	struct gather *g = gather_of(j);
	struct console_totals *t = &g->figures.totals;

	return store_space(g->console->options.daemon.store, &g->figures.space, &j->e) &&
	       store_oldest(r, &t->oldest_ms, &j->e) &&
	       store_destinations(r, count_destination, t, &j->e);
}

static void totals_done(struct reader_job *j)
{
	gather_answer(gather_of(j), GATHER_TOTALS);
}

/* ---- the workers ---- */

static void looked(void *arg, const struct console_view *v)
{
	struct gather *g = arg;
	struct console_destination *copy =
		ARENA_ARRAY(g->arena, v->n + 1, struct console_destination);

	for (size_t i = 0; i < v->n; i++) {
		copy[i] = v->v[i];
		copy[i].name = arena_str(g->arena, v->v[i].name);
	}
	g->view = *v;
	g->view.v = copy;
	g->figures.view = &g->view;
	gather_answer(g, GATHER_LOOK);
}

/* ---- the writer ---- */

static void written(void *arg, const struct store_result *r)
{
	struct gather *g = arg;

	g->figures.write = r->fault;
	gather_answer(g, GATHER_WRITE | GATHER_PROBE);
}

/* A transaction that finds nothing to do. */
static void ask_writer(struct gather *g)
{
	struct store_selection nothing = { .reach = STORE_OF_MESSAGE };

	store_change(g->console->client, STORE_RETRY, &nothing, 0, written, g);
}

struct gather *gather_new(struct console *c, unsigned parts, enum console_look_how how,
			  void (*done)(void *arg, const struct console_figures *f), void *arg)
{
	struct gather *g = base_alloc(sizeof(*g));
	const struct console_daemon *d = &c->options.daemon;

	g->console = c;
	g->done = done;
	g->arg = arg;
	g->arena = arena_new();
	g->later = net_timer_new(c->loop, gather_end, g);
	g->totals =
		(struct reader_job){ .work = totals_work, .done = totals_done, .is_good = true };
	g->owed = parts;
	c->n_out++;
	if (parts & GATHER_TOTALS)
		console_reader_ask(c->reader, &g->totals);
	if (parts & GATHER_LOOK)
		g->look = d->look_new(d->arg, how, looked, g);
	if (parts & GATHER_WRITE)
		ask_writer(g);
	if (parts & GATHER_PROBE)
		store_probe(c->client, written, g);
	gather_answer(g, 0);
	return g;
}

unsigned gather_owed(const struct gather *g)
{
	return g->owed;
}

void gather_forget(struct gather *g)
{
	if (g)
		g->is_forgotten = true;
}
