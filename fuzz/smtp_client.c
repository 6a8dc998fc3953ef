/* A client session against any server. The first three octets choose options and messages; then
 * each octet is a length of what the server says next, or, from 250 on, something that befalls the
 * session. Whatever it is: each recipient of each message gets one outcome, before DONE or FAILED;
 * no command is split or joined; the session ends. */

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "proto/smtp_client.h"

enum { RCPTS = 3 };

struct session {
	struct smtp_client *c;
	struct smtp_mail mail;
	struct str initial; /* response of AUTH */
	size_t n_outcomes[RCPTS];
	unsigned n_mails;
	bool is_in_mail, is_over, is_tls, wants_auth, cancels;
	unsigned n_challenges;
	uint64_t now;
};

static const struct smtp_rcpt rcpts[RCPTS] = {
	{ .address = STR_INIT("a@x.example"), .notify = STR_INIT("NEVER") },
	{ .address = STR_INIT("b@x.example"), .orcpt = STR_INIT("rfc822;b@y") },
	{ .address = STR_INIT("c@x.example") },
};

static void start_mail(struct session *s)
{
	s->is_in_mail = true;
	s->n_mails++;
	memset(s->n_outcomes, 0, sizeof(s->n_outcomes));
	smtp_client_mail(s->c, &s->mail, s->now);
}

static void check_all_told(struct session *s)
{
	for (size_t i = 0; s->is_in_mail && i < s->mail.n_rcpts; i++)
		CHECK(s->n_outcomes[i] == 1);
	s->is_in_mail = false;
}

static void check_outcome(const struct smtp_client_event *e)
{
	CHECK(e->outcome.reason.n > 0 && !str_contains(e->outcome.reason, '\n'));
	CHECK(e->outcome.status.class == 2 || e->outcome.status.class == 4 ||
	      e->outcome.status.class == 5);
	if (e->is_fate_unknown)
		CHECK(e->outcome.kind == OUTCOME_DEFERRED);
}

static void send_content(struct session *s)
{
	if (smtp_client_wants_content(s->c))
		smtp_client_content(s->c, STR("Subject: x\r\n\r\n.\r\n\xc3\xa4\n"), s->now);
	if (smtp_client_wants_content(s->c))
		smtp_client_content_end(s->c, s->now);
}

static void next_mail_or_quit(struct session *s)
{
	if (s->n_mails < 3)
		start_mail(s);
	else
		smtp_client_quit(s->c, s->now);
}

static bool handle(struct session *s)
{
	struct smtp_client_event e = smtp_client_next(s->c);

	switch (e.kind) {
	case SMTP_CLIENT_NOTHING:
		return false;
	case SMTP_CLIENT_START_TLS:
		CHECK(smtp_client_output(s->c).n == 0 || !s->is_over);
		smtp_client_tls_up(s->c, s->now);
		s->is_tls = true;
		return true;
	case SMTP_CLIENT_READY:
		if (s->wants_auth)
			smtp_client_auth(s->c, STR("PLAIN"), s->initial, s->now);
		else
			next_mail_or_quit(s);
		return true;
	case SMTP_CLIENT_CHALLENGE:
		CHECK(++s->n_challenges <= SMTP_AUTH_ROUNDS_MAX);
		if (s->cancels && s->n_challenges > 1)
			smtp_client_auth_cancel(s->c, STR("no more"), s->now);
		else
			smtp_client_auth_response(s->c, e.octets, s->now);
		return true;
	case SMTP_CLIENT_AUTH:
		CHECK((smtp_client_auth_mechanism(s->c).n > 0) ==
		      (e.outcome.kind == OUTCOME_DELIVERED));
		CHECK(!s->is_in_mail);
		check_outcome(&e);
		next_mail_or_quit(s);
		return true;
	case SMTP_CLIENT_CONTENT:
		send_content(s);
		return true;
	case SMTP_CLIENT_RCPT:
		CHECK(s->is_in_mail && e.index < s->mail.n_rcpts);
		s->n_outcomes[e.index]++;
		check_outcome(&e);
		return true;
	case SMTP_CLIENT_DONE:
		check_all_told(s);
		next_mail_or_quit(s);
		return true;
	case SMTP_CLIENT_FAILED:
		CHECK(e.outcome.kind != OUTCOME_DELIVERED);
		check_outcome(&e);
		check_all_told(s);
		s->is_over = true;
		return true;
	case SMTP_CLIENT_CLOSED:
		check_all_told(s);
		s->is_over = true;
		return true;
	}
	return false;
}

static void write_some(struct session *s, size_t n)
{
	struct str out = smtp_client_output(s->c);
	size_t at;

	CHECK(s->is_tls || !str_search(out, STR(" REQUIRETLS\r\n"), &at)); /* RFC 8689 section 2 */
	for (size_t i = 0; i < out.n; i++) {
		CHECK(out.p[i] != '\n' || i == 0 || out.p[i - 1] == '\r');
		CHECK(out.p[i] != '\r' || i + 1 == out.n || out.p[i + 1] == '\n');
	}
	smtp_client_wrote(s->c, n < out.n ? n : out.n, s->now);
}

static void befall(struct session *s, uint8_t what)
{
	uint64_t deadline = smtp_client_deadline(s->c);

	if (what == 255)
		smtp_client_read_end(s->c, s->now);
	else if (what == 254)
		smtp_client_lost(s->c, STR("reset\nby peer"), s->now);
	else if (what == 253 && deadline != UINT64_MAX)
		s->now = deadline;
	else
		s->now += what;
	smtp_client_tick(s->c, s->now);
}

static void play(struct session *s, struct str script)
{
	while (script.n > 0) {
		uint8_t n = (uint8_t)script.p[0];
		script = str_from(script, 1);
		if (n < 250) {
			struct str said = str_first(script, n);
			char *exact = malloc(said.n ? said.n : 1);
			CHECK(exact);
			if (said.n)
				memcpy(exact, said.p, said.n);
			smtp_client_read(s->c, str_span(exact, said.n), s->now);
			free(exact);
			script = str_from(script, said.n);
		} else {
			befall(s, n);
		}
		while (handle(s))
			;
		write_some(s, n % 3 ? SIZE_MAX : n);
	}
	write_some(s, SIZE_MAX);
	smtp_client_read_end(s->c, s->now);
	while (handle(s))
		;
	CHECK(s->is_over);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3)
		return 0;
	struct smtp_client_options o = {
		.dialect = data[0] & 1 ? SMTP_DIALECT_LMTP : SMTP_DIALECT_SMTP,
		.helo_name = STR("me.example"),
		.starttls = data[0] & 2 ? SMTP_STARTTLS_IF_OFFERED : SMTP_STARTTLS_NEVER,
		.is_tls_already = data[0] & 4,
		.helo_only = data[0] & 8,
		.ehlo_only_if_esmtp = data[0] & 16,
		.greeting_5xx_defers = data[0] & 32,
		.quits_without_waiting = data[0] & 64,
		.no_downgrade = data[0] & 128,
		.line_length_limit = data[1] & 128 ? 998 : 0,
		.timeouts = { 10, 10, 10, 10, 10, 10, 10, 10, 10, 10 },
	};
	struct session s = { .c = smtp_client_new(&o, 1), .now = 1, .is_tls = o.is_tls_already };
	static const char long_initial[500];
	s.wants_auth = data[2] & 16;
	s.cancels = data[2] & 32;
	if (data[2] & 64)
		s.initial =
			data[2] & 128 ? str_span(long_initial, sizeof(long_initial)) : STR("me");
	s.mail = (struct smtp_mail){
		.sender = STR("s@me.example"),
		.size_octets = data[1] & 1 ? 1000 : 0,
		.is_8bit = data[1] & 2,
		.is_smtputf8 = data[1] & 4,
		.has_8bit_header = data[1] & 8,
		.is_requiretls = data[1] & 32,
		.has_dummy_auth = data[1] & 64,
		.ret = data[1] & 16 ? STR("FULL") : STR_NONE,
		.rcpts = rcpts,
		.n_rcpts = 1 + (data[2] & 15) % RCPTS,
	};
	play(&s, str_span((const char *)data + 3, size - 3));
	smtp_client_free(s.c);
	return 0;
}
