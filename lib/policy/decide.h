/* One decision in the making, shared by the files that take part in it. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_DECIDE_H
#define HOPSEAL_POLICY_DECIDE_H

#include "mail/nexthop.h"
#include "policy/settings.h"
#include "policy/trace.h"

/* Which of main.cf's texts apply: optional TLS, mandatory, mandatory with authentication. */
enum policy_class { CLASS_MAY, CLASS_ENCRYPT, CLASS_AUTHENTICATED, CLASS_COUNT };

enum policy_class policy_class_of(enum tls_level level); /* may and above */

struct policy_config {
	const struct conf *conf;
	enum tls_level global;
	enum conf_id global_id; /* the parameter that set it */
	struct str global_value;
	struct str global_text; /* for the trace */
	struct policy_settings settings[CLASS_COUNT];
	struct policy_cipher_lists lists;
	bool is_servername_valid; /* or empty */
};

struct policy_work {
	struct arena *a;
	const struct policy_config *cfg;
	const struct policy_subject *subject;
	struct fact_set facts;
	struct policy_trace trace;
	struct policy_decision d;
	struct question ask; /* when a source answers SOURCE_ASK */
	size_t global_step;  /* index of the trace step of the global level */
};

/* What an operator's source of policy says about this destination. */
enum policy_source {
	SOURCE_LEVEL, /* w->d.level and w->d.deciding are set */
	SOURCE_ASK,   /* w->ask has to be answered first */
	SOURCE_ERROR, /* policy_fail() was called */
};

/* smtp_tls_per_site: the two questions and how their answers combine. */
MUST_USE enum policy_source policy_per_site(struct policy_work *w);

/* The decision is an error: level invalid, `deciding` the step that made it so. */
void policy_fail(struct policy_work *w, size_t deciding, struct status status, struct str reason);

/* From level to settings: texts, what the TLS engine makes of them, names. May fail. */
void policy_apply_level(struct policy_work *w);

#endif
