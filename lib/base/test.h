/* Thin wrappers over cmocka for table-driven tests. Only *_test.c files include this. */

#ifndef HOPSEAL_BASE_TEST_H
#define HOPSEAL_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define TEST(name) static void test_##name(void **state __attribute__((unused)))
#define RUN(name) cmocka_unit_test(test_##name)

/* Fails naming the rule, which is a C string. */
#define ok(cond, rule)                                                                             \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_msg("%s: %s", (rule), #cond);                                         \
	} while (0)

#define ok_str(got, want, rule)                                                                    \
	do {                                                                                       \
		struct str got_ = (got), want_ = (want);                                           \
		if (!str_eq(got_, want_))                                                          \
			fail_msg("%s: got \"" STR_FMT "\", want \"" STR_FMT "\"", (rule),          \
				 STR_ARG(got_), STR_ARG(want_));                                   \
	} while (0)

#define FOR_EACH(c, cases)                                                                         \
	for (__typeof__(&(cases)[0]) c = (cases);                                                  \
	     c < (cases) + sizeof(cases) / sizeof((cases)[0]); c++)

#define TEST_MAIN(...)                                                                             \
	int main(void)                                                                             \
	{                                                                                          \
		const struct CMUnitTest tests[] = { __VA_ARGS__ };                                 \
		return cmocka_run_group_tests(tests, NULL, NULL);                                  \
	}

/* A heap copy of exactly the span's size: ASan sees one octet read too far. free(.p). */
static inline struct str test_exact(struct str s)
{
	char *p = malloc(s.n ? s.n : 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}

#endif
