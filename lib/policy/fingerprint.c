#include "policy/fingerprint.h"

#define FINGERPRINT_TEXT_MAX 192 /* a SHA-512 digest with colons */

static bool is_hex(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) || (c >= 'a' && c <= 'f');
}

bool policy_fingerprint_parse(struct arena *a, struct str text, struct str *out)
{
	char *hex;
	size_t n = 0;

	if (text.n == 0 || text.n > FINGERPRINT_TEXT_MAX)
		return false;
	hex = arena_alloc(a, text.n);
	for (size_t i = 0; i < text.n; i += 2) {
		if (i > 0 && text.p[i] == ':')
			i++;
		if (i + 1 >= text.n || !is_hex(text.p[i]) || !is_hex(text.p[i + 1]))
			return false;
		hex[n++] = ascii_lower(text.p[i]);
		hex[n++] = ascii_lower(text.p[i + 1]);
	}
	*out = str_span(hex, n);
	return true;
}

const struct str *
policy_fingerprints(struct policy_trace *t, const struct str *pieces, size_t n_pieces, size_t *n)
{
	struct str *v = ARENA_ARRAY(t->a, n_pieces + 1, struct str);

	*n = 0;
	for (size_t i = 0; i < n_pieces; i++) {
		if (policy_fingerprint_parse(t->a, pieces[i], &v[*n]))
			(*n)++;
		else
			policy_trace_add(t, TRACE_WARNING, STR("fingerprint-malformed"),
					 STR("\"%\" is no fingerprint: left out"),
					 str_first(pieces[i], 100));
	}
	return v;
}

const struct str *policy_fingerprint_list(struct policy_trace *t, struct str text, size_t *n)
{
	const struct str separators = STR(", \t\r\n");
	struct str rest = text, piece, *v;
	size_t count = 0;

	while (str_token(&rest, separators, &piece))
		count++;
	v = ARENA_ARRAY(t->a, count + 1, struct str);
	count = 0;
	while (str_token(&text, separators, &piece))
		v[count++] = piece;
	return policy_fingerprints(t, v, count, n);
}
