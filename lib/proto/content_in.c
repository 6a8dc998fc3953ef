#include "proto/content_in.h"

void content_in_init(struct content_in *c)
{
	*c = (struct content_in){ .place = CONTENT_IN_LINE_START };
}

void content_in_init_chunks(struct content_in *c)
{
	*c = (struct content_in){ .place = CONTENT_IN_LINE_START, .keeps_dots = true };
}

static void put(struct buf *out, struct str s)
{
	CHECK(buf_add(out, s));
}

static void bare_cr(struct content_in *c, struct buf *out)
{
	c->has_bare_newline = true;
	put(out, STR(" "));
}

/* One octet of text at a place where no line end is pending. */
static void take_text(struct content_in *c, char octet, struct buf *out)
{
	c->place = CONTENT_IN_TEXT;
	if (octet == '\r') {
		c->place = CONTENT_IN_CR;
	} else if (octet == '\n') {
		c->has_bare_newline = true;
		put(out, STR("\r\n"));
		if (c->keeps_dots)
			c->place = CONTENT_IN_LINE_START;
	} else {
		put(out, str_span(&octet, 1));
	}
}

static void take(struct content_in *c, char octet, struct buf *out)
{
	switch (c->place) {
	case CONTENT_IN_LINE_START:
		if (octet == '.' && !c->keeps_dots)
			c->place = CONTENT_IN_DOT;
		else
			take_text(c, octet, out);
		return;
	case CONTENT_IN_DOT: /* RFC 5321 section 4.5.2: the dot goes, what follows it stays */
		if (octet == '\r')
			c->place = CONTENT_IN_DOT_CR;
		else
			take_text(c, octet, out);
		return;
	case CONTENT_IN_DOT_CR:
		if (octet == '\n') {
			c->place = CONTENT_IN_END;
			return;
		}
		bare_cr(c, out);
		take_text(c, octet, out);
		return;
	case CONTENT_IN_TEXT:
		take_text(c, octet, out);
		return;
	case CONTENT_IN_CR:
		if (octet == '\n') {
			put(out, STR("\r\n"));
			c->place = CONTENT_IN_LINE_START;
			return;
		}
		bare_cr(c, out);
		take_text(c, octet, out);
		return;
	case CONTENT_IN_END:
		return;
	}
}

void content_in_end_chunks(struct content_in *c, struct buf *out)
{
	if (c->place == CONTENT_IN_CR)
		c->has_bare_newline = true;
	if (c->place != CONTENT_IN_LINE_START)
		put(out, STR("\r\n"));
	c->place = CONTENT_IN_END;
}

static size_t plain_length(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n')
		n++;
	return n;
}

bool content_in_feed(struct content_in *c, struct str *in, struct buf *out)
{
	while (in->n > 0 && c->place != CONTENT_IN_END) {
		size_t n = c->place == CONTENT_IN_TEXT ? plain_length(*in) : 0;

		if (n > 0) {
			put(out, str_first(*in, n));
		} else {
			take(c, in->p[0], out);
			n = 1;
		}
		*in = str_from(*in, n);
	}
	return c->place == CONTENT_IN_END;
}
