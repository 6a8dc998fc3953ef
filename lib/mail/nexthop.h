/* Next-hop destinations, in the forms of transport(5). Spans point into the argument. */

#ifndef HOPSEAL_MAIL_NEXTHOP_H
#define HOPSEAL_MAIL_NEXTHOP_H

#include "mail/domain.h"
#include "mail/mailbox.h"

struct nexthop {
	struct str text;    /* verbatim: the table key */
	struct str domain;  /* without brackets, "ipv6:" and port */
	struct str service; /* the port part as text, empty when none */
	uint16_t port;      /* the number; `default_port` when the text has none */
	bool is_bracketed;  /* no MX lookup */
	bool is_address;    /* domain is an IPv4 or IPv6 address */
	struct str problem; /* what is wrong with the text, a phrase for people; "" when OK */
};

enum nexthop_parse {
	NEXTHOP_OK,
	NEXTHOP_BAD_SYNTAX,  /* brackets, empty, trailing dot, not a host name or address */
	NEXTHOP_BAD_SERVICE, /* unknown service name, or port outside 1..65535 */
};

/* [host], [host]:port, host, host:port. Well-known service names only (smtp, smtps, submission,
 * submissions, lmtp, lower case): others would need the system's database; the caller may resolve
 * nexthop.service itself on NEXTHOP_BAD_SERVICE, when all fields but `port` are filled. A domain
 * longer than NEXTHOP_MAX is none. `text` must outlive *out. */
MUST_USE enum nexthop_parse
nexthop_parse(struct str text, uint16_t default_port, bool is_utf8_ok, struct nexthop *out);

#endif
