/* A configuration and facts in a few words, for the tests of this room. */

#ifndef HOPSEAL_POLICY_POLICY_TEST_H
#define HOPSEAL_POLICY_POLICY_TEST_H

#include "base/test.h"

#include "policy/policy.h"

struct fixture {
	struct arena *a;
	struct conf *conf; /* NULL: refused */
	const struct policy_config *cfg;
	struct error e;
	struct fact_list *facts;
	unsigned asked;
};

/* `main_cf` may be NULL. compatibility_level is 3.11 unless it says otherwise. */
static inline struct fixture fixture_new(const char *main_cf)
{
	struct fixture f = { .a = arena_new() };
	struct conf_machine machine = { .hostname = STR("client.example.net") };
	struct conf_source sources[] = {
		{ .file = STR(""), .text = STR("compatibility_level = 3.11\n") },
		{ .file = STR("main.cf"), .text = str_of(main_cf ? main_cf : "") },
	};
	struct conf_findings findings;

	f.conf = conf_new(sources, ARRAY_LEN(sources), &machine, f.a, &findings);
	f.cfg = f.conf ? policy_config_new(f.a, f.conf, &f.e) : NULL;
	f.facts = fact_list_new(f.a);
	return f;
}

static inline void fixture_free(struct fixture *f)
{
	conf_unref(f->conf);
	arena_free(f->a);
}

/* What smtp_tls_per_site says about a key: a value, NULL for no entry, "!" for a failed lookup. */
static inline void fixture_answer(struct fixture *f, struct str key, const char *value)
{
	struct question q = { .kind = QUESTION_TABLE,
			      .table = STR("smtp_tls_per_site"),
			      .name = key };
	struct answer answer = {
		.status = !value                ? ANSWER_NONE
			  : !strcmp(value, "!") ? ANSWER_FAILED
						: ANSWER_FOUND,
		.failure = STR("table is unreadable"),
		.source = STR("texthash:/etc/per_site"),
	};

	if (answer.status == ANSWER_FOUND) {
		answer.value = str_of(value);
		answer.file = STR("/etc/per_site");
		answer.line = 7;
	}
	fact_list_add(f->facts, &q, &answer);
}

static inline struct policy_step fixture_step(struct fixture *f, const struct policy_subject *s)
{
	return policy_step(f->a, f->cfg, s, fact_list_set(f->facts));
}

/* Answers the questions that come, next-hop first, and returns the decision. */
static inline struct policy_decision fixture_decide(struct fixture *f,
						    const struct policy_subject *s,
						    const char *of_nexthop, const char *of_host)
{
	struct policy_step step;

	for (f->asked = 0; (step = fixture_step(f, s)).kind == POLICY_ASK; f->asked++) {
		ok(f->asked < 2, "two questions at most");
		ok(!fact_find(fact_list_set(f->facts), &step.u.ask), "never asks twice");
		fixture_answer(f, step.u.ask.name,
			       str_eq(step.u.ask.name, s->nexthop) ? of_nexthop : of_host);
	}
	return step.u.decided;
}

static inline bool fixture_has_step(const struct policy_decision *d, const char *code)
{
	for (size_t i = 0; i < d->n_trace; i++)
		if (str_eq(d->trace[i].code, str_of(code)))
			return true;
	return false;
}

#endif
