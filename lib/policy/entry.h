/* The right-hand side of a policy table: a level and its attributes. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_ENTRY_H
#define HOPSEAL_POLICY_ENTRY_H

#include "policy/policy.h"

struct policy_list {
	const struct str *v; /* NULL: the attribute is not there; an empty list is not NULL */
	size_t n, room;
};

enum policy_choice { POLICY_CHOICE_UNSET, POLICY_CHOICE_NO, POLICY_CHOICE_YES };

struct policy_attribute {
	struct str name, value; /* as written; "" and the whole token when TLS is off */
	struct str effect;      /* a phrase for people */
};

struct policy_entry {
	enum tls_level level;

	/* p is NULL when the attribute is not there */
	struct str ciphers, protocols, exclude, servername;
	struct str policy_type, policy_domain, policy_failure;
	int64_t policy_ttl_s; /* -1: not there */
	struct policy_list match, tafiles, policy_strings, mx_host_patterns;
	enum policy_choice connection_reuse, enable_rpk;

	/* in their order, up to the first error; all of them when the level is none */
	struct policy_attribute *attributes;
	size_t n_attributes, attributes_room;

	/* "" when the value can be used */
	struct str problem_code, problem;
};

/* Everything lives in `a` or borrows from `value`. What cannot be used has a problem. */
struct policy_entry policy_entry_parse(struct arena *a, struct str value);

#endif
