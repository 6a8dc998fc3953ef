/* An expected failure on its way to whoever can do something about it. `kind` says what the
 * caller may do; `text` is one line for people, with file and line where there are any. */

#ifndef HOPSEAL_BASE_ERROR_H
#define HOPSEAL_BASE_ERROR_H

#include "base/str.h"

enum error_kind {
	ERROR_NONE,
	ERROR_USAGE,    /* the command line: EX_USAGE 64 */
	ERROR_DATA,     /* the input is malformed: EX_DATAERR 65 */
	ERROR_NO_INPUT, /* a file is missing or unreadable: EX_NOINPUT 66 */
	ERROR_NOT_HERE, /* a service or resource is not available: EX_UNAVAILABLE 69 */
	ERROR_SYSTEM,   /* the operating system refused: EX_OSERR 71 */
	ERROR_IO,       /* reading or writing failed: EX_IOERR 74 */
	ERROR_TEMP,     /* may work later: EX_TEMPFAIL 75 */
	ERROR_CONFIG,   /* the configuration is wrong: EX_CONFIG 78 */
	ERROR_LIMIT,    /* a bound of limits.h was reached */
};

struct error {
	enum error_kind kind;
	char text[1024];
};

/* Fills *e (which may be NULL) and returns false: `return error_set(e, ERROR_IO, ...)`. */
bool error_set(struct error *e, enum error_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "text: " before what *e says already. */
bool error_prefix(struct error *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
static inline struct str error_text(const struct error *e)
{
	return str_of(e->text);
}

#endif
