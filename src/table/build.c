#include "table/build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mail/domain.h"
#include "table/build_write.h"
#include "table/texthash.h"

static const struct build_type {
	struct str name, suffix;
	bool (*write)(const char *path, const struct table_map *map, struct error *e);
} build_types[] = {
	{ STR_INIT("cdb"), STR_INIT(".cdb"), table_write_cdb },
	{ STR_INIT("lmdb"), STR_INIT(".lmdb"), table_write_lmdb },
	{ STR_INIT("hash"), STR_INIT(".db"), table_write_hash },
	{ STR_INIT("btree"), STR_INIT(".db"), table_write_btree },
};

static const struct build_type *build_type_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(build_types); i++)
		if (str_eq(build_types[i].name, name))
			return &build_types[i];
	return NULL;
}

/* Keys are folded here, so one that is not folded in the text does match. */
static void build_report(const struct table_build *b, const struct textload *l)
{
	if (b->found == NULL)
		return;
	for (const struct textload_finding *n = l->first; n != NULL; n = n->next)
		if (!str_eq(n->f.code, STR("key-not-folded")))
			b->found(b->arg, &n->f);
}

struct build_fold {
	struct error *e;
	bool is_double;
};

static void
build_duplicate(void *arg, const struct table_map_entry *first, const struct table_map_entry *again)
{
	struct build_fold *f = arg;

	if (!f->is_double)
		error_set(f->e, ERROR_DATA,
			  "line %u: the key \"" STR_FMT "\" is there already, in line %u, when "
			  "it is folded",
			  again->line, STR_ARG(str_first(again->key, 200)), first->line);
	f->is_double = true;
}

/* The same entries under the keys that lookups will ask for. NULL: two became one. */
static struct table_map *build_fold(const struct table_map *from, bool is_utf8, struct error *e)
{
	struct table_map *to = table_map_new();
	struct build_fold f = { .e = e };
	struct arena *a = arena_new();

	for (size_t i = 0; i < table_map_count(from); i++) {
		struct table_map_entry at = table_map_at(from, i);
		struct str key = is_utf8 ? domain_fold(a, at.key) : at.key;
		table_map_add(to, key, at.value, at.line);
		arena_reset(a);
	}
	arena_free(a);
	table_map_index(to, build_duplicate, &f);
	if (!f.is_double)
		return to;
	table_map_free(to);
	return NULL;
}

static bool build_system_error(struct error *e, const char *path)
{
	return error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
}

/* Readable by whom the text is readable by. */
static bool build_permit(int fd, const char *text, struct error *e)
{
	struct stat s;

	if (stat(text, &s) != 0)
		return build_system_error(e, text);
	if (geteuid() == 0 && fchown(fd, s.st_uid, s.st_gid) != 0)
		return build_system_error(e, text);
	if (fchmod(fd, (s.st_mode & 0044) | 0600) != 0)
		return build_system_error(e, text);
	return true;
}

static bool build_sync(const char *path, int flags, struct error *e)
{
	int fd = open(path, flags | O_CLOEXEC);
	bool is_done = fd >= 0 && fsync(fd) == 0;

	if (!is_done)
		(void)build_system_error(e, path);
	if (fd >= 0)
		close(fd);
	return is_done;
}

static bool build_sync_folder(struct arena *a, const char *path, struct error *e)
{
	struct str folder, name;

	if (!str_rcut(str_of(path), '/', &folder, &name))
		folder = STR(".");
	else if (folder.n == 0)
		folder = STR("/");
	return build_sync(arena_str(a, folder).p, O_RDONLY | O_DIRECTORY, e);
}

static bool build_write(const struct build_type *type, struct arena *a, struct str text,
			const struct table_map *map, struct error *e)
{
	struct str path = arena_fmt(a, STR_FMT STR_FMT, STR_ARG(text), STR_ARG(type->suffix));
	struct str temp = arena_fmt(a, STR_FMT ".XXXXXX", STR_ARG(path));
	char *name = (char *)temp.p; /* of our arena */
	int fd = mkstemp(name);

	if (fd < 0)
		return build_system_error(e, temp.p);
	bool is_done = build_permit(fd, text.p, e);
	close(fd);
	is_done = is_done && type->write(name, map, e) && build_sync(name, O_RDWR, e);
	if (is_done && rename(name, path.p) != 0)
		is_done = build_system_error(e, path.p);
	if (is_done)
		return build_sync_folder(a, path.p, e);
	unlink(name);
	return false;
}

static bool
build_load(struct table_build *b, struct arena *a, const struct build_type *type, struct error *e)
{
	struct str path = arena_str(a, b->path);
	struct textload *l = textload_file(&texthash_kind, path.p, b->is_utf8);
	bool is_done = false;

	build_report(b, l);
	if (l->content == NULL) {
		*e = l->why_not;
	} else {
		struct table_map *map = build_fold(l->content, b->is_utf8, e);
		is_done = map != NULL && build_write(type, a, path, map, e);
		b->n = table_map_count(l->content);
		table_map_free(map);
	}
	textload_free(l);
	return is_done || error_prefix(e, STR_FMT, STR_ARG(path));
}

bool table_build(struct table_build *b, struct error *e)
{
	const struct build_type *type = build_type_find(b->type);

	if (type == NULL)
		return error_set(e, ERROR_USAGE,
				 "a table of type \"" STR_FMT "\" is not made from a text; cdb, "
				 "lmdb, hash and btree are",
				 STR_ARG(b->type));
	struct arena *a = arena_new();
	bool is_done = build_load(b, a, type, e);
	arena_free(a);
	return is_done;
}
