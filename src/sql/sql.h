/* SQLite: a connection, its statements and its transactions. Thin: each call is one of the
 * library's, with our spans, our errors and our rules of ownership. All SQL text belongs to the
 * callers.
 *
 * Thread: a connection, with its statements, is used by one thread at a time; only sql_interrupt
 * may come from another. Several connections to one file, each with its thread, are the way to
 * read while one writes: in WAL mode readers never wait for the writer nor it for them. Every call
 * blocks, for the disk and for locks, so it belongs on a thread that may.
 *
 * A step, a bind and a column allocate nothing of ours; what SQLite itself takes for a row it keeps
 * with the statement.
 *
 *	struct sql_statement *put = sql_keep(db, STR("INSERT INTO t (k, v) VALUES (?, ?)"), &e);
 *	...
 *	sql_bind_int(put, 1, 42);
 *	sql_bind_text(put, 2, value);
 *	if (!sql_run(put, &e)) ...
 *
 *	sql_bind_int(get, 1, 42);
 *	while ((step = sql_step(get, &e)) == SQL_ROW)
 *		use(sql_text(get, 0));
 *	if (step == SQL_FAILED) ...
 */

#ifndef HOPSEAL_SQL_SQL_H
#define HOPSEAL_SQL_SQL_H

#include "base/error.h"

struct sql;
struct sql_statement;

/* What went wrong, finer than error.kind (in brackets). */
enum sql_fault {
	SQL_FAULT_NONE,
	SQL_FAULT_BUSY,        /* another connection holds the lock; later it may work [TEMP] */
	SQL_FAULT_INTERRUPTED, /* by sql_interrupt or the watch [TEMP] */
	SQL_FAULT_FULL,        /* the disk, the quota or max_page_count [IO] */
	SQL_FAULT_IO,          /* reading, writing or synchronising failed [IO] */
	SQL_FAULT_CORRUPT,     /* the file is damaged or no database [DATA] */
	SQL_FAULT_CONSTRAINT,  /* a row that the schema does not allow [DATA] */
	SQL_FAULT_NO_FILE,     /* it is missing or may not be opened or written [NO_INPUT] */
	SQL_FAULT_TEXT,  /* the SQL text: syntax, a table or column that is not there [CONFIG] */
	SQL_FAULT_OTHER, /* [SYSTEM]; a row over SQLite's limit of a GB is [LIMIT] */
};

/* ---- connections ---- */

enum sql_access {
	SQL_READ,   /* a WAL database needs a folder that may be written, or a writer running */
	SQL_WRITE,  /* the file must be there */
	SQL_CREATE, /* made when missing; its permissions are the umask's business */
};

/* "PRAGMA name = value", one of the caller's. */
struct sql_pragma {
	const char *name, *value;
};

struct sql_options {
	enum sql_access access;
	unsigned busy_ms;                 /* how long a call waits for another's lock; 0: not */
	const struct sql_pragma *pragmas; /* in this order; e.g. journal_mode, synchronous */
	size_t n_pragmas;
};

/* `path` is taken as it is (no URI); ":memory:" is a database of its own. NULL: *e says why in the
 * library's words, to go behind the path. A journal_mode that cannot be had is an error. That the
 * file is no database shows at the first statement or pragma that reads it. */
MUST_USE struct sql *sql_open(const char *path, const struct sql_options *o, struct error *e);
void sql_close(struct sql *db); /* undoes what is not committed; kept statements go with it */

/* Of the call that failed last. */
enum sql_fault sql_fault(const struct sql *db);

/* From any thread, while `db` is open: what is running fails with INTERRUPTED; an open transaction
 * that writes is rolled back. No effect when nothing runs. */
void sql_interrupt(struct sql *db);

/* Asks `go_on` every `steps` instructions of SQLite's machine (1000 are some 10 to 100 us); false
 * ends the call with INTERRUPTED. For deadlines. NULL ends the watch. Waiting for a lock is not
 * watched: busy_ms bounds it. */
void sql_watch(struct sql *db, int steps, bool (*go_on)(void *arg), void *arg);

int64_t sql_changes(const struct sql *db);    /* rows of the last INSERT, UPDATE or DELETE */
int64_t sql_last_rowid(const struct sql *db); /* of the last INSERT of this connection */

/* ---- statements ---- */

/* The statement of that text, prepared once and kept until sql_close; the same text gives the same
 * handle again. Hold on to the handle in a hot path: finding it reads the text. It must not be
 * asked for again while it is between rows. NULL: *e. */
MUST_USE struct sql_statement *sql_keep(struct sql *db, struct str text, struct error *e);

/* One for a text that will not come again; the caller frees it, before sql_close. What follows the
 * first statement in the text is not looked at. */
MUST_USE struct sql_statement *sql_prepare(struct sql *db, struct str text, struct error *e);
void sql_free(struct sql_statement *st); /* NULL is fine; not for kept ones */

int sql_parameters(const struct sql_statement *st); /* how many it has */
/* Parameters, from 1. Spans are borrowed until the statement is reset. What is not bound is NULL.
 * Binding between two rows is a bug. A value of no octets is an empty text, not NULL. */
void sql_bind_int(struct sql_statement *st, int at, int64_t value);
void sql_bind_text(struct sql_statement *st, int at, struct str value); /* UTF-8 */
void sql_bind_blob(struct sql_statement *st, int at, struct str value);
void sql_bind_null(struct sql_statement *st, int at);

enum sql_step { SQL_ROW, SQL_DONE, SQL_FAILED };

/* The next row. After DONE and FAILED the statement is reset: it holds no lock and no value, and
 * can be bound again. */
MUST_USE enum sql_step sql_step(struct sql_statement *st, struct error *e);
/* For statements without rows, or whose rows do not matter. */
MUST_USE bool sql_run(struct sql_statement *st, struct error *e);
/* Ends before DONE. A statement left between rows keeps its lock, and old pages in the WAL. */
void sql_reset(struct sql_statement *st);

/* Of the row, from 0; spans are borrowed until the next step or reset, and until the same column is
 * read as another type. NULL reads as 0 and as STR_NONE; an empty value has a pointer. */
int sql_columns(const struct sql_statement *st);
bool sql_is_null(const struct sql_statement *st, int at);
int64_t sql_int(const struct sql_statement *st, int at);
struct str sql_text(const struct sql_statement *st, int at); /* followed by a NUL */
struct str sql_blob(const struct sql_statement *st, int at);

/* ---- in one call ---- */

/* Kept and run, for short texts without parameters: "SAVEPOINT one". */
MUST_USE bool sql_do(struct sql *db, struct str text, struct error *e);
/* All statements of a text, not kept: for schemas. Not a transaction by itself. */
MUST_USE bool sql_do_all(struct sql *db, const char *text, struct error *e);
/* The first column of the first row, e.g. of "PRAGMA user_version"; no row is an error. */
MUST_USE bool sql_get_int(struct sql *db, struct str text, int64_t *out, struct error *e);

/* ---- transactions ---- */

/* Takes the lock of the one writer at once, waiting busy_ms: nothing after it fails with BUSY in
 * WAL mode. */
MUST_USE bool sql_begin(struct sql *db, struct error *e);
/* For readers: all until the commit is read from one state of the database. */
MUST_USE bool sql_begin_read(struct sql *db, struct error *e);
/* True: with synchronous = FULL it is on the disk. False: it is rolled back; but after an IO or
 * FULL fault it is only certain that it was not promised: a crash right then may bring it back. */
MUST_USE bool sql_commit(struct sql *db, struct error *e);
void sql_rollback(struct sql *db); /* fine without a transaction */
/* Some faults (FULL, IO, INTERRUPTED) end a transaction by themselves. */
bool sql_is_in_transaction(const struct sql *db);

/* ---- the write-ahead log ---- */

/* From now on commits of this connection copy nothing from the log into the database, and the log
 * grows until sql_checkpoint: for a writer that answers first and copies then. */
void sql_own_checkpoints(struct sql *db);
/* Pages in the log as of this connection's last commit; falls when the log begins anew. */
int64_t sql_log_pages(const struct sql *db);
enum sql_copied {
	SQL_COPIED,
	SQL_COPY_FAILED, /* it will be copied again */
	/* Part of it counts as copied, and did not reach the disk. Whoever reads it is told what
	 * is not durable, and may be told something older later; only a process that opens the
	 * database when nobody else has it reads the log from its start again. */
	SQL_COPY_LOST,
};
/* Copies what no reader needs any more in its old form, and waits for nobody: the next commit
 * begins the log anew if that was all of it. */
MUST_USE enum sql_copied sql_checkpoint(struct sql *db, struct error *e);

/* The database is not under its name any more; what is written goes nowhere. */
MUST_USE bool sql_has_moved(struct sql *db);

#endif
