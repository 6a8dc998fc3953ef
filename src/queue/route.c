/* Where mail for a recipient goes, found out with the questions of one configuration. */

#include <stdlib.h>

#include "queue/inside.h"

struct queue_route {
	struct queue *queue;
	struct queue_site *site;
	struct arena *arena;
	struct str recipient;
	struct fact_list *facts;
	struct ask_run *run;
	struct route_step step;
	void (*done)(void *arg, const struct route *r, const struct error *e);
	void *arg;
};

static size_t route_step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct queue_route *r = arg;

	r->step = route_recipient_step(r->arena, r->site->deliver->route, r->recipient, facts);
	if (r->step.kind == ROUTE_DONE)
		return 0;
	*asks = r->step.u.ask.v;
	return r->step.u.ask.n;
}

static void route_done(void *arg, const struct error *e)
{
	struct queue_route *r = arg;

	r->done(r->arg, e ? NULL : &r->step.u.done, e); /* may free r */
}

struct queue_route *
queue_route_new(struct queue *q, struct str recipient,
		void (*done)(void *arg, const struct route *r, const struct error *e), void *arg)
{
	struct queue_route *r = base_alloc(sizeof(*r));
	struct ask_stepper stepper = { route_step, route_done, r };

	r->queue = q;
	r->site = q->options.site;
	queue_site_ref(r->site);
	r->arena = arena_new();
	r->recipient = arena_str(r->arena, recipient);
	r->facts = fact_list_new(r->arena);
	r->done = done;
	r->arg = arg;
	queue_busy(q);
	r->run = ask_run_new(r->site->deliver->ask, &stepper, r->facts);
	return r;
}

void queue_route_free(struct queue_route *r)
{
	if (!r)
		return;
	struct queue *q = r->queue;

	ask_run_free(r->run);
	queue_site_unref(r->site);
	arena_free(r->arena);
	free(r);
	queue_idle(q);
}
