/* A string is a borrowed span of octets: never owned, not NUL-terminated. The header that hands
 * one out says until when it lives. Case functions know A-Z only. */

#ifndef HOPSEAL_BASE_STR_H
#define HOPSEAL_BASE_STR_H

#include "base/base.h"

struct str {
	const char *p;
	size_t n;
};

#define STR(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_INIT(lit)                                                                              \
	{                                                                                          \
		"" lit, sizeof(lit) - 1                                                            \
	}
#define STR_NONE ((struct str){ NULL, 0 })
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).n ? (s).p : ""

struct str str_of(const char *z); /* of a C string; NULL gives STR_NONE */
struct str str_span(const char *p, size_t n);

bool str_eq(struct str a, struct str b);
bool str_ieq_ascii(struct str a, struct str b);
int str_cmp(struct str a, struct str b); /* octet order, as memcmp */
int str_icmp_ascii(struct str a, struct str b);
bool str_has_prefix(struct str s, struct str prefix);
bool str_has_suffix(struct str s, struct str suffix);
bool str_ihas_prefix_ascii(struct str s, struct str prefix);

/* Parts. Indexes past the end give the empty rest. */
struct str str_from(struct str s, size_t i);
struct str str_first(struct str s, size_t n);
struct str str_trim(struct str s); /* ASCII white space at both ends */
struct str str_trim_set(struct str s, struct str set);

/* Splits at the first (str_rcut: last) `c`. False, and both outputs untouched, when there
 * is none. */
MUST_USE bool str_cut(struct str s, char c, struct str *before, struct str *after);
MUST_USE bool str_rcut(struct str s, char c, struct str *before, struct str *after);
/* Takes the next token off the front of *rest; tokens are separated by runs of octets in `set`.
 * False when no token is left. */
MUST_USE bool str_token(struct str *rest, struct str set, struct str *token);
/* As str_token, but an octet of `set` inside { } does not separate. */
MUST_USE bool str_token_braced(struct str *rest, struct str set, struct str *token);

bool str_find(struct str s, char c, size_t *at);
bool str_search(struct str s, struct str needle, size_t *at);
bool str_contains(struct str s, char c);

/* Decimal digits only, no sign, no blanks. False on anything else or overflow. */
MUST_USE bool str_to_u64(struct str s, uint64_t *out);

/* Octets of the UTF-8 character at the front of s, which is not empty; 0: there is none. RFC 3629
 * section 4. */
size_t str_utf8_len(struct str s);
uint32_t str_utf8_code(struct str c); /* of one whole character */
/* Octets at the front of s that a terminal shows and does not obey: whole UTF-8 characters, without
 * controls (C0, DEL, C1), line and paragraph ends, and what turns the direction of text. */
size_t str_shown_len(struct str s);

uint64_t str_hash(struct str s); /* FNV-1a 64; not for hostile keys in unbounded maps */

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}
static inline bool ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}
static inline bool ascii_is_alpha(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}
static inline bool ascii_is_alnum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}
static inline bool ascii_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

#endif
