#include "table/braces.h"

bool table_unbrace(struct str s, struct str *inside)
{
	size_t depth = 0, i = 0;

	if (s.n < 2 || s.p[0] != '{')
		return false;
	do {
		if (s.p[i] == '{')
			depth++;
		else if (s.p[i] == '}')
			depth--;
		i++;
	} while (i < s.n && depth > 0);
	if (depth > 0 || i < s.n)
		return false;
	*inside = str_trim(str_span(s.p + 1, s.n - 2));
	return true;
}

/* The name ends at the first blank or "="; blanks around "=" are allowed. */
static enum table_pair
table_pair_split(struct str pair, struct str *name, struct str *value, struct str *problem)
{
	struct str left;

	pair = str_trim(pair);
	if (pair.n == 0 || pair.p[0] == '=') {
		*problem = STR("there is no key before \"=\"");
		return TABLE_PAIR_BAD;
	}
	if (!str_cut(pair, '=', &left, value)) {
		*problem = STR("there is no \"=\" after a key");
		return TABLE_PAIR_BAD;
	}
	*name = str_trim(left);
	for (size_t i = 0; i < name->n; i++) {
		if (ascii_is_space(name->p[i])) {
			*problem = STR("there is white space in a key");
			return TABLE_PAIR_BAD;
		}
	}
	*value = str_trim(*value);
	return TABLE_PAIR;
}

enum table_pair
table_pair_next(struct str *rest, struct str *name, struct str *value, struct str *problem)
{
	struct str token;

	if (!str_token_braced(rest, STR(", \t\r\n"), &token))
		return TABLE_PAIR_END;
	if (token.p[0] == '{' && !table_unbrace(token, &token)) {
		*problem = STR("the braces of a pair do not match, or something follows them");
		return TABLE_PAIR_BAD;
	}
	return table_pair_split(token, name, value, problem);
}
