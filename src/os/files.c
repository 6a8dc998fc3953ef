#include "os/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	KEPT_BACK = 32,        /* the store, the log, the control socket, a reload */
	KEPT_BACK_WORKER = 16, /* tables, name servers */
};

static _Atomic uint64_t first_kept_back = UINT64_MAX;

uint64_t os_files_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return l.rlim_cur;
}

uint64_t os_files_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder's own */
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t room_of(const struct os_files_wish *w, uint64_t kept_back)
{
	uint64_t taken = w->open + kept_back;

	return w->limit > taken + 2 ? w->limit - taken : 2;
}

struct os_files_plan os_files_plan(const struct os_files_wish *w)
{
	uint64_t kept_back = KEPT_BACK + (uint64_t)w->workers * KEPT_BACK_WORKER;
	struct os_files_plan p = { .kept_back = least(kept_back, w->limit / 4) };
	uint64_t room = room_of(w, p.kept_back);

	p.inbound = least(w->inbound, room - least(w->outbound, room / 2));
	p.outbound = least(w->outbound, room - p.inbound);
	p.fits = p.inbound == w->inbound && p.outbound == w->outbound;
	return p;
}

void os_files_keep_back(uint64_t limit, uint64_t n)
{
	atomic_store(&first_kept_back, limit == UINT64_MAX ? limit : limit - least(n, limit));
}

bool os_files_is_kept_back(int fd)
{
	return fd >= 0 && (uint64_t)fd >= atomic_load(&first_kept_back);
}

/* Other failures are /dev/null's own, and would be there for ever. */
bool os_files_are_short(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == EMFILE || errno == ENFILE;
	(void)close(fd);
	return os_files_is_kept_back(fd);
}
