#include "base/base64.h"

#include "base/test.h"

static const struct {
	const char *rule;
	struct str octets, text;
} cases[] = {
	{ "nothing", STR_INIT(""), STR_INIT("") },
	{ "one octet", STR_INIT("f"), STR_INIT("Zg==") },
	{ "two octets", STR_INIT("fo"), STR_INIT("Zm8=") },
	{ "three octets", STR_INIT("foo"), STR_INIT("Zm9v") },
	{ "RFC 4648 section 10", STR_INIT("foobar"), STR_INIT("Zm9vYmFy") },
	{ "NUL between", STR_INIT("\0u\0p"), STR_INIT("AHUAcA==") },
	{ "high octets", STR_INIT("\xff\xfb\xbe"), STR_INIT("//u+") },
};

static const struct str bad[] = {
	STR_INIT("Z"),     STR_INIT("Zg"),   STR_INIT("Zg="),      STR_INIT("Zg==="),
	STR_INIT("="),     STR_INIT("===="), STR_INIT("Zg==Zg=="), STR_INIT("Zm9_"),
	STR_INIT("Zm 9v"), STR_INIT("Zh=="), STR_INIT("Zm9="),     STR_INIT("Zm9v\r\n"),
	STR_INIT("*"),
};

TEST(both_ways)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct str out = STR_NONE, exact = test_exact(c->text);

		ok_str(base64_encode(a, c->octets), c->text, c->rule);
		ok(base64_decode(a, exact, &out), c->rule);
		ok_str(out, c->octets, c->rule);
		free((void *)(uintptr_t)exact.p);
		arena_free(a);
	}
}

TEST(refused)
{
	FOR_EACH(b, bad) {
		struct arena *a = arena_new();
		struct str out;

		ok(!base64_decode(a, *b, &out), b->p);
		arena_free(a);
	}
}

TEST_MAIN(RUN(both_ways), RUN(refused))
