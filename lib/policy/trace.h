/* The reasons of a decision, written down as it is made. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_TRACE_H
#define HOPSEAL_POLICY_TRACE_H

#include "policy/policy.h"

struct policy_trace {
	struct arena *a;
	struct trace_step *v;
	size_t n, size;
};

/* The new last step, to be filled further before the next add. `code` is a literal. The words are
 * those of trace_say: a form and what stands in its places, or one text. Warnings past
 * POLICY_TRACE_MAX are counted out, so that rules always find room. */
#define policy_trace_add(t, kind, code, ...)                                                       \
	policy_trace_words((t), (kind), (code), (const struct str[]){ __VA_ARGS__ },               \
			   sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))
struct trace_step *policy_trace_words(struct policy_trace *t, enum trace_kind kind, struct str code,
				      const struct str *words, size_t n);

/* The last step is about a main.cf parameter: key, file and line; the value is left to the
 * caller. */
void policy_trace_param(struct trace_step *s, const struct conf *conf, enum conf_id id);

/* A key that tables were asked for, and what they said. */
struct policy_lookup {
	struct str code;  /* of the step */
	struct str what;  /* the key is: "next-hop" */
	struct str table; /* the parameter that names the tables */
	struct str key;
	const struct answer *answer;
};

void policy_trace_lookup(struct policy_trace *t, const struct policy_lookup *l);

#endif
