#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "sql/sql.h"

static char folder[] = "/tmp/hopseal-sql-test-XXXXXX";
static char path[64], wal[72], shm[72];

static const struct sql_pragma wal_pragmas[] = {
	{ "journal_mode", "WAL" },
	{ "synchronous", "FULL" },
};

static const struct sql_options create = { .access = SQL_CREATE, .busy_ms = 20 };
static const struct sql_options create_wal = {
	.access = SQL_CREATE,
	.busy_ms = 20,
	.pragmas = wal_pragmas,
	.n_pragmas = ARRAY_LEN(wal_pragmas),
};
static const struct sql_options read_only = { .access = SQL_READ, .busy_ms = 20 };

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/db", folder);
	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	(void)snprintf(shm, sizeof(shm), "%s-shm", path);
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	unlink(path);
	unlink(wal);
	unlink(shm);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(folder);
}

static struct sql *open_or_fail(const char *file, const struct sql_options *o)
{
	struct error e = { 0 };
	struct sql *db = sql_open(file, o, &e);

	ok(db != NULL, e.text);
	return db;
}

static void do_all(struct sql *db, const char *text)
{
	struct error e = { 0 };

	ok(sql_do_all(db, text, &e), e.text);
}

static int64_t get_int(struct sql *db, const char *text)
{
	struct error e = { 0 };
	int64_t value = -1;

	ok(sql_get_int(db, str_of(text), &value, &e), e.text);
	return value;
}

static struct sql_statement *keep(struct sql *db, const char *text)
{
	struct error e = { 0 };
	struct sql_statement *st = sql_keep(db, str_of(text), &e);

	ok(st != NULL, e.text);
	return st;
}

static struct sql *memory(const char *schema)
{
	struct sql *db = open_or_fail(":memory:", &create);

	do_all(db, schema);
	return db;
}

TEST(sql_values_go_in_and_come_out)
{
	static const struct {
		const char *rule;
		struct str value;
	} cases[] = {
		{ "text", STR_INIT("octets") },
		{ "an empty value is no NULL", STR_INIT("") },
		{ "quotes", STR_INIT("it's \"quoted\" \\ %s ;--") },
		{ "a NUL inside", STR_INIT("a\0b") },
		{ "UTF-8", STR_INIT("b\xc3\xbc"
				    "cher") },
		{ "any octets", STR_INIT("\xff\xfe\x80") },
	};
	struct sql *db = memory("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT, blob BLOB)");
	struct sql_statement *put = keep(db, "INSERT INTO t (text, blob) VALUES (?, ?)");
	struct sql_statement *get = keep(db, "SELECT n, text, blob, NULL FROM t WHERE n = ?");
	struct error e = { 0 };

	FOR_EACH(c, cases) {
		struct str exact = test_exact(c->value);
		sql_bind_text(put, 1, exact);
		sql_bind_blob(put, 2, exact);
		ok(sql_run(put, &e), e.text);
		free((char *)exact.p);
		sql_bind_int(get, 1, sql_last_rowid(db));
		ok(sql_step(get, &e) == SQL_ROW, c->rule);
		ok(sql_columns(get) == 4, c->rule);
		ok(sql_int(get, 0) == sql_last_rowid(db), c->rule);
		ok_str(sql_text(get, 1), c->value, c->rule);
		ok_str(sql_blob(get, 2), c->value, c->rule);
		ok(!sql_is_null(get, 1) && !sql_is_null(get, 2), c->rule);
		ok(sql_text(get, 1).p != NULL && sql_blob(get, 2).p != NULL, c->rule);
		ok(sql_is_null(get, 3) && sql_text(get, 3).p == NULL, c->rule);
		ok(sql_blob(get, 3).p == NULL && sql_int(get, 3) == 0, c->rule);
		ok(sql_step(get, &e) == SQL_DONE, c->rule);
	}
	sql_close(db);
}

TEST(sql_int_limits)
{
	static const int64_t values[] = { 0, -1, INT64_MIN, INT64_MAX };
	struct sql *db = open_or_fail(":memory:", &create);
	struct sql_statement *echo = keep(db, "SELECT ?");
	struct error e;

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		sql_bind_int(echo, 1, values[i]);
		ok(sql_step(echo, &e) == SQL_ROW && sql_int(echo, 0) == values[i], "as it was");
		sql_reset(echo);
	}
	sql_close(db);
}

TEST(sql_statements_are_kept_by_text)
{
	struct sql *db = open_or_fail(":memory:", &create);
	struct sql_statement *one = keep(db, "SELECT 1, ?"), *two = keep(db, "SELECT 2, ?");
	struct error e;

	ok(one != two && keep(db, "SELECT 1, ?") == one && keep(db, "SELECT 2, ?") == two,
	   "one handle for a text");
	sql_bind_int(one, 1, 7);
	ok(sql_step(one, &e) == SQL_ROW && sql_int(one, 1) == 7, "bound");
	ok(sql_step(one, &e) == SQL_DONE, "its end");
	ok(sql_step(one, &e) == SQL_ROW && sql_is_null(one, 1), "nothing stays bound");
	sql_reset(one);
	ok(sql_keep(db, STR("SELEC 1"), &e) == NULL && sql_fault(db) == SQL_FAULT_TEXT, "syntax");
	ok(e.kind == ERROR_CONFIG && strstr(e.text, "SELEC") != NULL, e.text);
	ok(sql_keep(db, STR(" -- nothing"), &e) == NULL && sql_fault(db) == SQL_FAULT_TEXT,
	   "a comment is no statement");
	ok(sql_keep(db, STR_NONE, &e) == NULL, "nor is nothing");

	struct sql_statement *once = sql_prepare(db, STR("SELECT 3; SELECT 4"), &e);
	ok(once != NULL && sql_step(once, &e) == SQL_ROW && sql_int(once, 0) == 3, "once");
	ok(sql_step(once, &e) == SQL_DONE, "the first of them only");
	sql_free(once);
	sql_close(db);
}

TEST(sql_do_and_get)
{
	struct sql *db = open_or_fail(":memory:", &create);
	struct error e = { 0 };
	int64_t n;

	ok(sql_do(db, STR("CREATE TABLE t (k)"), &e), e.text);
	ok(sql_do(db, STR("INSERT INTO t VALUES (1), (2), (3)"), &e), e.text);
	ok(sql_changes(db) == 3, "rows");
	ok(sql_do(db, STR("SELECT k FROM t"), &e), "rows may not matter");
	ok(get_int(db, "SELECT count(*) FROM t") == 3, "count");
	ok(get_int(db, "SELECT k FROM t ORDER BY k DESC") == 3, "the first row");
	ok(sql_do(db, STR("DROP TABLE t"), &e), "no statement was left between rows");
	do_all(db, "CREATE TABLE t (k); PRAGMA user_version = 4");
	ok(get_int(db, "PRAGMA user_version") == 4, "version");
	ok(!sql_get_int(db, STR("SELECT k FROM t"), &n, &e) && e.kind == ERROR_DATA, "no row");
	ok(!sql_do_all(db, "SELECT 1; SELEC", &e) && sql_fault(db) == SQL_FAULT_TEXT, e.text);
	sql_close(db);
}

TEST(sql_transactions)
{
	struct sql *db = memory("CREATE TABLE t (k)");
	struct error e = { 0 };

	ok(!sql_is_in_transaction(db), "none yet");
	sql_rollback(db);
	for (int i = 0; i < 2; i++) {
		ok(sql_begin(db, &e) && sql_is_in_transaction(db), e.text);
		do_all(db, "INSERT INTO t VALUES (1)");
		ok(sql_commit(db, &e) && !sql_is_in_transaction(db), e.text);
		ok(sql_begin(db, &e), e.text);
		do_all(db, "DELETE FROM t");
		sql_rollback(db);
		ok(get_int(db, "SELECT count(*) FROM t") == i + 1, "what was committed");
	}
	ok(!sql_commit(db, &e), "without a begin");
	ok(sql_begin(db, &e), e.text);
	ok(!sql_begin(db, &e) && sql_is_in_transaction(db), "inside each other");
	sql_rollback(db);

	ok(sql_begin(db, &e), e.text);
	do_all(db, "INSERT INTO t VALUES (1)");
	ok(sql_do(db, STR("SAVEPOINT one"), &e), e.text);
	do_all(db, "INSERT INTO t VALUES (2)");
	ok(sql_do(db, STR("ROLLBACK TO one"), &e), e.text);
	ok(sql_do(db, STR("RELEASE one"), &e), e.text);
	ok(sql_commit(db, &e), e.text);
	ok(get_int(db, "SELECT count(*) FROM t") == 3, "all but what the savepoint undid");
	sql_close(db);
}

TEST(sql_deferred_constraint_rolls_back)
{
	struct sql *db = memory("PRAGMA foreign_keys = ON; CREATE TABLE a (k PRIMARY KEY);"
				"CREATE TABLE b (k REFERENCES a DEFERRABLE INITIALLY DEFERRED)");
	struct error e = { 0 };

	ok(sql_begin(db, &e), e.text);
	do_all(db, "INSERT INTO b VALUES (1)");
	ok(!sql_commit(db, &e) && sql_fault(db) == SQL_FAULT_CONSTRAINT, e.text);
	ok(!sql_is_in_transaction(db), "a commit that failed leaves nothing open");
	ok(get_int(db, "SELECT count(*) FROM b") == 0, "nor anything behind");
	sql_close(db);
}

/* One connection writes, another cannot; readers of a WAL do not mind. */
TEST(sql_busy)
{
	struct sql *writer = open_or_fail(path, &create_wal);
	do_all(writer, "CREATE TABLE t (k); INSERT INTO t VALUES (1)");
	struct sql *second = open_or_fail(path, &create_wal);
	struct sql *reader = open_or_fail(path, &read_only);
	struct error e = { 0 };

	ok(sql_begin(writer, &e), e.text);
	do_all(writer, "INSERT INTO t VALUES (2)");
	ok(!sql_begin(second, &e) && sql_fault(second) == SQL_FAULT_BUSY, e.text);
	ok(e.kind == ERROR_TEMP && !sql_is_in_transaction(second), "may work later");
	ok(sql_begin_read(reader, &e), e.text);
	ok(get_int(reader, "SELECT count(*) FROM t") == 1, "reads what is committed");
	ok(sql_commit(writer, &e), "a reader does not hold the writer");
	ok(get_int(reader, "SELECT count(*) FROM t") == 1, "a transaction reads one state");
	ok(sql_commit(reader, &e), e.text);
	ok(get_int(reader, "SELECT count(*) FROM t") == 2, "and then the next");
	ok(sql_begin(second, &e), e.text);
	sql_rollback(second);
	sql_close(reader);
	sql_close(second);
	sql_close(writer);
}

TEST(sql_read_only)
{
	struct error e = { 0 };

	ok(sql_open(path, &read_only, &e) == NULL && e.kind == ERROR_NO_INPUT, e.text);
	ok(strstr(e.text, "No such file") != NULL, e.text);
	ok(access(path, F_OK) != 0, "reading makes no file");
	struct sql_options write = { .access = SQL_WRITE };
	ok(sql_open(path, &write, &e) == NULL && e.kind == ERROR_NO_INPUT, e.text);

	struct sql *db = open_or_fail(path, &create);
	do_all(db, "CREATE TABLE t (k UNIQUE); INSERT INTO t VALUES (1)");
	sql_close(db);
	db = open_or_fail(path, &read_only);
	ok(get_int(db, "SELECT k FROM t") == 1, "read");
	ok(!sql_do(db, STR("DELETE FROM t"), &e) && sql_fault(db) == SQL_FAULT_NO_FILE, e.text);
	sql_close(db);
	db = open_or_fail(path, &write);
	do_all(db, "DELETE FROM t");
	sql_close(db);
}

TEST(sql_faults)
{
	struct sql *db = memory("CREATE TABLE t (k UNIQUE, v CHECK (v <> 'no') NOT NULL)");
	struct error e = { 0 };

	do_all(db, "INSERT INTO t VALUES (1, 'x')");
	ok(!sql_do(db, STR("INSERT INTO t VALUES (1, 'y')"), &e), "unique");
	ok(sql_fault(db) == SQL_FAULT_CONSTRAINT && e.kind == ERROR_DATA, e.text);
	ok(strstr(e.text, "t.k") != NULL, e.text);
	ok(!sql_do(db, STR("INSERT INTO t VALUES (2, 'no')"), &e), "check");
	ok(sql_fault(db) == SQL_FAULT_CONSTRAINT, e.text);
	ok(!sql_do(db, STR("SELECT missing FROM t"), &e), "column");
	ok(sql_fault(db) == SQL_FAULT_TEXT && strstr(e.text, "missing") != NULL, e.text);
	do_all(db, "PRAGMA max_page_count = 4");
	ok(!sql_do(db, STR("INSERT INTO t VALUES (3, zeroblob(100000))"), &e), "full");
	ok(sql_fault(db) == SQL_FAULT_FULL && e.kind == ERROR_IO, e.text);
	ok(get_int(db, "SELECT count(*) FROM t") == 1, "the connection goes on");

	struct sql_statement *put = keep(db, "INSERT INTO t VALUES (?, ?)");
	sql_bind_text(put, 1, str_span("", (size_t)1 << 40));
	ok(!sql_run(put, &e) && e.kind == ERROR_LIMIT, "a value that no row can hold");
	sql_bind_int(put, 1, 5);
	sql_bind_text(put, 2, STR("x"));
	ok(sql_run(put, &e), "and the statement goes on");
	sql_close(db);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	ok(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, "write");
}

TEST(sql_corrupt)
{
	struct error e = { 0 };
	char text[1001] = "";

	memset(text, 'x', 1000);
	write_file(text);
	ok(sql_open(path, &create_wal, &e) == NULL && e.kind == ERROR_DATA, e.text);
	struct sql *bad = open_or_fail(path, &read_only);
	ok(sql_keep(bad, STR("SELECT * FROM sqlite_schema"), &e) == NULL, "at first sight");
	ok(sql_fault(bad) == SQL_FAULT_CORRUPT && e.kind == ERROR_DATA, e.text);
	sql_close(bad);

	write_file("");
	struct sql *db = open_or_fail(path, &read_only);
	ok(get_int(db, "SELECT count(*) FROM sqlite_schema") == 0, "an empty file is a database");
	sql_close(db);
}

TEST(sql_pragma_that_is_refused)
{
	static const struct sql_pragma pragmas[] = { { "journal_mode", "WAL" } };
	struct sql_options o = { .access = SQL_CREATE, .pragmas = pragmas, .n_pragmas = 1 };
	struct error e = { 0 };

	ok(sql_open(":memory:", &o, &e) == NULL, "memory has no WAL");
	ok_str(error_text(&e), STR("journal_mode stays memory, it cannot be WAL"), "said so");
	struct sql *db = open_or_fail(path, &o);
	ok(get_int(db, "PRAGMA synchronous") == 2, "FULL is the default");
	sql_close(db);
	o.pragmas = (const struct sql_pragma[]){ { "synchronous", "(" } };
	ok(sql_open(path, &o, &e) == NULL && e.kind == ERROR_CONFIG, e.text);
}

static bool count_down(void *arg)
{
	return --*(int *)arg > 0;
}

TEST(sql_watch)
{
	struct sql *db = open_or_fail(":memory:", &create);
	const struct str endless = STR("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 "
				       "FROM c) SELECT count(*) FROM c");
	struct error e = { 0 };
	int64_t n;
	int left = 5;

	sql_watch(db, 1000, count_down, &left);
	ok(!sql_get_int(db, endless, &n, &e) && sql_fault(db) == SQL_FAULT_INTERRUPTED, e.text);
	ok(left == 0 && e.kind == ERROR_TEMP, "asked until it said no");
	left = 1000;
	ok(get_int(db, "SELECT 1") == 1, "and the connection goes on");
	sql_watch(db, 0, NULL, NULL);
	sql_interrupt(db);
	ok(get_int(db, "SELECT 1") == 1, "nothing was running");
	sql_close(db);
}

TEST(sql_log_is_copied_when_told)
{
	struct sql *db = open_or_fail(path, &create_wal);
	struct sql *reader;
	struct error e = { 0 };

	sql_own_checkpoints(db);
	do_all(db, "CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(8000000))");
	ok(sql_log_pages(db) > 1900, "no checkpoint of SQLite's own");
	reader = open_or_fail(path, &read_only);
	ok(get_int(reader, "SELECT count(*) FROM t") == 1, "a reader sees it in the log");
	ok(sql_checkpoint(db, &e) == SQL_COPIED, e.text);
	do_all(db, "INSERT INTO t VALUES (1)");
	ok(sql_log_pages(db) < 10, "the log began anew");
	ok(get_int(reader, "SELECT count(*) FROM t") == 2, "and the reader goes on");

	ok(sql_begin_read(reader, &e), e.text);
	ok(get_int(reader, "SELECT count(*) FROM t") == 2, "a reader that stays");
	int64_t before = sql_log_pages(db);
	do_all(db, "INSERT INTO t VALUES (2)");
	ok(sql_checkpoint(db, &e) == SQL_COPIED, "nobody is waited for");
	do_all(db, "INSERT INTO t VALUES (3)");
	ok(sql_log_pages(db) > before, "the log goes on behind what the reader needs");
	sql_close(reader);
	sql_close(db);
}

/* A cache of ten pages: the transaction reads again what it has put into the log. */
TEST(sql_gathered_writes_are_read_back)
{
	const char fill[] =
		"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
		"WHERE i < 3000) INSERT INTO t SELECT i, printf('%.*c', 900, 'x') FROM n";
	struct sql *db = open_or_fail(path, &create_wal), *reader;
	struct error e = { 0 };

	do_all(db, "PRAGMA cache_size = 10; CREATE TABLE t (i INTEGER PRIMARY KEY, x)");
	reader = open_or_fail(path, &read_only);
	ok(sql_begin(db, &e), e.text);
	do_all(db, fill);
	ok(get_int(db, "SELECT sum(length(x)) FROM t") == 2700000, "in the transaction");
	ok(get_int(reader, "SELECT count(*) FROM t") == 0, "and not outside");
	sql_rollback(db);
	ok(get_int(db, "SELECT count(*) FROM t") == 0, "rolled back");
	ok(sql_begin(db, &e), e.text);
	do_all(db, fill);
	do_all(db, "DELETE FROM t WHERE i % 3 = 0; UPDATE t SET x = 'y' WHERE i % 3 = 1");
	ok(sql_commit(db, &e), e.text);
	ok(get_int(reader, "SELECT sum(length(x)) FROM t") == 901000, "committed");
	ok(sql_checkpoint(db, &e) == SQL_COPIED, e.text);
	sql_close(db);
	ok(get_int(reader, "SELECT sum(length(x)) FROM t") == 901000, "copied");
	ok(get_int(reader, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = "
			   "'ok'") == 1,
	   "whole");
	sql_close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(sql_values_go_in_and_come_out),
		RUN(sql_int_limits),
		RUN(sql_statements_are_kept_by_text),
		RUN(sql_do_and_get),
		RUN(sql_transactions),
		RUN(sql_deferred_constraint_rolls_back),
		cmocka_unit_test_teardown(test_sql_busy, remove_files),
		cmocka_unit_test_teardown(test_sql_read_only, remove_files),
		RUN(sql_faults),
		cmocka_unit_test_teardown(test_sql_corrupt, remove_files),
		cmocka_unit_test_teardown(test_sql_pragma_that_is_refused, remove_files),
		RUN(sql_watch),
		cmocka_unit_test_teardown(test_sql_log_is_copied_when_told, remove_files),
		cmocka_unit_test_teardown(test_sql_gathered_writes_are_read_back, remove_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
