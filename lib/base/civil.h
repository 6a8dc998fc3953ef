/* Calendar and clock of a moment in UTC, without the C library's locale and environment. */

#ifndef HOPSEAL_BASE_CIVIL_H
#define HOPSEAL_BASE_CIVIL_H

#include "base/base.h"

struct civil {
	int64_t year;
	unsigned month, day;           /* from 1 */
	unsigned weekday;              /* 0 is Sunday */
	unsigned hour, minute, second; /* no leap seconds */
};

struct civil civil_of(int64_t utc_s); /* seconds since 1970 */

#endif
