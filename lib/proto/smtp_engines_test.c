/* The client engine against the server engine, wired in memory: whole messages arrive as they were
 * sent, in every split of both streams. */

#include "proto/smtp_client.h"
#include "proto/smtp_server.h"

#include "base/buf.h"
#include "base/test.h"

enum { RCPTS = 3, STEPS_MAX = 1000000 };

static const struct smtp_rcpt rcpts[RCPTS] = {
	{ .address = STR_INIT("a@x.example"), .notify = STR_INIT("NEVER") },
	{ .address = STR_INIT("refused@x.example") },
	{ .address = STR_INIT("\"c d\"@x.example"), .orcpt = STR_INIT("rfc822;c+20d@y") },
};

static const struct {
	const char *rule;
	enum smtp_dialect dialect;
	unsigned extensions;
	struct str message, arrives;
} cases[] = {
	{ "one by one", SMTP_DIALECT_SMTP, 0, STR_INIT("Subject: x\n\nhello\n"),
	  STR_INIT("Subject: x\r\n\r\nhello\r\n") },
	{ "PIPELINING and all", SMTP_DIALECT_SMTP, 0x7f & ~SMTP_EXT_EHLO,
	  STR_INIT("Subject: x\n\n.\n..\n.a\n"), STR_INIT("Subject: x\r\n\r\n.\r\n..\r\n.a\r\n") },
	{ "TLS between", SMTP_DIALECT_SMTP, SMTP_EXT_STARTTLS | SMTP_EXT_PIPELINING, STR_INIT("x"),
	  STR_INIT("x\r\n") },
	{ "an empty message", SMTP_DIALECT_SMTP, SMTP_EXT_PIPELINING, STR_INIT(""), STR_INIT("") },
	{ "nothing is smuggled", SMTP_DIALECT_SMTP, SMTP_EXT_PIPELINING,
	  STR_INIT("a\n.\r\nMAIL FROM:<x@y>\r.\r\nb\r\n.\rc"),
	  STR_INIT("a\r\n.\r\nMAIL FROM:<x@y> .\r\nb\r\n. c\r\n") },
	{ "8 bit with 8BITMIME", SMTP_DIALECT_SMTP, SMTP_EXT_8BITMIME, STR_INIT("X: y\n\n\xe4\n"),
	  STR_INIT("X: y\r\n\r\n\xe4\r\n") },
	{ "8 bit without", SMTP_DIALECT_SMTP, 0, STR_INIT("X: y\n\n\xe4\n"),
	  STR_INIT("X: y\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n"
		   "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4\r\n") },
	{ "LMTP", SMTP_DIALECT_LMTP, SMTP_EXT_PIPELINING | SMTP_EXT_ENHANCEDSTATUSCODES,
	  STR_INIT("hello\n"), STR_INIT("hello\r\n") },
	{ "LMTP one by one", SMTP_DIALECT_LMTP, 0, STR_INIT("hello\n"), STR_INIT("hello\r\n") },
};

struct wires {
	const char *rule;
	struct smtp_client *c;
	struct smtp_server *s;
	struct smtp_mail mail;
	struct str message; /* what is left to send */
	struct buf arrived;
	size_t to_server, to_client; /* octets carried at once */
	unsigned n_mails, n_messages, n_drops;
	unsigned delivered, bounced;
	bool is_closed, is_client_closed;
	struct str whole;
};

static void client_content(struct wires *w)
{
	struct str piece = str_first(w->message, 5);

	if (!smtp_client_wants_content(w->c))
		return;
	smtp_client_content(w->c, piece, 0);
	w->message = str_from(w->message, piece.n);
	if (w->message.n == 0)
		smtp_client_content_end(w->c, 0);
}

/* Two messages, so that what one leaves behind would hurt the other. */
static void client_mail_or_quit(struct wires *w)
{
	w->message = w->whole;
	buf_reset(&w->arrived);
	if (w->n_mails++ < 2)
		smtp_client_mail(w->c, &w->mail, 0);
	else
		smtp_client_quit(w->c, 0);
}

static void client_rcpt(struct wires *w, struct smtp_client_event e)
{
	bool is_refused = e.index == 1;

	ok(e.outcome.kind == (is_refused ? OUTCOME_BOUNCED : OUTCOME_DELIVERED), w->rule);
	w->delivered += !is_refused;
	w->bounced += is_refused;
}

static void client_events(struct wires *w)
{
	struct smtp_client_event e;

	while ((e = smtp_client_next(w->c)).kind != SMTP_CLIENT_NOTHING) {
		ok(e.kind != SMTP_CLIENT_FAILED, w->rule);
		if (e.kind == SMTP_CLIENT_RCPT)
			client_rcpt(w, e);
		else if (e.kind == SMTP_CLIENT_START_TLS)
			smtp_client_tls_up(w->c, 0);
		else if (e.kind == SMTP_CLIENT_CLOSED)
			w->is_client_closed = true;
		else if (e.kind != SMTP_CLIENT_CONTENT)
			client_mail_or_quit(w);
	}
	client_content(w);
}

static void server_rcpt(struct wires *w, struct smtp_server_event e)
{
	struct smtp_reply no = { .code = 550, .status = STATUS(5, 1, 1), .text = STR("no") };

	if (str_has_prefix(e.rcpt.address, STR("refused")))
		smtp_server_answer(w->s, no, 0);
	else
		smtp_server_accept(w->s, 0);
}

static void server_events(struct wires *w)
{
	struct smtp_server_event e;

	while ((e = smtp_server_next(w->s)).kind != SMTP_SERVER_NOTHING) {
		if (e.kind == SMTP_SERVER_CONTENT) {
			ok(buf_add(&w->arrived, e.content), w->rule);
		} else if (e.kind == SMTP_SERVER_RCPT) {
			server_rcpt(w, e);
		} else if (e.kind == SMTP_SERVER_DROP) {
			w->n_drops++;
		} else if (e.kind == SMTP_SERVER_START_TLS) {
			/* the 220 is carried before the client can go on */
			smtp_server_tls_up(w->s, 0);
		} else if (e.kind == SMTP_SERVER_CLOSED) {
			w->is_closed = true;
		} else {
			w->n_messages += e.kind == SMTP_SERVER_MESSAGE && e.index == 0;
			smtp_server_accept(w->s, 0);
		}
	}
}

static void carry_to_server(struct wires *w)
{
	struct str out = str_first(smtp_client_output(w->c), w->to_server);

	out = str_first(out, smtp_server_room(w->s));
	if (out.n == 0)
		return;
	struct str exact = test_exact(out);
	smtp_server_read(w->s, exact, 0);
	free((void *)(uintptr_t)exact.p);
	smtp_client_wrote(w->c, out.n, 0);
}

static void carry_to_client(struct wires *w)
{
	struct str out = str_first(smtp_server_output(w->s), w->to_client);

	if (out.n == 0)
		return;
	struct str exact = test_exact(out);
	smtp_client_read(w->c, exact, 0);
	free((void *)(uintptr_t)exact.p);
	smtp_server_wrote(w->s, out.n);
}

static void run(int i, size_t to_server, size_t to_client)
{
	struct smtp_client_options co = { .dialect = cases[i].dialect,
					  .helo_name = STR("me.example"),
					  .starttls = SMTP_STARTTLS_IF_OFFERED,
					  .line_length_limit = 998 };
	struct smtp_server_options so = { .dialect = cases[i].dialect,
					  .hostname = STR("mx.example"),
					  .extensions = cases[i].extensions,
					  .size_limit = 10000 };
	struct wires w = { .rule = cases[i].rule,
			   .c = smtp_client_new(&co, 0),
			   .s = smtp_server_new(&so, 0),
			   .to_server = to_server,
			   .to_client = to_client,
			   .whole = cases[i].message };

	for (size_t at = 0; at < w.whole.n; at++)
		w.mail.is_8bit = w.mail.is_8bit || (unsigned char)w.whole.p[at] > 127;
	w.mail.sender = STR("s@me.example");
	w.mail.size_octets = w.whole.n;
	w.mail.rcpts = rcpts;
	w.mail.n_rcpts = RCPTS;
	buf_init(&w.arrived, 10000);
	for (int step = 0; step < STEPS_MAX && !w.is_client_closed; step++) {
		unsigned before = w.n_messages;
		server_events(&w);
		if (w.n_messages > before)
			ok_str(buf_str(&w.arrived), cases[i].arrives, w.rule);
		carry_to_client(&w);
		client_events(&w);
		carry_to_server(&w);
	}
	ok(w.is_client_closed && w.is_closed, w.rule);
	ok(w.n_messages == 2 && w.n_drops == 0, w.rule);
	ok(w.delivered == 4 && w.bounced == 2, w.rule);
	buf_fini(&w.arrived);
	smtp_client_free(w.c);
	smtp_server_free(w.s);
}

TEST(every_split)
{
	for (int i = 0; i < (int)ARRAY_LEN(cases); i++)
		for (size_t a = 1; a < 60; a++) {
			run(i, a, 100000);
			run(i, 100000, a);
			run(i, a, 1 + a * 7 % 13);
		}
}

TEST_MAIN(RUN(every_split))
