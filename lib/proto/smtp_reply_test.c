#include "proto/smtp_reply.h"

#include "base/test.h"

static const struct {
	const char *rule;
	struct str in;
	enum smtp_parse want;
	enum smtp_reply_fault fault;
	int code;
	struct str text;
} cases[] = {
	{ "one line", STR_INIT("250 ok\r\n"), SMTP_PARSE_OK, 0, 250, STR_INIT("ok") },
	{ "code alone", STR_INIT("250\r\n"), SMTP_PARSE_OK, 0, 250, STR_INIT("") },
	{ "code and blank", STR_INIT("250 \r\n"), SMTP_PARSE_OK, 0, 250, STR_INIT("") },
	{ "several lines", STR_INIT("250-a\r\n250-\r\n250 c\r\n"), SMTP_PARSE_OK, 0, 250,
	  STR_INIT("a\n\nc") },
	{ "last line without text", STR_INIT("250-a\r\n250\r\n"), SMTP_PARSE_OK, 0, 250,
	  STR_INIT("a\n") },
	{ "CR inside is dropped", STR_INIT("250 a\rb\r\r\n"), SMTP_PARSE_OK, 0, 250,
	  STR_INIT("ab") },
	{ "smallest code", STR_INIT("200 a\r\n"), SMTP_PARSE_OK, 0, 200, STR_INIT("a") },
	{ "largest code", STR_INIT("599 a\r\n"), SMTP_PARSE_OK, 0, 599, STR_INIT("a") },
	{ "octets above 127", STR_INIT("550 \xc3\xa4\r\n"), SMTP_PARSE_OK, 0, 550,
	  STR_INIT("\xc3\xa4") },
	{ "no end yet", STR_INIT("250 ok\r"), SMTP_PARSE_MORE },
	{ "no last line yet", STR_INIT("250-ok\r\n"), SMTP_PARSE_MORE },
	{ "nothing yet", STR_INIT(""), SMTP_PARSE_MORE },
	{ "code 1xx", STR_INIT("199 a\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_NO_CODE },
	{ "code 6xx", STR_INIT("600 a\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_NO_CODE },
	{ "two digits", STR_INIT("25 a\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_NO_CODE },
	{ "four digits", STR_INIT("2500 a\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_NO_CODE },
	{ "tab after the code", STR_INIT("250\ta\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_NO_CODE },
	{ "blank before the code", STR_INIT(" 250 a\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_NO_CODE },
	{ "empty line", STR_INIT("\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_NO_CODE },
	{ "bad second line", STR_INIT("250-a\r\nb\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_NO_CODE },
	{ "bare LF", STR_INIT("250 a\n"), SMTP_PARSE_BAD, SMTP_REPLY_BARE_LF },
	{ "bare LF inside", STR_INIT("250 a\nb\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_BARE_LF },
	{ "LF alone", STR_INIT("\n"), SMTP_PARSE_BAD, SMTP_REPLY_BARE_LF },
	{ "NUL", STR_INIT("250 a\0b\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_NUL },
	{ "another code", STR_INIT("250-a\r\n251 b\r\n"), SMTP_PARSE_BAD, SMTP_REPLY_CODE_CHANGED },
};

static void feed(struct str first, struct str second, int i)
{
	struct smtp_reply_reader r;
	struct str a = test_exact(first), b = test_exact(second);

	smtp_reply_reader_init(&r);
	struct str in = a;
	enum smtp_parse got = smtp_reply_read(&r, &in);
	if (got == SMTP_PARSE_MORE) {
		ok(in.n == 0, "all is taken");
		in = b;
		got = smtp_reply_read(&r, &in);
	}
	ok(got == cases[i].want, cases[i].rule);
	ok(r.fault == cases[i].fault, cases[i].rule);
	if (got == SMTP_PARSE_OK) {
		ok(r.code == cases[i].code && in.n == 0, cases[i].rule);
		ok_str(buf_str(&r.text), cases[i].text, cases[i].rule);
		ok(smtp_reply_reader_is_idle(&r), "idle between replies");
	}
	smtp_reply_reader_fini(&r);
	free((void *)(uintptr_t)a.p);
	free((void *)(uintptr_t)b.p);
}

TEST(every_split)
{
	for (int i = 0; i < (int)ARRAY_LEN(cases); i++)
		for (size_t at = 0; at <= cases[i].in.n; at++)
			feed(str_first(cases[i].in, at), str_from(cases[i].in, at), i);
}

TEST(several_replies)
{
	struct smtp_reply_reader r;
	struct str in = STR("250 a\r\n354 b\r\n42");

	smtp_reply_reader_init(&r);
	ok(smtp_reply_read(&r, &in) == SMTP_PARSE_OK && r.code == 250, "first");
	ok(smtp_reply_read(&r, &in) == SMTP_PARSE_OK && r.code == 354, "second");
	ok_str(buf_str(&r.text), STR("b"), "its own text");
	ok(smtp_reply_read(&r, &in) == SMTP_PARSE_MORE, "third");
	ok(!smtp_reply_reader_is_idle(&r), "half a reply waits");
	smtp_reply_reader_fini(&r);
}

TEST(limits)
{
	struct smtp_reply_reader r;
	char line[SMTP_REPLY_LINE_MAX + 1];
	struct str in;

	memset(line, 'x', sizeof(line));
	memcpy(line, "250-", 4);
	memcpy(line + SMTP_REPLY_LINE_MAX - 2, "\r\n", 2);
	smtp_reply_reader_init(&r);
	in = str_span(line, SMTP_REPLY_LINE_MAX);
	ok(smtp_reply_read(&r, &in) == SMTP_PARSE_MORE, "a line of the most octets");
	memcpy(line + SMTP_REPLY_LINE_MAX - 2, "x\r\n", 3);
	in = str_span(line, sizeof(line));
	ok(smtp_reply_read(&r, &in) == SMTP_PARSE_BAD, "one more");
	ok(r.fault == SMTP_REPLY_LINE_TOO_LONG, "and why");
	ok(smtp_reply_read(&r, &in) == SMTP_PARSE_BAD, "bad for ever");
	smtp_reply_reader_fini(&r);
}

static const struct {
	const char *rule;
	int code;
	struct str text, want_text, want_line;
	struct status status;
} made[] = {
	{ "no status", 250, STR_INIT("ok"), STR_INIT("ok"), STR_INIT("250 ok"), { 0 } },
	{ "status",
	  550,
	  STR_INIT("5.1.1 no"),
	  STR_INIT("no"),
	  STR_INIT("550 5.1.1 no"),
	  { 5, 1, 1 } },
	{ "status on each line",
	  550,
	  STR_INIT("5.1.1 no\n5.1.1 user"),
	  STR_INIT("no\nuser"),
	  STR_INIT("550 5.1.1 no user"),
	  { 5, 1, 1 } },
	{ "another status stays",
	  550,
	  STR_INIT("5.1.1 no\n5.7.1 user"),
	  STR_INIT("no\n5.7.1 user"),
	  STR_INIT("550 5.1.1 no 5.7.1 user"),
	  { 5, 1, 1 } },
	{ "a status of another class is text",
	  450,
	  STR_INIT("5.1.1 no"),
	  STR_INIT("5.1.1 no"),
	  STR_INIT("450 5.1.1 no"),
	  { 0 } },
	{ "control octets do no harm",
	  550,
	  STR_INIT("a\x1b[2J\tb"),
	  STR_INIT("a\x1b[2J\tb"),
	  STR_INIT("550 a?[2J b"),
	  { 0 } },
	{ "no text", 250, STR_INIT(""), STR_INIT(""), STR_INIT("250"), { 0 } },
};

TEST(make)
{
	struct arena *a = arena_new();

	FOR_EACH(c, made) {
		struct smtp_reply r = smtp_reply_make(a, c->code, c->text);
		ok_str(r.text, c->want_text, c->rule);
		ok_str(smtp_reply_one_line(a, r), c->want_line, c->rule);
		ok(r.status.class == c->status.class && r.status.subject == c->status.subject &&
			   r.status.detail == c->status.detail,
		   c->rule);
	}
	arena_free(a);
}

TEST_MAIN(RUN(every_split), RUN(several_replies), RUN(limits), RUN(make))
