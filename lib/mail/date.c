#include "mail/date.h"

#include <stdio.h>

#include "base/civil.h"

static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct str message_date(int64_t utc_s, char out[MESSAGE_DATE_MAX])
{
	struct civil c = civil_of(utc_s);
	int n = snprintf(out, MESSAGE_DATE_MAX, "%s, %u %s %04lld %02u:%02u:%02u +0000",
			 days[c.weekday], c.day, months[c.month - 1], (long long)c.year, c.hour,
			 c.minute, c.second);

	return str_span(out, (size_t)n);
}
