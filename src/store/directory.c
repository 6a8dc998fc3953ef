/* The queue directory: folders, permissions, the lock, files that nobody needs. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/room.h"

enum { LOCK_PAUSE_MS = 20 };

static bool make_folder(const char *path, struct error *e)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return true;
	return error_set(e, errno == ENOENT ? ERROR_NO_INPUT : ERROR_IO, "%s: %s", path,
			 strerror(errno));
}

static bool is_there(const char *directory, const char *name)
{
	char path[STORE_PATH_MAX];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return stat(path, &st) == 0;
}

/* All at once and durable, so that a file's own folder is all there is to synchronise later. */
static bool make_content_folders(const char *directory, struct error *e)
{
	char path[STORE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/" STORE_CONTENT, directory);
	if (!make_folder(path, e))
		return false;
	for (unsigned i = 0; i < STORE_CONTENT_FOLDERS; i++) {
		(void)snprintf(path, sizeof(path), "%s/" STORE_CONTENT "/%02x", directory, i);
		if (!make_folder(path, e))
			return false;
	}
	(void)snprintf(path, sizeof(path), "%s/" STORE_CONTENT, directory);
	return store_sync_folder(path, e) && store_sync_folder(directory, e);
}

/* Made here, so that it and the files that SQLite puts beside it are for their owner alone. */
static bool make_database(const char *directory, struct error *e)
{
	char path[STORE_PATH_MAX];

	if (is_there(directory, STORE_DATABASE))
		return true;
	(void)snprintf(path, sizeof(path), "%s/" STORE_DATABASE, directory);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
	(void)close(fd);
	return store_sync_folder(directory, e);
}

/* Whoever has it may be done soon: a program that puts one message into the queue. */
static bool lock_within(int fd, unsigned wait_ms)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000 };

	for (unsigned waited = 0;; waited += LOCK_PAUSE_MS) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return true;
		if ((errno != EWOULDBLOCK && errno != EINTR) || waited >= wait_ms)
			return false;
		(void)nanosleep(&pause, NULL);
	}
}

static int take_lock(const char *directory, unsigned wait_ms, struct error *e)
{
	char path[STORE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/" STORE_LOCK, directory);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (lock_within(fd, wait_ms))
		return fd;
	if (errno == EWOULDBLOCK)
		error_set(e, ERROR_TEMP, "%s: another process has this queue", path);
	else
		error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
	(void)close(fd);
	return -1;
}

int store_directory_take(const char *directory, unsigned wait_ms, struct error *e)
{
	if (strlen(directory) >= STORE_DIRECTORY_MAX) {
		error_set(e, ERROR_CONFIG, "%s: %s", directory, strerror(ENAMETOOLONG));
		return -1;
	}
	if (is_there(directory, "maildrop") && !is_there(directory, STORE_DATABASE)) {
		error_set(e, ERROR_CONFIG,
			  "%s is the queue of a Postfix; this one needs a directory of its own",
			  directory);
		return -1;
	}
	if (!make_folder(directory, e))
		return -1;
	int fd = take_lock(directory, wait_ms, e);
	if (fd >= 0 && store_sound_files(directory, e) && make_content_folders(directory, e) &&
	    make_database(directory, e))
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* ---- orphans ---- */

/* Recipients that lost their message are damage, and then its content is all that is left of it. */
static bool is_known(struct sql *db, uint64_t id, bool *is, struct error *e)
{
	struct sql_statement *st = sql_keep(db,
					    STR("SELECT 1 FROM message WHERE id = ?1 UNION ALL "
						"SELECT 1 FROM recipient WHERE message = ?1"),
					    e);
	enum sql_step step;

	if (!st)
		return false;
	sql_bind_int(st, 1, (int64_t)id);
	step = sql_step(st, e);
	*is = step == SQL_ROW;
	if (step == SQL_ROW)
		sql_reset(st);
	return step != SQL_FAILED;
}

/* A name that is no queue id is not ours to remove. */
static bool sweep_one(struct sql *db, int folder, const char *name, struct error *e)
{
	uint64_t id;
	bool is;

	if (!store_id_parse(str_of(name), &id))
		return true;
	if (!is_known(db, id, &is, e))
		return false;
	if (!is)
		(void)unlinkat(folder, name, 0);
	return true;
}

static bool sweep_folder(struct sql *db, const char *path, struct error *e)
{
	DIR *d = opendir(path);
	const struct dirent *entry;
	bool is_done = true;

	if (!d)
		return error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
	while (is_done && (entry = readdir(d)) != NULL)
		is_done = sweep_one(db, dirfd(d), entry->d_name, e);
	(void)closedir(d);
	return is_done;
}

bool store_directory_sweep(const char *directory, struct sql *db, struct error *e)
{
	char path[STORE_PATH_MAX];

	for (unsigned i = 0; i < STORE_CONTENT_FOLDERS; i++) {
		(void)snprintf(path, sizeof(path), "%s/" STORE_CONTENT "/%02x", directory, i);
		if (!sweep_folder(db, path, e))
			return false;
	}
	return true;
}
