/* What every file of the house starts from: attributes, CHECK, integers. No I/O. */

#ifndef HOPSEAL_BASE_BASE_H
#define HOPSEAL_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* A broken CHECK is a bug of ours: it says where and aborts, in release builds too. */
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			base_bug(#cond, __FILE__, __LINE__);                                       \
	} while (0)

_Noreturn void base_bug(const char *what, const char *file, int line);

/* The system refuses what nothing goes on without: "out of memory". Ends the process; what was
 * promised is on the disk. */
_Noreturn void base_refused(const char *what);

/* Says it and ends the process as it sees fit; `file` NULL: the system refused. It may run on any
 * thread, and there may be no memory. Without one, and when it returns: abort(). */
typedef void base_last_words(const char *what, const char *file, int line);
void base_set_last_words(base_last_words *say); /* before there are threads */

/* Memory of our own size (never a peer's): base_refused when there is none. Freed by free(). */
MUST_USE void *base_alloc(size_t n);            /* zeroed */
MUST_USE void *base_realloc(void *p, size_t n); /* new octets are not zeroed */

/* Checked arithmetic: false when the result does not fit, *out untouched then. */
static inline MUST_USE bool size_add(size_t a, size_t b, size_t *out)
{
	size_t r;
	if (__builtin_add_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

static inline MUST_USE bool size_mul(size_t a, size_t b, size_t *out)
{
	size_t r;
	if (__builtin_mul_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

#endif
