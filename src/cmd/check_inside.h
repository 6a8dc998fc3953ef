/* The parts of `hopseal check` that follow a configuration to what it comes to, by the code that
 * delivers. Inside check*.c only. */

#ifndef HOPSEAL_CMD_CHECK_INSIDE_H
#define HOPSEAL_CMD_CHECK_INSIDE_H

#include "conf/conf.h"
#include "dns/dns.h"
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
	int64_t now_at, within_s; /* certificates that end within so long are found */
};

/* A finding about a parameter, at its line. */
struct conf_finding check_param_finding(const struct conf *conf, enum conf_id id,
					enum conf_severity severity, struct str code);

/* ---- the report ---- */

struct check_findings {
	const struct conf_finding *v;
	size_t n;
};

/* False: it was cut. */
MUST_USE bool check_report_json(struct buf *out, const struct check_findings *f, int status);
/* Nothing when there is nothing to say, unless is_verbose. */
MUST_USE bool check_report_text(struct buf *out, const struct check_findings *f, bool is_verbose);
size_t check_count(const struct check_findings *f, enum conf_severity severity);

/* ---- tables ---- */

struct check_entries {
	struct policy_lint_entry *v;
	size_t n, room;
};

/* The policy tables and where mail goes. */
struct check_tables {
	struct arena *arena; /* the entries' texts: some types of tables lend them for the call */
	struct check_entries per_site, maps;
	struct policy_lint_site site;
	struct policy_lint_routes *routes;
};

/* `cfg` may be NULL. */
void check_tables_init(struct check_tables *t, const struct conf *conf, const struct tables *tables,
		       const struct policy_config *cfg);
void check_tables_fini(struct check_tables *t);
/* What the entries say, as far as it can be told from them and the routing. `cfg` may be NULL. */
void check_tables_lint(const struct check_to *to, const struct check_tables *t,
		       const struct conf *conf, const struct policy_config *cfg);
/* What table_options.found is told, as a finding. */
struct conf_finding check_table_finding(struct arena *a, const struct table_finding *t);

/* ---- what delivery would open ---- */

/* Transports that are not there and next-hops that cannot be used, in transport_maps (may be NULL)
 * and in the parameters. */
void check_routes(const struct check_to *to, const struct conf *conf,
		  const struct route_config *cfg, const struct table_set *transport_maps);

/* Settings under which TLS cannot start or no certificate is good enough: at the global level, at
 * those that the entries of the per-site table ask for, and of each entry of the policy tables. */
void check_tls(const struct check_to *to, const struct conf *conf, const struct policy_config *cfg,
	       struct tls_client *tls, const struct check_tables *t);

/* The files of CAs and of the client's own certificate. False: delivery could not start. */
MUST_USE bool check_files(const struct check_to *to, const struct conf *conf);
/* smtp_tls_CApath, which is there. */
void check_ca_folder(const struct check_to *to, const struct conf *conf);
/* Dates of what a trust anchor file holds; `f` has place and parameter. */
void check_anchor_dates(const struct check_to *to, struct str path, const struct conf_finding *f);

/* Logging in at servers. What `smtp` and `lmtp` are may be NULL. */
void check_login(const struct check_to *to, const struct conf *conf,
		 const struct policy_config *smtp, const struct policy_config *lmtp);

/* Tables of passwords, where AUTH is offered: that they can be asked, and their entries used. */
void check_passwords(const struct check_to *to, const struct conf *conf, struct str list);
/* The folder of the queue: that it can be made, whose it is, who may write there. */
void check_queue_folder(const struct check_to *to, const struct conf *conf);
/* Limits of connections that were set, `inbound` and those of deliveries, beside that of files. */
void check_connections(const struct check_to *to, const struct conf *conf, uint64_t inbound);

/* Asks DNS whether keys of smtp_tls_policy_maps are servers' names. */
void check_dns(const struct check_to *to, struct net_loop *loop, struct dns *dns,
	       const struct check_tables *t);

#endif
