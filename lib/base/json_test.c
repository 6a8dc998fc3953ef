#include "base/json.h"
#include "base/test.h"

static const struct {
	const char *rule;
	struct str text, want;
} string_cases[] = {
	{ "plain", STR_INIT("abc"), STR_INIT("\"abc\"\n") },
	{ "quote and backslash", STR_INIT("a\"\\"), STR_INIT("\"a\\\"\\\\\"\n") },
	{ "control octets", STR_INIT("\n\t\x01\x7f"), STR_INIT("\"\\n\\t\\u0001\\u007f\"\n") },
	{ "UTF-8 stays", STR_INIT("\xc3\xa4"), STR_INIT("\"\xc3\xa4\"\n") },
	{ "what a terminal would obey is escaped", STR_INIT("\xc2\x9b\xe2\x80\xae"),
	  STR_INIT("\"\\u009b\\u202e\"\n") },
	{ "a cut sequence is replaced", STR_INIT("a\xc3"), STR_INIT("\"a\xef\xbf\xbd\"\n") },
	{ "overlong is replaced", STR_INIT("\xc0\x80"),
	  STR_INIT("\"\xef\xbf\xbd\xef\xbf\xbd\"\n") },
	{ "surrogates are replaced", STR_INIT("\xed\xa0\x80"),
	  STR_INIT("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"\n") },
};

TEST(json_strings)
{
	FOR_EACH(c, string_cases) {
		struct buf b;
		struct json j;
		struct str in = test_exact(c->text);
		buf_init(&b, 4096);
		json_init(&j, &b, false);
		json_str(&j, in);
		ok(json_end(&j), c->rule);
		ok_str(buf_str(&b), c->want, c->rule);
		buf_fini(&b);
		free((char *)in.p);
	}
}

static void document(struct json *j)
{
	json_object(j);
	json_put_int(j, "n", -1);
	json_key(j, "list");
	json_array(j);
	json_bool(j, true);
	json_null(j);
	json_array_end(j);
	json_key(j, "none");
	json_array(j);
	json_array_end(j);
	json_put_str(j, "s", STR("x"));
	json_object_end(j);
}

TEST(json_layout)
{
	struct buf b;
	struct json j;

	buf_init(&b, 4096);
	json_init(&j, &b, false);
	document(&j);
	ok(json_end(&j), "whole");
	ok_str(buf_str(&b), STR("{\"n\":-1,\"list\":[true,null],\"none\":[],\"s\":\"x\"}\n"),
	       "one line");
	buf_reset(&b);
	json_init(&j, &b, true);
	document(&j);
	ok(json_end(&j), "whole");
	ok_str(buf_str(&b),
	       STR("{\n  \"n\": -1,\n  \"list\": [\n    true,\n    null\n  ],\n  \"none\": [],\n"
		   "  \"s\": \"x\"\n}\n"),
	       "pretty");
	buf_fini(&b);
	buf_init(&b, 5);
	json_init(&j, &b, false);
	document(&j);
	ok(!json_end(&j), "a document cut by the limit says so");
	buf_fini(&b);
}

TEST_MAIN(RUN(json_strings), RUN(json_layout))
