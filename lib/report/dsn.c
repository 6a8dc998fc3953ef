#include "report/dsn.h"

#include <stdio.h>

#include "mail/date.h"

enum {
	LINE_FILL = 72, /* where lines for people are broken; RFC 5322 section 2.1.1 asks for 78 */
	QUOTE_MAX = 2000, /* octets of one reply, of which there may be many */
	LINE_MAX = 900,   /* octets of a word that has no break; 998 are allowed */
};

bool dsn_is_wanted(struct str notify, enum dsn_kind kind)
{
	static const struct str names[] = { STR_INIT("FAILURE"), STR_INIT("DELAY"),
					    STR_INIT("SUCCESS") };
	struct str word;

	if (notify.n == 0)
		return kind != DSN_SUCCESS;
	while (str_token(&notify, STR(","), &word))
		if (str_ieq_ascii(word, names[kind]))
			return true;
	return false;
}

/* ---- text ---- */

/* Appending that remembers a failure. */
struct dsn_out {
	struct buf *buf;
	bool is_full;
	bool is_ascii; /* what is not ASCII becomes "?" */
	size_t column;
};

static void put(struct dsn_out *o, struct str s)
{
	size_t at;

	o->is_full = o->is_full || !buf_add(o->buf, s);
	for (; str_find(s, '\n', &at); s = str_from(s, at + 1))
		o->column = 0;
	o->column += s.n;
}

static void put_z(struct dsn_out *o, const char *s)
{
	put(o, str_of(s));
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 126)
			return false;
	return true;
}

/* As much of the front as may stand in the text. */
static size_t shown_len(const struct dsn_out *o, struct str s)
{
	size_t n = str_shown_len(s);

	for (size_t i = 0; o->is_ascii && i < n; i++)
		if ((unsigned char)s.p[i] > 126)
			return i;
	return n;
}

static void put_shown(struct dsn_out *o, struct str s)
{
	while (s.n > 0) {
		size_t n = shown_len(o, s);
		put(o, str_first(s, n));
		if (n < s.n)
			put_z(o, "?");
		s = str_from(s, n + 1);
	}
}

/* Words of one line, broken where it gets too long: what a peer said cannot begin a line of ours,
 * let alone a field. Octets that are no text become "?". */
static void put_folded(struct dsn_out *o, struct str text, const char *indent)
{
	struct str word;
	bool is_first = true;

	while (str_token(&text, STR(" \t\r\n\v\f"), &word)) {
		if (!is_first && o->column + 1 + word.n > LINE_FILL) {
			put_z(o, "\r\n");
			put_z(o, indent);
		} else if (!is_first) {
			put_z(o, " ");
		}
		is_first = false;
		word = str_first(word, LINE_MAX);
		put_shown(o, word);
	}
}

static void put_line(struct dsn_out *o, struct str text)
{
	put_folded(o, text, "");
	put_z(o, "\r\n");
}

static void put_field(struct dsn_out *o, const char *name, struct str value)
{
	put_z(o, name);
	put_z(o, ": ");
	put_folded(o, value, "\t");
	put_z(o, "\r\n");
}

/* One of "type; value". */
static void put_typed(struct dsn_out *o, const char *name, const char *type, struct str value)
{
	put_z(o, name);
	put_z(o, ": ");
	put_z(o, type);
	put_z(o, "; ");
	put_folded(o, value, "\t");
	put_z(o, "\r\n");
}

static void put_date(struct dsn_out *o, const char *name, int64_t utc)
{
	char date[MESSAGE_DATE_MAX];

	if (utc != 0)
		put_field(o, name, message_date(utc, date));
}

/* A date inside a sentence. */
static void put_when(struct dsn_out *o, int64_t utc)
{
	char date[MESSAGE_DATE_MAX];

	put_folded(o, message_date(utc, date), "");
}

/* ---- xtext: RFC 3461 section 4 ---- */

static int hex_digit(char c)
{
	return ascii_is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The octets that xtext stands for. What would end the field, or is no ASCII, is left as it was
 * written. */
static void put_xtext(struct dsn_out *o, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		int high = s.p[i] == '+' && i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;
		char c = s.p[i];

		if (low >= 0 && high * 16 + low >= ' ' && high * 16 + low < 127) {
			c = (char)(high * 16 + low);
			i += 2;
		}
		put(o, str_span(&c, 1));
	}
}

static void put_original_recipient(struct dsn_out *o, struct str orcpt)
{
	struct str type, address;

	if (!str_cut(orcpt, ';', &type, &address))
		return;
	put_z(o, "Original-Recipient: ");
	put(o, type);
	put_z(o, ";");
	if (is_ascii(address))
		put_xtext(o, address);
	else
		put_folded(o, address, "\t");
	put_z(o, "\r\n");
}

/* ---- the header section ---- */

struct dsn_words {
	const char *subject, *first;
};

static const struct dsn_words words[] = {
	[DSN_FAILURE] = { "Your message could not be delivered",
			  "Your message could not be delivered to the recipients below. It will "
			  "not "
			  "be tried again." },
	[DSN_DELAY] = { "Your message is delayed",
			"Your message has not reached the recipients below yet. Nothing needs to "
			"be "
			"done: it will be tried again, and if that comes to nothing you will hear "
			"of it." },
	[DSN_SUCCESS] = { "Your message was delivered",
			  "As you asked to be told: your message has reached the recipients below, "
			  "or was handed on to a server that gives no such notices." },
};

/* To a postmaster, who has sent nothing. */
static const struct dsn_words words_of_lost_notice = {
	"A notice could not be delivered",
	"A message without a sender's address, as notices of delivery have none, could not be "
	"delivered to the recipients below. It will not be tried again, and nobody else is told."
};

/* The same, of what the sender is told. */
static const struct dsn_words words_of_copy[] = {
	[DSN_FAILURE] = { "A message could not be delivered",
			  "The message whose header section is below could not be delivered to the "
			  "recipients below. Its sender is told." },
	[DSN_DELAY] = { "A message is delayed",
			"The message whose header section is below has not reached the recipients "
			"below yet. It will be tried again; its sender is told." },
	[DSN_SUCCESS] = { "A message was delivered",
			  "The message whose header section is below has reached the recipients "
			  "below. Its sender is told." },
};

static const struct dsn_words *words_of(const struct dsn *d)
{
	if (d->is_copy)
		return &words_of_copy[d->kind];
	bool is_lost_notice = d->kind == DSN_FAILURE && d->sender.n == 0;

	return is_lost_notice ? &words_of_lost_notice : &words[d->kind];
}

static bool is_global(const struct dsn *d)
{
	if (d->is_smtputf8 || !is_ascii(d->to))
		return true;
	for (size_t i = 0; i < d->n_rcpts; i++)
		if (!is_ascii(d->rcpts[i].address))
			return true;
	return false;
}

/* A field of which every octet is ours or an address that was checked when it came. */
static void put_raw_field(struct dsn_out *o, const char *name, struct str value)
{
	put_z(o, name);
	put_z(o, ": ");
	put(o, value);
	put_z(o, "\r\n");
}

static void put_header(struct dsn_out *o, const struct dsn *d)
{
	put_date(o, "Date", d->now_utc);
	put_z(o, "From: Mail delivery <");
	put(o, d->from);
	put_z(o, ">\r\n");
	put_z(o, "To: <");
	put(o, d->to);
	put_z(o, ">\r\n");
	put_raw_field(o, "Subject", str_of(words_of(d)->subject));
	put_raw_field(o, "Message-ID", d->message_id);
	put_z(o, "Auto-Submitted: auto-replied\r\n");
	if (d->has_tls_required_no)
		put_z(o, "TLS-Required: No\r\n");
	put_z(o, "MIME-Version: 1.0\r\n"
		 "Content-Type: multipart/report; report-type=delivery-status;\r\n"
		 "\tboundary=\"");
	put(o, d->boundary);
	put_z(o, "\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
}

static void put_part(struct dsn_out *o, const struct dsn *d, const char *type, const char *what)
{
	put_z(o, "\r\n--");
	put(o, d->boundary);
	put_z(o, "\r\nContent-Description: ");
	put_z(o, what);
	put_z(o, "\r\nContent-Type: ");
	put_z(o, type);
	put_z(o, o->is_ascii ? "\r\n\r\n" : "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
}

/* ---- for people ---- */

/* "5 days": in the largest unit of which there are two. */
static void put_span(struct dsn_out *o, int64_t seconds)
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = { { 86400, "days" }, { 3600, "hours" }, { 60, "minutes" } };
	char text[40];
	size_t i = 0;

	while (i + 1 < ARRAY_LEN(units) && seconds < 2 * units[i].seconds)
		i++;
	int n = snprintf(text, sizeof(text), "%lld %s", (long long)(seconds / units[i].seconds),
			 units[i].name);
	put(o, str_span(text, (size_t)n));
}

/* A minute or two is no news. */
static void put_person_expiry(struct dsn_out *o, const struct dsn *d)
{
	if (d->now_utc - d->arrived_utc < 120)
		return;
	put_z(o, "    It was tried again and again for ");
	put_span(o, d->now_utc - d->arrived_utc);
	put_z(o, ".\r\n");
}

/* First what everybody understands, then what was said. */
static void put_person_rcpt(struct dsn_out *o, const struct dsn *d, const struct dsn_rcpt *r)
{
	put_z(o, "\r\n<");
	put_folded(o, r->address, "");
	put_z(o, ">:\r\n    ");
	if (r->advice.n > 0) {
		put_folded(o, r->advice, "    ");
		put_z(o, "\r\n    In technical words: ");
	}
	put_folded(o, str_first(r->outcome.reason, QUOTE_MAX), "    ");
	put_z(o, "\r\n");
	if (r->is_expired)
		put_person_expiry(o, d);
}

static void put_person_part(struct dsn_out *o, const struct dsn *d)
{
	put_part(o, d, "text/plain; charset=utf-8", "Notification");
	put_z(o, "This is the mail system at ");
	put(o, d->reporting_mta);
	put_z(o, ".\r\n\r\n");
	put_line(o, str_of(words_of(d)->first));
	if (d->kind == DSN_DELAY) {
		put_z(o, "\r\nIt will be tried until ");
		put_when(o, d->retry_until_utc);
		put_z(o, ".\r\n");
	}
	for (size_t i = 0; i < d->n_rcpts; i++)
		put_person_rcpt(o, d, &d->rcpts[i]);
	put_z(o, "\r\n");
	if (d->is_copy)
		return;
	put_line(o, STR("If you need help, forward this notice, with the parts attached to it, to "
			"your postmaster."));
}

/* ---- for machines: RFC 3464 section 2 ---- */

static const char *action_of(const struct dsn *d, const struct dsn_rcpt *r)
{
	switch (d->kind) {
	case DSN_FAILURE:
		return "failed";
	case DSN_DELAY:
		return "delayed";
	case DSN_SUCCESS:
		return r->is_relayed ? "relayed" : "delivered";
	}
	return "failed";
}

static void put_status(struct dsn_out *o, struct status s, enum dsn_kind kind)
{
	char text[24];
	int n;

	/* as the action says; what was given up after deferrals keeps their class, for "sending in
	 * the future may be successful": RFC 3463 section 2 */
	if (kind != DSN_FAILURE || s.class != 4)
		s.class = kind == DSN_FAILURE ? 5 : kind == DSN_DELAY ? 4 : 2;
	n = snprintf(text, sizeof(text), "%u.%u.%u", s.class, s.subject, s.detail);
	put_field(o, "Status", str_span(text, (size_t)n));
}

static void put_diagnostic(struct dsn_out *o, const struct outcome *outcome)
{
	char code[16];
	int n = snprintf(code, sizeof(code), "smtp; %d ", outcome->reply.code);

	if (outcome->reply.code == 0) {
		put_typed(o, "Diagnostic-Code", "x-hopseal", str_first(outcome->reason, QUOTE_MAX));
		return;
	}
	put_z(o, "Diagnostic-Code: ");
	put(o, str_span(code, (size_t)n));
	if (outcome->reply.status.class > 0) {
		char status[24];
		int m = snprintf(status, sizeof(status), "%u.%u.%u ", outcome->reply.status.class,
				 outcome->reply.status.subject, outcome->reply.status.detail);
		put(o, str_span(status, (size_t)m));
	}
	put_folded(o, str_first(outcome->reply.text, QUOTE_MAX), "\t");
	put_z(o, "\r\n");
}

static void put_machine_rcpt(struct dsn_out *o, const struct dsn *d, const struct dsn_rcpt *r)
{
	put_z(o, "\r\n");
	put_original_recipient(o, r->orcpt);
	put_typed(o, "Final-Recipient", is_ascii(r->address) ? "rfc822" : "utf-8", r->address);
	put_field(o, "Action", str_of(action_of(d, r)));
	put_status(o, r->outcome.status, d->kind);
	if (r->outcome.remote_host.n > 0)
		put_typed(o, "Remote-MTA", "dns", r->outcome.remote_host);
	put_diagnostic(o, &r->outcome);
	put_date(o, "Last-Attempt-Date", r->last_attempt_utc);
	if (d->kind == DSN_DELAY)
		put_date(o, "Will-Retry-Until", d->retry_until_utc);
}

static void put_machine_part(struct dsn_out *o, const struct dsn *d)
{
	o->is_ascii = !is_global(d); /* RFC 3464 section 2.1: 7bit */
	put_part(o, d, is_global(d) ? "message/global-delivery-status" : "message/delivery-status",
		 "Delivery report");
	if (d->envid.n > 0) {
		put_z(o, "Original-Envelope-Id: ");
		put_xtext(o, d->envid);
		put_z(o, "\r\n");
	}
	put_typed(o, "Reporting-MTA", "dns", d->reporting_mta);
	put_field(o, "X-Hopseal-Queue-ID", d->queue_id);
	if (d->sender.n > 0)
		put_typed(o, "X-Hopseal-Sender", is_ascii(d->sender) ? "rfc822" : "utf-8",
			  d->sender);
	put_date(o, "Arrival-Date", d->arrived_utc);
	for (size_t i = 0; i < d->n_rcpts; i++)
		put_machine_rcpt(o, d, &d->rcpts[i]);
	o->is_ascii = false;
}

static const char *original_type(const struct dsn *d)
{
	if (d->is_header_only)
		return d->is_smtputf8 ? "message/global-headers" : "text/rfc822-headers";
	return d->is_smtputf8 ? "message/global" : "message/rfc822";
}

bool dsn_write_front(struct buf *out, const struct dsn *d)
{
	struct dsn_out o = { .buf = out };

	CHECK(d->n_rcpts > 0);
	put_header(&o, d);
	put_z(&o, "This is a notice in MIME format.\r\n");
	put_person_part(&o, d);
	put_machine_part(&o, d);
	put_part(&o, d, original_type(d),
		 d->is_header_only ? "Header of your message" : "Your message");
	return !o.is_full;
}

bool dsn_write_end(struct buf *out, const struct dsn *d)
{
	struct dsn_out o = { .buf = out };

	put_z(&o, "\r\n--");
	put(&o, d->boundary);
	put_z(&o, "--\r\n");
	return !o.is_full;
}
