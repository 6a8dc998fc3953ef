#include "table/textload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/limits.h"

static struct textload *
textload_new(const struct textload_kind *kind, struct str file, bool is_utf8)
{
	struct arena *a = arena_new();
	struct textload *l = ARENA_NEW(a, struct textload);

	l->arena = a;
	l->kind = kind;
	l->file = arena_str(a, file);
	l->is_utf8 = is_utf8;
	l->last = &l->first;
	return l;
}

void textload_free(struct textload *l)
{
	if (l == NULL)
		return;
	if (l->content != NULL)
		l->kind->free(l->content);
	arena_free(l->arena);
}

void textload_say(struct textload *l, struct table_finding f)
{
	struct textload_finding *node;

	f.file = l->file;
	l->n_findings++;
	if (l->n_findings > TABLE_FINDINGS_MAX + 1)
		return;
	if (l->n_findings > TABLE_FINDINGS_MAX)
		f = (struct table_finding){ .code = STR("more"),
					    .file = l->file,
					    .text = STR("there is more to say about this file") };
	node = ARENA_NEW(l->arena, struct textload_finding);
	node->f = f;
	*l->last = node;
	l->last = &node->next;
}

void textload_fail(struct textload *l, struct table_finding f)
{
	f.is_error = true;
	if (l->why_not.kind == ERROR_NONE)
		error_set(&l->why_not, ERROR_DATA, "line %u: " STR_FMT, f.line, STR_ARG(f.text));
	textload_say(l, f);
}

static void textload_fill(struct textload *l, struct str text)
{
	l->is_ragged = text.n == 0 || text.p[text.n - 1] != '\n';
	l->kind->fill(l, text);
	if (l->why_not.kind != ERROR_NONE && l->content != NULL) {
		l->kind->free(l->content);
		l->content = NULL;
	}
}

struct textload *
textload_text(const struct textload_kind *kind, struct str text, struct str file, bool is_utf8)
{
	struct textload *l = textload_new(kind, file, is_utf8);

	textload_fill(l, text);
	return l;
}

bool textload_stat(const char *path, struct os_file_id *id, struct error *e)
{
	return os_file_stat(path, id, e) &&
	       (id->is_regular || error_set(e, ERROR_NO_INPUT, "Not a regular file"));
}

struct textload *textload_file(const struct textload_kind *kind, const char *path, bool is_utf8)
{
	struct textload *l = textload_new(kind, str_of(path), is_utf8);
	struct os_file_id id;
	struct buf text;

	buf_init(&text, TABLE_FILE_MAX);
	if (textload_stat(path, &id, &l->why_not) && os_file_read(path, &text, &id, &l->why_not)) {
		l->id = id;
		textload_fill(l, buf_str(&text));
	}
	buf_fini(&text);
	return l;
}

struct textload_job {
	pthread_t thread;
	const struct textload_kind *kind;
	const char *path;
	bool is_utf8;
	struct textload *load;
	atomic_bool is_done;
};

static void *textload_job_run(void *arg)
{
	struct textload_job *j = arg;

	j->load = textload_file(j->kind, j->path, j->is_utf8);
	atomic_store(&j->is_done, true);
	return NULL;
}

struct textload_job *
textload_job_new(const struct textload_kind *kind, const char *path, bool is_utf8)
{
	struct textload_job *j = base_alloc(sizeof(*j));

	j->kind = kind;
	j->path = path;
	j->is_utf8 = is_utf8;
	if (pthread_create(&j->thread, NULL, textload_job_run, j) == 0)
		return j;
	free(j);
	return NULL;
}

bool textload_job_is_done(const struct textload_job *j)
{
	return atomic_load(&j->is_done);
}

struct textload *textload_job_end(struct textload_job *j)
{
	struct textload *l;

	CHECK(pthread_join(j->thread, NULL) == 0);
	l = j->load;
	free(j);
	return l;
}
