#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *e, enum error_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return false;
	e->kind = kind;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return false;
}

bool error_prefix(struct error *e, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	va_list ap;

	if (!e)
		return false;
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	size_t n = strlen(e->text);
	(void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", old);
	return false;
}
