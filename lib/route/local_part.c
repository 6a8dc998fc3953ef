#include "route/local_part.h"

static bool route_is_atom(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && !str_contains(STR("()<>@,;:\\\"[]"), c);
}

/* RFC 5321 section 4.1.2, Dot-string; octets of UTF-8 are as good as letters. */
static bool route_is_dot_string(struct str local)
{
	for (size_t i = 0; i < local.n; i++) {
		bool is_edge = i == 0 || i + 1 == local.n || local.p[i - 1] == '.';
		if (!route_is_atom(local.p[i]) || (local.p[i] == '.' && is_edge))
			return false;
	}
	return local.n > 0;
}

struct str route_quote(struct arena *a, struct str local)
{
	char *p, *end;

	if (route_is_dot_string(local))
		return local;
	p = end = arena_alloc(a, local.n * 2 + 2);
	*end++ = '"';
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			*end++ = '\\';
		*end++ = local.p[i];
	}
	*end++ = '"';
	return str_span(p, (size_t)(end - p));
}
