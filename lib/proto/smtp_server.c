#include "proto/smtp_server_inside.h"

#include <stdlib.h>

enum { ERRORS_MAX = 20, OUTPUT_WAITS = 64 * 1024 };

static void rearm(struct smtp_server *s)
{
	uint64_t ms = s->state == SERVER_CONTENT ? s->o.data_ms : s->o.command_ms;

	s->deadline = ms == 0 || ms > UINT64_MAX - s->now ? UINT64_MAX : s->now + ms;
}

struct smtp_server *smtp_server_new(const struct smtp_server_options *o, uint64_t now)
{
	struct smtp_server *s = base_alloc(sizeof(*s));

	s->o = *o;
	s->own = arena_new();
	s->o.hostname = arena_str(s->own, o->hostname);
	s->transaction = arena_new();
	s->helo = arena_new();
	s->line = arena_new();
	if (s->o.errors_max == 0)
		s->o.errors_max = ERRORS_MAX;
	if (s->o.recipients_max == 0 || s->o.recipients_max > SMTP_RECIPIENTS_MAX)
		s->o.recipients_max = SMTP_RECIPIENTS_MAX;
	s->is_tls = o->is_tls_already;
	buf_init(&s->input, SMTP_SERVER_INPUT_MAX);
	buf_init(&s->output, SMTP_OUTPUT_MAX);
	buf_init(&s->content, CONTENT_IN_MAX(SMTP_CONTENT_PIECE_MAX));
	s->now = now;
	rearm(s);
	smtp_server_ask(s, (struct smtp_server_event){ .kind = SMTP_SERVER_GREET });
	return s;
}

void smtp_server_free(struct smtp_server *s)
{
	if (!s)
		return;
	buf_fini(&s->input);
	buf_fini(&s->output);
	buf_fini(&s->content);
	arena_free(s->own);
	arena_free(s->transaction);
	arena_free(s->helo);
	arena_free(s->line);
	free(s);
}

/* Octets. */

size_t smtp_server_room(const struct smtp_server *s)
{
	if (s->state == SERVER_TLS || s->state == SERVER_OVER || s->is_ended)
		return 0;
	return buf_room(&s->input);
}

void smtp_server_read(struct smtp_server *s, struct str in, uint64_t now)
{
	CHECK(in.n <= smtp_server_room(s));
	CHECK(buf_add(&s->input, in));
	s->now = now;
	rearm(s);
}

void smtp_server_read_end(struct smtp_server *s, uint64_t now)
{
	s->now = now;
	s->is_ended = true;
}

void smtp_server_tick(struct smtp_server *s, uint64_t now)
{
	s->now = now;
	if (now < smtp_server_deadline(s))
		return;
	smtp_server_say(s, 421, STATUS(4, 4, 2), STR("you took too long"));
	smtp_server_close(s, STR("the peer was silent for too long"));
}

uint64_t smtp_server_deadline(const struct smtp_server *s)
{
	bool waits = s->question.kind == SMTP_SERVER_NOTHING && s->state != SERVER_OVER;

	return waits ? s->deadline : UINT64_MAX;
}

struct str smtp_server_output(const struct smtp_server *s)
{
	return buf_str(&s->output);
}

void smtp_server_wrote(struct smtp_server *s, size_t n)
{
	buf_consume(&s->output, n);
}

/* Events. */

void smtp_server_ask(struct smtp_server *s, struct smtp_server_event question)
{
	s->question = question;
	s->is_told = false;
}

void smtp_server_close(struct smtp_server *s, struct str why)
{
	smtp_server_forget_transaction(s);
	s->question.kind = SMTP_SERVER_NOTHING;
	s->state = SERVER_OVER;
	s->owes_start_tls = false;
	s->owes_closed = true;
	s->why_closed = why;
}

/* One command line off the input, without its end. RFC 5321 section 2.3.8 knows CRLF only. */
static bool cut_line(struct smtp_server *s, struct str *line, bool *is_bare)
{
	struct str in = buf_str(&s->input);
	size_t at;

	if (!str_find(str_first(in, SMTP_COMMAND_LINE_MAX), '\n', &at))
		return false;
	*line = str_first(in, at);
	*is_bare = at == 0 || in.p[at - 1] != '\r';
	if (!*is_bare)
		line->n--;
	return true;
}

/* The rest of a line that is too long, up to its end. */
static bool skip_line(struct smtp_server *s)
{
	struct str in = buf_str(&s->input);
	size_t at;

	if (!str_find(in, '\n', &at)) {
		buf_consume(&s->input, in.n);
		return false;
	}
	buf_consume(&s->input, at + 1);
	s->state = SERVER_COMMANDS;
	smtp_server_say_error(s, 500, STATUS(5, 5, 2), STR("the line is too long"));
	return true;
}

static bool take_command(struct smtp_server *s)
{
	struct str line = STR_NONE;
	bool is_bare;

	if (cut_line(s, &line, &is_bare)) {
		size_t used = line.n + (is_bare ? 1 : 2);
		if (is_bare && s->o.bare_newline == SMTP_BARE_REFUSE) {
			smtp_server_say(s, 521, STATUS(5, 5, 2), STR("a line ends with CR LF"));
			smtp_server_close(s, STR("the peer sent a bare LF in a command"));
			return true;
		}
		arena_reset(s->line);
		line = arena_str(s->line, line);
		buf_consume(&s->input, used);
		smtp_server_take_line(s, line);
		return true;
	}
	if (buf_len(&s->input) >= SMTP_COMMAND_LINE_MAX)
		s->state = SERVER_SKIPS;
	return s->state == SERVER_SKIPS;
}

/* Does one thing; false when octets are missing for it. */
static bool step(struct smtp_server *s)
{
	switch (s->state) {
	case SERVER_COMMANDS:
		return take_command(s);
	case SERVER_SKIPS:
		return skip_line(s);
	case SERVER_CONTENT:
		return smtp_server_take_content(s);
	case SERVER_TLS:
	case SERVER_OVER:
		return false;
	}
	CHECK(!"server state");
	return false;
}

static struct smtp_server_event fact(enum smtp_server_event_kind kind)
{
	return (struct smtp_server_event){ .kind = kind };
}

/* What must be said before anything else. */
static bool owed(struct smtp_server *s, struct smtp_server_event *e)
{
	*e = fact(SMTP_SERVER_NOTHING);
	if (buf_len(&s->content) > 0) {
		*e = fact(SMTP_SERVER_CONTENT);
		e->content = buf_str(&s->content);
		s->content.start = s->content.end = 0;
	} else if (s->owes_drop) {
		*e = fact(SMTP_SERVER_DROP);
		s->owes_drop = false;
	} else if (s->owes_start_tls) {
		*e = fact(SMTP_SERVER_START_TLS);
		s->owes_start_tls = false;
	} else if (s->owes_closed) {
		*e = fact(SMTP_SERVER_CLOSED);
		e->argument = s->why_closed;
		s->owes_closed = false;
	} else if (s->question.kind != SMTP_SERVER_NOTHING && !s->is_told &&
		   buf_len(&s->output) < OUTPUT_WAITS) {
		s->is_told = true;
		*e = s->question;
	}
	return e->kind != SMTP_SERVER_NOTHING;
}

struct smtp_server_event smtp_server_next(struct smtp_server *s)
{
	struct smtp_server_event e;

	for (;;) {
		if (owed(s, &e) || s->question.kind != SMTP_SERVER_NOTHING ||
		    s->state == SERVER_OVER)
			return e;
		if (s->is_stopping) {
			smtp_server_say(s, 421, STATUS(4, 3, 2), STR("shutting down"));
			smtp_server_close(s, STR("we are shutting down"));
		} else if (buf_len(&s->output) >= OUTPUT_WAITS) {
			return e;
		} else if (!step(s)) {
			if (!s->is_ended)
				return e;
			smtp_server_close(s, STR("the peer closed the connection"));
		}
	}
}

/* Answers. */

static void answered(struct smtp_server *s, int code, uint64_t now)
{
	s->now = now;
	smtp_server_answered(s, code);
	rearm(s);
}

static void check_question(const struct smtp_server *s)
{
	CHECK(s->question.kind != SMTP_SERVER_NOTHING && s->is_told);
}

void smtp_server_accept(struct smtp_server *s, uint64_t now)
{
	check_question(s);
	smtp_server_answer(s, smtp_server_usual_reply(s), now);
}

void smtp_server_answer(struct smtp_server *s, struct smtp_reply r, uint64_t now)
{
	check_question(s);
	CHECK(r.code >= 200 && r.code <= 599);
	smtp_server_say(s, r.code, r.status, r.text);
	answered(s, r.code, now);
}

void smtp_server_answer_raw(struct smtp_server *s, int code, struct str octets, uint64_t now)
{
	check_question(s);
	CHECK(buf_add(&s->output, octets));
	answered(s, code, now);
}

void smtp_server_tls_up(struct smtp_server *s, uint64_t now)
{
	CHECK(s->state == SERVER_TLS);
	s->state = SERVER_COMMANDS;
	s->is_tls = true;
	s->hello = SMTP_VERB_UNKNOWN;
	s->helo_name = STR_NONE;
	s->now = now;
	rearm(s);
}

void smtp_server_stop(struct smtp_server *s, uint64_t now)
{
	s->now = now;
	s->is_stopping = s->state != SERVER_OVER;
}

bool smtp_server_is_tls(const struct smtp_server *s)
{
	return s->is_tls;
}

struct str smtp_server_helo_name(const struct smtp_server *s)
{
	return s->helo_name;
}

bool smtp_server_is_esmtp(const struct smtp_server *s)
{
	return s->hello == SMTP_VERB_EHLO || s->hello == SMTP_VERB_LHLO;
}
