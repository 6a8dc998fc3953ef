/* The schema and how an older one becomes it. docs/design/store.md tells why it is as it is. */

#include "store/room.h"

/* Each text brings the database from one version to the next; user_version counts them. A text
 * that was released is never changed: a new one comes behind it. */
static const char *const steps[] = {
	"CREATE TABLE destination ("
	" id INTEGER PRIMARY KEY,"
	" name TEXT NOT NULL UNIQUE);"

	/* id: the queue id. Small rows, so that counting and listing read little. */
	"CREATE TABLE message ("
	" id INTEGER PRIMARY KEY,"
	" arrived INTEGER NOT NULL,"
	" size INTEGER NOT NULL,"
	" flags INTEGER NOT NULL,"
	" sender TEXT NOT NULL,"
	" ret TEXT NOT NULL,"
	" envid TEXT NOT NULL,"
	" client TEXT NOT NULL);"

	/* No row: the content is a file. */
	"CREATE TABLE content ("
	" id INTEGER PRIMARY KEY,"
	" octets BLOB NOT NULL);"

	"CREATE TABLE recipient ("
	" message INTEGER NOT NULL,"
	" n INTEGER NOT NULL,"
	" destination INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"
	" due INTEGER NOT NULL,"
	" attempts INTEGER NOT NULL,"
	" is_warned INTEGER NOT NULL,"
	" address TEXT NOT NULL,"
	" orcpt TEXT NOT NULL,"
	" notify TEXT NOT NULL,"
	/* The last outcome; NULL before there was one. */
	" kind INTEGER,"
	" status INTEGER,"
	" reason TEXT,"
	" host TEXT,"
	" reply_code INTEGER,"
	" reply_status INTEGER,"
	" reply TEXT,"
	" PRIMARY KEY (message, n)) WITHOUT ROWID;"
	"CREATE INDEX recipient_due ON recipient (destination, state, due);"
	"CREATE INDEX recipient_finished ON recipient (message) WHERE state = 2;"

	/* What many attempts share. hash: to find an equal text; used: the last attempt, or so. */
	"CREATE TABLE ground ("
	" id INTEGER PRIMARY KEY,"
	" hash INTEGER NOT NULL,"
	" used INTEGER NOT NULL,"
	" text TEXT NOT NULL);"
	"CREATE INDEX ground_hash ON ground (hash);"
	"CREATE INDEX ground_used ON ground (used);"

	"CREATE TABLE attempt ("
	" id INTEGER PRIMARY KEY,"
	" message INTEGER NOT NULL,"
	" at INTEGER NOT NULL,"
	" ground INTEGER NOT NULL,"
	" is_fate_unknown INTEGER NOT NULL,"
	" evidence TEXT NOT NULL);"
	"CREATE INDEX attempt_message ON attempt (message);",

	/* 2: the attempts of a message stand together, in one tree and not in a table with an
	 * index. n rises with time. */
	"ALTER TABLE attempt RENAME TO attempt_1;"
	"CREATE TABLE attempt ("
	" message INTEGER NOT NULL,"
	" n INTEGER NOT NULL,"
	" at INTEGER NOT NULL,"
	" ground INTEGER NOT NULL,"
	" is_fate_unknown INTEGER NOT NULL,"
	" evidence TEXT NOT NULL,"
	" PRIMARY KEY (message, n)) WITHOUT ROWID;"
	"INSERT OR IGNORE INTO attempt SELECT message, (at << 20) + (id & 0xfffff), at, ground,"
	" is_fate_unknown, evidence FROM attempt_1 ORDER BY message, id;"
	"DROP TABLE attempt_1;",
};

enum { APPLICATION_ID = 0x486f7073 }; /* "Hops", for file(1) and for us */

const struct store_schema store_schema = { steps, ARRAY_LEN(steps) };

/* The version of a store; 0: an empty database. False: no store of ours, or a newer one. */
static bool
version_of(struct sql *db, const struct store_schema *s, int64_t *version, struct error *e)
{
	int64_t application = 0, tables = 0;

	if (!sql_get_int(db, STR("PRAGMA user_version"), version, e) ||
	    !sql_get_int(db, STR("PRAGMA application_id"), &application, e) ||
	    !sql_get_int(db, STR("SELECT count(*) FROM sqlite_schema"), &tables, e))
		return false;
	if (application != APPLICATION_ID && (application != 0 || *version != 0 || tables != 0))
		return error_set(e, ERROR_CONFIG, "this database is not a mail queue");
	if (*version < 0 || (uint64_t)*version > s->n)
		return error_set(e, ERROR_CONFIG,
				 "the queue was made by a newer release: it has version %lld, and "
				 "this one knows up to %zu",
				 (long long)*version, s->n);
	return true;
}

static bool put_version(struct sql *db, size_t version, struct error *e)
{
	char text[80];

	(void)snprintf(text, sizeof(text), "PRAGMA application_id = %d; PRAGMA user_version = %zu",
		       APPLICATION_ID, version);
	return sql_do_all(db, text, e);
}

bool store_schema_mark(struct sql *db, struct error *e)
{
	char text[48];

	(void)snprintf(text, sizeof(text), "PRAGMA application_id = %d", APPLICATION_ID);
	return sql_do_all(db, text, e);
}

static bool migrate(struct sql *db, const struct store_schema *s, struct error *e)
{
	int64_t version = 0;

	if (!version_of(db, s, &version, e))
		return false;
	if ((size_t)version == s->n)
		return true;
	for (size_t i = (size_t)version; i < s->n; i++)
		if (!sql_do_all(db, s->steps[i], e))
			return error_prefix(e, "making version %zu of the queue", i + 1);
	return put_version(db, s->n, e);
}

bool store_schema_migrate(struct sql *db, const struct store_schema *s, struct error *e)
{
	if (!sql_begin(db, e))
		return false;
	if (migrate(db, s, e))
		return sql_commit(db, e);
	sql_rollback(db);
	return false;
}

bool store_schema_check(struct sql *db, const struct store_schema *s, struct error *e)
{
	int64_t version = 0;

	if (!version_of(db, s, &version, e))
		return false;
	if ((size_t)version == s->n)
		return true;
	return error_set(e, ERROR_CONFIG,
			 "the queue has version %lld, an older release's; starting the daemon "
			 "brings it to %zu",
			 (long long)version, s->n);
}
