/* Reading, by a connection that only reads: what is due, whole messages, content. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/room.h"

#define RECIPIENT_OF "FROM recipient AS r JOIN destination AS d ON d.id = r.destination "
#define LISTED                                                                                     \
	"FROM recipient AS r CROSS JOIN message AS m ON m.id = r.message "                         \
	"CROSS JOIN destination AS d ON d.id = r.destination "

/* One that lost it is damage, and must keep nobody behind it from being read. */
#define HAS_MESSAGE "EXISTS (SELECT 1 FROM message WHERE id = r.message) "

static const struct str texts[R_STATEMENTS] = {
	[R_DESTINATIONS] = STR_INIT(
		"SELECT d.name, max(g.n * (g.state = 0)), max(g.n * (g.state = 1)), "
		"max(g.n * (g.state = 2)), max(CASE g.state WHEN 0 THEN g.due END), min(g.first) "
		"FROM (SELECT destination, state, count(*) AS n, min(due) AS due, "
		"min(message) AS first FROM recipient "
		"WHERE destination > ?1 AND destination <= ?2 GROUP BY destination, state) AS g "
		"JOIN destination AS d ON d.id = g.destination "
		"GROUP BY g.destination"),
	[R_DESTINATIONS_END] =
		STR_INIT("SELECT ifnull(max(id), 0) FROM (SELECT id FROM destination "
			 "WHERE id > ?1 ORDER BY id LIMIT ?2)"),
	[R_BACKLOGS] =
		STR_INIT("SELECT name, due FROM (SELECT name, (SELECT min(due) FROM recipient "
			 "WHERE destination = destination.id AND state = 0) AS due "
			 "FROM destination) WHERE due IS NOT NULL"),
	[R_OLDEST] = STR_INIT("SELECT ifnull(min(id), 0) FROM message"),
	[R_DESTINATION] = STR_INIT("SELECT id FROM destination WHERE name = ?1"),
	[R_DUE] = STR_INIT("SELECT r.message, " READER_RCPT " FROM recipient AS r "
			   "CROSS JOIN destination AS d ON d.id = r.destination "
			   "WHERE r.destination = ?1 AND r.state = 0 AND r.due <= ?2 "
			   "AND (r.due, r.message, r.n) >= (?3, ?4, ?5) AND " HAS_MESSAGE
			   "ORDER BY r.due, r.message, r.n LIMIT ?6"),
	[R_FINISHED] =
		STR_INIT("SELECT DISTINCT r.message FROM recipient AS r WHERE r.state = 2 "
			 "AND r.message > ?1 AND " HAS_MESSAGE "ORDER BY r.message LIMIT ?2"),
	[R_MESSAGE] = STR_INIT("SELECT " READER_MESSAGE " FROM message AS m WHERE m.id = ?1"),
	[R_RECIPIENTS] = STR_INIT("SELECT " READER_RCPT " " RECIPIENT_OF
				  "WHERE r.message = ?1 ORDER BY r.n"),
	[R_RECIPIENTS_FINISHED] = STR_INIT("SELECT " READER_RCPT " " RECIPIENT_OF
					   "WHERE r.message = ?1 AND r.state = 2 ORDER BY r.n"),
	[R_CONTENT] = STR_INIT("SELECT m.size, c.octets FROM message AS m "
			       "LEFT JOIN content AS c ON c.id = m.id WHERE m.id = ?1"),
	[R_EVIDENCE] =
		STR_INIT("SELECT t.message, t.at, t.is_fate_unknown, g.text, t.evidence, t.n "
			 "FROM attempt AS t LEFT JOIN ground AS g ON g.id = t.ground "
			 "WHERE t.message = ?1 AND t.n > ?2 ORDER BY t.n"),
	[R_LIST] = STR_INIT("SELECT " READER_MESSAGE ", " READER_RCPT " " LISTED
			    "WHERE (r.message, r.n) > (?1, ?2) AND r.message BETWEEN ?3 AND ?4 "
			    "ORDER BY r.message, r.n LIMIT ?5"),
	[R_LIST_DESTINATION] =
		STR_INIT("SELECT " READER_MESSAGE ", " READER_RCPT " " LISTED
			 "WHERE r.destination = (SELECT id FROM destination WHERE name = ?6) "
			 "AND (r.state, r.due, r.message, r.n) > (?7, ?8, ?1, ?2) "
			 "AND r.message BETWEEN ?3 AND ?4 "
			 "ORDER BY r.state, r.due, r.message, r.n LIMIT ?5"),
};

/* ---- opening ---- */

static bool reader_set_up(struct store_reader *r, struct error *e)
{
	if (!store_schema_check(r->db, &store_schema, e))
		return false;
	for (size_t i = 0; i < R_STATEMENTS; i++)
		if (!(r->st[i] = sql_keep(r->db, texts[i], e)))
			return false;
	return true;
}

struct store_reader *store_reader_open(const char *directory, struct error *e)
{
	const struct sql_options o = { .access = SQL_READ, .busy_ms = 5000 };
	struct store_reader *r = base_alloc(sizeof(*r));
	char path[STORE_PATH_MAX];

	if (strlen(directory) >= sizeof(r->directory)) {
		error_set(e, ERROR_CONFIG, "%s: the name is too long", directory);
		free(r);
		return NULL;
	}
	memcpy(r->directory, directory, strlen(directory) + 1);
	(void)snprintf(path, sizeof(path), "%s/" STORE_DATABASE, directory);
	if (access(path, F_OK) != 0 && errno == ENOENT) {
		free(r);
		error_set(e, ERROR_NO_INPUT, "there is no queue in %s", directory);
		return NULL;
	}
	r->db = sql_open(path, &o, e);
	if (r->db && reader_set_up(r, e))
		return r;
	store_reader_close(r);
	error_prefix(e, "%s", path);
	return NULL;
}

void store_reader_close(struct store_reader *r)
{
	if (!r)
		return;
	sql_close(r->db);
	free(r);
}

/* ---- rows ---- */

static struct str text(const struct sql_statement *st, int at, struct arena *a)
{
	struct str s = sql_text(st, at);

	return a ? arena_str(a, s) : s;
}

/* A damaged database may hold anything: what has no meaning waits for somebody who looks at it. */
static enum store_state state_of(int64_t v)
{
	return v >= STORE_QUEUED && v <= STORE_FINISHED ? (enum store_state)v : STORE_HELD;
}

static enum outcome_kind kind_of(int64_t v)
{
	return v >= OUTCOME_DELIVERED && v <= OUTCOME_BOUNCED ? (enum outcome_kind)v
							      : OUTCOME_DEFERRED;
}

static struct outcome outcome_of(const struct sql_statement *st, int at, struct arena *a)
{
	return (struct outcome){
		.kind = kind_of(sql_int(st, at)),
		.status = store_status_unpack(sql_int(st, at + 1)),
		.reason = text(st, at + 2, a),
		.remote_host = text(st, at + 3, a),
		.reply = { .code = (int)sql_int(st, at + 4),
			   .status = store_status_unpack(sql_int(st, at + 5)),
			   .text = text(st, at + 6, a) },
	};
}

struct store_rcpt reader_rcpt(const struct sql_statement *st, int at, struct arena *a)
{
	return (struct store_rcpt){
		.destination = text(st, at, a),
		.index = (uint32_t)sql_int(st, at + 1),
		.state = state_of(sql_int(st, at + 2)),
		.due_ms = sql_int(st, at + 3),
		.attempts = (uint32_t)sql_int(st, at + 4),
		.is_warned = sql_int(st, at + 5) & STORE_MARK_WARNED,
		.is_asked_for = sql_int(st, at + 5) & STORE_MARK_ASKED_FOR,
		.address = text(st, at + 6, a),
		.orcpt = text(st, at + 7, a),
		.notify = text(st, at + 8, a),
		.last = outcome_of(st, at + 9, a),
	};
}

struct store_message reader_message(const struct sql_statement *st, int at, struct arena *a)
{
	return (struct store_message){
		.id = (uint64_t)sql_int(st, at),
		.arrived_ms = sql_int(st, at + 1),
		.size = (uint64_t)sql_int(st, at + 2),
		.flags = (unsigned)sql_int(st, at + 3),
		.sender = text(st, at + 4, a),
		.ret = text(st, at + 5, a),
		.envid = text(st, at + 6, a),
		.client = text(st, at + 7, a),
	};
}

/* Recipients while their number is not known: doubled in the arena. */
struct rcpts {
	struct arena *arena;
	struct store_rcpt *v;
	size_t n, size;
};

static void rcpts_add(struct rcpts *to, struct store_rcpt r)
{
	if (to->n == to->size) {
		size_t size = to->size ? 2 * to->size : 4;
		struct store_rcpt *v = ARENA_ARRAY(to->arena, size, struct store_rcpt);
		if (to->n)
			memcpy(v, to->v, to->n * sizeof(*v));
		to->v = v;
		to->size = size;
	}
	to->v[to->n++] = r;
}

static bool read_rcpts(struct store_reader *r, struct arena *a, enum reader_statement which,
		       struct store_message *m, struct error *e)
{
	struct sql_statement *st = r->st[which];
	struct rcpts to = { .arena = a };
	enum sql_step step;

	sql_bind_int(st, 1, (int64_t)m->id);
	while ((step = sql_step(st, e)) == SQL_ROW)
		rcpts_add(&to, reader_rcpt(st, 0, a));
	m->rcpts = to.v;
	m->n_rcpts = to.n;
	return step == SQL_DONE;
}

/* The row alone; *has false: there is none. */
static bool read_message(struct store_reader *r, struct arena *a, uint64_t id,
			 struct store_message *m, bool *has, struct error *e)
{
	struct sql_statement *st = r->st[R_MESSAGE];
	enum sql_step step;

	sql_bind_int(st, 1, (int64_t)id);
	step = sql_step(st, e);
	*has = step == SQL_ROW;
	if (step == SQL_ROW) {
		*m = reader_message(st, 0, a);
		sql_reset(st);
	}
	return step != SQL_FAILED;
}

/* Runs `read` so that all of it sees one state of the database. */
static bool read_in_one(struct store_reader *r, bool (*read)(void *arg, struct error *e), void *arg,
			struct error *e)
{
	if (!sql_begin_read(r->db, e))
		return false;
	bool is_read = read(arg, e);
	sql_rollback(r->db);
	return is_read;
}

/* ---- destinations ---- */

/* Those with a number above `after`, and up to `last`. */
static bool destinations_between(struct store_reader *r, int64_t after, int64_t last,
				 void (*each)(void *arg, const struct store_destination *d),
				 void *arg, struct error *e)
{
	struct sql_statement *st = r->st[R_DESTINATIONS];
	enum sql_step step;

	sql_bind_int(st, 1, after);
	sql_bind_int(st, 2, last);
	while ((step = sql_step(st, e)) == SQL_ROW) {
		const struct store_destination d = {
			.name = sql_text(st, 0),
			.n_queued = (uint64_t)sql_int(st, 1),
			.n_held = (uint64_t)sql_int(st, 2),
			.n_finished = (uint64_t)sql_int(st, 3),
			.due_ms = sql_int(st, 4),
			.oldest_ms = store_id_ms((uint64_t)sql_int(st, 5)),
		};
		each(arg, &d);
	}
	return step == SQL_DONE;
}

bool store_destinations(struct store_reader *r,
			void (*each)(void *arg, const struct store_destination *d), void *arg,
			struct error *e)
{
	return destinations_between(r, INT64_MIN, INT64_MAX, each, arg, e);
}

bool store_destinations_piece(struct store_reader *r, int64_t *place,
			      void (*each)(void *arg, const struct store_destination *d), void *arg,
			      struct error *e)
{
	struct sql_statement *st = r->st[R_DESTINATIONS_END];
	int64_t after = *place;

	sql_bind_int(st, 1, after);
	sql_bind_int(st, 2, STORE_PIECE_MAX);
	if (sql_step(st, e) != SQL_ROW)
		return false;
	*place = sql_int(st, 0);
	sql_reset(st);
	return *place == 0 || destinations_between(r, after, *place, each, arg, e);
}

bool store_backlogs(struct store_reader *r,
		    void (*each)(void *arg, struct str name, int64_t due_ms), void *arg,
		    struct error *e)
{
	struct sql_statement *st = r->st[R_BACKLOGS];
	enum sql_step step;

	while ((step = sql_step(st, e)) == SQL_ROW)
		each(arg, sql_text(st, 0), sql_int(st, 1));
	return step == SQL_DONE;
}

/* Ids rise with time, and are the table's key: one look, however long it is. */
bool store_oldest(struct store_reader *r, int64_t *arrived_ms, struct error *e)
{
	struct sql_statement *st = r->st[R_OLDEST];

	if (sql_step(st, e) != SQL_ROW)
		return false;
	int64_t id = sql_int(st, 0);
	sql_reset(st);
	*arrived_ms = id > 0 ? store_id_ms((uint64_t)id) : 0;
	return true;
}

/* ---- due ---- */

struct due_job {
	struct store_reader *r;
	struct arena *a;
	struct str name;
	int64_t destination, now_ms;
	const struct store_due_place *after;
	size_t limit;
	struct store_due *out;
};

struct due_row {
	uint64_t message;
	struct store_rcpt rcpt;
};

static size_t due_rows(struct due_job *j, struct due_row *v, enum sql_step *step, struct error *e)
{
	struct sql_statement *st = j->r->st[R_DUE];
	size_t n = 0;

	sql_bind_int(st, 1, j->destination);
	sql_bind_int(st, 2, j->now_ms);
	sql_bind_int(st, 3, j->after->due_ms);
	sql_bind_int(st, 4, (int64_t)j->after->message);
	sql_bind_int(st, 5, (int64_t)j->after->after_index);
	sql_bind_int(st, 6, (int64_t)j->limit);
	while ((*step = sql_step(st, e)) == SQL_ROW)
		v[n++] = (struct due_row){ (uint64_t)sql_int(st, 0), reader_rcpt(st, 1, j->a) };
	return n;
}

/* Rows of one message stand together when they are due at the same time. */
static bool due_group(struct due_job *j, const struct due_row *v, size_t n, struct error *e)
{
	struct store_message *messages = ARENA_ARRAY(j->a, n, struct store_message);
	struct store_rcpt *rcpts = ARENA_ARRAY(j->a, n, struct store_rcpt);
	struct store_message *m = messages;

	for (size_t i = 0; i < n; i++) {
		bool has = true;
		if (i > 0 && v[i].message != v[i - 1].message)
			m++;
		rcpts[i] = v[i].rcpt;
		if (m->n_rcpts == 0 && !read_message(j->r, j->a, v[i].message, m, &has, e))
			return false;
		if (!has)
			return error_set(e, ERROR_DATA, "a recipient has no message");
		if (m->n_rcpts++ == 0)
			m->rcpts = &rcpts[i];
	}
	j->out->messages = messages;
	j->out->n = n == 0 ? 0 : (size_t)(m - messages) + 1;
	j->out->n_rcpts = n;
	return true;
}

/* The destination's number, 0: there is none. Numbers of those that are gone are used again, so it
 * is good for one state of the database. */
static bool due_destination(struct due_job *j, struct error *e)
{
	struct sql_statement *st = j->r->st[R_DESTINATION];
	enum sql_step step;

	sql_bind_text(st, 1, j->name);
	step = sql_step(st, e);
	j->destination = step == SQL_ROW ? sql_int(st, 0) : 0;
	if (step == SQL_ROW)
		sql_reset(st);
	return step != SQL_FAILED;
}

static bool read_due(void *arg, struct error *e)
{
	struct due_job *j = arg;
	struct due_row *v;
	enum sql_step step;
	size_t n;

	if (!due_destination(j, e))
		return false;
	if (j->destination == 0)
		return true;
	v = ARENA_ARRAY(j->a, j->limit, struct due_row);
	n = due_rows(j, v, &step, e);
	if (step == SQL_FAILED)
		return false;
	if (n > 0)
		j->out->next = (struct store_due_place){ v[n - 1].rcpt.due_ms, v[n - 1].message,
							 (uint64_t)v[n - 1].rcpt.index + 1 };
	return due_group(j, v, n, e);
}

bool store_due(struct store_reader *r, struct arena *a, struct str destination, int64_t now_ms,
	       const struct store_due_place *after, size_t limit, struct store_due *out,
	       struct error *e)
{
	struct due_job j = { r, a, destination, 0, now_ms, after, limit, out };

	*out = (struct store_due){ .next = *after };
	return read_in_one(r, read_due, &j, e);
}

/* ---- finished ---- */

struct finished_job {
	struct store_reader *r;
	struct arena *a;
	uint64_t after;
	size_t limit;
	struct store_message *v;
	size_t n;
};

static bool read_finished(void *arg, struct error *e)
{
	struct finished_job *j = arg;
	struct sql_statement *st = j->r->st[R_FINISHED];
	enum sql_step step;

	sql_bind_int(st, 1, (int64_t)j->after);
	sql_bind_int(st, 2, (int64_t)j->limit);
	while ((step = sql_step(st, e)) == SQL_ROW)
		j->v[j->n++].id = (uint64_t)sql_int(st, 0);
	if (step == SQL_FAILED)
		return false;
	for (size_t i = 0; i < j->n; i++) {
		bool has;
		if (!read_message(j->r, j->a, j->v[i].id, &j->v[i], &has, e))
			return false;
		if (!has)
			return error_set(e, ERROR_DATA, "a recipient has no message");
		if (!read_rcpts(j->r, j->a, R_RECIPIENTS_FINISHED, &j->v[i], e))
			return false;
	}
	return true;
}

bool store_finished(struct store_reader *r, struct arena *a, uint64_t after, size_t limit,
		    struct store_message **out, size_t *n, struct error *e)
{
	struct finished_job j = {
		r, a, after, limit, ARENA_ARRAY(a, limit, struct store_message), 0
	};

	if (!read_in_one(r, read_finished, &j, e))
		return false;
	*out = j.v;
	*n = j.n;
	return true;
}

/* ---- one message ---- */

struct message_job {
	struct store_reader *r;
	struct arena *a;
	uint64_t id;
	struct store_message *m;
};

static bool read_whole(void *arg, struct error *e)
{
	struct message_job *j = arg;
	struct store_message *m = ARENA_NEW(j->a, struct store_message);
	bool has;

	if (!read_message(j->r, j->a, j->id, m, &has, e))
		return false;
	if (!has)
		return true;
	j->m = m;
	return read_rcpts(j->r, j->a, R_RECIPIENTS, m, e);
}

bool store_message(struct store_reader *r, struct arena *a, uint64_t id, struct store_message **out,
		   struct error *e)
{
	struct message_job j = { r, a, id, NULL };

	if (!read_in_one(r, read_whole, &j, e))
		return false;
	*out = j.m;
	return true;
}

bool store_content_open(struct store_reader *r, uint64_t id, struct store_content **out,
			struct error *e)
{
	struct sql_statement *st = r->st[R_CONTENT];
	char path[STORE_PATH_MAX];
	enum sql_step step;

	*out = NULL;
	sql_bind_int(st, 1, (int64_t)id);
	step = sql_step(st, e);
	if (step != SQL_ROW)
		return step == SQL_DONE;
	if (sql_is_null(st, 1)) {
		store_content_path(r->directory, id, path);
		*out = store_content_of_file(path, (uint64_t)sql_int(st, 0));
	} else {
		*out = store_content_of_octets(sql_blob(st, 1));
	}
	sql_reset(st);
	return true;
}

bool store_evidence(struct store_reader *r, uint64_t message, uint64_t after,
		    enum store_go_on (*each)(void *arg, const struct store_attempt *t), void *arg,
		    struct error *e)
{
	struct sql_statement *st = r->st[R_EVIDENCE];
	enum sql_step step;

	sql_bind_int(st, 1, (int64_t)message);
	sql_bind_int(st, 2, after > 0 ? (int64_t)after : -1);
	while ((step = sql_step(st, e)) == SQL_ROW) {
		const struct store_attempt t = {
			.id = (uint64_t)sql_int(st, 5),
			.message = (uint64_t)sql_int(st, 0),
			.at_ms = sql_int(st, 1),
			.is_fate_unknown = sql_int(st, 2) != 0,
			.ground = sql_text(st, 3),
			.evidence = sql_text(st, 4),
		};
		if (each(arg, &t) == STORE_STOP) {
			sql_reset(st);
			return true;
		}
	}
	return step == SQL_DONE;
}
