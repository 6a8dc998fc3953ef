/* What the files of an attempt share. */

#ifndef HOPSEAL_QUEUE_ATTEMPT_H
#define HOPSEAL_QUEUE_ATTEMPT_H

#include "queue/inside.h"

struct attempt_rcpt {
	struct queue_attempt *attempt;
	const struct store_rcpt *rcpt; /* of the part */
	struct queue_route *route;
	struct str moved_to; /* another destination; "": none */
	bool has_outcome;
	bool is_left;      /* its row waits for somebody else, and stays as it is */
	bool is_handed_on; /* to a server that takes DSN requests */
	bool is_untried;   /* for want of something of our own */
	struct outcome outcome;
	const struct deliver_try *try; /* that gave it, until it is settled; NULL: none */
	struct str advice;
	struct queue_verdict verdict;
};

struct queue_attempt {
	struct list link; /* in queue.attempts */
	struct queue *queue;
	struct queue_part *part;
	struct queue_claim claim;
	struct queue_site *site;
	struct arena *arena;
	struct attempt_rcpt *rcpts;
	unsigned n, n_routing;
	bool is_counted; /* by sched, as under way */
	int64_t begun_ms;
	uint64_t begun_at; /* monotonic */

	struct deliver_message message;
	struct deliver_job job;
	size_t *sent; /* job's recipients in rcpts */
	struct deliver *delivery;
	struct content *content;

	struct store_record record;
	struct store_ground *ground;
	struct net_timer *retry; /* of the record */
	bool is_moving;          /* a note of the store is out for those with other destinations */
	bool is_recorded, is_waiting; /* for the next try of the record */
	bool is_unkept;               /* counted in queue.n_unkept */
};

/* ---- attempt.c ---- */

/* Frees it when everything that was out is in the store. */
void queue_attempt_check_end(struct queue_attempt *a);

/* ---- attempt_rows.c ---- */

/* At the beginning: takes its recipients, but for those that are not its own any more. False: there
 * are no others. */
MUST_USE bool queue_attempt_claim(struct queue_attempt *a);
/* At the end: leaves those that an operator has had routed anew meanwhile, unless they were
 * delivered: what the old route came to is none of the new one's business. */
void queue_attempt_leave(struct queue_attempt *a);

/* ---- attempt_record.c ---- */

/* All outcomes are known. NULL: nothing was tried. */
void queue_attempt_settle(struct queue_attempt *a, const struct deliver_result *result);
/* Ends it without its record, which the store did not take. */
void queue_attempt_forget(struct queue_attempt *a);
/* Recipients are due where they were; or, should an operator have had them routed anew meanwhile,
 * where that is done. */
void queue_attempt_tell_backlog(const struct queue_attempt *a, int64_t due_ms);

/* ---- evidence.c ---- */

void queue_attempt_evidence(struct queue_attempt *a, const struct deliver_result *result);

/* ---- attempt_log.c ---- */

/* The try that gave the outcome, or NULL. */
const struct deliver_try *
queue_attempt_try(const struct deliver_result *result, const struct deliver_rcpt *r);
/* A recipient that is settled. */
void queue_attempt_log(const struct queue_attempt *a, const struct attempt_rcpt *r);
void queue_attempt_count(const struct queue_attempt *a, const struct deliver_result *result);

#endif
