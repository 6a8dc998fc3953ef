#include "proto/content_in.h"

#include "base/test.h"

static const struct {
	const char *rule;
	struct str in, want;
	bool is_end, has_bare;
	struct str rest;
} cases[] = {
	{ "empty message", STR_INIT(".\r\n"), STR_INIT(""), true, false, STR_INIT("") },
	{ "lines", STR_INIT("a\r\nb\r\n.\r\n"), STR_INIT("a\r\nb\r\n"), true, false, STR_INIT("") },
	{ "what follows stays", STR_INIT("a\r\n.\r\nQUIT\r\n"), STR_INIT("a\r\n"), true, false,
	  STR_INIT("QUIT\r\n") },
	{ "stuffed dots", STR_INIT("..\r\n...\r\n.a\r\na.\r\n.\r\n"),
	  STR_INIT(".\r\n..\r\na\r\na.\r\n"), true, false, STR_INIT("") },
	{ "no end", STR_INIT("a\r\n.\r"), STR_INIT("a\r\n"), false, false, STR_INIT("") },
	{ "LF.LF", STR_INIT("a\n.\nb\r\n.\r\n"), STR_INIT("a\r\n.\r\nb\r\n"), true, true,
	  STR_INIT("") },
	{ "LF.CRLF", STR_INIT("a\n.\r\nb\r\n.\r\n"), STR_INIT("a\r\n.\r\nb\r\n"), true, true,
	  STR_INIT("") },
	{ "CRLF.LF", STR_INIT("a\r\n.\nb\r\n.\r\n"), STR_INIT("a\r\n\r\nb\r\n"), true, true,
	  STR_INIT("") },
	{ "CRLF.CR", STR_INIT("a\r\n.\rb\r\n.\r\n"), STR_INIT("a\r\n b\r\n"), true, true,
	  STR_INIT("") },
	{ "CR.CR", STR_INIT("a\r.\rb\r\n.\r\n"), STR_INIT("a . b\r\n"), true, true, STR_INIT("") },
	{ "CRCRLF", STR_INIT("a\r\r\n.\r\n"), STR_INIT("a \r\n"), true, true, STR_INIT("") },
	{ "CRLF.CRCRLF", STR_INIT("a\r\n.\r\r\n.\r\n"), STR_INIT("a\r\n \r\n"), true, true,
	  STR_INIT("") },
	{ "NUL and 8 bit pass", STR_INIT("\0\xff\r\n.\r\n"), STR_INIT("\0\xff\r\n"), true, false,
	  STR_INIT("") },
};

static void split(int i, size_t at)
{
	struct content_in c;
	struct buf out;
	struct str first = test_exact(str_first(cases[i].in, at));
	struct str second = test_exact(str_from(cases[i].in, at));
	struct str a = first, b = second;

	buf_init(&out, CONTENT_IN_MAX(first.n) + CONTENT_IN_MAX(second.n));
	content_in_init(&c);
	bool is_end = content_in_feed(&c, &a, &out);
	if (!is_end)
		is_end = content_in_feed(&c, &b, &out);
	ok(is_end == cases[i].is_end, cases[i].rule);
	ok(c.has_bare_newline == cases[i].has_bare, cases[i].rule);
	ok(a.n + b.n == cases[i].rest.n, cases[i].rule);
	ok_str(buf_str(&out), cases[i].want, cases[i].rule);
	buf_fini(&out);
	free((void *)(uintptr_t)first.p);
	free((void *)(uintptr_t)second.p);
}

TEST(every_split)
{
	for (int i = 0; i < (int)ARRAY_LEN(cases); i++)
		for (size_t at = 0; at <= cases[i].in.n; at++)
			split(i, at);
}

static const struct {
	const char *rule;
	struct str in, want;
	bool has_bare;
} chunks[] = {
	{ "nothing", STR_INIT(""), STR_INIT(""), false },
	{ "dots stay", STR_INIT(".\r\n..a\r\n.\r\n"), STR_INIT(".\r\n..a\r\n.\r\n"), false },
	{ "a last line without end", STR_INIT("a\r\nb"), STR_INIT("a\r\nb\r\n"), false },
	{ "CR at the end", STR_INIT("a\r"), STR_INIT("a\r\n"), true },
	{ "LF", STR_INIT("a\n.\nb\n"), STR_INIT("a\r\n.\r\nb\r\n"), true },
	{ "CR", STR_INIT("a\rb\r\n"), STR_INIT("a b\r\n"), true },
};

TEST(chunks_in_every_split)
{
	FOR_EACH(t, chunks) {
		for (size_t at = 0; at <= t->in.n; at++) {
			struct content_in c;
			struct buf out;
			struct str first = str_first(t->in, at), second = str_from(t->in, at);

			buf_init(&out, CONTENT_IN_MAX(t->in.n) + 2);
			content_in_init_chunks(&c);
			ok(!content_in_feed(&c, &first, &out), t->rule);
			ok(!content_in_feed(&c, &second, &out), t->rule);
			content_in_end_chunks(&c, &out);
			ok_str(buf_str(&out), t->want, t->rule);
			ok(c.has_bare_newline == t->has_bare, t->rule);
			buf_fini(&out);
		}
	}
}

TEST_MAIN(RUN(every_split), RUN(chunks_in_every_split))
