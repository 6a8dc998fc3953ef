/* Address text: RFC 4291 section 2.2 in, RFC 5952 out. */

#include "mail/address.h"

#include <string.h>

#define V6_GROUPS 8

static bool address_parse_octet(struct str text, uint8_t *out)
{
	uint64_t v;
	bool has_leading_zero = text.n > 1 && text.p[0] == '0';

	if (text.n > 3 || has_leading_zero || !str_to_u64(text, &v) || v > 255)
		return false;
	*out = (uint8_t)v;
	return true;
}

static bool address_parse_v4(struct str text, uint8_t out[4])
{
	struct str head;

	for (int i = 0; i < 3; i++)
		if (!str_cut(text, '.', &head, &text) || !address_parse_octet(head, &out[i]))
			return false;
	return address_parse_octet(text, &out[3]);
}

static int address_hex_digit(char c)
{
	char l = ascii_lower(c);

	if (ascii_is_digit(l))
		return l - '0';
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static bool address_parse_group(struct str text, uint8_t out[2])
{
	unsigned v = 0;

	if (text.n == 0 || text.n > 4)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		int digit = address_hex_digit(text.p[i]);
		if (digit < 0)
			return false;
		v = v * 16 + (unsigned)digit;
	}
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
	return true;
}

/* Groups between colons, the last one perhaps an IPv4 address. Fills *n octets, 16 at most. */
static bool address_parse_groups(struct str text, uint8_t *out, size_t *n)
{
	struct str head;

	*n = 0;
	if (text.n == 0)
		return true;
	while (str_cut(text, ':', &head, &text)) {
		if (*n > 12 || !address_parse_group(head, out + *n))
			return false;
		*n += 2;
	}
	if (*n <= 12 && address_parse_v4(text, out + *n)) {
		*n += 4;
		return true;
	}
	if (*n > 14 || !address_parse_group(text, out + *n))
		return false;
	*n += 2;
	return true;
}

static bool address_parse_v6(struct str text, uint8_t out[16])
{
	uint8_t front[16], back[16];
	size_t at, n_front, n_back;

	if (!str_search(text, STR("::"), &at))
		return address_parse_groups(text, out, &n_front) && n_front == 16;
	if (str_contains(str_first(text, at), '.') ||
	    !address_parse_groups(str_first(text, at), front, &n_front) ||
	    !address_parse_groups(str_from(text, at + 2), back, &n_back) || n_front + n_back > 14)
		return false;
	memset(out, 0, 16);
	if (n_front)
		memcpy(out, front, n_front);
	if (n_back)
		memcpy(out + 16 - n_back, back, n_back);
	return true;
}

bool address_parse(struct str text, struct address *out)
{
	struct address addr = { .family = ADDRESS_V4 };
	bool is_ok;

	if (str_contains(text, ':')) {
		addr.family = ADDRESS_V6;
		is_ok = address_parse_v6(text, addr.octets);
	} else {
		is_ok = address_parse_v4(text, addr.octets);
	}
	if (is_ok)
		*out = addr;
	return is_ok;
}

static unsigned address_group(const struct address *addr, int i)
{
	return (unsigned)addr->octets[2 * i] << 8 | addr->octets[2 * i + 1];
}

/* The longest run of two or more zero groups, the first among equals: RFC 5952 section 4.2. */
static void address_zero_run(const struct address *addr, int *start, int *end)
{
	*start = *end = -1;
	for (int i = 0; i < V6_GROUPS; i++) {
		int j = i;
		while (j < V6_GROUPS && address_group(addr, j) == 0)
			j++;
		if (j - i > 1 && j - i > *end - *start) {
			*start = i;
			*end = j;
		}
		if (j > i)
			i = j;
	}
}

/* ::ffff:0:0/96, which RFC 5952 section 5 recommends to show with a dotted quad. */
static bool address_is_v4_mapped(const struct address *addr)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return memcmp(addr->octets, prefix, sizeof(prefix)) == 0;
}

static struct str address_text_v6(struct arena *a, const struct address *addr)
{
	struct str s = STR("");
	int start, end;

	address_zero_run(addr, &start, &end);
	for (int i = 0; i < V6_GROUPS; i++) {
		if (i == start) {
			s = arena_fmt(a, STR_FMT "::", STR_ARG(s));
			i = end - 1;
			continue;
		}
		s = arena_fmt(a, STR_FMT "%s%x", STR_ARG(s), i == 0 || i == end ? "" : ":",
			      address_group(addr, i));
	}
	return s;
}

struct str address_text(struct arena *a, const struct address *addr)
{
	const uint8_t *o = addr->octets;

	if (addr->family == ADDRESS_V4)
		return arena_fmt(a, "%u.%u.%u.%u", o[0], o[1], o[2], o[3]);
	if (address_is_v4_mapped(addr))
		return arena_fmt(a, "::ffff:%u.%u.%u.%u", o[12], o[13], o[14], o[15]);
	return address_text_v6(a, addr);
}

bool address_eq(const struct address *a, const struct address *b)
{
	size_t n = a->family == ADDRESS_V4 ? 4 : 16;

	return a->family == b->family && memcmp(a->octets, b->octets, n) == 0;
}
