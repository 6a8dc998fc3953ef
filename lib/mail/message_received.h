/* The trace field of a message that is taken in: RFC 5321 section 4.4, with the protocols of RFC
 * 3848 and RFC 6531. */

#ifndef HOPSEAL_MAIL_MESSAGE_RECEIVED_H
#define HOPSEAL_MAIL_MESSAGE_RECEIVED_H

#include "base/buf.h"
#include "mail/address.h"

/* How the message came. */
struct message_protocol {
	bool is_lmtp, is_esmtp, is_smtputf8, is_tls, is_authenticated;
};

/* "ESMTPSA", "UTF8LMTPS" ... */
struct str message_protocol_name(struct message_protocol p);

struct message_received {
	struct str helo;              /* as the client said it; "" when it did not */
	const struct address *client; /* NULL: over a UNIX-domain socket */
	struct str host;              /* what it is called; "": nobody knows for sure */
	struct str hostname, product; /* ours */
	struct message_protocol protocol;
	struct str id;
	struct str tls_protocol, tls_cipher; /* "": not told */
	unsigned tls_bits;
	struct str user; /* authenticated; "": not told */
	struct str rcpt; /* "": more than one, or not told */
	int64_t at_utc_s;
};

#define MESSAGE_RECEIVED_MAX 4096

/* "Received: ... CRLF", in lines of less than 998 octets whatever the client said. `out` must have
 * room for MESSAGE_RECEIVED_MAX. */
void message_received_text(struct buf *out, const struct message_received *r);

/* The same of a message that a user of this machine handed over: hostname, product, id ("": it has
 * none yet) and time are looked at. */
void message_received_local_text(struct buf *out, const struct message_received *r,
				 unsigned userid);

#endif
