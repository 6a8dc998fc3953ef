/* Tables that are a file with an index, made from a text by postmap(1) or `hopseal table build`:
 * which version of the file answers. The file's format is the engine's. */

#ifndef HOPSEAL_TABLE_INDEXED_H
#define HOPSEAL_TABLE_INDEXED_H

#include "table/type.h"

/* How whoever changes the file in place keeps readers out meanwhile. */
enum indexed_lock { INDEXED_NEVER_IN_PLACE, INDEXED_FLOCK, INDEXED_FCNTL };

enum indexed_result { INDEXED_HIT, INDEXED_MISS, INDEXED_ERROR };

struct indexed_engine {
	struct str suffix; /* after the table's name */
	enum indexed_lock lock;
	/* `fd` is open on the same file and outlives what is opened. NULL: *why. */
	void *(*open)(const char *path, int fd, struct error *why);
	/* *value is borrowed until the next call. */
	enum indexed_result (*get)(void *db, struct str key, struct str *value, struct error *why);
	/* In any order; both spans are borrowed for the call. */
	void (*each)(void *db, void (*entry)(void *arg, struct str key, struct str value),
		     void *arg);
	void (*close)(void *db);
};

/* For a type of table. */
MUST_USE void *
indexed_open(const struct indexed_engine *engine, const struct table_context *c, uint64_t now_ms);
bool indexed_lookup(void *table, struct table_lookup *l);
void indexed_refresh(void *table, uint64_t now_ms);
bool indexed_version(void *table, uint64_t now_ms, uint64_t *version);
void indexed_each(const void *table, void (*entry)(void *arg, const struct table_entry *e),
		  void *arg);
void indexed_close(void *table);

#endif
