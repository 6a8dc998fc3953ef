#include <limits.h>
#include <stdlib.h>

#include "sql/room.h"

struct sql_statement {
	struct sql *db;
	sqlite3_stmt *handle;
	int bind_code;   /* of the first bind that failed since the reset; told by the step */
	struct str text; /* SQLite's copy; of kept ones */
	uint64_t hash;
	struct sql_statement *next;
};

/* Not NULL, which is no text and no value to SQLite. */
static const char *there(struct str s)
{
	return s.n > 0 ? s.p : "";
}

/* ---- preparing ---- */

static struct sql_statement *
prepare(struct sql *db, struct str text, unsigned flags, struct error *e)
{
	sqlite3_stmt *handle = NULL;

	if (text.n > INT_MAX) {
		sql_fail(db, SQLITE_TOOBIG, e);
		return NULL;
	}
	int code = sqlite3_prepare_v3(db->handle, there(text), (int)text.n, flags, &handle, NULL);
	if (code != SQLITE_OK) {
		sql_fail(db, code, e);
		return NULL;
	}
	if (handle == NULL) {
		db->fault = SQL_FAULT_TEXT;
		error_set(e, ERROR_CONFIG, "there is no statement in the text");
		return NULL;
	}
	struct sql_statement *st = base_alloc(sizeof(*st));
	*st = (struct sql_statement){ .db = db, .handle = handle };
	return st;
}

struct sql_statement *sql_prepare(struct sql *db, struct str text, struct error *e)
{
	return prepare(db, text, 0, e);
}

struct sql_statement *sql_keep(struct sql *db, struct str text, struct error *e)
{
	uint64_t hash = str_hash(text);

	for (struct sql_statement *st = db->kept; st != NULL; st = st->next)
		if (st->hash == hash && str_eq(st->text, text)) {
			CHECK(!sqlite3_stmt_busy(st->handle));
			return st;
		}
	struct sql_statement *st = prepare(db, text, SQLITE_PREPARE_PERSISTENT, e);
	if (st == NULL)
		return NULL;
	st->text = str_of(sqlite3_sql(st->handle));
	st->hash = hash;
	st->next = db->kept;
	db->kept = st;
	return st;
}

void sql_free(struct sql_statement *st)
{
	if (st == NULL)
		return;
	/* The code is that of the last step, which was told. */
	(void)sqlite3_finalize(st->handle);
	free(st);
}

void sql_drop_kept(struct sql *db)
{
	while (db->kept != NULL) {
		struct sql_statement *next = db->kept->next;
		sql_free(db->kept);
		db->kept = next;
	}
}

/* ---- binding ---- */

int sql_parameters(const struct sql_statement *st)
{
	return sqlite3_bind_parameter_count(st->handle);
}

static void bound(struct sql_statement *st, int code)
{
	CHECK(code != SQLITE_RANGE && code != SQLITE_MISUSE);
	if (code != SQLITE_OK && st->bind_code == SQLITE_OK)
		st->bind_code = code;
}

void sql_bind_int(struct sql_statement *st, int at, int64_t value)
{
	bound(st, sqlite3_bind_int64(st->handle, at, value));
}

void sql_bind_text(struct sql_statement *st, int at, struct str value)
{
	bound(st, sqlite3_bind_text64(st->handle, at, there(value), value.n, SQLITE_STATIC,
				      SQLITE_UTF8));
}

void sql_bind_blob(struct sql_statement *st, int at, struct str value)
{
	bound(st, sqlite3_bind_blob64(st->handle, at, there(value), value.n, SQLITE_STATIC));
}

void sql_bind_null(struct sql_statement *st, int at)
{
	bound(st, sqlite3_bind_null(st->handle, at));
}

/* ---- stepping ---- */

void sql_reset(struct sql_statement *st)
{
	(void)sqlite3_reset(st->handle);
	(void)sqlite3_clear_bindings(st->handle);
	st->bind_code = SQLITE_OK;
}

enum sql_step sql_step(struct sql_statement *st, struct error *e)
{
	int code = st->bind_code != SQLITE_OK ? st->bind_code : sqlite3_step(st->handle);

	if (code == SQLITE_ROW)
		return SQL_ROW;
	if (code != SQLITE_DONE)
		sql_fail(st->db, code, e);
	sql_reset(st);
	return code == SQLITE_DONE ? SQL_DONE : SQL_FAILED;
}

bool sql_run(struct sql_statement *st, struct error *e)
{
	enum sql_step step;

	do {
		step = sql_step(st, e);
	} while (step == SQL_ROW);
	return step == SQL_DONE;
}

/* ---- columns ---- */

int sql_columns(const struct sql_statement *st)
{
	return sqlite3_column_count(st->handle);
}

bool sql_is_null(const struct sql_statement *st, int at)
{
	return sqlite3_column_type(st->handle, at) == SQLITE_NULL;
}

int64_t sql_int(const struct sql_statement *st, int at)
{
	return sqlite3_column_int64(st->handle, at);
}

/* No address is that of a NULL, or memory ran out: a value must not become none, unheard. */
static struct str without_address(const struct sql_statement *st, int at)
{
	if (sqlite3_errcode(st->db->handle) == SQLITE_NOMEM)
		base_refused("out of memory");
	return sql_is_null(st, at) ? STR_NONE : STR("");
}

/* The pointer first: reading it may convert the value, and the size is that of the result. */
struct str sql_text(const struct sql_statement *st, int at)
{
	const unsigned char *p = sqlite3_column_text(st->handle, at);

	return p == NULL ? without_address(st, at)
			 : str_span((const char *)p, (size_t)sqlite3_column_bytes(st->handle, at));
}

struct str sql_blob(const struct sql_statement *st, int at)
{
	const char *p = sqlite3_column_blob(st->handle, at);
	size_t n = (size_t)sqlite3_column_bytes(st->handle, at);

	/* An empty blob has no address in SQLite. */
	return p == NULL ? without_address(st, at) : str_span(p, n);
}

/* ---- in one call ---- */

bool sql_do(struct sql *db, struct str text, struct error *e)
{
	struct sql_statement *st = sql_keep(db, text, e);

	return st != NULL && sql_run(st, e);
}

bool sql_do_all(struct sql *db, const char *text, struct error *e)
{
	int code = sqlite3_exec(db->handle, text, NULL, NULL, NULL);

	return code == SQLITE_OK || sql_fail(db, code, e);
}

static bool get_int(struct sql_statement *st, int64_t *out, struct error *e)
{
	enum sql_step step = sql_step(st, e);

	if (step == SQL_DONE)
		return error_set(e, ERROR_DATA, "there is no row");
	if (step == SQL_FAILED)
		return false;
	*out = sql_int(st, 0);
	sql_reset(st);
	return true;
}

bool sql_get_int(struct sql *db, struct str text, int64_t *out, struct error *e)
{
	struct sql_statement *st = sql_keep(db, text, e);

	return st != NULL && get_int(st, out, e);
}
