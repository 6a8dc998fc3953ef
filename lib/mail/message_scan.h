/* What a message must be known for before it is sent: one pass over its octets in any split,
 * no copy kept. Line ends may be LF or CRLF; the size is counted as it goes over the wire. */

#ifndef HOPSEAL_MAIL_MESSAGE_SCAN_H
#define HOPSEAL_MAIL_MESSAGE_SCAN_H

#include "base/str.h"

#define MESSAGE_SCAN_FIELD_MAX 128 /* as much of a header field as is looked at */

struct message_scan {
	/* the answers, final after message_scan_end */
	uint64_t size_octets; /* with CRLF line ends, without dot-stuffing (RFC 1870 section 3) */
	bool is_8bit;         /* an octet above 127 anywhere */
	bool has_8bit_header; /* an octet above 127 in the header section */
	bool is_header_utf8;  /* ... and all of the header section is valid UTF-8 (RFC 6532) */
	bool has_nul;         /* RFC 5321 section 4.5.2 forbids it */
	bool has_tls_required_no; /* one TLS-Required field, saying No: RFC 8689 section 3 */

	/* private */
	bool is_in_body, is_after_cr, is_line_empty, is_line_8bit;
	bool is_folded;    /* this line goes on with the field of the one before */
	bool is_field_cut; /* there is more of the field than `field` holds */
	unsigned n_tls_required, utf8_left;
	uint32_t utf8_code, utf8_min;
	size_t field_n;
	char field[MESSAGE_SCAN_FIELD_MAX]; /* unfolded; RFC 5322 section 2.2.3 */
};

void message_scan_init(struct message_scan *m);
void message_scan_feed(struct message_scan *m, struct str in);
void message_scan_end(struct message_scan *m);

/* Takes the front of a header field apart; RFC 5322 section 2.2, its section 4.5 for blanks before
 * the colon. False: this line is no field. */
MUST_USE bool message_field_cut(struct str line, struct str *name, struct str *value);

#endif
