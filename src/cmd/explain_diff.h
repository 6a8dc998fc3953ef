/* `explain --diff`: what two configurations decide for the same destinations, between the walk and
 * the report. */

#ifndef HOPSEAL_CMD_EXPLAIN_DIFF_H
#define HOPSEAL_CMD_EXPLAIN_DIFF_H

#include "cmd/decide.h"
#include "cmd/destinations.h"
#include "cmd/explain.h"
#include "policy/compare.h"

/* Beside those of policy_compare: an address goes to another next-hop. */
#define DIFF_ASPECT_ROUTE POLICY_ASPECT_COUNT

/* What one of the configurations makes of a destination. */
struct diff_half {
	struct policy_subject subject;
	const struct policy_decision *decision; /* NULL: `reason` says why there is none */
	struct str reason;
};

struct diff_pair {
	struct diff_half half[2];
	enum policy_change change;
	uint32_t aspects;
};

struct diff {
	const struct explain_options *options;
	struct cmd_decider site[2]; /* this one, the other one */
	struct cmd_destinations list;
	uint8_t *changes; /* enum policy_change of each of the list */
	size_t counts[POLICY_CHANGE_COUNT];
	bool lacks_answer;   /* a lookup failed on the way to some decision */
	struct arena *arena; /* of the destination in hand */
	struct buf out;
};

/* Decides destination `i` under both; lives until the next call. */
struct diff_pair diff_decide(struct diff *x, size_t i);

/* Prints what changed, in pieces. False (and said): standard output took no more. */
MUST_USE bool diff_text(struct diff *x);
MUST_USE bool diff_json(struct diff *x, int status);

/* Takes `conf`; gives the exit status. */
MUST_USE int explain_diff(const struct explain_options *o, struct conf *conf);

#endif
