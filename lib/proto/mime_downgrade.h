/* Converts a message with 8-bit octets for a server without 8BITMIME: RFC 6152 section 3, by the
 * structure of RFC 2045 and 2046. Streaming, no I/O; what is held is bounded by limits.h.
 *
 * What is done:
 *  - A leaf part of 8bit or binary encoding becomes quoted-printable; one that says 7bit, or
 *    nothing, becomes so if octets above 127 are found in it, or if it is too long to look through.
 *    (Postfix converts what says 8bit and sends what lies about it as it is.) Others stay, octet by
 *    octet.
 *  - multipart and message/rfc822 are descended into and become 7bit themselves.
 *  - A part without Content-Type that has 8-bit octets is labelled text/plain with the charset
 *    unknown-8bit, and a message without MIME-Version gets one: RFC 1428 sections 2 and 3.
 *  - Octets above 127 in the preamble and epilogue of a multipart, which nobody is to read
 *    (RFC 2046 section 5.1.1), become "?"; in a quoted-printable part, where they are an error,
 *    they are encoded; in base64, where they are to be ignored, they become "?".
 *
 * What cannot be done, and is a fault:
 *  - Octets above 127 in a header section, of the message or of a part. Encoded words (RFC 2047)
 *    need the charset, which is not known, and are not allowed everywhere. (Postfix sends them.)
 *  - Octets above 127 in message/partial, message/external-body and other message types that may
 *    not be encoded (RFC 2046 section 5.2), in an unknown encoding, in a multipart without a
 *    boundary.
 *  - Multiparts nested deeper than MIME_DEPTH_MAX.
 *
 * A signature over a converted part does not hold any more: the parts of multipart/signed were to
 * be 7-bit from the start (RFC 1847 section 2.1), and DKIM knows that this happens (RFC 6376
 * section 5.3). The alternative would be to bounce; Postfix and others convert, and so do we. */

#ifndef HOPSEAL_PROTO_MIME_DOWNGRADE_H
#define HOPSEAL_PROTO_MIME_DOWNGRADE_H

#include "base/buf.h"
#include "base/limits.h"

enum mime_downgrade_fault {
	MIME_DOWNGRADE_FINE,
	MIME_DOWNGRADE_8BIT_HEADER,
	MIME_DOWNGRADE_8BIT_OPAQUE,
	MIME_DOWNGRADE_8BIT_UNKNOWN_ENCODING,
	MIME_DOWNGRADE_NO_BOUNDARY,
	MIME_DOWNGRADE_TOO_DEEP,
	MIME_DOWNGRADE_FULL, /* out's limit was reached */
};

struct mime_downgrade;

MUST_USE struct mime_downgrade *mime_downgrade_new(void);
void mime_downgrade_free(struct mime_downgrade *d);

/* At most this many octets are added to `out` by a call with `n`. */
#define MIME_DOWNGRADE_MAX(n) (4 * ((n) + 2 * MIME_PEEK_MAX))

/* Takes all of `in`, a message with LF or CRLF line ends in any split; what comes out has line
 * ends of either kind too. After a fault every call gives that fault. */
MUST_USE enum mime_downgrade_fault
mime_downgrade_feed(struct mime_downgrade *d, struct str in, struct buf *out);
MUST_USE enum mime_downgrade_fault mime_downgrade_end(struct mime_downgrade *d, struct buf *out);

/* "a header section has 8-bit octets, which cannot be converted" */
struct str mime_downgrade_fault_text(enum mime_downgrade_fault f);

#endif
