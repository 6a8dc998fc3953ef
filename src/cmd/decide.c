#include "cmd/decide.h"

#include "base/limits.h"
#include "cmd/cmd.h"

/* One stepper on its way. */
struct decide_run {
	struct cmd_decider *decider;
	struct arena *arena;
	struct fact_list *facts;
	struct ask_stepper stepper;
	struct error *error;
	bool has_failed;
};

bool cmd_decider_open(struct cmd_decider *d, struct conf *conf, struct error *e)
{
	struct cmd_site_options o = { .conf = conf, .found = cmd_say_table_finding };

	*d = (struct cmd_decider){ .arena = arena_new() };
	d->anchors = fact_list_new(d->arena);
	if (cmd_site_open(&d->site, &o, e))
		return true;
	arena_free(d->arena);
	return false;
}

void cmd_decider_close(struct cmd_decider *d)
{
	cmd_site_close(&d->site);
	arena_free(d->arena);
}

/* ---- answers that are at hand ---- */

struct decide_wait {
	struct arena *arena;
	struct net_loop *loop;
	struct answer answer;
};

static void table_answered(void *arg, const struct answer *answer)
{
	struct decide_wait *w = arg;

	w->answer = answer_copy(w->arena, answer);
	net_loop_stop(w->loop);
}

/* At time 0 a table does not look whether its file has changed: all decisions are of one version.
 * For a table that asks a server the loop runs until it has answered. */
static struct answer ask_table(struct cmd_decider *d, struct arena *a, const struct question *q)
{
	struct decide_wait w = { .arena = a, .loop = d->site.deliver.loop };
	struct table_query query = {
		.arena = a,
		.key = q->name,
		.is_partial = q->is_partial,
		.answered = table_answered,
		.arg = &w,
	};

	if (tables_lookup(d->site.tables, q->table, &query, &w.answer))
		net_loop_run(w.loop);
	return w.answer;
}

struct answer
cmd_decider_look(struct cmd_decider *d, struct arena *a, enum conf_id param, struct str key)
{
	struct question q = { .kind = QUESTION_TABLE, .table = conf_name(param), .name = key };

	return ask_table(d, a, &q);
}

static bool answer_at_once(struct decide_run *r, const struct question *q)
{
	const struct answer *known;

	if (q->kind == QUESTION_TABLE) {
		struct answer answer = ask_table(r->decider, r->arena, q);
		fact_list_add(r->facts, q, &answer);
		return true;
	}
	known = fact_find(fact_list_set(r->decider->anchors), q);
	if (known)
		fact_list_add(r->facts, q, known);
	return known != NULL;
}

static bool answer_all_at_once(struct decide_run *r, const struct question *asks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!answer_at_once(r, &asks[i]))
			return false;
	return true;
}

/* ---- the others ---- */

static void run_done(void *arg, const struct error *e)
{
	struct decide_run *r = arg;

	r->has_failed = e != NULL;
	if (e)
		*r->error = *e;
	net_loop_stop(r->decider->site.deliver.loop);
}

static size_t run_step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct decide_run *r = arg;

	return r->stepper.step(r->stepper.arg, facts, asks);
}

static void keep_anchors(struct decide_run *r)
{
	struct fact_set all = fact_list_set(r->facts);

	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].question.kind == QUESTION_TRUST_ANCHORS)
			fact_list_add(r->decider->anchors, &all.v[i].question, &all.v[i].answer);
}

static bool run_loop(struct decide_run *r)
{
	struct ask_stepper stepper = { run_step, run_done, r };
	struct deliver_site *site = &r->decider->site.deliver;
	struct ask_run *run = ask_run_new(site->ask, &stepper, r->facts);

	net_loop_run(site->loop);
	ask_run_free(run);
	if (!r->has_failed)
		keep_anchors(r);
	return !r->has_failed;
}

static bool run_all(struct decide_run *r)
{
	const struct question *asks;
	size_t n, asked = 0;

	r->facts = fact_list_new(r->arena);
	while ((n = r->stepper.step(r->stepper.arg, fact_list_set(r->facts), &asks)) > 0) {
		asked += n;
		if (asked > ASK_RUN_MAX || !answer_all_at_once(r, asks, n))
			return run_loop(r);
	}
	return true;
}

/* ---- the steppers ---- */

struct decide_policy {
	const struct policy_config *cfg;
	struct arena *arena;
	const struct policy_subject *subject;
	struct policy_step step;
};

static size_t step_policy(void *arg, struct fact_set facts, const struct question **asks)
{
	struct decide_policy *p = arg;

	p->step = policy_step(p->arena, p->cfg, p->subject, facts);
	*asks = &p->step.u.ask;
	return p->step.kind == POLICY_ASK ? 1 : 0;
}

bool cmd_decide(struct cmd_decider *d, struct arena *a, const struct policy_subject *s,
		struct policy_decision *out, struct error *e)
{
	const struct deliver_client *client =
		deliver_client_of(&d->site.deliver, s->is_lmtp ? ROUTE_LMTP : ROUTE_SMTP);
	struct decide_policy p = { client->policy, a, s, { .kind = POLICY_ASK } };
	struct decide_run r = { .decider = d, .arena = a, .error = e };

	r.stepper = (struct ask_stepper){ .step = step_policy, .arg = &p };
	if (!run_all(&r))
		return false;
	*out = p.step.u.decided;
	return true;
}

struct decide_route {
	const struct route_config *cfg;
	struct arena *arena;
	struct str address;
	struct route_step step;
};

static size_t step_route(void *arg, struct fact_set facts, const struct question **asks)
{
	struct decide_route *p = arg;

	p->step = route_recipient_step(p->arena, p->cfg, p->address, facts);
	if (p->step.kind == ROUTE_DONE)
		return 0;
	*asks = p->step.u.ask.v;
	return p->step.u.ask.n;
}

bool cmd_decide_route(struct cmd_decider *d, struct arena *a, struct str address, struct route *out,
		      struct error *e)
{
	struct decide_route p = { d->site.deliver.route, a, address, { .kind = ROUTE_ASK } };
	struct decide_run r = { .decider = d, .arena = a, .error = e };

	r.stepper = (struct ask_stepper){ .step = step_route, .arg = &p };
	if (!run_all(&r))
		return false;
	*out = p.step.u.done;
	return true;
}

bool cmd_decision_lacks_answer(const struct policy_decision *d)
{
	for (size_t i = 0; i < d->n_trace; i++)
		if (d->trace[i].kind == TRACE_QUESTION && d->trace[i].answer == ANSWER_FAILED)
			return true;
	return false;
}
