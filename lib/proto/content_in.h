/* A message on its way in: line ends, and by DATA the end of data and dot-unstuffing. RFC 5321
 * sections 4.1.1.4, 4.5.2 and 2.3.8. No I/O, no memory of its own.
 *
 * Data ends at CRLF "." CRLF and nowhere else; the CRLF of the DATA command's own line counts as
 * the first. A bare LF is made CRLF and a bare CR a blank, and is told, so that the caller may
 * refuse the message. A line that begins after a bare LF cannot end the data, nor is its dot one
 * that a sender has stuffed who took the LF for no line end. */

#ifndef HOPSEAL_PROTO_CONTENT_IN_H
#define HOPSEAL_PROTO_CONTENT_IN_H

#include "base/buf.h"

enum content_in_place {
	CONTENT_IN_LINE_START,
	CONTENT_IN_DOT,    /* "." at the start of a line */
	CONTENT_IN_DOT_CR, /* ... and CR */
	CONTENT_IN_TEXT,
	CONTENT_IN_CR, /* CR after text */
	CONTENT_IN_END,
};

struct content_in {
	enum content_in_place place;
	bool keeps_dots; /* BDAT, RFC 3030: the end is where the caller says */
	bool has_bare_newline;
};

void content_in_init(struct content_in *c);

/* For chunks: feed takes all there is, however it is cut, and never sees an end. */
void content_in_init_chunks(struct content_in *c);
/* After the last chunk: the last line gets an end if it has none. Two octets of room. */
void content_in_end_chunks(struct content_in *c, struct buf *out);

/* At most this many octets come out of `n`. */
#define CONTENT_IN_MAX(n) (2 * (n) + 2)

/* Takes octets off the front of *in, all or up to the end of data, and adds the message to `out`.
 * True when the end of data was taken. `out` must have room for CONTENT_IN_MAX(in->n). */
bool content_in_feed(struct content_in *c, struct str *in, struct buf *out);

#endif
