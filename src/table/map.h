/* Keys and values in one piece of memory with an index: what a text file or inline table becomes.
 * Filled, indexed once, and not changed after. Lookups may come from any thread then. */

#ifndef HOPSEAL_TABLE_MAP_H
#define HOPSEAL_TABLE_MAP_H

#include "base/str.h"

struct table_map;

struct table_map_entry {
	struct str key, value; /* borrowed from the map; the key's A-Z lowered */
	unsigned line;
};

MUST_USE struct table_map *table_map_new(void);
void table_map_free(struct table_map *m); /* NULL is fine */

/* Copies. The caller bounds the whole to TABLE_FILE_MAX. */
void table_map_add(struct table_map *m, struct str key, struct str value, unsigned line);

/* Makes it ready for lookups. An entry whose key is there already is told to `duplicate`, in the
 * order of the additions, and takes the place of the first. */
void table_map_index(struct table_map *m,
		     void (*duplicate)(void *arg, const struct table_map_entry *first,
				       const struct table_map_entry *again),
		     void *arg);

MUST_USE bool
table_map_find(const struct table_map *m, struct str key, struct table_map_entry *out);
size_t table_map_count(const struct table_map *m); /* additions, duplicates too */
struct table_map_entry table_map_at(const struct table_map *m, size_t i); /* in order */

#endif
