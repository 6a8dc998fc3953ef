/* Runs a stepper: what it wants to know is asked side by side, and added to the facts in the order
 * of the questions, so that equal answers make equal facts whoever was faster. */

#include <stdlib.h>

#include "ask/ask.h"
#include "base/limits.h"

struct run_question {
	struct ask_run *run;
	struct question question;
	struct ask_query *query; /* NULL: answered */
	struct answer answer;
	bool is_missing;
};

struct ask_run {
	struct ask *ask;
	struct ask_stepper stepper;
	struct fact_list *facts;
	struct net_timer *timer; /* the first step is made from the loop */
	struct arena *arena;     /* of the present round */
	struct run_question *asked;
	size_t n_asked, n_waiting, n_total;
};

static void run_step(struct ask_run *r);

static void run_done(struct ask_run *r, const struct error *e)
{
	r->stepper.done(r->stepper.arg, e); /* may free r */
}

static void run_fail_missing(struct ask_run *r, const struct question *q)
{
	struct error e;

	if (q->kind == QUESTION_TABLE)
		(void)error_set(&e, ERROR_DATA,
				"no fact answers: table " STR_FMT ", key \"" STR_FMT "\"",
				STR_ARG(q->table), STR_ARG(q->name));
	else
		(void)error_set(&e, ERROR_DATA, "no fact answers: " STR_FMT " of \"" STR_FMT "\"",
				STR_ARG(question_kind_name(q->kind)), STR_ARG(q->name));
	run_done(r, &e);
}

static void run_round_done(struct ask_run *r)
{
	for (size_t i = 0; i < r->n_asked; i++) {
		if (r->asked[i].is_missing) {
			run_fail_missing(r, &r->asked[i].question);
			return;
		}
		fact_list_add(r->facts, &r->asked[i].question, &r->asked[i].answer);
	}
	run_step(r);
}

static void run_answered(void *arg, const struct answer *answer)
{
	struct run_question *q = arg;
	struct ask_run *r = q->run;

	q->query = NULL;
	q->is_missing = !answer;
	if (answer)
		q->answer = answer_copy(r->arena, answer);
	if (--r->n_waiting == 0)
		run_round_done(r);
}

static void run_ask(struct ask_run *r, const struct question *asks, size_t n)
{
	arena_reset(r->arena);
	r->asked = ARENA_ARRAY(r->arena, n, struct run_question);
	r->n_asked = r->n_waiting = n;
	for (size_t i = 0; i < n; i++) {
		struct run_question *q = &r->asked[i];
		q->run = r;
		q->question = asks[i];
		q->question.table = arena_str(r->arena, asks[i].table);
		q->question.name = arena_str(r->arena, asks[i].name);
		q->query = ask_question(r->ask, &q->question, run_answered, q);
	}
}

static void run_step(struct ask_run *r)
{
	const struct question *asks;
	struct error e;
	size_t n = r->stepper.step(r->stepper.arg, fact_list_set(r->facts), &asks);

	r->n_total += n;
	if (n == 0) {
		r->n_asked = 0;
		run_done(r, NULL);
	} else if (r->n_total > ASK_RUN_MAX) {
		(void)error_set(&e, ERROR_LIMIT, "more than %d questions for one destination",
				ASK_RUN_MAX);
		r->n_asked = 0;
		run_done(r, &e);
	} else {
		run_ask(r, asks, n);
	}
}

static void run_begin(void *arg)
{
	run_step(arg);
}

struct ask_run *ask_run_new(struct ask *k, const struct ask_stepper *s, struct fact_list *facts)
{
	struct ask_run *r = base_alloc(sizeof(*r));

	r->ask = k;
	r->stepper = *s;
	r->facts = facts;
	r->arena = arena_new();
	r->timer = net_timer_new(ask_loop(k), run_begin, r);
	net_timer_set(r->timer, 0);
	return r;
}

void ask_run_free(struct ask_run *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n_asked; i++)
		if (r->asked[i].query)
			ask_cancel(r->asked[i].query);
	net_timer_free(r->timer);
	arena_free(r->arena);
	free(r);
}
