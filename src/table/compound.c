/* Tables made of tables: unionmap:{type:name, ...} gives the values of all that know the key, with
 * commas between; pipemap:{type:name, ...} asks each for what the one before it gave. */

#include <stdlib.h>

#include "base/limits.h"
#include "table/braces.h"
#include "table/type.h"

struct compound {
	const struct table_context *context;
	bool is_pipe;
	bool is_broken;          /* while opening: one of the tables cannot be used */
	struct table_set **sets; /* of one table each */
	size_t n;
};

/* ---- looking up ---- */

/* A lookup in one of the tables after the other. */
struct compound_lookup {
	const struct compound *table;
	struct table_lookup *outer;
	struct table_lookup *inner; /* one that answers later */
	size_t at;
	bool is_ended;
	struct table_query query;
	struct str value; /* so far; STR_NONE: none */
};

static void compound_run(struct compound_lookup *c);

static void compound_end(struct compound_lookup *c, enum answer_status status)
{
	c->at = c->table->n;
	c->is_ended = true;
	c->outer->answer.status = status;
	if (status == ANSWER_FOUND)
		c->outer->answer.value = c->value;
}

/* One table has answered. */
static void compound_take(struct compound_lookup *c, const struct answer *answer)
{
	struct arena *a = c->query.arena;

	c->at++;
	if (answer->status == ANSWER_FAILED) {
		compound_end(c, ANSWER_FAILED);
		c->outer->answer.failure = arena_str(a, answer->failure);
	} else if (answer->status == ANSWER_NONE) {
		if (c->table->is_pipe)
			compound_end(c, ANSWER_NONE);
	} else if (c->table->is_pipe || c->value.p == NULL) {
		c->value = arena_str(a, answer->value);
	} else {
		c->value = arena_fmt(a, STR_FMT "," STR_FMT, STR_ARG(c->value),
				     STR_ARG(answer->value));
	}
	if (c->value.n > TABLE_VALUE_MAX) {
		compound_end(c, ANSWER_FAILED);
		c->outer->answer.failure = STR("the value is too long");
	}
}

static void compound_answered(void *arg, const struct answer *answer)
{
	struct compound_lookup *c = arg;

	c->inner = NULL;
	compound_take(c, answer);
	compound_run(c);
	if (c->inner == NULL)
		table_lookup_answered(c->outer);
}

/* Goes on until the end, or until a table answers later. */
static void compound_run(struct compound_lookup *c)
{
	struct answer answer;

	while (c->at < c->table->n) {
		if (c->table->is_pipe && c->at > 0)
			c->query.key = c->value;
		c->inner = table_set_lookup(c->table->sets[c->at], &c->query, &answer);
		if (c->inner != NULL)
			return;
		compound_take(c, &answer);
	}
	if (!c->is_ended)
		compound_end(c, c->value.p != NULL ? ANSWER_FOUND : ANSWER_NONE);
}

static bool compound_has_patterns(const void *table)
{
	const struct compound *t = table;

	for (size_t i = 0; i < t->n; i++)
		if (table_set_has_patterns(t->sets[i]))
			return true;
	return false;
}

static bool compound_lookup(void *table, struct table_lookup *l)
{
	const struct compound *t = table;
	struct compound_lookup *c = ARENA_NEW(l->query.arena, struct compound_lookup);

	if (l->query.is_partial && compound_has_patterns(t))
		return true;
	*c = (struct compound_lookup){ .table = t, .outer = l };
	c->query = (struct table_query){
		.arena = l->query.arena,
		.key = l->key,
		.is_partial = l->query.is_partial,
		.now_ms = l->now_ms,
		.answered = compound_answered,
		.arg = c,
	};
	l->state = c;
	compound_run(c);
	return c->inner == NULL;
}

static void compound_cancel(void *table, struct table_lookup *l)
{
	struct compound_lookup *c = l->state;

	(void)table;
	table_lookup_cancel(c->inner);
}

/* ---- opening ---- */

/* What is wrong with a table inside is told as it is; one that can never be used spoils the
 * whole. */
static void compound_found(void *arg, const struct table_finding *f)
{
	struct compound *t = arg;
	const struct table_options *o = &t->context->options;

	if (str_eq(f->code, STR("bad-spec")) || str_eq(f->code, STR("unknown-type")) ||
	    str_eq(f->code, STR("bad-body")))
		t->is_broken = true;
	if (o->found != NULL)
		o->found(o->arg, f);
}

static bool compound_fill(struct compound *t, struct str inside, uint64_t now_ms, struct error *e)
{
	struct table_options o = t->context->options;
	struct str spec;

	o.found = compound_found;
	o.arg = t;
	while (str_token_braced(&inside, STR(", \t\r\n"), &spec)) {
		t->sets = base_realloc(t->sets, (t->n + 1) * sizeof(struct table_set *));
		t->sets[t->n++] = table_set_new(t->context->param, spec, &o, now_ms);
	}
	if (t->n == 0)
		return error_set(e, ERROR_CONFIG, "there is no table in the braces");
	return !t->is_broken || error_set(e, ERROR_CONFIG, "a table in it cannot be used");
}

/* Tables in tables are opened and asked by recursion. */
static bool compound_is_too_deep(struct str body)
{
	size_t depth = 0;

	for (size_t i = 0; i < body.n && depth <= TABLE_NESTING_MAX; i++) {
		depth += body.p[i] == '{';
		depth -= depth > 0 && body.p[i] == '}';
	}
	return depth > TABLE_NESTING_MAX;
}

static void compound_close(void *table)
{
	struct compound *t = table;

	for (size_t i = 0; i < t->n; i++)
		table_set_free(t->sets[i]);
	free(t->sets);
	free(t);
}

static void *
compound_open(const struct table_context *c, bool is_pipe, uint64_t now_ms, struct error *e)
{
	struct str inside;

	if (!table_unbrace(c->body, &inside)) {
		error_set(e, ERROR_CONFIG, "it is not of the form {type:name, ...}");
		return NULL;
	}
	if (compound_is_too_deep(c->body)) {
		error_set(e, ERROR_LIMIT, "it has more than %d braces inside each other",
			  TABLE_NESTING_MAX);
		return NULL;
	}
	struct compound *t = base_alloc(sizeof(*t));
	*t = (struct compound){ .context = c, .is_pipe = is_pipe };
	if (compound_fill(t, inside, now_ms, e))
		return t;
	compound_close(t);
	return NULL;
}

static void *union_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	return compound_open(c, false, now_ms, e);
}

static void *pipe_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	return compound_open(c, true, now_ms, e);
}

static void compound_refresh(void *table, uint64_t now_ms)
{
	struct compound *t = table;

	for (size_t i = 0; i < t->n; i++)
		table_set_refresh(t->sets[i], now_ms);
}

static bool compound_version(void *table, uint64_t now_ms, uint64_t *version)
{
	struct compound *t = table;
	uint64_t one;

	*version = 0;
	for (size_t i = 0; i < t->n; i++) {
		if (!table_set_version(t->sets[i], now_ms, &one))
			return false;
		*version += one;
	}
	return true;
}

const struct table_type table_type_union = {
	.name = STR_INIT("unionmap"),
	.open = union_open,
	.lookup = compound_lookup,
	.close = compound_close,
	.cancel = compound_cancel,
	.refresh = compound_refresh,
	.has_patterns = compound_has_patterns,
	.version = compound_version,
};

const struct table_type table_type_pipe = {
	.name = STR_INIT("pipemap"),
	.open = pipe_open,
	.lookup = compound_lookup,
	.close = compound_close,
	.cancel = compound_cancel,
	.refresh = compound_refresh,
	.has_patterns = compound_has_patterns,
	.version = compound_version,
};
