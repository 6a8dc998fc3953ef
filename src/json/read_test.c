#include "base/test.h"
#include "json/read.h"

static struct json_doc *read_doc(const char *text)
{
	struct error e;
	struct str copy = test_exact(str_of(text));
	struct json_doc *d = json_doc_new(copy, &e);

	free((char *)copy.p);
	ok(d != NULL, text);
	return d;
}

TEST(json_get)
{
	struct json_doc *d =
		read_doc("{\"a\": {\"b\": [1, {\"c\": \"text\"}, true, null]}, \"\": 2,"
			 " \"d.e\": \"x\", \"z\": \"a\\u0000b\", \"r\": 1.5}");
	const struct json_node *n = json_doc_root(d), *b = json_at(n, "a.b");
	struct str s = STR("untouched");
	int64_t i = 0;
	bool is = false;

	ok(json_get_int(n, "a.b[0]", &i) && i == 1, "an item");
	ok(json_get_str(n, "a.b[1].c", &s), "a member of an item");
	ok_str(s, STR("text"), "value");
	ok(json_get_bool(b, "[2]", &is) && is, "path that begins with an index");
	ok(json_is_none(n, "a.b[3]") && json_is_none(n, "a.x.y"), "null and absent");
	ok(!json_is_none(n, "a"), "there");
	ok(json_at(n, "a.b[4]") == NULL && json_at(n, "a.b[x]") == NULL, "no such item");
	ok(json_at(n, "a.b.c") == NULL, "an array has no members");
	ok(json_at(n, "a[0]") == NULL, "an object has no items");
	ok(json_at(n, "") == n, "the empty path");
	ok(json_at(NULL, "a") == NULL, "nothing below nothing");
	s = STR("untouched");
	ok(!json_get_str(n, "a", &s) && !json_get_int(n, "r", &i), "another type");
	ok_str(s, STR("untouched"), "untouched");
	ok(json_get_str(json_member(n, STR("d.e")), "", &s), "a name with a dot");
	ok(json_get_str(n, "z", &s) && s.n == 3, "NUL in a string");
	ok(json_member(n, STR("")) != NULL, "the empty name");
	json_doc_free(d);
	json_doc_free(NULL);
}

TEST(json_kinds)
{
	struct json_doc *d = read_doc("[null, true, 1, 1.0, \"\", [], {}]");
	const struct json_node *n = json_doc_root(d);

	ok(json_count(n) == 7, "count");
	for (size_t i = 0; i < 7; i++)
		ok(json_kind_of(json_item(n, i)) == (enum json_kind)i, "kind");
	ok(json_count(json_item(n, 4)) == 0, "a string has no items");
	json_doc_free(d);
}

TEST(json_member_next)
{
	struct json_doc *d = read_doc("{\"z\": 1, \"a\": 2, \"m\": 3}");
	const struct json_node *value;
	struct str name;
	void *at = NULL;

	ok(json_member_next(json_doc_root(d), &at, &name, &value), "first");
	ok_str(name, STR("z"), "in the order of the text");
	ok(json_member_next(json_doc_root(d), &at, &name, &value), "second");
	ok_str(name, STR("a"), "in the order of the text");
	ok(json_member_next(json_doc_root(d), &at, &name, &value), "third");
	ok(!json_member_next(json_doc_root(d), &at, &name, &value), "end");
	json_doc_free(d);
}

static const struct {
	const char *rule;
	struct str text;
	const char *want;
} bad_cases[] = {
	{ "empty", STR_INIT(""), "line 1, column 0: " },
	{ "cut off", STR_INIT("{\"a\":\n 1"), "line 2, column 2: " },
	{ "something after it", STR_INIT("{} x"), "line 1, column 4: " },
	{ "a member twice", STR_INIT("{\"a\":1,\"a\":2}"), "line 1, column 10: " },
	{ "not UTF-8", STR_INIT("\"\xe9\""), "line 1, column " },
	{ "too large a number", STR_INIT("99999999999999999999"), "line 1, column " },
};

TEST(json_doc_new_bad)
{
	FOR_EACH(c, bad_cases) {
		struct error e = { 0 };
		struct str copy = test_exact(c->text);
		ok(json_doc_new(copy, &e) == NULL, c->rule);
		ok(e.kind == ERROR_DATA, c->rule);
		ok_str(str_first(error_text(&e), strlen(c->want)), str_of(c->want), c->rule);
		free((char *)copy.p);
	}
}

TEST(json_line_next)
{
	struct str rest = STR("{\"a\":1}\n\n  \n{\"a\":2}\r\nx\n{\"a\":3}");
	static const unsigned lines[] = { 1, 4 };
	unsigned line = 0;
	struct json_doc *d;
	struct error e;
	int64_t i;

	for (int k = 0; k < 2; k++) {
		d = json_line_next(&rest, &line, &e);
		ok(d != NULL && json_get_int(json_doc_root(d), "a", &i) && i == k + 1, "value");
		ok(line == lines[k], "line");
		json_doc_free(d);
	}
	ok(json_line_next(&rest, &line, &e) == NULL && e.kind == ERROR_DATA, "not JSON");
	ok_str(str_first(error_text(&e), 17), STR("line 5, column 1:"), "the line is named");
	d = json_line_next(&rest, &line, &e);
	ok(d != NULL && line == 6, "reading goes on");
	json_doc_free(d);
	ok(json_line_next(&rest, &line, &e) == NULL && e.kind == ERROR_NONE, "end");
}

TEST_MAIN(RUN(json_get), RUN(json_kinds), RUN(json_member_next), RUN(json_doc_new_bad),
	  RUN(json_line_next))
