/* The kind of text that texthash tables are, for what makes other tables from it. */

#ifndef HOPSEAL_TABLE_TEXTHASH_H
#define HOPSEAL_TABLE_TEXTHASH_H

#include "table/map.h"
#include "table/textload.h"

extern const struct textload_kind texthash_kind; /* content: struct table_map */

#endif
