#include "table/indexed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mail/domain.h"
#include "os/os.h"

#define CHECK_EVERY_MS 1000
#define LOCK_TRIES 10
#define LOCK_PAUSE_MS 10

struct indexed {
	const struct table_context *context;
	const struct indexed_engine *engine;
	struct arena *arena;
	struct str path, text_path; /* both end in NUL */

	void *db; /* NULL: nothing answers, why_not says why */
	int fd;   /* of db, else -1 */
	struct stat version;
	struct error why_not;
	uint64_t n_versions; /* that have answered, or ceased to */

	uint64_t next_check_ms;
	bool is_told; /* that the file as it is cannot be used */
};

static void indexed_say(const struct indexed *t, struct table_finding f)
{
	f.file = t->path;
	table_report(t->context, f);
}

/* ---- versions ---- */

static bool version_eq(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool indexed_lock_try(const struct indexed_engine *engine, int fd)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	switch (engine->lock) {
	case INDEXED_NEVER_IN_PLACE:
		return true;
	case INDEXED_FLOCK:
		return flock(fd, LOCK_SH | LOCK_NB) == 0;
	case INDEXED_FCNTL:
		return fcntl(fd, F_OFD_SETLK, &l) == 0;
	}
	CHECK(!"a lock of no kind");
}

/* Waits a moment for whoever is writing. */
static bool indexed_lock(const struct indexed_engine *engine, int fd, struct error *why)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (i > 0)
			os_sleep_ms(LOCK_PAUSE_MS);
		if (indexed_lock_try(engine, fd))
			return true;
		if (errno != EWOULDBLOCK && errno != EACCES && errno != EINTR)
			return error_set(why, ERROR_IO, "locking: %s", strerror(errno));
	}
	return error_set(why, ERROR_TEMP, "somebody is writing it");
}

static void indexed_unlock(const struct indexed_engine *engine, int fd)
{
	struct flock l = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	if (engine->lock == INDEXED_FLOCK)
		(void)flock(fd, LOCK_UN);
	else if (engine->lock == INDEXED_FCNTL)
		(void)fcntl(fd, F_OFD_SETLK, &l);
}

/* The file under its lock; it must still be the one that has the name. */
static void *
indexed_open_version(struct indexed *t, int fd, struct stat *version, struct error *why)
{
	struct stat named;

	if (fstat(fd, version) != 0) {
		error_set(why, ERROR_IO, "%s", strerror(errno));
		return NULL;
	}
	if (!S_ISREG(version->st_mode)) {
		error_set(why, ERROR_NO_INPUT, "Not a regular file");
		return NULL;
	}
	void *db = t->engine->open(t->path.p, fd, why);
	if (db == NULL)
		return NULL;
	if (stat(t->path.p, &named) == 0 && version_eq(&named, version))
		return db;
	t->engine->close(db);
	error_set(why, ERROR_TEMP, "it changed while it was opened");
	return NULL;
}

static void indexed_drop(struct indexed *t)
{
	if (t->db == NULL)
		return;
	t->engine->close(t->db);
	close(t->fd);
	t->db = NULL;
	t->fd = -1;
	t->n_versions++;
}

static bool indexed_load(struct indexed *t, struct error *why)
{
	struct stat version;
	int fd = open(t->path.p, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_set(why, ERROR_NO_INPUT, "%s", strerror(errno));
	if (!indexed_lock(t->engine, fd, why)) {
		close(fd);
		return false;
	}
	void *db = indexed_open_version(t, fd, &version, why);
	indexed_unlock(t->engine, fd);
	if (db == NULL) {
		close(fd);
		return false;
	}
	indexed_drop(t);
	t->db = db;
	t->fd = fd;
	t->version = version;
	t->n_versions++;
	return true;
}

/* The version that is open has not been changed in place. */
static bool indexed_is_intact(const struct indexed *t)
{
	struct stat now;

	return t->db != NULL && fstat(t->fd, &now) == 0 && version_eq(&now, &t->version);
}

static void indexed_say_older(const struct indexed *t)
{
	struct stat text;
	struct error what;

	if (stat(t->text_path.p, &text) != 0 || text.st_mtim.tv_sec < t->version.st_mtim.tv_sec ||
	    (text.st_mtim.tv_sec == t->version.st_mtim.tv_sec &&
	     text.st_mtim.tv_nsec <= t->version.st_mtim.tv_nsec))
		return;
	error_set(&what, ERROR_NONE, "it is older than the text it was made from, " STR_FMT,
		  STR_ARG(t->text_path));
	indexed_say(t, (struct table_finding){ .code = STR("older"),
					       .text = error_text(&what),
					       .remedy = STR("make it again, with postmap or "
							     "\"hopseal table build\"") });
}

static void indexed_unusable(struct indexed *t, const struct error *why)
{
	struct error text;
	bool is_told = t->is_told, is_first = t->db == NULL && t->why_not.kind == ERROR_NONE;

	t->is_told = is_first || why->kind != ERROR_TEMP;
	if (!indexed_is_intact(t)) {
		indexed_drop(t);
		t->why_not = *why;
		error_prefix(&t->why_not, STR_FMT, STR_ARG(t->context->source));
		if (!is_told && t->is_told)
			indexed_say(t, (struct table_finding){ .is_error = true,
							       .code = STR("open"),
							       .text = error_text(why) });
		return;
	}
	error_set(&text, ERROR_NONE, "the last good version goes on answering: %s", why->text);
	if (!is_told && t->is_told)
		indexed_say(t, (struct table_finding){ .is_error = true,
						       .code = STR("kept-old"),
						       .text = error_text(&text),
						       .remedy = STR("make the table again") });
}

/* Opens the file again if it is another one, or has changed. */
static void indexed_look(struct indexed *t)
{
	bool is_first = t->db == NULL && t->why_not.kind == ERROR_NONE;
	struct stat named;
	struct error why;

	if (t->db != NULL && stat(t->path.p, &named) == 0 && version_eq(&named, &t->version))
		return;
	if (!indexed_load(t, &why)) {
		indexed_unusable(t, &why);
		return;
	}
	t->is_told = false;
	t->why_not = (struct error){ .kind = ERROR_NONE };
	if (!is_first)
		indexed_say(t, (struct table_finding){ .is_news = true,
						       .code = STR("reloaded"),
						       .text = STR("a new version answers now") });
	indexed_say_older(t);
}

void indexed_refresh(void *table, uint64_t now_ms)
{
	struct indexed *t = table;

	if (now_ms < t->next_check_ms)
		return;
	t->next_check_ms = now_ms + CHECK_EVERY_MS;
	indexed_look(t);
}

/* The file under its name once a second, as lookups do; the open one for changes in place. */
bool indexed_version(void *table, uint64_t now_ms, uint64_t *version)
{
	struct indexed *t = table;

	indexed_refresh(t, now_ms);
	if (t->db != NULL && !indexed_is_intact(t))
		indexed_look(t);
	*version = t->n_versions;
	return true;
}

/* ---- lookups ---- */

/* Locked on true. What is open may be changed in place between any two lookups. */
static bool indexed_enter(struct indexed *t, uint64_t now_ms, struct error *why)
{
	indexed_refresh(t, now_ms);
	for (int i = 0; i < 2; i++) {
		if (t->db == NULL) {
			*why = t->why_not;
			return false;
		}
		if (!indexed_lock(t->engine, t->fd, why))
			return error_prefix(why, STR_FMT, STR_ARG(t->context->source));
		if (indexed_is_intact(t))
			return true;
		indexed_unlock(t->engine, t->fd);
		indexed_look(t);
	}
	return error_set(why, ERROR_TEMP, STR_FMT ": it keeps changing",
			 STR_ARG(t->context->source));
}

/* postmap writes a NUL after key and value or does not, as the system's habit was. */
static enum indexed_result indexed_get(struct indexed *t, struct arena *a, struct str key,
				       struct str *value, struct error *why)
{
	struct str with_nul = { arena_str(a, key).p, key.n + 1 };
	enum indexed_result result = t->engine->get(t->db, with_nul, value, why);
	size_t end;

	if (result == INDEXED_MISS)
		result = t->engine->get(t->db, str_first(with_nul, key.n), value, why);
	if (result != INDEXED_HIT)
		return result;
	if (str_find(*value, '\0', &end))
		*value = str_first(*value, end);
	*value = arena_str(a, *value);
	return INDEXED_HIT;
}

static void indexed_fail(struct table_lookup *l, const char *why)
{
	l->answer.status = ANSWER_FAILED;
	l->answer.failure = arena_str(l->query.arena, str_of(why));
}

bool indexed_lookup(void *table, struct table_lookup *l)
{
	struct indexed *t = table;
	struct error why;

	l->answer.file = t->path;
	if (!indexed_enter(t, l->now_ms, &why)) {
		indexed_fail(l, why.text);
		return true;
	}
	enum indexed_result result = INDEXED_MISS;
	if (l->folded.p != NULL && !str_contains(l->folded, '\0'))
		result = indexed_get(t, l->query.arena, l->folded, &l->answer.value, &why);
	indexed_unlock(t->engine, t->fd);
	if (result == INDEXED_ERROR)
		indexed_fail(l, why.text);
	if (result != INDEXED_HIT)
		return true;
	l->answer.status = ANSWER_FOUND;
	if (t->context->options.is_utf8 && !domain_is_utf8(l->answer.value))
		indexed_fail(l, "the value is not UTF-8");
	return true;
}

/* ---- all entries ---- */

struct indexed_each {
	const struct indexed *table;
	void (*entry)(void *arg, const struct table_entry *e);
	void *arg;
};

static struct str without_nul(struct str s)
{
	return s.n > 0 && s.p[s.n - 1] == '\0' ? str_first(s, s.n - 1) : s;
}

static void indexed_each_entry(void *arg, struct str key, struct str value)
{
	const struct indexed_each *e = arg;
	struct table_entry entry = {
		.source = e->table->context->source,
		.file = e->table->path,
		.key = without_nul(key),
		.value = without_nul(value),
	};

	e->entry(e->arg, &entry);
}

void indexed_each(const void *table, void (*entry)(void *arg, const struct table_entry *e),
		  void *arg)
{
	const struct indexed *t = table;
	struct indexed_each e = { t, entry, arg };
	struct error why;

	if (t->db == NULL || !indexed_lock(t->engine, t->fd, &why))
		return;
	if (indexed_is_intact(t))
		t->engine->each(t->db, indexed_each_entry, &e);
	indexed_unlock(t->engine, t->fd);
}

/* ---- the table ---- */

void *
indexed_open(const struct indexed_engine *engine, const struct table_context *c, uint64_t now_ms)
{
	struct indexed *t = base_alloc(sizeof(*t));

	*t = (struct indexed){ .context = c, .engine = engine, .fd = -1, .arena = arena_new() };
	t->text_path = arena_str(t->arena, c->body);
	t->path = arena_fmt(t->arena, STR_FMT STR_FMT, STR_ARG(c->body), STR_ARG(engine->suffix));
	t->next_check_ms = now_ms + CHECK_EVERY_MS;
	indexed_look(t);
	return t;
}

void indexed_close(void *table)
{
	struct indexed *t = table;

	indexed_drop(t);
	arena_free(t->arena);
	free(t);
}
