#include "base/map.h"
#include "base/test.h"

TEST(map)
{
	enum { N = 5000 };
	static char keys[N][8];
	struct map m;
	uint32_t value;

	map_init(&m);
	for (uint32_t i = 0; i < N; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		map_put(&m, str_of(keys[i]), i);
	}
	ok(m.n == N, "all are kept");
	for (uint32_t i = 0; i < N; i++)
		ok(map_get(&m, str_of(keys[i]), &value) && value == i, keys[i]);
	ok(!map_get(&m, STR("k5000"), &value) && !map_has(&m, STR("k")), "others are not there");
	map_put(&m, STR("k7"), 8);
	ok(map_get(&m, STR("k7"), &value) && value == 8 && m.n == N, "a key has one value");
	map_fini(&m);
}

TEST(map_of_the_empty_key)
{
	struct map m;

	map_init(&m);
	ok(!map_has(&m, STR("")), "it is not there by itself");
	map_put(&m, STR_NONE, 1);
	ok(map_has(&m, STR("")) && m.n == 1, "and it can be");
	map_fini(&m);
}

TEST_MAIN(RUN(map), RUN(map_of_the_empty_key))
