/* What the tables that ask a database in SQL have in common: the query, what becomes of its rows,
 * and for which keys it is asked. sqlite_table(5), pgsql_table(5). */

#ifndef HOPSEAL_TABLE_SOURCE_SQL_H
#define HOPSEAL_TABLE_SOURCE_SQL_H

#include "table/key_template.h"
#include "table/source_domains.h"
#include "table/source_file.h"

struct source_sql {
	struct arena *arena;
	struct source_file file;
	struct key_templates templates;
	uint64_t limit; /* expansion_limit; 0: none */
	struct source_domains *domains;
	bool is_utf8;
};

/* The names that all of them know, for their lists. */
#define SOURCE_SQL_NAMES                                                                           \
	{ .name = STR_INIT("query") }, { .name = STR_INIT("result_format") },                      \
		{ .name = STR_INIT("domain") }, { .name = STR_INIT("expansion_limit") },           \
		{ .name = STR_INIT("table") }, { .name = STR_INIT("select_field") },               \
		{ .name = STR_INIT("where_field") },                                               \
	{                                                                                          \
		.name = STR_INIT("additional_conditions")                                          \
	}

/* False: it cannot be used, *e. Findings are told. source_sql_close in either case. */
MUST_USE bool source_sql_open(struct source_sql *s, const struct table_context *c,
			      const struct source_name *names, size_t n_names, uint64_t now_ms,
			      struct error *e);
void source_sql_close(struct source_sql *s);

/* Whether the database is to be asked: FOUND, with the key as it is to see it; else the answer is
 * NONE or FAILED, as l->answer says. */
MUST_USE enum answer_status
source_sql_admit(const struct source_sql *s, struct table_lookup *l, struct str *key);

/* The value as it is to be answered, from what key_results made of the rows. */
MUST_USE enum answer_status
source_sql_value(const struct source_sql *s, struct str *value, struct error *why);

#endif
