#include "mail/date.h"

#include <time.h>

#include "base/test.h"

static const struct {
	const char *rule;
	int64_t at;
	struct str want;
} cases[] = {
	{ "the beginning", 0, STR_INIT("Thu, 1 Jan 1970 00:00:00 +0000") },
	{ "a second before it", -1, STR_INIT("Wed, 31 Dec 1969 23:59:59 +0000") },
	{ "a leap day", 1709209845, STR_INIT("Thu, 29 Feb 2024 12:30:45 +0000") },
	{ "no leap year at the century", 4107542400, STR_INIT("Mon, 1 Mar 2100 00:00:00 +0000") },
	{ "the last second of a year", 1798761599, STR_INIT("Thu, 31 Dec 2026 23:59:59 +0000") },
};

TEST(dates_are_those_of_rfc_5322)
{
	FOR_EACH(c, cases) {
		char out[MESSAGE_DATE_MAX];
		ok_str(message_date(c->at, out), c->want, c->rule);
	}
}

TEST(dates_are_those_of_the_c_library)
{
	for (int64_t at = -62135596800; at < 253402300800; at += 86400 * 13 + 12345) {
		char out[MESSAGE_DATE_MAX], want[64];
		time_t t = (time_t)at;
		struct tm tm;
		(void)!gmtime_r(&t, &tm);
		size_t n = strftime(want, sizeof(want), "%a, %e %b ", &tm);
		n += (size_t)snprintf(want + n, sizeof(want) - n, "%04d", tm.tm_year + 1900);
		n += strftime(want + n, sizeof(want) - n, " %H:%M:%S +0000", &tm);
		if (want[5] == ' ') { /* %e pads */
			memmove(want + 5, want + 6, n - 5);
			n--;
		}
		ok_str(message_date(at, out), str_span(want, n), "as gmtime");
	}
}

TEST_MAIN(RUN(dates_are_those_of_rfc_5322), RUN(dates_are_those_of_the_c_library))
