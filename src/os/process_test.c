#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "os/process.h"

TEST(os_process)
{
	struct os_process before = os_process(), after;
	size_t n = 8 * 1024 * 1024;
	char *p = malloc(n);

	memset(p, 1, n);
	after = os_process();
	ok(before.resident_octets > 0 && before.virtual_octets > before.resident_octets, "pages");
	ok(after.resident_octets >= before.resident_octets + n / 2, "memory that is used");
	ok(after.cpu_ms >= before.cpu_ms, "CPU time rises");
	free(p);
}

TEST_MAIN(RUN(os_process))
