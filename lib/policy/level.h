/* TLS level names of main.cf and of tables. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_LEVEL_H
#define HOPSEAL_POLICY_LEVEL_H

#include "policy/policy.h"

/* none, may, encrypt, fingerprint, dane, dane-only, verify, secure, in any case. Nothing else. */
MUST_USE bool policy_level_parse(struct str text, enum tls_level *out);

#endif
