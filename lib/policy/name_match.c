/* Presented names against reference names: RFC 6125 section 6.4, in the form that Postfix's use of
 * OpenSSL gives it. */

#include "policy/policy.h"

static bool is_wildcard_label_char(char c)
{
	return ascii_is_alnum(c) || c == '-';
}

/* What follows "*": at least two labels of letters, digits and inner hyphens, so that "*.com" and
 * "*.-x.example" stand for nothing but themselves. */
static bool is_wildcard_parent(struct str parent)
{
	size_t labels = 0;
	struct str label;

	for (bool is_last = false; !is_last; labels++) {
		struct str rest = STR_NONE;

		is_last = !str_cut(parent, '.', &label, &rest);
		if (is_last)
			label = parent;
		parent = rest;
		if (!label.n || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_wildcard_label_char(label.p[i]))
				return false;
	}
	return labels >= 2;
}

static bool is_wildcard_label(struct str label)
{
	for (size_t i = 0; i < label.n; i++)
		if (!is_wildcard_label_char(label.p[i]))
			return false;
	return label.n > 0;
}

/* One label after the other is cut off in front, until what is left is what follows the star. */
static bool wildcard_matches(struct str parent, struct str reference, enum policy_wildcard wildcard)
{
	struct str label, rest;

	if (!is_wildcard_parent(parent))
		return false;
	while (str_cut(reference, '.', &label, &rest) && is_wildcard_label(label)) {
		if (str_ieq_ascii(rest, parent))
			return true;
		if (wildcard == POLICY_WILDCARD_ONE_LABEL)
			return false;
		reference = rest;
	}
	return false;
}

/* ".x": the presented name, wildcard or not, lies below x. */
static bool lies_below(struct str presented, struct str dot_parent)
{
	return presented.n > dot_parent.n &&
	       str_ieq_ascii(str_from(presented, presented.n - dot_parent.n), dot_parent);
}

bool policy_name_matches(struct str presented, struct str reference, enum policy_wildcard wildcard)
{
	if (!presented.n || !reference.n)
		return false;
	if (reference.n > 1 && reference.p[0] == '.')
		return lies_below(presented, reference);
	if (str_has_prefix(presented, STR("*.")) &&
	    wildcard_matches(str_from(presented, 2), reference, wildcard))
		return true;
	return str_ieq_ascii(presented, reference);
}
