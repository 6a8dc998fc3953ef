#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/test.h"
#include "os/files.h"

#define SEEN __attribute__((visibility("default")))

static int open_error; /* what every open fails with; 0: none does */

int open64(const char *path, int flags, ...);

SEEN int open64(const char *path, int flags, ...)
{
	if (open_error == 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
	errno = open_error;
	return -1;
}

static const struct {
	const char *rule;
	struct os_files_wish wish;
	struct os_files_plan want;
} plans[] = {
	{ "there is room for all", { 20000, 100, 2, 10000, 2000 }, { 64, 10000, 2000, true } },
	{ "no limit", { UINT64_MAX, 100, 2, 10000, 2000 }, { 64, 10000, 2000, true } },
	{ "halves", { 1064, 0, 2, 10000, 2000 }, { 64, 500, 500, false } },
	{ "few clients leave room", { 1064, 0, 2, 100, 2000 }, { 64, 100, 900, false } },
	{ "few servers leave room", { 1064, 0, 2, 10000, 100 }, { 64, 900, 100, false } },
	{ "a quarter at most is kept back", { 100, 15, 64, 1000, 1000 }, { 25, 30, 30, false } },
	{ "one of each, whatever the limit", { 20, 100, 2, 50, 50 }, { 5, 1, 1, false } },
};

TEST(os_files_plan)
{
	FOR_EACH(c, plans) {
		struct os_files_plan p = os_files_plan(&c->wish);

		ok(p.kept_back == c->want.kept_back, c->rule);
		ok(p.inbound == c->want.inbound && p.outbound == c->want.outbound, c->rule);
		ok(p.fits == c->want.fits, c->rule);
	}
}

TEST(os_files_open)
{
	uint64_t before = os_files_open();
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ok(before >= 3 && os_files_open() == before + 1, "each is counted, the count's own not");
	close(fd);
	ok(os_files_open() == before && os_files_limit() > before, "and not when it is closed");
}

TEST(os_files_is_kept_back)
{
	ok(!os_files_is_kept_back(1000000), "none at first");
	os_files_keep_back(100, 10);
	ok(!os_files_is_kept_back(89) && os_files_is_kept_back(90), "the last ones");
	ok(!os_files_is_kept_back(-1), "no descriptor is none of them");
	ok(!os_files_are_short(), "there are others");
	os_files_keep_back(100, 100);
	ok(os_files_are_short(), "there are not");
	os_files_keep_back(UINT64_MAX, 10);
	ok(!os_files_is_kept_back(1000000), "none where there is no limit");
}

static const struct {
	int error;
	bool is_short;
} failures[] = {
	{ EMFILE, true }, { ENFILE, true }, { ENOENT, false }, { EACCES, false }, { EIO, false },
};

TEST(os_files_are_short)
{
	FOR_EACH(c, failures) {
		open_error = c->error;
		bool is_short = os_files_are_short();
		open_error = 0;
		ok(is_short == c->is_short, strerror(c->error));
	}
}

TEST_MAIN(RUN(os_files_plan), RUN(os_files_open), RUN(os_files_is_kept_back),
	  RUN(os_files_are_short))
