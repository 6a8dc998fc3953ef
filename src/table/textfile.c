/* A text file, kept in memory as an immutable version, and read again when it changes. A new
 * version takes over only when it was read whole, has been left alone for a moment and has no
 * error; until then the last good one answers. */

#include "table/textfile.h"

#include <stdlib.h>

#define CHECK_EVERY_MS 1000
#define QUIET_MS 1000         /* left alone for so long: nobody is writing any more */
#define QUIET_RAGGED_MS 10000 /* the same for one that looks half written */
#define THREAD_FROM_OCTETS (256 * 1024)
#define FIRST_PAUSE_MS 50 /* the first version is read again after so long, if it is young */
#define FIRST_TRIES 40

static void textfile_say(const struct textfile *t, struct table_finding f)
{
	f.file = t->path;
	table_report(t->context, f);
}

/* There is a good version, and what the file holds now is not one. */
static void textfile_keep_old(struct textfile *t, const struct error *why)
{
	struct error text;

	error_set(&text, ERROR_NONE, "the last good version goes on answering: %s", why->text);
	textfile_say(t, (struct table_finding){ .is_error = true,
						.code = STR("kept-old"),
						.text = error_text(&text),
						.remedy = STR("mend the file") });
}

/* There is none: this is what lookups say from now on. */
static void textfile_fail(struct textfile *t, const struct error *why)
{
	t->why_not = *why;
	error_prefix(&t->why_not, STR_FMT, STR_ARG(t->context->source));
}

static void textfile_report_load(const struct textfile *t, const struct textload *l)
{
	for (const struct textload_finding *n = l->first; n != NULL; n = n->next)
		table_report(t->context, n->f);
}

static void textfile_swap(struct textfile *t, struct textload *l)
{
	struct error text;
	bool is_first = t->content == NULL && t->why_not.kind == ERROR_NONE;

	error_set(&text, ERROR_NONE, "a new version with %zu entries answers now",
		  t->kind->count(l->content));
	if (t->content != NULL)
		t->kind->free(t->content);
	t->content = l->content;
	t->n_versions++;
	l->content = NULL;
	t->why_not = (struct error){ .kind = ERROR_NONE };
	if (!is_first)
		textfile_say(t, (struct table_finding){ .is_news = true,
							.code = STR("reloaded"),
							.text = error_text(&text) });
}

/* A version that could not even be read has no identity: it is tried again. */
static void textfile_unread(struct textfile *t, const struct error *why)
{
	bool is_told = t->is_gone;

	if (why->kind == ERROR_TEMP && t->content != NULL)
		return; /* somebody is writing; the next look will tell */
	t->is_gone = true;
	if (t->content == NULL)
		textfile_fail(t, why);
	if (is_told)
		return;
	if (t->content != NULL)
		textfile_keep_old(t, why);
	else
		textfile_say(t, (struct table_finding){ .is_error = true,
							.code = STR("open"),
							.text = error_text(why) });
}

static void textfile_adopt(struct textfile *t, struct textload *l)
{
	if (l->id.ino == 0) {
		textfile_unread(t, &l->why_not);
		return;
	}
	t->is_gone = false;
	t->seen = l->id;
	textfile_report_load(t, l);
	if (l->content != NULL)
		textfile_swap(t, l);
	else if (t->content != NULL)
		textfile_keep_old(t, &l->why_not);
	else
		textfile_fail(t, &l->why_not);
}

/* How long `id` has been left alone: by the file's own time, or, should that lie in the future, by
 * how long we have been looking at it. */
static int64_t
textfile_quiet_ms(const struct textfile *t, const struct os_file_id *id, uint64_t now_ms)
{
	int64_t by_file = (os_utc_ns() - id->mtime_ns) / 1000000;
	int64_t by_looking = 0;

	if (os_file_id_eq(&t->fresh, id))
		by_looking = (int64_t)(now_ms - t->fresh_since_ms);
	return by_file > by_looking ? by_file : by_looking;
}

/* Takes over what was read, unless it may be half of a version. */
static void textfile_consider(struct textfile *t, struct textload *l, uint64_t now_ms)
{
	if (!l->is_ragged || textfile_quiet_ms(t, &l->id, now_ms) >= QUIET_RAGGED_MS)
		textfile_adopt(t, l);
	textload_free(l);
}

static void textfile_read(struct textfile *t, const struct os_file_id *id, uint64_t now_ms)
{
	bool is_utf8 = t->context->options.is_utf8;

	if (id->size >= THREAD_FROM_OCTETS)
		t->job = textload_job_new(t->kind, t->path.p, is_utf8);
	if (t->job == NULL)
		textfile_consider(t, textload_file(t->kind, t->path.p, is_utf8), now_ms);
}

static void textfile_look(struct textfile *t, uint64_t now_ms)
{
	struct os_file_id id;
	struct error why;

	if (!textload_stat(t->path.p, &id, &why)) {
		textfile_unread(t, &why);
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
	if (textfile_quiet_ms(t, &id, now_ms) >= QUIET_MS)
		textfile_read(t, &id, now_ms);
}

void textfile_refresh(struct textfile *t, uint64_t now_ms)
{
	if (t->path.n == 0)
		return;
	if (t->job != NULL) {
		if (!textload_job_is_done(t->job))
			return;
		struct textload *l = textload_job_end(t->job);
		t->job = NULL;
		textfile_consider(t, l, now_ms);
	}
	if (now_ms < t->next_check_ms)
		return;
	t->next_check_ms = now_ms + CHECK_EVERY_MS;
	textfile_look(t, now_ms);
}

/* Without a version that answers all lookups fail, and nothing is made of them. */
bool textfile_version(void *table, uint64_t now_ms, uint64_t *version)
{
	struct textfile *t = table;

	textfile_refresh(t, now_ms);
	*version = t->n_versions;
	return true;
}

/* True when nobody seems to be writing what was read, after a short pause if it is young. */
static bool textfile_is_settled(const char *path, const struct textload *l)
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
static struct textload *
textfile_load_first(const struct textload_kind *kind, const char *path, bool is_utf8)
{
	struct textload *l = textload_file(kind, path, is_utf8);

	for (int i = 1; i < FIRST_TRIES && !textfile_is_settled(path, l); i++) {
		textload_free(l);
		l = textload_file(kind, path, is_utf8);
	}
	return l;
}

static struct textfile *
textfile_new(const struct textload_kind *kind, const struct table_context *c, struct str path)
{
	struct textfile *t = base_alloc(sizeof(*t));

	*t = (struct textfile){ .context = c, .kind = kind, .arena = arena_new() };
	t->path = arena_str(t->arena, path);
	return t;
}

struct textfile *
textfile_open(const struct textload_kind *kind, const struct table_context *c, uint64_t now_ms)
{
	struct textfile *t = textfile_new(kind, c, c->body);
	struct textload *l = textfile_load_first(kind, t->path.p, c->options.is_utf8);

	t->next_check_ms = now_ms + CHECK_EVERY_MS;
	textfile_adopt(t, l);
	textload_free(l);
	return t;
}

struct textfile *
textfile_open_text(const struct textload_kind *kind, const struct table_context *c, struct str text)
{
	struct textfile *t = textfile_new(kind, c, STR(""));
	struct textload *l = textload_text(kind, text, STR(""), c->options.is_utf8);

	textfile_report_load(t, l);
	if (l->content != NULL)
		textfile_swap(t, l);
	else
		textfile_fail(t, &l->why_not);
	textload_free(l);
	return t;
}

const void *textfile_content(struct textfile *t, struct table_lookup *l)
{
	textfile_refresh(t, l->now_ms);
	l->answer.file = t->path;
	if (t->content == NULL) {
		l->answer.status = ANSWER_FAILED;
		l->answer.failure = error_text(&t->why_not);
	}
	return t->content;
}

void textfile_close(struct textfile *t)
{
	if (t->job != NULL)
		textload_free(textload_job_end(t->job));
	if (t->content != NULL)
		t->kind->free(t->content);
	arena_free(t->arena);
	free(t);
}
