/* cdb:/path: D. J. Bernstein's constant database, by tinycdb. It is mapped, and always replaced as
 * a whole. */

#include <cdb.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table/indexed.h"

#define CDB_TABLES 256
#define CDB_HEADER 2048
#define CDB_SLOT 8

/* The hash tables lie within the file. In one that is still being made, the header is not there
 * yet, and it would look empty. */
static bool cdb_is_whole(const struct cdb *c)
{
	const unsigned char *header = cdb_get(c, CDB_HEADER, 0);

	for (size_t i = 0; header != NULL && i < CDB_TABLES; i++) {
		uint64_t at = cdb_unpack(header + 8 * i), slots = cdb_unpack(header + 8 * i + 4);
		if (at < CDB_HEADER || at + slots * CDB_SLOT > c->cdb_fsize)
			return false;
	}
	return header != NULL;
}

static void *cdb_file_open(const char *path, int fd, struct error *why)
{
	struct cdb *c = base_alloc(sizeof(*c));

	(void)path;
	if (cdb_init(c, fd) != 0) {
		error_set(why, ERROR_DATA, "it is no cdb file: %s", strerror(errno));
		free(c);
		return NULL;
	}
	if (cdb_is_whole(c))
		return c;
	error_set(why, ERROR_DATA, "it is no whole cdb file");
	cdb_free(c);
	free(c);
	return NULL;
}

static enum indexed_result
cdb_file_get(void *db, struct str key, struct str *value, struct error *why)
{
	struct cdb *c = db;
	int found = key.n > UINT32_MAX ? 0 : cdb_find(c, key.p, (unsigned)key.n);

	if (found == 0)
		return INDEXED_MISS;
	const char *data = found > 0 ? cdb_getdata(c) : NULL;
	if (data == NULL) {
		error_set(why, ERROR_DATA, "the cdb file is damaged");
		return INDEXED_ERROR;
	}
	*value = str_span(data, cdb_datalen(c));
	return INDEXED_HIT;
}

static void
cdb_file_each(void *db, void (*entry)(void *arg, struct str key, struct str value), void *arg)
{
	struct cdb *c = db;
	unsigned at;

	cdb_seqinit(&at, c);
	while (cdb_seqnext(&at, c) > 0) {
		const char *key = cdb_getkey(c), *data = cdb_getdata(c);
		if (key != NULL && data != NULL)
			entry(arg, str_span(key, cdb_keylen(c)), str_span(data, cdb_datalen(c)));
	}
}

static void cdb_file_close(void *db)
{
	cdb_free(db);
	free(db);
}

static const struct indexed_engine cdb_engine = {
	.suffix = STR_INIT(".cdb"),
	.lock = INDEXED_NEVER_IN_PLACE,
	.open = cdb_file_open,
	.get = cdb_file_get,
	.each = cdb_file_each,
	.close = cdb_file_close,
};

static void *cdb_table_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	(void)e;
	return indexed_open(&cdb_engine, c, now_ms);
}

const struct table_type table_type_cdb = {
	.name = STR_INIT("cdb"),
	.open = cdb_table_open,
	.lookup = indexed_lookup,
	.close = indexed_close,
	.refresh = indexed_refresh,
	.each = indexed_each,
	.version = indexed_version,
};
