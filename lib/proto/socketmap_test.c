#include "proto/socketmap.h"

#include "base/test.h"

static const struct {
	const char *rule;
	struct str in;
	enum socketmap_parse want;
	struct str payload;
} take_cases[] = {
	{ "one message", STR_INIT("5:hello,"), SOCKETMAP_PARSE_OK, STR_INIT("hello") },
	{ "an empty one", STR_INIT("0:,"), SOCKETMAP_PARSE_OK, STR_INIT("") },
	{ "the longest", STR_INIT("8:12345678,"), SOCKETMAP_PARSE_OK, STR_INIT("12345678") },
	{ "leading zeros", STR_INIT("0000000002:ab,"), SOCKETMAP_PARSE_OK, STR_INIT("ab") },
	{ "any octets", STR_INIT("4:,:\n\0,"), SOCKETMAP_PARSE_OK, STR_INIT(",:\n\0") },
	{ "octets after it", STR_INIT("1:a,1"), SOCKETMAP_PARSE_OK, STR_INIT("a") },
	{ "nothing yet", STR_INIT(""), SOCKETMAP_PARSE_MORE },
	{ "length without end", STR_INIT("5"), SOCKETMAP_PARSE_MORE },
	{ "no payload yet", STR_INIT("5:"), SOCKETMAP_PARSE_MORE },
	{ "no comma yet", STR_INIT("5:hello"), SOCKETMAP_PARSE_MORE },
	{ "too long, told by the length", STR_INIT("9"), SOCKETMAP_PARSE_BAD },
	{ "endless length", STR_INIT("00000000001:a,"), SOCKETMAP_PARSE_BAD },
	{ "no length", STR_INIT(":a,"), SOCKETMAP_PARSE_BAD },
	{ "a sign", STR_INIT("+1:a,"), SOCKETMAP_PARSE_BAD },
	{ "a blank", STR_INIT(" 1:a,"), SOCKETMAP_PARSE_BAD },
	{ "a blank after the length", STR_INIT("1 :a,"), SOCKETMAP_PARSE_BAD },
	{ "hexadecimal", STR_INIT("a:"), SOCKETMAP_PARSE_BAD },
	{ "something else for the comma", STR_INIT("1:ab"), SOCKETMAP_PARSE_BAD },
	{ "a line", STR_INIT("200 ok\n"), SOCKETMAP_PARSE_BAD },
};

/* What came earlier never changes what is said later: MORE until the first octet that decides. */
TEST(take_in_every_split)
{
	FOR_EACH(c, take_cases) {
		bool is_decided = false;
		for (size_t n = 0; n <= c->in.n; n++) {
			struct str in = test_exact(str_first(c->in, n)), payload = STR("?");
			size_t used = 99;
			enum socketmap_parse got = socketmap_take(in, 8, &payload, &used);
			ok(!is_decided || got == c->want, c->rule);
			ok(got == c->want || got == SOCKETMAP_PARSE_MORE, c->rule);
			is_decided = got != SOCKETMAP_PARSE_MORE;
			if (got == SOCKETMAP_PARSE_OK) {
				ok_str(payload, c->payload, c->rule);
				ok(used <= n && in.p[used - 1] == ',', c->rule);
			} else {
				ok(used == 99 && payload.p[0] == '?', "outputs are untouched");
			}
			free((void *)(uintptr_t)in.p);
		}
		ok(is_decided == (c->want != SOCKETMAP_PARSE_MORE), c->rule);
	}
}

static const struct {
	const char *rule;
	struct str payload;
	bool is_ok;
	enum socketmap_status status;
	struct str text;
} reply_cases[] = {
	{ "found", STR_INIT("OK may"), true, SOCKETMAP_FOUND, STR_INIT("may") },
	{ "found, empty", STR_INIT("OK "), true, SOCKETMAP_FOUND, STR_INIT("") },
	{ "split at the first blank", STR_INIT("OK  a b"), true, SOCKETMAP_FOUND,
	  STR_INIT(" a b") },
	{ "not found", STR_INIT("NOTFOUND "), true, SOCKETMAP_NOT_FOUND, STR_INIT("") },
	{ "not found, with words", STR_INIT("NOTFOUND no"), true, SOCKETMAP_NOT_FOUND,
	  STR_INIT("no") },
	{ "for now", STR_INIT("TEMP x"), true, SOCKETMAP_TEMP, STR_INIT("x") },
	{ "time-out", STR_INIT("TIMEOUT x"), true, SOCKETMAP_TIMEOUT, STR_INIT("x") },
	{ "for good", STR_INIT("PERM x"), true, SOCKETMAP_PERM, STR_INIT("x") },
	{ "no blank", STR_INIT("NOTFOUND"), true, SOCKETMAP_NOT_FOUND, STR_INIT("") },
	{ "case matters", STR_INIT("ok may"), false },
	{ "a status that goes on", STR_INIT("OKAY may"), false },
	{ "half a status", STR_INIT("NOT found"), false },
	{ "no status", STR_INIT(" may"), false },
	{ "nothing", STR_INIT(""), false },
};

TEST(reply_parse)
{
	FOR_EACH(c, reply_cases) {
		struct str payload = test_exact(c->payload);
		struct socketmap_reply r = { 0 };
		ok(socketmap_reply_parse(payload, &r) == c->is_ok, c->rule);
		if (c->is_ok) {
			ok(r.status == c->status, c->rule);
			ok_str(r.text, c->text, c->rule);
		}
		free((void *)(uintptr_t)payload.p);
	}
}

TEST(request_parse)
{
	struct socketmap_request r;

	ok(socketmap_request_parse(STR("policy example.com"), &r), "name and key");
	ok_str(r.map, STR("policy"), "name");
	ok_str(r.key, STR("example.com"), "key");
	ok(socketmap_request_parse(STR("m a b"), &r), "a key may have blanks");
	ok_str(r.key, STR("a b"), "all of it");
	ok(socketmap_request_parse(STR("m "), &r), "an empty key");
	ok_str(r.key, STR(""), "nothing");
	ok(!socketmap_request_parse(STR("policy"), &r), "no key");
}

TEST(what_is_written_is_read)
{
	struct socketmap_reply said = { SOCKETMAP_TEMP, STR_INIT("no, not now") }, heard;
	struct socketmap_request asked = { STR_INIT("m"), STR_INIT("a,b c") }, got;
	struct str payload;
	struct buf b;
	size_t used;

	buf_init(&b, 64);
	ok(socketmap_reply_add(&b, &said) && socketmap_request_add(&b, &asked), "there is room");
	ok_str(buf_str(&b), STR("16:TEMP no, not now,7:m a,b c,"), "framed");
	ok(socketmap_take(buf_str(&b), 64, &payload, &used) == SOCKETMAP_PARSE_OK, "taken");
	ok(socketmap_reply_parse(payload, &heard) && heard.status == said.status, "status");
	ok_str(heard.text, said.text, "text");
	buf_consume(&b, used);
	ok(socketmap_take(buf_str(&b), 64, &payload, &used) == SOCKETMAP_PARSE_OK, "taken");
	ok(socketmap_request_parse(payload, &got), "request");
	ok_str(got.map, asked.map, "map");
	ok_str(got.key, asked.key, "key");
	buf_fini(&b);

	buf_init(&b, 9);
	ok(!socketmap_request_add(&b, &asked) && buf_len(&b) == 0, "no room, nothing added");
	buf_fini(&b);
	buf_init(&b, 10);
	ok(socketmap_request_add(&b, &asked) && buf_room(&b) == 0, "just enough");
	buf_fini(&b);
}

TEST_MAIN(RUN(take_in_every_split), RUN(reply_parse), RUN(request_parse),
	  RUN(what_is_written_is_read))
