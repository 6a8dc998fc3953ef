/* Files, clocks and entropy. Blocking calls: what may be slow belongs on a thread of its own. */

#ifndef HOPSEAL_OS_OS_H
#define HOPSEAL_OS_OS_H

#include "base/buf.h"
#include "base/error.h"

uint64_t os_now_ms(void); /* monotonic; the zero is anywhere */
int64_t os_utc_s(void);   /* seconds since 1970, for records */
int64_t os_utc_ns(void);  /* the same clock, to compare with os_file_id.mtime_ns */

void os_sleep_ms(uint64_t ms); /* blocks the thread; not for loops */

void os_random(void *p, size_t n); /* unpredictable octets; aborts when the system has none */

/* Which file, and which version of it: two equal identities are the same content, unless somebody
 * wrote within the same tick of the file system's clock. */
struct os_file_id {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns; /* since 1970 */
	bool is_regular;
};

bool os_file_id_eq(const struct os_file_id *a, const struct os_file_id *b);

/* False: *e is ERROR_NO_INPUT (missing, not permitted) or ERROR_IO, and its text the system's words
 * alone, so that the caller can put the path and purpose before it. */
MUST_USE bool os_file_stat(const char *path, struct os_file_id *out, struct error *e);

/* Appends the whole file to `out`; more than its limit is ERROR_LIMIT, a folder ERROR_NO_INPUT. *id
 * (may be NULL) is the identity after the last read. ERROR_TEMP: the file changed while it was
 * read; what is in `out` may be half of it. */
MUST_USE bool
os_file_read(const char *path, struct buf *out, struct os_file_id *id, struct error *e);

/* Makes or replaces the file in one step, through a new file beside it: a reader sees the old
 * content or the new, never a part. */
MUST_USE bool os_file_write(const char *path, struct str text, struct error *e);

#endif
