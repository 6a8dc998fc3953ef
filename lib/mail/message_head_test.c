#include "mail/message_head.h"

#include "base/test.h"

#define DATE "Date: D\r\n"
#define ID "Message-ID: I\r\n"
#define FROM "From: F\r\n"

static const struct message_head_options adds = {
	.dropped = STR_INIT("bcc, return-path"),
	.adds_missing = true,
	.date = STR_INIT("D"),
	.message_id = STR_INIT("I"),
	.from = STR_INIT("F"),
};
static const struct message_head_options keeps = { .dropped = STR_INIT("bcc") };

static const struct {
	const char *rule;
	const struct message_head_options *o;
	struct str in, want;
	unsigned n_received;
} cases[] = {
	{ "nothing is missing", &adds, STR_INIT(FROM DATE ID "\r\nbody\r\n"),
	  STR_INIT(FROM DATE ID "\r\nbody\r\n"), 0 },
	{ "all is missing", &adds, STR_INIT("Subject: x\r\n\r\nbody\r\n"),
	  STR_INIT("Subject: x\r\n" ID DATE FROM "\r\nbody\r\n"), 0 },
	{ "names in any case, blanks before the colon", &adds,
	  STR_INIT("fRoM : x\r\ndate:x\r\nMESSAGE-ID\t:x\r\n\r\n"),
	  STR_INIT("fRoM : x\r\ndate:x\r\nMESSAGE-ID\t:x\r\n\r\n"), 0 },
	{ "no header section", &adds, STR_INIT("\r\nDate: x\r\n"),
	  STR_INIT(ID DATE FROM "\r\nDate: x\r\n"), 0 },
	{ "an empty message", &adds, STR_INIT(""), STR_INIT(ID DATE FROM), 0 },
	{ "no body", &adds, STR_INIT("From: x\r\n"), STR_INIT("From: x\r\n" ID DATE), 0 },
	{ "text without a header section", &adds, STR_INIT("hello world\r\nDate: x\r\n"),
	  STR_INIT(ID DATE FROM "\r\nhello world\r\nDate: x\r\n"), 0 },
	{ "text behind the header section", &adds, STR_INIT(FROM "hello\r\n" DATE),
	  STR_INIT(FROM ID DATE "\r\nhello\r\n" DATE), 0 },
	{ "a continuation first", &adds, STR_INIT(" x\r\n" DATE),
	  STR_INIT(ID DATE FROM "\r\n x\r\n" DATE), 0 },
	{ "a line of blanks goes on with the field", &adds, STR_INIT(FROM DATE ID " \r\n\r\nx\r\n"),
	  STR_INIT(FROM DATE ID " \r\n\r\nx\r\n"), 0 },
	{ "a name with a blank inside", &adds, STR_INIT("From x: y\r\n"),
	  STR_INIT(ID DATE FROM "\r\nFrom x: y\r\n"), 0 },
	{ "a colon first", &keeps, STR_INIT(": x\r\n"), STR_INIT("\r\n: x\r\n"), 0 },
	{ "fields go with their continuations", &keeps,
	  STR_INIT("Bcc: a,\r\n b\r\n\tc\r\nTo: d\r\nbCC:e\r\n\r\nBcc: f\r\n"),
	  STR_INIT("To: d\r\n\r\nBcc: f\r\n"), 0 },
	{ "a dropped field last", &adds, STR_INIT(FROM DATE ID "Bcc: x\r\n"),
	  STR_INIT(FROM DATE ID), 0 },
	{ "text behind a dropped field", &keeps, STR_INIT("Bcc: x\r\nhello\r\n"),
	  STR_INIT("\r\nhello\r\n"), 0 },
	{ "resent messages need the other ones", &adds,
	  STR_INIT("Resent-To: x\r\nResent-Date: y\r\n\r\n"),
	  STR_INIT("Resent-To: x\r\nResent-Date: y\r\nResent-Message-ID: I\r\n"
		   "Resent-From: F\r\n\r\n"),
	  0 },
	{ "Received is counted in the header section", &keeps,
	  STR_INIT("Received: a\r\n b\r\nreceived:c\r\n\r\nReceived: d\r\n"),
	  STR_INIT("Received: a\r\n b\r\nreceived:c\r\n\r\nReceived: d\r\n"), 2 },
	{ "nothing is added where nothing shall be", &keeps, STR_INIT("To: x\r\n\r\nx\r\n"),
	  STR_INIT("To: x\r\n\r\nx\r\n"), 0 },
};

static const struct {
	const char *rule;
	const struct message_head_options *o;
	struct str in, want;
} ids[] = {
	{ "as it is", &keeps, STR_INIT("Message-ID: <a@b> \r\n\r\nMessage-ID: x\r\n"),
	  STR_INIT("<a@b>") },
	{ "folded", &keeps, STR_INIT("message-id:\r\n <a@b>\r\nTo: x\r\n\r\n"), STR_INIT("<a@b>") },
	{ "the first", &keeps, STR_INIT("Message-ID: <1>\r\nMessage-ID: <2>\r\n"),
	  STR_INIT("<1>") },
	{ "none", &keeps, STR_INIT("To: x\r\n\r\n"), STR_INIT("") },
	{ "the one that is added", &adds, STR_INIT("To: x\r\n\r\n"), STR_INIT("I") },
	{ "not the resent one", &adds, STR_INIT("Resent-Message-ID: <r>\r\nMessage-ID: <a>\r\n"),
	  STR_INIT("<a>") },
};

TEST(the_message_id_is_known)
{
	FOR_EACH(c, ids) {
		for (size_t at = 0; at <= c->in.n; at++) {
			struct message_head h;
			struct buf out;

			buf_init(&out, MESSAGE_HEAD_MAX(c->in.n));
			message_head_init(&h, c->o);
			message_head_feed(&h, str_first(c->in, at), &out);
			message_head_feed(&h, str_from(c->in, at), &out);
			message_head_end(&h, &out);
			ok_str(str_span(h.id, h.id_n), c->want, c->rule);
			buf_fini(&out);
		}
	}
}

static void run(size_t i, size_t at)
{
	struct message_head h;
	struct buf out;
	struct str first = test_exact(str_first(cases[i].in, at));
	struct str second = test_exact(str_from(cases[i].in, at));

	buf_init(&out, MESSAGE_HEAD_MAX(cases[i].in.n));
	message_head_init(&h, cases[i].o);
	message_head_feed(&h, first, &out);
	message_head_feed(&h, second, &out);
	message_head_end(&h, &out);
	ok_str(buf_str(&out), cases[i].want, cases[i].rule);
	ok(h.n_received == cases[i].n_received, cases[i].rule);
	buf_fini(&out);
	free((void *)(uintptr_t)first.p);
	free((void *)(uintptr_t)second.p);
}

TEST(every_split)
{
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (size_t at = 0; at <= cases[i].in.n; at++)
			run(i, at);
}

TEST(a_name_has_an_end)
{
	struct message_head h;
	struct buf out;
	char in[3 * MESSAGE_HEAD_NAME_MAX];

	memset(in, 'x', sizeof(in));
	buf_init(&out, MESSAGE_HEAD_MAX(sizeof(in)));
	message_head_init(&h, &keeps);
	message_head_feed(&h, str_span(in, sizeof(in)), &out);
	message_head_end(&h, &out);
	ok(buf_len(&out) == sizeof(in) + 2, "all of it, and an empty line");
	ok(str_has_prefix(buf_str(&out), STR("\r\nx")), "is taken for the body");
	buf_fini(&out);
}

TEST_MAIN(RUN(every_split), RUN(the_message_id_is_known), RUN(a_name_has_an_end))
