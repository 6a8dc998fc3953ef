/* Names of the mail world: host names, next-hop destinations, addresses. RFC 5321 section 4.1.2,
 * transport(5) destination forms. Spans point into the argument unless an arena is named. */

#ifndef HOPSEAL_MAIL_NEXTHOP_H
#define HOPSEAL_MAIL_NEXTHOP_H

#include "base/arena.h"

/* A valid host name: 1..255 octets, labels of 1..63 letters, digits, "_" and "-" that do not begin
 * or end with "-", at least one label not all digits, no trailing dot. ASCII only. */
bool domain_is_hostname(struct str name);
bool domain_is_ascii(struct str name);

/* To A-labels (RFC 5891, UTS #46 non-transitional, as Postfix). ASCII input is returned as it is.
 * False when the name cannot be converted. */
MUST_USE bool domain_to_ascii(struct arena *a, struct str name, struct str *out);
/* Full Unicode case folding for table keys; invalid UTF-8 falls back to A-Z. */
struct str domain_fold(struct arena *a, struct str name);
/* As domain_is_hostname, and with is_utf8_ok also a U-label name whose A-labels are. */
bool domain_is_hostname_utf8(struct str name, bool is_utf8_ok);

bool domain_is_address_literal(struct str text); /* bare IPv4 or IPv6 address, no brackets */

struct nexthop {
	struct str text;    /* verbatim: the table key */
	struct str domain;  /* without brackets, "ipv6:" and port */
	struct str service; /* the port part as text, empty when none */
	uint16_t port;      /* the number; `default_port` when the text has none */
	bool is_bracketed;  /* no MX lookup */
	bool is_address;    /* domain is an IPv4 or IPv6 address */
};

enum nexthop_parse {
	NEXTHOP_OK,
	NEXTHOP_BAD_SYNTAX,  /* brackets, empty, trailing dot, not a host name or address */
	NEXTHOP_BAD_SERVICE, /* unknown service name, or port outside 1..65535 */
};

/* Well-known service names only (smtp, smtps, submission, submissions, lmtp, lower case): others
 * would need the system's database; the caller may resolve nexthop.service itself on
 * NEXTHOP_BAD_SERVICE. `text` must outlive *out. */
MUST_USE enum nexthop_parse
nexthop_parse(struct str text, uint16_t default_port, bool is_utf8_ok, struct nexthop *out);

/* A mailbox split at the last "@" outside quotes; RFC 5321 section 4.1.2. */
struct mailbox {
	struct str local;  /* as written, quotes included */
	struct str domain; /* "" when there is none */
};

/* False on an empty local part (other than "<>"), control octets, unbalanced quotes, or a part
 * over its RFC 5321 section 4.5.3.1 length. Takes the text without angle brackets. */
MUST_USE bool mailbox_parse(struct str text, struct mailbox *out);

#endif
