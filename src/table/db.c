/* hash:/path and btree:/path: Berkeley DB, which postmap(1) rewrites in place under flock. The
 * library's mapping is off: a file that gets shorter would be a fault. */

#include <db.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table/indexed.h"

/* Its words come back as codes; nothing goes to standard error. */
static void db_silent(const DB_ENV *env, const char *prefix, const char *text)
{
	(void)env;
	(void)prefix;
	(void)text;
}

static uint32_t get_u32(const unsigned char *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return n;
}

/* The library takes pages behind the end of the file for empty ones, so that half a copy would
 * answer "not found". The first page says which page is the last one. */
static bool db_is_whole(int fd, struct error *why)
{
	enum { MAGIC = 12, PAGE_SIZE = 20, LAST_PAGE = 32, HEAD = 36 }; /* struct _dbmeta33 */
	unsigned char head[HEAD];
	uint32_t magic, size, last;
	struct stat s;

	if (fstat(fd, &s) != 0 || pread(fd, head, HEAD, 0) != HEAD)
		return error_set(why, ERROR_DATA, "it is too short for Berkeley DB");
	magic = get_u32(head + MAGIC);
	size = get_u32(head + PAGE_SIZE);
	last = get_u32(head + LAST_PAGE);
	if (magic != DB_HASHMAGIC && magic != DB_BTREEMAGIC) { /* the other order of octets */
		size = __builtin_bswap32(size);
		last = __builtin_bswap32(last);
	}
	if ((uint64_t)s.st_size >= ((uint64_t)last + 1) * size)
		return true;
	return error_set(why, ERROR_DATA, "it is not whole: %llu of %llu octets",
			 (unsigned long long)s.st_size,
			 (unsigned long long)(((uint64_t)last + 1) * size));
}

static void *db_open(const char *path, int fd, DBTYPE type, struct error *why)
{
	DB *db;
	int status = db_create(&db, NULL, 0);

	if (status != 0) {
		error_set(why, ERROR_SYSTEM, "Berkeley DB: %s", db_strerror(status));
		return NULL;
	}
	db->set_errcall(db, db_silent);
	status = db->open(db, NULL, path, NULL, type, DB_RDONLY | DB_NOMMAP, 0);
	if (status == 0 && db_is_whole(fd, why))
		return db;
	(void)db->close(db, 0);
	if (status == 0)
		return NULL;
	error_set(why, ERROR_DATA, "it is no Berkeley DB %s file: %s",
		  type == DB_HASH ? "hash" : "btree", db_strerror(status));
	return NULL;
}

static void *db_open_hash(const char *path, int fd, struct error *why)
{
	return db_open(path, fd, DB_HASH, why);
}

static void *db_open_btree(const char *path, int fd, struct error *why)
{
	return db_open(path, fd, DB_BTREE, why);
}

static enum indexed_result db_get(void *table, struct str key, struct str *value, struct error *why)
{
	DB *db = table;
	DBT k = { .data = (void *)key.p, .size = (u_int32_t)key.n }, v = { 0 };

	if (key.n > UINT32_MAX)
		return INDEXED_MISS;
	int status = db->get(db, NULL, &k, &v, 0);
	if (status == DB_NOTFOUND)
		return INDEXED_MISS;
	if (status != 0) {
		error_set(why, ERROR_IO, "Berkeley DB: %s", db_strerror(status));
		return INDEXED_ERROR;
	}
	*value = str_span(v.data, v.size);
	return INDEXED_HIT;
}

static void
db_each(void *table, void (*entry)(void *arg, struct str key, struct str value), void *arg)
{
	DB *db = table;
	DBC *cursor;
	DBT k = { 0 }, v = { 0 };

	if (db->cursor(db, NULL, &cursor, 0) != 0)
		return;
	while (cursor->get(cursor, &k, &v, DB_NEXT) == 0)
		entry(arg, str_span(k.data, k.size), str_span(v.data, v.size));
	(void)cursor->close(cursor);
}

static void db_close(void *table)
{
	DB *db = table;

	(void)db->close(db, 0);
}

static const struct indexed_engine hash_engine = {
	.suffix = STR_INIT(".db"),
	.lock = INDEXED_FLOCK,
	.open = db_open_hash,
	.get = db_get,
	.each = db_each,
	.close = db_close,
};

static const struct indexed_engine btree_engine = {
	.suffix = STR_INIT(".db"),
	.lock = INDEXED_FLOCK,
	.open = db_open_btree,
	.get = db_get,
	.each = db_each,
	.close = db_close,
};

static void *hash_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	(void)e;
	return indexed_open(&hash_engine, c, now_ms);
}

static void *btree_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	(void)e;
	return indexed_open(&btree_engine, c, now_ms);
}

const struct table_type table_type_hash = {
	.name = STR_INIT("hash"),
	.open = hash_open,
	.lookup = indexed_lookup,
	.close = indexed_close,
	.refresh = indexed_refresh,
	.each = indexed_each,
	.version = indexed_version,
};

const struct table_type table_type_btree = {
	.name = STR_INIT("btree"),
	.open = btree_open,
	.lookup = indexed_lookup,
	.close = indexed_close,
	.refresh = indexed_refresh,
	.each = indexed_each,
	.version = indexed_version,
};
