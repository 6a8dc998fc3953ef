#include "report/dsn.h"

#include "base/limits.h"
#include "base/test.h"

static const struct dsn_rcpt rcpt = {
	.address = STR_INIT("user@example.com"),
	.orcpt = STR_INIT("rfc822;old+2Bname@example.com"),
	.outcome = { OUTCOME_BOUNCED,
		     { 5, 1, 1 },
		     STR_INIT("host mx.example.com[192.0.2.1] said: 550 5.1.1 no such user"),
		     STR_INIT("mx.example.com"),
		     { 550, { 5, 1, 1 }, STR_INIT("no such user") } },
	.last_attempt_utc = 1709209845,
};

static const struct dsn plain = {
	.kind = DSN_FAILURE,
	.reporting_mta = STR_INIT("relay.example.net"),
	.from = STR_INIT("MAILER-DAEMON@relay.example.net"),
	.to = STR_INIT("sender@example.net"),
	.queue_id = STR_INIT("4XyZ"),
	.message_id = STR_INIT("<4XyZ.1@relay.example.net>"),
	.boundary = STR_INIT("b-0123456789abcdef"),
	.sender = STR_INIT("sender@example.net"),
	.envid = STR_INIT("QQ+3D1"),
	.now_utc = 1709209850,
	.arrived_utc = 1709209840,
	.rcpts = &rcpt,
	.n_rcpts = 1,
};

static const char plain_front[] =
	"Date: Thu, 29 Feb 2024 12:30:50 +0000\r\n"
	"From: Mail delivery <MAILER-DAEMON@relay.example.net>\r\n"
	"To: <sender@example.net>\r\n"
	"Subject: Your message could not be delivered\r\n"
	"Message-ID: <4XyZ.1@relay.example.net>\r\n"
	"Auto-Submitted: auto-replied\r\n"
	"MIME-Version: 1.0\r\n"
	"Content-Type: multipart/report; report-type=delivery-status;\r\n"
	"\tboundary=\"b-0123456789abcdef\"\r\n"
	"Content-Transfer-Encoding: 8bit\r\n"
	"\r\n"
	"This is a notice in MIME format.\r\n"
	"\r\n--b-0123456789abcdef\r\n"
	"Content-Description: Notification\r\n"
	"Content-Type: text/plain; charset=utf-8\r\n"
	"Content-Transfer-Encoding: 8bit\r\n"
	"\r\n"
	"This is the mail system at relay.example.net.\r\n"
	"\r\n"
	"Your message could not be delivered to the recipients below. It will not\r\n"
	"be tried again.\r\n"
	"\r\n"
	"<user@example.com>:\r\n"
	"    host mx.example.com[192.0.2.1] said: 550 5.1.1 no such user\r\n"
	"\r\n"
	"If you need help, forward this notice, with the parts attached to it, to\r\n"
	"your postmaster.\r\n"
	"\r\n--b-0123456789abcdef\r\n"
	"Content-Description: Delivery report\r\n"
	"Content-Type: message/delivery-status\r\n"
	"\r\n"
	"Original-Envelope-Id: QQ=1\r\n"
	"Reporting-MTA: dns; relay.example.net\r\n"
	"X-Hopseal-Queue-ID: 4XyZ\r\n"
	"X-Hopseal-Sender: rfc822; sender@example.net\r\n"
	"Arrival-Date: Thu, 29 Feb 2024 12:30:40 +0000\r\n"
	"\r\n"
	"Original-Recipient: rfc822;old+name@example.com\r\n"
	"Final-Recipient: rfc822; user@example.com\r\n"
	"Action: failed\r\n"
	"Status: 5.1.1\r\n"
	"Remote-MTA: dns; mx.example.com\r\n"
	"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
	"Last-Attempt-Date: Thu, 29 Feb 2024 12:30:45 +0000\r\n"
	"\r\n--b-0123456789abcdef\r\n"
	"Content-Description: Your message\r\n"
	"Content-Type: message/rfc822\r\n"
	"Content-Transfer-Encoding: 8bit\r\n"
	"\r\n";

struct written {
	struct buf buf;
	struct str text;
};

static struct written write_front(const struct dsn *d)
{
	struct written w;

	buf_init(&w.buf, 1 << 20);
	ok(dsn_write_front(&w.buf, d), "it fits");
	w.text = buf_str(&w.buf);
	return w;
}

static bool has(const struct written *w, const char *text)
{
	size_t at;

	return str_search(w->text, str_of(text), &at);
}

TEST(a_failure_is_told_as_rfc_3464_has_it)
{
	struct written w = write_front(&plain);

	ok_str(w.text, str_of(plain_front), "the whole front");
	buf_reset(&w.buf);
	ok(dsn_write_end(&w.buf, &plain), "it fits");
	ok_str(buf_str(&w.buf), STR("\r\n--b-0123456789abcdef--\r\n"), "the end");
	buf_fini(&w.buf);
}

static const struct {
	const char *rule;
	struct str text;
} hostile_cases[] = {
	{ "a field", STR_INIT("no\r\nBcc: someone@example.org") },
	{ "the end of the part", STR_INIT("no\r\n\r\n--x") },
	{ "a bare carriage return", STR_INIT("no\rBcc: someone@example.org") },
	{ "a bare line feed", STR_INIT("no\nBcc: someone@example.org") },
};

TEST(what_a_peer_says_begins_no_line)
{
	FOR_EACH(c, hostile_cases) {
		struct dsn_rcpt r = rcpt;
		struct dsn d = plain;
		struct str exact = test_exact(c->text);
		r.outcome.reason = r.outcome.reply.text = r.outcome.remote_host = exact;
		d.rcpts = &r;
		struct written w = write_front(&d);
		ok(!has(&w, "\nBcc"), c->rule);
		ok(!has(&w, "\n--x"), c->rule);
		ok(!has(&w, "\rBcc"), c->rule);
		buf_fini(&w.buf);
		free((char *)exact.p);
	}
}

TEST(octets_that_are_no_text_are_not_passed_on)
{
	struct dsn_rcpt r = rcpt;
	struct dsn d = plain;

	r.outcome.reason = r.outcome.reply.text = STR("a\x1b[31mb \xff\xfe caf\xc3\xa9");
	d.rcpts = &r;
	struct written w = write_front(&d);
	ok(has(&w, "    a?[31mb ?? caf\xc3\xa9\r\n"), "people get UTF-8 without controls");
	ok(has(&w, "smtp; 550 5.1.1 a?[31mb ?? caf??\r\n"), "the report is ASCII");
	buf_fini(&w.buf);
}

TEST(lines_are_short)
{
	struct dsn_rcpt r = rcpt;
	struct dsn d = plain;
	char text[5000];

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < 2500; i += 9)
		text[i] = ' ';
	r.outcome.reason = r.outcome.reply.text = str_span(text, sizeof(text));
	d.rcpts = &r;
	struct written w = write_front(&d);
	struct str rest = w.text, line;
	while (str_cut(rest, '\n', &line, &rest))
		ok(line.n <= 998, "RFC 5322 section 2.1.1");
	buf_fini(&w.buf);
}

TEST(a_delay_says_until_when_it_is_tried)
{
	struct dsn d = plain;

	d.kind = DSN_DELAY;
	d.retry_until_utc = 1709641840;
	struct written w = write_front(&d);
	ok(has(&w, "Subject: Your message is delayed\r\n"), "subject");
	ok(has(&w, "\r\nIt will be tried until Tue, 5 Mar 2024 12:30:40 +0000.\r\n"), "words");
	ok(has(&w, "\r\nWill-Retry-Until: Tue, 5 Mar 2024 12:30:40 +0000\r\n"), "field");
	ok(has(&w, "\r\nAction: delayed\r\nStatus: 4.1.1\r\n"), "the class fits the action");
	buf_fini(&w.buf);
}

static const struct {
	const char *rule;
	int64_t seconds;
	const char *want;
} span_cases[] = {
	{ "minutes", 120, "2 minutes" },
	{ "a day is hours", 86400, "24 hours" },
	{ "days", 5 * 86400 + 600, "5 days" },
};

TEST(what_expired_says_how_long_it_was_tried)
{
	struct dsn_rcpt r = rcpt;
	struct dsn d = plain;
	struct written w;

	r.is_expired = true;
	r.outcome.status = STATUS(4, 4, 1);
	d.rcpts = &r;
	FOR_EACH(c, span_cases) {
		char want[100];
		d.now_utc = d.arrived_utc + c->seconds;
		w = write_front(&d);
		snprintf(want, sizeof(want), "\r\n    It was tried again and again for %s.\r\n",
			 c->want);
		ok(has(&w, want), c->rule);
		ok(has(&w, "\r\nAction: failed\r\nStatus: 4.4.1\r\n"), "RFC 3463 section 2");
		buf_fini(&w.buf);
	}
	d.now_utc = d.arrived_utc - 5;
	w = write_front(&d);
	ok(!has(&w, "again and again"), "nothing of a clock that went back");
	buf_fini(&w.buf);
}

TEST(a_postmaster_has_sent_nothing)
{
	struct dsn d = plain;

	d.sender = STR("");
	struct written w = write_front(&d);
	ok(has(&w, "Subject: A notice could not be delivered\r\n"), "subject");
	ok(!has(&w, "Your message could"), "words");
	buf_fini(&w.buf);
}

TEST(a_success_says_whether_it_was_handed_on)
{
	struct dsn_rcpt r[2] = { rcpt, rcpt };
	struct dsn d = plain;

	d.kind = DSN_SUCCESS;
	d.is_header_only = true;
	d.rcpts = r;
	d.n_rcpts = 2;
	r[1].is_relayed = true;
	r[0].outcome.status = STATUS(2, 0, 0);
	struct written w = write_front(&d);
	ok(has(&w, "\r\nAction: delivered\r\nStatus: 2.0.0\r\n"), "delivered");
	ok(has(&w, "\r\nAction: relayed\r\n"), "relayed");
	ok(has(&w, "\r\nContent-Type: text/rfc822-headers\r\n"), "the header alone");
	buf_fini(&w.buf);
}

TEST(addresses_outside_ascii_make_it_global)
{
	struct dsn_rcpt r = rcpt;
	struct dsn d = plain;

	r.address = STR("us\xc3\xa9r@example.com");
	r.orcpt = STR("utf-8;us\xc3\xa9r@example.com");
	d.rcpts = &r;
	d.is_smtputf8 = true;
	struct written w = write_front(&d);
	ok(has(&w, "\r\nContent-Type: message/global-delivery-status\r\n"), "RFC 6533");
	ok(has(&w, "\r\nFinal-Recipient: utf-8; us\xc3\xa9r@example.com\r\n"), "utf-8");
	ok(has(&w, "\r\nOriginal-Recipient: utf-8;us\xc3\xa9r@example.com\r\n"), "as given");
	ok(has(&w, "\r\nContent-Type: message/global\r\n"), "the original");
	d.is_header_only = true;
	buf_fini(&w.buf);
	w = write_front(&d);
	ok(has(&w, "\r\nContent-Type: message/global-headers\r\n"), "its header");
	buf_fini(&w.buf);
}

TEST(what_it_tells_without_a_reply_is_our_own_word)
{
	struct dsn_rcpt r = rcpt;
	struct dsn d = plain;

	r.outcome.reply.code = 0;
	r.outcome.remote_host = STR("");
	r.outcome.reason = STR("TLS is required, but was not offered by host mx.example.com");
	r.advice = STR("Its operator can turn STARTTLS on.");
	d.rcpts = &r;
	d.has_tls_required_no = true;
	d.sender = STR("");
	struct written w = write_front(&d);
	ok(has(&w, "\r\nDiagnostic-Code: x-hopseal; TLS is required, but was not offered"),
	   "diagnostic");
	ok(has(&w, "    Its operator can turn STARTTLS on.\r\n    In technical words: TLS is"),
	   "advice");
	ok(has(&w, "\r\nTLS-Required: No\r\n"), "RFC 8689 section 6");
	ok(!has(&w, "Remote-MTA"), "nobody said it");
	ok(!has(&w, "X-Hopseal-Sender"), "the null sender has no name");
	buf_fini(&w.buf);
}

static const struct {
	const char *rule;
	struct str xtext, want;
} xtext_cases[] = {
	{ "plain", STR_INIT("abc"), STR_INIT("abc") },
	{ "an encoded octet", STR_INIT("a+2Bb"), STR_INIT("a+b") },
	{ "a line end stays encoded", STR_INIT("a+0D+0Ab"), STR_INIT("a+0D+0Ab") },
	{ "above 127 stays encoded", STR_INIT("+FF"), STR_INIT("+FF") },
	{ "half an octet", STR_INIT("a+2"), STR_INIT("a+2") },
	{ "lower case is none", STR_INIT("a+2b"), STR_INIT("a+2b") },
};

TEST(xtext_is_decoded_where_it_is_safe)
{
	FOR_EACH(c, xtext_cases) {
		char want[64];
		struct dsn d = plain;
		struct str exact = test_exact(c->xtext);
		d.envid = exact;
		struct written w = write_front(&d);
		snprintf(want, sizeof(want), "\r\nOriginal-Envelope-Id: " STR_FMT "\r\n",
			 STR_ARG(c->want));
		ok(has(&w, want), c->rule);
		buf_fini(&w.buf);
		free((char *)exact.p);
	}
}

static const struct {
	const char *rule;
	struct str notify;
	bool failure, delay, success;
} notify_cases[] = {
	{ "nothing said", STR_INIT(""), true, true, false },
	{ "never", STR_INIT("NEVER"), false, false, false },
	{ "failure alone", STR_INIT("FAILURE"), true, false, false },
	{ "any case, any order", STR_INIT("success,Delay"), false, true, true },
};

TEST(notify_says_what_is_told)
{
	FOR_EACH(c, notify_cases) {
		ok(dsn_is_wanted(c->notify, DSN_FAILURE) == c->failure, c->rule);
		ok(dsn_is_wanted(c->notify, DSN_DELAY) == c->delay, c->rule);
		ok(dsn_is_wanted(c->notify, DSN_SUCCESS) == c->success, c->rule);
	}
}

TEST(a_full_buffer_is_told)
{
	for (size_t limit = 0; limit < sizeof(plain_front) - 1; limit += 7) {
		struct buf b;
		buf_init(&b, limit);
		ok(!dsn_write_front(&b, &plain), "the limit");
		buf_fini(&b);
	}
}

/* A peer says as much as it may of each of as many recipients as one notice has. */
TEST(what_peers_say_does_not_keep_a_notice_back)
{
	struct arena *a = arena_new();
	char *words = arena_alloc(a, SMTP_REPLY_TEXT_MAX), *name = arena_alloc(a, SMTP_PATH_MAX);
	struct dsn_rcpt *v = ARENA_ARRAY(a, NOTICE_RCPTS_MAX, struct dsn_rcpt);
	struct dsn d = plain;
	struct buf text;

	for (size_t i = 0; i < SMTP_REPLY_TEXT_MAX; i++)
		words[i] = i % 50 ? 'x' : ' ';
	memset(name, 'n', SMTP_PATH_MAX);
	for (size_t i = 0; i < NOTICE_RCPTS_MAX; i++) {
		v[i] = rcpt;
		v[i].address = str_span(name, SMTP_PATH_MAX);
		v[i].outcome.remote_host = str_span(name, 255);
		v[i].outcome.reason = str_span(words, SMTP_REPLY_TEXT_MAX);
		v[i].outcome.reply.text = v[i].outcome.reason;
		if (i % 2) /* a word of ours, which quotes the peer */
			v[i].outcome.reply = (struct smtp_reply){ 0 };
	}
	d.rcpts = v;
	d.n_rcpts = NOTICE_RCPTS_MAX;
	buf_init(&text, NOTICE_TEXT_MAX);
	ok(dsn_write_front(&text, &d), "it fits");
	buf_fini(&text);
	arena_free(a);
}

TEST_MAIN(RUN(a_failure_is_told_as_rfc_3464_has_it), RUN(what_a_peer_says_begins_no_line),
	  RUN(octets_that_are_no_text_are_not_passed_on), RUN(lines_are_short),
	  RUN(a_delay_says_until_when_it_is_tried), RUN(what_expired_says_how_long_it_was_tried),
	  RUN(a_postmaster_has_sent_nothing), RUN(a_success_says_whether_it_was_handed_on),
	  RUN(addresses_outside_ascii_make_it_global),
	  RUN(what_it_tells_without_a_reply_is_our_own_word),
	  RUN(xtext_is_decoded_where_it_is_safe), RUN(notify_says_what_is_told),
	  RUN(a_full_buffer_is_told), RUN(what_peers_say_does_not_keep_a_notice_back))
