#include "base/test.h"
#include "table/braces.h"

static const struct {
	const char *rule;
	struct str text;
	bool is_ok;
	struct str inside;
} unbrace_cases[] = {
	{ "simple", STR_INIT("{a}"), true, STR_INIT("a") },
	{ "blanks at the ends", STR_INIT("{ a b\t}"), true, STR_INIT("a b") },
	{ "nested", STR_INIT("{a {b} {{c}}}"), true, STR_INIT("a {b} {{c}}") },
	{ "empty", STR_INIT("{}"), true, STR_INIT("") },
	{ "not closed", STR_INIT("{a"), false },
	{ "inner one not closed", STR_INIT("{a{b}"), false },
	{ "text after it", STR_INIT("{a}b"), false },
	{ "two", STR_INIT("{a}{b}"), false },
	{ "no brace", STR_INIT("a"), false },
	{ "only opened", STR_INIT("{"), false },
	{ "nothing", STR_INIT(""), false },
};

TEST(table_unbrace)
{
	FOR_EACH(c, unbrace_cases) {
		struct str copy = test_exact(c->text), inside = STR("");
		ok(table_unbrace(copy, &inside) == c->is_ok, c->rule);
		ok_str(inside, c->inside, c->rule);
		free((char *)copy.p);
	}
}

static const struct {
	const char *rule;
	struct str text;
	struct str name, value, problem; /* of the first pair */
} pair_cases[] = {
	{ "plain", STR_INIT("k=v"), STR_INIT("k"), STR_INIT("v") },
	{ "a comma ends it", STR_INIT("k=v,w"), STR_INIT("k"), STR_INIT("v") },
	{ "a blank ends it", STR_INIT("k=v w"), STR_INIT("k"), STR_INIT("v") },
	{ "braces hold blanks", STR_INIT("{ k = v, w }"), STR_INIT("k"), STR_INIT("v, w") },
	{ "braces within the value", STR_INIT("{k = v { a = b }}"), STR_INIT("k"),
	  STR_INIT("v { a = b }") },
	{ "the first equal sign", STR_INIT("k=a=b"), STR_INIT("k"), STR_INIT("a=b") },
	{ "brackets and port", STR_INIT("{[example.com]:587 = MUST}"),
	  STR_INIT("[example.com]:587"), STR_INIT("MUST") },
	{ "empty value", STR_INIT("k="), STR_INIT("k"), STR_INIT("") },
	{ "no equal sign", STR_INIT("k"), .problem = STR_INIT("there is no \"=\" after a key") },
	{ "blanks split without braces", STR_INIT("k = v"),
	  .problem = STR_INIT("there is no \"=\" after a key") },
	{ "no key", STR_INIT("=v"), .problem = STR_INIT("there is no key before \"=\"") },
	{ "empty braces", STR_INIT("{}"), .problem = STR_INIT("there is no key before \"=\"") },
	{ "key of two words", STR_INIT("{a b = v}"),
	  .problem = STR_INIT("there is white space in a key") },
	{ "text after braces", STR_INIT("{k=v}x"),
	  .problem = STR_INIT("the braces of a pair do not match, or something follows them") },
};

TEST(table_pair_next)
{
	FOR_EACH(c, pair_cases) {
		struct str copy = test_exact(c->text), rest = copy;
		struct str name = STR(""), value = STR(""), problem = STR("");
		enum table_pair got = table_pair_next(&rest, &name, &value, &problem);
		ok(got == (c->problem.n ? TABLE_PAIR_BAD : TABLE_PAIR), c->rule);
		ok_str(problem, c->problem, c->rule);
		if (got == TABLE_PAIR) {
			ok_str(name, c->name, c->rule);
			ok_str(value, c->value, c->rule);
		}
		free((char *)copy.p);
	}
}

TEST(table_pair_list)
{
	struct str rest = STR(" a=1,, {b = 2 3} c=4 "), name, value, problem;

	ok(table_pair_next(&rest, &name, &value, &problem) == TABLE_PAIR, "first");
	ok_str(name, STR("a"), "first");
	ok(table_pair_next(&rest, &name, &value, &problem) == TABLE_PAIR, "second");
	ok_str(value, STR("2 3"), "second");
	ok(table_pair_next(&rest, &name, &value, &problem) == TABLE_PAIR, "third");
	ok_str(name, STR("c"), "third");
	ok(table_pair_next(&rest, &name, &value, &problem) == TABLE_PAIR_END, "end");
}

TEST_MAIN(RUN(table_unbrace), RUN(table_pair_next), RUN(table_pair_list))
