#include "conf/check.h"

#include "base/limits.h"

#define FAR (CONF_NEAREST_MAX + 1)

/* The edit distance (insert, delete, replace, swap of neighbours), or FAR when it is more than
 * CONF_NEAREST_MAX. Three rows of the usual table, names are short. */
static unsigned distance(struct str a, struct str b)
{
	unsigned rows[3][CONF_NEAREST_NAME_MAX + 1];
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b.n; j++)
		last[j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned best = row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned d = last[j - 1] + (a.p[i - 1] != b.p[j - 1]);
			d = d < last[j] + 1 ? d : last[j] + 1;
			d = d < row[j - 1] + 1 ? d : row[j - 1] + 1;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1] && before[j - 2] + 1 < d)
				d = before[j - 2] + 1;
			row[j] = d;
			best = d < best ? d : best;
		}
		if (best > CONF_NEAREST_MAX)
			return FAR;
		unsigned *free_row = before;
		before = last;
		last = row;
		row = free_row;
	}
	return last[b.n] < FAR ? last[b.n] : FAR;
}

static size_t gap(size_t a, size_t b)
{
	return a > b ? a - b : b - a;
}

/* A short name may not change beyond recognition. */
static unsigned most_changes(struct str name)
{
	size_t third = name.n / 3;

	return third < CONF_NEAREST_MAX ? (unsigned)third : CONF_NEAREST_MAX;
}

struct str conf_nearest(const struct conf_names *t, struct str name)
{
	unsigned best = most_changes(name) + 1;
	struct str found = STR_NONE;

	if (name.n > CONF_NEAREST_NAME_MAX)
		return found;
	for (size_t i = 0; i < CONF_COUNT + conf_known_count; i++) {
		struct str known = t->slot[i].name;
		if (known.n > CONF_NEAREST_NAME_MAX || gap(known.n, name.n) >= best)
			continue;
		unsigned d = distance(name, known);
		if (d < best) {
			best = d;
			found = known;
		}
	}
	return found;
}
