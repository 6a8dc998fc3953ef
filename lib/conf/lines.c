#include "conf/lines.h"

#include <string.h>

static struct str take_physical(struct conf_lines *l)
{
	struct str line = l->rest;

	if (str_cut(l->rest, '\n', &line, &l->rest) == false)
		l->rest = str_from(l->rest, l->rest.n);
	l->line++;
	return line;
}

static bool is_nothing(struct str physical)
{
	struct str s = str_trim(physical);

	return s.n == 0 || s.p[0] == '#';
}

/* Blank lines and comments inside a logical line are skipped, and do not end it. */
static bool is_continued(struct str rest)
{
	return rest.n && (ascii_is_space(rest.p[0]) || rest.p[0] == '#');
}

/* The end of the logical line that begins at l->rest, and how many octets it will hold. */
static size_t measure(struct conf_lines l)
{
	size_t n = 0;

	do {
		struct str s = take_physical(&l);
		if (!is_nothing(s))
			n += s.n;
	} while (is_continued(l.rest));
	return n;
}

static struct str join(struct conf_lines *l, struct arena *a)
{
	char *p = arena_alloc(a, measure(*l) + 1);
	size_t n = 0;

	do {
		struct str s = take_physical(l);
		if (is_nothing(s))
			continue;
		memcpy(p + n, s.p, s.n);
		n += s.n;
	} while (is_continued(l->rest));
	return str_span(p, n);
}

bool conf_lines_next(struct conf_lines *l, struct arena *a, struct conf_logical *out)
{
	while (l->rest.n) {
		struct conf_lines at = *l;
		if (is_nothing(take_physical(&at))) {
			*l = at;
			continue;
		}
		out->line = at.line;
		out->text = join(l, a);
		out->is_indented = ascii_is_space(out->text.p[0]);
		return true;
	}
	return false;
}

enum conf_split conf_split(struct str text, struct str *name, struct str *value)
{
	struct str s = str_trim(text);
	size_t n = 0;

	while (n < s.n && s.p[n] != '=' && !ascii_is_space(s.p[n]))
		n++;
	if (n == 0)
		return CONF_SPLIT_NO_NAME;
	struct str rest = str_trim(str_from(s, n));
	if (rest.n == 0 || rest.p[0] != '=')
		return CONF_SPLIT_NO_EQUALS;
	*name = str_first(s, n);
	*value = str_trim(str_from(rest, 1));
	return CONF_SPLIT_OK;
}
