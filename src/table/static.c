/* The types without content of their own: static and fail. */

#include "table/type.h"

#include <stdlib.h>

#include "table/braces.h"

/* static:value or static:{ value }: every key has that value. */

static void *static_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct str value = c->body;

	(void)now_ms;
	if (value.p[0] == '{' && !table_unbrace(value, &value)) {
		error_set(e, ERROR_CONFIG, "the braces do not match, or something follows them");
		return NULL;
	}
	struct str *kept = base_alloc(sizeof(*kept));
	*kept = value;
	return kept;
}

static bool static_lookup(void *table, struct table_lookup *l)
{
	l->answer.status = ANSWER_FOUND;
	l->answer.value = *(struct str *)table;
	return true;
}

const struct table_type table_type_static = {
	.name = STR_INIT("static"),
	.open = static_open,
	.lookup = static_lookup,
	.close = free,
};

/* fail:anything: every lookup is an error. */

static void *fail_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct str *source = base_alloc(sizeof(*source));

	(void)now_ms;
	(void)e;
	*source = c->source;
	return source;
}

static bool fail_lookup(void *table, struct table_lookup *l)
{
	l->answer.status = ANSWER_FAILED;
	l->answer.failure =
		arena_fmt(l->query.arena, STR_FMT ": a table of this type fails every lookup",
			  STR_ARG(*(struct str *)table));
	return true;
}

const struct table_type table_type_fail = {
	.name = STR_INIT("fail"),
	.open = fail_open,
	.lookup = fail_lookup,
	.close = free,
};
