#include "conf/value.h"

#include "base/test.h"

#define BAD INT64_MIN

struct number_case {
	const char *rule;
	struct str text;
	int64_t want;
};

static const struct number_case bool_cases[] = {
	{ "yes", STR_INIT("yes"), 1 },         { "no", STR_INIT("no"), 0 },
	{ "any case", STR_INIT("YeS"), 1 },    { "any case", STR_INIT("NO"), 0 },
	{ "not empty", STR_INIT(""), BAD },    { "not true", STR_INIT("true"), BAD },
	{ "not 1", STR_INIT("1"), BAD },       { "not on", STR_INIT("on"), BAD },
	{ "not a part", STR_INIT("ye"), BAD }, { "no more", STR_INIT("yes "), BAD },
};

static const struct number_case int_cases[] = {
	{ "digits", STR_INIT("10"), 10 },
	{ "zeros before", STR_INIT("007"), 7 },
	{ "minus", STR_INIT("-3"), -3 },
	{ "plus", STR_INIT("+3"), 3 },
	{ "the greatest", STR_INIT("2147483647"), 2147483647 },
	{ "the least", STR_INIT("-2147483648"), -2147483648 },
	{ "one more", STR_INIT("2147483648"), BAD },
	{ "far more", STR_INIT("99999999999999999999999"), BAD },
	{ "not empty", STR_INIT(""), BAD },
	{ "not a sign alone", STR_INIT("-"), BAD },
	{ "one sign", STR_INIT("--1"), BAD },
	{ "not hexadecimal", STR_INIT("0x10"), BAD },
	{ "no fraction", STR_INIT("1.5"), BAD },
	{ "no unit", STR_INIT("5k"), BAD },
};

static const struct number_case time_cases[] = {
	{ "seconds", STR_INIT("30s"), 30 },
	{ "minutes", STR_INIT("5m"), 300 },
	{ "hours", STR_INIT("2h"), 7200 },
	{ "days", STR_INIT("1d"), 86400 },
	{ "weeks", STR_INIT("1w"), 604800 },
	{ "the default's unit", STR_INIT("3"), 10800 },
	{ "zero", STR_INIT("0"), 0 },
	{ "one letter", STR_INIT("5min"), BAD },
	{ "lower case", STR_INIT("5M"), BAD },
	{ "no other unit", STR_INIT("5y"), BAD },
	{ "no sum", STR_INIT("1h30m"), BAD },
	{ "no fraction", STR_INIT("1.5h"), BAD },
	{ "not negative", STR_INIT("-1s"), BAD },
	{ "no blank", STR_INIT("5 s"), BAD },
	{ "digits first", STR_INIT("s"), BAD },
	{ "not empty", STR_INIT(""), BAD },
	{ "the greatest", STR_INIT("2147483647s"), 2147483647 },
	{ "31 bits of seconds", STR_INIT("99999999w"), BAD },
	{ "far more", STR_INIT("18446744073709551616s"), BAD },
};

static bool read_hours(struct str s, int64_t *out)
{
	return conf_value_time(s, 'h', out);
}

static void
try(bool (*read)(struct str, int64_t *), struct str text, int64_t want, const char *rule)
{
	struct str exact = test_exact(text);
	int64_t got = BAD;

	ok(read(exact, &got) == (want != BAD), rule);
	ok(got == want, rule);
	free((char *)exact.p);
}

TEST(yes_or_no)
{
	FOR_EACH(c, bool_cases)
		try(conf_value_bool, c->text, c->want, c->rule);
}

TEST(numbers)
{
	FOR_EACH(c, int_cases)
		try(conf_value_int, c->text, c->want, c->rule);
}

TEST(times)
{
	FOR_EACH(c, time_cases)
		try(read_hours, c->text, c->want, c->rule);
}

static const struct {
	const char *rule;
	struct str text;
	bool is_ok;
	struct conf_level want;
} level_cases[] = {
	{ "one part", STR_INIT("2"), true, { { 2, 0, 0 } } },
	{ "two parts", STR_INIT("3.11"), true, { { 3, 11, 0 } } },
	{ "three parts", STR_INIT("3.6.1"), true, { { 3, 6, 1 } } },
	{ "not four", STR_INIT("3.6.1.0"), false },
	{ "not empty", STR_INIT(""), false },
	{ "no empty part", STR_INIT("3."), false },
	{ "no empty part", STR_INIT(".3"), false },
	{ "no empty part", STR_INIT("3..6"), false },
	{ "digits", STR_INIT("3.x"), false },
	{ "no blank", STR_INIT("3. 6"), false },
	{ "no sign", STR_INIT("-1"), false },
	{ "in reason", STR_INIT("3.99999"), false },
	{ "no end of releases", STR_INIT("9999"), true, { { 9999, 0, 0 } } },
};

TEST(levels)
{
	FOR_EACH(c, level_cases) {
		struct conf_level got = { 0 };
		struct str exact = test_exact(c->text);
		ok(conf_value_level(exact, &got) == c->is_ok, c->rule);
		ok(conf_level_cmp(got, c->want) == 0, c->rule);
		free((char *)exact.p);
	}
	ok(conf_level_cmp((struct conf_level){ { 3, 9, 0 } }, (struct conf_level){ { 3, 11, 0 } }) <
		   0,
	   "parts are numbers: 3.9 < 3.11");
	ok(conf_level_cmp((struct conf_level){ { 4, 0, 0 } }, (struct conf_level){ { 3, 11, 9 } }) >
		   0,
	   "the first part that differs decides");
}

TEST_MAIN(RUN(yes_or_no), RUN(numbers), RUN(times), RUN(levels))
