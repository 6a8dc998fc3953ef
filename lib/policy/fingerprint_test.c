#include "policy/fingerprint.h"
#include "base/test.h"

static const struct {
	const char *text, *want;
} cases[] = {
	{ "AA:BB:cc", "aabbcc" }, { "AABBCC", "aabbcc" }, { "aabb:CC", "aabbcc" },
	{ "aa", "aa" },           { "", NULL },           { "a", NULL },
	{ "aab", NULL },          { "AA:", NULL },        { "AA:B", NULL },
	{ ":AA", NULL },          { "AA::BB", NULL },     { "a:ab", NULL },
	{ "0xAABB", NULL },       { "sha256=AA", NULL },  { "zz", NULL },
};

TEST(hex_pairs_with_single_colons_between_them)
{
	struct arena *a = arena_new();

	FOR_EACH(c, cases) {
		struct str text = test_exact(str_of(c->text)), out = STR("");

		ok(policy_fingerprint_parse(a, text, &out) == (c->want != NULL), c->text);
		ok_str(out, str_of(c->want ? c->want : ""), c->text);
		free((char *)text.p);
	}
	arena_free(a);
}

TEST(at_most_192_octets)
{
	struct arena *a = arena_new();
	char text[194];
	struct str out;

	memset(text, 'a', sizeof(text));
	ok(policy_fingerprint_parse(a, str_span(text, 192), &out) && out.n == 192, "192");
	ok(!policy_fingerprint_parse(a, str_span(text, 194), &out), "194");
	arena_free(a);
}

TEST(malformed_pieces_are_named_and_left_out)
{
	struct policy_trace t = { .a = arena_new() };
	size_t n;
	const struct str *v = policy_fingerprint_list(&t, STR("AA, zz BB,,|"), &n);

	ok(n == 2 && str_eq(v[0], STR("aa")) && str_eq(v[1], STR("bb")), "the good ones in order");
	ok(t.n == 2 && str_eq(t.v[0].code, STR("fingerprint-malformed")), "two warnings");
	arena_free(t.a);
}

/* However many are wrong, there is room for the rules that follow. */
TEST(warnings_do_not_fill_the_trace)
{
	struct policy_trace t = { .a = arena_new() };
	char text[4000];
	size_t n;

	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "z ", 2);
	(void)policy_fingerprint_list(&t, str_span(text, sizeof(text)), &n);
	ok(n == 0 && t.n < POLICY_TRACE_MAX, "bounded");
	for (int i = 0; i < 20; i++)
		policy_trace_add(&t, TRACE_RULE, STR("x"), STR("rule %"), arena_fmt(t.a, "%d", i));
	ok(t.n <= POLICY_TRACE_MAX && str_eq(trace_text(t.a, &t.v[t.n - 1]), STR("rule 19")),
	   "rules find room");
	arena_free(t.a);
}

TEST_MAIN(RUN(hex_pairs_with_single_colons_between_them), RUN(at_most_192_octets),
	  RUN(malformed_pieces_are_named_and_left_out), RUN(warnings_do_not_fill_the_trace))
