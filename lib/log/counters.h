/* Counters of one thread, read by others. */

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

struct log_counters {
	_Atomic uint64_t v[COUNTER_COUNT];
};

/* By the one thread that owns them. */
static inline void counter_add(struct log_counters *c, enum log_counter id, uint64_t n)
{
	uint64_t v = atomic_load_explicit(&c->v[id], memory_order_relaxed);

	atomic_store_explicit(&c->v[id], v + n, memory_order_relaxed);
}

static inline uint64_t counter_read(const struct log_counters *c, enum log_counter id)
{
	return atomic_load_explicit(&c->v[id], memory_order_relaxed);
}

struct str counter_name(enum log_counter id); /* "messages_accepted" */
struct str counter_prose(enum log_counter id);

#endif
