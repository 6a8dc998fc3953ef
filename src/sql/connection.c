#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "sql/room.h"

/* ---- faults ---- */

static enum sql_fault fault_of(int code)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL: /* too many readers raced for a WAL's locks */
		return SQL_FAULT_BUSY;
	case SQLITE_INTERRUPT:
		return SQL_FAULT_INTERRUPTED;
	case SQLITE_FULL:
		return SQL_FAULT_FULL;
	case SQLITE_IOERR:
		return SQL_FAULT_IO;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return SQL_FAULT_CORRUPT;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		return SQL_FAULT_CONSTRAINT;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_AUTH:
		return SQL_FAULT_NO_FILE;
	case SQLITE_ERROR:
		return SQL_FAULT_TEXT;
	default:
		return SQL_FAULT_OTHER;
	}
}

static enum error_kind kind_of(int code)
{
	switch (fault_of(code)) {
	case SQL_FAULT_BUSY:
	case SQL_FAULT_INTERRUPTED:
		return ERROR_TEMP;
	case SQL_FAULT_FULL:
	case SQL_FAULT_IO:
		return ERROR_IO;
	case SQL_FAULT_CORRUPT:
	case SQL_FAULT_CONSTRAINT:
		return ERROR_DATA;
	case SQL_FAULT_NO_FILE:
		return ERROR_NO_INPUT;
	case SQL_FAULT_TEXT:
		return ERROR_CONFIG;
	case SQL_FAULT_NONE:
	case SQL_FAULT_OTHER:
		break;
	}
	return (code & 0xff) == SQLITE_TOOBIG ? ERROR_LIMIT : ERROR_SYSTEM;
}

/* The system's own words, where a call of it failed. */
static const char *system_words(const struct sql *db, int code)
{
	int number = 0;

	if ((code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN)
		number = sqlite3_system_errno(db->handle);
	return number != 0 ? strerror(number) : NULL;
}

/* The connection's message, if it is about this call. */
static const char *library_words(const struct sql *db, int code)
{
	if (db->handle != NULL && sqlite3_extended_errcode(db->handle) == code)
		return sqlite3_errmsg(db->handle);
	return sqlite3_errstr(code);
}

bool sql_fail(struct sql *db, int code, struct error *e)
{
	const char *words = library_words(db, code);
	const char *more = db->handle != NULL ? system_words(db, code) : NULL;

	CHECK((code & 0xff) != SQLITE_MISUSE);
	db->fault = fault_of(code);
	if (more != NULL)
		return error_set(e, kind_of(code), "%s: %s (SQLite %d)", words, more, code);
	return error_set(e, kind_of(code), "%s (SQLite %d)", words, code);
}

enum sql_fault sql_fault(const struct sql *db)
{
	return db->fault;
}

/* ---- opening ---- */

static int open_flags(enum sql_access access)
{
	const int always = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

	switch (access) {
	case SQL_READ:
		return always | SQLITE_OPEN_READONLY;
	case SQL_WRITE:
		return always | SQLITE_OPEN_READWRITE;
	case SQL_CREATE:
		return always | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
	}
	CHECK(!"access of no kind");
}

/* journal_mode answers with what it is now; it does not fail. */
static bool pragma_is_set(struct sql_statement *st, const struct sql_pragma *p, struct error *e)
{
	enum sql_step step = sql_step(st, e);

	if (step == SQL_ROW && strcmp(p->name, "journal_mode") == 0 &&
	    !str_ieq_ascii(sql_text(st, 0), str_of(p->value)))
		return error_set(e, ERROR_SYSTEM, "journal_mode stays " STR_FMT ", it cannot be %s",
				 STR_ARG(sql_text(st, 0)), p->value);
	return step != SQL_FAILED;
}

static bool set_pragma(struct sql *db, const struct sql_pragma *p, struct error *e)
{
	char *text = sqlite3_mprintf("PRAGMA %s = %s", p->name, p->value);
	struct sql_statement *st = sql_prepare(db, str_of(text), e);
	bool is_set = st != NULL && pragma_is_set(st, p, e);

	sql_free(st);
	sqlite3_free(text);
	return is_set;
}

static bool set_up(struct sql *db, const struct sql_options *o, struct error *e)
{
	sqlite3_busy_timeout(db->handle, (int)o->busy_ms);
	for (size_t i = 0; i < o->n_pragmas; i++)
		if (!set_pragma(db, &o->pragmas[i], e))
			return false;
	return true;
}

/* The library counts the memory that it takes, under one lock for all connections, unless told not
 * to: some 5 % of a busy writer's time. */
static const char *gathers;

static void configure(void)
{
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	gathers = sql_gather();
}

struct sql *sql_open(const char *path, const struct sql_options *o, struct error *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	CHECK(pthread_once(&once, configure) == 0);
	struct sql *db = base_alloc(sizeof(*db));
	int code = sqlite3_open_v2(path, &db->handle, open_flags(o->access),
				   o->access == SQL_READ ? NULL : gathers);
	bool is_open = code == SQLITE_OK ? set_up(db, o, e) : sql_fail(db, code, e);

	if (is_open)
		return db;
	sql_close(db);
	return NULL;
}

void sql_close(struct sql *db)
{
	if (db == NULL)
		return;
	sql_drop_kept(db);
	/* BUSY: a statement of sql_prepare was not freed. */
	CHECK(sqlite3_close(db->handle) == SQLITE_OK);
	free(db);
}

/* ---- interrupting ---- */

void sql_interrupt(struct sql *db)
{
	sqlite3_interrupt(db->handle);
}

static int watch(void *arg)
{
	const struct sql *db = arg;

	return !db->go_on(db->go_on_arg);
}

void sql_watch(struct sql *db, int steps, bool (*go_on)(void *arg), void *arg)
{
	db->go_on = go_on;
	db->go_on_arg = arg;
	sqlite3_progress_handler(db->handle, steps, go_on != NULL ? watch : NULL, db);
}

int64_t sql_changes(const struct sql *db)
{
	return sqlite3_changes64(db->handle);
}

int64_t sql_last_rowid(const struct sql *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

/* ---- transactions ---- */

/* By handles of their own: a transaction is begun for every group of messages. */
static bool run_kept(struct sql *db, struct sql_statement **st, struct str text, struct error *e)
{
	if (*st == NULL)
		*st = sql_keep(db, text, e);
	return *st != NULL && sql_run(*st, e);
}

bool sql_begin(struct sql *db, struct error *e)
{
	return run_kept(db, &db->begin, STR("BEGIN IMMEDIATE"), e);
}

bool sql_begin_read(struct sql *db, struct error *e)
{
	return run_kept(db, &db->begin_read, STR("BEGIN"), e);
}

bool sql_commit(struct sql *db, struct error *e)
{
	if (run_kept(db, &db->commit, STR("COMMIT"), e))
		return true;
	enum sql_fault fault = db->fault;
	sql_rollback(db);
	db->fault = fault;
	return false;
}

void sql_rollback(struct sql *db)
{
	struct error e;

	if (sql_is_in_transaction(db) && !run_kept(db, &db->rollback, STR("ROLLBACK"), &e))
		CHECK(!sql_is_in_transaction(db));
}

bool sql_is_in_transaction(const struct sql *db)
{
	return !sqlite3_get_autocommit(db->handle);
}

static sqlite3_file *file_of(struct sql *db)
{
	sqlite3_file *f = NULL;

	(void)sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &f);
	return f != NULL && f->pMethods != NULL ? f : NULL;
}

/* SQLite would write on, into a file that has no name any more. */
bool sql_has_moved(struct sql *db)
{
	int moved = 0;

	return sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) ==
		       SQLITE_OK &&
	       moved;
}

/* ---- the write-ahead log ---- */

static int committed(void *arg, sqlite3 *handle, const char *name, int pages)
{
	struct sql *db = arg;

	(void)handle, (void)name;
	db->log_pages = pages;
	return SQLITE_OK;
}

/* SQLite's own checkpoints hang on the same hook. */
void sql_own_checkpoints(struct sql *db)
{
	sqlite3_wal_hook(db->handle, committed, db);
}

int64_t sql_log_pages(const struct sql *db)
{
	return db->log_pages;
}

/* SQLite synchronises the database when it has copied all of the log. A part that it copied because
 * a reader needs the rest counts as copied without that, and would not be copied again: it is made
 * durable here. */
enum sql_copied sql_checkpoint(struct sql *db, struct error *e)
{
	int pages = 0, copied = 0;
	int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages,
					     &copied);
	sqlite3_file *f = file_of(db);

	if (code != SQLITE_OK) {
		sql_fail(db, code, e);
		return SQL_COPY_FAILED;
	}
	if (copied <= 0 || copied >= pages || f == NULL)
		return SQL_COPIED;
	code = f->pMethods->xSync(f, SQLITE_SYNC_NORMAL);
	if (code == SQLITE_OK)
		return SQL_COPIED;
	sql_fail(db, code, e);
	return SQL_COPY_LOST;
}
