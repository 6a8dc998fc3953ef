/* Local parts as keys of tables: RFC 5321 section 4.1.2. Inside lib/route only. */

#ifndef HOPSEAL_ROUTE_LOCAL_PART_H
#define HOPSEAL_ROUTE_LOCAL_PART_H

#include "base/arena.h"

/* As it must be written: with quotes only where it needs them. */
struct str route_quote(struct arena *a, struct str local);

#endif
