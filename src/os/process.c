#include "os/process.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum { TRIM_MIN = 32 * 1024 * 1024 };

/* No memory is asked for, and no lock: write(2) and nothing else. */
void os_process_last_words(const char *what, const char *file, int line)
{
	char text[512];
	int n = file ? snprintf(text, sizeof(text), "hopseal: a bug: %s (%s:%d)\n", what, file,
				line)
		     : snprintf(text, sizeof(text), "hopseal: %s\n", what);
	size_t most = sizeof(text) - 1;

	(void)!write(STDERR_FILENO, text, (size_t)n < most ? (size_t)n : most);
	if (!file)
		_exit(EX_OSERR);
}

static uint64_t ms_of(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_usec / 1000;
}

/* proc(5): size and resident, in pages, come first. */
static void read_pages(struct os_process *p)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long size = 0, resident = 0;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (!f)
		return;
	if (fscanf(f, "%llu %llu", &size, &resident) == 2) {
		p->virtual_octets = size * page;
		p->resident_octets = resident * page;
	}
	fclose(f);
}

void os_process_trim(void)
{
	struct mallinfo2 heap = mallinfo2();

	if (heap.fordblks > TRIM_MIN && heap.fordblks > heap.uordblks)
		(void)malloc_trim(0);
}

struct os_process os_process(void)
{
	struct mallinfo2 heap = mallinfo2();
	struct os_process p = { .heap_octets = heap.uordblks + heap.hblkhd };
	struct rusage used;

	CHECK(getrusage(RUSAGE_SELF, &used) == 0);
	p.cpu_ms = ms_of(used.ru_utime) + ms_of(used.ru_stime);
	read_pages(&p);
	return p;
}
