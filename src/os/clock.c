#include "os/os.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static struct timespec os_clock(clockid_t id)
{
	struct timespec t;

	CHECK(clock_gettime(id, &t) == 0);
	return t;
}

uint64_t os_now_ms(void)
{
	struct timespec t = os_clock(CLOCK_MONOTONIC);

	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int64_t os_utc_s(void)
{
	return os_clock(CLOCK_REALTIME).tv_sec;
}

int64_t os_utc_ns(void)
{
	struct timespec t = os_clock(CLOCK_REALTIME);

	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void os_sleep_ms(uint64_t ms)
{
	struct timespec left = { .tv_sec = (time_t)(ms / 1000),
				 .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) != 0)
		CHECK(errno == EINTR);
}

void os_random(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);
		if (got < 0 && errno != EINTR)
			base_refused("the system has no random numbers");
		if (got > 0) {
			at += got;
			n -= (size_t)got;
		}
	}
}
