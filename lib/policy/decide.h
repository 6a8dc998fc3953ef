/* One decision in the making, shared by the files that take part in it. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_DECIDE_H
#define HOPSEAL_POLICY_DECIDE_H

#include "mail/nexthop.h"
#include "policy/settings.h"
#include "policy/trace.h"

/* Which of main.cf's texts apply: optional TLS, mandatory, mandatory with authentication. */
enum policy_class { CLASS_MAY, CLASS_ENCRYPT, CLASS_AUTHENTICATED, CLASS_COUNT };

enum policy_class policy_class_of(enum tls_level level); /* may and above */

/* smtp_requiretls_policy: actions and tables, the first that has a word for the next-hop counts. */
struct requiretls_list {
	enum conf_id id;
	const struct str *v;
	size_t n;
};

struct policy_config {
	const struct conf *conf;
	struct str table_maps, table_per_site; /* the names of smtp_tls_policy_maps and _per_site */
	enum tls_level global;
	enum conf_id global_id; /* the parameter that set it */
	struct str global_value;
	struct str global_text; /* for the trace */
	struct policy_settings settings[CLASS_COUNT];
	struct policy_cipher_lists lists;
	const struct str *match_verify, *match_secure; /* main.cf's lists, as words */
	size_t n_match_verify, n_match_secure;
	bool is_servername_valid; /* or empty */
	struct requiretls_list smtp_requiretls, lmtp_requiretls;
};

struct policy_entry;

struct policy_work {
	struct arena *a;
	const struct policy_config *cfg;
	const struct policy_subject *subject;
	struct fact_set facts;
	struct policy_trace trace;
	struct policy_decision d;
	struct question ask;              /* when a source answers SOURCE_ASK */
	size_t global_step;               /* index of the trace step of the global level */
	const struct policy_entry *entry; /* of smtp_tls_policy_maps, NULL when there is none */
	const struct requiretls_list *requiretls;
};

/* What an operator's source of policy says about this destination. */
enum policy_source {
	SOURCE_LEVEL, /* w->d.level and w->d.deciding are set */
	SOURCE_ASK,   /* w->ask has to be answered first */
	SOURCE_ERROR, /* policy_fail() was called */
};

/* The step of the global level; where something is asked, once all is known: a pass that ends in a
 * question is cheap. */
void policy_trace_global(struct policy_work *w);

/* smtp_tls_per_site: the two questions and how their answers combine. */
MUST_USE enum policy_source policy_per_site(struct policy_work *w);

/* smtp_tls_policy_maps: the next-hop and its parent domains, and what the entry says. */
MUST_USE enum policy_source policy_maps(struct policy_work *w);

/* tafile of the entry, or smtp_tls_trust_anchor_file: asks for each file, and notes them. */
MUST_USE enum policy_source policy_trust(struct policy_work *w);

/* The MTA-STS part of the entry: what it tells, and whether it allows the host. */
void policy_sts_apply(struct policy_work *w);
/* Whether the patterns are to be enforced: a match list of the entry then becomes "hostname". */
bool policy_sts_is_enforced(const struct policy_work *w);

/* False: there are more tables than one decision may ask. */
MUST_USE bool policy_requiretls_read(struct arena *a, const struct conf *conf, enum conf_id id,
				     struct requiretls_list *out, struct error *e);
/* How strictly the sender's REQUIRETLS is kept, and whether the level allows for it. */
MUST_USE enum policy_source policy_requiretls_apply(struct policy_work *w);

/* `list` and what is left out in this class whatever is configured. */
struct str policy_exclusions(struct arena *a, struct str list, enum policy_class class);

/* The decision is an error: level invalid, `deciding` the step that made it so. */
void policy_fail(struct policy_work *w, size_t deciding, struct status status, struct str reason);

/* From level to settings: texts, what the TLS engine makes of them, names. */
MUST_USE enum policy_source policy_apply_level(struct policy_work *w);

#endif
