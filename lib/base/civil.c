#include "base/civil.h"

enum { DAY_S = 24 * 60 * 60 };

/* Years are counted from March, so that the leap day is the last of them: era of 400 years, year
 * and day in it. */
static void civil_date(struct civil *c, int64_t days_since_1970)
{
	int64_t z = days_since_1970 + 719468; /* since 1 March of year 0 */
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned in_era = (unsigned)(z - era * 146097);
	unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
	unsigned from_march = (5 * in_year + 2) / 153;

	c->month = from_march < 10 ? from_march + 3 : from_march - 9;
	c->day = in_year - (153 * from_march + 2) / 5 + 1;
	c->year = era * 400 + year + (c->month <= 2);
}

struct civil civil_of(int64_t utc_s)
{
	int64_t day = utc_s / DAY_S - (utc_s % DAY_S < 0);
	unsigned s = (unsigned)(utc_s - day * DAY_S);
	struct civil c = {
		.weekday = (unsigned)(((day + 4) % 7 + 7) % 7),
		.hour = s / 3600,
		.minute = s / 60 % 60,
		.second = s % 60,
	};

	civil_date(&c, day);
	return c;
}
