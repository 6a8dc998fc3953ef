/* What EHLO announces, as bits: RFC 5321 section 4.1.1.1. Both engines speak of them. */

#ifndef HOPSEAL_PROTO_SMTP_EXTENSION_H
#define HOPSEAL_PROTO_SMTP_EXTENSION_H

#include "base/str.h"

enum smtp_dialect { SMTP_DIALECT_SMTP, SMTP_DIALECT_LMTP };

enum smtp_extension {
	SMTP_EXT_EHLO = 1 << 0,                /* the peer speaks ESMTP at all */
	SMTP_EXT_PIPELINING = 1 << 1,          /* RFC 2920 */
	SMTP_EXT_SIZE = 1 << 2,                /* RFC 1870 */
	SMTP_EXT_8BITMIME = 1 << 3,            /* RFC 6152 */
	SMTP_EXT_SMTPUTF8 = 1 << 4,            /* RFC 6531 */
	SMTP_EXT_ENHANCEDSTATUSCODES = 1 << 5, /* RFC 2034 */
	SMTP_EXT_DSN = 1 << 6,                 /* RFC 3461 */
	SMTP_EXT_STARTTLS = 1 << 7,            /* RFC 3207 */
	SMTP_EXT_CHUNKING = 1 << 8,            /* RFC 3030 */
	SMTP_EXT_REQUIRETLS = 1 << 9,          /* RFC 8689 */
	SMTP_EXT_AUTH = 1 << 10,               /* RFC 4954 */
	SMTP_EXT_GARBLED = 1 << 11,            /* "XXXXXXXA": a box on the way strips STARTTLS */
};

/* One keyword of an EHLO reply in any case; 0: not one of ours. */
unsigned smtp_extension_of(struct str keyword);
/* The keyword of one bit: "8BITMIME". */
struct str smtp_extension_name(enum smtp_extension bit);

#endif
