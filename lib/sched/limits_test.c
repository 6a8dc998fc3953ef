#include "sched/limits.h"

#include "base/test.h"

static const struct {
	const char *rule;
	struct str text;
	unsigned window;
	int64_t want; /* -1: refused */
} gain_cases[] = {
	{ "a whole number", STR_INIT("1"), 7, 1000000 },
	{ "nothing", STR_INIT("0"), 7, 0 },
	{ "a fraction", STR_INIT("0.25"), 7, 250000 },
	{ "no digit before the point", STR_INIT(".5"), 7, 500000 },
	{ "digits beyond the sixth are cut", STR_INIT("0.12345678"), 7, 123456 },
	{ "a quotient", STR_INIT("1/4"), 7, 250000 },
	{ "by the window", STR_INIT("1/concurrency"), 4, 250000 },
	{ "blanks do not matter", STR_INIT(" 0.5 / Concurrency "), 5, 100000 },
	{ "by the root of the window", STR_INIT("1/sqrt_concurrency"), 16, 250000 },
	{ "a root that is no whole number", STR_INIT("1/sqrt_concurrency"), 2, 707213 },
	{ "more than one", STR_INIT("1.5"), 1, -1 },
	{ "more than one by division", STR_INIT("1/0.5"), 1, -1 },
	{ "by nothing", STR_INIT("1/0"), 1, -1 },
	{ "by a word", STR_INIT("1/windows"), 1, -1 },
	{ "negative", STR_INIT("-1"), 1, -1 },
	{ "empty", STR_INIT(""), 1, -1 },
	{ "a point alone", STR_INIT("."), 1, -1 },
	{ "nothing over something", STR_INIT("/concurrency"), 1, -1 },
	{ "too many digits", STR_INIT("1000000000000000000000"), 1, -1 },
	{ "two points", STR_INIT("0.1.2"), 1, -1 },
};

TEST(feedback_is_a_number_or_a_quotient)
{
	FOR_EACH(c, gain_cases) {
		struct str exact = test_exact(c->text);
		struct sched_gain g;
		bool is_good = sched_gain_parse(exact, &g);
		ok(is_good == (c->want >= 0), c->rule);
		ok(!is_good || sched_gain_of(g, c->window) == c->want, c->rule);
		free((char *)exact.p);
	}
}

static struct conf *conf_of(struct str text)
{
	struct arena *a = arena_new();
	struct conf_source s = { STR("main.cf"), text };
	struct conf_machine m = { .hostname = STR("client.example.net") };
	struct conf_findings found;
	struct conf *c = conf_new(&s, 1, &m, a, &found);

	arena_free(a);
	return c;
}

TEST(a_transport_has_its_own_limits_or_the_default_ones)
{
	struct conf *c = conf_of(STR("default_destination_concurrency_limit = 7\n"
				     "lmtp_destination_concurrency_limit = 3\n"
				     "lmtp_destination_rate_delay = 2s\n"
				     "default_transport_rate_delay = 3s\n"
				     "relay_transport_rate_delay = 1m\n"
				     "relay_initial_destination_concurrency = 9\n"));
	struct sched_limits l;

	ok(sched_limits_read(c, STR("smtp"), &l, NULL), "smtp");
	ok(l.window_first == 5 && l.window_max == 7 && l.rcpts_max == 50, "defaults");
	ok(l.cohorts_max == 1 && l.rate_delay_ms == 0, "defaults");
	ok(l.positive.amount == SCHED_ONE && l.negative.by == SCHED_FIXED, "defaults");
	ok(sched_limits_read(c, STR("lmtp"), &l, NULL), "lmtp");
	ok(l.window_max == 3 && l.rate_delay_ms == 2000, "its own");
	ok(l.transport == SCHED_OF_LMTP && l.transport_delay_ms == 3000, "the default one");
	ok(sched_limits_read(c, STR("relay"), &l, NULL), "relay");
	ok(l.window_first == 9 && l.window_max == 7, "its own and the default one");
	ok(l.transport == SCHED_OF_RELAY && l.transport_delay_ms == 60000, "its own");
	ok(sched_limits_read(c, STR("other"), &l, NULL), "any other");
	ok(l.window_first == 5 && l.window_max == 7, "the default ones");
	ok(l.transport == SCHED_OF_OTHER && l.transport_delay_ms == 3000, "the default ones");
	conf_unref(c);
}

TEST(a_bad_feedback_is_told_with_its_line)
{
	struct conf *c =
		conf_of(STR("\nsmtp_destination_concurrency_negative_feedback = 1/concurency\n"));
	struct sched_limits l;
	struct error e;

	ok(!sched_limits_read(c, STR("smtp"), &l, &e), "refused");
	ok(e.kind == ERROR_CONFIG, "the configuration is wrong");
	ok_str(error_text(&e),
	       STR("main.cf:2: smtp_destination_concurrency_negative_feedback = 1/concurency: not "
		   "a number from 0 to 1, nor one divided by concurrency or sqrt_concurrency"),
	       "where and what");
	conf_unref(c);
}

TEST_MAIN(RUN(feedback_is_a_number_or_a_quotient),
	  RUN(a_transport_has_its_own_limits_or_the_default_ones),
	  RUN(a_bad_feedback_is_told_with_its_line))
