/* The messages of the socketmap protocol (socketmap_table(5)), for both sides. Each is a netstring:
 * its length in decimal, ":", that many octets, ",". No I/O, no allocation: spans point into the
 * input. */

#ifndef HOPSEAL_PROTO_SOCKETMAP_H
#define HOPSEAL_PROTO_SOCKETMAP_H

#include "base/buf.h"
#include "base/limits.h"

enum socketmap_parse {
	SOCKETMAP_PARSE_OK,
	SOCKETMAP_PARSE_MORE, /* no whole message yet */
	SOCKETMAP_PARSE_BAD,  /* not a netstring, or longer than allowed: hang up */
};

/* Takes one message off the front of `in`. OK: *used > 0 octets are consumed, and *payload is what
 * they carry, `max` octets at most. MORE, BAD: nothing is consumed. */
MUST_USE enum socketmap_parse
socketmap_take(struct str in, size_t max, struct str *payload, size_t *used);

struct socketmap_request {
	struct str map; /* without blanks */
	struct str key; /* any octets, blanks too */
};

enum socketmap_status {
	SOCKETMAP_FOUND,     /* "OK" */
	SOCKETMAP_NOT_FOUND, /* "NOTFOUND" */
	SOCKETMAP_TEMP,
	SOCKETMAP_TIMEOUT,
	SOCKETMAP_PERM,
};

struct socketmap_reply {
	enum socketmap_status status;
	struct str text; /* the value, or what is wrong */
};

/* What a payload means. False: it is none. A status alone will do, as it does for Postfix. */
MUST_USE bool socketmap_request_parse(struct str payload, struct socketmap_request *out);
MUST_USE bool socketmap_reply_parse(struct str payload, struct socketmap_reply *out);

/* Append a whole message. False: there is no room, and nothing was added. */
MUST_USE bool socketmap_request_add(struct buf *out, const struct socketmap_request *r);
MUST_USE bool socketmap_reply_add(struct buf *out, const struct socketmap_reply *r);

#endif
