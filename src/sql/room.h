/* Inside src/sql only. */

#ifndef HOPSEAL_SQL_ROOM_H
#define HOPSEAL_SQL_ROOM_H

#include <sqlite3.h>

#include "sql/sql.h"

struct sql {
	sqlite3 *handle;
	enum sql_fault fault;
	struct sql_statement *kept;
	struct sql_statement *begin, *begin_read, *commit, *rollback;
	bool (*go_on)(void *arg);
	void *go_on_arg;
	int64_t log_pages;
};

/* Notes the fault and says it; returns false. `code` is SQLite's, extended. */
bool sql_fail(struct sql *db, int code, struct error *e);

void sql_drop_kept(struct sql *db);

/* Makes the file system that gathers writes known, once; its name. */
const char *sql_gather(void);

#endif
