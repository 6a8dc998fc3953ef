#include "os/process.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum { TRIM_MIN = 32 * 1024 * 1024 };

static volatile sig_atomic_t has_told;

static void on_abort(int signum)
{
	static const char text[] = "hopseal: aborted: a library cannot go on\n";

	(void)signum;
	if (!has_told)
		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
}

/* abort() ends the process all the same when this has returned. */
void os_process_tell_aborts(void)
{
	const struct sigaction a = { .sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND };

	CHECK(sigaction(SIGABRT, &a, NULL) == 0);
}

/* No memory is asked for, and no lock: write(2) and nothing else. */
void os_process_last_words(const char *what, const char *file, int line)
{
	char text[512];
	int n = file ? snprintf(text, sizeof(text), "hopseal: a bug: %s (%s:%d)\n", what, file,
				line)
		     : snprintf(text, sizeof(text), "hopseal: %s\n", what);
	size_t most = sizeof(text) - 1;

	has_told = 1;
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
