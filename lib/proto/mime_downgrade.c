#include "proto/mime_downgrade_inside.h"

#include <stdlib.h>
#include <string.h>

struct str mime_downgrade_fault_text(enum mime_downgrade_fault f)
{
	switch (f) {
	case MIME_DOWNGRADE_FINE:
		return STR("no fault");
	case MIME_DOWNGRADE_8BIT_HEADER:
		return STR("a header section has 8-bit octets, which cannot be converted");
	case MIME_DOWNGRADE_8BIT_OPAQUE:
		return STR("a message part that may not be encoded has 8-bit octets");
	case MIME_DOWNGRADE_8BIT_UNKNOWN_ENCODING:
		return STR("a part with 8-bit octets has an unknown encoding");
	case MIME_DOWNGRADE_NO_BOUNDARY:
		return STR("a multipart with 8-bit octets has no usable boundary");
	case MIME_DOWNGRADE_TOO_DEEP:
		return STR("multiparts are nested too deeply to be converted");
	case MIME_DOWNGRADE_FULL:
		return STR("the conversion gave more than fits");
	}
	CHECK(!"downgrade fault");
	return STR_NONE;
}

struct mime_downgrade *mime_downgrade_new(void)
{
	struct mime_downgrade *d = base_alloc(sizeof(*d));

	buf_init(&d->line, MIME_LINE_MAX);
	buf_init(&d->field, MIME_FIELD_MAX);
	buf_init(&d->boundary, MIME_BOUNDARY_MAX);
	buf_init(&d->held_encoding, MIME_FIELD_MAX);
	buf_init(&d->held_head, MIME_PEEK_MAX + 2); /* and the blank line */
	buf_init(&d->held_body, MIME_PEEK_MAX);
	mime_header_begin(d, true, false);
	return d;
}

static void close_level(struct mime_downgrade *d)
{
	struct mime_level *l = d->level;

	d->level = l->outer;
	d->depth--;
	free(l);
}

void mime_downgrade_free(struct mime_downgrade *d)
{
	if (!d)
		return;
	while (d->level)
		close_level(d);
	buf_fini(&d->line);
	buf_fini(&d->field);
	buf_fini(&d->boundary);
	buf_fini(&d->held_encoding);
	buf_fini(&d->held_head);
	buf_fini(&d->held_body);
	free(d);
}

bool mime_has_8bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 127)
			return true;
	return false;
}

void mime_fail(struct mime_downgrade *d, enum mime_downgrade_fault f)
{
	if (d->fault == MIME_DOWNGRADE_FINE)
		d->fault = f;
}

void mime_emit(struct mime_downgrade *d, struct str s)
{
	if (!buf_add(d->out, s))
		mime_fail(d, MIME_DOWNGRADE_FULL);
}

void mime_emit_7bit(struct mime_downgrade *d, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!buf_add_char(d->out, (unsigned char)s.p[i] > 127 ? '?' : s.p[i]))
			mime_fail(d, MIME_DOWNGRADE_FULL);
}

/* The open multipart that a line delimits. A boundary may be the beginning of another one: the
 * longest that fits is meant. RFC 2046 section 5.1.1: what follows it on the line is ignored. */
static struct mime_level *delimited(const struct mime_downgrade *d, struct mime_piece p)
{
	struct mime_level *best = NULL;
	struct str s = str_from(p.text, 2);

	if (!p.is_first || !str_has_prefix(p.text, STR("--")))
		return NULL;
	for (struct mime_level *l = d->level; l; l = l->outer)
		if (str_has_prefix(s, str_span(l->boundary, l->n)) && (!best || l->n > best->n))
			best = l;
	return best;
}

static void take_delimiter(struct mime_downgrade *d, struct mime_level *l, struct mime_piece p)
{
	bool is_last = str_has_prefix(str_from(p.text, 2 + l->n), STR("--"));

	if (d->is_in_header) /* a part without body */
		mime_header_end(d);
	mime_body_end(d);
	while (d->level != l)
		close_level(d);
	mime_emit_7bit(d, p.text);
	mime_emit(d, p.end);
	bool is_digest = l->is_digest;
	if (is_last)
		close_level(d);
	else
		mime_header_begin(d, false, is_digest);
}

/* A message/rfc822 whose header section has ended goes on with that of the message in it. */
static bool is_message_begun(const struct mime_downgrade *d)
{
	return !d->is_in_header && d->type.kind == MIME_MESSAGE;
}

static void take_piece(struct mime_downgrade *d, struct mime_piece p)
{
	struct mime_level *l = delimited(d, p);

	if (l) {
		take_delimiter(d, l, p);
		return;
	}
	if (!d->is_in_header) {
		mime_body_piece(d, p);
		return;
	}
	bool is_taken = mime_header_piece(d, p);
	if (is_message_begun(d))
		mime_header_begin(d, true, false);
	if (!is_taken) /* the line that ended the header section may be anything */
		take_piece(d, p);
}

static void take_line(struct mime_downgrade *d, struct str text, struct str end, bool is_last)
{
	if (is_last && end.n > 0 && text.n > 0 && text.p[text.n - 1] == '\r') {
		text.n--;
		end = STR("\r\n");
	}
	take_piece(d, (struct mime_piece){ text, end, !d->is_continued, is_last });
	d->is_continued = !is_last;
}

/* A line that is too long to hold is passed on in pieces; a CR at the edge waits for its LF. */
static void take_part_of_line(struct mime_downgrade *d)
{
	struct str text = buf_str(&d->line);

	if (text.p[text.n - 1] == '\r')
		text.n--;
	take_line(d, text, STR_NONE, false);
	buf_consume(&d->line, text.n);
}

enum mime_downgrade_fault
mime_downgrade_feed(struct mime_downgrade *d, struct str in, struct buf *out)
{
	d->out = out;
	while (in.n > 0 && d->fault == MIME_DOWNGRADE_FINE) {
		size_t n = in.n, at;
		bool is_whole = str_find(in, '\n', &at);
		if (is_whole)
			n = at;
		if (n > buf_room(&d->line)) {
			n = buf_room(&d->line);
			is_whole = false;
		}
		CHECK(buf_add(&d->line, str_first(in, n)));
		in = str_from(in, n + (is_whole ? 1 : 0));
		if (is_whole) {
			take_line(d, buf_str(&d->line), STR("\n"), true);
			buf_reset(&d->line);
		} else if (buf_room(&d->line) == 0) {
			take_part_of_line(d);
		}
	}
	d->out = NULL;
	return d->fault;
}

enum mime_downgrade_fault mime_downgrade_end(struct mime_downgrade *d, struct buf *out)
{
	d->out = out;
	if (d->fault == MIME_DOWNGRADE_FINE && (buf_len(&d->line) > 0 || d->is_continued))
		take_line(d, buf_str(&d->line), STR_NONE, true);
	buf_reset(&d->line);
	if (d->fault == MIME_DOWNGRADE_FINE) {
		if (d->is_in_header)
			mime_header_end(d);
		mime_body_end(d);
	}
	d->out = NULL;
	return d->fault;
}
