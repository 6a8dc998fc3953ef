/* lmdb:/path: a memory-mapped B+ tree. As Postfix does, locks are taken outside of the library, so
 * that no lock file is needed beside the table. */

#include <errno.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "table/indexed.h"

struct lmdb {
	MDB_env *env;
	MDB_txn *txn; /* reset between lookups */
	MDB_dbi dbi;
};

/* Half a copy would be a fault of the mapping (SIGBUS) when a page behind its end is read. */
static int lmdb_check_whole(MDB_env *env, int fd)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat file;
	int status = mdb_env_info(env, &info);

	if (status == 0)
		status = mdb_env_stat(env, &stat);
	if (status == 0 && fstat(fd, &file) != 0)
		status = errno;
	if (status == 0 && (uint64_t)file.st_size / stat.ms_psize <= info.me_last_pgno)
		status = MDB_CORRUPTED;
	return status;
}

static bool lmdb_begin(struct lmdb *m, const char *path, int fd, int *status)
{
	const unsigned flags = MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS;

	*status = mdb_env_create(&m->env);
	if (*status != 0)
		return false;
	*status = mdb_env_open(m->env, path, flags, 0);
	if (*status == 0)
		*status = lmdb_check_whole(m->env, fd);
	if (*status == 0)
		*status = mdb_txn_begin(m->env, NULL, MDB_RDONLY, &m->txn);
	if (*status == 0)
		*status = mdb_dbi_open(m->txn, NULL, 0, &m->dbi);
	return *status == 0;
}

static void lmdb_close(void *db)
{
	struct lmdb *m = db;

	if (m->txn != NULL)
		mdb_txn_abort(m->txn);
	if (m->env != NULL)
		mdb_env_close(m->env);
	free(m);
}

static void *lmdb_open(const char *path, int fd, struct error *why)
{
	struct lmdb *m = base_alloc(sizeof(*m));
	int status;

	if (lmdb_begin(m, path, fd, &status)) {
		mdb_txn_reset(m->txn);
		return m;
	}
	error_set(why, ERROR_DATA, "it is no LMDB file: %s", mdb_strerror(status));
	lmdb_close(m);
	return NULL;
}

/* The value stays where it is while nobody writes, which the lock sees to. */
static enum indexed_result lmdb_get(void *db, struct str key, struct str *value, struct error *why)
{
	struct lmdb *m = db;
	MDB_val k = { key.n, (void *)key.p }, v;
	int status = mdb_txn_renew(m->txn);

	if (status == 0) {
		status = mdb_get(m->txn, m->dbi, &k, &v);
		mdb_txn_reset(m->txn);
	}
	if (status == MDB_NOTFOUND || status == MDB_BAD_VALSIZE) /* empty, or longer than any */
		return INDEXED_MISS;
	if (status != 0) {
		error_set(why, ERROR_IO, "LMDB: %s", mdb_strerror(status));
		return INDEXED_ERROR;
	}
	*value = str_span(v.mv_data, v.mv_size);
	return INDEXED_HIT;
}

static void
lmdb_each(void *db, void (*entry)(void *arg, struct str key, struct str value), void *arg)
{
	struct lmdb *m = db;
	MDB_cursor *cursor;
	MDB_val k, v;

	if (mdb_txn_renew(m->txn) != 0)
		return;
	if (mdb_cursor_open(m->txn, m->dbi, &cursor) == 0) {
		while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0)
			entry(arg, str_span(k.mv_data, k.mv_size), str_span(v.mv_data, v.mv_size));
		mdb_cursor_close(cursor);
	}
	mdb_txn_reset(m->txn);
}

static const struct indexed_engine lmdb_engine = {
	.suffix = STR_INIT(".lmdb"),
	.lock = INDEXED_FCNTL,
	.open = lmdb_open,
	.get = lmdb_get,
	.each = lmdb_each,
	.close = lmdb_close,
};

static void *lmdb_table_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	(void)e;
	return indexed_open(&lmdb_engine, c, now_ms);
}

const struct table_type table_type_lmdb = {
	.name = STR_INIT("lmdb"),
	.open = lmdb_table_open,
	.lookup = indexed_lookup,
	.close = indexed_close,
	.refresh = indexed_refresh,
	.each = indexed_each,
	.version = indexed_version,
};
