/* Certificate digests as main.cf writes them. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_FINGERPRINT_H
#define HOPSEAL_POLICY_FINGERPRINT_H

#include "policy/trace.h"

/* Hex digit pairs with single colons between pairs, at most 192 octets; *out is lower case without
 * colons. */
MUST_USE bool policy_fingerprint_parse(struct arena *a, struct str text, struct str *out);

/* Those of the pieces that are fingerprints. Malformed ones are named in the trace and left out. */
const struct str *
policy_fingerprints(struct policy_trace *t, const struct str *pieces, size_t n_pieces, size_t *n);
/* A list split at commas and blanks. */
const struct str *policy_fingerprint_list(struct policy_trace *t, struct str text, size_t *n);

#endif
