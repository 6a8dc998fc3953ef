#include "route/local_part.h"

struct str route_dequote(struct arena *a, struct str local)
{
	char *p, *end;

	if (!str_contains(local, '"') && !str_contains(local, '\\'))
		return local;
	p = end = arena_alloc(a, local.n + 1);
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"')
			continue;
		if (local.p[i] == '\\' && i + 1 < local.n)
			i++;
		*end++ = local.p[i];
	}
	return str_span(p, (size_t)(end - p));
}

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

bool route_strip_extension(struct str local, struct str delimiters, struct str *base)
{
	size_t i = 0;

	if (str_ieq_ascii(local, STR("postmaster")) || str_ieq_ascii(local, STR("mailer-daemon")) ||
	    str_ieq_ascii(local, STR("double-bounce")))
		return false;
	if (str_contains(delimiters, '-') &&
	    (str_ihas_prefix_ascii(local, STR("owner-")) ||
	     (local.n > 8 && str_ieq_ascii(str_from(local, local.n - 8), STR("-request")))))
		return false;
	while (i < local.n && !str_contains(delimiters, local.p[i]))
		i++;
	*base = str_first(local, i);
	return i > 0 && i < local.n;
}
