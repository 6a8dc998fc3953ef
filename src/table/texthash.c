/* texthash:/path: keys and values in a text file, kept in memory. */

#include "table/texthash.h"

#include <stdlib.h>

#include "table/textfile.h"
#include "table/texthash_parse.h"

static void
texthash_finding(struct textload *l, enum texthash_event event, const struct texthash_item *item)
{
	struct table_finding f = {
		.code = item->code,
		.line = item->line,
		.text = item->text,
		.remedy = item->remedy,
	};

	if (event == TEXTHASH_UNUSABLE)
		textload_fail(l, f);
	else
		textload_say(l, f);
}

static void texthash_add(struct textload *l, const struct texthash_item *item)
{
	table_map_add(l->content, item->key, item->value, item->line);
	if (l->is_utf8 && !table_key_is_folded(item->key))
		textload_say(l, (struct table_finding){
					.code = STR("key-not-folded"),
					.line = item->line,
					.text = STR("this key can never match: letters beyond A-Z "
						    "are not folded when they are stored"),
					.remedy = STR("write its letters in lower case"),
				});
}

static void texthash_duplicate(void *arg, const struct table_map_entry *first,
			       const struct table_map_entry *again)
{
	struct textload *l = arg;
	struct str key = str_first(again->key, 200);

	textload_fail(l, (struct table_finding){
				 .code = STR("duplicate-key"),
				 .line = again->line,
				 .text = arena_fmt(l->arena,
						   "the key \"" STR_FMT
						   "\" is there already, in line %u",
						   STR_ARG(key), first->line),
				 .remedy = STR(
					 "take one away; a table with a key twice is not used at "
					 "all"),
			 });
}

static void texthash_fill(struct textload *l, struct str text)
{
	struct texthash_parser p;
	struct texthash_item item;
	enum texthash_event event;

	l->content = table_map_new();
	texthash_parser_init(&p, text, l->is_utf8);
	while ((event = texthash_next(&p, &item)) != TEXTHASH_END) {
		if (event == TEXTHASH_ENTRY)
			texthash_add(l, &item);
		if (item.code.n > 0)
			texthash_finding(l, event, &item);
	}
	texthash_parser_fini(&p);
	table_map_index(l->content, texthash_duplicate, l);
}

static size_t texthash_count(const void *content)
{
	return table_map_count(content);
}

static void texthash_free(void *content)
{
	table_map_free(content);
}

const struct textload_kind texthash_kind = {
	.fill = texthash_fill,
	.count = texthash_count,
	.free = texthash_free,
};

static void *texthash_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	(void)e;
	return textfile_open(&texthash_kind, c, now_ms);
}

static bool texthash_lookup(void *table, struct table_lookup *l)
{
	const struct table_map *map = textfile_content(table, l);
	struct table_map_entry found;

	if (map == NULL || l->folded.p == NULL || !table_map_find(map, l->folded, &found))
		return true;
	l->answer.status = ANSWER_FOUND;
	l->answer.value = found.value;
	l->answer.line = found.line;
	return true;
}

static void
texthash_each(const void *table, void (*entry)(void *arg, const struct table_entry *e), void *arg)
{
	const struct textfile *t = table;

	for (size_t i = 0; t->content != NULL && i < table_map_count(t->content); i++) {
		struct table_map_entry found = table_map_at(t->content, i);
		entry(arg, &(struct table_entry){ .source = t->context->source,
						  .file = t->path,
						  .line = found.line,
						  .key = found.key,
						  .value = found.value });
	}
}

static void texthash_refresh(void *table, uint64_t now_ms)
{
	textfile_refresh(table, now_ms);
}

static void texthash_close(void *table)
{
	textfile_close(table);
}

const struct table_type table_type_texthash = {
	.name = STR_INIT("texthash"),
	.open = texthash_open,
	.lookup = texthash_lookup,
	.close = texthash_close,
	.refresh = texthash_refresh,
	.each = texthash_each,
	.version = textfile_version,
};
