/* Writes quoted-printable: RFC 2045 section 6.7. Octets in any split; no memory of its own. */

#ifndef HOPSEAL_PROTO_MIME_QP_H
#define HOPSEAL_PROTO_MIME_QP_H

#include "base/buf.h"

struct mime_qp {
	size_t column;
	char blank; /* a blank or tab that waits to see whether it ends the line; 0: none */
};

void mime_qp_init(struct mime_qp *q);

/* At most this many octets come out of `n`. */
#define MIME_QP_MAX(n) (4 * (n) + 8)

/* Text within a line: CR and LF in it become "=0D" and "=0A". False: out's limit. */
MUST_USE bool mime_qp_text(struct mime_qp *q, struct str text, struct buf *out);
/* Ends the line with `end`, which is LF, CRLF, or "" at the end of the last one. */
MUST_USE bool mime_qp_line_end(struct mime_qp *q, struct str end, struct buf *out);

#endif
