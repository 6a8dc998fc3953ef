/* Recorded facts: what is read is written as canonical JSON, which reads and writes the same. */

#include "fuzz.h"

#include "json/facts.h"

#define WRITTEN_MAX (8 * 1024 * 1024)

static void fuzz_write(struct fact_set set, struct buf *b)
{
	struct json j;

	buf_init(b, WRITTEN_MAX);
	json_init(&j, b, false);
	fact_set_json(&j, set);
	CHECK(json_end(&j));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	struct fact_list *first = fact_list_new(a), *again = fact_list_new(a);
	struct error e;
	struct buf b, c;

	if (facts_read(str_span((const char *)data, size), first, &e)) {
		fuzz_write(fact_list_set(first), &b);
		CHECK(facts_read(buf_str(&b), again, &e));
		fuzz_write(fact_list_set(again), &c);
		CHECK(str_eq(buf_str(&b), buf_str(&c)));
		buf_fini(&b);
		buf_fini(&c);
	}
	arena_free(a);
	return 0;
}
