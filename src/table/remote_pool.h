/* The threads of a remote table and the lookups on their way through them. Only remote.c uses it.
 *
 * Thread: all but remote_job's own fields is called from the loop's thread. */

#ifndef HOPSEAL_TABLE_REMOTE_POOL_H
#define HOPSEAL_TABLE_REMOTE_POOL_H

#include "net/net.h"
#include "table/remote.h"

struct remote_job {
	struct net_note note;    /* first: on its way back */
	struct remote_job *next; /* in the pool's queue */
	bool is_queued;          /* in it; under the pool's mutex */
	uint64_t deadline_ms;    /* os_now_ms */
	enum answer_status status;
	struct buf text; /* value or reason */
	struct str key;  /* behind the struct */

	/* The loop's thread: */
	struct table_lookup *lookup; /* NULL: nobody waits for it any more */
	struct remote_job *older, *newer;
};

MUST_USE struct remote_job *remote_job_new(struct str key, uint64_t deadline_ms);
void remote_job_free(struct remote_job *j);

struct remote_pool;

/* Posts finished jobs to `chan`. Takes the engine's configuration over. */
MUST_USE struct remote_pool *remote_pool_new(const struct remote_options *o, struct net_chan *chan);
/* No job comes after this; those that were posted are still to be taken. */
void remote_pool_close(struct remote_pool *p);
/* False: the job stays the caller's; *why: the source is down, or no thread can be had. */
MUST_USE bool remote_pool_submit(struct remote_pool *p, struct remote_job *j, struct error *why);
/* True: no thread had begun, and the job is the caller's again. False: it will come. */
MUST_USE bool remote_pool_withdraw(struct remote_pool *p, struct remote_job *j);
/* Whoever waits for this job gave up at its deadline. */
void remote_pool_blame(struct remote_pool *p, const struct remote_job *j);

#endif
