/* Decisions a second, from the first question to the trace, when two table answers are known at
 * once: policy_bench [DECISIONS] */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "policy/policy.h"

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

static int run(const struct policy_config *cfg, long n)
{
	struct policy_subject s = { .nexthop = STR("example.com"),
				    .host = STR("mx1.example.com"),
				    .port = 25 };
	struct arena *a = arena_new();
	double start = now_s(), took;

	for (long i = 0; i < n; i++) {
		arena_reset(a);
		if (decide(a, cfg, &s) != 2)
			return 1;
	}
	took = now_s() - start;
	printf("%ld decisions of two questions in %.3f s: %.0f a second, %.2f microseconds each\n",
	       n, took, (double)n / took, took * 1e6 / (double)n);
	arena_free(a);
	return 0;
}

int main(int argc, char **argv)
{
	struct conf_source source = { .file = STR("main.cf"), .text = str_of(main_cf) };
	struct conf_machine machine = { .hostname = STR("client.example.net") };
	struct conf_findings findings;
	struct arena *a = arena_new();
	struct conf *conf = conf_new(&source, 1, &machine, a, &findings);
	const struct policy_config *cfg = conf ? policy_config_new(a, conf, NULL) : NULL;
	int status = cfg ? run(cfg, argc > 1 ? atol(argv[1]) : 500000) : 1;

	conf_unref(conf);
	arena_free(a);
	return status;
}
