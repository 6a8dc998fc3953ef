#include "base/heap.h"

#include "base/test.h"

enum { N = 257 };

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return *state >> 33;
}

static bool heap_is_sound(const struct heap *h)
{
	for (size_t i = 1; i <= h->n; i++)
		if (h->v[i - 1]->place != i || (i > 1 && h->v[i / 2 - 1]->at > h->v[i - 1]->at))
			return false;
	return true;
}

static uint64_t least(const struct heap_entry *e)
{
	uint64_t at = UINT64_MAX;

	for (size_t i = 0; i < N; i++)
		if (e[i].place && e[i].at < at)
			at = e[i].at;
	return at;
}

TEST(the_first_is_the_earliest_after_any_change)
{
	struct heap h = { 0 };
	struct heap_entry e[N] = { 0 };
	uint64_t seed = 1;

	for (int round = 0; round < 20000; round++) {
		struct heap_entry *any = &e[next_random(&seed) % N];
		bool goes = next_random(&seed) % 3 == 0;
		heap_set(&h, any, goes ? UINT64_MAX : next_random(&seed) % 1000);
		ok(!goes || !any->place, "taken out");
		ok(heap_is_sound(&h), "parents come before children");
		struct heap_entry *first = heap_first(&h);
		ok((first ? first->at : UINT64_MAX) == least(e), "the first is the earliest");
	}
	heap_fini(&h);
}

TEST(an_empty_heap_has_no_first)
{
	struct heap h = { 0 };
	struct heap_entry e = { 0 };

	ok(!heap_first(&h), "nothing in it");
	heap_set(&h, &e, UINT64_MAX);
	ok(!heap_first(&h), "never is no time");
	heap_set(&h, &e, 7);
	ok(heap_first(&h) == &e, "the only one");
	heap_set(&h, &e, UINT64_MAX);
	ok(!heap_first(&h), "it left");
	heap_fini(&h);
}

TEST_MAIN(RUN(the_first_is_the_earliest_after_any_change), RUN(an_empty_heap_has_no_first))
