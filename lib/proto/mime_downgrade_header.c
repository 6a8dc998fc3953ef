/* A header section: passed on, all but the encoding field, which is held until the type is known
 * or, where it says 7bit, until the body has shown whether that is true. */

#include "mail/message_scan.h"
#include "proto/mime_downgrade_inside.h"

void mime_header_begin(struct mime_downgrade *d, bool is_of_message, bool is_default_message)
{
	d->is_in_header = true;
	d->is_of_message = is_of_message;
	d->is_default_message = is_default_message;
	d->has_version = d->has_type = false;
	d->field_kind = FIELD_NONE;
	d->type = (struct mime_type){ .kind = is_default_message ? MIME_MESSAGE : MIME_LEAF };
	d->encoding = MIME_7BIT;
	d->is_holding = false;
	buf_reset(&d->boundary);
	buf_reset(&d->held_encoding);
	buf_reset(&d->held_head);
	buf_reset(&d->held_body);
}

/* Octets of the header section on their way out. A section too long to be held gives up the place
 * of its encoding field: it will stand at the end. */
static void put(struct mime_downgrade *d, struct str s)
{
	if (d->is_holding && buf_len(&d->held_head) + s.n > MIME_PEEK_MAX) {
		mime_emit(d, buf_str(&d->held_head));
		buf_reset(&d->held_head);
		d->is_holding = false;
	}
	if (d->is_holding)
		CHECK(buf_add(&d->held_head, s));
	else
		mime_emit(d, s);
}

/* Fields. */

static struct str field_value(const struct mime_downgrade *d)
{
	struct str name, value;

	return str_cut(buf_str(&d->field), ':', &name, &value) ? value : STR_NONE;
}

/* Of several Content-Type fields the first counts. */
static void end_type(struct mime_downgrade *d)
{
	if (d->has_type)
		return;
	d->has_type = true;
	d->type = mime_type_parse(field_value(d));
	struct str b = d->type.boundary;
	buf_reset(&d->boundary);
	for (size_t i = 0; i < b.n; i++) {
		if (d->type.has_escapes && b.p[i] == '\\' && i + 1 < b.n)
			i++;
		if (!buf_add_char(&d->boundary, b.p[i])) {
			buf_reset(&d->boundary); /* too long: as if there were none */
			break;
		}
	}
	d->type.boundary = STR_NONE;
}

/* Of several encodings a real one counts; of the others, "8bit". */
static void end_encoding(struct mime_downgrade *d)
{
	enum mime_encoding e = mime_encoding_parse(field_value(d));
	bool is_settled = d->encoding != MIME_7BIT && d->encoding != MIME_8BIT;

	if (is_settled || (e != MIME_7BIT && e != MIME_8BIT)) {
		if (!is_settled)
			d->encoding = e;
		put(d, buf_str(&d->field));
	} else if (e == MIME_8BIT) {
		d->encoding = MIME_8BIT; /* will be written anew */
	} else if (d->encoding == MIME_7BIT && buf_len(&d->held_encoding) == 0) {
		CHECK(buf_add(&d->held_encoding, buf_str(&d->field)));
		d->is_holding = true;
	}
}

static void end_field(struct mime_downgrade *d)
{
	if (d->field_kind == FIELD_TYPE)
		end_type(d);
	else if (d->field_kind == FIELD_ENCODING)
		end_encoding(d);
	d->field_kind = FIELD_NONE;
}

static void begin_field(struct mime_downgrade *d, struct str name)
{
	end_field(d);
	buf_reset(&d->field);
	d->field_kind = FIELD_OTHER;
	if (str_ieq_ascii(name, STR("Content-Type")))
		d->field_kind = FIELD_TYPE;
	else if (str_ieq_ascii(name, STR("Content-Transfer-Encoding")))
		d->field_kind = FIELD_ENCODING;
	else if (str_ieq_ascii(name, STR("MIME-Version")))
		d->has_version = true;
}

/* An encoding field of more than MIME_FIELD_MAX octets is none that we know. */
static void add_encoding(struct mime_downgrade *d, struct mime_piece p)
{
	if (buf_len(&d->field) + p.text.n + p.end.n <= MIME_FIELD_MAX) {
		CHECK(buf_add(&d->field, p.text) && buf_add(&d->field, p.end));
		return;
	}
	put(d, buf_str(&d->field));
	put(d, p.text);
	put(d, p.end);
	d->encoding = MIME_UNKNOWN;
	d->field_kind = FIELD_OTHER;
}

static void add_to_field(struct mime_downgrade *d, struct mime_piece p)
{
	if (mime_has_8bit(p.text))
		mime_fail(d, MIME_DOWNGRADE_8BIT_HEADER);
	if (d->field_kind == FIELD_ENCODING) {
		add_encoding(d, p);
		return;
	}
	if (d->field_kind == FIELD_TYPE) { /* what does not fit is not looked at */
		struct str room = str_first(p.text, buf_room(&d->field));
		CHECK(buf_add(&d->field, room));
		(void)!buf_add(&d->field, p.end);
	}
	put(d, p.text);
	put(d, p.end);
}

bool mime_header_piece(struct mime_downgrade *d, struct mime_piece p)
{
	struct str name, value;
	bool is_folded = p.text.n > 0 && (p.text.p[0] == ' ' || p.text.p[0] == '\t');

	if (!p.is_first || (is_folded && d->field_kind != FIELD_NONE)) {
		add_to_field(d, p);
		return true;
	}
	if (message_field_cut(p.text, &name, &value)) {
		begin_field(d, name);
		add_to_field(d, p);
		return true;
	}
	mime_header_end(d);
	if (p.text.n > 0) /* no field: a blank line was forgotten */
		p.end = STR("\n");
	if (d->is_holding)
		CHECK(buf_add(&d->held_head, p.end));
	else
		mime_emit(d, p.end);
	return p.text.n == 0;
}

/* The end: what does it make of the body? */

void mime_header_label(struct mime_downgrade *d)
{
	if (d->is_of_message && !d->has_version)
		mime_emit(d, STR("MIME-Version: 1.0\n"));
	if (!d->has_type)
		mime_emit(d, STR("Content-Type: text/plain; charset=unknown-8bit\n"));
	mime_emit(d, STR("Content-Transfer-Encoding: quoted-printable\n"));
}

static void release(struct mime_downgrade *d)
{
	mime_emit(d, buf_str(&d->held_head));
	buf_reset(&d->held_head);
	buf_reset(&d->held_encoding);
	d->is_holding = false;
}

/* A composite type, or one that may not be encoded: whatever it said, it is 7bit now. */
static void end_as_7bit(struct mime_downgrade *d)
{
	if (d->encoding == MIME_8BIT)
		mime_emit(d, STR("Content-Transfer-Encoding: 7bit\n"));
	else
		mime_emit(d, buf_str(&d->held_encoding));
	release(d);
}

static void end_leaf(struct mime_downgrade *d)
{
	mime_qp_init(&d->qp);
	if (d->encoding == MIME_8BIT) {
		mime_header_label(d);
		release(d);
		d->body = BODY_QP;
	} else if (d->encoding == MIME_7BIT) {
		d->is_holding = true;
		d->body = BODY_PEEK;
	} else {
		mime_emit(d, buf_str(&d->held_encoding));
		release(d);
		d->body = BODY_AS_IS;
	}
}

static void open_level(struct mime_downgrade *d)
{
	struct str b = buf_str(&d->boundary);
	struct mime_level *l = base_alloc(sizeof(*l) + b.n);

	for (size_t i = 0; i < b.n; i++)
		l->boundary[i] = b.p[i];
	l->n = b.n;
	l->is_digest = d->type.is_digest;
	l->outer = d->level;
	d->level = l;
	d->depth++;
	d->body = BODY_MARGIN;
}

static void end_opaque(struct mime_downgrade *d, enum mime_downgrade_fault f)
{
	d->body = BODY_OPAQUE;
	d->opaque_fault = f;
}

static void end_composite(struct mime_downgrade *d)
{
	end_as_7bit(d);
	if (d->type.kind == MIME_OPAQUE)
		end_opaque(d, MIME_DOWNGRADE_8BIT_OPAQUE);
	else if (buf_len(&d->boundary) == 0)
		end_opaque(d, MIME_DOWNGRADE_NO_BOUNDARY);
	else if (d->depth == MIME_DEPTH_MAX)
		end_opaque(d, MIME_DOWNGRADE_TOO_DEEP);
	else
		open_level(d);
}

void mime_header_end(struct mime_downgrade *d)
{
	end_field(d);
	d->is_in_header = false;
	if (d->type.kind == MIME_LEAF)
		end_leaf(d);
	else if (d->type.kind == MIME_MESSAGE)
		end_as_7bit(d);
	else
		end_composite(d);
}
