/* What a decision costs: made from the first question to the trace, when two table answers are
 * known at once, and found in the cache. policy_bench [DECISIONS] */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "policy/cache.h"

static const char main_cf[] = "compatibility_level = 3.11\n"
			      "smtp_tls_per_site = texthash:/etc/hopseal/tls_per_site\n";

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct answer entry(struct str value)
{
	return (struct answer){
		.status = ANSWER_FOUND,
		.value = value,
		.source = STR("texthash:/etc/hopseal/tls_per_site"),
		.file = STR("/etc/hopseal/tls_per_site"),
		.line = 3,
	};
}

/* As a driver does: ask, add the answer, start over. Returns the number of questions. */
static int decide(struct arena *a, const struct policy_config *cfg, const struct policy_subject *s)
{
	struct fact_list *facts = fact_list_new(a);

	for (int asked = 0;; asked++) {
		struct policy_step step = policy_step(a, cfg, s, fact_list_set(facts));
		struct answer answer = entry(asked == 0 ? STR("MUST") : STR("MAY"));

		if (step.kind == POLICY_DECIDED)
			return step.u.decided.level == TLS_LEVEL_VERIFY ? asked : -1;
		fact_list_add(facts, &step.u.ask, &answer);
	}
}

static const struct policy_subject subject = { .nexthop = STR_INIT("example.com"),
					       .host = STR_INIT("mx1.example.com"),
					       .port = 25 };

static void say(const char *what, long n, double took)
{
	printf("%-28s %.2f microseconds\n", what, took * 1e6 / (double)n);
}

/* Two questions, answered at once, and the decision with its trace. */
static bool bench_full(const struct policy_config *cfg, long n)
{
	struct arena *a = arena_new();
	double start = now_s();
	bool is_right = true;

	for (long i = 0; i < n && is_right; i++) {
		arena_reset(a);
		is_right = decide(a, cfg, &subject) == 2;
	}
	say("full decision", n, now_s() - start);
	arena_free(a);
	return is_right;
}

/* One of as many as a cache is full of. What the version of the tables costs, table_bench says. */
static bool bench_cached(const struct policy_config *cfg, long n)
{
	struct policy_cache *c = policy_cache_new(cfg);
	struct arena *a = arena_new();
	struct fact_list *facts = fact_list_new(a);
	struct question nexthop = { .kind = QUESTION_TABLE,
				    .table = STR("smtp_tls_per_site"),
				    .name = subject.nexthop };
	struct policy_subject s[POLICY_CACHE_MAX / 2];
	struct answer must = entry(STR("MUST"));
	size_t found = 0;
	double start;

	fact_list_add(facts, &nexthop, &must);
	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		struct question host = nexthop;
		s[i] = subject;
		s[i].host = host.name = arena_fmt(a, "mx%zu.example.com", i);
		fact_list_add(facts, &host, &must);
		policy_cache_add(c, &s[i], fact_list_set(facts), 1);
	}
	start = now_s();
	for (long i = 0; i < n; i++)
		found += policy_cache_find(c, &s[(size_t)i % ARRAY_LEN(s)], 1) != NULL;
	say("cached decision", n, now_s() - start);
	arena_free(a);
	policy_cache_free(c);
	return found > (size_t)n / 10 * 9;
}

int main(int argc, char **argv)
{
	struct conf_source source = { .file = STR("main.cf"), .text = str_of(main_cf) };
	struct conf_machine machine = { .hostname = STR("client.example.net") };
	struct conf_findings findings;
	struct arena *a = arena_new();
	struct conf *conf = conf_new(&source, 1, &machine, a, &findings);
	const struct policy_config *cfg = conf ? policy_config_new(a, conf, NULL) : NULL;
	long n = argc > 1 ? atol(argv[1]) : 1000000;
	bool is_right = cfg && bench_full(cfg, n) && bench_cached(cfg, n);

	conf_unref(conf);
	arena_free(a);
	return is_right ? 0 : 1;
}
