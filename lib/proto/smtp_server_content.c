/* The message: what DATA and BDAT bring in. */

#include "proto/smtp_server_inside.h"

void smtp_server_begin_content(struct smtp_server *s)
{
	content_in_init(&s->in);
	s->content_octets = 0;
	s->is_too_big = false;
	s->state = SERVER_CONTENT;
}

void smtp_server_begin_chunks(struct smtp_server *s)
{
	content_in_init_chunks(&s->in);
	s->content_octets = 0;
	s->is_too_big = false;
	s->is_chunking = true;
	s->state = SERVER_CHUNK;
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
	bool is_for_each =
		s->o.dialect == SMTP_DIALECT_LMTP && !(s->is_chunking && !s->chunk.is_last);
	size_t n = is_for_each ? s->n_rcpts : 1;

	for (size_t i = 0; i < n; i++)
		say_refusal(s);
	smtp_server_count_error(s);
	smtp_server_forget_transaction(s);
}

static void end_content(struct smtp_server *s)
{
	s->state = SERVER_COMMANDS;
	smtp_server_rearm(s);
	if (is_refused(s))
		refuse(s);
	else
		smtp_server_ask(s, (struct smtp_server_event){ .kind = SMTP_SERVER_MESSAGE });
}

static struct str next_piece(const struct smtp_server *s)
{
	return str_first(buf_str(&s->input), SMTP_CONTENT_PIECE_MAX / 4);
}

static void count_content(struct smtp_server *s)
{
	s->content_octets += buf_len(&s->content);
	if (s->o.size_limit > 0 && s->content_octets > s->o.size_limit)
		s->is_too_big = true;
	if (is_refused(s)) /* the rest is read to its end and thrown away */
		buf_reset(&s->content);
}

bool smtp_server_take_content(struct smtp_server *s)
{
	struct str piece = next_piece(s), rest = piece;

	buf_reset(&s->content);
	bool is_end = content_in_feed(&s->in, &rest, &s->content);
	buf_consume(&s->input, piece.n - rest.n);
	count_content(s);
	if (is_end)
		end_content(s);
	return is_end || piece.n > 0;
}

/* BDAT: RFC 3030 section 2. The octets of a chunk that is refused follow all the same, and so may
 * those of the chunks behind it. */

static void skip_chunk(struct smtp_server *s)
{
	s->skips_chunk = true;
	s->state = SERVER_CHUNK;
}

/* False: it was answered. */
static bool may_chunk(struct smtp_server *s)
{
	if (s->has_failed_chunks) /* no error of the peer's: it sent them ahead */
		smtp_server_say(s, 503, STATUS(5, 5, 1), STR("a chunk before this one failed"));
	else if (!s->has_mail)
		smtp_server_bad_sequence(s, STR("MAIL comes first"));
	else if (s->n_rcpts == 0)
		smtp_server_say_error(s, s->o.dialect == SMTP_DIALECT_LMTP ? 503 : 554,
				      STATUS(5, 5, 1), STR("no valid recipients"));
	else
		return true;
	return false;
}

void smtp_server_take_bdat(struct smtp_server *s, struct smtp_command c)
{
	if (!(smtp_server_announced(s) & SMTP_EXT_CHUNKING)) {
		smtp_server_say_error(s, 502, STATUS(5, 5, 1), STR("no BDAT here"));
	} else if (!smtp_command_parse_bdat(c.argument, &s->chunk)) {
		/* What follows may be commands or content: nobody can tell. */
		smtp_server_say(s, 521, STATUS(5, 5, 4), STR("BDAT size [LAST]"));
		smtp_server_close(s, STR("the peer sent a BDAT without size"));
	} else if (!may_chunk(s)) {
		if (s->state != SERVER_OVER)
			skip_chunk(s);
	} else if (s->is_chunking) {
		s->state = SERVER_CHUNK;
	} else {
		smtp_server_ask(s, (struct smtp_server_event){ .kind = SMTP_SERVER_DATA,
							       .verb = SMTP_VERB_BDAT });
	}
}

void smtp_server_refuse_chunks(struct smtp_server *s)
{
	smtp_server_forget_transaction(s);
	s->has_failed_chunks = true;
	skip_chunk(s);
}

static void end_last_chunk(struct smtp_server *s)
{
	content_in_end_chunks(&s->in, &s->content);
	count_content(s);
	end_content(s);
}

static void end_chunk(struct smtp_server *s)
{
	uint64_t n = s->content_octets;

	s->state = SERVER_COMMANDS;
	smtp_server_rearm(s);
	if (s->skips_chunk) {
		s->skips_chunk = false;
	} else if (is_refused(s)) {
		refuse(s);
		s->has_failed_chunks = true;
	} else if (s->chunk.is_last) {
		end_last_chunk(s);
	} else {
		smtp_server_say(s, 250, STATUS(2, 0, 0),
				arena_fmt(smtp_server_line_arena(s), "%llu octets so far",
					  (unsigned long long)n));
	}
}

static bool is_beyond_limit(const struct smtp_server *s)
{
	return s->o.size_limit > 0 && (s->content_octets > s->o.size_limit ||
				       s->chunk.size_octets > s->o.size_limit - s->content_octets);
}

bool smtp_server_take_chunk(struct smtp_server *s)
{
	struct str piece = next_piece(s);

	if (piece.n > s->chunk.size_octets)
		piece.n = (size_t)s->chunk.size_octets;
	struct str rest = piece;
	buf_reset(&s->content);
	if (!s->skips_chunk && is_beyond_limit(s))
		s->is_too_big = true;
	if (!s->skips_chunk && !s->is_too_big)
		(void)content_in_feed(&s->in, &rest, &s->content);
	if (!s->skips_chunk)
		count_content(s);
	buf_consume(&s->input, piece.n);
	s->chunk.size_octets -= piece.n;
	bool is_end = s->chunk.size_octets == 0;
	if (is_end)
		end_chunk(s);
	return is_end || piece.n > 0;
}
