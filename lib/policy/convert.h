/* From smtp_tls_per_site to smtp_tls_policy_maps: what an entry has to say so that nothing changes.
 * Pure. */

#ifndef HOPSEAL_POLICY_CONVERT_H
#define HOPSEAL_POLICY_CONVERT_H

#include "policy/policy.h"

/* What no level is called: an entry with it holds the mail back as an unknown keyword did. */
#define POLICY_CONVERTED_INVALID STR("invalid")

/* The value of an entry that decides for a next-hop as smtp_tls_per_site did with these answers for
 * the next-hop and for the host (NULL: not asked). "": an entry would only repeat the global
 * level. */
struct str policy_convert(const struct policy_config *cfg, const struct answer *nexthop,
			  const struct answer *host);

/* Of two such values the one that demands more; "" is the global level. */
struct str
policy_convert_stronger(const struct policy_config *cfg, struct str one, struct str other);

/* What smtp_tls_security_level has to be, so that the older parameters are not needed. */
struct str policy_global_level(const struct policy_config *cfg);

/* What an answer of smtp_tls_per_site is, with all that differs without effect left out: "MUST",
 * "no entry", "unknown keyword", "failed". */
struct str policy_per_site_class(const struct answer *answer);

#endif
