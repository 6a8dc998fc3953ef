#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 512 };

void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){ .limit = limit };
}

void buf_fini(struct buf *b)
{
	free(b->mem);
	*b = (struct buf){ .limit = b->limit };
}

void buf_reset(struct buf *b)
{
	b->start = b->end = 0;
}

struct str buf_str(const struct buf *b)
{
	return b->mem ? (struct str){ b->mem + b->start, buf_len(b) } : STR_NONE;
}

static void buf_compact(struct buf *b)
{
	if (b->start == 0)
		return;
	memmove(b->mem, b->mem + b->start, buf_len(b));
	b->end -= b->start;
	b->start = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
	if (n > buf_room(b))
		return NULL;
	if (!b->mem || b->size - b->end < n) {
		if (b->mem)
			buf_compact(b);
		size_t size = b->size ? b->size : BUF_FIRST;
		while (size - b->end < n)
			size *= 2;
		if (size != b->size)
			b->mem = base_realloc(b->mem, size);
		b->size = size;
	}
	return b->mem + b->end;
}

void buf_filled(struct buf *b, size_t n)
{
	CHECK(n <= b->size - b->end);
	b->end += n;
}

bool buf_add(struct buf *b, struct str s)
{
	char *p = buf_reserve(b, s.n);

	if (!p)
		return false;
	if (s.n)
		memcpy(p, s.p, s.n);
	b->end += s.n;
	return true;
}

bool buf_add_char(struct buf *b, char c)
{
	return buf_add(b, (struct str){ &c, 1 });
}

bool buf_vfmt(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	CHECK(n >= 0);
	if ((size_t)n > buf_room(b))
		return false;
	/* vsnprintf writes a NUL too: it may stand past the limit, never past the memory. */
	b->limit++;
	char *p = buf_reserve(b, (size_t)n + 1);
	b->limit--;
	CHECK(p != NULL);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	b->end += (size_t)n;
	return true;
}

bool buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	bool ok = buf_vfmt(b, fmt, ap);
	va_end(ap);
	return ok;
}

void buf_consume(struct buf *b, size_t n)
{
	CHECK(n <= buf_len(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}
