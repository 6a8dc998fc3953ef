/* What one configuration decides for destinations that are given: the steppers of delivery,
 * answered by its tables. */

#ifndef HOPSEAL_CMD_DECIDE_H
#define HOPSEAL_CMD_DECIDE_H

#include "cmd/site.h"

struct cmd_decider {
	struct cmd_site site;
	struct arena *arena;
	struct fact_list *anchors; /* files of trust anchors are read once */
};

/* Takes `conf`. What is wrong with tables is told on standard error. False with *e; nothing is left
 * open then. */
MUST_USE bool cmd_decider_open(struct cmd_decider *d, struct conf *conf, struct error *e);
void cmd_decider_close(struct cmd_decider *d);

/* The decision and its trace live in `a`. False with *e: a question could not be asked. */
MUST_USE bool cmd_decide(struct cmd_decider *d, struct arena *a, const struct policy_subject *s,
			 struct policy_decision *out, struct error *e);
/* Where mail for an address goes. */
MUST_USE bool cmd_decide_route(struct cmd_decider *d, struct arena *a, struct str address,
			       struct route *out, struct error *e);

/* What the tables of one parameter say of a key. */
struct answer
cmd_decider_look(struct cmd_decider *d, struct arena *a, enum conf_id param, struct str key);

/* A table could not say: the decision is none that anybody meant. */
bool cmd_decision_lacks_answer(const struct policy_decision *d);

#endif
