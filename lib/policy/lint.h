/* What is wrong with the entries of the policy tables. Of smtp_tls_per_site also though they parse:
 * keys that cannot match, keys that match another thing than they look like. Pure. */

#ifndef HOPSEAL_POLICY_LINT_H
#define HOPSEAL_POLICY_LINT_H

#include "base/arena.h"
#include "conf/conf.h"

struct policy_lint_entry {
	struct str key, value; /* key with A-Z lowered */
	struct str file;
	unsigned line;
};

/* What the routing of this configuration can make a next-hop of. */
struct policy_lint_routes {
	const struct str *nexthops; /* verbatim, of transport_maps, relayhost, *_transport */
	size_t n;
	bool has_any_domain; /* mail may also go to the recipient's own domain */
	bool has_more;       /* and to next-hops that nobody can list */
};

/* Findings in the order of the entries; in the arena. */
struct conf_findings policy_lint_per_site(struct arena *a, const struct policy_lint_entry *entries,
					  size_t n, const struct policy_lint_routes *routes);
/* Values of smtp_tls_policy_maps that do not parse, with the reason. */
struct conf_findings
policy_lint_maps(struct arena *a, const struct policy_lint_entry *entries, size_t n);

#endif
