/* Writes to the log that follow each other go to the kernel as one. SQLite hands each page of a
 * commit to it in two pieces, its header and itself, and a call for each costs as much as what it
 * carries. They are gathered here until SQLite synchronises, reads or asks anything else of the
 * file. With synchronous = FULL, the default, it tells nobody of a commit before the log is
 * synchronised: what others may see, and what a commit promises, is as without it.
 *
 * Writes to the database itself are not gathered: pages that were copied there count as copied
 * before it is synchronised, when a reader needs the rest of the log. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sql/room.h"

enum { GATHER_MAX = 64 * 1024 }; /* the library takes less than 128 KiB at once */

struct gather_file {
	sqlite3_file base;
	sqlite3_file *real;
	bool is_log;
	char *waiting; /* NULL: nothing was written yet */
	int n;
	sqlite3_int64 at;
};

static struct gather_file *gather_of(sqlite3_file *f)
{
	return (struct gather_file *)(void *)f;
}

/* To SQLite a quota that is used up is a disk that fails, where nobody would make room. */
static int put(struct gather_file *f, const void *p, int n, sqlite3_int64 at)
{
	int code = f->real->pMethods->xWrite(f->real, p, n, at);

	return code == SQLITE_IOERR_WRITE && errno == EDQUOT ? SQLITE_FULL : code;
}

/* What fails is SQLite's to write again, or to give up. */
static int flush(struct gather_file *f)
{
	int n = f->n;

	f->n = 0;
	return n == 0 ? SQLITE_OK : put(f, f->waiting, n, f->at);
}

static int gather_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	struct gather_file *f = gather_of(file);
	int code = SQLITE_OK;

	if (!f->is_log)
		return put(f, p, n, at);
	if (f->n > 0 && (at != f->at + f->n || f->n + n > GATHER_MAX))
		code = flush(f);
	if (code != SQLITE_OK || n > GATHER_MAX)
		return code != SQLITE_OK ? code : put(f, p, n, at);
	if (!f->waiting)
		f->waiting = base_alloc(GATHER_MAX);
	if (f->n == 0)
		f->at = at;
	memcpy(f->waiting + f->n, p, (size_t)n);
	f->n += n;
	return SQLITE_OK;
}

/* ---- everything else comes behind what waits ---- */

static int gather_close(sqlite3_file *file)
{
	struct gather_file *f = gather_of(file);
	int written = flush(f), closed = f->real->pMethods->xClose(f->real);

	free(f->waiting);
	return written != SQLITE_OK ? written : closed;
}

static int gather_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
	struct gather_file *f = gather_of(file);
	int code = flush(f);

	return code != SQLITE_OK ? code : f->real->pMethods->xRead(f->real, p, n, at);
}

static int gather_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct gather_file *f = gather_of(file);
	int code = flush(f);

	return code != SQLITE_OK ? code : f->real->pMethods->xTruncate(f->real, size);
}

static int gather_sync(sqlite3_file *file, int flags)
{
	struct gather_file *f = gather_of(file);
	int code = flush(f);

	return code != SQLITE_OK ? code : f->real->pMethods->xSync(f->real, flags);
}

static int gather_size(sqlite3_file *file, sqlite3_int64 *size)
{
	struct gather_file *f = gather_of(file);
	int code = flush(f);

	return code != SQLITE_OK ? code : f->real->pMethods->xFileSize(f->real, size);
}

static int gather_lock(sqlite3_file *file, int lock)
{
	struct gather_file *f = gather_of(file);
	int code = flush(f);

	return code != SQLITE_OK ? code : f->real->pMethods->xLock(f->real, lock);
}

static int gather_unlock(sqlite3_file *file, int lock)
{
	struct gather_file *f = gather_of(file);
	int written = flush(f), unlocked = f->real->pMethods->xUnlock(f->real, lock);

	return written != SQLITE_OK ? written : unlocked;
}

static int gather_is_reserved(sqlite3_file *file, int *is_reserved)
{
	struct gather_file *f = gather_of(file);

	return f->real->pMethods->xCheckReservedLock(f->real, is_reserved);
}

static int gather_control(sqlite3_file *file, int what, void *arg)
{
	struct gather_file *f = gather_of(file);
	int code = flush(f);

	return code != SQLITE_OK ? code : f->real->pMethods->xFileControl(f->real, what, arg);
}

static int gather_sector(sqlite3_file *file)
{
	struct gather_file *f = gather_of(file);

	return f->real->pMethods->xSectorSize(f->real);
}

static int gather_device(sqlite3_file *file)
{
	struct gather_file *f = gather_of(file);

	return f->real->pMethods->xDeviceCharacteristics(f->real);
}

/* ---- the log's index, in shared memory: no file to write ---- */

static int gather_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **at)
{
	struct gather_file *f = gather_of(file);

	return f->real->pMethods->xShmMap(f->real, page, size, extend, at);
}

static int gather_shm_lock(sqlite3_file *file, int at, int n, int flags)
{
	struct gather_file *f = gather_of(file);

	return f->real->pMethods->xShmLock(f->real, at, n, flags);
}

static void gather_shm_barrier(sqlite3_file *file)
{
	struct gather_file *f = gather_of(file);

	f->real->pMethods->xShmBarrier(f->real);
}

static int gather_shm_unmap(sqlite3_file *file, int removes)
{
	struct gather_file *f = gather_of(file);

	return f->real->pMethods->xShmUnmap(f->real, removes);
}

/* Version 2: without it there is no memory map of the file, which would not see what waits. */
static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = gather_close,
	.xRead = gather_read,
	.xWrite = gather_write,
	.xTruncate = gather_truncate,
	.xSync = gather_sync,
	.xFileSize = gather_size,
	.xLock = gather_lock,
	.xUnlock = gather_unlock,
	.xCheckReservedLock = gather_is_reserved,
	.xFileControl = gather_control,
	.xSectorSize = gather_sector,
	.xDeviceCharacteristics = gather_device,
	.xShmMap = gather_shm_map,
	.xShmLock = gather_shm_lock,
	.xShmBarrier = gather_shm_barrier,
	.xShmUnmap = gather_shm_unmap,
};

/* ---- the file system ---- */

static sqlite3_vfs *real_system(void)
{
	return sqlite3_vfs_find(NULL);
}

static int
gather_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *file, int flags, int *flags_out)
{
	struct gather_file *f = gather_of(file);
	sqlite3_vfs *real = v->pAppData;

	*f = (struct gather_file){ .real = (sqlite3_file *)(void *)(f + 1),
				   .is_log = flags & SQLITE_OPEN_WAL };
	int code = real->xOpen(real, name, f->real, flags, flags_out);
	if (f->real->pMethods)
		f->base.pMethods = &methods;
	return code;
}

const char *sql_gather(void)
{
	static sqlite3_vfs gather;
	sqlite3_vfs *real = real_system();

	gather = *real; /* all but opening is as it is there */
	gather.szOsFile = (int)sizeof(struct gather_file) + real->szOsFile;
	gather.zName = "gather";
	gather.pAppData = real;
	gather.pNext = NULL;
	gather.xOpen = gather_open;
	CHECK(sqlite3_vfs_register(&gather, 0) == SQLITE_OK);
	return gather.zName;
}
