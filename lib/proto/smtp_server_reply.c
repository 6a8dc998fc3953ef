/* Replies out: RFC 5321 section 4.2, with the status of RFC 2034 when it is announced. */

#include "proto/smtp_server_inside.h"

static void
say_line(struct smtp_server *s, int code, bool is_last, struct status st, struct str text)
{
	bool has_status = st.class != 0 && (s->o.extensions & SMTP_EXT_ENHANCEDSTATUSCODES);

	CHECK(buf_fmt(&s->output, "%d%c", code, is_last ? ' ' : '-'));
	if (has_status)
		CHECK(buf_fmt(&s->output, "%u.%u.%u ", st.class, st.subject, st.detail));
	CHECK(buf_add(&s->output, text) && buf_add(&s->output, STR("\r\n")));
}

/* Replies to a peer that has made many errors come slowly. */
static void hold(struct smtp_server *s)
{
	bool is_slow = s->o.errors_soft_max > 0 && s->n_errors > s->o.errors_soft_max;

	if (!is_slow || s->o.error_delay_ms == 0 || s->is_held)
		return;
	s->is_held = true;
	s->held_until = s->now + s->o.error_delay_ms;
}

static enum smtp_refusal refusal_of(int code, struct status s)
{
	if (code == 530 || code == 538)
		return SMTP_REFUSAL_TLS;
	if ((s.subject == 3 && s.detail == 4) || (s.subject == 5 && s.detail == 3))
		return SMTP_REFUSAL_LIMIT;
	return SMTP_REFUSAL_SYNTAX;
}

uint64_t smtp_server_refusals(const struct smtp_server *s, enum smtp_refusal why)
{
	return s->refusals[why];
}

void smtp_server_say(struct smtp_server *s, int code, struct status status, struct str text)
{
	struct str line;

	if (code >= 400 && code != 421 && s->question.kind == SMTP_SERVER_NOTHING)
		s->refusals[refusal_of(code, status)]++;
	while (str_cut(text, '\n', &line, &text))
		say_line(s, code, false, status, line);
	say_line(s, code, true, status, text);
	hold(s);
}

/* A peer that sends nothing but nonsense is let go. */
void smtp_server_count_error(struct smtp_server *s)
{
	if (++s->n_errors < s->o.errors_max || s->state == SERVER_OVER)
		return;
	smtp_server_say(s, 421, STATUS(4, 7, 0), STR("too many errors"));
	smtp_server_close(s, STR("too many errors"));
}

void smtp_server_say_error(struct smtp_server *s, int code, struct status status, struct str text)
{
	smtp_server_say(s, code, status, text);
	smtp_server_count_error(s);
}
