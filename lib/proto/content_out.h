/* A message on its way out by DATA: CRLF line ends, dot-stuffing, line length, end of data.
 * RFC 5321 sections 2.3.8, 4.1.1.4, 4.5.2 and 4.5.3.1.6. No I/O, no memory of its own.
 *
 * What comes in has LF or CRLF line ends, mixed as they may be. What goes out is safe from
 * smuggling whatever came in: every CR is followed by an LF and every LF preceded by a CR, a
 * line that begins with "." begins with "..", and CRLF "." CRLF is written by content_out_end
 * only. A CR that is not followed by an LF is sent as a blank: kept, it would be a line end to
 * some servers and none to others, and made a CRLF it would split the author's line, which in a
 * header section makes a field out of text. A NUL passes; RFC 5321 leaves it to the receiver. */

#ifndef HOPSEAL_PROTO_CONTENT_OUT_H
#define HOPSEAL_PROTO_CONTENT_OUT_H

#include "base/buf.h"

struct content_out {
	size_t line_limit; /* octets of a line without its end and the stuffed dot; 0: none */
	size_t column;     /* octets of the line so far */
	bool is_after_cr;  /* a CR waits to see whether an LF follows */
};

/* A line over the limit is broken by CRLF and a blank (smtp_line_length_limit); a limit of 1..7
 * counts as 8. */
void content_out_init(struct content_out *c, size_t line_limit);

/* At most this many octets come out of `n`, whatever they are. */
#define CONTENT_OUT_MAX(n) (4 * (n) + 8)

/* Takes all of `in` and adds to `out`. False when out's limit was reached: give up. */
MUST_USE bool content_out_feed(struct content_out *c, struct str in, struct buf *out);

/* The last line gets its line end if it has none; then "." CRLF. An empty message has no lines. */
MUST_USE bool content_out_end(struct content_out *c, struct buf *out);

#endif
