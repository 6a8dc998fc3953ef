/* A body, by what its header section said of it. */

#include "proto/mime_downgrade_inside.h"

static void put_qp(struct mime_downgrade *d, struct mime_piece p)
{
	if (!mime_qp_text(&d->qp, p.text, d->out))
		mime_fail(d, MIME_DOWNGRADE_FULL);
	else if (p.is_last && !mime_qp_line_end(&d->qp, p.end, d->out))
		mime_fail(d, MIME_DOWNGRADE_FULL);
}

/* It said 7bit, and that was not true, or not to be found out. */
static void convert_held(struct mime_downgrade *d)
{
	struct str rest = buf_str(&d->held_body), line;

	mime_header_label(d);
	mime_emit(d, buf_str(&d->held_head));
	while (str_cut(rest, '\n', &line, &rest)) {
		struct mime_piece p = { line, STR("\n"), true, true };
		if (line.n > 0 && line.p[line.n - 1] == '\r') {
			p.text.n--;
			p.end = STR("\r\n");
		}
		put_qp(d, p);
	}
	put_qp(d, (struct mime_piece){ .text = rest });
	buf_reset(&d->held_body);
	d->is_holding = false;
	d->body = BODY_QP;
}

static void release_held(struct mime_downgrade *d)
{
	mime_emit(d, buf_str(&d->held_encoding));
	mime_emit(d, buf_str(&d->held_head));
	mime_emit(d, buf_str(&d->held_body));
	buf_reset(&d->held_body);
	d->is_holding = false;
}

static void peek(struct mime_downgrade *d, struct mime_piece p)
{
	if (mime_has_8bit(p.text) || p.text.n + p.end.n > buf_room(&d->held_body)) {
		convert_held(d);
		put_qp(d, p);
		return;
	}
	CHECK(buf_add(&d->held_body, p.text) && buf_add(&d->held_body, p.end));
}

/* Quoted-printable with octets that it should have quoted. */
static void mend_qp(struct mime_downgrade *d, struct str text)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.n; i++) {
		unsigned char u = (unsigned char)text.p[i];
		char octets[3] = { '=', hex[u >> 4], hex[u & 15] };
		mime_emit(d, u > 127 ? str_span(octets, 3) : str_first(str_from(text, i), 1));
	}
}

static void pass(struct mime_downgrade *d, struct mime_piece p)
{
	if (!mime_has_8bit(p.text))
		mime_emit(d, p.text);
	else if (d->encoding == MIME_QUOTED_PRINTABLE)
		mend_qp(d, p.text);
	else if (d->encoding == MIME_BASE64)
		mime_emit_7bit(d, p.text);
	else
		mime_fail(d, MIME_DOWNGRADE_8BIT_UNKNOWN_ENCODING);
	mime_emit(d, p.end);
}

void mime_body_piece(struct mime_downgrade *d, struct mime_piece p)
{
	switch (d->body) {
	case BODY_AS_IS:
		pass(d, p);
		return;
	case BODY_PEEK:
		peek(d, p);
		return;
	case BODY_QP:
		put_qp(d, p);
		return;
	case BODY_MARGIN:
		mime_emit_7bit(d, p.text);
		mime_emit(d, p.end);
		return;
	case BODY_OPAQUE:
		if (mime_has_8bit(p.text))
			mime_fail(d, d->opaque_fault);
		mime_emit(d, p.text);
		mime_emit(d, p.end);
		return;
	}
}

void mime_body_end(struct mime_downgrade *d)
{
	if (d->body == BODY_PEEK)
		release_held(d);
	else if (d->body == BODY_QP && !mime_qp_line_end(&d->qp, STR_NONE, d->out))
		mime_fail(d, MIME_DOWNGRADE_FULL);
	d->body = BODY_MARGIN;
}
