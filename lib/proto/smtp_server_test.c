/* The server engine against scripts. A line of a script is
 *
 *	C text     the client sends it, with CRLF; "C_ text" without
 *	S text     the engine has written exactly this line
 *	Q event    smtp_server_next gives it, and it is accepted; its words are looked for in order
 *	E event    smtp_server_next gives it, no more
 *	E* CONTENT some content may come before the next event
 *	! action   accept, tls_up, eof, tick (to the deadline), stop, answer 550 5.1.1 TEXT, raw
 *
 * Every script runs twice: lines that follow each other in one piece, and octet by octet, with
 * the events pulled after each. */

#include "proto/smtp_server.h"

#include "base/test.h"

#define ALL_EXTENSIONS                                                                             \
	(SMTP_EXT_PIPELINING | SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |             \
	 SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN | SMTP_EXT_STARTTLS | SMTP_EXT_REQUIRETLS)

static const struct smtp_server_options plain = { .hostname = STR_INIT("mx"), .command_ms = 5 };
static const struct smtp_server_options full = {
	.hostname = STR_INIT("mx"), .extensions = ALL_EXTENSIONS, .size_limit = 20, .data_ms = 7
};
static const struct smtp_server_options lmtp = { .dialect = SMTP_DIALECT_LMTP,
						 .hostname = STR_INIT("mx") };
static const struct smtp_server_options normalises = { .hostname = STR_INIT("mx"),
						       .bare_newline = SMTP_BARE_NORMALISE };
static const struct smtp_server_options few = { .hostname = STR_INIT("mx"),
						.recipients_max = 1,
						.errors_max = 2 };

#define HELLO "Q GREET\nS 220 mx ESMTP\nC EHLO c\nQ HELO c\nS 250 mx\n"
#define HELLO_FULL                                                                                 \
	"Q GREET\nS 220 mx ESMTP\nC EHLO c\nQ HELO c\nS 250-mx\nS 250-PIPELINING\nS 250-SIZE 20\n" \
	"S 250-8BITMIME\nS 250-SMTPUTF8\nS 250-ENHANCEDSTATUSCODES\nS 250-DSN\nS 250 STARTTLS\n"
#define TO_DATA                                                                                    \
	"C MAIL FROM:<a@b>\nQ MAIL a@b\nS 250 sender ok\nC RCPT TO:<c@d>\nQ RCPT 0 c@d\n"          \
	"S 250 recipient ok\nC DATA\nQ DATA\nS 354 end data with <CRLF>.<CRLF>\n"

static const struct {
	const char *rule;
	const struct smtp_server_options *options;
	const char *script;
} cases[] = {
	{ "a message", &plain,
	  HELLO TO_DATA "C Subject: x\nC \nC ..dot\nC .\nE CONTENT Subject: x  .dot\nQ MESSAGE 0\n"
			"S 250 ok\nC QUIT\nQ QUIT\nS 221 bye\nE CLOSED QUIT\n" },
	{ "an empty message", &plain, HELLO TO_DATA "C .\nQ MESSAGE\nS 250 ok\n" },
	{ "HELO gives no extensions", &full,
	  "Q GREET\nS 220 mx ESMTP\nC HELO c\nQ HELO c\nS 250 mx\nC MAIL FROM:<> SIZE=1\n"
	  "S 555 5.5.4 unknown parameter\n" },
	{ "EHLO and parameters", &full,
	  HELLO_FULL
	  "C MAIL FROM:<a@b> SIZE=5 BODY=8BITMIME RET=FULL ENVID=x\n"
	  "Q MAIL a@b size=5 body=2 ret=FULL envid=x\nS 250 2.1.0 sender ok\n"
	  "C RCPT TO:<@r.example:c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;x+2By\n"
	  "Q RCPT 0 c@d notify=SUCCESS,DELAY orcpt=rfc822;x+2By\nS 250 2.1.5 recipient ok\n" },
	{ "commands ahead wait for their answers", &full,
	  HELLO_FULL
	  "C MAIL FROM:<>\nC RCPT TO:<x@y>\nC RCPT TO:<z@y>\nC DATA\nQ MAIL\nE RCPT 0 x@y\n"
	  "! answer 550 5.1.1 no\nQ RCPT 0 z@y\nQ DATA\nS 250 2.1.0 sender ok\n"
	  "S 550 5.1.1 no\nS 250 2.1.5 recipient ok\n"
	  "S 354 end data with <CRLF>.<CRLF>\n" },
	{ "the application refuses", &plain,
	  HELLO
	  "C MAIL FROM:<>\nE MAIL\n! answer 451 4.3.0 not now\nS 451 not now\nC RCPT TO:<x@y>\n"
	  "S 503 MAIL comes first\n" },
	{ "DATA without recipients", &plain,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC DATA\nS 554 no valid recipients\n" },
	{ "DATA refused, transaction stays", &plain,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC RCPT TO:<x@y>\nQ RCPT\n"
		"S 250 recipient ok\nC DATA\nE DATA\n! answer 451 4.3.0 no\nS 451 no\nC DATA\n"
		"Q DATA\nS 354 end data with <CRLF>.<CRLF>\n" },
	{ "message refused by the application", &plain,
	  HELLO TO_DATA "C .\nE MESSAGE\n! answer 554 5.7.1 spam\nS 554 spam\nC RCPT TO:<x@y>\n"
			"S 503 MAIL comes first\n" },
	{ "sequence", &plain,
	  "Q GREET\nS 220 mx ESMTP\nC MAIL FROM:<>\nS 503 say who you are first\nC RCPT TO:<x@y>\n"
	  "S 503 MAIL comes first\nC EHLO\nS 501 say who you are\nC EHLO c\nQ HELO\nS 250 mx\n"
	  "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC MAIL FROM:<>\nS 503 one MAIL at a time\n"
	  "C RSET\nE DROP\nQ RSET\nS 250 ok\nC MAIL FROM:<>\nQ MAIL\nS 250 sender ok\n" },
	{ "a new EHLO drops the transaction", &plain,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC EHLO c\nE DROP\nQ HELO\nS 250 mx\n" },
	{ "the small commands", &plain,
	  HELLO
	  "C NOOP x\nQ NOOP x\nS 250 ok\nC VRFY x\nQ VRFY x\nS 252 send mail and see\nC VRFY\n"
	  "S 501 whom?\nC HELP\nQ HELP\nS 214 RFC 5321\nC EXPN x\nS 502 not here\nC WHAT\n"
	  "S 500 unknown command\nC \nS 500 unknown command\nC RSET x\n"
	  "S 501 no parameter here\nC LHLO x\nS 500 not in this protocol\n" },
	{ "a greeting of 554 serves nobody", &plain,
	  "E GREET\n! answer 554 5.3.2 go away\nS 554 go away\nC EHLO c\nS 503 no service for you\n"
	  "C QUIT\nQ QUIT\nS 221 bye\nE CLOSED\n" },
	{ "421 ends the session", &plain,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC NOOP\nE NOOP\n! answer 421 4.3.2 bye\n"
		"S 421 bye\nE DROP\nE CLOSED\n" },
	{ "raw octets instead of a reply", &plain, HELLO "C NOOP\nE NOOP\n! raw hello\nS hello\n" },

	{ "too big by SIZE=", &full,
	  HELLO_FULL "C MAIL FROM:<> SIZE=21\nS 552 5.3.4 the message is too big\n" },
	{ "too big by its octets", &full,
	  HELLO_FULL "C MAIL FROM:<>\nQ MAIL\nS 250 2.1.0 sender ok\nC RCPT TO:<x@y>\nQ RCPT\n"
		     "S 250 2.1.5 recipient ok\nC DATA\nQ DATA\nS 354 end data with <CRLF>.<CRLF>\n"
		     "C 012345678901234567890\nC .\nE* CONTENT\nE DROP\n"
		     "S 552 5.3.4 the message is too big\n" },
	{ "too many recipients", &few,
	  HELLO "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC RCPT TO:<x@y>\nQ RCPT\n"
		"S 250 recipient ok\nC RCPT TO:<z@y>\nS 452 too many recipients\n" },
	{ "too many errors", &few,
	  HELLO "C X\nS 500 unknown command\nC Y\nS 500 unknown command\nS 421 too many errors\n"
		"E CLOSED errors\n" },

	{ "bare LF in a command", &plain,
	  HELLO "C_ NOOP\n! lf\nS 521 a line ends with CR LF\nE CLOSED bare LF\n" },
	{ "bare LF in a command, normalised", &normalises,
	  HELLO "C_ NOOP\n! lf\nQ NOOP\nS 250 ok\n" },
	{ "bare LF in a message", &plain,
	  HELLO TO_DATA
	  "C_ a\n! lf\nC_ .\n! lf\nC MAIL FROM:<smuggled@x>\nC .\nE* CONTENT\nE DROP\n"
	  "S 550 the message has a CR or LF that stands alone\n" },
	{ "bare LF in a message, normalised", &normalises,
	  HELLO TO_DATA
	  "C_ a\n! lf\nC_ .\n! lf\nC b\nC .\nE CONTENT a . b\nQ MESSAGE\nS 250 ok\n" },
	{ "NUL and controls in a command", &plain,
	  HELLO "C NOOP \x01\nS 500 control octets in a command\n" },

	{ "STARTTLS, then all anew", &full,
	  HELLO_FULL "C MAIL FROM:<>\nQ MAIL\nS 250 2.1.0 sender ok\nC STARTTLS\nQ STARTTLS\n"
		     "S 220 2.0.0 go ahead\nE DROP\nE START_TLS\n! tls_up\nC MAIL FROM:<>\n"
		     "S 503 5.5.1 say who you are first\nC EHLO c\nQ HELO\nS 250-mx\n"
		     "S 250-PIPELINING\nS 250-SIZE 20\nS 250-8BITMIME\nS 250-SMTPUTF8\n"
		     "S 250-ENHANCEDSTATUSCODES\nS 250-DSN\nS 250 REQUIRETLS\nC STARTTLS\n"
		     "S 503 5.5.1 TLS is up already\nC MAIL FROM:<> REQUIRETLS\nQ MAIL requiretls\n"
		     "S 250 2.1.0 sender ok\n" },
	{ "REQUIRETLS only inside TLS", &full,
	  HELLO_FULL "C MAIL FROM:<> REQUIRETLS\nS 555 5.5.4 unknown parameter\n" },
	{ "STARTTLS refused by the application", &full,
	  HELLO_FULL
	  "C STARTTLS\nE STARTTLS\n! answer 454 4.7.0 no\nS 454 4.7.0 no\nC NOOP\nQ NOOP\n"
	  "S 250 2.0.0 ok\n" },
	{ "STARTTLS not offered", &plain, HELLO "C STARTTLS\nS 502 no TLS here\n" },

	{ "LMTP answers for each recipient", &lmtp,
	  "Q GREET\nS 220 mx LMTP\nC EHLO c\nS 500 not in this protocol\nC LHLO c\nQ HELO\nS 250 "
	  "mx\n"
	  "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\nC DATA\nS 503 no valid recipients\n"
	  "C RCPT TO:<a@b>\nQ RCPT 0\nS 250 recipient ok\nC RCPT TO:<c@d>\nE RCPT 1\n"
	  "! answer 550 5.1.1 no\nS 550 no\nC RCPT TO:<e@f>\nQ RCPT 1 e@f\nS 250 recipient ok\n"
	  "C DATA\nQ DATA\nS 354 end data with <CRLF>.<CRLF>\nC .\nQ MESSAGE 0\nE MESSAGE 1\n"
	  "! answer 452 4.2.2 full\nS 250 ok\nS 452 full\n" },

	{ "time-out", &plain, HELLO "! tick\nS 421 you took too long\nE CLOSED silent\n" },
	{ "no time-out while a question is open", &plain,
	  HELLO "C NOOP\nE NOOP\n! tick\n! accept\nS 250 ok\n" },
	{ "time-out in a message", &full,
	  HELLO_FULL "C MAIL FROM:<>\nQ MAIL\nS 250 2.1.0 sender ok\nC RCPT TO:<x@y>\nQ RCPT\n"
		     "S 250 2.1.5 recipient ok\nC DATA\nQ DATA\nS 354 end data with <CRLF>.<CRLF>\n"
		     "! tick\nS 421 4.4.2 you took too long\nE DROP\nE CLOSED\n" },
	{ "the peer goes", &plain,
	  HELLO
	  "C MAIL FROM:<>\nQ MAIL\nS 250 sender ok\n! eof\nE DROP\nE CLOSED the peer closed\n" },
	{ "the peer goes after its last command", &plain,
	  HELLO "C NOOP\n! eof\nQ NOOP\nE CLOSED the peer closed\nS 250 ok\n" },
	{ "shutdown", &plain, HELLO "! stop\nE CLOSED shutting down\nS 421 shutting down\n" },
};

enum { PENDING_MAX = 8 };

struct run {
	struct smtp_server *s;
	const char *rule;
	bool by_octet;
	char fed[4096];
	size_t n_fed;
	struct arena *a;
	struct str pending[PENDING_MAX]; /* events that were pulled and not asked for */
	size_t n_pending;
};

static const char *const kinds[] = { "NOTHING", "GREET",   "HELO", "STARTTLS",  "MAIL",  "RCPT",
				     "DATA",    "MESSAGE", "RSET", "NOOP",      "VRFY",  "HELP",
				     "QUIT",    "CONTENT", "DROP", "START_TLS", "CLOSED" };

static struct str render(struct arena *a, struct smtp_server_event e)
{
	if (e.kind == SMTP_SERVER_MAIL)
		return arena_fmt(a,
				 "MAIL " STR_FMT " size=%llu body=%d%s%s ret=" STR_FMT
				 " envid=" STR_FMT,
				 STR_ARG(e.mail.sender), (unsigned long long)e.mail.size_octets,
				 (int)e.mail.body, e.mail.is_smtputf8 ? " smtputf8" : "",
				 e.mail.is_requiretls ? " requiretls" : "", STR_ARG(e.mail.ret),
				 STR_ARG(e.mail.envid));
	if (e.kind == SMTP_SERVER_RCPT)
		return arena_fmt(a, "RCPT %zu " STR_FMT " notify=" STR_FMT " orcpt=" STR_FMT,
				 e.index, STR_ARG(e.rcpt.address), STR_ARG(e.rcpt.notify),
				 STR_ARG(e.rcpt.orcpt));
	return arena_fmt(a, "%s %zu " STR_FMT STR_FMT, kinds[e.kind], e.index, STR_ARG(e.argument),
			 STR_ARG(e.content));
}

/* Pieces of content become one. */
static void keep(struct run *r, struct smtp_server_event e)
{
	struct str *last = r->n_pending ? &r->pending[r->n_pending - 1] : NULL;

	if (e.kind == SMTP_SERVER_CONTENT && last && str_has_prefix(*last, STR("CONTENT"))) {
		*last = arena_fmt(r->a, STR_FMT STR_FMT, STR_ARG(*last), STR_ARG(e.content));
		return;
	}
	ok(r->n_pending < PENDING_MAX, r->rule);
	r->pending[r->n_pending++] = render(r->a, e);
}

static void pull(struct run *r)
{
	struct smtp_server_event e;

	while ((e = smtp_server_next(r->s)).kind != SMTP_SERVER_NOTHING)
		keep(r, e);
}

static void flush(struct run *r)
{
	size_t step = r->by_octet ? 1 : r->n_fed;

	for (size_t at = 0; at < r->n_fed; at += step) {
		struct str piece = test_exact(str_span(r->fed + at, step));
		smtp_server_read(r->s, piece, 100);
		free((void *)(uintptr_t)piece.p);
		pull(r);
	}
	r->n_fed = 0;
}

static void client_says(struct run *r, struct str octets)
{
	memcpy(r->fed + r->n_fed, octets.p, octets.n);
	r->n_fed += octets.n;
}

static void want_words(struct run *r, struct str got, struct str want)
{
	struct str rest = got, words = want, word;
	size_t at;

	while (str_token(&words, STR(" "), &word)) {
		if (!str_search(rest, word, &at))
			fail_msg("%s: got \"" STR_FMT "\", want \"" STR_FMT "\"", r->rule,
				 STR_ARG(got), STR_ARG(want));
		rest = str_from(rest, at + word.n);
	}
}

static struct str take_event(struct run *r)
{
	pull(r);
	if (r->n_pending == 0)
		return STR("NOTHING");
	struct str e = r->pending[0];
	memmove(r->pending, r->pending + 1, --r->n_pending * sizeof(r->pending[0]));
	return e;
}

static void want_event(struct run *r, struct str want)
{
	want_words(r, take_event(r), want);
}

static void answer(struct run *r, struct str what)
{
	uint64_t code = 0;
	struct smtp_reply reply = { 0 };

	ok(str_to_u64(str_first(what, 3), &code), r->rule);
	reply.code = (int)code;
	ok(status_parse(str_from(what, 4), reply.code, &reply.status, &reply.text), r->rule);
	smtp_server_answer(r->s, reply, 100);
}

static void act(struct run *r, struct str what)
{
	if (str_eq(what, STR("accept")))
		smtp_server_accept(r->s, 100);
	else if (str_eq(what, STR("tls_up")))
		smtp_server_tls_up(r->s, 100);
	else if (str_eq(what, STR("eof")))
		smtp_server_read_end(r->s, 100);
	else if (str_eq(what, STR("stop")))
		smtp_server_stop(r->s, 100);
	else if (str_has_prefix(what, STR("answer ")))
		answer(r, str_from(what, 7));
	else if (str_has_prefix(what, STR("raw ")))
		smtp_server_answer_raw(r->s, 250, STR("hello\r\n"), 100);
	else if (str_eq(what, STR("tick")) && smtp_server_deadline(r->s) != UINT64_MAX) {
		smtp_server_tick(r->s, smtp_server_deadline(r->s) - 1);
		smtp_server_tick(r->s, smtp_server_deadline(r->s));
	}
}

static void want_written(struct run *r, struct str line)
{
	size_t at = 0;

	ok(str_search(smtp_server_output(r->s), STR("\r\n"), &at), r->rule);
	ok_str(str_first(smtp_server_output(r->s), at), line, r->rule);
	smtp_server_wrote(r->s, at + 2);
}

/* Before a limit was passed, or a bare newline seen. */
static void skip_content(struct run *r)
{
	pull(r);
	if (r->n_pending > 0 && str_has_prefix(r->pending[0], STR("CONTENT")))
		(void)take_event(r);
}

static bool is_client_line(struct run *r, struct str line)
{
	if (str_eq(line, STR("! lf")))
		client_says(r, STR("\n"));
	else if (str_has_prefix(line, STR("C_ ")))
		client_says(r, str_from(line, 3));
	else if (line.p[0] == 'C') {
		client_says(r, str_from(line, 2));
		client_says(r, STR("\r\n"));
	} else
		return false;
	return true;
}

static void play_line(struct run *r, struct str line)
{
	if (is_client_line(r, line))
		return;
	flush(r);
	if (str_has_prefix(line, STR("E* "))) {
		skip_content(r);
	} else if (line.p[0] == 'S') {
		pull(r);
		want_written(r, str_from(line, 2));
	} else if (line.p[0] == '!') {
		act(r, str_from(line, 2));
	} else {
		want_event(r, str_from(line, 2));
		if (line.p[0] == 'Q')
			smtp_server_accept(r->s, 100);
	}
}

static void play(struct run *r, const char *script)
{
	struct str rest = str_of(script), line;

	while (str_cut(rest, '\n', &line, &rest))
		play_line(r, line);
	flush(r);
	want_event(r, STR("NOTHING"));
	ok_str(smtp_server_output(r->s), STR_NONE, r->rule);
}

TEST(scripts)
{
	FOR_EACH(c, cases)
		for (int split = 0; split < 2; split++) {
			struct run r = { .s = smtp_server_new(c->options, 100),
					 .rule = c->rule,
					 .by_octet = split == 1,
					 .a = arena_new() };
			play(&r, c->script);
			smtp_server_free(r.s);
			arena_free(r.a);
		}
}

/* Octets behind STARTTLS that came with it are never believed; those that come after the 220
 * belong to TLS, and the engine does not take them. */
TEST(starttls_injection)
{
	struct smtp_server *s = smtp_server_new(&full, 0);
	struct smtp_server_event e = smtp_server_next(s);

	smtp_server_accept(s, 0);
	smtp_server_read(s, STR("STARTTLS\r\nMAIL FROM:<>\r\n"), 0);
	e = smtp_server_next(s);
	ok(e.kind == SMTP_SERVER_CLOSED, "closed");
	ok_str(e.argument, STR("the peer sent octets behind STARTTLS in the clear"), "why");
	smtp_server_free(s);

	s = smtp_server_new(&full, 0);
	e = smtp_server_next(s);
	smtp_server_accept(s, 0);
	smtp_server_read(s, STR("STARTTLS\r\n"), 0);
	e = smtp_server_next(s);
	ok(e.kind == SMTP_SERVER_STARTTLS, "asked");
	smtp_server_read(s, STR("x"), 0);
	smtp_server_accept(s, 0);
	e = smtp_server_next(s);
	ok(e.kind == SMTP_SERVER_CLOSED, "closed before the 220");
	smtp_server_free(s);

	s = smtp_server_new(&full, 0);
	e = smtp_server_next(s);
	smtp_server_accept(s, 0);
	smtp_server_read(s, STR("STARTTLS\r\n"), 0);
	e = smtp_server_next(s);
	smtp_server_accept(s, 0);
	ok(smtp_server_next(s).kind == SMTP_SERVER_START_TLS, "handed over");
	ok(smtp_server_room(s) == 0, "takes nothing more");
	smtp_server_free(s);
}

TEST(long_lines)
{
	struct smtp_server *s = smtp_server_new(&plain, 0);
	char *line = malloc(SMTP_SERVER_INPUT_MAX);

	memset(line, 'x', SMTP_SERVER_INPUT_MAX);
	(void)smtp_server_next(s);
	smtp_server_accept(s, 0);
	for (int i = 0; i < 3; i++) {
		ok(smtp_server_room(s) == SMTP_SERVER_INPUT_MAX, "thrown away");
		smtp_server_read(s, str_span(line, SMTP_SERVER_INPUT_MAX), 0);
		ok(smtp_server_next(s).kind == SMTP_SERVER_NOTHING, "no event");
	}
	smtp_server_wrote(s, smtp_server_output(s).n);
	smtp_server_read(s, STR("x\r\nNOOP\r\n"), 0);
	ok(smtp_server_next(s).kind == SMTP_SERVER_NOOP, "the next line is a command again");
	ok_str(smtp_server_output(s), STR("500 the line is too long\r\n"), "one reply");
	smtp_server_free(s);
	free(line);
}

TEST(slow_reader_is_slowed_down)
{
	struct smtp_server *s = smtp_server_new(&plain, 0);
	size_t n = 0;

	(void)smtp_server_next(s);
	smtp_server_accept(s, 0);
	for (int i = 0; i < 1000000 && smtp_server_room(s) >= 6; i++) {
		smtp_server_read(s, STR("NOOP\r\n"), 0);
		while (smtp_server_next(s).kind == SMTP_SERVER_NOOP) {
			smtp_server_accept(s, 0);
			n++;
		}
	}
	ok(smtp_server_room(s) < 6, "no more octets are taken");
	ok(smtp_server_output(s).n < 80 * 1024, "nor replies made");
	smtp_server_wrote(s, smtp_server_output(s).n);
	ok(smtp_server_next(s).kind == SMTP_SERVER_NOOP, "until some were written");
	smtp_server_free(s);
}

TEST_MAIN(RUN(scripts), RUN(starttls_injection), RUN(long_lines), RUN(slow_reader_is_slowed_down))
