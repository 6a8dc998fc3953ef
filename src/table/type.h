/* What a type of table is made of. Only types and the set include this. */

#ifndef HOPSEAL_TABLE_TYPE_H
#define HOPSEAL_TABLE_TYPE_H

#include "base/error.h"
#include "table/table.h"

/* What a table is told of itself; lives as long as the table. */
struct table_context {
	struct str param;
	struct str source; /* "type:body" */
	struct str body;
	struct table_options options;
};

/* Fills param and source and tells the caller. */
void table_report(const struct table_context *c, struct table_finding f);

/* False: `key` is changed by full case folding, and no key looked up will equal it. */
bool table_key_is_folded(struct str key);

/* A lookup as a type sees it. */
struct table_lookup {
	struct str key; /* verbatim: pattern types match this */
	struct str
		folded; /* what a stored key must equal; STR_NONE: none can, the key is no UTF-8 */
	uint64_t now_ms;
	struct answer answer; /* the type fills status, value, file, line; or failure */
	void *state;          /* the type's own, while it answers later */
	void *remote;         /* remote.h's, while a server is asked */

	/* the set's */
	struct table_query query;
	struct table_set *set;
	size_t at; /* the table that is asked */
};

struct table_type {
	struct str name; /* before the ":" */
	/* NULL: it cannot be used, *e says why; the set fails lookups in its place. */
	void *(*open)(const struct table_context *c, uint64_t now_ms, struct error *e);
	/* True: l->answer is filled; its spans are borrowed until the next call to the table.
	 * False: table_lookup_answered follows, not from inside this call. */
	bool (*lookup)(void *table, struct table_lookup *l);
	void (*close)(void *table);
	/* NULL when there is nothing to do: */
	void (*cancel)(void *table, struct table_lookup *l);
	void (*refresh)(void *table, uint64_t now_ms);
	void (*each)(const void *table, void (*entry)(void *arg, const struct table_entry *e),
		     void *arg);
	bool (*has_patterns)(const void *table); /* keys that were cut are not shown to it */
	/* Looks for changes as a lookup would, and counts them: *version grows whenever an answer
	 * may be another one. False, and NULL: it cannot tell. */
	bool (*version)(void *table, uint64_t now_ms, uint64_t *version);
};

/* `version` of a table whose answers never change. */
bool table_never_changes(void *table, uint64_t now_ms, uint64_t *version);

/* The set has a table that has_patterns. */
bool table_set_has_patterns(const struct table_set *s);

/* For types that answer later: l->answer is filled. `l` may be gone when this returns. */
void table_lookup_answered(struct table_lookup *l);

extern const struct table_type table_type_texthash, table_type_inline, table_type_static,
	table_type_fail, table_type_regexp, table_type_pcre, table_type_cidr, table_type_hash,
	table_type_btree, table_type_cdb, table_type_lmdb, table_type_union, table_type_pipe,
	table_type_rand, table_type_socketmap, table_type_sqlite, table_type_memcache,
	table_type_pgsql, table_type_tcp;

#endif
