#include <stdio.h>

#include "base/limits.h"
#include "base/test.h"
#include "console/console.h"

enum { MANY = 450000, STEP = 7919 /* prime: each time once, in no order */ };

TEST(of_many_that_are_left_alone_the_longest)
{
	struct console_blocked *b = console_blocked_new();
	struct console_destination *v;
	struct arena *a = arena_new();
	char name[32];

	for (uint64_t i = 0; i < MANY; i++) {
		struct console_destination d = { .name = STR("smtp:x"),
						 .blocked_ms = i * STEP % MANY };
		console_blocked_add(b, &d);
	}
	ok(console_blocked_take(b, a, &v) == CONTROL_BLOCKED_MAX, "no more of them");
	for (uint64_t i = 0; i < CONTROL_BLOCKED_MAX; i++)
		ok(v[i].blocked_ms == MANY - 1 - i, "in their order");
	console_blocked_free(b);

	b = console_blocked_new();
	for (int i = 3; i > 0; i--) {
		(void)snprintf(name, sizeof(name), "smtp:%d", i);
		struct console_destination d = { .name = arena_str(a, str_of(name)) };
		console_blocked_add(b, &d);
	}
	ok(console_blocked_take(b, a, &v) == 3, "all of a few");
	ok_str(v[0].name, STR("smtp:1"), "by name where the time is the same");
	ok_str(v[2].name, STR("smtp:3"), "the last");
	console_blocked_free(b);

	b = console_blocked_new();
	ok(console_blocked_take(b, a, &v) == 0, "none of none");
	console_blocked_free(b);
	arena_free(a);
}

TEST_MAIN(RUN(of_many_that_are_left_alone_the_longest))
