#include "base/test.h"
#include "mail/mailbox.h"

static const struct {
	const char *rule;
	struct str text;
	bool is_ok;
	struct str local, domain;
} cases[] = {
	{ "two parts", STR_INIT("user@example.com"), true, STR_INIT("user"),
	  STR_INIT("example.com") },
	{ "no domain", STR_INIT("postmaster"), true, STR_INIT("postmaster"), STR_INIT("") },
	{ "null reverse-path", STR_INIT(""), true, STR_INIT(""), STR_INIT("") },
	{ "the last at sign", STR_INIT("a@b@example.com"), true, STR_INIT("a@b"),
	  STR_INIT("example.com") },
	{ "an at sign in quotes", STR_INIT("\"a@b\"@example.com"), true, STR_INIT("\"a@b\""),
	  STR_INIT("example.com") },
	{ "only an at sign in quotes", STR_INIT("\"a@b\""), true, STR_INIT("\"a@b\""),
	  STR_INIT("") },
	{ "blanks in quotes", STR_INIT("\"a b>\"@example.com"), true, STR_INIT("\"a b>\""),
	  STR_INIT("example.com") },
	{ "escaped quote", STR_INIT("\"a\\\"@b\"@example.com"), true, STR_INIT("\"a\\\"@b\""),
	  STR_INIT("example.com") },
	{ "address literal", STR_INIT("user@[192.0.2.1]"), true, STR_INIT("user"),
	  STR_INIT("[192.0.2.1]") },
	{ "UTF-8", STR_INIT("\u00fc@\u00e9.example"), true, STR_INIT("\u00fc"),
	  STR_INIT("\u00e9.example") },
	{ "empty local part", STR_INIT("@example.com"), false },
	{ "empty domain", STR_INIT("user@"), false },
	{ "open quote", STR_INIT("\"user@example.com"), false },
	{ "escaped closing quote", STR_INIT("\"user\\\""), false },
	{ "backslash at the end", STR_INIT("\"user\\"), false },
	{ "line end", STR_INIT("user@example.com\r\nDATA"), false },
	{ "line end in quotes", STR_INIT("\"a\nb\"@example.com"), false },
	{ "escaped line end", STR_INIT("\"a\\\nb\"@example.com"), false },
	{ "NUL", STR_INIT("user\0@example.com"), false },
	{ "blank", STR_INIT("user @example.com"), false },
	{ "end of path", STR_INIT("user>@example.com"), false },
};

TEST(mailbox_parse)
{
	FOR_EACH(c, cases) {
		struct mailbox box;
		struct str copy = test_exact(c->text);
		ok(mailbox_parse(copy, &box) == c->is_ok, c->rule);
		if (c->is_ok) {
			ok_str(box.local, c->local, c->rule);
			ok_str(box.domain, c->domain, c->rule);
		}
		free((char *)copy.p);
	}
}

TEST(mailbox_limits)
{
	char text[400];
	struct mailbox box;

	memset(text, 'a', sizeof(text));
	text[65] = '@';
	ok(mailbox_parse(str_span(text, 66 + 254), &box), "local 65, domain 254");
	ok(!mailbox_parse(str_span(text, 321), &box), "path of 321");
	text[65] = 'a';
	text[10] = '@';
	ok(!mailbox_parse(str_span(text, 11 + 256), &box), "domain of 256");
}

TEST_MAIN(RUN(mailbox_parse), RUN(mailbox_limits))
