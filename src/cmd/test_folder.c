/* The tables that cases bring along, as files. Folder and files stay for the next case: making and
 * removing them for each of many cases would cost more than the cases do. */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/test_inside.h"

/* Dated long ago: of a file that may still be being written, the first look waits. Written over
 * what was there and cut afterwards: file systems flush a file that is emptied first. */
static bool write_table(const char *path, struct str text)
{
	const struct timespec old[] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	size_t size = text.n;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	bool is_written = fd >= 0;

	while (is_written && text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);
		is_written = n > 0;
		text = str_from(text, is_written ? (size_t)n : 0);
	}
	is_written = is_written && ftruncate(fd, (off_t)size) == 0 && futimens(fd, old) == 0;
	if (fd >= 0)
		close(fd);
	return is_written;
}

/* What an earlier case left behind and this one does not write over. */
static void remove_others(const struct test_folder *f, const struct json_node *tables)
{
	for (size_t i = 0; i < f->n_files; i++) {
		struct str name = str_from(f->files[i], f->path.n + 1);
		if (!tables || !json_member(tables, name))
			unlink(f->files[i].p);
	}
}

static bool write_all(struct test_folder *f, const struct json_node *tables)
{
	const struct json_node *value;
	struct str name, text = STR("");
	void *at = NULL;

	while (json_member_next(tables, &at, &name, &value)) {
		struct str path =
			arena_fmt(f->arena, STR_FMT "/" STR_FMT, STR_ARG(f->path), STR_ARG(name));
		f->files[f->n_files++] = path;
		if (!json_get_str(value, "", &text) || !write_table(path.p, text))
			return false;
	}
	return true;
}

bool test_folder_fill(struct test_folder *f, struct str path, const struct json_node *tables)
{
	bool is_new = !f->arena;
	struct arena *before = f->arena;

	if (is_new && mkdir(path.p, 0700) != 0)
		return false;
	remove_others(f, tables);
	f->arena = arena_new();
	f->path = arena_str(f->arena, path);
	f->files = ARENA_ARRAY(f->arena, tables ? json_count(tables) : 0, struct str);
	f->n_files = 0;
	arena_free(before);
	return write_all(f, tables);
}

void test_folder_remove(struct test_folder *f)
{
	if (!f->arena)
		return;
	remove_others(f, NULL);
	rmdir(f->path.p);
	arena_free(f->arena);
}
