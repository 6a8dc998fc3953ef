#include "table/map.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* 16 octets an entry and at most 8 for the index, beside the text itself. */
struct slot {
	uint32_t at; /* of the key in `mem`; the value follows it */
	uint32_t key_n, value_n;
	uint32_t line;
};

_Static_assert(TABLE_FILE_MAX <= UINT32_MAX, "offsets of 32 bits reach every octet");

struct table_map {
	char *mem;
	size_t used, size;
	struct slot *slots;
	size_t n, n_size;
	uint32_t *index; /* number of a slot plus one; 0: free. Open addressing, a power of two */
	size_t mask;
};

struct table_map *table_map_new(void)
{
	return base_alloc(sizeof(struct table_map));
}

void table_map_free(struct table_map *m)
{
	if (m == NULL)
		return;
	free(m->mem);
	free(m->slots);
	free(m->index);
	free(m);
}

static void table_map_reserve(struct table_map *m, size_t n)
{
	CHECK(n <= TABLE_FILE_MAX - m->used);
	if (m->size - m->used < n) {
		size_t doubled = m->size * 2 + 1024;
		m->size = doubled > m->used + n ? doubled : m->used + n;
		m->mem = base_realloc(m->mem, m->size);
	}
	if (m->n == m->n_size) {
		m->n_size = m->n_size * 2 + 64;
		m->slots = base_realloc(m->slots, m->n_size * sizeof(*m->slots));
	}
}

void table_map_add(struct table_map *m, struct str key, struct str value, unsigned line)
{
	CHECK(m->index == NULL);
	table_map_reserve(m, key.n + value.n);
	m->slots[m->n++] = (struct slot){
		.at = (uint32_t)m->used,
		.key_n = (uint32_t)key.n,
		.value_n = (uint32_t)value.n,
		.line = line,
	};
	for (size_t i = 0; i < key.n; i++)
		m->mem[m->used++] = ascii_lower(key.p[i]);
	if (value.n)
		memcpy(m->mem + m->used, value.p, value.n);
	m->used += value.n;
}

struct table_map_entry table_map_at(const struct table_map *m, size_t i)
{
	const struct slot *s = &m->slots[i];
	const char *p = m->mem + s->at;

	return (struct table_map_entry){
		.key = { p, s->key_n },
		.value = { p + s->key_n, s->value_n },
		.line = s->line,
	};
}

/* Where the key is in the index, or the free place where it would be. */
static uint32_t *table_map_place(const struct table_map *m, struct str key)
{
	size_t i = str_hash(key) & m->mask;

	while (m->index[i] != 0 && !str_eq(table_map_at(m, m->index[i] - 1).key, key))
		i = (i + 1) & m->mask;
	return &m->index[i];
}

/* Gives back what growing took too much; all sizes are known now. */
static void table_map_fit(struct table_map *m)
{
	size_t places = 8;

	while (places < m->n + m->n / 2)
		places *= 2;
	m->mask = places - 1;
	m->index = base_alloc(places * sizeof(*m->index));
	m->mem = base_realloc(m->mem, m->used + 1);
	m->slots = base_realloc(m->slots, (m->n + 1) * sizeof(*m->slots));
}

void table_map_index(struct table_map *m,
		     void (*duplicate)(void *arg, const struct table_map_entry *first,
				       const struct table_map_entry *again),
		     void *arg)
{
	table_map_fit(m);
	for (size_t i = 0; i < m->n; i++) {
		struct table_map_entry again = table_map_at(m, i);
		uint32_t *place = table_map_place(m, again.key);
		if (*place != 0) {
			struct table_map_entry first = table_map_at(m, *place - 1);
			duplicate(arg, &first, &again);
		}
		*place = (uint32_t)(i + 1);
	}
}

bool table_map_find(const struct table_map *m, struct str key, struct table_map_entry *out)
{
	uint32_t found = *table_map_place(m, key);

	if (found == 0)
		return false;
	*out = table_map_at(m, found - 1);
	return true;
}

size_t table_map_count(const struct table_map *m)
{
	return m->n;
}
