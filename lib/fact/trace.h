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
	struct str code;         /* stable: "per-site-nexthop", "global-level" ... */
	const struct str *words; /* what trace_text makes one line of */
	size_t n_words;          /* 0: no text */
	struct str source;       /* table, when an answer stands behind it */
	struct str key, value;
	struct str file;
	unsigned line;
	enum answer_status answer; /* TRACE_QUESTION */
};

struct str trace_kind_name(enum trace_kind k); /* "question", "rule", "warning" */

/* The text of a step is put together when somebody reads it: most are made for mail that simply
 * goes out. One word stands for itself; of more, the first is a form in which each "%" stands for
 * the next word. The array is copied, what the words point at is borrowed. */
void trace_say(struct arena *a, struct trace_step *s, const struct str *words, size_t n);

/* One line for people, "" when there is none. Borrows from the step when it has one word. */
struct str trace_text(struct arena *a, const struct trace_step *s);
MUST_USE bool trace_text_add(struct buf *out, const struct trace_step *s);

/* An array, one object a step; what is empty is left out. */
void trace_json(struct json *j, const struct trace_step *v, size_t n);

#endif
