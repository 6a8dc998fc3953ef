/* inline:{ key=value, { key = value with spaces } }. A key given again replaces the first. */

#include "table/type.h"

#include <stdlib.h>

#include "mail/domain.h"
#include "table/braces.h"
#include "table/map.h"

struct inline_table {
	const struct table_context *context;
	struct table_map *map;
};

static void inline_warn(const struct table_context *c, struct str code, struct str key,
			const char *what, struct str remedy)
{
	struct error text;

	error_set(&text, ERROR_NONE, "the key \"" STR_FMT "\" %s", STR_ARG(key), what);
	table_report(c, (struct table_finding){
				.code = code, .text = error_text(&text), .remedy = remedy });
}

static void inline_duplicate(void *arg, const struct table_map_entry *first,
			     const struct table_map_entry *again)
{
	(void)first;
	inline_warn(arg, STR("duplicate-key"), again->key, "is there twice; the last one counts",
		    STR("take one away"));
}

static void inline_warn_entry(const struct table_context *c, struct str key, struct str value)
{
	if (value.n == 0)
		inline_warn(c, STR("empty-value"), key, "has no value; looking it up is an error",
			    STR("give it a value or take it away"));
	if (c->options.is_utf8 && !table_key_is_folded(key))
		inline_warn(c, STR("key-not-folded"), key, "is not folded and can never match",
			    STR("write its letters in lower case"));
}

static bool inline_fill(const struct table_context *c, struct table_map *map, struct str inside,
			struct error *e)
{
	struct str name, value, problem;

	for (;;) {
		switch (table_pair_next(&inside, &name, &value, &problem)) {
		case TABLE_PAIR:
			table_map_add(map, name, value, 0);
			inline_warn_entry(c, name, value);
			continue;
		case TABLE_PAIR_BAD:
			return error_set(e, ERROR_CONFIG, STR_FMT, STR_ARG(problem));
		case TABLE_PAIR_END:
			if (table_map_count(map) > 0)
				return true;
			return error_set(e, ERROR_CONFIG, "it is empty");
		}
	}
}

static void *inline_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct str inside;

	(void)now_ms;
	if (!table_unbrace(c->body, &inside)) {
		error_set(e, ERROR_CONFIG, "it is not of the form inline:{key=value, ...}");
		return NULL;
	}
	if (c->options.is_utf8 && !domain_is_utf8(inside)) {
		error_set(e, ERROR_CONFIG, "it is not UTF-8");
		return NULL;
	}
	struct inline_table *t = base_alloc(sizeof(*t));
	*t = (struct inline_table){ .context = c, .map = table_map_new() };
	if (inline_fill(c, t->map, inside, e)) {
		table_map_index(t->map, inline_duplicate, (void *)c);
		return t;
	}
	table_map_free(t->map);
	free(t);
	return NULL;
}

static bool inline_lookup(void *table, struct table_lookup *l)
{
	const struct inline_table *t = table;
	struct table_map_entry found;

	if (l->folded.p == NULL || !table_map_find(t->map, l->folded, &found))
		return true;
	l->answer.status = ANSWER_FOUND;
	l->answer.value = found.value;
	return true;
}

static void
inline_each(const void *table, void (*entry)(void *arg, const struct table_entry *e), void *arg)
{
	const struct inline_table *t = table;

	for (size_t i = 0; i < table_map_count(t->map); i++) {
		struct table_map_entry found, at = table_map_at(t->map, i);
		if (!table_map_find(t->map, at.key, &found) || found.value.p != at.value.p)
			continue; /* replaced by a later one */
		entry(arg, &(struct table_entry){ .source = t->context->source,
						  .key = found.key,
						  .value = found.value });
	}
}

static void inline_close(void *table)
{
	struct inline_table *t = table;

	table_map_free(t->map);
	free(t);
}

const struct table_type table_type_inline = {
	.name = STR_INIT("inline"),
	.open = inline_open,
	.lookup = inline_lookup,
	.close = inline_close,
	.each = inline_each,
	.version = table_never_changes,
};
