#include "proto/control.h"

#include "base/test.h"

static const struct {
	const char *rule;
	struct str in;
	bool want;
	struct control_request r;
} cases[] = {
	{ "no mail", STR_INIT("{\"request\":\"status\"}"), true, { CONTROL_STATUS } },
	{ "blanks", STR_INIT(" { \"request\" :\t\"stop\" } \r"), true, { CONTROL_STOP } },
	{ "all",
	  STR_INIT("{\"request\":\"flush\",\"all\":true}"),
	  true,
	  { CONTROL_FLUSH, CONTROL_ALL } },
	{ "a destination",
	  STR_INIT("{\"destination\":\"smtp:a\",\"request\":\"hold\"}"),
	  true,
	  { CONTROL_HOLD, CONTROL_OF_DESTINATION, STR_INIT("smtp:a") } },
	{ "mail that is still to be routed",
	  STR_INIT("{\"destination\":\"\",\"request\":\"hold\"}"),
	  true,
	  { CONTROL_HOLD, CONTROL_OF_DESTINATION, STR_INIT("") } },
	{ "a message",
	  STR_INIT("{\"request\":\"delete\",\"message\":\"4Xy\"}"),
	  true,
	  { CONTROL_DELETE, CONTROL_OF_MESSAGE, STR_INIT(""), STR_INIT("4Xy") } },
	{ "a recipient, with escapes",
	  STR_INIT("{\"request\":\"retry\",\"message\":\"4Xy\","
		   "\"recipient\":\"\\\"\\u00e9\\ud83d\\ude00\\n\\\\\\/\"}"),
	  true,
	  { CONTROL_RETRY, CONTROL_OF_RECIPIENT, STR_INIT(""), STR_INIT("4Xy"),
	    STR_INIT("\"\xc3\xa9\xf0\x9f\x98\x80\n\\/") } },
	{ "nothing", STR_INIT(""), false, { 0 } },
	{ "no object", STR_INIT("[\"status\"]"), false, { 0 } },
	{ "an empty one", STR_INIT("{}"), false, { 0 } },
	{ "no end", STR_INIT("{\"request\":\"status\""), false, { 0 } },
	{ "more behind it", STR_INIT("{\"request\":\"status\"} {"), false, { 0 } },
	{ "a comma too many", STR_INIT("{\"request\":\"status\",}"), false, { 0 } },
	{ "no such request", STR_INIT("{\"request\":\"statu\"}"), false, { 0 } },
	{ "no such member", STR_INIT("{\"request\":\"status\",\"x\":\"\"}"), false, { 0 } },
	{ "twice", STR_INIT("{\"request\":\"stop\",\"request\":\"stop\"}"), false, { 0 } },
	{ "mail for what is about none",
	  STR_INIT("{\"request\":\"stop\",\"all\":true}"),
	  false,
	  { 0 } },
	{ "no mail for a change", STR_INIT("{\"request\":\"delete\"}"), false, { 0 } },
	{ "all is true", STR_INIT("{\"request\":\"delete\",\"all\":false}"), false, { 0 } },
	{ "two ways at once",
	  STR_INIT("{\"request\":\"delete\",\"all\":true,\"message\":\"4Xy\"}"),
	  false,
	  { 0 } },
	{ "a recipient of no message",
	  STR_INIT("{\"request\":\"delete\",\"all\":true,\"recipient\":\"a@b\"}"),
	  false,
	  { 0 } },
	{ "an empty recipient",
	  STR_INIT("{\"request\":\"delete\",\"message\":\"4\",\"recipient\":\"\"}"),
	  false,
	  { 0 } },
	{ "a list of all",
	  STR_INIT("{\"request\":\"list\"}"),
	  true,
	  { CONTROL_LIST, CONTROL_NOTHING } },
	{ "a list, filtered",
	  STR_INIT("{\"request\":\"list\",\"sender\":\"\",\"states\":\"held queued\","
		   "\"reason\":\"r\",\"arrived_before_ms\":\"12\",\"destination\":\"d\","
		   "\"message\":\"m\"}"),
	  true,
	  { CONTROL_LIST, CONTROL_NOTHING,
	    .filter = { true, true, STR_INIT("d"), STR_INIT(""), STR_INIT("m"), STR_INIT("r"),
			CONTROL_HELD | CONTROL_QUEUED, 12 } } },
	{ "a list and no state",
	  STR_INIT("{\"request\":\"list\",\"states\":\"odd\"}"),
	  false,
	  { 0 } },
	{ "a list and no time",
	  STR_INIT("{\"request\":\"list\",\"arrived_before_ms\":\"1d\"}"),
	  false,
	  { 0 } },
	{ "a list of a recipient",
	  STR_INIT("{\"request\":\"list\",\"message\":\"m\",\"recipient\":\"r\"}"),
	  false,
	  { 0 } },
	{ "a filter of a change",
	  STR_INIT("{\"request\":\"hold\",\"all\":true,\"sender\":\"s\"}"),
	  false,
	  { 0 } },
	{ "a message to show",
	  STR_INIT("{\"request\":\"show\",\"message\":\"m\"}"),
	  true,
	  { CONTROL_SHOW, CONTROL_OF_MESSAGE, .message = STR_INIT("m") } },
	{ "no message to show", STR_INIT("{\"request\":\"cat\"}"), false, { 0 } },
	{ "more than a message",
	  STR_INIT("{\"request\":\"cat\",\"message\":\"m\",\"recipient\":\"r\"}"),
	  false,
	  { 0 } },
	{ "a number", STR_INIT("{\"request\":7}"), false, { 0 } },
	{ "a control", STR_INIT("{\"request\":\"hold\",\"message\":\"a\tb\"}"), false, { 0 } },
	{ "no UTF-8", STR_INIT("{\"request\":\"hold\",\"message\":\"\xff\"}"), false, { 0 } },
	{ "NUL", STR_INIT("{\"request\":\"hold\",\"message\":\"\\u0000\"}"), false, { 0 } },
	{ "half a pair", STR_INIT("{\"request\":\"hold\",\"message\":\"\\ud83d\"}"), false, { 0 } },
	{ "a pair the wrong way round",
	  STR_INIT("{\"request\":\"hold\",\"message\":\"\\ude00\\ud83d\"}"),
	  false,
	  { 0 } },
	{ "no escape", STR_INIT("{\"request\":\"hold\",\"message\":\"\\x41\"}"), false, { 0 } },
};

static void
ok_request(const struct control_request *got, const struct control_request *want, const char *rule)
{
	ok(got->kind == want->kind && got->reach == want->reach, rule);
	ok_str(got->destination, want->destination, rule);
	ok_str(got->message, want->message, rule);
	ok_str(got->recipient, want->recipient, rule);
	ok(got->filter.has_destination == want->filter.has_destination, rule);
	ok_str(got->filter.destination, want->filter.destination, rule);
	ok(got->filter.has_sender == want->filter.has_sender, rule);
	ok_str(got->filter.sender, want->filter.sender, rule);
	ok_str(got->filter.message, want->filter.message, rule);
	ok_str(got->filter.reason, want->filter.reason, rule);
	ok(got->filter.states == want->filter.states, rule);
	ok(got->filter.arrived_before_ms == want->filter.arrived_before_ms, rule);
}

TEST(requests)
{
	FOR_EACH(c, cases) {
		struct str in = test_exact(c->in);
		struct arena *a = arena_new();
		struct control_request r;
		struct error e;

		ok(control_request_parse(a, in, &r, &e) == c->want, c->rule);
		if (c->want)
			ok_request(&r, &c->r, c->rule);
		else
			ok(e.kind == ERROR_DATA &&
				   str_has_prefix(error_text(&e), STR("no request")),
			   c->rule);
		arena_free(a);
		free((void *)(uintptr_t)in.p);
	}
}

TEST(a_part_of_a_request_is_none)
{
	FOR_EACH(c, cases) {
		struct str whole = str_trim(c->in);
		for (size_t n = 0; c->want && n < whole.n; n++) {
			struct str in = test_exact(str_first(whole, n));
			struct arena *a = arena_new();
			struct control_request r;

			ok(!control_request_parse(a, in, &r, NULL), c->rule);
			arena_free(a);
			free((void *)(uintptr_t)in.p);
		}
	}
}

TEST(what_is_written_is_read_again)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct control_request r;
		struct str line;
		struct buf b;
		size_t used;

		buf_init(&b, CONTROL_LINE_MAX);
		if (c->want) {
			ok(control_request_add(&b, &c->r), c->rule);
			ok(control_take(buf_str(&b), &line, &used) == CONTROL_TAKE_OK, c->rule);
			ok(used == buf_len(&b), c->rule);
			ok(control_request_parse(a, line, &r, NULL), c->rule);
			ok_request(&r, &c->r, c->rule);
		}
		buf_fini(&b);
		arena_free(a);
	}
}

TEST(lines_in_every_split)
{
	static const struct str in = STR_INIT("{}\n\n{\"a\"}\nrest");

	for (size_t n = 0; n <= in.n; n++) {
		struct str part = test_exact(str_first(in, n)), line = STR("?");
		size_t used = 0;
		enum control_take got = control_take(part, &line, &used);
		ok(got == (n < 3 ? CONTROL_TAKE_MORE : CONTROL_TAKE_OK), "its LF");
		if (n >= 3)
			ok(str_eq(line, STR("{}")) && used == 3, "the first one");
		free((void *)(uintptr_t)part.p);
	}
}

TEST(length_of_a_line)
{
	char longest[CONTROL_LINE_MAX + 1];
	struct str line;
	size_t used;

	memset(longest, 'x', sizeof(longest));
	ok(control_take(str_span(longest, CONTROL_LINE_MAX - 1), &line, &used) == CONTROL_TAKE_MORE,
	   "its LF may come");
	ok(control_take(str_span(longest, CONTROL_LINE_MAX), &line, &used) == CONTROL_TAKE_BAD,
	   "too long");
	longest[CONTROL_LINE_MAX] = '\n';
	ok(control_take(str_span(longest, sizeof(longest)), &line, &used) == CONTROL_TAKE_BAD,
	   "too long by one");
	longest[CONTROL_LINE_MAX - 1] = '\n';
	ok(control_take(str_span(longest, sizeof(longest)), &line, &used) == CONTROL_TAKE_OK,
	   "just as long");
}

TEST(names)
{
	enum control_kind k;

	for (int i = CONTROL_STATUS; i <= CONTROL_FLUSH; i++) {
		ok(control_kind_parse(control_kind_name((enum control_kind)i), &k) && (int)k == i,
		   "there and back");
		ok(control_is_change(k) == (i >= CONTROL_HOLD), "changes");
		ok(control_is_reading(k) == (i > CONTROL_DESTINATIONS && i < CONTROL_RELOAD),
		   "what reads the store");
	}
	ok(!control_kind_parse(STR(""), &k) && !control_kind_parse(STR("HOLD"), &k), "no name");
}

TEST_MAIN(RUN(requests), RUN(a_part_of_a_request_is_none), RUN(what_is_written_is_read_again),
	  RUN(lines_in_every_split), RUN(length_of_a_line), RUN(names))
