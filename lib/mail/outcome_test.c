#include "base/test.h"
#include "mail/outcome.h"

static const struct {
	const char *rule;
	struct str text;
	int code;
	struct str want, rest; /* want "": no status */
} cases[] = {
	{ "status and text", STR_INIT("2.1.5 Ok"), 250, STR_INIT("2.1.5"), STR_INIT("Ok") },
	{ "status alone", STR_INIT("4.7.1"), 451, STR_INIT("4.7.1"), STR_INIT("") },
	{ "three digits", STR_INIT("5.123.999 no"), 550, STR_INIT("5.123.999"), STR_INIT("no") },
	{ "line end after it", STR_INIT("2.0.0\nmore"), 250, STR_INIT("2.0.0"),
	  STR_INIT("\nmore") },
	{ "class differs from the code", STR_INIT("4.1.1 no"), 550, STR_INIT("") },
	{ "class 3", STR_INIT("3.0.0 go on"), 354, STR_INIT("") },
	{ "an address is no status", STR_INIT("5.0.0.1 refused"), 550, STR_INIT("") },
	{ "four digits", STR_INIT("5.1000.0 no"), 550, STR_INIT("") },
	{ "no detail", STR_INIT("5.1. no"), 550, STR_INIT("") },
	{ "no subject", STR_INIT("5..1 no"), 550, STR_INIT("") },
	{ "cut off", STR_INIT("5.1"), 550, STR_INIT("") },
	{ "cut off after the dot", STR_INIT("5.12."), 550, STR_INIT("") },
	{ "letters", STR_INIT("5.1.1x no"), 550, STR_INIT("") },
	{ "empty", STR_INIT(""), 250, STR_INIT("") },
};

TEST(status_parse)
{
	struct arena *a = arena_new();

	FOR_EACH(c, cases) {
		struct status s;
		struct str copy = test_exact(c->text), rest;
		ok(status_parse(copy, c->code, &s, &rest) == (c->want.n > 0), c->rule);
		if (c->want.n) {
			ok_str(status_text(a, s), c->want, c->rule);
			ok_str(rest, c->rest, c->rule);
		}
		free((char *)copy.p);
	}
	arena_free(a);
}

TEST(outcome_kind_name)
{
	ok_str(outcome_kind_name(OUTCOME_DELIVERED), STR("delivered"), "name");
	ok_str(outcome_kind_name(OUTCOME_DEFERRED), STR("deferred"), "name");
	ok_str(outcome_kind_name(OUTCOME_BOUNCED), STR("bounced"), "name");
}

TEST_MAIN(RUN(status_parse), RUN(outcome_kind_name))
