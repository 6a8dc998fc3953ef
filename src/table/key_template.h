/* Queries and results of tables that ask something else by a text of the operator's:
 * sqlite_table(5), pgsql_table(5), memcache_table(5). Pure.
 *
 *	%%       a "%"
 *	%s       query: the key; result: the value that was found
 *	%u %d    its part before and after the last "@"; %u is the whole where there is none
 *	%S %U %D the same of the key, in results too
 *	%1..%9   the labels of the key's domain, from the right: of user@mail.example.com %1 is com
 *
 * A key or value that lacks a part that one of the two texts names is skipped: the key is not
 * found, the value does not count. */

#ifndef HOPSEAL_TABLE_KEY_TEMPLATE_H
#define HOPSEAL_TABLE_KEY_TEMPLATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

/* Both texts of a table, for each says what the key must have. Borrows them. */
struct key_templates {
	struct str query, result;
	bool has_key; /* the query depends on the key */
	/* Needed: */
	bool key_user, key_domain, value_user, value_domain;
	unsigned key_labels;
};

/* False: *why says what is wrong, and with which. An empty text is wrong. */
MUST_USE bool
key_templates_init(struct key_templates *t, struct str query, struct str result, struct error *why);

/* What an octet of the key must become where the operator wrote a quoted "%s". Appends to `out`;
 * false: its limit is passed, or the text cannot be quoted. */
struct key_quote {
	bool (*add)(void *arg, struct str text, struct buf *out); /* NULL: as it is */
	void *arg;
};

/* False: the key lacks a part, and is not found. */
bool key_template_fits(const struct key_templates *t, struct str key);

enum key_expansion { KEY_EXPANDED, KEY_SKIPPED, KEY_FAILED };

/* Appends the query for `key`. FAILED: the limit of `out`, or what `quote` said. */
MUST_USE enum key_expansion key_template_query(const struct key_templates *t, struct str key,
					       const struct key_quote *quote, struct buf *out);

/* The values of one lookup on their way to a list with commas between. */
struct key_results {
	const struct key_templates *templates;
	struct str key;
	uint64_t limit; /* expansion_limit: more values are an error; 0: any number */
	uint64_t n;
	struct buf *out;
};

/* One value; "" and STR_NONE do not count. False with *why: the limit was passed. */
MUST_USE bool key_results_add(struct key_results *r, struct str value, struct error *why);

/* ---- SQL ---- */

/* A query as a statement with parameters, which need not be quoted nor parsed again: each '...' in
 * it that has a part of the key becomes a "?", whose value is what is between the quotes. */
#define KEY_PARAMS_MAX 16

struct key_params {
	struct str sql;
	struct str values[KEY_PARAMS_MAX]; /* templates */
	size_t n;
};

/* False: a part of the key stands elsewhere, or in too many places. Knows SQL's '' and nothing more
 * of it: a statement with another number of parameters than .n is not the same query. */
MUST_USE bool key_params_init(struct key_params *p, struct arena *a, struct str query);

/* Appends the values of all parameters; ends[i] is where the i-th ends in `out`. The key fits (see
 * key_template_fits). False: the limit of `out`. */
MUST_USE bool
key_params_expand(const struct key_params *p, struct str key, struct buf *out, size_t *ends);

/* The first place where the query has a part of the key outside of '...', where nobody quotes it;
 * false: there is none. Knows SQL's '' and nothing more of it. */
bool key_template_bare(struct str query, size_t *at);

#endif
