/* Decisions of earlier attempts, used again by this one. Sound because an attempt looks into the
 * cache only while the tables are as they were when it began: what it decides then is what it would
 * decide by asking, and the facts it gathers are of one version of the tables. */

#ifndef HOPSEAL_DELIVER_CACHED_H
#define HOPSEAL_DELIVER_CACHED_H

#include "deliver/deliver.h"
#include "policy/cache.h"

/* Of one attempt. */
struct deliver_cached {
	struct ask *ask;
	const struct deliver_client *client;
	struct arena *arena;
	struct fact_list *facts; /* of the attempt */
	bool can_tell;           /* the tables have versions */
	uint64_t version;        /* as it was at the beginning */
	struct deliver_cached_use *uses;
};

/* Borrows all of it. Before the first question. */
void deliver_cached_begin(struct deliver_cached *c, struct ask *ask,
			  const struct deliver_client *client, struct arena *a,
			  struct fact_list *facts);
void deliver_cached_end(struct deliver_cached *c); /* decisions handed out are gone */

/* An earlier decision for this subject, or NULL; its facts become the attempt's. */
const struct policy_decision *
deliver_cached_find(struct deliver_cached *c, const struct policy_subject *s);
/* The attempt's facts have decided for this subject. */
void deliver_cached_add(struct deliver_cached *c, const struct policy_subject *s);

#endif
