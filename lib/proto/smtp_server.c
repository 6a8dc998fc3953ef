#include "proto/smtp_server_inside.h"

#include <stdlib.h>
#include <string.h>

enum { ERRORS_MAX = 20, OUTPUT_WAITS = 64 * 1024 };

static uint64_t later(uint64_t now, uint64_t ms)
{
	return ms == 0 || ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
}

static bool is_in_content(const struct smtp_server *s)
{
	return s->state == SERVER_CONTENT || s->state == SERVER_CHUNK;
}

void smtp_server_rearm(struct smtp_server *s)
{
	s->deadline = later(s->now, is_in_content(s) ? s->o.data_ms : s->o.command_ms);
}

/* Octets of a message buy time; those of a command only when it is whole. */
static void rearm_content(struct smtp_server *s, size_t n)
{
	uint64_t whole = later(s->now, s->o.data_ms), bought = whole;

	if (s->o.data_rate_min > 0 && s->deadline != UINT64_MAX)
		bought = s->deadline + n * 1000 / s->o.data_rate_min;
	s->deadline = bought < whole ? bought : whole;
}

struct arena *smtp_server_line_arena(struct smtp_server *s)
{
	if (!s->line)
		s->line = arena_new();
	return s->line;
}

static struct str keep(char **at, struct str text)
{
	struct str kept = { *at, text.n };

	if (text.n)
		memcpy(*at, text.p, text.n);
	*at += text.n;
	return kept;
}

static void own_texts(struct smtp_server *s)
{
	char *at = base_realloc(NULL, s->o.hostname.n + s->o.mechanisms.n +
					      s->o.mechanisms_in_clear.n + s->o.forbidden.n + 1);

	s->own = at;
	s->o.hostname = keep(&at, s->o.hostname);
	s->o.mechanisms = keep(&at, s->o.mechanisms);
	s->o.mechanisms_in_clear = keep(&at, s->o.mechanisms_in_clear);
	s->o.forbidden = keep(&at, s->o.forbidden);
}

struct smtp_server *smtp_server_new(const struct smtp_server_options *o, uint64_t now)
{
	struct smtp_server *s = base_alloc(sizeof(*s));

	s->o = *o;
	own_texts(s);
	if (s->o.errors_max == 0)
		s->o.errors_max = ERRORS_MAX;
	if (s->o.recipients_max == 0 || s->o.recipients_max > SMTP_RECIPIENTS_MAX)
		s->o.recipients_max = SMTP_RECIPIENTS_MAX;
	s->is_tls = o->is_tls_already;
	buf_init(&s->input, SMTP_SERVER_INPUT_MAX);
	buf_init(&s->output, SMTP_OUTPUT_MAX);
	buf_init(&s->content, CONTENT_IN_MAX(SMTP_CONTENT_PIECE_MAX));
	s->now = now;
	s->ends_at = later(now, o->session_ms);
	smtp_server_rearm(s);
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
	arena_free(s->transaction);
	arena_free(s->line);
	free(s->helo_mem);
	free(s->own);
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
	if (is_in_content(s))
		rearm_content(s, in.n);
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
	if (s->is_held && now < s->ends_at) {
		s->is_held = false;
		smtp_server_rearm(s);
		return;
	}
	bool is_over = now >= s->ends_at;
	smtp_server_say(s, 421, STATUS(4, 4, 2),
			is_over ? STR("the session has lasted long enough")
				: STR("you took too long"));
	smtp_server_close(s, is_over ? STR("the session lasted too long")
				     : STR("the peer was silent for too long"));
}

uint64_t smtp_server_deadline(const struct smtp_server *s)
{
	uint64_t at = s->is_held ? s->held_until : s->deadline;

	if (s->question.kind != SMTP_SERVER_NOTHING || s->state == SERVER_OVER)
		return UINT64_MAX;
	return at < s->ends_at ? at : s->ends_at;
}

struct str smtp_server_output(const struct smtp_server *s)
{
	bool is_silent = s->is_held && s->state != SERVER_OVER;

	return is_silent ? STR_NONE : buf_str(&s->output);
}

void smtp_server_wrote(struct smtp_server *s, size_t n)
{
	buf_consume(&s->output, n);
	if (buf_len(&s->output) == 0)
		buf_fini(&s->output);
}

/* An idle session keeps no memory that it can do without. */
static void rest(struct smtp_server *s)
{
	bool is_idle = s->state == SERVER_COMMANDS && buf_len(&s->input) == 0;

	if (!is_idle && s->state != SERVER_TLS)
		return;
	buf_fini(&s->input);
	buf_fini(&s->content);
	arena_free(s->line);
	s->line = NULL;
	if (!s->has_mail) {
		arena_free(s->transaction);
		s->transaction = NULL;
	}
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
	s->owes_auth_drop = s->owes_auth_drop || s->state == SERVER_AUTH;
	s->question.kind = SMTP_SERVER_NOTHING;
	s->state = SERVER_OVER;
	s->owes_start_tls = false;
	s->owes_closed = true;
	s->why_closed = why;
}

static size_t line_max(const struct smtp_server *s)
{
	bool is_auth =
		s->state == SERVER_AUTH || str_ihas_prefix_ascii(buf_str(&s->input), STR("AUTH "));

	return is_auth ? SMTP_AUTH_LINE_MAX : SMTP_COMMAND_LINE_MAX;
}

/* One command line off the input, without its end. RFC 5321 section 2.3.8 knows CRLF only. */
static bool cut_line(struct smtp_server *s, struct str *line, bool *is_bare)
{
	struct str in = buf_str(&s->input);
	size_t at;

	if (!str_find(str_first(in, line_max(s)), '\n', &at))
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
		arena_reset(smtp_server_line_arena(s));
		line = arena_str(s->line, line);
		buf_consume(&s->input, used);
		smtp_server_rearm(s);
		if (s->state == SERVER_AUTH)
			smtp_server_take_response(s, line);
		else
			smtp_server_take_line(s, line);
		return true;
	}
	if (buf_len(&s->input) < line_max(s))
		return false;
	s->owes_auth_drop = s->state == SERVER_AUTH;
	s->state = SERVER_SKIPS;
	return true;
}

/* Does one thing; false when octets are missing for it. */
static bool step(struct smtp_server *s)
{
	switch (s->state) {
	case SERVER_COMMANDS:
	case SERVER_AUTH:
		return take_command(s);
	case SERVER_SKIPS:
		return skip_line(s);
	case SERVER_CONTENT:
		return smtp_server_take_content(s);
	case SERVER_CHUNK:
		return smtp_server_take_chunk(s);
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
		buf_reset(&s->content);
	} else if (s->owes_drop) {
		*e = fact(SMTP_SERVER_DROP);
		s->owes_drop = false;
	} else if (s->owes_auth_drop) {
		*e = fact(SMTP_SERVER_AUTH_DROP);
		s->owes_auth_drop = false;
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

/* Why there are no events but facts now. */
static bool is_waiting(const struct smtp_server *s)
{
	bool is_held = s->is_held && !s->is_ended;

	return s->question.kind != SMTP_SERVER_NOTHING || s->state == SERVER_OVER || is_held;
}

struct smtp_server_event smtp_server_next(struct smtp_server *s)
{
	struct smtp_server_event e;

	for (;;) {
		if (owed(s, &e) || is_waiting(s))
			return e;
		if (s->is_stopping) {
			smtp_server_say(s, 421, STATUS(4, 3, 2), STR("shutting down"));
			smtp_server_close(s, STR("we are shutting down"));
		} else if (buf_len(&s->output) >= OUTPUT_WAITS) {
			return e;
		} else if (!step(s)) {
			rest(s);
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
	smtp_server_rearm(s);
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

/* The reply to a chunk comes behind its octets. */
static bool is_chunk_accepted(const struct smtp_server *s, int code)
{
	return s->question.kind == SMTP_SERVER_DATA && s->question.verb == SMTP_VERB_BDAT &&
	       code / 100 == 3;
}

void smtp_server_answer(struct smtp_server *s, struct smtp_reply r, uint64_t now)
{
	check_question(s);
	CHECK(r.code >= 200 && r.code <= 599);
	s->now = now;
	if (!is_chunk_accepted(s, r.code))
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
	s->is_authenticated = false;
	s->hello = SMTP_VERB_UNKNOWN;
	s->helo_name = STR_NONE;
	s->now = now;
	smtp_server_rearm(s);
}

void smtp_server_set_mechanisms(struct smtp_server *s, struct str mechanisms)
{
	CHECK(s->hello == SMTP_VERB_UNKNOWN);
	s->o.mechanisms = mechanisms;
}

void smtp_server_normalise(struct smtp_server *s)
{
	s->o.bare_newline = SMTP_BARE_NORMALISE;
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

bool smtp_server_is_authenticated(const struct smtp_server *s)
{
	return s->is_authenticated;
}
