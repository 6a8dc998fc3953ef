/* Decisions that were made once, to be used again while what made them stands: the configuration,
 * which the cache belongs to, and the tables, whose version is given with each call. One thread. */

#ifndef HOPSEAL_POLICY_CACHE_H
#define HOPSEAL_POLICY_CACHE_H

#include "policy/policy.h"

/* A decision that no longer changes, with the facts that it takes to make it again. Counted: a use
 * may outlast its place in the cache. */
struct policy_kept {
	unsigned refs;
	struct arena
		*arena; /* everything below; the decision borrows from the configuration, too */
	struct policy_subject subject;
	struct policy_decision decision;
	struct fact_list *facts;
};

struct policy_kept *policy_kept_ref(struct policy_kept *k);
void policy_kept_unref(struct policy_kept *k); /* NULL is fine */

struct policy_cache;

/* Of at most POLICY_CACHE_MAX decisions under one configuration, which must outlive it and what it
 * hands out. */
MUST_USE struct policy_cache *policy_cache_new(const struct policy_config *cfg);
void policy_cache_free(struct policy_cache *c); /* NULL is fine */

/* The decision for an equal subject, or NULL. Another version than in the call before empties the
 * cache. Borrowed until the next call. */
struct policy_kept *
policy_cache_find(struct policy_cache *c, const struct policy_subject *s, uint64_t version);

/* Makes the decision once more, from those of `facts` that it takes, and keeps it. All of them must
 * have been asked for while the tables had this version. Nothing is kept when a fact is not from
 * a table that the version is of (trust anchors, REQUIRETLS), when a lookup failed (the next one
 * may not), or when the facts do not suffice. */
void policy_cache_add(struct policy_cache *c, const struct policy_subject *s, struct fact_set facts,
		      uint64_t version);

#endif
