/* What the listeners of a worker ask, answered by its queue: where a recipient goes, whether there
 * is room, and when a message is safe. */

#ifndef HOPSEAL_CMD_SERVE_INTAKE_H
#define HOPSEAL_CMD_SERVE_INTAKE_H

#include "cmd/serve_generation.h"
#include "queue/queue.h"

struct serve_intake_options {
	struct net_loop *loop;
	struct queue *queue;
	struct store *store;
	struct os_log *log;
	struct log_counters *counters;
	struct listen_clients *clients;
};

struct serve_intake;

MUST_USE struct serve_intake *serve_intake_new(const struct serve_intake_options *o);
/* After serve_intake_stop and its end, or before a generation was taken. */
void serve_intake_free(struct serve_intake *i);

/* Listens under this generation from now on; sessions of the one before go on to their end. False:
 * the one before stays. */
MUST_USE bool
serve_intake_take(struct serve_intake *i, struct serve_generation *g, struct error *e);
/* Sessions of all generations. */
struct listen_totals serve_intake_totals(const struct serve_intake *i);
/* No new sessions; `ended` is called once when the last one is over, which is cut off after
 * `limit_ms`. */
void serve_intake_stop(struct serve_intake *i, uint64_t limit_ms, void (*ended)(void *arg),
		       void *arg);
/* After that: what is left is cut off now. */
void serve_intake_hurry(struct serve_intake *i);

#endif
