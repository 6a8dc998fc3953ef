#include "proto/content_in.h"

#include <string.h>

#include "base/test.h"
#include "proto/content_out.h"

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

/* All texts of the octets that smuggling is made of, held against the rule said in other words. */

enum { LETTERS = 5, TEXT_MAX = 7, TEXTS = 97656 /* (5^8 - 1) / 4 */ };

static struct str text_of(unsigned number, char out[TEXT_MAX])
{
	size_t n = 0;

	for (; number > 0; number = (number - 1) / LETTERS)
		out[n++] = "\r\n\0.x"[(number - 1) % LETTERS];
	return str_span(out, n);
}

/* How many octets the message with its end has, 0: it has none. The CRLF before it is DATA's. */
static size_t end_of(struct str text)
{
	char line[2 + TEXT_MAX] = "\r\n";
	size_t at;

	if (text.n)
		memcpy(line + 2, text.p, text.n);
	return str_search(str_span(line, text.n + 2), STR("\r\n.\r\n"), &at) ? at + 3 : 0;
}

static bool has_only_whole_lines(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r')) ||
		    (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] != '\n'))
			return false;
	return true;
}

static size_t take(struct str text, size_t split, bool is_chunk, struct buf *out)
{
	struct str first = str_first(text, split), second = str_from(text, split);
	struct content_in c;

	is_chunk ? content_in_init_chunks(&c) : content_in_init(&c);
	if (!content_in_feed(&c, &first, out))
		(void)content_in_feed(&c, &second, out);
	if (is_chunk)
		content_in_end_chunks(&c, out);
	return c.place == CONTENT_IN_END ? text.n - first.n - second.n : 0;
}

/* As it is sent on: the only end that any server may see is the last. */
static bool has_one_end(struct str message)
{
	struct content_out c;
	struct buf b;
	size_t at;

	buf_init(&b, CONTENT_OUT_MAX(message.n) + 16);
	CHECK(buf_add(&b, STR("\r\n")));
	content_out_init(&c, 0);
	CHECK(content_out_feed(&c, message, &b) && content_out_end(&c, &b));
	struct str sent = buf_str(&b);
	bool is_one = has_only_whole_lines(sent) && str_search(sent, STR("\r\n.\r\n"), &at) &&
		      at + 5 == sent.n;
	buf_fini(&b);
	return is_one;
}

static void check_text(struct str text, bool is_chunk)
{
	char expected[CONTENT_IN_MAX(TEXT_MAX) + 2];
	size_t n = 0, end = is_chunk ? text.n : end_of(text);

	for (size_t split = 0; split <= text.n; split++) {
		struct buf out;
		buf_init(&out, sizeof(expected));
		size_t got = take(text, split, is_chunk, &out);
		struct str message = buf_str(&out);
		if (split == 0 && message.n > 0)
			memcpy(expected, message.p, n = message.n);
		CHECK(got == end && str_eq(message, str_span(expected, n)));
		CHECK(!got || (has_only_whole_lines(message) && has_one_end(message)));
		buf_fini(&out);
	}
}

TEST(every_text_of_line_ends_and_dots)
{
	char octets[TEXT_MAX] = { 0 };

	for (unsigned i = 0; i < TEXTS; i++) {
		check_text(text_of(i, octets), false);
		check_text(text_of(i, octets), true);
	}
}

TEST_MAIN(RUN(every_split), RUN(chunks_in_every_split), RUN(every_text_of_line_ends_and_dots))
