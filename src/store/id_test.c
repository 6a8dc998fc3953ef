#include "base/test.h"
#include "store/store.h"

TEST(store_ids_rise)
{
	struct store_ids ids = { .maker = 3 };
	uint64_t a = store_ids_next(&ids, 1000), b = store_ids_next(&ids, 1000),
		 c = store_ids_next(&ids, 500), d = store_ids_next(&ids, 2000);

	ok(a < b && b < c && c < d, "within one microsecond, and when the clock goes back");
	ok(a == (1000 << 8 | 3) && d == (2000 << 8 | 3), "made of time and maker");
	ok(store_id_ms(a) == 1, "and tell when");
}

static const struct {
	const char *rule;
	uint64_t id;
	struct str text;
} texts[] = {
	{ "one", 1, STR_INIT("00000000001") },
	{ "the last digit", 51, STR_INIT("0000000000z") },
	{ "a carry", 52, STR_INIT("00000000010") },
	{ "the largest", 7516865509350965247, STR_INIT("zzzzzzzzzzz") },
};

TEST(store_id_text)
{
	char out[STORE_ID_TEXT_MAX];
	uint64_t id;

	FOR_EACH(c, texts) {
		ok_str(store_id_text(c->id, out), c->text, c->rule);
		ok(store_id_parse(c->text, &id) && id == c->id, c->rule);
	}
	for (uint64_t last = 1780000000000000 << 8, i = 0; i < 1000; i++) {
		char before[STORE_ID_TEXT_MAX];
		struct str s = store_id_text(last, before);
		last += 1 + i * i * 977;
		ok(str_cmp(s, store_id_text(last, out)) < 0, "texts are in the order of numbers");
	}
}

static const struct {
	const char *rule;
	struct str text;
} wrong[] = {
	{ "empty", STR_INIT("") },
	{ "too short", STR_INIT("0000000000") },
	{ "too long", STR_INIT("000000000000") },
	{ "a vowel", STR_INIT("0000A000000") },
	{ "a lower vowel", STR_INIT("u0000000000") },
	{ "a NUL", STR_INIT("0000000000\0") },
	{ "what is never given", STR_INIT("00000000000") },
	{ "a path", STR_INIT("../../../00") },
};

TEST(store_id_parse)
{
	uint64_t id = 7;

	FOR_EACH(c, wrong) {
		struct str s = test_exact(c->text);
		ok(!store_id_parse(s, &id) && id == 7, c->rule);
		free((char *)s.p);
	}
}

TEST_MAIN(RUN(store_ids_rise), RUN(store_id_text), RUN(store_id_parse))
