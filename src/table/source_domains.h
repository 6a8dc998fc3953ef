/* The `domain` parameter of tables that ask something else: which keys they are asked for at all.
 * Names, "!name", type:table and /file, as in other lists of Postfix: the first element that
 * matches decides. */

#ifndef HOPSEAL_TABLE_SOURCE_DOMAINS_H
#define HOPSEAL_TABLE_SOURCE_DOMAINS_H

#include "table/type.h"

struct source_domains;

/* `c` is the table whose list it is. NULL: a file that cannot be read, *e. What is wrong with
 * tables in it is told as it is. */
MUST_USE struct source_domains *source_domains_new(const struct table_context *c, struct str list,
						   uint64_t now_ms, struct error *e);
void source_domains_free(struct source_domains *d); /* NULL is fine */

/* FOUND: a key "user@domain" whose domain is in the list. NONE: any other. FAILED: a table in the
 * list could not say; *failure. Of `l` the arena and the time are used. */
MUST_USE enum answer_status source_domains_match(const struct source_domains *d,
						 const struct table_lookup *l, struct str key,
						 struct str *failure);

#endif
