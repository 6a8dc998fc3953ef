/* What content takes of the memory, over all clients of a store: one number, changed without a
 * lock. */

#include <stdlib.h>

#include "store/room.h"

struct store_memory {
	unsigned refs;
	uint64_t used, limit;
};

struct store_memory *store_memory_new(uint64_t limit)
{
	struct store_memory *m = base_alloc(sizeof(*m));

	m->refs = 1;
	m->limit = limit > 0 ? limit : UINT64_MAX;
	return m;
}

struct store_memory *store_memory_ref(struct store_memory *m)
{
	(void)__atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
	return m;
}

void store_memory_unref(struct store_memory *m)
{
	if (m && __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(m);
}

uint64_t store_memory_used(const struct store_memory *m)
{
	return __atomic_load_n(&m->used, __ATOMIC_RELAXED);
}

bool store_memory_has_room(const struct store_memory *m, uint64_t octets)
{
	uint64_t used = store_memory_used(m);

	return used < m->limit && octets <= m->limit - used;
}

bool store_memory_is_half_full(const struct store_memory *m)
{
	return store_memory_used(m) > m->limit / 2;
}

bool store_memory_take(struct store_memory *m, uint64_t octets)
{
	uint64_t used = store_memory_used(m);

	do {
		if (octets > m->limit - used)
			return false;
	} while (!__atomic_compare_exchange_n(&m->used, &used, used + octets, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

void store_memory_give(struct store_memory *m, uint64_t octets)
{
	uint64_t before = __atomic_fetch_sub(&m->used, octets, __ATOMIC_RELAXED);

	CHECK(before >= octets);
}
