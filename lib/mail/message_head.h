/* The header section of a message on its way in: fields that are to go are taken out, those that
 * are missing are put in at its end, Received: fields are counted. Octets in with CRLF line ends,
 * in any split, and octets out; the body passes as it is. */

#ifndef HOPSEAL_MAIL_MESSAGE_HEAD_H
#define HOPSEAL_MAIL_MESSAGE_HEAD_H

#include "base/buf.h"

#define MESSAGE_HEAD_NAME_MAX 128 /* octets before the colon; a longer one begins the body */

#define MESSAGE_HEAD_ID_MAX 256 /* octets of a Message-ID that are looked at */

/* Borrowed as long as the message_head. */
struct message_head_options {
	struct str dropped; /* names of fields, separated by blanks or commas */
	bool adds_missing;
	struct str date, message_id, from; /* values of what may be missing; at most 1 KiB each */
};

struct message_head {
	unsigned n_received; /* fields so far */
	size_t id_n;         /* of the Message-ID as it is kept, or of its beginning */
	char id[MESSAGE_HEAD_ID_MAX];

	/* private */
	const struct message_head_options *o;
	unsigned seen;
	bool is_in_body, is_in_line, is_first, is_dropping, is_in_id;
	size_t hold_n;
	char hold[MESSAGE_HEAD_NAME_MAX];
};

void message_head_init(struct message_head *h, const struct message_head_options *o);

/* At most so many octets come out of `n`, over what earlier calls held back. */
#define MESSAGE_HEAD_MAX(n) ((n) + 4 * 1024)

/* `out` must have room for MESSAGE_HEAD_MAX(in.n). */
void message_head_feed(struct message_head *h, struct str in, struct buf *out);
void message_head_end(struct message_head *h, struct buf *out);

#endif
