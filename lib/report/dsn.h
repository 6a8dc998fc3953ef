/* Delivery status notifications: RFC 3464, for the requests of RFC 3461, with addresses outside
 * ASCII by RFC 6533. Pure: values in, text out. The text is a message with CRLF line ends; what is
 * returned of the original goes between the front and the end of it. */

#ifndef HOPSEAL_REPORT_DSN_H
#define HOPSEAL_REPORT_DSN_H

#include "base/buf.h"
#include "mail/outcome.h"
#include "policy/policy.h"

enum dsn_kind { DSN_FAILURE, DSN_DELAY, DSN_SUCCESS };

/* What a recipient's NOTIFY says: RFC 3461 section 4.1. "" asks for failures, and delays are the
 * sender's business too. */
bool dsn_is_wanted(struct str notify, enum dsn_kind kind);

struct dsn_rcpt {
	struct str address;
	struct str orcpt; /* "type;xtext" as in the envelope, "" for none */
	struct outcome outcome;
	bool is_expired;          /* failure: it was tried again until its time was over */
	bool is_relayed;          /* success: the next server takes no DSN requests, and this is
	                           * the last that will be heard. RFC 3461 section 5.2.2 */
	struct str advice;        /* for the sender: whose business it is; "" for none */
	int64_t last_attempt_utc; /* 0: none was made */
};

struct dsn {
	enum dsn_kind kind;
	struct str reporting_mta; /* myhostname */
	struct str from;          /* of the header: an address */
	struct str to;            /* who is told: the sender of the message, or a postmaster */
	struct str queue_id;      /* of the message that is told about */
	struct str message_id;    /* of the notification, with angle brackets */
	struct str boundary;      /* RFC 2046 section 5.1.1, in no line of the original */
	struct str sender;        /* of the message that is told about; "" is the null one */
	struct str envid;         /* in xtext, "" for none */
	int64_t now_utc, arrived_utc;
	int64_t retry_until_utc; /* DELAY: when the message is given up */
	bool is_smtputf8;        /* the original's envelope or header section needs it */
	bool is_header_only;     /* the header section alone is returned */
	bool is_copy;            /* for a postmaster, of what the sender is told */
	bool has_tls_required_no;
	const struct dsn_rcpt *rcpts; /* at least one */
	size_t n_rcpts;
};

/* For dsn_rcpt.advice, when TLS is why mail does not go: what was required of the host and who can
 * mend it, without words that only an operator knows. "" when TLS is not why. */
struct str
dsn_tls_advice(struct arena *a, const struct policy_decision *d, const struct policy_judgement *g);

/* From the first header field to where the original begins. False: the buffer's limit. */
MUST_USE bool dsn_write_front(struct buf *out, const struct dsn *d);
/* After the original, whatever its last octets are. */
MUST_USE bool dsn_write_end(struct buf *out, const struct dsn *d);

#endif
