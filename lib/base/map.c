#include "base/map.h"

#include <stdlib.h>

void map_init(struct map *m)
{
	*m = (struct map){ .v = base_alloc(16 * sizeof(*m->v)), .mask = 15 };
}

void map_fini(struct map *m)
{
	free(m->v);
	*m = (struct map){ 0 };
}

/* Where the key is, or the free place where it would be. */
static struct map_place *map_find(const struct map *m, struct str key)
{
	size_t i = str_hash(key) & m->mask;

	while (m->v[i].p && !str_eq(str_span(m->v[i].p, m->v[i].n), key))
		i = (i + 1) & m->mask;
	return &m->v[i];
}

static void map_grow(struct map *m)
{
	struct map old = *m;

	m->mask = 2 * old.mask + 1;
	m->v = base_alloc((m->mask + 1) * sizeof(*m->v));
	for (size_t i = 0; i <= old.mask; i++)
		if (old.v[i].p)
			*map_find(m, str_span(old.v[i].p, old.v[i].n)) = old.v[i];
	free(old.v);
}

void map_put(struct map *m, struct str key, uint32_t value)
{
	struct map_place *at = map_find(m, key);

	CHECK(key.n <= UINT32_MAX);
	if (!at->p) {
		*at = (struct map_place){ .p = key.p ? key.p : "", .n = (uint32_t)key.n };
		m->n++;
	}
	at->value = value;
	if (m->n > m->mask - m->mask / 4)
		map_grow(m);
}

bool map_get(const struct map *m, struct str key, uint32_t *value)
{
	const struct map_place *at = map_find(m, key);

	if (!at->p)
		return false;
	*value = at->value;
	return true;
}

bool map_has(const struct map *m, struct str key)
{
	return map_find(m, key)->p != NULL;
}
