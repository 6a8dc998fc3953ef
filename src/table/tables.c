/* The table sets of a configuration, by the name of their parameter. */

#include "table/table.h"

struct tables_entry {
	struct str param;
	struct table_set *set;
	struct tables_entry *next;
};

struct tables {
	struct arena *arena;
	struct table_options options;
	struct tables_entry *first;
};

struct tables *tables_new(const struct table_options *o)
{
	struct arena *a = arena_new();
	struct tables *t = ARENA_NEW(a, struct tables);

	t->arena = a;
	t->options = *o;
	return t;
}

void tables_free(struct tables *t)
{
	if (t == NULL)
		return;
	for (struct tables_entry *e = t->first; e != NULL; e = e->next)
		table_set_free(e->set);
	arena_free(t->arena);
}

struct table_set *tables_find(const struct tables *t, struct str param)
{
	for (struct tables_entry *e = t->first; e != NULL; e = e->next)
		if (str_eq(e->param, param))
			return e->set;
	return NULL;
}

void tables_open(struct tables *t, struct str param, struct str list, uint64_t now_ms)
{
	struct tables_entry *e = ARENA_NEW(t->arena, struct tables_entry);

	CHECK(tables_find(t, param) == NULL);
	*e = (struct tables_entry){
		.param = arena_str(t->arena, param),
		.set = table_set_new(param, list, &t->options, now_ms),
		.next = t->first,
	};
	t->first = e;
}

struct table_lookup *tables_lookup(struct tables *t, struct str param, const struct table_query *q,
				   struct answer *answer)
{
	if (str_contains(param, ':') && tables_find(t, param) == NULL)
		tables_open(t, param, param, q->now_ms);

	struct table_set *s = tables_find(t, param);
	if (s != NULL)
		return table_set_lookup(s, q, answer);
	*answer = (struct answer){
		.status = ANSWER_FAILED,
		.failure = arena_fmt(q->arena, "no tables are open for " STR_FMT, STR_ARG(param)),
	};
	return NULL;
}

bool tables_version(struct tables *t, struct str param, uint64_t now_ms, uint64_t *version)
{
	struct table_set *s = tables_find(t, param);

	return s != NULL && table_set_version(s, now_ms, version);
}

void tables_refresh(struct tables *t, uint64_t now_ms)
{
	for (struct tables_entry *e = t->first; e != NULL; e = e->next)
		table_set_refresh(e->set, now_ms);
}
