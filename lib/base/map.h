/* From texts to numbers, by hash. Grows; nothing is ever taken out. For keys of the operator's own
 * tables, not for those of peers: they could be chosen to collide (str_hash). */

#ifndef HOPSEAL_BASE_MAP_H
#define HOPSEAL_BASE_MAP_H

#include "base/str.h"

struct map_place {
	const char *p; /* of the key; NULL: free */
	uint32_t n, value, hash;
};

struct map {
	struct map_place *v;
	size_t n, mask;
};

void map_init(struct map *m);
void map_fini(struct map *m);

/* `key` is borrowed until map_fini. One that is there already gets the new value. */
void map_put(struct map *m, struct str key, uint32_t value);
MUST_USE bool map_get(const struct map *m, struct str key, uint32_t *value);
bool map_has(const struct map *m, struct str key);

#endif
