#include "proto/smtp_client_inside.h"

#include <stdlib.h>

struct smtp_client *smtp_client_new(const struct smtp_client_options *o, uint64_t now)
{
	struct smtp_client *c = base_alloc(sizeof(*c));

	c->o = *o;
	c->own = arena_new();
	c->events = arena_new();
	c->o.helo_name = arena_str(c->own, o->helo_name);
	c->is_tls = o->is_tls_already;
	smtp_event_forget(c);
	smtp_reply_reader_init(&c->reader);
	buf_init(&c->output, SMTP_OUTPUT_MAX);
	buf_init(&c->mechanisms, SMTP_MECHANISMS_MAX);
	buf_init(&c->transcript, SMTP_TRANSCRIPT_MAX);
	buf_init(&c->converted, MIME_DOWNGRADE_MAX(SMTP_CONTENT_PIECE_MAX));
	smtp_session_wait(c, STAGE_GREETING, now);
	return c;
}

void smtp_client_free(struct smtp_client *c)
{
	if (!c)
		return;
	free(c->t.rcpts);
	buf_fini(&c->output);
	buf_fini(&c->mechanisms);
	buf_fini(&c->transcript);
	buf_fini(&c->converted);
	mime_downgrade_free(c->downgrade);
	smtp_reply_reader_fini(&c->reader);
	arena_free(c->events);
	arena_free(c->own);
	free(c);
}

struct str smtp_client_output(const struct smtp_client *c)
{
	return buf_str(&c->output);
}

void smtp_client_wrote(struct smtp_client *c, size_t n, uint64_t now)
{
	/* A failure may have thrown away what was being written. */
	if (c->stage == STAGE_OVER && n > buf_len(&c->output))
		n = buf_len(&c->output);
	buf_consume(&c->output, n);
	c->content_written += n;
	bool is_empty = buf_len(&c->output) == 0;
	if (c->stage == STAGE_CONTENT || (c->stage == STAGE_DOT && is_empty)) {
		smtp_session_wait(c, c->stage, now);
	} else if (c->stage == STAGE_DOT) {
		smtp_session_wait(c, STAGE_CONTENT, now); /* for its deadline */
		c->stage = STAGE_DOT;
	} else if (c->stage == STAGE_QUIT && is_empty && c->o.quits_without_waiting) {
		smtp_session_close(c);
	}
}

/* The only way in for octets that might be somebody else's: after the 220 to STARTTLS nothing
 * may follow in the clear. CVE-2011-0411 is the server's side of it. */
static bool is_injected(struct smtp_client *c, struct str in)
{
	if (c->stage != STAGE_TLS || in.n == 0)
		return false;
	smtp_wire_note(c, STR("S! "), str_first(in, 256));
	smtp_event_forget(c);
	smtp_session_fail(c, smtp_verdict_injection(c));
	return true;
}

static void take_bad(struct smtp_client *c)
{
	struct str what = smtp_reply_fault_text(c->reader.fault);

	smtp_wire_note(c, STR("S! "),
		       str_first(smtp_auth_discreet(c, buf_str(&c->reader.line)), 256));
	smtp_session_fail(c, smtp_verdict_protocol(c, what));
}

static void take_reply(struct smtp_client *c, uint64_t now)
{
	bool is_challenge = c->stage == STAGE_AUTH && c->reader.code == 334;
	struct str text = buf_str(&c->reader.text);

	if (is_challenge) { /* which may well repeat something, and is never quoted */
		smtp_wire_note(c, STR("S: "), STR("334 (a challenge)"));
	} else {
		text = smtp_auth_discreet(c, text);
		smtp_wire_note_reply(c, c->reader.code, text);
	}
	smtp_session_reply(c, smtp_reply_make(c->events, c->reader.code, text), now);
}

void smtp_client_read(struct smtp_client *c, struct str in, uint64_t now)
{
	if (!c->first && c->stage != STAGE_OVER)
		arena_reset(c->events);
	while (in.n > 0 && c->stage != STAGE_OVER && !is_injected(c, in)) {
		switch (smtp_reply_read(&c->reader, &in)) {
		case SMTP_PARSE_OK:
			take_reply(c, now);
			break;
		case SMTP_PARSE_BAD:
			take_bad(c);
			break;
		case SMTP_PARSE_MORE:
			break;
		}
	}
}

void smtp_client_read_end(struct smtp_client *c, uint64_t now)
{
	smtp_client_lost(c, STR_NONE, now);
}

void smtp_client_lost(struct smtp_client *c, struct str why, uint64_t now)
{
	(void)now;
	if (c->stage != STAGE_OVER)
		smtp_session_fail(c, smtp_verdict_lost(c, why));
}

void smtp_client_tick(struct smtp_client *c, uint64_t now)
{
	if (now >= c->deadline && c->stage != STAGE_OVER)
		smtp_session_fail(c, smtp_verdict_timeout(c));
}

uint64_t smtp_client_deadline(const struct smtp_client *c)
{
	return c->deadline;
}

void smtp_client_tls_up(struct smtp_client *c, uint64_t now)
{
	if (c->stage == STAGE_OVER)
		return;
	CHECK(c->stage == STAGE_TLS && !c->first);
	c->is_tls = true;
	c->hello_name = STR_NONE;
	smtp_session_hello(c, now);
}

bool smtp_client_is_idle(const struct smtp_client *c)
{
	return c->stage == STAGE_IDLE && !c->first && smtp_reply_reader_is_idle(&c->reader);
}

bool smtp_client_is_stale(const struct smtp_client *c)
{
	return c->stage == STAGE_OVER && !c->t.is_heard;
}

void smtp_client_forget(struct smtp_client *c)
{
	buf_reset(&c->transcript);
	c->is_transcript_full = false;
}

void smtp_client_mail(struct smtp_client *c, const struct smtp_mail *m, uint64_t now)
{
	if (c->stage == STAGE_OVER) {
		smtp_transaction_stillborn(c, m);
		return;
	}
	CHECK(c->stage == STAGE_IDLE && !c->first);
	/* Half a reply came while none was due: whose would the rest be? */
	bool is_in_step = smtp_reply_reader_is_idle(&c->reader);
	smtp_transaction_begin(c, m, now);
	if (!is_in_step)
		smtp_session_fail(c, smtp_verdict_out_of_step(c));
}

void smtp_client_quit(struct smtp_client *c, uint64_t now)
{
	if (c->stage == STAGE_OVER)
		return;
	CHECK(c->stage == STAGE_IDLE || c->stage == STAGE_TLS);
	smtp_wire_command(c, "QUIT");
	smtp_session_wait(c, STAGE_QUIT, now);
}

void smtp_client_content(struct smtp_client *c, struct str in, uint64_t now)
{
	if (c->stage == STAGE_OVER)
		return;
	CHECK(c->stage == STAGE_CONTENT);
	smtp_transaction_content(c, in, now);
}

void smtp_client_content_end(struct smtp_client *c, uint64_t now)
{
	if (c->stage == STAGE_OVER)
		return;
	CHECK(c->stage == STAGE_CONTENT);
	smtp_transaction_content_end(c, now);
}

void smtp_client_content_failed(struct smtp_client *c, struct str why, uint64_t now)
{
	(void)now;
	if (c->stage == STAGE_OVER)
		return;
	CHECK(c->stage == STAGE_CONTENT);
	smtp_session_fail(c, smtp_verdict_unreadable(c, why));
}

bool smtp_client_wants_content(const struct smtp_client *c)
{
	return c->stage == STAGE_CONTENT && buf_len(&c->output) < SMTP_CONTENT_AHEAD_MAX;
}

struct smtp_client_event smtp_client_next(struct smtp_client *c)
{
	return smtp_event_take(c);
}

struct str smtp_client_greeting(const struct smtp_client *c)
{
	return c->greeting;
}

struct str smtp_client_hello_name(const struct smtp_client *c)
{
	return c->hello_name;
}

unsigned smtp_client_extensions(const struct smtp_client *c)
{
	return c->extensions;
}

bool smtp_client_was_starttls_offered(const struct smtp_client *c)
{
	return c->was_starttls_offered;
}

struct smtp_reply smtp_client_starttls_reply(const struct smtp_client *c)
{
	return c->starttls_reply;
}

struct str smtp_client_transcript(const struct smtp_client *c)
{
	return buf_str(&c->transcript);
}
