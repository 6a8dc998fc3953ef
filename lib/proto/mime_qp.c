#include "proto/mime_qp.h"

enum { LINE_MAX_OCTETS = 76 }; /* with the "=" of a soft line end */

void mime_qp_init(struct mime_qp *q)
{
	*q = (struct mime_qp){ .column = 0 };
}

/* A soft line end must not make a line that looks like a multipart's boundary. */
static bool put(struct mime_qp *q, struct str s, struct buf *out)
{
	if (q->column + s.n > LINE_MAX_OCTETS - 1) {
		if (!buf_add(out, STR("=\n")))
			return false;
		q->column = 0;
		if (s.p[0] == '-')
			s = STR("=2D");
	}
	q->column += s.n;
	return buf_add(out, s);
}

static bool put_encoded(struct mime_qp *q, char c, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char u = (unsigned char)c;
	char octets[3] = { '=', hex[u >> 4], hex[u & 15] };

	return put(q, str_span(octets, 3), out);
}

static bool put_blank(struct mime_qp *q, struct buf *out)
{
	char c = q->blank;

	q->blank = 0;
	return c == 0 || put(q, str_span(&c, 1), out);
}

static bool is_literal(char c)
{
	return c > ' ' && c <= '~' && c != '=';
}

bool mime_qp_text(struct mime_qp *q, struct str text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (!put_blank(q, out))
			return false;
		if (c == ' ' || c == '\t')
			q->blank = c;
		else if (!(is_literal(c) ? put(q, str_span(&c, 1), out) : put_encoded(q, c, out)))
			return false;
	}
	return true;
}

/* Rule 3 of the RFC: no blank before a line end. */
bool mime_qp_line_end(struct mime_qp *q, struct str end, struct buf *out)
{
	char c = q->blank;

	q->blank = 0;
	if (c != 0 && !put_encoded(q, c, out))
		return false;
	q->column = 0;
	return buf_add(out, end);
}
