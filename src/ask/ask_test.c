#include "ask/ask.h"

#include "base/limits.h"
#include "base/test.h"
#include "dns/dns_fake.h"
#include "table/table.h"

struct fixture {
	struct dns_fake server;
	struct net_loop *loop;
	struct dns *dns;
	struct tables *tables;
	struct ask *ask;
	struct arena *a;
	struct answer answers[16];
	size_t n, n_missing;
};

static struct fixture *fixture_new(void)
{
	struct fixture *f = base_alloc(sizeof(*f));
	struct table_options o = { 0 };

	dns_fake_start(&f->server);
	f->loop = net_loop_new();
	f->dns = dns_fake_resolver(&f->server, f->loop, 300);
	f->tables = tables_new(&o);
	tables_open(f->tables, STR("transport_maps"), STR("inline:{ {a.example = smtp:[b]} }"), 0);
	f->ask = ask_new(f->loop, f->tables, f->dns);
	f->a = arena_new();
	return f;
}

static struct fixture *fixture_offline(struct fact_set facts)
{
	struct fixture *f = base_alloc(sizeof(*f));

	dns_fake_start(&f->server);
	f->loop = net_loop_new();
	f->ask = ask_new_offline(f->loop, facts);
	f->a = arena_new();
	return f;
}

static void fixture_free(struct fixture *f)
{
	ask_free(f->ask);
	tables_free(f->tables);
	dns_free(f->dns);
	net_loop_free(f->loop);
	dns_fake_stop(&f->server);
	arena_free(f->a);
	free(f);
}

static void answered(void *arg, const struct answer *answer)
{
	struct fixture *f = arg;

	if (answer)
		f->answers[f->n++] = answer_copy(f->a, answer);
	else
		f->n_missing++;
}

static struct question question(enum question_kind kind, const char *name)
{
	return (struct question){ .kind = kind,
				  .table =
					  kind == QUESTION_TABLE ? STR("transport_maps") : STR_NONE,
				  .name = str_of(name) };
}

static struct ask_query *ask(struct fixture *f, enum question_kind kind, const char *name)
{
	struct question q = question(kind, name);

	return ask_question(f->ask, &q, answered, f);
}

static struct answer ask_one(struct fixture *f, enum question_kind kind, const char *name)
{
	size_t n = f->n;

	ok(ask(f, kind, name) && f->n == n, "no call from inside");
	net_loop_run(f->loop);
	ok(f->n == n + 1, name);
	return f->answers[n];
}

TEST(tables_and_dns)
{
	struct fixture *f = fixture_new();
	struct answer answer = ask_one(f, QUESTION_TABLE, "a.example");

	ok(answer.status == ANSWER_FOUND && str_eq(answer.value, STR("smtp:[b]")), "entry");
	ok(ask_one(f, QUESTION_TABLE, "b.example").status == ANSWER_NONE, "no entry");
	ok(ask_one(f, QUESTION_MX, "a.example").n_mx == 1, "MX");
	ok(ask_one(f, QUESTION_ADDRESS, "a.example").n_addresses == 2, "addresses");
	ok(ask_one(f, QUESTION_NATIVE, "localhost").n_addresses > 0, "native");
	struct question q = { .kind = QUESTION_TABLE,
			      .table = STR("nosuch_maps"),
			      .name = STR("a") };
	ok(ask_question(f->ask, &q, answered, f), "asked");
	net_loop_run(f->loop);
	ok(f->answers[f->n - 1].status == ANSWER_FAILED, "a table that is not open");
	q.table = STR("static:x");
	ok(ask_question(f->ask, &q, answered, f), "asked");
	net_loop_run(f->loop);
	ok_str(f->answers[f->n - 1].value, STR("x"), "a table inside a list of names");
	fixture_free(f);
}

TEST(equal_questions_are_asked_once)
{
	struct fixture *f = fixture_new();

	for (int i = 0; i < 5; i++)
		ok(ask(f, QUESTION_MX, "a.example"), "asked");
	net_loop_run(f->loop);
	ok(f->n == 5 && f->server.n_questions == 1, "in flight");
	for (size_t i = 0; i < 5; i++)
		ok(f->answers[i].n_mx == 1, "each has the answer");
	(void)ask_one(f, QUESTION_MX, "a.example");
	ok(f->server.n_questions == 1, "and kept for its TTL");
	(void)ask_one(f, QUESTION_MX, "b.example");
	ok(f->server.n_questions == 2, "another name is another question");
	fixture_free(f);
}

TEST(failures_are_kept_for_a_moment)
{
	struct fixture *f = fixture_new();
	struct answer answer = ask_one(f, QUESTION_MX, "drop.example");
	int asked = f->server.n_questions;

	ok(answer.status == ANSWER_FAILED, "time limit");
	answer = ask_one(f, QUESTION_MX, "drop.example");
	ok(answer.status == ANSWER_FAILED && f->server.n_questions == asked, "not again at once");
	fixture_free(f);
}

TEST(cancelled_means_no_call)
{
	struct fixture *f = fixture_new();

	ask_cancel(ask(f, QUESTION_MX, "a.example"));
	ask_cancel(ask(f, QUESTION_TABLE, "a.example"));
	struct ask_query *one = ask(f, QUESTION_MX, "b.example");
	ok(ask(f, QUESTION_MX, "b.example"), "a second one waits for the same");
	ask_cancel(one);
	net_loop_run(f->loop);
	ok(f->n == 1, "only the second");
	fixture_free(f);
}

TEST(freed_in_flight)
{
	struct fixture *f = fixture_new();

	ask_cancel(ask(f, QUESTION_MX, "drop.example"));
	fixture_free(f);
}

static struct fact_list *some_facts(struct arena *a)
{
	struct fact_list *l = fact_list_new(a);
	struct question q = question(QUESTION_TABLE, "a.example");
	struct answer answer = { .status = ANSWER_FOUND, .value = STR("smtp:[c]") };

	fact_list_add(l, &q, &answer);
	return l;
}

TEST(offline_knows_the_facts_only)
{
	struct arena *a = arena_new();
	struct fixture *f = fixture_offline(fact_list_set(some_facts(a)));

	ok_str(ask_one(f, QUESTION_TABLE, "a.example").value, STR("smtp:[c]"), "a fact");
	ok(ask(f, QUESTION_MX, "a.example"), "asked");
	net_loop_run(f->loop);
	ok(f->n == 1 && f->n_missing == 1 && f->server.n_questions == 0, "no fact, no answer");
	fixture_free(f);
	arena_free(a);
}

/* ---- runs ---- */

struct run {
	struct fixture *f;
	struct ask_run *run;
	struct question asks[ASK_RUN_MAX + 1];
	size_t rounds, n_steps, n_asks;
	struct error e;
	bool is_done, is_failed, frees;
};

/* Wants `n_asks` things in each of `rounds` steps. */
static size_t step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct run *r = arg;

	ok(facts.n == r->n_steps * r->n_asks, "the answers are there");
	if (r->n_steps++ == r->rounds)
		return 0;
	for (size_t i = 0; i < r->n_asks; i++)
		r->asks[i] = question(i % 2 ? QUESTION_MX : QUESTION_TABLE, "a.example");
	*asks = r->asks;
	return r->n_asks;
}

static void done(void *arg, const struct error *e)
{
	struct run *r = arg;

	r->is_done = true;
	r->is_failed = e != NULL;
	if (e)
		r->e = *e;
	if (r->frees) {
		ask_run_free(r->run);
		r->run = NULL;
	}
}

static void run(struct run *r, struct fact_list *facts)
{
	struct ask_stepper s = { step, done, r };

	r->run = ask_run_new(r->f->ask, &s, facts);
	ok(r->n_steps == 0 && !r->is_done, "nothing from inside");
	net_loop_run(r->f->loop);
	ok(r->is_done, "done");
	ask_run_free(r->run);
}

TEST(a_run_ends_with_all_facts)
{
	struct fixture *f = fixture_new();
	struct fact_list *facts = fact_list_new(f->a);
	struct run r = { .f = f, .rounds = 3, .n_asks = 2, .frees = true };

	run(&r, facts);
	ok(!r.is_failed && fact_list_set(facts).n == 6, "three rounds of two");
	ok(fact_list_set(facts).v[0].question.kind == QUESTION_TABLE, "in the order of asking");
	fixture_free(f);
}

TEST(a_run_without_questions)
{
	struct fixture *f = fixture_new();
	struct run r = { .f = f };

	run(&r, fact_list_new(f->a));
	ok(!r.is_failed && r.n_steps == 1, "done at once");
	fixture_free(f);
}

TEST(a_run_is_bounded)
{
	struct fixture *f = fixture_new();
	struct run r = { .f = f, .rounds = SIZE_MAX, .n_asks = 100 };

	run(&r, fact_list_new(f->a));
	ok(r.is_failed && r.e.kind == ERROR_LIMIT, "a stepper that never ends");
	fixture_free(f);
}

TEST(a_run_offline_names_what_is_missing)
{
	struct arena *a = arena_new();
	struct fixture *f = fixture_offline(fact_list_set(some_facts(a)));
	struct run r = { .f = f, .rounds = 1, .n_asks = 2 };

	run(&r, fact_list_new(f->a));
	ok(r.is_failed && strstr(r.e.text, "mx") && strstr(r.e.text, "a.example"), r.e.text);
	fixture_free(f);
	arena_free(a);
}

TEST(a_run_freed_in_flight)
{
	struct fixture *f = fixture_new();
	struct run r = { .f = f, .rounds = 1, .n_asks = 2 };
	struct ask_stepper s = { step, done, &r };

	ask_run_free(ask_run_new(f->ask, &s, fact_list_new(f->a)));
	net_loop_run(f->loop);
	ok(!r.is_done, "no call");
	fixture_free(f);
}

TEST_MAIN(RUN(tables_and_dns), RUN(equal_questions_are_asked_once),
	  RUN(failures_are_kept_for_a_moment), RUN(cancelled_means_no_call), RUN(freed_in_flight),
	  RUN(offline_knows_the_facts_only), RUN(a_run_ends_with_all_facts),
	  RUN(a_run_without_questions), RUN(a_run_is_bounded),
	  RUN(a_run_offline_names_what_is_missing), RUN(a_run_freed_in_flight))
