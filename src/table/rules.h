/* Pattern tables: rules that are tried in order, with blocks of "if" and "endif". What a pattern
 * is, the engine knows. */

#ifndef HOPSEAL_TABLE_RULES_H
#define HOPSEAL_TABLE_RULES_H

#include "mail/address.h"
#include "table/rules_reach.h"
#include "table/textfile.h"

struct rules_key {
	struct str text;        /* verbatim; a NUL is behind it */
	struct address address; /* when the engine wants one */
};

enum rules_hit {
	RULES_HIT,
	RULES_MISS,
	RULES_NEVER,  /* neither the pattern nor its negation says anything about this key */
	RULES_FAILED, /* a limit was reached */
};

struct rules_engine {
	bool (*parse)(struct str line, struct rule_text *r, struct error *why);
	bool has_groups; /* values name them with "$" */
	bool is_of_addresses;
	/* What a pattern stands for; NULL unless is_of_addresses. */
	struct rules_net (*net)(const void *pattern);
	/* NULL: *why says what is wrong with it. *n_groups is how many it has. Any thread. */
	void *(*compile)(const struct rule_pattern *p, size_t *n_groups, struct error *why);
	void (*free)(void *pattern);
	/* On a hit groups[0, n) are filled, spans of the key; "" for what took no part. */
	enum rules_hit (*match)(void *pattern, const struct rules_key *key, struct str *groups,
				size_t n, struct error *why);
};

/* For a type of table: its functions, given the kind of its text (rules_fill with the engine). */
void rules_fill(const struct rules_engine *engine, struct textload *l, struct str text);
size_t rules_count(const void *content);
void rules_free(void *content);

MUST_USE void *rules_open(const struct textload_kind *kind, const struct table_context *c,
			  uint64_t now_ms, struct error *e);
bool rules_lookup(void *table, struct table_lookup *l);
void rules_refresh(void *table, uint64_t now_ms);
void rules_close(void *table);
bool rules_has_patterns(const void *table);

/* The text of "{ {rule} {rule} }": one rule a line. */
MUST_USE bool rules_inline_text(struct str body, struct buf *out, struct error *e);

#endif
