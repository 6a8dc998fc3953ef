#include "base/test.h"
#include "base/arena.h"
#include "base/limits.h"
#include "table/texthash_parse.h"

/* What the parser says is written down as "line:key=value" or "line!code", one after the other. */
static struct str outline(struct arena *a, struct str text, bool is_utf8)
{
	struct texthash_parser p;
	struct texthash_item item;
	enum texthash_event event;
	struct str s = STR("");

	texthash_parser_init(&p, text, is_utf8);
	while ((event = texthash_next(&p, &item)) != TEXTHASH_END) {
		if (item.code.n > 0)
			s = arena_fmt(a, STR_FMT "%u%s" STR_FMT ";", STR_ARG(s), item.line,
				      event == TEXTHASH_UNUSABLE ? "!!" : "!", STR_ARG(item.code));
		if (event == TEXTHASH_ENTRY)
			s = arena_fmt(a, STR_FMT "%u:" STR_FMT "=" STR_FMT ";", STR_ARG(s),
				      item.line, STR_ARG(item.key), STR_ARG(item.value));
	}
	texthash_parser_fini(&p);
	return s;
}

static const struct {
	const char *rule;
	struct str text, want;
} cases[] = {
	{ "key, white space, value", STR_INIT("example.com MUST\n"),
	  STR_INIT("1:example.com=MUST;") },
	{ "tab", STR_INIT("example.com\tMUST\n"), STR_INIT("1:example.com=MUST;") },
	{ "form feed", STR_INIT("example.com\f MUST\n"), STR_INIT("1:example.com=MUST;") },
	{ "no-break space is no white space", STR_INIT("example.com\u00a0MUST\n"),
	  STR_INIT("1!line-format;") },
	{ "the value is trimmed", STR_INIT("k    v  w   \n"), STR_INIT("1:k=v  w;") },
	{ "CR is white space", STR_INIT("k v\r\nl w\r\n"), STR_INIT("1:k=v;2:l=w;") },
	{ "no line end at the end", STR_INIT("k v"), STR_INIT("1:k=v;") },
	{ "empty text", STR_INIT(""), STR_INIT("") },
	{ "only blank lines", STR_INIT("\n \n\t\n\r\n"), STR_INIT("") },
	{ "comments", STR_INIT("# c\nk v\n  # d\n#e"), STR_INIT("2:k=v;") },
	{ "a number sign later is text", STR_INIT("k v # w\n"), STR_INIT("1:k=v # w;") },
	{ "continuation", STR_INIT("k\n v\n"), STR_INIT("1:k=v;") },
	{ "continuation with tab", STR_INIT("k\n\tv\n"), STR_INIT("1:k=v;") },
	{ "continuation keeps its blanks", STR_INIT("k MU\n  ST\n"), STR_INIT("1:k=MU  ST;") },
	{ "three lines", STR_INIT("k a\n b\n c\nl d\n"), STR_INIT("1:k=a b c;4:l=d;") },
	{ "comment inside an entry", STR_INIT("k a\n # c\n b\n"), STR_INIT("1:k=a b;") },
	{ "comment at the margin inside", STR_INIT("k a\n#c\n b\n"), STR_INIT("1:k=a b;") },
	{ "blank lines inside", STR_INIT("k a\n\n \n b\n"), STR_INIT("1:k=a b;") },
	{ "blank lines between", STR_INIT("k a\n\n\nl b\n"), STR_INIT("1:k=a;4:l=b;") },
	{ "leading white space in the first line", STR_INIT("  k v\nl w\n"),
	  STR_INIT("1!line-leading-space;2:l=w;") },
	{ "and what continues it", STR_INIT("# c\n k v\n w\nl x\n"),
	  STR_INIT("2!line-leading-space;4:l=x;") },
	{ "no value", STR_INIT("k\nl w\n"), STR_INIT("1!line-format;2:l=w;") },
	{ "blanks are no value", STR_INIT("k  \t \nl w\n"), STR_INIT("1!line-format;2:l=w;") },
	{ "quotes stay in the key", STR_INIT("\"k\" v\n"), STR_INIT("1:\"k\"=v;") },
	{ "blanks in quotes", STR_INIT("\"k l\" v\n"), STR_INIT("1:\"k l\"=v;") },
	{ "quotes within the key", STR_INIT("k\"l m\"n v\n"), STR_INIT("1:k\"l m\"n=v;") },
	{ "open quote", STR_INIT("\"k v\nl w\n"), STR_INIT("1!line-quote;2:l=w;") },
	{ "quotes in the value are text", STR_INIT("k \"v\nl w\n"), STR_INIT("1:k=\"v;2:l=w;") },
	{ "backslash before a blank", STR_INIT("k\\ l v\n"), STR_INIT("1:k\\ l=v;") },
	{ "backslash before a quote", STR_INIT("k\\\" v\n"), STR_INIT("1:k\\\"=v;") },
	{ "escaped quote in quotes", STR_INIT("\"k\\\" l\" v\n"), STR_INIT("1:\"k\\\" l\"=v;") },
	{ "backslash at the end", STR_INIT("k\\\n"), STR_INIT("1!line-format;") },
	{ "colon at the end of the key", STR_INIT("k: v\n"), STR_INIT("1!line-colon;1:k:=v;") },
	{ "equal sign is text", STR_INIT("k = v\n"), STR_INIT("1:k== v;") },
	{ "case is kept", STR_INIT("K V\n"), STR_INIT("1:K=V;") },
	{ "keys are not compared here", STR_INIT("k v\nk w\n"), STR_INIT("1:k=v;2:k=w;") },
	{ "UTF-8", STR_INIT("\u00e9 v\n"), STR_INIT("1:\u00e9=v;") },
	{ "not UTF-8", STR_INIT("\xe9 v\nl w\n"), STR_INIT("1!line-utf8;2:l=w;") },
	{ "NUL", STR_INIT("k v\0w\nl w\n"), STR_INIT("1!!line-nul;2:l=w;") },
};

TEST(texthash_next)
{
	struct arena *a = arena_new();

	FOR_EACH(c, cases) {
		struct str copy = test_exact(c->text);
		ok_str(outline(a, copy, true), c->want, c->rule);
		free((char *)copy.p);
	}
	arena_free(a);
}

/* Where the text is cut off must not matter to what stands before the cut's own entry. */
TEST(texthash_every_prefix)
{
	static const struct str text = STR_INIT("# c\nk a\n # c\n b\n\"l m\"\n n\n\nO: p\n q\\\n");
	struct arena *a = arena_new();

	for (size_t n = 0; n <= text.n; n++) {
		struct str copy = test_exact(str_first(text, n));
		struct str got = outline(a, copy, true);
		if (n > 21)
			ok(str_has_prefix(got, STR("2:k=a b;")), "the first entry is whole");
		free((char *)copy.p);
	}
	arena_free(a);
}

TEST(texthash_without_smtputf8)
{
	struct arena *a = arena_new();

	ok_str(outline(a, STR("\xe9 v\n"), false), STR("1:\xe9=v;"), "any octets");
	arena_free(a);
}

static struct str repeat(struct arena *a, const char *head, size_t n, const char *tail)
{
	size_t n_head = strlen(head), n_tail = strlen(tail);
	char *p = arena_alloc(a, n_head + n + n_tail);

	memcpy(p, head, n_head);
	memset(p + n_head, 'x', n);
	memcpy(p + n_head + n, tail, n_tail);
	return str_span(p, n_head + n + n_tail);
}

TEST(texthash_length)
{
	struct arena *a = arena_new();
	struct str s;

	s = repeat(a, "k ", TABLE_VALUE_MAX - 2, "\nl w\n");
	ok(str_has_suffix(outline(a, s, true), STR(";2:l=w;")), "as long as may be");
	s = repeat(a, "k ", TABLE_VALUE_MAX - 1, "\nl w\n");
	ok_str(outline(a, s, true), STR("1!!line-length;2:l=w;"), "one octet more");
	s = repeat(a, "k v\n ", TABLE_VALUE_MAX - 3, "\n y\nl w\n");
	ok_str(outline(a, s, true), STR("1!!line-length;4:l=w;"), "by continuation");
	s = repeat(a, "k ", TABLE_VALUE_MAX, "\n y\nl w\n");
	ok_str(outline(a, s, true), STR("1!!line-length;3:l=w;"), "and continued");
	arena_free(a);
}

TEST_MAIN(RUN(texthash_next), RUN(texthash_every_prefix), RUN(texthash_without_smtputf8),
	  RUN(texthash_length))
