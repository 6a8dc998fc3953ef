#include "base/str.h"

#include <string.h>

struct str str_of(const char *z)
{
	return z ? (struct str){ z, strlen(z) } : STR_NONE;
}

struct str str_span(const char *p, size_t n)
{
	return (struct str){ p, n };
}

bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.n > b.n) - (a.n < b.n);
}

int str_icmp_ascii(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)ascii_lower(a.p[i]);
		unsigned char y = (unsigned char)ascii_lower(b.p[i]);
		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool str_ieq_ascii(struct str a, struct str b)
{
	return a.n == b.n && str_icmp_ascii(a, b) == 0;
}

bool str_has_prefix(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_first(s, prefix.n), prefix);
}

bool str_has_suffix(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_from(s, s.n - suffix.n), suffix);
}

bool str_ihas_prefix_ascii(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_ieq_ascii(str_first(s, prefix.n), prefix);
}

struct str str_from(struct str s, size_t i)
{
	if (i >= s.n)
		return (struct str){ s.p ? s.p + s.n : NULL, 0 };
	return (struct str){ s.p + i, s.n - i };
}

struct str str_first(struct str s, size_t n)
{
	return (struct str){ s.p, n < s.n ? n : s.n };
}

struct str str_trim_set(struct str s, struct str set)
{
	while (s.n && str_contains(set, s.p[0]))
		s = str_from(s, 1);
	while (s.n && str_contains(set, s.p[s.n - 1]))
		s.n--;
	return s;
}

struct str str_trim(struct str s)
{
	return str_trim_set(s, STR(" \t\r\n\v\f"));
}

bool str_find(struct str s, char c, size_t *at)
{
	const char *q = s.n ? memchr(s.p, c, s.n) : NULL;

	if (!q)
		return false;
	*at = (size_t)(q - s.p);
	return true;
}

bool str_contains(struct str s, char c)
{
	return s.n && memchr(s.p, c, s.n) != NULL;
}

bool str_search(struct str s, struct str needle, size_t *at)
{
	for (size_t i = 0; i + needle.n <= s.n; i++) {
		if (str_has_prefix(str_from(s, i), needle)) {
			*at = i;
			return true;
		}
	}
	return false;
}

static void str_split_at(struct str s, size_t at, struct str *before, struct str *after)
{
	*before = str_first(s, at);
	*after = str_from(s, at + 1);
}

bool str_cut(struct str s, char c, struct str *before, struct str *after)
{
	size_t at;

	if (!str_find(s, c, &at))
		return false;
	str_split_at(s, at, before, after);
	return true;
}

bool str_rcut(struct str s, char c, struct str *before, struct str *after)
{
	for (size_t i = s.n; i-- > 0;) {
		if (s.p[i] == c) {
			str_split_at(s, i, before, after);
			return true;
		}
	}
	return false;
}

static struct str str_skip(struct str s, struct str set)
{
	while (s.n && str_contains(set, s.p[0]))
		s = str_from(s, 1);
	return s;
}

bool str_token(struct str *rest, struct str set, struct str *token)
{
	struct str s = str_skip(*rest, set);
	size_t i = 0;

	while (i < s.n && !str_contains(set, s.p[i]))
		i++;
	*rest = str_from(s, i);
	if (i == 0)
		return false;
	*token = str_first(s, i);
	return true;
}

bool str_token_braced(struct str *rest, struct str set, struct str *token)
{
	struct str s = str_skip(*rest, set);
	size_t i = 0, depth = 0;

	for (; i < s.n && (depth > 0 || !str_contains(set, s.p[i])); i++) {
		if (s.p[i] == '{')
			depth++;
		else if (s.p[i] == '}' && depth > 0)
			depth--;
	}
	*rest = str_from(s, i);
	if (i == 0)
		return false;
	*token = str_first(s, i);
	return true;
}

bool str_to_u64(struct str s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!ascii_is_digit(s.p[i]) || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	}
	*out = v;
	return true;
}

size_t str_utf8_len(struct str s)
{
	const unsigned char *u = (const unsigned char *)s.p;
	size_t n = u[0] < 0x80   ? 1
		   : u[0] < 0xc2 ? 0
		   : u[0] < 0xe0 ? 2
		   : u[0] < 0xf0 ? 3
		   : u[0] < 0xf5 ? 4
				 : 0;

	if (n == 0 || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	bool is_overlong = (u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xf0 && u[1] < 0x90);
	bool is_outside = (u[0] == 0xed && u[1] >= 0xa0) || (u[0] == 0xf4 && u[1] >= 0x90);
	return is_overlong || is_outside ? 0 : n;
}

uint32_t str_utf8_code(struct str c)
{
	static const unsigned char first[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	const unsigned char *u = (const unsigned char *)c.p;
	uint32_t code = u[0] & first[c.n];

	for (size_t i = 1; i < c.n; i++)
		code = code << 6 | (u[i] & 0x3f);
	return code;
}

static bool str_is_shown(uint32_t code)
{
	bool is_control = code < ' ' || (code >= 0x7f && code < 0xa0);
	bool is_end = code == 0x2028 || code == 0x2029;
	bool is_turn = code == 0x061c || code == 0x200e || code == 0x200f ||
		       (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);

	return !is_control && !is_end && !is_turn;
}

size_t str_shown_len(struct str s)
{
	size_t at = 0;

	while (at < s.n) {
		struct str rest = str_from(s, at);
		size_t n = str_utf8_len(rest);
		if (n == 0 || !str_is_shown(str_utf8_code(str_first(rest, n))))
			break;
		at += n;
	}
	return at;
}

uint64_t str_hash(struct str s)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	return h;
}
