/* The lines of the tcp_table(5) protocol, for both sides: "get KEY" is answered by "200 VALUE",
 * "500 TEXT" or "400 TEXT". In keys and texts %XX stands for an octet. No I/O; spans point into the
 * input. */

#ifndef HOPSEAL_PROTO_TCP_TABLE_H
#define HOPSEAL_PROTO_TCP_TABLE_H

#include "base/buf.h"
#include "base/limits.h"

enum tcp_table_parse {
	TCP_TABLE_PARSE_OK,
	TCP_TABLE_PARSE_MORE, /* no whole line yet */
	TCP_TABLE_PARSE_BAD,  /* longer than TCP_TABLE_LINE_MAX, or with a NUL: hang up */
};

/* Takes one line off the front of `in`. OK: *used > 0 octets are consumed, and *line is the line
 * without its LF. MORE, BAD: nothing is consumed. */
MUST_USE enum tcp_table_parse tcp_table_take(struct str in, struct str *line, size_t *used);

enum tcp_table_status {
	TCP_TABLE_FOUND = 200,
	TCP_TABLE_TRY_LATER = 400,
	TCP_TABLE_NOT_FOUND = 500,
};

struct tcp_table_reply {
	enum tcp_table_status status;
	struct str text; /* the value, or what is wrong; in a parsed one still with its %XX */
};

/* What a line means. False: it is no reply, or no request. The key is still with its %XX. */
MUST_USE bool tcp_table_reply_parse(struct str line, struct tcp_table_reply *out);
MUST_USE bool tcp_table_request_parse(struct str line, struct str *key);
/* Appends `text` with an octet for each %XX. False: a "%" without two hexadecimal digits, a NUL, or
 * no room. */
MUST_USE bool tcp_table_decode(struct buf *out, struct str text);

/* Append a whole line, with %XX for all but the printable octets of ASCII other than "%". False: it
 * would be longer than TCP_TABLE_LINE_MAX, or there is no room; nothing was added. */
MUST_USE bool tcp_table_request_add(struct buf *out, struct str key);
MUST_USE bool tcp_table_reply_add(struct buf *out, const struct tcp_table_reply *r);

#endif
