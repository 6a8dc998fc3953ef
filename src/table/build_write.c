#include "table/build_write.h"

#include <cdb.h>
#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"

/* ---- cdb: without NULs, as postmap writes it ---- */

static bool write_cdb_all(int fd, const struct table_map *map, struct error *e)
{
	struct cdb_make maker;
	bool is_done = cdb_make_start(&maker, fd) == 0;

	for (size_t i = 0; is_done && i < table_map_count(map); i++) {
		struct table_map_entry at = table_map_at(map, i);
		is_done = cdb_make_add(&maker, at.key.p, (unsigned)at.key.n, at.value.p,
				       (unsigned)at.value.n) == 0;
	}
	if (is_done && cdb_make_finish(&maker) == 0)
		return true;
	return error_set(e, ERROR_IO, "writing the cdb file: %s", strerror(errno));
}

bool table_write_cdb(const char *path, const struct table_map *map, struct error *e)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
	bool is_done = write_cdb_all(fd, map, e);
	if (close(fd) != 0 && is_done)
		is_done = error_set(e, ERROR_IO, "%s: %s", path, strerror(errno));
	return is_done;
}

/* ---- lmdb and Berkeley DB: each key and value with its NUL ---- */

static struct str with_nul(struct arena *a, struct str s)
{
	return (struct str){ arena_str(a, s).p, s.n + 1 };
}

/* Room for any tree of these entries. */
static size_t lmdb_room(const struct table_map *map)
{
	size_t room = 16 * 1024 * 1024;

	for (size_t i = 0; i < table_map_count(map); i++) {
		struct table_map_entry at = table_map_at(map, i);
		room += 4 * (at.key.n + at.value.n + 32);
	}
	return room;
}

static int lmdb_put_all(MDB_txn *txn, MDB_dbi dbi, const struct table_map *map)
{
	struct arena *a = arena_new();
	int status = 0;

	for (size_t i = 0; status == 0 && i < table_map_count(map); i++) {
		struct table_map_entry at = table_map_at(map, i);
		struct str key = with_nul(a, at.key), value = with_nul(a, at.value);
		MDB_val k = { key.n, (void *)key.p }, v = { value.n, (void *)value.p };
		status = mdb_put(txn, dbi, &k, &v, 0);
		arena_reset(a);
	}
	arena_free(a);
	return status;
}

static int lmdb_fill(MDB_env *env, const char *path, const struct table_map *map)
{
	const unsigned flags = MDB_NOSUBDIR | MDB_NOLOCK;
	MDB_txn *txn;
	MDB_dbi dbi;
	int status = mdb_env_set_mapsize(env, lmdb_room(map));

	if (status == 0)
		status = mdb_env_open(env, path, flags, 0600);
	if (status == 0)
		status = mdb_txn_begin(env, NULL, 0, &txn);
	if (status != 0)
		return status;
	status = mdb_dbi_open(txn, NULL, 0, &dbi);
	if (status == 0)
		status = lmdb_put_all(txn, dbi, map);
	if (status == 0)
		return mdb_txn_commit(txn);
	mdb_txn_abort(txn);
	return status;
}

bool table_write_lmdb(const char *path, const struct table_map *map, struct error *e)
{
	MDB_env *env;
	int status = mdb_env_create(&env);

	if (status == 0) {
		status = lmdb_fill(env, path, map);
		mdb_env_close(env);
	}
	if (status == MDB_BAD_VALSIZE)
		return error_set(e, ERROR_DATA, "a key is longer than LMDB can store");
	return status == 0 || error_set(e, ERROR_IO, "LMDB: %s", mdb_strerror(status));
}

static void db_silent(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	(void)text;
}

static int db_put_all(DB *db, const struct table_map *map)
{
	struct arena *a = arena_new();
	int status = 0;

	for (size_t i = 0; status == 0 && i < table_map_count(map); i++) {
		struct table_map_entry at = table_map_at(map, i);
		struct str key = with_nul(a, at.key), value = with_nul(a, at.value);
		DBT k = { .data = (void *)key.p, .size = (u_int32_t)key.n };
		DBT v = { .data = (void *)value.p, .size = (u_int32_t)value.n };
		status = db->put(db, NULL, &k, &v, 0);
		arena_reset(a);
	}
	arena_free(a);
	return status;
}

#define DB_CACHE_OCTETS (16 * 1024 * 1024)

static bool write_db(const char *path, DBTYPE type, const struct table_map *map, struct error *e)
{
	DB *db;
	int status = db_create(&db, NULL, 0);

	if (status != 0)
		return error_set(e, ERROR_SYSTEM, "Berkeley DB: %s", db_strerror(status));
	db->set_errcall(db, db_silent);
	(void)db->set_cachesize(db, 0, DB_CACHE_OCTETS, 1);
	status = db->open(db, NULL, path, NULL, type, DB_CREATE | DB_TRUNCATE, 0600);
	if (status == 0)
		status = db_put_all(db, map);
	int closed = db->close(db, 0);
	if (status == 0)
		status = closed;
	return status == 0 || error_set(e, ERROR_IO, "Berkeley DB: %s", db_strerror(status));
}

bool table_write_hash(const char *path, const struct table_map *map, struct error *e)
{
	return write_db(path, DB_HASH, map, e);
}

bool table_write_btree(const char *path, const struct table_map *map, struct error *e)
{
	return write_db(path, DB_BTREE, map, e);
}
