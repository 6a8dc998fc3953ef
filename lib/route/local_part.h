/* Local parts as keys of tables: RFC 5321 section 4.1.2. Inside lib/route only. */

#ifndef HOPSEAL_ROUTE_LOCAL_PART_H
#define HOPSEAL_ROUTE_LOCAL_PART_H

#include "base/arena.h"

/* As it is meant: without the quotes and backslashes of a Quoted-string. */
struct str route_dequote(struct arena *a, struct str local);
/* As it must be written: with quotes only where it needs them. */
struct str route_quote(struct arena *a, struct str local);

/* Without its extension; false when it has none. recipient_delimiter in postconf(5): any of its
 * octets delimits, but not in front, and some names are never taken apart. */
bool route_strip_extension(struct str local, struct str delimiters, struct str *base);

#endif
