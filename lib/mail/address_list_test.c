#include "mail/address_list.h"

#include "base/buf.h"
#include "base/test.h"

/* The addresses, each with ";"; "!" for what is none. */
static const struct {
	const char *rule;
	struct str in, want;
} cases[] = {
	{ "nothing", STR_INIT(""), STR_INIT("") },
	{ "blanks, comments and commas", STR_INIT(" ,\r\n\t(nobody) , ,"), STR_INIT("") },
	{ "one", STR_INIT("a@x.example"), STR_INIT("a@x.example;") },
	{ "several", STR_INIT("a@x.example, b@y.example,c"),
	  STR_INIT("a@x.example;b@y.example;c;") },
	{ "in brackets", STR_INIT("<a@x.example>"), STR_INIT("a@x.example;") },
	{ "with a name", STR_INIT("Ann Lee <a@x.example>"), STR_INIT("a@x.example;") },
	{ "with a name that has a dot", STR_INIT("Ann B. Lee <a@x.example>"),
	  STR_INIT("a@x.example;") },
	{ "a quoted name", STR_INIT("\"Lee, Ann <b>\" <a@x.example>"), STR_INIT("a@x.example;") },
	{ "a name of UTF-8", STR_INIT("J\303\274rgen <a@x.example>"), STR_INIT("a@x.example;") },
	{ "a name like an address", STR_INIT("b@y.example <a@x.example>"),
	  STR_INIT("a@x.example;") },
	{ "a mailbox of UTF-8", STR_INIT("j\303\274@b\303\274.example"),
	  STR_INIT("j\303\274@b\303\274.example;") },
	{ "comments", STR_INIT("(x) a (y (z\\)) ) @ (b) x.example (Ann, Lee)"),
	  STR_INIT("a@x.example;") },
	{ "folded", STR_INIT("a@x.example,\r\n Bob\r\n\t<b@y.example>\r\n"),
	  STR_INIT("a@x.example;b@y.example;") },
	{ "blanks around dots", STR_INIT("a . b @ x . example"), STR_INIT("a.b@x.example;") },
	{ "a quoted local part", STR_INIT("\"a b,c\"@x.example"),
	  STR_INIT("\"a b,c\"@x.example;") },
	{ "a quoted pair", STR_INIT("\"a\\\"b\"@x.example"), STR_INIT("\"a\\\"b\"@x.example;") },
	{ "a folded quoted string", STR_INIT("\"a\r\n b\"@x.example"),
	  STR_INIT("\"a b\"@x.example;") },
	{ "an address literal", STR_INIT("a@[192.0.2.1], b@[IPv6:2001:db8::1]"),
	  STR_INIT("a@[192.0.2.1];b@[IPv6:2001:db8::1];") },
	{ "a group", STR_INIT("Friends: a@x.example, Bob <b@y.example>; c@z.example"),
	  STR_INIT("a@x.example;b@y.example;c@z.example;") },
	{ "an empty group", STR_INIT("undisclosed-recipients:;"), STR_INIT("") },
	{ "a group of two words", STR_INIT("My Friends: a@x.example;"), STR_INIT("a@x.example;") },
	{ "a quoted name of a group", STR_INIT("\"A:B\": a@x.example;"), STR_INIT("a@x.example;") },
	{ "an open group", STR_INIT("Friends: a@x.example"), STR_INIT("a@x.example;") },
	{ "a source route", STR_INIT("<@a.example,@b.example:c@d.example>, e"),
	  STR_INIT("c@d.example;e;") },
	{ "words alone", STR_INIT("Ann Lee, b"), STR_INIT("!b;") },
	{ "a quoted word beside another", STR_INIT("\"a\"b@x.example"), STR_INIT("!") },
	{ "empty brackets", STR_INIT("Ann <>, b"), STR_INIT("!b;") },
	{ "open brackets", STR_INIT("<a@x.example"), STR_INIT("!") },
	{ "brackets that close twice", STR_INIT("<a>>"), STR_INIT("!") },
	{ "brackets in brackets", STR_INIT("<<a>>"), STR_INIT("!") },
	{ "two pairs of brackets", STR_INIT("<a> <b>"), STR_INIT("!") },
	{ "a word behind brackets", STR_INIT("<a> b"), STR_INIT("!") },
	{ "a joint behind brackets", STR_INIT("<a> @b"), STR_INIT("!") },
	{ "two words in brackets", STR_INIT("<a b>"), STR_INIT("!") },
	{ "a comma in brackets", STR_INIT("<a,b>"), STR_INIT("!!") },
	{ "an open quoted string", STR_INIT("\"a, b"), STR_INIT("!") },
	{ "an open comment", STR_INIT("a@x.example (b, c"), STR_INIT("!") },
	{ "a comment that was not opened", STR_INIT("a) , b"), STR_INIT("!b;") },
	{ "a backslash", STR_INIT("a\\b@x.example"), STR_INIT("!") },
	{ "no local part", STR_INIT("@x.example"), STR_INIT("!") },
	{ "no domain", STR_INIT("a@"), STR_INIT("!") },
	{ "two domains", STR_INIT("a@b@c"), STR_INIT("!") },
	{ "a route that leads nowhere", STR_INIT("<@a,@b>"), STR_INIT("!") },
	{ "an octet of NUL", STR_INIT("a\0b@x.example"), STR_INIT("!") },
	{ "a colon without a name", STR_INIT(": a"), STR_INIT("!") },
	{ "a colon in brackets", STR_INIT("<a:b>"), STR_INIT("!") },
};

static struct str all(struct arena *a, struct str in, struct buf *out)
{
	struct str address;
	enum address_list got;

	buf_reset(out);
	while ((got = address_list_next(&in, a, &address)) != ADDRESS_LIST_END)
		CHECK(got == ADDRESS_LIST_ONE ? buf_fmt(out, STR_FMT ";", STR_ARG(address))
					      : buf_add_char(out, '!'));
	return buf_str(out);
}

TEST(address_lists)
{
	struct arena *a = arena_new();
	struct buf out;

	buf_init(&out, 4096);
	FOR_EACH(c, cases) {
		struct str copy = test_exact(c->in);

		ok_str(all(a, copy, &out), c->want, c->rule);
		free((void *)(uintptr_t)copy.p);
	}
	buf_fini(&out);
	arena_free(a);
}

TEST(a_long_name_is_fine_and_a_long_address_is_not)
{
	struct arena *a = arena_new();
	struct buf in, out;

	buf_init(&in, 4096);
	buf_init(&out, 4096);
	for (size_t i = 0; i < 100; i++)
		CHECK(buf_add(&in, STR("wordword")));
	ok_str(all(a, buf_str(&in), &out), STR("!"), "an address of 800 octets");
	CHECK(buf_add(&in, STR(" <a@x.example>")));
	ok_str(all(a, buf_str(&in), &out), STR("a@x.example;"), "a name of 800 octets");
	buf_fini(&in);
	buf_fini(&out);
	arena_free(a);
}

TEST_MAIN(RUN(address_lists), RUN(a_long_name_is_fine_and_a_long_address_is_not))
