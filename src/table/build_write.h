/* Writers of indexed files: all of `map` into `path`, an empty file of nobody else's. */

#ifndef HOPSEAL_TABLE_BUILD_WRITE_H
#define HOPSEAL_TABLE_BUILD_WRITE_H

#include "base/error.h"
#include "table/map.h"

MUST_USE bool table_write_cdb(const char *path, const struct table_map *map, struct error *e);
MUST_USE bool table_write_lmdb(const char *path, const struct table_map *map, struct error *e);
MUST_USE bool table_write_hash(const char *path, const struct table_map *map, struct error *e);
MUST_USE bool table_write_btree(const char *path, const struct table_map *map, struct error *e);

#endif
