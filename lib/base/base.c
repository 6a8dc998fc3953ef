#include "base/base.h"

#include <stdlib.h>
#include <string.h>

static base_last_words *last_words;

void base_set_last_words(base_last_words *say)
{
	last_words = say;
}

/* abort() leaves a core; the text lies on the stack of this frame for whoever opens it. */
_Noreturn void base_bug(const char *what, const char *file, int line)
{
	volatile const char *const where[] = { what, file };
	volatile int at = line;

	(void)where;
	(void)at;
	if (last_words)
		last_words(what, file, line);
	abort();
}

_Noreturn void base_refused(const char *what)
{
	base_bug(what, NULL, 0);
}

static void *there(void *p)
{
	if (!p)
		base_refused("out of memory");
	return p;
}

void *base_alloc(size_t n)
{
	return there(calloc(1, n ? n : 1));
}

void *base_realloc(void *p, size_t n)
{
	return there(realloc(p, n ? n : 1));
}
