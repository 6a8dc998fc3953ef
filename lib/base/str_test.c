#include "base/test.h"

TEST(str_cut_and_rcut)
{
	struct str a = STR_NONE, b = STR_NONE;

	ok(str_cut(STR("a:b:c"), ':', &a, &b), "first separator");
	ok_str(a, STR("a"), "cut before");
	ok_str(b, STR("b:c"), "cut after");
	ok(str_rcut(STR("a:b:c"), ':', &a, &b), "last separator");
	ok_str(a, STR("a:b"), "rcut before");
	ok_str(b, STR("c"), "rcut after");
	ok(!str_cut(STR("abc"), ':', &a, &b), "no separator");
	ok_str(b, STR("c"), "outputs untouched without separator");
}

static const struct {
	const char *rule;
	struct str text;
	struct str tokens[4];
} token_cases[] = {
	{ "runs of separators are one", STR_INIT(" ,a,, b"), { STR_INIT("a"), STR_INIT("b") } },
	{ "braces hide separators", STR_INIT("a{b, c} d"), { STR_INIT("a{b, c}"), STR_INIT("d") } },
	{ "braces nest", STR_INIT("{ {x} , y } z"), { STR_INIT("{ {x} , y }"), STR_INIT("z") } },
	{ "a lone closing brace is text", STR_INIT("a} b"), { STR_INIT("a}"), STR_INIT("b") } },
	{ "only separators give nothing", STR_INIT(" , "), { STR_INIT("") } },
};

TEST(str_token_braced)
{
	FOR_EACH(c, token_cases) {
		struct str copy = test_exact(c->text), rest = copy, token;
		size_t i = 0;
		while (str_token_braced(&rest, STR(", "), &token))
			ok_str(token, c->tokens[i++], c->rule);
		ok(c->tokens[i].n == 0, c->rule);
		free((char *)copy.p);
	}
}

static const struct {
	const char *rule;
	struct str text;
	bool is_ok;
	uint64_t want;
} number_cases[] = {
	{ "digits", STR_INIT("0123"), true, 123 },
	{ "empty is no number", STR_INIT(""), false, 0 },
	{ "no sign", STR_INIT("+1"), false, 0 },
	{ "no blanks", STR_INIT("1 "), false, 0 },
	{ "largest", STR_INIT("18446744073709551615"), true, UINT64_MAX },
	{ "one more overflows", STR_INIT("18446744073709551616"), false, 0 },
};

TEST(str_to_u64)
{
	FOR_EACH(c, number_cases) {
		uint64_t v = 0;
		ok(str_to_u64(c->text, &v) == c->is_ok, c->rule);
		ok(v == c->want, c->rule);
	}
}

static const struct {
	const char *rule;
	struct str text;
	size_t shown;
} shown_cases[] = {
	{ "nothing", STR_INIT(""), 0 },
	{ "ASCII", STR_INIT("a b~"), 4 },
	{ "two, three and four octets", STR_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7"), 9 },
	{ "ESC", STR_INIT("a\x1b[31m"), 1 },
	{ "a line end", STR_INIT("a\nb"), 1 },
	{ "DEL", STR_INIT("ab\x7f"), 2 },
	{ "C1 in UTF-8", STR_INIT("a\xc2\x9b"), 1 },
	{ "no-break space is the first behind C1", STR_INIT("\xc2\xa0"), 2 },
	{ "C1 as an octet", STR_INIT("a\x9b"), 1 },
	{ "Latin-1", STR_INIT("a\xe4 "), 1 },
	{ "cut", STR_INIT("a\xe2\x82"), 1 },
	{ "right to left", STR_INIT("a\xe2\x80\xae"), 1 },
	{ "isolate", STR_INIT("a\xe2\x81\xa6"), 1 },
	{ "line separator", STR_INIT("a\xe2\x80\xa8"), 1 },
};

TEST(str_shown_len)
{
	FOR_EACH(c, shown_cases) {
		struct str copy = test_exact(c->text);
		ok(str_shown_len(copy) == c->shown, c->rule);
		free((char *)copy.p);
	}
}

TEST(str_compare)
{
	ok(str_ieq_ascii(STR("MiXeD"), STR("mIxEd")), "A-Z fold");
	ok(!str_ieq_ascii(STR("\xc3\x84"), STR("\xc3\xa4")), "only A-Z fold");
	ok(str_cmp(STR("a"), STR("ab")) < 0, "a prefix sorts first");
	ok(str_has_suffix(STR("mx.example"), STR(".example")), "suffix");
	ok(!str_has_suffix(STR("e"), STR(".e")), "suffix longer than text");
	ok_str(str_trim(STR(" \t a b\r\n")), STR("a b"), "trim");
	ok_str(str_from(STR("abc"), 9), STR(""), "from past the end");
}

TEST_MAIN(RUN(str_cut_and_rcut), RUN(str_token_braced), RUN(str_to_u64), RUN(str_shown_len),
	  RUN(str_compare))
