/* The parts of `hopseal check` that follow a configuration to what it comes to, by the code that
 * delivers. Inside check*.c only. */

#ifndef HOPSEAL_CMD_CHECK_INSIDE_H
#define HOPSEAL_CMD_CHECK_INSIDE_H

#include "conf/conf.h"
#include "policy/lint.h"
#include "policy/policy.h"
#include "route/route.h"
#include "table/table.h"
#include "tls/tls.h"

/* Where findings go. What `found` is given lives in the arena, in `conf`, or is a literal. */
struct check_to {
	struct arena *arena;
	void (*found)(void *arg, const struct conf_finding *f);
	void *arg;
};

/* Transports that are not there and next-hops that cannot be used, in transport_maps (may be NULL)
 * and in the parameters. */
void cmd_check_routes(const struct check_to *to, const struct conf *conf,
		      const struct route_config *cfg, const struct table_set *transport_maps);

struct check_entries {
	const struct policy_lint_entry *v;
	size_t n;
};

/* Settings under which TLS cannot start or no certificate is good enough: at the global level, at
 * those that the entries of the per-site table ask for, and of each entry of the policy tables. */
void cmd_check_tls(const struct check_to *to, const struct conf *conf,
		   const struct policy_config *cfg, struct tls_client *tls,
		   const struct check_entries *per_site, const struct check_entries *maps);

#endif
