#include "proto/content_out.h"

#include "base/test.h"

static const struct {
	const char *rule;
	size_t limit;
	struct str in, want;
} cases[] = {
	{ "empty", 0, STR_INIT(""), STR_INIT(".\r\n") },
	{ "LF", 0, STR_INIT("a\nb\n"), STR_INIT("a\r\nb\r\n.\r\n") },
	{ "CRLF", 0, STR_INIT("a\r\nb\r\n"), STR_INIT("a\r\nb\r\n.\r\n") },
	{ "mixed", 0, STR_INIT("a\r\nb\nc\r\n"), STR_INIT("a\r\nb\r\nc\r\n.\r\n") },
	{ "no final line end", 0, STR_INIT("a"), STR_INIT("a\r\n.\r\n") },
	{ "dots", 0, STR_INIT(".\n..\n.a\na.\n"), STR_INIT("..\r\n...\r\n..a\r\na.\r\n.\r\n") },
	{ "a dot without line end", 0, STR_INIT("."), STR_INIT("..\r\n.\r\n") },
	{ "CR inside a line", 0, STR_INIT("a\rb\n"), STR_INIT("a b\r\n.\r\n") },
	{ "CR before CRLF", 0, STR_INIT("a\r\r\n"), STR_INIT("a \r\n.\r\n") },
	{ "CR at the end", 0, STR_INIT("a\r"), STR_INIT("a \r\n.\r\n") },
	{ "smuggling LF.LF", 0, STR_INIT("a\n.\nMAIL\n"), STR_INIT("a\r\n..\r\nMAIL\r\n.\r\n") },
	{ "smuggling LF.CRLF", 0, STR_INIT("a\n.\r\nMAIL"), STR_INIT("a\r\n..\r\nMAIL\r\n.\r\n") },
	{ "smuggling CRLF.CR", 0, STR_INIT("a\r\n.\rMAIL"), STR_INIT("a\r\n.. MAIL\r\n.\r\n") },
	{ "smuggling CR.CRLF", 0, STR_INIT("a\r.\r\nMAIL"), STR_INIT("a .\r\nMAIL\r\n.\r\n") },
	{ "smuggling CRLF.CR.CRLF", 0, STR_INIT("\r\n.\r.\r\n"), STR_INIT("\r\n.. .\r\n.\r\n") },
	{ "CR then dot at a line's begin", 0, STR_INIT("\r.\r\n"), STR_INIT(" .\r\n.\r\n") },
	{ "NUL and 8 bit pass", 0, STR_INIT("a\0\xff\n"), STR_INIT("a\0\xff\r\n.\r\n") },
	{ "a line of the limit", 8, STR_INIT("12345678\n"), STR_INIT("12345678\r\n.\r\n") },
	{ "a line over it", 8, STR_INIT("123456789\n"), STR_INIT("12345678\r\n 9\r\n.\r\n") },
	{ "a line far over it", 8, STR_INIT("12345678abcdefgh."),
	  STR_INIT("12345678\r\n abcdefg\r\n h.\r\n.\r\n") },
	{ "the stuffed dot does not count", 8, STR_INIT(".2345678\n"),
	  STR_INIT("..2345678\r\n.\r\n") },
	{ "a piece never begins with a dot", 8, STR_INIT("12345678.\n"),
	  STR_INIT("12345678\r\n .\r\n.\r\n") },
	{ "a tiny limit is the smallest", 1, STR_INIT("123456789\n"),
	  STR_INIT("12345678\r\n 9\r\n.\r\n") },
};

static void split(int i, size_t at)
{
	struct content_out c;
	struct buf out;
	struct str a = test_exact(str_first(cases[i].in, at));
	struct str b = test_exact(str_from(cases[i].in, at));

	buf_init(&out, CONTENT_OUT_MAX(cases[i].in.n));
	content_out_init(&c, cases[i].limit);
	ok(content_out_feed(&c, a, &out) && content_out_feed(&c, b, &out), cases[i].rule);
	ok(content_out_end(&c, &out), cases[i].rule);
	ok_str(buf_str(&out), cases[i].want, cases[i].rule);
	buf_fini(&out);
	free((void *)(uintptr_t)a.p);
	free((void *)(uintptr_t)b.p);
}

TEST(every_split)
{
	for (int i = 0; i < (int)ARRAY_LEN(cases); i++)
		for (size_t at = 0; at <= cases[i].in.n; at++)
			split(i, at);
}

/* Every text of six octets over this alphabet: no end of data but the last. */
TEST(nothing_smuggles)
{
	static const char alphabet[] = { '\r', '\n', '.', 'a' };

	for (unsigned n = 0; n < 4096; n++) {
		struct content_out c;
		struct buf out;
		char in[6];
		size_t at;

		for (unsigned i = 0; i < 6; i++)
			in[i] = alphabet[n >> 2 * i & 3];
		buf_init(&out, 64);
		content_out_init(&c, 0);
		ok(buf_add(&out, STR("\r\n")), "as after DATA");
		ok(content_out_feed(&c, str_span(in, 6), &out) && content_out_end(&c, &out),
		   "fits");
		struct str got = buf_str(&out);
		ok(str_search(got, STR("\r\n.\r\n"), &at) && at + 5 == got.n, "one end of data");
		for (at = 0; at < got.n; at++) {
			ok(got.p[at] != '\n' || (at > 0 && got.p[at - 1] == '\r'), "CR before LF");
			ok(got.p[at] != '\r' || got.p[at + 1] == '\n', "LF after CR");
		}
		buf_fini(&out);
	}
}

TEST(limit_of_the_buffer)
{
	struct content_out c;
	struct buf out;

	buf_init(&out, 4);
	content_out_init(&c, 0);
	ok(!content_out_feed(&c, STR("abcde"), &out), "told");
	buf_fini(&out);
}

TEST_MAIN(RUN(every_split), RUN(nothing_smuggles), RUN(limit_of_the_buffer))
