/* Base 64 as SMTP's AUTH and SASL speak it: RFC 4648 section 4, with padding and nothing else. */

#ifndef HOPSEAL_BASE_BASE64_H
#define HOPSEAL_BASE_BASE64_H

#include "base/arena.h"

struct str base64_encode(struct arena *a, struct str octets);
/* False on any octet outside the alphabet, missing padding, or bits that padding should have left
 * zero (RFC 4648 sections 3.3 and 3.5). "" is the empty text. */
MUST_USE bool base64_decode(struct arena *a, struct str text, struct str *out);

#endif
