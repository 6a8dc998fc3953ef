#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most arenas need little, and thousands live as long as a session: blocks begin small. */
enum { ARENA_FIRST = 512 - 32, ARENA_BLOCK = 4096 - 32, ARENA_ALIGN = _Alignof(max_align_t) };

struct arena_block {
	struct arena_block *next;
	size_t size, used;
	_Alignas(max_align_t) char mem[];
};

struct arena {
	struct arena_block *top;
	size_t used;
};

static struct arena_block *arena_block_new(size_t size)
{
	struct arena_block *b = base_realloc(NULL, sizeof(*b) + size);

	b->next = NULL;
	b->size = size;
	b->used = 0;
	return b;
}

struct arena *arena_new(void)
{
	struct arena *a = base_alloc(sizeof(*a));

	a->top = arena_block_new(ARENA_FIRST);
	return a;
}

static void arena_free_blocks(struct arena_block *b)
{
	while (b) {
		struct arena_block *next = b->next;
		free(b);
		b = next;
	}
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_free_blocks(a->top);
	free(a);
}

void arena_reset(struct arena *a)
{
	arena_free_blocks(a->top->next);
	a->top->next = NULL;
	a->top->used = 0;
	a->used = 0;
}

static size_t next_size(const struct arena *a, size_t need)
{
	size_t size = a->top->size < ARENA_BLOCK / 2 ? a->top->size * 2 + 32 : ARENA_BLOCK;

	return need > size ? need : size;
}

/* As arena_alloc, not zeroed. */
static void *arena_take(struct arena *a, size_t n)
{
	size_t need;

	CHECK(size_add(n, ARENA_ALIGN - 1, &need));
	need -= need % ARENA_ALIGN;
	if (a->top->size - a->top->used < need) {
		struct arena_block *b = arena_block_new(next_size(a, need));
		b->next = a->top;
		a->top = b;
	}
	void *p = a->top->mem + a->top->used;
	a->top->used += need;
	a->used += need;
	return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
	return memset(arena_take(a, n), 0, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	size_t n;

	CHECK(size_mul(count, size, &n));
	return arena_alloc(a, n);
}

struct str arena_str(struct arena *a, struct str s)
{
	if (s.n == 0)
		return STR("");

	char *p = arena_take(a, s.n + 1);
	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (struct str){ p, s.n };
}

struct str arena_lower(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return (struct str){ p, s.n };
}

struct str arena_vfmt(struct arena *a, const char *fmt, va_list ap)
{
	char small[256]; /* most texts fit, and are formatted once */
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	CHECK(n >= 0);
	char *p = arena_alloc(a, (size_t)n + 1);
	if ((size_t)n < sizeof(small))
		memcpy(p, small, (size_t)n);
	else
		(void)vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return (struct str){ p, (size_t)n };
}

struct str arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct str s = arena_vfmt(a, fmt, ap);
	va_end(ap);
	return s;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}
