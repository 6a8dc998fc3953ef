/* Counters and histograms of one thread, read by others. */

#ifndef HOPSEAL_LOG_COUNTERS_H
#define HOPSEAL_LOG_COUNTERS_H

#include <stdatomic.h>

#include "base/str.h"

enum log_counter {
#define COUNTER(name, ...) COUNTER_##name,
#include "log/counters.def"
#undef COUNTER
	COUNTER_COUNT
};

/* Counters of a family differ by the value of its label. */
enum log_family {
#define FAMILY(name, ...) FAMILY_##name,
#define VALUE(...)
#include "log/families.def"
#undef FAMILY
#undef VALUE
	FAMILY_COUNT
};

enum log_kind {
#define FAMILY(...)
#define VALUE(name, ...) KIND_##name,
#include "log/families.def"
#undef FAMILY
#undef VALUE
	KIND_COUNT
};

enum log_histogram {
#define HISTOGRAM(name, ...) HISTOGRAM_##name,
#include "log/histograms.def"
#undef HISTOGRAM
	HISTOGRAM_COUNT
};

#define HISTOGRAM_BUCKETS 12 /* the last one has no upper bound */

struct log_measured {
	_Atomic uint64_t bucket[HISTOGRAM_BUCKETS]; /* not cumulative */
	_Atomic uint64_t sum_ms;
};

struct log_counters {
	_Atomic uint64_t v[COUNTER_COUNT];
	_Atomic uint64_t kinds[KIND_COUNT];
	struct log_measured measured[HISTOGRAM_COUNT];
};

/* By the one thread that owns them. */
static inline void counter_add(struct log_counters *c, enum log_counter id, uint64_t n)
{
	uint64_t v = atomic_load_explicit(&c->v[id], memory_order_relaxed);

	atomic_store_explicit(&c->v[id], v + n, memory_order_relaxed);
}
void counter_kind_add(struct log_counters *c, enum log_kind id, uint64_t n);
void histogram_add(struct log_counters *c, enum log_histogram id, uint64_t ms);

/* By any. */
static inline uint64_t counter_read(const struct log_counters *c, enum log_counter id)
{
	return atomic_load_explicit(&c->v[id], memory_order_relaxed);
}

uint64_t counter_kind_read(const struct log_counters *c, enum log_kind id);

struct histogram_sum {
	uint64_t bucket[HISTOGRAM_BUCKETS]; /* not cumulative */
	uint64_t count, sum_ms;
};
/* Adds what one thread has measured. */
void histogram_read(const struct log_counters *c, enum log_histogram id, struct histogram_sum *sum);

struct str counter_name(enum log_counter id); /* "messages_accepted" */
struct str counter_prose(enum log_counter id);
struct str counter_family_name(enum log_family id); /* "refusals" */
struct str counter_family_label(enum log_family id);
struct str counter_family_prose(enum log_family id);
enum log_family counter_kind_family(enum log_kind id);
struct str counter_kind_value(enum log_kind id);  /* of the label: "relay" */
struct str histogram_name(enum log_histogram id); /* "delivery_delay" */
struct str histogram_prose(enum log_histogram id);
/* The most ms of a bucket, itself included; `i` below HISTOGRAM_BUCKETS - 1. */
uint64_t histogram_bound_ms(enum log_histogram id, size_t i);

#endif
