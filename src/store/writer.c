/* The writer's connection, and what it looks up again and again. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/room.h"

enum { GROUND_FRESH_MS = 60 * 60 * 1000 }; /* how far behind `used` may be */

#define RECIPIENT_IS "WHERE message = ?1 AND n = ?2"
#define OUTCOME_IS                                                                                 \
	"attempts = attempts + 1, kind = ?4, status = ?5, reason = ?6, host = ?7,"                 \
	" reply_code = ?8, reply_status = ?9, reply = ?10 "

static const struct str texts[W_STATEMENTS] = {
	[W_DESTINATION_FIND] = STR_INIT("SELECT id FROM destination WHERE name = ?1"),
	[W_DESTINATION_ADD] = STR_INIT("INSERT INTO destination (name) VALUES (?1)"),
	[W_DESTINATION_AFTER] =
		STR_INIT("SELECT id, name FROM destination WHERE id > ?1 ORDER BY id LIMIT 1"),
	[W_DESTINATION_SWEEP] =
		STR_INIT("DELETE FROM destination WHERE id > ?1 AND id <= ?2 AND NOT EXISTS "
			 "(SELECT 1 FROM recipient WHERE recipient.destination = destination.id)"),
	[W_DESTINATION_PIECE] = STR_INIT("SELECT ifnull(max(id), 0) FROM (SELECT id FROM "
					 "destination WHERE id > ?1 ORDER BY id LIMIT ?2)"),

	[W_MESSAGE_ADD] = STR_INIT("INSERT INTO message (id, arrived, size, flags, sender, ret, "
				   "envid, client) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
	[W_MESSAGE_REMOVE] = STR_INIT("DELETE FROM message WHERE id = ?1 AND NOT EXISTS "
				      "(SELECT 1 FROM recipient WHERE message = ?1)"),
	[W_CONTENT_ADD] = STR_INIT("INSERT INTO content (id, octets) VALUES (?1, ?2)"),
	[W_CONTENT_REMOVE] = STR_INIT("DELETE FROM content WHERE id = ?1"),

	[W_RECIPIENT_ADD] =
		STR_INIT("INSERT INTO recipient (message, n, destination, state, due, attempts, "
			 "is_warned, address, orcpt, notify) "
			 "VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?7, ?8)"),
	[W_RECIPIENT_REMOVE] = STR_INIT("DELETE FROM recipient " RECIPIENT_IS),
	[W_RECIPIENT_REMOVE_FINISHED] =
		STR_INIT("DELETE FROM recipient " RECIPIENT_IS " AND state = 2"),
	[W_RECIPIENT_DEFER] =
		STR_INIT("UPDATE recipient SET due = ?3, is_warned = is_warned & ~?11, " OUTCOME_IS
				 RECIPIENT_IS " AND state < 2"),
	[W_RECIPIENT_FINISH] = STR_INIT("UPDATE recipient SET state = ?3, " OUTCOME_IS RECIPIENT_IS
					" AND state < 2"),
	[W_RECIPIENT_WARN] = STR_INIT("UPDATE recipient SET is_warned = is_warned | 1 " RECIPIENT_IS
				      " AND is_warned & 1 = 0"),
	[W_RECIPIENT_MOVE] = STR_INIT(
		"UPDATE recipient SET destination = ?3, due = ?4 " RECIPIENT_IS " AND state < 2"),
	[W_RECIPIENT_CHANGE] =
		STR_INIT("UPDATE recipient SET destination = ?3, state = ?4, due = ?5, "
			 "is_warned = is_warned | ?6 " RECIPIENT_IS),

	[W_GROUND_FIND] = STR_INIT("SELECT id, used, text FROM ground WHERE hash = ?1"),
	[W_GROUND_ADD] = STR_INIT("INSERT INTO ground (hash, used, text) VALUES (?1, ?2, ?3)"),
	[W_GROUND_USE] = STR_INIT("UPDATE ground SET used = ?2 WHERE id = ?1"),
	/* An hour on top of how far behind `used` may be. */
	[W_GROUND_EXPIRE] = STR_INIT("DELETE FROM ground WHERE id IN (SELECT id FROM ground "
				     "WHERE used < ?1 - 7200000 LIMIT ?2)"),

	[W_ATTEMPT_ADD] = STR_INIT("INSERT OR IGNORE INTO attempt (message, at, ground, "
				   "is_fate_unknown, evidence, n) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
	[W_ATTEMPT_AFTER] =
		STR_INIT("SELECT message, n, at FROM attempt WHERE (message, n) > (?1, ?2) "
			 "AND message < ?3 ORDER BY message, n LIMIT ?4"),
	[W_ATTEMPT_REMOVE] = STR_INIT("DELETE FROM attempt WHERE message = ?1 AND n = ?2"),

	[W_FIND_OF_DESTINATION] = STR_INIT(
		"SELECT message, n, destination, state, due, is_warned FROM recipient "
		"WHERE destination = ?1 AND state = ?2 AND due > ?3 ORDER BY due LIMIT ?4"),
	[W_FIND_UNASKED] =
		STR_INIT("SELECT message, n, destination, state, due, is_warned FROM recipient "
			 "WHERE destination = ?1 AND state = 0 AND due BETWEEN ?2 AND ?3 "
			 "AND is_warned & 2 = 0 ORDER BY due LIMIT ?4"),
	[W_FIND_OF_MESSAGE] =
		STR_INIT("SELECT message, n, destination, state, due, is_warned FROM recipient "
			 "WHERE message = ?1 AND n BETWEEN ?2 AND ?3"),
};

/* FULL: a commit waits for the log to be on the disk. No autocheckpoint: the writer copies the log
 * when it has answered. A log that grew beyond 64 MB is cut when it begins anew. */
static const struct sql_pragma pragmas[] = {
	{ "journal_mode", "wal" },  { "synchronous", "full" },
	{ "cache_size", "-65536" }, { "journal_size_limit", "67108864" },
	{ "secure_delete", "off" }, { "foreign_keys", "off" },
	{ "temp_store", "memory" },
};

static bool prepare_all(struct writer *w, struct error *e)
{
	for (size_t i = 0; i < W_STATEMENTS; i++)
		if (!(w->st[i] = sql_keep(w->db, texts[i], e)))
			return false;
	return true;
}

static bool limit_pages(struct writer *w, struct error *e)
{
	char text[64];
	int64_t got;

	if (w->pages_max == 0)
		return true;
	(void)snprintf(text, sizeof(text), "PRAGMA max_page_count = %lld", (long long)w->pages_max);
	return sql_get_int(w->db, str_of(text), &got, e);
}

bool writer_open(struct writer *w, struct error *e)
{
	const struct sql_options o = { .access = SQL_WRITE,
				       .busy_ms = 5000,
				       .pragmas = pragmas,
				       .n_pragmas = ARRAY_LEN(pragmas) };

	w->generation++; /* 0 is that of a ground never seen */
	w->db = sql_open(w->path, &o, e);
	if (w->db && (!w->is_checked || store_sound_pages(w->db, e)) &&
	    store_schema_migrate(w->db, &store_schema, e) && prepare_all(w, e) &&
	    limit_pages(w, e)) {
		sql_own_checkpoints(w->db);
		w->checkpoint_at = STORE_LOG_PAGES;
		w->log_pages = 0;
		w->is_checked = false;
		return true;
	}
	writer_close(w);
	if (e->kind == ERROR_NO_INPUT)
		e->kind = ERROR_IO; /* it was made before: it may not be opened, or has gone */
	return error_prefix(e, "%s", w->path);
}

void writer_close(struct writer *w)
{
	sql_close(w->db);
	w->db = NULL;
	writer_forget(w);
}

bool writer_has_moved(const struct writer *w)
{
	char log[STORE_PATH_MAX + 8];

	(void)snprintf(log, sizeof(log), "%s-wal", w->path);
	return sql_has_moved(w->db) || access(log, F_OK) != 0;
}

void writer_forget(struct writer *w)
{
	for (size_t i = 0; i < WRITER_NAMES; i++) {
		free(w->names[i].text);
		w->names[i] = (struct writer_name){ 0 };
	}
	w->generation++;
}

/* ---- destinations ---- */

static bool destination_row(struct writer *w, struct str name, int64_t *row, struct error *e)
{
	struct sql_statement *find = w->st[W_DESTINATION_FIND], *add = w->st[W_DESTINATION_ADD];

	sql_bind_text(find, 1, name);
	switch (sql_step(find, e)) {
	case SQL_FAILED:
		return false;
	case SQL_ROW:
		*row = sql_int(find, 0);
		sql_reset(find);
		return true;
	case SQL_DONE:
		break;
	}
	sql_bind_text(add, 1, name);
	if (!sql_run(add, e))
		return false;
	*row = sql_last_rowid(w->db);
	return true;
}

bool writer_destination(struct writer *w, struct str name, int64_t *row, struct error *e)
{
	struct writer_name *at = &w->names[str_hash(name) % WRITER_NAMES];

	if (at->text && str_eq(str_span(at->text, at->n), name)) {
		*row = at->row;
		return true;
	}
	if (!destination_row(w, name, row, e))
		return false;
	free(at->text);
	at->text = base_realloc(NULL, name.n ? name.n : 1);
	if (name.n)
		memcpy(at->text, name.p, name.n);
	at->n = name.n;
	at->row = *row;
	return true;
}

/* ---- grounds ---- */

static bool ground_find(struct writer *w, struct store_ground *g, struct error *e)
{
	struct sql_statement *find = w->st[W_GROUND_FIND];
	enum sql_step step;

	sql_bind_int(find, 1, (int64_t)str_hash(g->text));
	while ((step = sql_step(find, e)) == SQL_ROW) {
		if (!str_eq(sql_text(find, 2), g->text))
			continue;
		g->row = sql_int(find, 0);
		g->used_ms = sql_int(find, 1);
		sql_reset(find);
		return true;
	}
	return step == SQL_DONE;
}

static bool ground_add(struct writer *w, struct store_ground *g, int64_t now_ms, struct error *e)
{
	struct sql_statement *add = w->st[W_GROUND_ADD];

	sql_bind_int(add, 1, (int64_t)str_hash(g->text));
	sql_bind_int(add, 2, now_ms);
	sql_bind_text(add, 3, g->text);
	if (!sql_run(add, e))
		return false;
	g->row = sql_last_rowid(w->db);
	g->used_ms = now_ms;
	return true;
}

static bool ground_use(struct writer *w, struct store_ground *g, int64_t now_ms, struct error *e)
{
	struct sql_statement *use = w->st[W_GROUND_USE];

	if (now_ms - g->used_ms < GROUND_FRESH_MS)
		return true;
	sql_bind_int(use, 1, g->row);
	sql_bind_int(use, 2, now_ms);
	g->used_ms = now_ms;
	return sql_run(use, e);
}

/* `generation` comes last: a ground whose row was not found out stays one without. */
bool writer_ground(struct writer *w, struct store_ground *g, int64_t now_ms, struct error *e)
{
	if (g->generation == w->generation)
		return ground_use(w, g, now_ms, e);
	g->row = 0;
	if (!ground_find(w, g, e) || (g->row == 0 && !ground_add(w, g, now_ms, e)) ||
	    !ground_use(w, g, now_ms, e))
		return false;
	g->generation = w->generation;
	return true;
}
