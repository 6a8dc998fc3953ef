/* Host names and domains: RFC 1123 section 2.1, RFC 5890. */

#ifndef HOPSEAL_MAIL_DOMAIN_H
#define HOPSEAL_MAIL_DOMAIN_H

#include "base/arena.h"

/* A valid host name: 1..255 octets, labels of 1..63 letters, digits, "_" and "-" that do not begin
 * or end with "-", at least one letter or "_", no trailing dot. ASCII only. */
bool domain_is_hostname(struct str name);
bool domain_is_ascii(struct str name);
bool domain_is_utf8(struct str text); /* RFC 3629; ASCII is */

/* To A-labels (RFC 5891, UTS #46 non-transitional, as Postfix). ASCII input is returned as it is.
 * False when the name cannot be converted, or what comes out is no valid host name. */
MUST_USE bool domain_to_ascii(struct arena *a, struct str name, struct str *out);
/* Full Unicode case folding for table keys; invalid UTF-8 falls back to A-Z. */
struct str domain_fold(struct arena *a, struct str name);
/* As domain_is_hostname, and with is_utf8_ok also a U-label name whose A-labels are. */
bool domain_is_hostname_utf8(struct str name, bool is_utf8_ok);

/* A bare IPv4 or IPv6 address that can be a destination: no brackets, and of 0.0.0.0/8 only
 * 0.0.0.0 itself. */
bool domain_is_address_literal(struct str text);

#endif
