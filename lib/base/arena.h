/* Memory that dies together: one arena per decision, transaction, attempt, configuration snapshot.
 * One thread at a time. What must be closed does not live here. */

#ifndef HOPSEAL_BASE_ARENA_H
#define HOPSEAL_BASE_ARENA_H

#include <stdarg.h>

#include "base/str.h"

struct arena;

MUST_USE struct arena *arena_new(void);
void arena_free(struct arena *a);  /* NULL is fine */
void arena_reset(struct arena *a); /* all that was handed out is gone; one block is kept */

/* Zeroed, aligned for any type; never NULL (aborts when memory is out). The caller bounds `n`. */
MUST_USE void *arena_alloc(struct arena *a, size_t n);
MUST_USE void *arena_array(struct arena *a, size_t count, size_t size);
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, count, type) ((type *)arena_array((a), (count), sizeof(type)))

/* Copies; the octet after the span is NUL, so .p is also a C string. */
struct str arena_str(struct arena *a, struct str s);
struct str arena_lower(struct arena *a, struct str s); /* A-Z lowered */
struct str arena_fmt(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct str arena_vfmt(struct arena *a, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* Octets handed out since new or reset: for limits and statistics. */
size_t arena_used(const struct arena *a);

#endif
