/* One line of the reasoning of a pure stepper: what was asked and answered, and the rules that
 * combined it. A trace is an array of them; spans live where the result says. */

#ifndef HOPSEAL_FACT_TRACE_H
#define HOPSEAL_FACT_TRACE_H

#include "fact/fact.h"

enum trace_kind {
	TRACE_QUESTION, /* asked, with what was answered: table, key, value, file, line */
	TRACE_RULE,     /* two things combined, or a default that applied */
	TRACE_WARNING,  /* it decides, but the operator should know */
};

struct trace_step {
	enum trace_kind kind;
	struct str code;   /* stable: "per-site-nexthop", "global-level" ... */
	struct str text;   /* one line for people */
	struct str source; /* table, when an answer stands behind it */
	struct str key, value;
	struct str file;
	unsigned line;
	enum answer_status answer; /* TRACE_QUESTION */
};

struct str trace_kind_name(enum trace_kind k); /* "question", "rule", "warning" */

/* An array, one object a step; what is empty is left out. */
void trace_json(struct json *j, const struct trace_step *v, size_t n);

#endif
