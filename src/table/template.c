#include "table/template.h"

#include "base/base.h"

#define TEMPLATE_GROUP_MAX 99999 /* more than any pattern has */

/* Text as it stands, or a group when .group is not 0. */
struct template_piece {
	struct str text;
	size_t group;
};

/* The name inside "{...}" or "(...)", which may hold pairs of the same. */
static bool template_enclosed(struct str *rest, struct str *name, struct error *why)
{
	char open = rest->p[0], close = open == '{' ? '}' : ')';
	size_t depth = 0;

	for (size_t i = 0; i < rest->n; i++) {
		depth += rest->p[i] == open;
		depth -= rest->p[i] == close;
		if (depth > 0)
			continue;
		*name = str_span(rest->p + 1, i - 1);
		*rest = str_from(*rest, i + 1);
		return true;
	}
	return error_set(why, ERROR_DATA, "\"$%c\" is not closed in the value", open);
}

static void template_bare(struct str *rest, struct str *name)
{
	size_t i = 0;

	while (i < rest->n && (ascii_is_alnum(rest->p[i]) || rest->p[i] == '_'))
		i++;
	*name = str_first(*rest, i);
	*rest = str_from(*rest, i);
}

/* What follows a "$". */
static bool template_reference(struct str *rest, size_t *group, struct error *why)
{
	struct str name = STR("");
	uint64_t n;

	if (rest->n > 0 && (rest->p[0] == '{' || rest->p[0] == '(')) {
		if (!template_enclosed(rest, &name, why))
			return false;
	} else {
		template_bare(rest, &name);
	}
	if (name.n == 0)
		return error_set(
			why, ERROR_DATA,
			"a \"$\" in the value has no number after it; \"$$\" is one \"$\"");
	if (!str_to_u64(name, &n) || n == 0 || n > TEMPLATE_GROUP_MAX)
		return error_set(why, ERROR_DATA,
				 "\"$" STR_FMT "\" in the value is not the number of a group; "
				 "\"${1}x\" is group 1 and an x",
				 STR_ARG(str_first(name, 100)));
	*group = n;
	return true;
}

/* False at the end (why->kind is ERROR_NONE) or on an error. */
static bool template_next(struct str *rest, struct template_piece *piece, struct error *why)
{
	size_t at;

	*piece = (struct template_piece){ .text = *rest };
	if (rest->n == 0)
		return false;
	if (!str_find(*rest, '$', &at)) {
		*rest = STR("");
		return true;
	}
	if (at > 0) {
		piece->text = str_first(*rest, at);
		*rest = str_from(*rest, at);
		return true;
	}
	*rest = str_from(*rest, 1);
	if (rest->n > 0 && rest->p[0] == '$') {
		piece->text = str_first(*rest, 1);
		*rest = str_from(*rest, 1);
		return true;
	}
	return template_reference(rest, &piece->group, why);
}

bool template_check(struct str text, size_t *max, struct error *why)
{
	struct template_piece piece;

	*max = 0;
	why->kind = ERROR_NONE;
	while (template_next(&text, &piece, why))
		if (piece.group > *max)
			*max = piece.group;
	return why->kind == ERROR_NONE;
}

bool template_expand(struct str text, const struct str *groups, struct buf *out)
{
	struct template_piece piece;
	struct error why = { .kind = ERROR_NONE };

	while (template_next(&text, &piece, &why))
		if (!buf_add(out, piece.group > 0 ? groups[piece.group] : piece.text))
			return false;
	CHECK(why.kind == ERROR_NONE);
	return true;
}
