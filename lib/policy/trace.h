/* The reasons of a decision, written down as it is made. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_TRACE_H
#define HOPSEAL_POLICY_TRACE_H

#include "policy/policy.h"

struct policy_trace {
	struct arena *a;
	struct trace_step *v;
	size_t n, size;
};

/* The new last step, to be filled further before the next add. `code` is a literal. Warnings past
 * POLICY_TRACE_MAX are counted out, so that rules always find room. */
struct trace_step *policy_trace_add(struct policy_trace *t, enum trace_kind kind, struct str code,
				    const char *fmt, ...) PRINTF_LIKE(4, 5);
/* A step that a main.cf parameter stands behind: key, file and line; text and value are left to
 * the caller. */
struct trace_step *policy_trace_param(struct policy_trace *t, enum trace_kind kind, struct str code,
				      const struct conf *conf, enum conf_id id);

/* What a table said of a key, to read on from the key: "has the entry MUST". */
struct str policy_trace_answer_words(struct arena *a, const struct answer *answer);

#endif
