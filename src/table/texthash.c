/* texthash:/path: a text file, kept in memory as an immutable version, and read again when it
 * changes. A new version takes over only when it was read whole, has been left alone for a moment
 * and has no error; until then the last good one answers. */

#include "table/type.h"

#include <stdlib.h>

#include "table/texthash_load.h"

#define CHECK_EVERY_MS 1000
#define QUIET_MS 1000         /* left alone for so long: nobody is writing any more */
#define QUIET_RAGGED_MS 10000 /* the same for one that looks half written */
#define THREAD_FROM_OCTETS (256 * 1024)
#define FIRST_PAUSE_MS 50 /* the first version is read again after so long, if it is young */
#define FIRST_TRIES 40

struct texthash {
	const struct table_context *context;
	struct arena *arena; /* path */
	struct str path;     /* ends in NUL */

	struct table_map *map; /* the version that answers; NULL: none was good yet */
	struct error why_not;  /* while there is none */

	struct os_file_id seen;  /* the last version that was read, good or not */
	struct os_file_id fresh; /* a newer one that was still too young ... */
	uint64_t fresh_since_ms; /* ... when it was first looked at */
	uint64_t next_check_ms;
	bool is_gone;             /* it could be read once and cannot now; told once */
	struct texthash_job *job; /* a version that is being read */
};

static void texthash_say(const struct texthash *t, struct table_finding f)
{
	f.file = t->path;
	table_report(t->context, f);
}

/* There is a good version, and what the file holds now is not one. */
static void texthash_keep_old(struct texthash *t, const struct error *why)
{
	struct error text;

	error_set(&text, ERROR_NONE, "the last good version goes on answering: %s", why->text);
	texthash_say(t, (struct table_finding){ .is_error = true,
						.code = STR("kept-old"),
						.text = error_text(&text),
						.remedy = STR("mend the file") });
}

/* There is none: this is what lookups say from now on. */
static void texthash_fail(struct texthash *t, const struct error *why)
{
	t->why_not = *why;
	error_prefix(&t->why_not, STR_FMT, STR_ARG(t->context->source));
}

static void texthash_report_load(const struct texthash *t, const struct texthash_load *l)
{
	for (const struct texthash_finding *n = l->first; n != NULL; n = n->next)
		table_report(t->context, n->f);
}

static void texthash_swap(struct texthash *t, struct texthash_load *l)
{
	struct error text;
	bool is_first = t->map == NULL && t->why_not.kind == ERROR_NONE;

	error_set(&text, ERROR_NONE, "a new version with %zu entries answers now",
		  table_map_count(l->map));
	table_map_free(t->map);
	t->map = l->map;
	l->map = NULL;
	t->why_not = (struct error){ .kind = ERROR_NONE };
	if (!is_first)
		texthash_say(t, (struct table_finding){ .is_news = true,
							.code = STR("reloaded"),
							.text = error_text(&text) });
}

/* A version that could not even be read has no identity: it is tried again. */
static void texthash_unread(struct texthash *t, const struct error *why)
{
	bool is_told = t->is_gone;

	if (why->kind == ERROR_TEMP && t->map != NULL)
		return; /* somebody is writing; the next look will tell */
	t->is_gone = true;
	if (t->map == NULL)
		texthash_fail(t, why);
	if (is_told)
		return;
	if (t->map != NULL)
		texthash_keep_old(t, why);
	else
		texthash_say(t, (struct table_finding){ .is_error = true,
							.code = STR("open"),
							.text = error_text(why) });
}

static void texthash_adopt(struct texthash *t, struct texthash_load *l)
{
	if (l->id.ino == 0) {
		texthash_unread(t, &l->why_not);
		return;
	}
	t->is_gone = false;
	t->seen = l->id;
	texthash_report_load(t, l);
	if (l->map != NULL)
		texthash_swap(t, l);
	else if (t->map != NULL)
		texthash_keep_old(t, &l->why_not);
	else
		texthash_fail(t, &l->why_not);
}

/* How long `id` has been left alone: by the file's own time, or, should that lie in the future, by
 * how long we have been looking at it. */
static int64_t
texthash_quiet_ms(const struct texthash *t, const struct os_file_id *id, uint64_t now_ms)
{
	int64_t by_file = (os_utc_ns() - id->mtime_ns) / 1000000;
	int64_t by_looking = 0;

	if (os_file_id_eq(&t->fresh, id))
		by_looking = (int64_t)(now_ms - t->fresh_since_ms);
	return by_file > by_looking ? by_file : by_looking;
}

/* Takes over what was read, unless it may be half of a version. */
static void texthash_consider(struct texthash *t, struct texthash_load *l, uint64_t now_ms)
{
	if (!l->is_ragged || texthash_quiet_ms(t, &l->id, now_ms) >= QUIET_RAGGED_MS)
		texthash_adopt(t, l);
	texthash_load_free(l);
}

static void texthash_read(struct texthash *t, const struct os_file_id *id, uint64_t now_ms)
{
	bool is_utf8 = t->context->options.is_utf8;

	if (id->size >= THREAD_FROM_OCTETS)
		t->job = texthash_job_new(t->path.p, is_utf8);
	if (t->job == NULL)
		texthash_consider(t, texthash_load_file(t->path.p, is_utf8), now_ms);
}

static void texthash_look(struct texthash *t, uint64_t now_ms)
{
	struct os_file_id id;
	struct error why;

	if (!texthash_stat(t->path.p, &id, &why)) {
		texthash_unread(t, &why);
		return;
	}
	if (os_file_id_eq(&id, &t->seen)) {
		t->is_gone = false;
		return;
	}
	if (!os_file_id_eq(&id, &t->fresh)) {
		t->fresh = id;
		t->fresh_since_ms = now_ms;
	}
	if (texthash_quiet_ms(t, &id, now_ms) >= QUIET_MS)
		texthash_read(t, &id, now_ms);
}

static void texthash_refresh(void *table, uint64_t now_ms)
{
	struct texthash *t = table;

	if (t->job != NULL) {
		if (!texthash_job_is_done(t->job))
			return;
		struct texthash_load *l = texthash_job_end(t->job);
		t->job = NULL;
		texthash_consider(t, l, now_ms);
	}
	if (now_ms < t->next_check_ms)
		return;
	t->next_check_ms = now_ms + CHECK_EVERY_MS;
	texthash_look(t, now_ms);
}

/* True when nobody seems to be writing what was read, after a short pause if it is young. */
static bool texthash_is_settled(const char *path, const struct texthash_load *l)
{
	int64_t age_ms = (os_utc_ns() - l->id.mtime_ns) / 1000000;
	struct os_file_id now;
	struct error e;

	if (l->id.ino == 0)
		return l->why_not.kind != ERROR_TEMP;
	if (age_ms >= QUIET_MS || age_ms < 0)
		return true;
	os_sleep_ms(FIRST_PAUSE_MS);
	return !l->is_ragged && os_file_stat(path, &now, &e) && os_file_id_eq(&now, &l->id);
}

/* Configuration and tables are often written just before a start, which may wait a moment but
 * not for ever: in the end what is there is taken. */
static struct texthash_load *texthash_load_first(const char *path, bool is_utf8)
{
	struct texthash_load *l = texthash_load_file(path, is_utf8);

	for (int i = 1; i < FIRST_TRIES && !texthash_is_settled(path, l); i++) {
		texthash_load_free(l);
		l = texthash_load_file(path, is_utf8);
	}
	return l;
}

static void *texthash_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct texthash *t = base_alloc(sizeof(*t));

	(void)e;
	t->context = c;
	t->arena = arena_new();
	t->path = arena_str(t->arena, c->body);
	t->next_check_ms = now_ms + CHECK_EVERY_MS;
	struct texthash_load *l = texthash_load_first(t->path.p, c->options.is_utf8);
	texthash_adopt(t, l);
	texthash_load_free(l);
	return t;
}

static bool texthash_lookup(void *table, struct table_lookup *l)
{
	struct texthash *t = table;
	struct table_map_entry found;

	texthash_refresh(t, l->now_ms);
	if (t->map == NULL) {
		l->answer.status = ANSWER_FAILED;
		l->answer.failure = error_text(&t->why_not);
		l->answer.file = t->path;
		return true;
	}
	if (l->folded.p == NULL || !table_map_find(t->map, l->folded, &found))
		return true;
	l->answer.status = ANSWER_FOUND;
	l->answer.value = found.value;
	l->answer.file = t->path;
	l->answer.line = found.line;
	return true;
}

static void
texthash_each(const void *table, void (*entry)(void *arg, const struct table_entry *e), void *arg)
{
	const struct texthash *t = table;

	for (size_t i = 0; t->map != NULL && i < table_map_count(t->map); i++) {
		struct table_map_entry found = table_map_at(t->map, i);
		entry(arg, &(struct table_entry){ .source = t->context->source,
						  .file = t->path,
						  .line = found.line,
						  .key = found.key,
						  .value = found.value });
	}
}

static void texthash_close(void *table)
{
	struct texthash *t = table;

	if (t->job != NULL)
		texthash_load_free(texthash_job_end(t->job));
	table_map_free(t->map);
	arena_free(t->arena);
	free(t);
}

const struct table_type table_type_texthash = {
	.name = STR_INIT("texthash"),
	.open = texthash_open,
	.lookup = texthash_lookup,
	.close = texthash_close,
	.refresh = texthash_refresh,
	.each = texthash_each,
};
