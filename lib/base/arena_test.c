#include "base/arena.h"
#include "base/test.h"

TEST(arena_hands_out_zeroed_memory)
{
	struct arena *a = arena_new();

	for (size_t n = 0; n < 10000; n += 37) {
		unsigned char *p = arena_alloc(a, n);
		ok((uintptr_t)p % _Alignof(max_align_t) == 0, "aligned");
		for (size_t i = 0; i < n; i++)
			ok(p[i] == 0, "zeroed");
		memset(p, 0xff, n);
	}
	arena_reset(a);
	ok(arena_used(a) == 0, "reset forgets");
	ok(*(char *)arena_alloc(a, 1) == 0, "zeroed again after reset");
	arena_free(a);
}

TEST(arena_strings_end_in_nul)
{
	struct arena *a = arena_new();
	struct str s = arena_str(a, STR("abc"));

	ok(strcmp(s.p, "abc") == 0, "copy");
	ok_str(arena_fmt(a, "%d-%s", 7, "x"), STR("7-x"), "format");
	ok_str(arena_lower(a, STR("ABz")), STR("abz"), "lower");
	ok(arena_str(a, STR_NONE).p != NULL, "a copy of nothing is the empty text");
	arena_free(a);
}

TEST_MAIN(RUN(arena_hands_out_zeroed_memory), RUN(arena_strings_end_in_nul))
