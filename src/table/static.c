/* The types without keys: static, randmap and fail. */

#include "table/type.h"

#include <stdlib.h>

#include "os/os.h"
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
	.version = table_never_changes,
};

/* randmap:{value, value}: every key has one of them, any. A value in braces keeps them, as in
 * Postfix. */

struct rand_table {
	size_t n;
	struct str values[];
};

static size_t rand_fill(struct str inside, struct rand_table *t)
{
	struct str value;
	size_t n = 0;

	while (str_token_braced(&inside, STR(", \t\r\n"), &value)) {
		if (t != NULL)
			t->values[n] = value;
		n++;
	}
	return n;
}

static void *rand_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct str inside;
	size_t n = 0;

	(void)now_ms;
	if (table_unbrace(c->body, &inside))
		n = rand_fill(inside, NULL);
	if (n == 0) {
		error_set(e, ERROR_CONFIG, "it is not of the form randmap:{value, ...}");
		return NULL;
	}
	struct rand_table *t = base_alloc(sizeof(*t) + n * sizeof(struct str));
	t->n = rand_fill(inside, t);
	return t;
}

static bool rand_lookup(void *table, struct table_lookup *l)
{
	const struct rand_table *t = table;
	uint32_t any;

	if (l->query.is_partial)
		return true;
	os_random(&any, sizeof(any));
	l->answer.status = ANSWER_FOUND;
	l->answer.value = t->values[any % t->n];
	return true;
}

static bool rand_has_patterns(const void *table)
{
	(void)table;
	return true;
}

const struct table_type table_type_rand = {
	.name = STR_INIT("randmap"),
	.open = rand_open,
	.lookup = rand_lookup,
	.close = free,
	.has_patterns = rand_has_patterns,
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
	.version = table_never_changes,
};
