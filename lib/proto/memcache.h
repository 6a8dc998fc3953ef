/* The part of memcached's text protocol that a lookup needs: "get KEY" and its reply. No I/O; spans
 * point into the input. */

#ifndef HOPSEAL_PROTO_MEMCACHE_H
#define HOPSEAL_PROTO_MEMCACHE_H

#include "base/buf.h"

#define MEMCACHE_KEY_MAX 250 /* octets; the server takes no more */

/* Whether there can be such a key: 1 to MEMCACHE_KEY_MAX octets, no blanks or controls. */
bool memcache_is_key(struct str key);

/* Appends the request for a key. False: there is no room, and nothing was added. */
MUST_USE bool memcache_get_add(struct buf *out, struct str key);

struct memcache_limits {
	size_t line_max;  /* octets of a line with its CRLF */
	size_t value_max; /* octets of a value */
};

enum memcache_parse {
	MEMCACHE_PARSE_FOUND,
	MEMCACHE_PARSE_NONE,
	MEMCACHE_PARSE_ERROR,    /* the server says that it is in trouble; `text` */
	MEMCACHE_PARSE_MORE,     /* no whole reply yet */
	MEMCACHE_PARSE_TOO_LONG, /* the value is longer than allowed: hang up */
	MEMCACHE_PARSE_BAD,      /* not a reply to this request: hang up */
};

struct memcache_reply {
	struct str value; /* FOUND */
	struct str text;  /* ERROR: the line */
};

/* The reply to "get KEY" at the front of `in`. With FOUND, NONE and ERROR *used octets are
 * consumed. A value for another key is BAD. */
MUST_USE enum memcache_parse memcache_take(struct str in, struct str key,
					   const struct memcache_limits *limits,
					   struct memcache_reply *out, size_t *used);

#endif
