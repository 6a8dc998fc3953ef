/* What the files of the conversion share; nobody else includes this.
 *
 *	mime_downgrade.c         lines, boundaries, the door
 *	mime_downgrade_header.c  a header section, and what it makes of the body
 *	mime_downgrade_body.c    a body */

#ifndef HOPSEAL_PROTO_MIME_DOWNGRADE_INSIDE_H
#define HOPSEAL_PROTO_MIME_DOWNGRADE_INSIDE_H

#include "proto/mime_downgrade.h"
#include "proto/mime_field.h"
#include "proto/mime_qp.h"

enum { MIME_LINE_MAX = 2 * MIME_BOUNDARY_MAX };

/* A line, or some of one that is longer than MIME_LINE_MAX. */
struct mime_piece {
	struct str text; /* without line end */
	struct str end;  /* LF, CRLF or "" */
	bool is_first, is_last;
};

/* A multipart that is open. */
struct mime_level {
	struct mime_level *outer;
	bool is_digest;
	size_t n;
	char boundary[];
};

enum mime_field_kind { FIELD_NONE, FIELD_OTHER, FIELD_TYPE, FIELD_ENCODING };

enum mime_body {
	BODY_AS_IS,  /* quoted-printable, base64, or an encoding that we do not know */
	BODY_PEEK,   /* says 7bit: held until that is known to be true or false */
	BODY_QP,     /* becomes quoted-printable */
	BODY_MARGIN, /* preamble or epilogue */
	BODY_OPAQUE,
};

struct mime_downgrade {
	enum mime_downgrade_fault fault;
	struct buf *out;
	struct buf line;
	bool is_continued; /* the line has given a piece already */

	bool is_in_header;

	/* the header section */
	bool is_of_message; /* the header of a message, not of a part */
	bool has_version, has_type;
	bool is_default_message; /* a part of multipart/digest */
	enum mime_field_kind field_kind;
	struct buf field;
	struct mime_type type; /* without its boundary */
	struct buf boundary;
	enum mime_encoding encoding;

	/* what is held back: an encoding field that says 7bit, or none; what follows it in the
	 * header section; the body so far */
	bool is_holding;
	struct buf held_encoding, held_head, held_body;

	/* the body */
	enum mime_body body;
	enum mime_downgrade_fault opaque_fault;
	struct mime_qp qp;

	struct mime_level *level;
	size_t depth;
};

bool mime_has_8bit(struct str s);
void mime_fail(struct mime_downgrade *d, enum mime_downgrade_fault f);
/* To the output. */
void mime_emit(struct mime_downgrade *d, struct str s);
/* The same with "?" for octets above 127. */
void mime_emit_7bit(struct mime_downgrade *d, struct str s);

/* mime_downgrade_header.c */
void mime_header_begin(struct mime_downgrade *d, bool is_of_message, bool is_default_message);
/* False: the piece is no part of the header section, which has ended before it. */
bool mime_header_piece(struct mime_downgrade *d, struct mime_piece p);
void mime_header_end(struct mime_downgrade *d);
/* The fields that say what a body became. */
void mime_header_label(struct mime_downgrade *d);

/* mime_downgrade_body.c */
void mime_body_piece(struct mime_downgrade *d, struct mime_piece p);
void mime_body_end(struct mime_downgrade *d);

#endif
