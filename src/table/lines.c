#include "table/lines.h"

#include "base/limits.h"

void table_lines_init(struct table_lines *l, struct str text)
{
	*l = (struct table_lines){ .rest = text };
	buf_init(&l->joined, TABLE_VALUE_MAX);
}

void table_lines_fini(struct table_lines *l)
{
	buf_fini(&l->joined);
}

static struct str lines_take(struct table_lines *l)
{
	struct str line;

	if (!str_cut(l->rest, '\n', &line, &l->rest)) {
		line = l->rest;
		l->rest = STR("");
	}
	l->line++;
	return line;
}

static bool line_is_blank_or_comment(struct str line)
{
	size_t i = 0;

	while (i < line.n && ascii_is_space(line.p[i]))
		i++;
	return i == line.n || line.p[i] == '#';
}

/* Lines are joined as they are, without the line end. */
static void lines_join(struct table_lines *l, struct str *logical, struct str line)
{
	bool is_joined = logical->p == buf_str(&l->joined).p;

	if (!is_joined) {
		buf_reset(&l->joined);
		l->is_too_long |= !buf_add(&l->joined, *logical);
	}
	l->is_too_long |= !buf_add(&l->joined, line);
	*logical = buf_str(&l->joined);
}

/* Comments and blank lines do not end an entry: what decides is how the next line with text
 * begins. */
bool table_lines_next(struct table_lines *l, struct str *logical, unsigned *first)
{
	bool has_text = false;

	l->is_too_long = false;
	while (l->rest.n > 0) {
		char next = l->rest.p[0];
		if (has_text && next != '#' && !ascii_is_space(next))
			break;
		struct str line = lines_take(l);
		if (line_is_blank_or_comment(line))
			continue;
		if (has_text) {
			lines_join(l, logical, line);
			continue;
		}
		*logical = line;
		*first = l->line;
		has_text = true;
	}
	return has_text;
}
