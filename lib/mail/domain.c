#include "mail/domain.h"

#include <idn2.h>
#include <unicase.h>
#include <unistr.h>

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "mail/address.h"

bool domain_is_ascii(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] >= 0x80)
			return false;
	return true;
}

bool domain_is_utf8(struct str text)
{
	return text.n == 0 || u8_check((const uint8_t *)text.p, text.n) == NULL;
}

static bool domain_is_label(struct str label)
{
	if (label.n == 0 || label.n > DOMAIN_LABEL_MAX)
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!ascii_is_alnum(label.p[i]) && label.p[i] != '_' && label.p[i] != '-')
			return false;
	return label.p[0] != '-' && label.p[label.n - 1] != '-';
}

/* Tells a name from a mistyped address: a hyphen does not make a name of numbers. */
static bool domain_has_letter(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (ascii_is_alpha(name.p[i]) || name.p[i] == '_')
			return true;
	return false;
}

bool domain_is_hostname(struct str name)
{
	struct str label, rest = name;

	if (name.n > DOMAIN_NAME_MAX || !domain_has_letter(name))
		return false;
	while (str_cut(rest, '.', &label, &rest))
		if (!domain_is_label(label))
			return false;
	return domain_is_label(rest);
}

/* A-labels of `name` as a C string for free(), NULL when there are none. */
static char *domain_idna(struct str name)
{
	char z[NEXTHOP_MAX + 1], *out = NULL;

	if (name.n > NEXTHOP_MAX || str_contains(name, '\0'))
		return NULL;
	memcpy(z, name.p, name.n);
	z[name.n] = '\0';
	if (idn2_to_ascii_8z(z, &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	if (domain_is_hostname(str_of(out)))
		return out;
	idn2_free(out);
	return NULL;
}

bool domain_to_ascii(struct arena *a, struct str name, struct str *out)
{
	if (domain_is_ascii(name)) {
		*out = name;
		return true;
	}

	char *ascii = domain_idna(name);
	if (ascii == NULL)
		return false;
	*out = arena_str(a, str_of(ascii));
	idn2_free(ascii);
	return true;
}

bool domain_is_hostname_utf8(struct str name, bool is_utf8_ok)
{
	if (!is_utf8_ok || domain_is_ascii(name))
		return domain_is_hostname(name);

	char *ascii = domain_idna(name);
	idn2_free(ascii);
	return ascii != NULL;
}

struct str domain_fold(struct arena *a, struct str name)
{
	const uint8_t *u = (const uint8_t *)name.p;

	if (domain_is_ascii(name) || !domain_is_utf8(name))
		return arena_lower(a, name);

	size_t n;
	uint8_t *folded = u8_casefold(u, name.n, NULL, NULL, NULL, &n);
	CHECK(folded != NULL); /* valid UTF-8 folds, unless memory is out */
	struct str out = arena_str(a, str_span((char *)folded, n));
	free(folded);
	return out;
}

bool domain_is_address_literal(struct str text)
{
	struct address addr;
	static const struct address unspecified_v4 = { .family = ADDRESS_V4 };

	if (!address_parse(text, &addr))
		return false;
	return addr.family == ADDRESS_V6 || addr.octets[0] != 0 ||
	       address_eq(&addr, &unspecified_v4);
}
