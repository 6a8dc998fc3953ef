#include "store/store_test.h"

/* A queue as the first release made it: never changed, whatever becomes of the schema. */
static const char version_1[] =
	"PRAGMA journal_mode = wal;"
	"CREATE TABLE destination (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE message (id INTEGER PRIMARY KEY, arrived INTEGER NOT NULL,"
	" size INTEGER NOT NULL, flags INTEGER NOT NULL, sender TEXT NOT NULL, ret TEXT NOT NULL,"
	" envid TEXT NOT NULL, client TEXT NOT NULL);"
	"CREATE TABLE content (id INTEGER PRIMARY KEY, octets BLOB NOT NULL);"
	"CREATE TABLE recipient (message INTEGER NOT NULL, n INTEGER NOT NULL,"
	" destination INTEGER NOT NULL, state INTEGER NOT NULL, due INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL, is_warned INTEGER NOT NULL, address TEXT NOT NULL,"
	" orcpt TEXT NOT NULL, notify TEXT NOT NULL, kind INTEGER, status INTEGER, reason TEXT,"
	" host TEXT, reply_code INTEGER, reply_status INTEGER, reply TEXT,"
	" PRIMARY KEY (message, n)) WITHOUT ROWID;"
	"CREATE INDEX recipient_due ON recipient (destination, state, due);"
	"CREATE INDEX recipient_finished ON recipient (message) WHERE state = 2;"
	"CREATE TABLE ground (id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, used INTEGER NOT NULL,"
	" text TEXT NOT NULL);"
	"CREATE INDEX ground_hash ON ground (hash);"
	"CREATE INDEX ground_used ON ground (used);"
	"CREATE TABLE attempt (id INTEGER PRIMARY KEY, message INTEGER NOT NULL,"
	" at INTEGER NOT NULL, ground INTEGER NOT NULL, is_fate_unknown INTEGER NOT NULL,"
	" evidence TEXT NOT NULL);"
	"CREATE INDEX attempt_message ON attempt (message);"
	"PRAGMA application_id = 1215262835;"
	"PRAGMA user_version = 1;"

	"INSERT INTO destination VALUES (5, 'smtp:one.example');"
	"INSERT INTO message VALUES (455680000000000000, 1780000000000, 3, 9, 's@example', 'FULL',"
	" 'env', '{\"helo\":\"h\"}');"
	"INSERT INTO content VALUES (455680000000000000, x'610d0a');"
	"INSERT INTO recipient VALUES (455680000000000000, 4, 5, 0, 1780000300000, 2, 1,"
	" 'a@one.example', 'rfc822;a', 'NEVER', 1, 4007005, 'not trusted', 'mx.one.example', 451,"
	" 4007000, 'later');"
	"INSERT INTO ground VALUES (1, 77, 1780000000000, 'why');"
	"INSERT INTO attempt VALUES (9, 455680000000000000, 1780000000000, 1, 1, 'how');"
	"INSERT INTO attempt VALUES (10, 455680000000000000, 1780000000000, 1, 1, 'how');"
	"INSERT INTO attempt VALUES (7, 455679999999999999, 1780000000000, 1, 1, 'another');";

static const uint64_t id_1 = 455680000000000000;

static struct sql *database(struct rig *r, enum sql_access access)
{
	struct error e = { 0 };
	char path[STORE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/queue.db", r->directory);
	struct sql *db = sql_open(path, &(struct sql_options){ .access = access }, &e);
	ok(db != NULL, e.text);
	return db;
}

/* A rig whose store is closed and whose database holds this. */
static struct rig *rig_with(const char *sql)
{
	struct rig *r = rig_new(1000);
	struct error e = { 0 };
	char path[STORE_PATH_MAX];

	rig_close_store(r);
	(void)snprintf(path, sizeof(path), "%s/queue.db", r->directory);
	ok(unlink(path) == 0, "unlink");
	struct sql *db = database(r, SQL_CREATE);
	ok(sql_do_all(db, sql, &e), e.text);
	sql_close(db);
	return r;
}

static enum store_go_on see_attempt(void *arg, const struct store_attempt *t)
{
	int *n = arg;

	ok(t->at_ms == 1780000000000 && t->is_fate_unknown, "attempt");
	ok_str(t->ground, STR("why"), "ground");
	ok_str(t->evidence, STR("how"), "evidence");
	++*n;
	return STORE_GO_ON;
}

TEST(version_1_is_read)
{
	struct rig *r = rig_with(version_1);
	struct error e = { 0 };
	int n = 0;

	rig_open_store(r);
	const struct store_message *m = rig_read(r, id_1);
	ok(m && m->n_rcpts == 1 && m->size == 3, "the message");
	ok(m->flags == (STORE_8BIT | STORE_REQUIRETLS), "flags keep their meaning");
	ok_str(m->ret, STR("FULL"), "ret");
	ok_str(m->client, STR("{\"helo\":\"h\"}"), "client");
	const struct store_rcpt *v = m->rcpts;
	ok(v->index == 4 && v->state == STORE_QUEUED && v->attempts == 2 && v->is_warned, "rcpt");
	ok_str(v->destination, STR("smtp:one.example"), "destination");
	ok(v->last.kind == OUTCOME_DEFERRED && v->last.status.class == 4 &&
		   v->last.status.subject == 7 && v->last.status.detail == 5,
	   "status");
	ok_str(v->last.reply.text, STR("later"), "reply");
	ok_str(rig_text(r, id_1), STR("a\r\n"), "content");
	ok(store_evidence(rig_reader(r), id_1, 0, see_attempt, &n, &e) && n == 2, e.text);

	struct rig *fresh = rig_new(1000);
	struct sql *old = database(r, SQL_READ), *new = database(fresh, SQL_READ);
	const struct str count = STR("SELECT count(*) FROM sqlite_schema");
	int64_t a = 0, b = 1;
	ok(sql_get_int(old, count, &a, &e) && sql_get_int(new, count, &b, &e), e.text);
	ok(a == b, "an old queue becomes what a new one is");
	sql_close(old);
	sql_close(new);
	rig_free(fresh);
	rig_free(r);
}

static void zero_index(struct rig *r)
{
	static const char zeros[4096];
	struct error e = { 0 };
	char path[STORE_PATH_MAX];
	int64_t page = 0;

	struct sql *db = database(r, SQL_READ);
	ok(sql_get_int(db, STR("SELECT rootpage FROM sqlite_schema WHERE name = 'recipient_due'"),
		       &page, &e),
	   e.text);
	sql_close(db);
	(void)snprintf(path, sizeof(path), "%s/queue.db", r->directory);
	FILE *f = fopen(path, "r+");
	ok(f && fseek(f, (long)(page - 1) * 4096, SEEK_SET) == 0, "open");
	ok(fwrite(zeros, 1, sizeof(zeros), f) == sizeof(zeros) && fclose(f) == 0, "write");
}

TEST(a_damaged_one_is_left_as_it_is)
{
	struct rig *r = rig_with(version_1);
	struct error e = { 0 };
	int64_t version = 0;

	zero_index(r);
	ok(!store_open(&r->options, &e) && e.kind == ERROR_DATA, e.text);
	struct sql *db = database(r, SQL_READ);
	ok(sql_get_int(db, STR("PRAGMA user_version"), &version, &e) && version == 1, "as it was");
	sql_close(db);
	rig_free(r);
}

/* ---- the steps ---- */

static int64_t get(struct sql *db, const char *text)
{
	struct error e = { 0 };
	int64_t n = -1;

	ok(sql_get_int(db, str_of(text), &n, &e), e.text);
	return n;
}

TEST(steps_are_taken_once_and_all_or_none)
{
	static const char *const good[] = { "CREATE TABLE t (a); INSERT INTO t VALUES (1)",
					    "ALTER TABLE t ADD b; UPDATE t SET b = a + 1",
					    "UPDATE t SET b = b + 10" };
	const char *const bad[] = { good[0], good[1], "CREATE TABLE u (x); SELECT nonsense" };
	const struct store_schema one = { good, 1 }, three = { good, 3 }, broken = { bad, 3 };
	struct rig *r = rig_with("");
	struct sql *db = database(r, SQL_WRITE);
	struct error e = { 0 };

	ok(store_schema_migrate(db, &one, &e), e.text);
	ok(get(db, "PRAGMA user_version") == 1, "version 1");
	ok(!store_schema_check(db, &three, &e) && e.kind == ERROR_CONFIG, "a reader does not mend");
	ok(!store_schema_migrate(db, &broken, &e), "a step that fails");
	ok_str(error_text(&e),
	       STR("making version 3 of the queue: no such column: nonsense (SQLite 1)"), "which");
	ok(get(db, "PRAGMA user_version") == 1 &&
		   get(db, "SELECT count(*) FROM sqlite_schema") == 1,
	   "leaves all as it was");
	for (int i = 0; i < 2; i++) {
		ok(store_schema_migrate(db, &three, &e), e.text);
		ok(get(db, "SELECT b FROM t") == 12, "once");
	}
	ok(store_schema_check(db, &three, &e), e.text);
	ok(!store_schema_migrate(db, &one, &e) && e.kind == ERROR_CONFIG, "a newer one");
	sql_close(db);
	rig_free(r);
}

TEST_MAIN(RUN(version_1_is_read), RUN(a_damaged_one_is_left_as_it_is),
	  RUN(steps_are_taken_once_and_all_or_none))
