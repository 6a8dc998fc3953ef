/* What becomes of a recipient, as data: RFC 3463 status, RFC 5321 replies. */

#ifndef HOPSEAL_MAIL_OUTCOME_H
#define HOPSEAL_MAIL_OUTCOME_H

#include "base/arena.h"

/* x.y.z of RFC 3463. */
struct status {
	uint8_t class; /* 2, 4, 5; 0: none given */
	uint16_t subject, detail;
};

#define STATUS(c, s, d) ((struct status){ (c), (s), (d) })

/* Reads an enhanced status code at the front of a reply text (RFC 2034 section 4); the class must
 * agree with `code`'s first digit. *rest is what follows it. */
MUST_USE bool status_parse(struct str text, int code, struct status *out, struct str *rest);
struct str status_text(struct arena *a, struct status s); /* "4.7.5" */

/* One whole reply of a peer. */
struct smtp_reply {
	int code;             /* 200..599 */
	struct status status; /* class 0 when the peer gave none */
	struct str text;      /* lines joined by LF, without codes and CRs; octets as received */
};

enum outcome_kind {
	OUTCOME_DELIVERED,
	OUTCOME_DEFERRED, /* try again later */
	OUTCOME_BOUNCED,  /* permanent failure */
};

struct outcome {
	enum outcome_kind kind;
	struct status status;
	struct str reason;       /* one line for people, never empty */
	struct str remote_host;  /* server that said so, "" when the verdict is ours */
	struct smtp_reply reply; /* code 0: no reply stands behind this */
};

struct outcome outcome_copy(struct arena *a, const struct outcome *o);
struct str outcome_kind_name(enum outcome_kind k); /* "delivered", "deferred", "bounced" */

#endif
