/* The two header fields that say what a body is: Content-Type and Content-Transfer-Encoding.
 * RFC 2045 sections 5.1 and 6.1. No I/O, no allocation. */

#ifndef HOPSEAL_PROTO_MIME_FIELD_H
#define HOPSEAL_PROTO_MIME_FIELD_H

#include "base/str.h"

enum mime_kind {
	MIME_LEAF,
	MIME_MULTIPART,
	MIME_MESSAGE, /* message/rfc822: a header section follows */
	MIME_OPAQUE,  /* must be 7bit and cannot be encoded: RFC 2046 sections 5.2.2 and 5.2.3 */
};

struct mime_type {
	enum mime_kind kind;
	bool is_digest;      /* parts are message/rfc822 unless they say otherwise */
	struct str boundary; /* as written, borrowed; "" when there is none */
	bool has_escapes;    /* the boundary is quoted and has "\" in it */
};

enum mime_encoding {
	MIME_7BIT, /* also when the field is absent */
	MIME_8BIT, /* 8bit and binary */
	MIME_QUOTED_PRINTABLE,
	MIME_BASE64,
	MIME_UNKNOWN,
};

/* `value` is what follows the colon, folded as it may be, line ends in it. What cannot be read is
 * a leaf. */
struct mime_type mime_type_parse(struct str value);
enum mime_encoding mime_encoding_parse(struct str value);

#endif
