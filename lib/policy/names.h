/* Reference names: what a certificate may be called. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_NAMES_H
#define HOPSEAL_POLICY_NAMES_H

#include "policy/trace.h"

/* What the strategy words stand for. */
struct policy_name_subject {
	struct str host, domain;
};

/* A match list of main.cf: words split at commas, blanks and colons, unexpanded. */
const struct str *policy_match_list(struct arena *a, struct str text, size_t *n);

/* Expands d->match into d->names and d->never_matches; what is dropped is named in the trace. */
void policy_names_expand(struct policy_trace *t, struct policy_decision *d);

/* d->servername as the name that is sent, "" when none is. */
struct str policy_sni(struct arena *a, const struct policy_decision *d);

#endif
