/* One walk of a stepper over the facts, from the top: what it knows, what it must still ask, and
 * why it went where it went. Inside lib/route only. */

#ifndef HOPSEAL_ROUTE_WALK_H
#define HOPSEAL_ROUTE_WALK_H

#include "route/config.h"

struct route_walk {
	struct arena *a;
	const struct route_config *cfg;
	struct fact_set facts;
	struct question *asks;
	size_t n_asks, size_asks;
	struct trace_step *trace;
	size_t n_trace, size_trace;
	size_t deciding;
};

/* How a part of the walk ended. OVER: the result says what is the matter. */
enum route_progress { ROUTE_GO_ON, ROUTE_WAIT, ROUTE_OVER };

/* Room for one more element in an array of the arena: the array, moved when it was full. */
void *route_grow(struct arena *a, void *v, size_t n, size_t *size, size_t octets);

struct route_walk
route_walk_new(struct arena *a, const struct route_config *cfg, struct fact_set facts);

/* The answer; NULL when it is not known yet: then it stands among the questions to ask. */
const struct answer *route_know(struct route_walk *w, const struct question *q);

/* The new last step, to be filled further before the next. */
struct trace_step *route_note(struct route_walk *w, enum trace_kind kind, struct str code,
			      const char *fmt, ...) PRINTF_LIKE(4, 5);
/* A rule behind which a main.cf parameter stands. */
struct trace_step *route_note_param(struct route_walk *w, struct str code, enum conf_id id,
				    const char *fmt, ...) PRINTF_LIKE(4, 5);
/* A question with its answer from a table. */
struct trace_step *route_note_table(struct route_walk *w, struct str code, const struct question *q,
				    const struct answer *answer);
void route_decided(struct route_walk *w); /* by the last step */

struct route_asks route_walk_asks(const struct route_walk *w);
struct route_trace route_walk_trace(const struct route_walk *w);

enum route_match { ROUTE_MATCH_NO, ROUTE_MATCH_YES, ROUTE_MATCH_WAIT, ROUTE_MATCH_FAILED };

/* Whether a list of names and tables covers a domain; `domain` is folded. The first element that
 * matches decides. FAILED: a table could not say; the trace tells which. */
enum route_match
route_list_match(struct route_walk *w, const struct route_list *list, struct str domain);

/* Outcomes that no peer stands behind. */
struct outcome route_outcome(enum outcome_kind kind, struct status status, struct str reason);

#endif
