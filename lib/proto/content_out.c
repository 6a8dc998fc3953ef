#include "proto/content_out.h"

enum { LINE_LIMIT_MIN = 8 };

void content_out_init(struct content_out *c, size_t line_limit)
{
	if (line_limit > 0 && line_limit < LINE_LIMIT_MIN)
		line_limit = LINE_LIMIT_MIN;
	*c = (struct content_out){ .line_limit = line_limit };
}

static bool end_line(struct content_out *c, struct buf *out)
{
	c->column = 0;
	return buf_add(out, STR("\r\n"));
}

/* RFC 5321 section 4.5.2. */
static bool stuff_dot(struct content_out *c, char first, struct buf *out)
{
	return c->column > 0 || first != '.' || buf_add_char(out, '.');
}

/* `text` has neither CR nor LF. */
static bool add_text(struct content_out *c, struct str text, struct buf *out)
{
	while (text.n > 0) {
		size_t n = text.n;

		if (c->line_limit > 0 && c->column == c->line_limit) {
			if (!buf_add(out, STR("\r\n ")))
				return false;
			c->column = 1;
		}
		if (c->line_limit > 0 && n > c->line_limit - c->column)
			n = c->line_limit - c->column;
		if (!stuff_dot(c, text.p[0], out) || !buf_add(out, str_first(text, n)))
			return false;
		c->column += n;
		text = str_from(text, n);
	}
	return true;
}

static size_t text_length(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\r' && s.p[n] != '\n')
		n++;
	return n;
}

bool content_out_feed(struct content_out *c, struct str in, struct buf *out)
{
	while (in.n > 0) {
		size_t n = text_length(in);

		if (c->is_after_cr && in.p[0] != '\n' && !add_text(c, STR(" "), out))
			return false;
		c->is_after_cr = false;
		if (n > 0) {
			if (!add_text(c, str_first(in, n), out))
				return false;
		} else if (in.p[0] == '\r') {
			c->is_after_cr = true;
			n = 1;
		} else {
			if (!end_line(c, out))
				return false;
			n = 1;
		}
		in = str_from(in, n);
	}
	return true;
}

bool content_out_end(struct content_out *c, struct buf *out)
{
	if (c->is_after_cr && !add_text(c, STR(" "), out))
		return false;
	c->is_after_cr = false;
	if (c->column > 0 && !end_line(c, out))
		return false;
	return buf_add(out, STR(".\r\n"));
}
