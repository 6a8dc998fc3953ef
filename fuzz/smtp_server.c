/* A server session against any client. The first two octets choose options; then each octet is a
 * length of what the client says next, or, from 240 on, something that befalls the session or
 * chooses how the next question is answered. Whatever it is: replies are whole lines, questions
 * come in the order of RFC 5321, content has CRLF line ends only, and a transaction that began
 * ends in a message or in DROP before the session does. */

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "proto/smtp_server.h"

struct session {
	struct smtp_server *s;
	uint64_t now;
	uint8_t mood; /* how questions are answered */
	bool has_helo, has_mail, is_in_data, is_closed, is_tls, is_in_auth, may_auth;
	size_t n_rcpts;
	char last; /* octet of content */
};

static void check_output(struct session *f)
{
	struct str out = smtp_server_output(f->s), line;

	CHECK(out.n == 0 || str_has_suffix(out, STR("\r\n")));
	while (str_cut(out, '\n', &line, &out)) {
		CHECK(line.n >= 5 && line.p[line.n - 1] == '\r');
		CHECK(ascii_is_digit(line.p[0]) && ascii_is_digit(line.p[2]));
		CHECK(line.p[3] == ' ' || line.p[3] == '-');
	}
}

static void check_content(struct session *f, struct str content)
{
	CHECK(f->is_in_data);
	for (size_t i = 0; i < content.n; i++) {
		CHECK((content.p[i] == '\n') == (f->last == '\r'));
		f->last = content.p[i];
	}
}

/* Accepts, or refuses with one of three replies. */
static bool answer(struct session *f)
{
	static const int codes[] = { 550, 450, 421 };

	if (f->mood % 8 < 5) {
		smtp_server_accept(f->s, f->now);
		return true;
	}
	struct smtp_reply r = { .code = codes[f->mood % 8 - 5], .text = STR("a\nb") };
	r.status = STATUS((uint8_t)(r.code / 100), 1, 2);
	smtp_server_answer(f->s, r, f->now);
	return false;
}

static void take_question(struct session *f, struct smtp_server_event e)
{
	bool is_auth = e.kind == SMTP_SERVER_AUTH || e.kind == SMTP_SERVER_AUTH_RESPONSE;

	if (is_auth && f->mood & 16) {
		CHECK(f->is_in_auth == (e.kind == SMTP_SERVER_AUTH_RESPONSE));
		smtp_server_challenge(f->s, STR("a challenge"), f->now);
		f->is_in_auth = true;
		return;
	}
	bool is_accepted = answer(f);

	if (e.kind == SMTP_SERVER_HELO) {
		CHECK(e.argument.n > 0 && !f->has_mail);
		f->has_helo = f->has_helo || is_accepted;
	} else if (e.kind == SMTP_SERVER_STARTTLS) {
		CHECK(!f->is_tls);
	} else if (e.kind == SMTP_SERVER_MAIL) {
		CHECK(f->has_helo && !f->has_mail);
		f->has_mail = is_accepted;
		f->n_rcpts = 0;
	} else if (e.kind == SMTP_SERVER_RCPT) {
		CHECK(f->has_mail && e.index == f->n_rcpts);
		f->n_rcpts += is_accepted;
	} else if (e.kind == SMTP_SERVER_DATA) {
		CHECK(f->has_mail && f->n_rcpts > 0 && !f->is_in_data);
		f->is_in_data = is_accepted;
		f->last = 0;
	} else if (e.kind == SMTP_SERVER_AUTH || e.kind == SMTP_SERVER_AUTH_RESPONSE) {
		CHECK(f->has_helo && !f->has_mail && f->may_auth);
		CHECK(f->is_in_auth == (e.kind == SMTP_SERVER_AUTH_RESPONSE));
		f->is_in_auth = false;
		f->may_auth = !is_accepted;
	} else if (e.kind == SMTP_SERVER_MESSAGE) {
		CHECK(f->has_mail && e.index < f->n_rcpts && f->last != '\r');
		f->is_in_data = false;
	}
}

/* The application forgets a message with its (last) answer. */
static void after_message(struct session *f, struct smtp_server_event e, bool is_lmtp)
{
	if (e.kind == SMTP_SERVER_MESSAGE && (!is_lmtp || e.index + 1 == f->n_rcpts))
		f->has_mail = false;
}

static bool handle(struct session *f, bool is_lmtp)
{
	struct smtp_server_event e = smtp_server_next(f->s);

	if (e.kind == SMTP_SERVER_NOTHING)
		return false;
	CHECK(!f->is_closed);
	if (e.kind == SMTP_SERVER_CONTENT) {
		check_content(f, e.content);
	} else if (e.kind == SMTP_SERVER_DROP) {
		f->has_mail = f->is_in_data = false;
	} else if (e.kind == SMTP_SERVER_START_TLS) {
		CHECK(smtp_server_room(f->s) == 0);
		smtp_server_tls_up(f->s, f->now);
		f->is_tls = f->may_auth = true;
		f->has_helo = false;
	} else if (e.kind == SMTP_SERVER_AUTH_DROP) {
		CHECK(f->is_in_auth);
		f->is_in_auth = false;
	} else if (e.kind == SMTP_SERVER_CLOSED) {
		CHECK(e.argument.n > 0 && !f->has_mail && !f->is_in_auth);
		f->is_closed = true;
	} else {
		take_question(f, e);
		after_message(f, e, is_lmtp);
	}
	return true;
}

static void befall(struct session *f, uint8_t what)
{
	uint64_t deadline = smtp_server_deadline(f->s);

	if (what < 250)
		f->mood = what;
	else if (what == 255)
		smtp_server_read_end(f->s, f->now);
	else if (what == 254)
		smtp_server_stop(f->s, f->now);
	else if (deadline != UINT64_MAX)
		f->now = deadline;
	smtp_server_tick(f->s, f->now);
}

static void feed(struct session *f, struct str said)
{
	said = str_first(said, smtp_server_room(f->s));
	char *exact = malloc(said.n ? said.n : 1);

	CHECK(exact);
	if (said.n)
		memcpy(exact, said.p, said.n);
	smtp_server_read(f->s, str_span(exact, said.n), f->now);
	free(exact);
}

static void play(struct session *f, struct str script, bool is_lmtp)
{
	while (script.n > 0) {
		uint8_t n = (uint8_t)script.p[0];
		script = str_from(script, 1);
		if (n < 240) {
			feed(f, str_first(script, n));
			script = str_from(script, n);
		} else {
			befall(f, n);
		}
		while (handle(f, is_lmtp))
			;
		check_output(f);
		CHECK(f->has_helo || !f->is_in_auth);
		if (n % 4)
			smtp_server_wrote(f->s, smtp_server_output(f->s).n);
	}
	smtp_server_wrote(f->s, smtp_server_output(f->s).n);
	smtp_server_read_end(f->s, f->now);
	while (handle(f, is_lmtp))
		smtp_server_wrote(f->s, smtp_server_output(f->s).n);
	CHECK(f->is_closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	bool is_lmtp = data[0] & 1;
	struct smtp_server_options o = {
		.dialect = is_lmtp ? SMTP_DIALECT_LMTP : SMTP_DIALECT_SMTP,
		.hostname = STR("mx.example"),
		.extensions = data[0] & 2 ? 0xfff : 0,
		.is_tls_already = data[0] & 4,
		.bare_newline = data[0] & 8 ? SMTP_BARE_NORMALISE : SMTP_BARE_REFUSE,
		.size_limit = data[0] & 16 ? 50 : 0,
		.recipients_max = data[0] & 32 ? 2 : 0,
		.errors_max = data[0] & 64 ? 3 : 0,
		.counts_refusals = data[0] & 128,
		.takes_bare_names = data[1] & 32,
		.is_helo_optional = false,
		.needs_tls = data[1] & 64,
		.forbids_early = data[1] & 128,
		.errors_soft_max = data[1] & 4 ? 2 : 0,
		.error_delay_ms = 10,
		.junk_max = data[1] & 2 ? 4 : 0,
		.mechanisms = STR("PLAIN LOGIN"),
		.mechanisms_in_clear = data[1] & 8 ? STR("LOGIN") : STR_NONE,
		.command_ms = 100,
		.data_ms = 200,
		.data_rate_min = data[1] & 1 ? 1 : 0,
		.session_ms = 5000,
	};
	struct session f = {
		.s = smtp_server_new(&o, 1), .now = 1, .is_tls = o.is_tls_already, .may_auth = true
	};
	f.mood = data[1];
	play(&f, str_span((const char *)data + 2, size - 2), is_lmtp);
	smtp_server_free(f.s);
	return 0;
}
