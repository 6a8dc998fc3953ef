#include "proto/tcp_table.h"

#include "base/test.h"

static const struct {
	const char *rule;
	struct str in;
	enum tcp_table_parse want;
	struct str line;
} take_cases[] = {
	{ "a line", STR_INIT("200 v\n"), TCP_TABLE_PARSE_OK, STR_INIT("200 v") },
	{ "an empty line", STR_INIT("\n"), TCP_TABLE_PARSE_OK, STR_INIT("") },
	{ "CR is an octet of it", STR_INIT("a\r\n"), TCP_TABLE_PARSE_OK, STR_INIT("a\r") },
	{ "octets after it", STR_INIT("a\nb"), TCP_TABLE_PARSE_OK, STR_INIT("a") },
	{ "a NUL after it", STR_INIT("a\n\0"), TCP_TABLE_PARSE_OK, STR_INIT("a") },
	{ "no end yet", STR_INIT("200 v"), TCP_TABLE_PARSE_MORE },
	{ "nothing yet", STR_INIT(""), TCP_TABLE_PARSE_MORE },
	{ "NUL", STR_INIT("a\0b\n"), TCP_TABLE_PARSE_BAD },
};

TEST(take_in_every_split)
{
	FOR_EACH(c, take_cases) {
		for (size_t n = 0; n <= c->in.n; n++) {
			struct str in = test_exact(str_first(c->in, n)), line = STR("?");
			size_t used = 0;
			enum tcp_table_parse got = tcp_table_take(in, &line, &used);
			ok(got == c->want || got == TCP_TABLE_PARSE_MORE, c->rule);
			ok(n < c->in.n || got == c->want, c->rule);
			if (got == TCP_TABLE_PARSE_OK) {
				ok_str(line, c->line, c->rule);
				ok(used == line.n + 1, c->rule);
			}
			free((void *)(uintptr_t)in.p);
		}
	}
}

TEST(length_of_a_line)
{
	char longest[TCP_TABLE_LINE_MAX + 1];
	struct str line;
	size_t used;

	memset(longest, 'x', sizeof(longest));
	ok(tcp_table_take(str_span(longest, TCP_TABLE_LINE_MAX - 1), &line, &used) ==
		   TCP_TABLE_PARSE_MORE,
	   "its LF may come");
	ok(tcp_table_take(str_span(longest, TCP_TABLE_LINE_MAX), &line, &used) ==
		   TCP_TABLE_PARSE_BAD,
	   "too long");
	longest[TCP_TABLE_LINE_MAX] = '\n';
	ok(tcp_table_take(str_span(longest, sizeof(longest)), &line, &used) == TCP_TABLE_PARSE_BAD,
	   "too long by one");
	longest[TCP_TABLE_LINE_MAX - 1] = '\n';
	ok(tcp_table_take(str_span(longest, sizeof(longest)), &line, &used) == TCP_TABLE_PARSE_OK,
	   "just as long");
}

static const struct {
	const char *rule;
	struct str line;
	bool is_ok;
	enum tcp_table_status status;
	struct str text;
} reply_cases[] = {
	{ "found", STR_INIT("200 a%20b"), true, TCP_TABLE_FOUND, STR_INIT("a%20b") },
	{ "found, empty", STR_INIT("200 "), true, TCP_TABLE_FOUND, STR_INIT("") },
	{ "not found", STR_INIT("500 no"), true, TCP_TABLE_NOT_FOUND, STR_INIT("no") },
	{ "later", STR_INIT("400 x"), true, TCP_TABLE_TRY_LATER, STR_INIT("x") },
	{ "no text", STR_INIT("500"), false },
	{ "another code of its kind", STR_INIT("550 no"), true, TCP_TABLE_NOT_FOUND,
	  STR_INIT("no") },
	{ "another kind", STR_INIT("300 no"), false },
	{ "no number", STR_INIT("5xx no"), false },
	{ "a longer code", STR_INIT("2000 v"), false },
	{ "a blank before it", STR_INIT(" 200 v"), false },
	{ "nothing", STR_INIT(""), false },
};

TEST(reply_parse)
{
	FOR_EACH(c, reply_cases) {
		struct str line = test_exact(c->line);
		struct tcp_table_reply r = { 0 };
		ok(tcp_table_reply_parse(line, &r) == c->is_ok, c->rule);
		if (c->is_ok) {
			ok(r.status == c->status, c->rule);
			ok_str(r.text, c->text, c->rule);
		}
		free((void *)(uintptr_t)line.p);
	}
}

static const struct {
	const char *rule;
	struct str text;
	bool is_ok;
	struct str octets;
} decode_cases[] = {
	{ "plain", STR_INIT("abc"), true, STR_INIT("abc") },
	{ "upper and lower case", STR_INIT("%2f%2F%c3%A4"), true, STR_INIT("//\303\244") },
	{ "a percent sign", STR_INIT("100%25"), true, STR_INIT("100%") },
	{ "raw octets are as good", STR_INIT("a b\t\303\244"), true, STR_INIT("a b\t\303\244") },
	{ "nothing", STR_INIT(""), true, STR_INIT("") },
	{ "one digit", STR_INIT("%2"), false },
	{ "no digit", STR_INIT("%"), false },
	{ "no hexadecimal digit", STR_INIT("%2g"), false },
	{ "NUL", STR_INIT("a%00b"), false },
	{ "too long", STR_INIT("123456789"), false },
};

TEST(decode)
{
	FOR_EACH(c, decode_cases) {
		struct str text = test_exact(c->text);
		struct buf out;
		buf_init(&out, 8);
		ok(tcp_table_decode(&out, text) == c->is_ok, c->rule);
		if (c->is_ok)
			ok_str(buf_str(&out), c->octets, c->rule);
		buf_fini(&out);
		free((void *)(uintptr_t)text.p);
	}
}

TEST(what_is_written_is_read)
{
	struct tcp_table_reply said = { TCP_TABLE_FOUND, STR_INIT("a b%\n\303\244~") }, heard;
	struct str line, key;
	struct buf b, text;
	size_t used;

	buf_init(&b, (size_t)2 * TCP_TABLE_LINE_MAX);
	buf_init(&text, 64);
	ok(tcp_table_reply_add(&b, &said), "reply");
	ok_str(buf_str(&b), STR("200 a%20b%25%0A%C3%A4~\n"), "encoded");
	ok(tcp_table_take(buf_str(&b), &line, &used) == TCP_TABLE_PARSE_OK, "taken");
	ok(tcp_table_reply_parse(line, &heard) && heard.status == said.status, "status");
	ok(tcp_table_decode(&text, heard.text), "decoded");
	ok_str(buf_str(&text), said.text, "text");
	buf_reset(&b);
	ok(tcp_table_request_add(&b, STR("[a.example]:25")), "request");
	ok_str(buf_str(&b), STR("get [a.example]:25\n"), "plain where it may be");
	ok(tcp_table_take(buf_str(&b), &line, &used) == TCP_TABLE_PARSE_OK, "taken");
	ok(tcp_table_request_parse(line, &key), "a request");
	ok_str(key, STR("[a.example]:25"), "key");
	ok(!tcp_table_request_parse(STR("put k v"), &key), "no request");
	said.status = TCP_TABLE_TRY_LATER;
	ok(tcp_table_reply_add(&b, &said), "later");
	said.status = TCP_TABLE_NOT_FOUND;
	ok(tcp_table_reply_add(&b, &said), "not found");
	buf_fini(&b);
	buf_fini(&text);
}

TEST(length_of_a_key)
{
	char longest[TCP_TABLE_LINE_MAX - 4];
	struct buf b;

	memset(longest, 'x', sizeof(longest));
	buf_init(&b, (size_t)2 * TCP_TABLE_LINE_MAX);
	ok(!tcp_table_request_add(&b, str_span(longest, sizeof(longest))), "too long");
	longest[0] = '%';
	ok(!tcp_table_request_add(&b, str_span(longest, sizeof(longest) - 1)), "when encoded");
	ok(buf_len(&b) == 0, "nothing added");
	ok(tcp_table_request_add(&b, str_span(longest, sizeof(longest) - 3)), "just as long");
	ok(buf_len(&b) == TCP_TABLE_LINE_MAX, "as a line may be");
	buf_fini(&b);
}

TEST_MAIN(RUN(take_in_every_split), RUN(length_of_a_line), RUN(reply_parse), RUN(decode),
	  RUN(what_is_written_is_read), RUN(length_of_a_key))
