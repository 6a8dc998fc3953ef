/* Command lines out, and the transcript of both directions. */

#include "proto/smtp_client_inside.h"

#include "mail/mailbox.h"

static void transcript_line(struct smtp_client *c, struct str mark, struct str what)
{
	static const size_t note = 16; /* room for the last line */
	struct arena *a = c->events;

	if (c->is_transcript_full)
		return;
	if (what.n + mark.n + 1 + note > buf_room(&c->transcript)) {
		c->is_transcript_full = true;
		CHECK(buf_add(&c->transcript, STR("...\n")));
		return;
	}
	what = smtp_reply_harmless(a, what);
	CHECK(buf_fmt(&c->transcript, STR_FMT STR_FMT "\n", STR_ARG(mark), STR_ARG(what)));
}

void smtp_wire_note(struct smtp_client *c, struct str mark, struct str what)
{
	transcript_line(c, mark, what);
}

void smtp_wire_note_reply(struct smtp_client *c, int code, struct str text)
{
	struct str line, rest = text;

	while (str_cut(rest, '\n', &line, &rest))
		transcript_line(c, STR("S: "),
				arena_fmt(c->events, "%d-" STR_FMT, code, STR_ARG(line)));
	transcript_line(c, STR("S: "), arena_fmt(c->events, "%d " STR_FMT, code, STR_ARG(rest)));
}

bool smtp_wire_is_path(struct str address)
{
	struct mailbox ignored;

	return mailbox_parse(address, &ignored);
}

bool smtp_wire_is_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 127)
			return false;
	return s.n <= SMTP_COMMAND_LINE_MAX / 4;
}

void smtp_wire_secret(struct smtp_client *c, struct str line, struct str shown)
{
	transcript_line(c, STR("C: "), shown);
	CHECK(buf_add(&c->output, line));
	CHECK(buf_add(&c->output, STR("\r\n")));
}

void smtp_wire_command(struct smtp_client *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct str line = arena_vfmt(c->events, fmt, ap);
	va_end(ap);
	transcript_line(c, STR("C: "), line);
	CHECK(buf_add(&c->output, line));
	CHECK(buf_add(&c->output, STR("\r\n")));
}
