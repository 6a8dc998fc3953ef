/* Braces in the names of tables: "{ text }", which may hold braces in pairs. Pure. */

#ifndef HOPSEAL_TABLE_BRACES_H
#define HOPSEAL_TABLE_BRACES_H

#include "base/str.h"

/* True when `s` begins with "{" and the brace that closes it is its last octet; *inside is what
 * is between, without white space at the ends. */
MUST_USE bool table_unbrace(struct str s, struct str *inside);

/* Takes the next "name = value" off the front of *rest: pairs are separated by commas and white
 * space, and one in braces may hold both. PAIR_BAD: *problem is a phrase for people. */
enum table_pair { TABLE_PAIR, TABLE_PAIR_BAD, TABLE_PAIR_END };
MUST_USE enum table_pair
table_pair_next(struct str *rest, struct str *name, struct str *value, struct str *problem);

#endif
