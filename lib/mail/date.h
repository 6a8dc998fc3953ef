/* The date of header fields: RFC 5322 section 3.3. */

#ifndef HOPSEAL_MAIL_DATE_H
#define HOPSEAL_MAIL_DATE_H

#include "base/str.h"

#define MESSAGE_DATE_MAX 48

/* "Sun, 22 Nov 2026 11:30:00 +0000", always in UTC; the text lives in `out`. `utc_s` is seconds
 * since 1970, from year 1 to 9999. */
struct str message_date(int64_t utc_s, char out[MESSAGE_DATE_MAX]);

#endif
