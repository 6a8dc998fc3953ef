/* Answers the questions of the pure steppers: from tables, from DNS, or from a recorded fact set.
 * Equal questions in flight are asked once; answers are kept for their TTL, failures for a few
 * seconds at most. Thread: everything here belongs to the thread of the loop. */

#ifndef HOPSEAL_ASK_ASK_H
#define HOPSEAL_ASK_ASK_H

#include "base/arena.h"
#include "conf/conf.h"
#include "dns/dns.h"
#include "fact/fact.h"
#include "net/net.h"

struct tables; /* table/table.h */
struct ask;

/* Borrows all three, which must outlive it. */
MUST_USE struct ask *ask_new(struct net_loop *l, struct tables *tables, struct dns *dns);
/* Knows only `facts` (borrowed): a question that they do not answer ends a run with an error that
 * names it. Asks nobody, so that the same facts give the same result. */
MUST_USE struct ask *ask_new_offline(struct net_loop *l, struct fact_set facts);
/* Everything asked must have been answered or cancelled; NULL is fine. */
void ask_free(struct ask *k);
struct net_loop *ask_loop(const struct ask *k);

/* The resolver as the configuration wants it (hopseal_dns_*, inet_protocols). *e begins with the
 * line of the parameter that is at fault. */
MUST_USE struct dns *ask_dns_new(struct net_loop *l, const struct conf *conf, struct error *e);
/* Whether each of its parameters can be used; without the line in *e. */
MUST_USE bool
ask_dns_check(struct net_loop *l, const struct conf *conf, enum conf_id *blamed, struct error *e);

/* The version of a parameter's tables, as tables_version. False: they cannot tell, or there are
 * none, as offline. */
MUST_USE bool ask_tables_version(struct ask *k, struct str param, uint64_t *version);

/* One question. `answered` is called once from the loop, never from inside this call, with the
 * answer borrowed for the call; NULL: offline, and not among the facts. */
struct ask_query;
MUST_USE struct ask_query *ask_question(struct ask *k, const struct question *q,
					void (*answered)(void *arg, const struct answer *answer),
					void *arg);
void ask_cancel(struct ask_query *q); /* no call comes; not after `answered` */

/* Runs a stepper to its end: `step` looks at the facts and says what is still to be asked (0: it is
 * done, and has kept its result in `arg`). Questions of one step are asked side by side, their
 * answers are added to `facts`, and `step` is called again. `done` is called once from the loop;
 * *e is NULL, or says what could not be asked or which bound was passed. */
struct ask_stepper {
	size_t (*step)(void *arg, struct fact_set facts, const struct question **asks);
	void (*done)(void *arg, const struct error *e);
	void *arg;
};

struct ask_run;
MUST_USE struct ask_run *
ask_run_new(struct ask *k, const struct ask_stepper *s, struct fact_list *facts);
void ask_run_free(struct ask_run *r); /* cancels; inside `done` too; NULL is fine */

#endif
