#include "base/base.h"

#include <stdlib.h>
#include <string.h>

/* abort() leaves a core; the text lies on the stack of this frame for whoever opens it. */
_Noreturn void base_bug(const char *what, const char *file, int line)
{
	volatile const char *const where[] = { what, file };
	volatile int at = line;

	(void)where;
	(void)at;
	abort();
}

void *base_alloc(size_t n)
{
	void *p = calloc(1, n ? n : 1);

	CHECK(p != NULL);
	return p;
}

void *base_realloc(void *p, size_t n)
{
	void *q = realloc(p, n ? n : 1);

	CHECK(q != NULL);
	return q;
}
