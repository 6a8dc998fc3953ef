/* IPv4 and IPv6 addresses as values and as text. */

#ifndef HOPSEAL_MAIL_ADDRESS_H
#define HOPSEAL_MAIL_ADDRESS_H

#include "base/arena.h"

enum address_family { ADDRESS_V4, ADDRESS_V6 };

struct address {
	enum address_family family;
	uint8_t octets[16]; /* network order; V4 uses the first four */
};

/* "192.0.2.1", "2001:db8::1" (RFC 5952). */
struct str address_text(struct arena *a, const struct address *addr);

/* The whole text is one address: no brackets, "ipv6:", zone or blanks. IPv6 in any spelling of RFC
 * 4291 section 2.2. IPv4 only as four decimal numbers without leading zeros: others read "010" as
 * eight, and what is ambiguous is refused (RFC 6943 section 3.1.1). */
MUST_USE bool address_parse(struct str text, struct address *out);

bool address_eq(const struct address *a, const struct address *b);

#endif
