#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "os/process.h"

TEST(os_process)
{
	struct os_process before = os_process(), after;
	size_t n = 8 * 1024 * 1024;
	char *volatile p = malloc(n); /* or the compiler does without it */

	memset(p, 1, n);
	after = os_process();
	ok(before.resident_octets > 0 && before.virtual_octets > before.resident_octets, "pages");
	ok(after.resident_octets >= before.resident_octets + n / 2, "memory that is used");
	ok(after.cpu_ms >= before.cpu_ms, "CPU time rises");
	free(p);
}

/* Held apart by blocks that stay, or it would go back by itself. A sanitizer has a heap of its own,
 * and the kernel's count may be a little behind. */
TEST(os_process_trim)
{
	enum { N = 40000, SIZE = 2000, SLACK = 4 * 1024 * 1024 };
	static char *volatile block[N];
	bool has_heap = os_process().heap_octets > 0;

	for (size_t i = 0; i < N; i++)
		block[i] = memset(malloc(SIZE), 1, SIZE);
	has_heap = has_heap && os_process().heap_octets >= (uint64_t)N * SIZE;
	for (size_t i = 0; i < N; i++)
		if (i % 8 != 0)
			free(block[i]);
	struct os_process full = os_process();
	os_process_trim();
	struct os_process trimmed = os_process();
	ok(trimmed.resident_octets <= full.resident_octets + SLACK, "no more than before");
	ok(!has_heap || trimmed.resident_octets + (uint64_t)N * SIZE / 2 < full.resident_octets,
	   "free pages are given back");
	for (size_t i = 0; i < N; i += 8)
		free(block[i]);
}

TEST_MAIN(RUN(os_process), RUN(os_process_trim))
