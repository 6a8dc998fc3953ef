/* What concurrency and rate delay count within a destination: all of it, or each recipient of its
 * own, with T_destination_recipient_limit = 1. A lane has the parts that wait for it, and its
 * attempts. Inside lib/sched only. */

#ifndef HOPSEAL_SCHED_LANE_H
#define HOPSEAL_SCHED_LANE_H

#include "base/heap.h"
#include "base/list.h"

struct sched_lane {
	struct list ready, waiting, of_all; /* in the rings of sched_lanes */
	struct heap_entry wake;
	struct sched_lane *next_in_bucket;
	uint64_t key;      /* 0: whatever has no lane of its own */
	struct list parts; /* waiting, in turns */
	unsigned n_parts, n_attempts;
	uint64_t rate_next;
	bool is_short; /* more of it was left in the store */
};

struct sched_lanes {
	struct sched_lane whole; /* the one of key 0 */
	struct list all;
	struct list ready;   /* an attempt may start, as far as the lane knows */
	struct list waiting; /* has parts */
	struct heap wakes;
	struct sched_lane **bucket;
	size_t n_buckets, n;
};

void sched_lanes_init(struct sched_lanes *l);
void sched_lanes_fini(struct sched_lanes *l);

MUST_USE struct sched_lane *sched_lanes_find(struct sched_lanes *l, uint64_t key); /* or NULL */
MUST_USE struct sched_lane *sched_lanes_get(struct sched_lanes *l, uint64_t key);

/* After any change to a lane, of which `places` attempts may be under way. One that is not needed
 * any more is freed. */
void sched_lane_settle(struct sched_lanes *l, struct sched_lane *lane, unsigned places,
		       uint64_t now);
/* The same for all; for those whose time has come. */
void sched_lanes_settle(struct sched_lanes *l, unsigned places, uint64_t now);
void sched_lanes_look(struct sched_lanes *l, unsigned places, uint64_t now);
/* No delay is waited for any more. */
void sched_lanes_wake(struct sched_lanes *l, unsigned places, uint64_t now);
/* When a lane may start an attempt, or is to be looked at; 0: now. */
uint64_t sched_lanes_start_at(const struct sched_lanes *l);

#endif
