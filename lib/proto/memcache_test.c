#include "proto/memcache.h"

#include "base/test.h"

static const struct memcache_limits limits = { .line_max = 32, .value_max = 8 };

static const struct {
	const char *rule;
	struct str in;
	enum memcache_parse want;
	struct str text; /* the value, or the line of an error */
} cases[] = {
	{ "found", STR_INIT("VALUE k 0 3\r\nmay\r\nEND\r\n"), MEMCACHE_PARSE_FOUND,
	  STR_INIT("may") },
	{ "an empty value", STR_INIT("VALUE k 0 0\r\n\r\nEND\r\n"), MEMCACHE_PARSE_FOUND,
	  STR_INIT("") },
	{ "any octets", STR_INIT("VALUE k 7 8\r\nEND\r\n\0\r\n\r\nEND\r\n"), MEMCACHE_PARSE_FOUND,
	  STR_INIT("END\r\n\0\r\n") },
	{ "a number more", STR_INIT("VALUE k 0 1 99\r\nv\r\nEND\r\n"), MEMCACHE_PARSE_FOUND,
	  STR_INIT("v") },
	{ "not found", STR_INIT("END\r\n"), MEMCACHE_PARSE_NONE },
	{ "error", STR_INIT("ERROR\r\n"), MEMCACHE_PARSE_ERROR, STR_INIT("ERROR") },
	{ "the server's error", STR_INIT("SERVER_ERROR out of it\r\n"), MEMCACHE_PARSE_ERROR,
	  STR_INIT("SERVER_ERROR out of it") },
	{ "ours", STR_INIT("CLIENT_ERROR bad\r\n"), MEMCACHE_PARSE_ERROR,
	  STR_INIT("CLIENT_ERROR bad") },
	{ "nothing yet", STR_INIT(""), MEMCACHE_PARSE_MORE },
	{ "a CR so far", STR_INIT("END\r"), MEMCACHE_PARSE_MORE },
	{ "half a value", STR_INIT("VALUE k 0 3\r\nma"), MEMCACHE_PARSE_MORE },
	{ "no END yet", STR_INIT("VALUE k 0 3\r\nmay\r\n"), MEMCACHE_PARSE_MORE },
	{ "another key", STR_INIT("VALUE l 0 3\r\n"), MEMCACHE_PARSE_BAD },
	{ "a key that goes on", STR_INIT("VALUE kk 0 3\r\n"), MEMCACHE_PARSE_BAD },
	{ "two values", STR_INIT("VALUE k 0 1\r\nv\r\nVALUE k 0 1\r\n"), MEMCACHE_PARSE_BAD },
	{ "longer than it says", STR_INIT("VALUE k 0 1\r\nvw\r\n"), MEMCACHE_PARSE_BAD },
	{ "shorter than it says", STR_INIT("VALUE k 0 4\r\nv\r\nEND\r\n"), MEMCACHE_PARSE_BAD },
	{ "too long", STR_INIT("VALUE k 0 9\r\n"), MEMCACHE_PARSE_TOO_LONG },
	{ "much too long", STR_INIT("VALUE k 0 9999999999\r\n"), MEMCACHE_PARSE_TOO_LONG },
	{ "beyond numbers", STR_INIT("VALUE k 0 99999999999999999999\r\n"), MEMCACHE_PARSE_BAD },
	{ "less than nothing", STR_INIT("VALUE k 0 -1\r\n"), MEMCACHE_PARSE_BAD },
	{ "no length", STR_INIT("VALUE k 0\r\n"), MEMCACHE_PARSE_BAD },
	{ "no flags", STR_INIT("VALUE k x 1\r\n"), MEMCACHE_PARSE_BAD },
	{ "no CR", STR_INIT("END\n"), MEMCACHE_PARSE_BAD },
	{ "an empty line", STR_INIT("\r\n"), MEMCACHE_PARSE_BAD },
	{ "something else", STR_INIT("220 smtp.example ESMTP\r\n"), MEMCACHE_PARSE_BAD },
	{ "an endless line", STR_INIT("SERVER_ERROR abcdefghijklmnopqrst"), MEMCACHE_PARSE_BAD },
};

TEST(memcache_take)
{
	FOR_EACH(c, cases) {
		for (size_t n = 0; n <= c->in.n; n++) {
			struct str in = test_exact(str_first(c->in, n));
			struct memcache_reply r = { 0 };
			size_t used;
			enum memcache_parse got = memcache_take(in, STR("k"), &limits, &r, &used);
			ok(got == c->want || (n < c->in.n && got == MEMCACHE_PARSE_MORE), c->rule);
			if (got == MEMCACHE_PARSE_FOUND)
				ok_str(r.value, c->text, c->rule);
			if (got == MEMCACHE_PARSE_ERROR)
				ok_str(r.text, c->text, c->rule);
			if (got == MEMCACHE_PARSE_FOUND || got == MEMCACHE_PARSE_NONE ||
			    got == MEMCACHE_PARSE_ERROR)
				ok(used == c->in.n, c->rule);
			free((void *)(uintptr_t)in.p);
		}
	}
}

TEST(what_follows_is_left)
{
	struct memcache_reply r;
	size_t used;

	ok(memcache_take(STR("END\r\nEND\r\n"), STR("k"), &limits, &r, &used) ==
		   MEMCACHE_PARSE_NONE,
	   "one");
	ok(used == 5, "and no more");
}

TEST(keys)
{
	char longest[MEMCACHE_KEY_MAX + 1];
	struct buf b;

	memset(longest, 'x', sizeof(longest));
	ok(memcache_is_key(str_span(longest, MEMCACHE_KEY_MAX)), "as long as may be");
	ok(!memcache_is_key(str_span(longest, sizeof(longest))), "too long");
	ok(!memcache_is_key(STR("")), "empty");
	ok(!memcache_is_key(STR("a b")) && !memcache_is_key(STR("a\n")), "blanks");
	ok(!memcache_is_key(STR("a\177")) && !memcache_is_key(STR("a\0")), "controls");
	ok(memcache_is_key(STR("\303\244:[x]")), "UTF-8");
	buf_init(&b, 7);
	ok(memcache_get_add(&b, STR("k")), "there is room");
	ok_str(buf_str(&b), STR("get k\r\n"), "request");
	ok(!memcache_get_add(&b, STR("k")) && buf_len(&b) == 7, "no room");
	buf_fini(&b);
}

TEST_MAIN(RUN(memcache_take), RUN(what_follows_is_left), RUN(keys))
