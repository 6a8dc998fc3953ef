/* Parser for SMTP replies: RFC 5321 section 4.2. No I/O.
 *
 * A line ends with CR LF. An LF alone is no line end and makes the reply bad: a peer that mixes
 * the two leaves it open which reply belongs to which command. A CR elsewhere in a line is
 * dropped. NUL is never part of a reply. */

#ifndef HOPSEAL_PROTO_SMTP_REPLY_H
#define HOPSEAL_PROTO_SMTP_REPLY_H

#include "base/buf.h"
#include "base/limits.h"
#include "mail/outcome.h"

enum smtp_parse { SMTP_PARSE_OK, SMTP_PARSE_MORE, SMTP_PARSE_BAD };

enum smtp_reply_fault {
	SMTP_REPLY_FINE,
	SMTP_REPLY_NO_CODE,       /* no 200..599, or neither "-" nor blank nor the end after it */
	SMTP_REPLY_LINE_TOO_LONG, /* SMTP_REPLY_LINE_MAX */
	SMTP_REPLY_TEXT_TOO_LONG, /* SMTP_REPLY_TEXT_MAX */
	SMTP_REPLY_CODE_CHANGED,  /* between the lines of one reply */
	SMTP_REPLY_NUL,
	SMTP_REPLY_BARE_LF,
};

/* "a reply line of more than 2048 octets": what follows "sent". */
struct str smtp_reply_fault_text(enum smtp_reply_fault f);

struct smtp_reply_line {
	int code;        /* 200..599 */
	bool is_last;    /* no "-" after the code */
	struct str text; /* borrowed from the input; without code and line end */
};

/* Takes one line off the front of `in`. OK: *line is filled and *used > 0 octets are consumed.
 * MORE: no whole line yet, nothing consumed. BAD: *fault says why; hang up. */
MUST_USE enum smtp_parse smtp_reply_parse_line(struct str in, struct smtp_reply_line *line,
					       size_t *used, enum smtp_reply_fault *fault);

/* Collects octets, in any split, into whole replies. */
struct smtp_reply_reader {
	struct buf line; /* octets of a line that has not ended yet */
	struct buf text; /* the lines so far, joined by LF */
	int code;        /* 0: no line yet */
	bool is_whole;   /* the last call gave a reply: the next one begins anew */
	enum smtp_reply_fault fault;
};

void smtp_reply_reader_init(struct smtp_reply_reader *r);
void smtp_reply_reader_fini(struct smtp_reply_reader *r);
/* No octet of a reply is waiting. */
bool smtp_reply_reader_is_idle(const struct smtp_reply_reader *r);

/* Takes octets off the front of *in up to the end of a reply. OK: r->code and r->text hold it
 * until the next call. MORE: *in is empty. BAD: r->fault says why, and every later call is BAD. */
MUST_USE enum smtp_parse smtp_reply_read(struct smtp_reply_reader *r, struct str *in);

/* The reply as data, in `a`: the enhanced status code of RFC 2034 section 4 is taken off the
 * front of each line that bears the first line's. */
struct smtp_reply smtp_reply_make(struct arena *a, int code, struct str text);

/* The octets with control octets replaced: line ends and tabs by a blank, others by "?". */
struct str smtp_reply_harmless(struct arena *a, struct str s);

/* The reply in one line for people, control octets made harmless, cut to SMTP_REASON_MAX:
 * "550 5.1.1 no such user". */
struct str smtp_reply_one_line(struct arena *a, struct smtp_reply r);

#endif
