#include "proto/smtp_reply.h"

#include <string.h>

struct str smtp_reply_fault_text(enum smtp_reply_fault f)
{
	_Static_assert(SMTP_REPLY_LINE_MAX == 2048 && SMTP_REPLY_TEXT_MAX == 16 * 1024, "texts");
	switch (f) {
	case SMTP_REPLY_FINE:
		return STR("a good reply");
	case SMTP_REPLY_NO_CODE:
		return STR("a line that is not an SMTP reply");
	case SMTP_REPLY_LINE_TOO_LONG:
		return STR("a reply line of more than 2048 octets");
	case SMTP_REPLY_TEXT_TOO_LONG:
		return STR("a reply with more than 16 KiB of text");
	case SMTP_REPLY_CODE_CHANGED:
		return STR("a reply whose lines have different codes");
	case SMTP_REPLY_NUL:
		return STR("a NUL octet in a reply");
	case SMTP_REPLY_BARE_LF:
		return STR("a reply line that ends with LF without CR");
	}
	CHECK(!"reply fault");
	return STR_NONE;
}

static bool parse_code(struct str line, int *code)
{
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !ascii_is_digit(line.p[1]) ||
	    !ascii_is_digit(line.p[2]))
		return false;
	*code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	return line.n == 3 || line.p[3] == ' ' || line.p[3] == '-';
}

/* `line` is without its LF. RFC 5321 section 4.2: Reply-code [ "-" / SP textstring ] CRLF */
static enum smtp_reply_fault parse_whole_line(struct str line, struct smtp_reply_line *out)
{
	if (str_contains(line, '\0'))
		return SMTP_REPLY_NUL;
	if (line.n == 0 || line.p[line.n - 1] != '\r')
		return SMTP_REPLY_BARE_LF;
	line.n--;
	if (!parse_code(line, &out->code))
		return SMTP_REPLY_NO_CODE;
	out->is_last = line.n == 3 || line.p[3] == ' ';
	out->text = str_from(line, 4);
	return SMTP_REPLY_FINE;
}

enum smtp_parse smtp_reply_parse_line(struct str in, struct smtp_reply_line *line, size_t *used,
				      enum smtp_reply_fault *fault)
{
	size_t at;

	*fault = SMTP_REPLY_FINE;
	if (!str_find(str_first(in, SMTP_REPLY_LINE_MAX), '\n', &at)) {
		if (in.n < SMTP_REPLY_LINE_MAX)
			return SMTP_PARSE_MORE;
		*fault = SMTP_REPLY_LINE_TOO_LONG;
		return SMTP_PARSE_BAD;
	}
	*fault = parse_whole_line(str_first(in, at), line);
	if (*fault != SMTP_REPLY_FINE)
		return SMTP_PARSE_BAD;
	*used = at + 1;
	return SMTP_PARSE_OK;
}

void smtp_reply_reader_init(struct smtp_reply_reader *r)
{
	*r = (struct smtp_reply_reader){ 0 };
	buf_init(&r->line, SMTP_REPLY_LINE_MAX);
	buf_init(&r->text, SMTP_REPLY_TEXT_MAX);
}

void smtp_reply_reader_fini(struct smtp_reply_reader *r)
{
	buf_fini(&r->line);
	buf_fini(&r->text);
}

bool smtp_reply_reader_is_idle(const struct smtp_reply_reader *r)
{
	return buf_len(&r->line) == 0 && (r->code == 0 || r->is_whole);
}

static bool add_text(struct buf *text, struct str s)
{
	struct str before, after;

	while (str_cut(s, '\r', &before, &after)) {
		if (!buf_add(text, before))
			return false;
		s = after;
	}
	return buf_add(text, s);
}

static enum smtp_reply_fault add_line(struct smtp_reply_reader *r, const struct smtp_reply_line *l)
{
	if (r->code != 0 && r->code != l->code)
		return SMTP_REPLY_CODE_CHANGED;
	if (r->code != 0 && !buf_add_char(&r->text, '\n'))
		return SMTP_REPLY_TEXT_TOO_LONG;
	if (!add_text(&r->text, l->text))
		return SMTP_REPLY_TEXT_TOO_LONG;
	r->code = l->code;
	r->is_whole = l->is_last;
	return SMTP_REPLY_FINE;
}

/* Moves octets up to an LF, or as many as a line may have, to the line buffer. */
static void collect_line(struct smtp_reply_reader *r, struct str *in)
{
	size_t at, n = in->n;

	if (str_find(*in, '\n', &at))
		n = at + 1;
	if (n > buf_room(&r->line))
		n = buf_room(&r->line);
	CHECK(buf_add(&r->line, str_first(*in, n)));
	*in = str_from(*in, n);
}

enum smtp_parse smtp_reply_read(struct smtp_reply_reader *r, struct str *in)
{
	struct smtp_reply_line line;
	size_t used;

	if (r->fault == SMTP_REPLY_FINE && r->is_whole) {
		r->is_whole = false;
		r->code = 0;
		buf_reset(&r->text);
	}
	while (r->fault == SMTP_REPLY_FINE && !r->is_whole) {
		if (in->n == 0)
			return SMTP_PARSE_MORE;
		collect_line(r, in);
		if (smtp_reply_parse_line(buf_str(&r->line), &line, &used, &r->fault) !=
		    SMTP_PARSE_OK)
			continue;
		r->fault = add_line(r, &line);
		buf_reset(&r->line);
	}
	return r->fault == SMTP_REPLY_FINE ? SMTP_PARSE_OK : SMTP_PARSE_BAD;
}

static bool status_is_equal(struct status a, struct status b)
{
	return a.class == b.class && a.subject == b.subject && a.detail == b.detail;
}

struct smtp_reply smtp_reply_make(struct arena *a, int code, struct str text)
{
	struct smtp_reply r = { .code = code };
	char *out = arena_alloc(a, text.n + 1);
	bool is_first = true;

	r.text = str_span(out, 0);
	for (struct str rest = text, line; rest.p != NULL; is_first = false) {
		struct status s;
		if (!str_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest = STR_NONE;
		}
		if (!is_first)
			out[r.text.n++] = '\n';
		struct str bare = line;
		if (status_parse(line, code, &s, &bare)) {
			if (is_first)
				r.status = s;
			if (!status_is_equal(s, r.status))
				bare = line;
		}
		if (bare.n)
			memcpy(out + r.text.n, bare.p, bare.n);
		r.text.n += bare.n;
	}
	return r;
}

struct str smtp_reply_harmless(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		p[i] = s.p[i];
		if (c < ' ' || c == 127)
			p[i] = c == '\n' || c == '\t' ? ' ' : '?';
	}
	return str_span(p, s.n);
}

struct str smtp_reply_one_line(struct arena *a, struct smtp_reply r)
{
	struct str text = str_trim(smtp_reply_harmless(a, str_first(r.text, SMTP_REASON_MAX)));

	if (r.status.class == 0)
		return str_trim(arena_fmt(a, "%d " STR_FMT, r.code, STR_ARG(text)));
	return str_trim(arena_fmt(a, "%d %u.%u.%u " STR_FMT, r.code, r.status.class,
				  r.status.subject, r.status.detail, STR_ARG(text)));
}
