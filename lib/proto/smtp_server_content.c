/* The message: what DATA brings in. */

#include "proto/smtp_server_inside.h"

void smtp_server_begin_content(struct smtp_server *s)
{
	content_in_init(&s->in);
	s->content_octets = 0;
	s->is_too_big = false;
	s->state = SERVER_CONTENT;
}

static bool is_refused(const struct smtp_server *s)
{
	return s->is_too_big || (s->in.has_bare_newline && s->o.bare_newline == SMTP_BARE_REFUSE);
}

static void say_refusal(struct smtp_server *s)
{
	if (s->is_too_big)
		smtp_server_say(s, 552, STATUS(5, 3, 4), STR("the message is too big"));
	else
		smtp_server_say(s, 550, STATUS(5, 6, 0),
				STR("the message has a CR or LF that stands alone"));
}

/* In LMTP each recipient hears of it: RFC 2033 section 4.2. */
static void refuse(struct smtp_server *s)
{
	size_t n = s->o.dialect == SMTP_DIALECT_LMTP ? s->n_rcpts : 1;

	for (size_t i = 0; i < n; i++)
		say_refusal(s);
	smtp_server_forget_transaction(s);
}

static void end_content(struct smtp_server *s)
{
	s->state = SERVER_COMMANDS;
	if (is_refused(s))
		refuse(s);
	else
		smtp_server_ask(s, (struct smtp_server_event){ .kind = SMTP_SERVER_MESSAGE });
}

static struct str next_piece(const struct smtp_server *s)
{
	return str_first(buf_str(&s->input), SMTP_CONTENT_PIECE_MAX / 4);
}

bool smtp_server_take_content(struct smtp_server *s)
{
	struct str piece = next_piece(s), rest = piece;

	buf_reset(&s->content);
	bool is_end = content_in_feed(&s->in, &rest, &s->content);
	buf_consume(&s->input, piece.n - rest.n);
	s->content_octets += buf_len(&s->content);
	if (s->o.size_limit > 0 && s->content_octets > s->o.size_limit)
		s->is_too_big = true;
	if (is_refused(s)) /* the rest is read to its end and thrown away */
		buf_reset(&s->content);
	if (is_end)
		end_content(s);
	return is_end || piece.n > 0;
}
