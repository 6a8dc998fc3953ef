#include "base/test.h"
#include "table/map.h"

struct seen {
	unsigned n, first, again;
};

static void
saw_duplicate(void *arg, const struct table_map_entry *first, const struct table_map_entry *again)
{
	struct seen *s = arg;

	s->n++;
	s->first = first->line;
	s->again = again->line;
}

TEST(table_map_many)
{
	struct table_map *m = table_map_new();
	struct table_map_entry found;
	struct seen seen = { 0 };
	char key[32], value[32];

	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(key, sizeof(key), "Host%u.Example", i);
		(void)snprintf(value, sizeof(value), "value %u", i);
		table_map_add(m, str_of(key), str_of(value), i + 1);
	}
	table_map_index(m, saw_duplicate, &seen);
	ok(seen.n == 0, "no duplicates");
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(key, sizeof(key), "host%u.example", i);
		(void)snprintf(value, sizeof(value), "value %u", i);
		ok(table_map_find(m, str_of(key), &found), "found");
		ok_str(found.value, str_of(value), "value");
		ok(found.line == i + 1, "line");
	}
	ok(!table_map_find(m, STR("host20000.example"), &found), "not there");
	ok(!table_map_find(m, STR("Host1.Example"), &found), "the key comes folded");
	ok_str(table_map_at(m, 1).key, STR("host1.example"), "in order");
	ok(table_map_count(m) == 20000, "count");
	table_map_free(m);
}

TEST(table_map_duplicates)
{
	struct table_map *m = table_map_new();
	struct table_map_entry found;
	struct seen seen = { 0 };

	table_map_add(m, STR("a"), STR("1"), 1);
	table_map_add(m, STR("b"), STR("2"), 2);
	table_map_add(m, STR("A"), STR("3"), 3);
	table_map_add(m, STR("\u00c9"), STR("4"), 4);
	table_map_add(m, STR("\u00e9"), STR("5"), 5);
	table_map_index(m, saw_duplicate, &seen);
	ok(seen.n == 1 && seen.first == 1 && seen.again == 3, "only A-Z fold");
	ok(table_map_find(m, STR("a"), &found), "found");
	ok_str(found.value, STR("3"), "the last one");
	table_map_free(m);
}

TEST(table_map_empty)
{
	struct table_map *m = table_map_new();
	struct table_map_entry found;

	table_map_index(m, saw_duplicate, NULL);
	ok(!table_map_find(m, STR(""), &found), "nothing");
	table_map_free(m);
	table_map_free(NULL);
}

TEST_MAIN(RUN(table_map_many), RUN(table_map_duplicates), RUN(table_map_empty))
