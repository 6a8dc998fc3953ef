#include "base/test.h"
#include "mail/domain.h"

#define L10 "abcdefghi."
#define L50 L10 L10 L10 L10 L10
#define N63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *rule;
	struct str name;
	bool want;
} hostname_cases[] = {
	{ "a name", STR_INIT("mx1.example.com"), true },
	{ "one label", STR_INIT("localhost"), true },
	{ "underscore", STR_INIT("_a_.example.com"), true },
	{ "inner hyphen", STR_INIT("x-y.example.com"), true },
	{ "numeric label beside another", STR_INIT("a.1"), true },
	{ "label of 63", STR_INIT(N63 ".example"), true },
	{ "label of 64", STR_INIT(N63 "x.example"), false },
	{ "255 octets", STR_INIT(L50 L50 L50 L50 L50 "abcde"), true },
	{ "256 octets", STR_INIT(L50 L50 L50 L50 L50 "abcdef"), false },
	{ "empty", STR_INIT(""), false },
	{ "trailing dot", STR_INIT("example.com."), false },
	{ "leading dot", STR_INIT(".example.com"), false },
	{ "double dot", STR_INIT("a..b"), false },
	{ "leading hyphen", STR_INIT("-a.example"), false },
	{ "trailing hyphen", STR_INIT("a-.example"), false },
	{ "numbers only", STR_INIT("12345"), false },
	{ "numbers and dots only", STR_INIT("1.2.3.4.5"), false },
	{ "numbers and a hyphen", STR_INIT("1-2"), false },
	{ "star", STR_INIT("*.example.com"), false },
	{ "not ASCII",
	  STR_INIT("b\xc3\xbc"
		   "cher.example"),
	  false },
	{ "NUL", STR_INIT("a\0b"), false },
};

TEST(domain_is_hostname)
{
	FOR_EACH(c, hostname_cases) {
		struct str copy = test_exact(c->name);
		ok(domain_is_hostname(copy) == c->want, c->rule);
		free((char *)copy.p);
	}
}

static const struct {
	const char *rule;
	struct str name, want; /* want "": cannot be converted */
} ascii_cases[] = {
	{ "ASCII stays as it is", STR_INIT("Example.COM"), STR_INIT("Example.COM") },
	{ "ASCII is not checked", STR_INIT("a..b"), STR_INIT("a..b") },
	{ "U-label", STR_INIT("\u00e9cole.example"), STR_INIT("xn--cole-9oa.example") },
	{ "upper case maps", STR_INIT("\u00c9COLE.Example"), STR_INIT("xn--cole-9oa.example") },
	{ "sharp s stays (non-transitional)", STR_INIT("stra\u00dfe.example"),
	  STR_INIT("xn--strae-oqa.example") },
	{ "final sigma stays", STR_INIT("\u03c3\u03b1\u03c2.example"),
	  STR_INIT("xn--mxa8ab.example") },
	{ "ideographic full stop", STR_INIT("\u00e9\u3002example"), STR_INIT("xn--9ca.example") },
	{ "full width", STR_INIT("\uff45xample.com"), STR_INIT("example.com") },
	{ "decomposed", STR_INIT("e\u0301cole.example"), STR_INIT("xn--cole-9oa.example") },
	{ "brackets and port", STR_INIT("[\u00e9.example]:587"), STR_INIT("") },
	{ "empty label", STR_INIT("\u00e9..example"), STR_INIT("") },
	{ "trailing dot", STR_INIT("\u00e9.example."), STR_INIT("") },
	{ "blank", STR_INIT("a b.\u00e9"), STR_INIT("") },
	{ "not UTF-8",
	  STR_INIT("\xe9"
		   "cole.example"),
	  STR_INIT("") },
	{ "NUL", STR_INIT("\u00e9\0.example"), STR_INIT("") },
	{ "label too long", STR_INIT("\u00e9" N63 ".example"), STR_INIT("") },
};

TEST(domain_to_ascii)
{
	struct arena *a = arena_new();

	FOR_EACH(c, ascii_cases) {
		struct str copy = test_exact(c->name), out = STR("");
		ok(domain_to_ascii(a, copy, &out) == (c->want.n > 0), c->rule);
		ok_str(out, c->want, c->rule);
		if (!domain_is_ascii(copy)) {
			ok(domain_is_hostname_utf8(copy, true) == (c->want.n > 0), c->rule);
			ok(!domain_is_hostname_utf8(copy, false), "not without SMTPUTF8");
		}
		free((char *)copy.p);
	}
	arena_free(a);
}

TEST(domain_is_hostname_utf8_limit)
{
	char text[4096];

	memset(text, 'a', sizeof(text));
	memcpy(text, "\u00e9.", 3);
	ok(!domain_is_hostname_utf8(str_span(text, sizeof(text)), true), "longer than any name");
}

static const struct {
	const char *rule;
	struct str name, want;
} fold_cases[] = {
	{ "A-Z", STR_INIT("[Mail.Example.COM]:587"), STR_INIT("[mail.example.com]:587") },
	{ "letters with accents", STR_INIT("\u00c9COLE"), STR_INIT("\u00e9cole") },
	{ "sharp s becomes ss", STR_INIT("Stra\u00dfe"), STR_INIT("strasse") },
	{ "final sigma becomes sigma", STR_INIT("\u03a3\u0391\u03c2"),
	  STR_INIT("\u03c3\u03b1\u03c3") },
	{ "no composition", STR_INIT("E\u0301"), STR_INIT("e\u0301") },
	{ "not UTF-8 falls back to A-Z", STR_INIT("\xc9 \xc3\x89 A"), STR_INIT("\xc9 \xc3\x89 a") },
	{ "empty", STR_INIT(""), STR_INIT("") },
};

TEST(domain_fold)
{
	struct arena *a = arena_new();

	FOR_EACH(c, fold_cases) {
		struct str copy = test_exact(c->name);
		ok_str(domain_fold(a, copy), c->want, c->rule);
		free((char *)copy.p);
	}
	arena_free(a);
}

TEST(domain_is_utf8)
{
	ok(domain_is_utf8(STR("")) && domain_is_utf8(STR("a\u00e9\U0001f600")), "UTF-8");
	ok(!domain_is_utf8(STR("\xe9")), "Latin-1");
	ok(!domain_is_utf8(STR("\xc0\x80")), "overlong");
	ok(!domain_is_utf8(STR("\xed\xa0\x80")), "surrogate");
	ok(!domain_is_utf8(str_first(STR("\u00e9"), 1)), "cut off");
}

TEST(domain_is_address_literal)
{
	ok(domain_is_address_literal(STR("192.0.2.1")), "IPv4");
	ok(domain_is_address_literal(STR("2001:DB8::1")), "IPv6");
	ok(domain_is_address_literal(STR("0.0.0.0")), "unspecified");
	ok(!domain_is_address_literal(STR("0.1.2.3")), "0/8 is no destination");
	ok(!domain_is_address_literal(STR("[192.0.2.1]")), "brackets");
	ok(!domain_is_address_literal(STR("example.com")), "a name");
}

TEST_MAIN(RUN(domain_is_hostname), RUN(domain_to_ascii), RUN(domain_is_hostname_utf8_limit),
	  RUN(domain_fold), RUN(domain_is_utf8), RUN(domain_is_address_literal))
