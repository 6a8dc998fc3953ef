#include "base/test.h"
#include "table/template.h"

/* The groups of every case: 1 "one", 2 "", 3 "three". want ".": not good. */
static const struct {
	const char *rule;
	struct str text, want;
	size_t max;
} cases[] = {
	{ "empty", STR_INIT(""), STR_INIT(""), 0 },
	{ "as it stands", STR_INIT("MUST"), STR_INIT("MUST"), 0 },
	{ "a group", STR_INIT("$1"), STR_INIT("one"), 1 },
	{ "in braces", STR_INIT("a${1}b"), STR_INIT("aoneb"), 1 },
	{ "in parentheses", STR_INIT("a$(3)b$1"), STR_INIT("athreebone"), 3 },
	{ "a group that took no part", STR_INIT("<$2>"), STR_INIT("<>"), 2 },
	{ "a dollar", STR_INIT("$$"), STR_INIT("$"), 0 },
	{ "a dollar is no reference", STR_INIT("$$1"), STR_INIT("$1"), 0 },
	{ "three dollars", STR_INIT("$$$1"), STR_INIT("$one"), 1 },
	{ "number and punctuation", STR_INIT("$1.$3"), STR_INIT("one.three"), 3 },
	{ "leading zeros", STR_INIT("$01"), STR_INIT("one"), 1 },
	{ "letters belong to the name", STR_INIT("$1y"), STR_INIT(".") },
	{ "underscore too", STR_INIT("$1_"), STR_INIT(".") },
	{ "group zero", STR_INIT("$0"), STR_INIT(".") },
	{ "a name", STR_INIT("$name"), STR_INIT(".") },
	{ "at the end", STR_INIT("x$"), STR_INIT(".") },
	{ "before a blank", STR_INIT("x$ y"), STR_INIT(".") },
	{ "empty braces", STR_INIT("${}"), STR_INIT(".") },
	{ "open braces", STR_INIT("x${1"), STR_INIT(".") },
	{ "braces in braces", STR_INIT("${{1}}"), STR_INIT(".") },
	{ "other closing", STR_INIT("$(1}"), STR_INIT(".") },
	{ "a blank in braces", STR_INIT("${ 1 }"), STR_INIT(".") },
	{ "too many", STR_INIT("$99999999999999999999"), STR_INIT(".") },
};

static void template_case(struct str text, struct str want, size_t want_max, const char *rule)
{
	static const struct str groups[] = { STR_INIT("zero"), STR_INIT("one"), STR_INIT(""),
					     STR_INIT("three") };
	struct error why;
	struct buf out;
	size_t max;

	buf_init(&out, 100);
	if (template_check(text, &max, &why)) {
		ok(max == want_max, rule);
		ok(template_expand(text, groups, &out), rule);
		ok_str(buf_str(&out), want, rule);
	} else {
		ok_str(STR("."), want, rule);
		ok(why.text[0] != '\0', rule);
	}
	buf_fini(&out);
}

TEST(template_expand)
{
	FOR_EACH(c, cases) {
		struct str text = test_exact(c->text);
		template_case(text, c->want, c->max, c->rule);
		free((void *)text.p);
	}
}

/* Every beginning of a text, from memory of just that size: only the sanitizers see more. */
TEST(template_every_prefix)
{
	FOR_EACH(c, cases) {
		for (size_t n = 0; n <= c->text.n; n++) {
			struct str text = test_exact(str_first(c->text, n));
			struct error why;
			size_t max;
			if (!template_check(text, &max, &why))
				ok(why.kind != ERROR_NONE, c->rule);
			free((void *)text.p);
		}
	}
}

TEST(template_limit)
{
	const struct str groups[] = { STR(""), STR("0123456789") };
	struct buf out;

	buf_init(&out, 15);
	ok(!template_expand(STR("$1$1"), groups, &out), "more than the limit");
	buf_fini(&out);
}

TEST_MAIN(RUN(template_expand), RUN(template_every_prefix), RUN(template_limit))
