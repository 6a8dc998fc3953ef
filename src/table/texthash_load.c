#include "table/texthash_load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/limits.h"
#include "table/texthash_parse.h"
#include "table/type.h"

static struct texthash_load *texthash_load_new(void)
{
	struct arena *a = arena_new();
	struct texthash_load *l = ARENA_NEW(a, struct texthash_load);

	l->arena = a;
	l->last = &l->first;
	return l;
}

void texthash_load_free(struct texthash_load *l)
{
	if (l == NULL)
		return;
	table_map_free(l->map);
	arena_free(l->arena);
}

static void texthash_load_say(struct texthash_load *l, struct table_finding f)
{
	struct texthash_finding *node;

	l->n_findings++;
	if (l->n_findings > TABLE_FINDINGS_MAX + 1)
		return;
	if (l->n_findings > TABLE_FINDINGS_MAX)
		f = (struct table_finding){ .code = STR("more"),
					    .file = f.file,
					    .text = STR("there is more to say about this file") };
	node = ARENA_NEW(l->arena, struct texthash_finding);
	node->f = f;
	*l->last = node;
	l->last = &node->next;
}

/* The first error is why the version cannot be used. */
static void texthash_load_fail(struct texthash_load *l, struct table_finding f)
{
	f.is_error = true;
	if (l->why_not.kind == ERROR_NONE)
		error_set(&l->why_not, ERROR_DATA, "line %u: " STR_FMT, f.line, STR_ARG(f.text));
	texthash_load_say(l, f);
}

struct texthash_fill {
	struct texthash_load *load;
	struct str file;
	bool is_utf8;
};

static void texthash_fill_finding(struct texthash_fill *fill, enum texthash_event event,
				  const struct texthash_item *item)
{
	struct table_finding f = {
		.code = item->code,
		.file = fill->file,
		.line = item->line,
		.text = item->text,
		.remedy = item->remedy,
	};

	if (event == TEXTHASH_UNUSABLE)
		texthash_load_fail(fill->load, f);
	else
		texthash_load_say(fill->load, f);
}

static void texthash_fill_entry(struct texthash_fill *fill, const struct texthash_item *item)
{
	table_map_add(fill->load->map, item->key, item->value, item->line);
	if (fill->is_utf8 && !table_key_is_folded(item->key))
		texthash_load_say(
			fill->load,
			(struct table_finding){
				.code = STR("key-not-folded"),
				.file = fill->file,
				.line = item->line,
				.text = STR("this key can never match: letters beyond A-Z are not "
					    "folded when they are stored"),
				.remedy = STR("write its letters in lower case"),
			});
}

static void texthash_fill_duplicate(void *arg, const struct table_map_entry *first,
				    const struct table_map_entry *again)
{
	struct texthash_fill *fill = arg;
	struct str key = str_first(again->key, 200);

	texthash_load_fail(
		fill->load,
		(struct table_finding){
			.code = STR("duplicate-key"),
			.file = fill->file,
			.line = again->line,
			.text = arena_fmt(fill->load->arena,
					  "the key \"" STR_FMT "\" is there already, in line %u",
					  STR_ARG(key), first->line),
			.remedy = STR("take one away; a table with a key twice is not used at all"),
		});
}

static void texthash_fill(struct texthash_fill *fill, struct str text)
{
	struct texthash_parser p;
	struct texthash_item item;
	enum texthash_event event;

	texthash_parser_init(&p, text, fill->is_utf8);
	while ((event = texthash_next(&p, &item)) != TEXTHASH_END) {
		if (event == TEXTHASH_ENTRY)
			texthash_fill_entry(fill, &item);
		if (item.code.n > 0)
			texthash_fill_finding(fill, event, &item);
	}
	texthash_parser_fini(&p);
	table_map_index(fill->load->map, texthash_fill_duplicate, fill);
}

static void
texthash_load_fill(struct texthash_load *l, struct str text, struct str file, bool is_utf8)
{
	struct texthash_fill fill = { l, arena_str(l->arena, file), is_utf8 };

	l->map = table_map_new();
	l->is_ragged = text.n == 0 || text.p[text.n - 1] != '\n';
	texthash_fill(&fill, text);
	if (l->why_not.kind != ERROR_NONE) {
		table_map_free(l->map);
		l->map = NULL;
	}
}

struct texthash_load *texthash_load_text(struct str text, struct str file, bool is_utf8)
{
	struct texthash_load *l = texthash_load_new();

	texthash_load_fill(l, text, file, is_utf8);
	return l;
}

bool texthash_stat(const char *path, struct os_file_id *id, struct error *e)
{
	return os_file_stat(path, id, e) &&
	       (id->is_regular || error_set(e, ERROR_NO_INPUT, "Not a regular file"));
}

struct texthash_load *texthash_load_file(const char *path, bool is_utf8)
{
	struct texthash_load *l = texthash_load_new();
	struct os_file_id id;
	struct buf text;

	buf_init(&text, TABLE_FILE_MAX);
	if (texthash_stat(path, &id, &l->why_not) && os_file_read(path, &text, &id, &l->why_not)) {
		l->id = id;
		texthash_load_fill(l, buf_str(&text), str_of(path), is_utf8);
	}
	buf_fini(&text);
	return l;
}

struct texthash_job {
	pthread_t thread;
	const char *path;
	bool is_utf8;
	struct texthash_load *load;
	atomic_bool is_done;
};

static void *texthash_job_run(void *arg)
{
	struct texthash_job *j = arg;

	j->load = texthash_load_file(j->path, j->is_utf8);
	atomic_store(&j->is_done, true);
	return NULL;
}

struct texthash_job *texthash_job_new(const char *path, bool is_utf8)
{
	struct texthash_job *j = base_alloc(sizeof(*j));

	j->path = path;
	j->is_utf8 = is_utf8;
	if (pthread_create(&j->thread, NULL, texthash_job_run, j) == 0)
		return j;
	free(j);
	return NULL;
}

bool texthash_job_is_done(const struct texthash_job *j)
{
	return atomic_load(&j->is_done);
}

struct texthash_load *texthash_job_end(struct texthash_job *j)
{
	struct texthash_load *l;

	CHECK(pthread_join(j->thread, NULL) == 0);
	l = j->load;
	free(j);
	return l;
}
