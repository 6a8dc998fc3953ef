/* A growing octet buffer that cannot grow past the limit given at its birth. Consumed from the
 * front, filled at the back. One thread at a time. */

#ifndef HOPSEAL_BASE_BUF_H
#define HOPSEAL_BASE_BUF_H

#include <stdarg.h>

#include "base/str.h"

struct buf {
	char *mem;
	size_t start, end, size; /* content is mem[start, end) */
	size_t limit;            /* octets of content at most */
};

void buf_init(struct buf *b, size_t limit);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* empties; keeps the memory */

/* Borrowed until the next call that changes the buffer. */
struct str buf_str(const struct buf *b);
static inline size_t buf_len(const struct buf *b)
{
	return b->end - b->start;
}
static inline size_t buf_room(const struct buf *b)
{
	return b->limit - buf_len(b);
}

/* False when the limit would be passed; nothing is added then. */
MUST_USE bool buf_add(struct buf *b, struct str s);
MUST_USE bool buf_add_char(struct buf *b, char c);
MUST_USE bool buf_fmt(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
MUST_USE bool buf_vfmt(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* At least `n` writable octets at the back (NULL past the limit), then how many were filled. */
MUST_USE char *buf_reserve(struct buf *b, size_t n);
void buf_filled(struct buf *b, size_t n);

void buf_consume(struct buf *b, size_t n); /* drops n octets off the front; n <= buf_len */

#endif
