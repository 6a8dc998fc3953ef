#include "base/base64.h"

static const struct str alphabet =
	STR_INIT("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

static uint32_t octet_at(struct str s, size_t i)
{
	return i < s.n ? (unsigned char)s.p[i] : 0;
}

struct str base64_encode(struct arena *a, struct str octets)
{
	size_t n = (octets.n + 2) / 3 * 4;
	char *out = arena_alloc(a, n + 1), *to = out;

	for (size_t i = 0; i < octets.n; i += 3) {
		uint32_t bits = octet_at(octets, i) << 16 | octet_at(octets, i + 1) << 8 |
				octet_at(octets, i + 2);
		*to++ = alphabet.p[bits >> 18];
		*to++ = alphabet.p[bits >> 12 & 63];
		*to++ = i + 1 < octets.n ? alphabet.p[bits >> 6 & 63] : '=';
		*to++ = i + 2 < octets.n ? alphabet.p[bits & 63] : '=';
	}
	return str_span(out, n);
}

static bool value_of(char c, uint32_t *out)
{
	size_t at;

	if (!str_find(alphabet, c, &at))
		return false;
	*out = (uint32_t)at;
	return true;
}

/* Of the last four characters: how many are padding, or 3 for none that is possible. */
static size_t padding_of(struct str text)
{
	if (str_has_suffix(text, STR("===")))
		return 3;
	return str_has_suffix(text, STR("==")) ? 2 : str_has_suffix(text, STR("=")) ? 1 : 0;
}

bool base64_decode(struct arena *a, struct str text, struct str *out)
{
	size_t padding = padding_of(text), n = text.n - padding;

	if (text.n % 4 != 0 || padding == 3)
		return false;
	size_t n_out = text.n / 4 * 3 - padding;
	char *to = arena_alloc(a, n_out + 1);
	uint32_t bits = 0, v = 0;
	size_t have = 0, filled = 0;

	for (size_t i = 0; i < n; i++) {
		if (!value_of(text.p[i], &v))
			return false;
		bits = bits << 6 | v;
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[filled++] = (char)(bits >> have & 0xff);
		}
	}
	*out = str_span(to, n_out);
	return (bits & ((1u << have) - 1)) == 0;
}
