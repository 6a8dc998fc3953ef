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

/* Keys that differ in one octet have hashes that lie together: they are spread. */
static uint32_t map_hash(struct str key)
{
	return (uint32_t)(str_hash(key) * 0x9e3779b97f4a7c15u >> 32);
}

/* Where the key is, or the free place where it would be. */
static struct map_place *map_find(const struct map *m, struct str key, uint32_t hash)
{
	size_t i = hash & m->mask;

	while (m->v[i].p && (m->v[i].hash != hash || !str_eq(str_span(m->v[i].p, m->v[i].n), key)))
		i = (i + 1) & m->mask;
	return &m->v[i];
}

static void map_grow(struct map *m)
{
	struct map old = *m;

	m->mask = 2 * old.mask + 1;
	m->v = base_alloc((m->mask + 1) * sizeof(*m->v));
	for (size_t i = 0; i <= old.mask; i++) {
		size_t to = old.v[i].hash & m->mask;
		if (!old.v[i].p)
			continue;
		while (m->v[to].p)
			to = (to + 1) & m->mask;
		m->v[to] = old.v[i];
	}
	free(old.v);
}

void map_put(struct map *m, struct str key, uint32_t value)
{
	uint32_t hash = map_hash(key);
	struct map_place *at = map_find(m, key, hash);

	CHECK(key.n <= UINT32_MAX);
	if (!at->p) {
		*at = (struct map_place){ .p = key.p ? key.p : "",
					  .n = (uint32_t)key.n,
					  .hash = hash };
		m->n++;
	}
	at->value = value;
	if (m->n > m->mask - m->mask / 3)
		map_grow(m);
}

bool map_get(const struct map *m, struct str key, uint32_t *value)
{
	const struct map_place *at = map_find(m, key, map_hash(key));

	if (!at->p)
		return false;
	*value = at->value;
	return true;
}

bool map_has(const struct map *m, struct str key)
{
	return map_find(m, key, map_hash(key))->p != NULL;
}
