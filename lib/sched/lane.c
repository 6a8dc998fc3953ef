#include "sched/lane.h"

#include <stdlib.h>

enum { LANE_BUCKETS_FIRST = 16 };

static void lane_init(struct sched_lanes *l, struct sched_lane *lane, uint64_t key)
{
	lane->key = key;
	list_init(&lane->parts);
	list_add(&l->all, &lane->of_all);
}

void sched_lanes_init(struct sched_lanes *l)
{
	list_init(&l->all);
	list_init(&l->ready);
	list_init(&l->waiting);
	lane_init(l, &l->whole, 0);
}

/* ---- by key ---- */

static struct sched_lane **bucket_of(const struct sched_lanes *l, uint64_t key)
{
	return &l->bucket[key & (l->n_buckets - 1)];
}

static void buckets_grow(struct sched_lanes *l)
{
	size_t n_old = l->n_buckets;
	struct sched_lane **old = l->bucket;

	l->n_buckets = n_old ? n_old * 2 : LANE_BUCKETS_FIRST;
	l->bucket = base_alloc(l->n_buckets * sizeof(struct sched_lane *));
	for (size_t i = 0; i < n_old; i++) {
		for (struct sched_lane *lane = old[i], *next; lane; lane = next) {
			next = lane->next_in_bucket;
			lane->next_in_bucket = *bucket_of(l, lane->key);
			*bucket_of(l, lane->key) = lane;
		}
	}
	free(old);
}

struct sched_lane *sched_lanes_find(struct sched_lanes *l, uint64_t key)
{
	struct sched_lane *lane;

	if (key == 0)
		return &l->whole;
	for (lane = l->n ? *bucket_of(l, key) : NULL; lane && lane->key != key;)
		lane = lane->next_in_bucket;
	return lane;
}

struct sched_lane *sched_lanes_get(struct sched_lanes *l, uint64_t key)
{
	struct sched_lane *lane = sched_lanes_find(l, key);

	if (lane)
		return lane;
	if (l->n >= l->n_buckets)
		buckets_grow(l);
	lane = base_alloc(sizeof(*lane));
	lane_init(l, lane, key);
	lane->next_in_bucket = *bucket_of(l, key);
	*bucket_of(l, key) = lane;
	l->n++;
	return lane;
}

static void lane_free(struct sched_lanes *l, struct sched_lane *lane)
{
	struct sched_lane **at = bucket_of(l, lane->key);

	while (*at != lane)
		at = &(*at)->next_in_bucket;
	*at = lane->next_in_bucket;
	l->n--;
	list_remove(&lane->ready);
	list_remove(&lane->waiting);
	list_remove(&lane->of_all);
	heap_set(&l->wakes, &lane->wake, UINT64_MAX);
	free(lane);
}

void sched_lanes_fini(struct sched_lanes *l)
{
	for (struct list *link = l->all.next, *next; link != &l->all; link = next) {
		struct sched_lane *lane = LIST_OF(link, struct sched_lane, of_all);
		next = link->next;
		if (lane != &l->whole)
			lane_free(l, lane);
	}
	heap_fini(&l->wakes);
	free(l->bucket);
}

/* ---- what a lane waits for ---- */

void sched_lane_settle(struct sched_lanes *l, struct sched_lane *lane, unsigned places,
		       uint64_t now)
{
	bool is_idle = lane->n_parts == 0 && lane->n_attempts == 0;
	bool may_start = lane->n_parts > 0 && lane->n_attempts < places;
	bool is_early = lane->rate_next > now;

	if (is_idle && !is_early && lane != &l->whole) {
		lane_free(l, lane);
		return;
	}
	list_set(&l->waiting, &lane->waiting, lane->n_parts > 0);
	list_set(&l->ready, &lane->ready, may_start && !is_early);
	heap_set(&l->wakes, &lane->wake,
		 is_early && (may_start || is_idle) ? lane->rate_next : UINT64_MAX);
}

void sched_lanes_settle(struct sched_lanes *l, unsigned places, uint64_t now)
{
	for (struct list *link = l->all.next, *next; link != &l->all; link = next) {
		next = link->next;
		sched_lane_settle(l, LIST_OF(link, struct sched_lane, of_all), places, now);
	}
}

void sched_lanes_wake(struct sched_lanes *l, unsigned places, uint64_t now)
{
	for (struct list *link = l->all.next; link != &l->all; link = link->next)
		LIST_OF(link, struct sched_lane, of_all)->rate_next = 0;
	sched_lanes_settle(l, places, now);
}

void sched_lanes_look(struct sched_lanes *l, unsigned places, uint64_t now)
{
	struct heap_entry *e;

	while ((e = heap_first(&l->wakes)) && e->at <= now)
		sched_lane_settle(l, HEAP_OF(e, struct sched_lane, wake), places, now);
}

uint64_t sched_lanes_start_at(const struct sched_lanes *l)
{
	const struct heap_entry *e = heap_first(&l->wakes);

	return !list_is_empty(&l->ready) ? 0 : e ? e->at : UINT64_MAX;
}
