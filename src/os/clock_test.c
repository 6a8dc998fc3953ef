#include "base/test.h"
#include "os/os.h"

TEST(os_clocks)
{
	uint64_t now = os_now_ms();

	ok(os_now_ms() >= now, "monotonic");
	ok(os_utc_s() > 1700000000, "UTC is set");
	ok(os_utc_ns() / 1000000000 - os_utc_s() <= 1, "one clock");
	os_sleep_ms(20);
	ok(os_now_ms() >= now + 20, "sleep");
}

TEST(os_random)
{
	static const char zero[64];
	char a[64] = { 0 }, b[64] = { 0 };

	os_random(a, sizeof(a));
	os_random(b, sizeof(b));
	ok(memcmp(a, b, sizeof(a)) != 0, "different each time");
	ok(memcmp(a, zero, sizeof(a)) != 0, "not zero");
	os_random(b, 0);
}

TEST_MAIN(RUN(os_clocks), RUN(os_random))
