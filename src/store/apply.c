/* What each note does to the rows, inside the transaction of its group. */

#include <stdlib.h>

#include "store/room.h"

/* ---- rows ---- */

/* Class, subject and detail as one number: 4.7.5 is 4007005. */
int64_t store_status_pack(struct status s)
{
	return (int64_t)s.class * 1000000 + (int64_t)s.subject * 1000 + s.detail;
}

struct status store_status_unpack(int64_t v)
{
	return STATUS((uint8_t)(v / 1000000), (uint16_t)(v / 1000 % 1000), (uint16_t)(v % 1000));
}

static void tally_file(struct writer_tally *t, uint64_t id)
{
	if (t->n_files == t->size_files) {
		t->size_files = t->size_files ? 2 * t->size_files : 16;
		t->files = base_realloc(t->files, t->size_files * sizeof(*t->files));
	}
	t->files[t->n_files++] = id;
}

/* ---- adding a message ---- */

static bool add_row(struct writer *w, const struct store_message *m, struct error *e)
{
	struct sql_statement *st = w->st[W_MESSAGE_ADD];

	sql_bind_int(st, 1, (int64_t)m->id);
	sql_bind_int(st, 2, m->arrived_ms);
	sql_bind_int(st, 3, (int64_t)m->size);
	sql_bind_int(st, 4, m->flags);
	sql_bind_text(st, 5, m->sender);
	sql_bind_text(st, 6, m->ret);
	sql_bind_text(st, 7, m->envid);
	sql_bind_text(st, 8, m->client);
	return sql_run(st, e);
}

static bool
add_content(struct writer *w, uint64_t id, const struct store_content *c, struct error *e)
{
	struct sql_statement *st = w->st[W_CONTENT_ADD];

	if (c->path)
		return true; /* the file is there, and durable */
	sql_bind_int(st, 1, (int64_t)id);
	sql_bind_blob(st, 2, buf_str(&c->memory));
	return sql_run(st, e);
}

static bool add_recipient(struct writer *w, const struct store_message *m, size_t i,
			  enum store_state state, struct error *e)
{
	struct sql_statement *st = w->st[W_RECIPIENT_ADD];
	const struct store_rcpt *r = &m->rcpts[i];
	int64_t destination;

	if (!writer_destination(w, r->destination, &destination, e))
		return false;
	sql_bind_int(st, 1, (int64_t)m->id);
	sql_bind_int(st, 2, (int64_t)i);
	sql_bind_int(st, 3, destination);
	sql_bind_int(st, 4, state);
	sql_bind_int(st, 5, m->arrived_ms);
	sql_bind_text(st, 6, r->address);
	sql_bind_text(st, 7, r->orcpt);
	sql_bind_text(st, 8, r->notify);
	return sql_run(st, e);
}

static bool add_message(struct writer *w, const struct store_message *m,
			const struct store_content *c, enum store_state state, struct error *e)
{
	if (!add_row(w, m, e) || !add_content(w, m->id, c, e))
		return false;
	for (size_t i = 0; i < m->n_rcpts; i++)
		if (!add_recipient(w, m, i, state, e))
			return false;
	w->tally.messages++;
	w->tally.recipients += (int64_t)m->n_rcpts;
	return true;
}

bool writer_accept(struct writer *w, struct note *n, struct error *e)
{
	const struct note_accept *in = &n->u.accept;

	return add_message(w, &in->message, n->content,
			   in->how == STORE_ACCEPT_HELD ? STORE_HELD : STORE_QUEUED, e);
}

/* ---- removing ---- */

static bool
run_for(struct writer *w, enum writer_statement which, uint64_t message, struct error *e)
{
	sql_bind_int(w->st[which], 1, (int64_t)message);
	return sql_run(w->st[which], e);
}

/* Without a row of content there is a file. */
static bool remove_if_done(struct writer *w, uint64_t message, struct error *e)
{
	if (!run_for(w, W_MESSAGE_REMOVE, message, e))
		return false;
	if (sql_changes(w->db) == 0)
		return true;
	w->tally.messages--;
	if (!run_for(w, W_CONTENT_REMOVE, message, e))
		return false;
	if (sql_changes(w->db) == 0)
		tally_file(&w->tally, message);
	return true;
}

static bool run_on(struct writer *w, enum writer_statement which, uint64_t message, uint32_t index,
		   struct error *e)
{
	struct sql_statement *st = w->st[which];

	sql_bind_int(st, 1, (int64_t)message);
	sql_bind_int(st, 2, index);
	return sql_run(st, e);
}

bool writer_remove(struct writer *w, enum writer_statement how, uint64_t message, uint32_t index,
		   struct error *e)
{
	if (!run_on(w, how, message, index, e))
		return false;
	if (sql_changes(w->db) == 0)
		return true;
	w->tally.recipients--;
	return remove_if_done(w, message, e);
}

/* ---- an attempt ---- */

static void bind_outcome(struct sql_statement *st, const struct outcome *o)
{
	sql_bind_int(st, 4, o->kind);
	sql_bind_int(st, 5, store_status_pack(o->status));
	sql_bind_text(st, 6, o->reason);
	sql_bind_text(st, 7, o->remote_host);
	sql_bind_int(st, 8, o->reply.code);
	sql_bind_int(st, 9, store_status_pack(o->reply.status));
	sql_bind_text(st, 10, o->reply.text);
}

static bool
record_one(struct writer *w, uint64_t message, const struct store_rcpt_record *r, struct error *e)
{
	switch (r->verdict) {
	case STORE_GONE:
		return writer_remove(w, W_RECIPIENT_REMOVE, message, r->index, e);
	case STORE_RETRY_AT:
		sql_bind_int(w->st[W_RECIPIENT_DEFER], 3, r->due_ms);
		bind_outcome(w->st[W_RECIPIENT_DEFER], &r->outcome);
		sql_bind_int(w->st[W_RECIPIENT_DEFER], 11,
			     r->was_asked_for ? STORE_MARK_ASKED_FOR : 0);
		return run_on(w, W_RECIPIENT_DEFER, message, r->index, e);
	case STORE_TO_BE_TOLD:
		sql_bind_int(w->st[W_RECIPIENT_FINISH], 3, STORE_FINISHED);
		bind_outcome(w->st[W_RECIPIENT_FINISH], &r->outcome);
		return run_on(w, W_RECIPIENT_FINISH, message, r->index, e);
	}
	CHECK(!"verdict of no kind");
}

/* Rises with time. Should a clock that was set back give one again, its evidence is not worth that
 * the outcome could not be recorded. */
static int64_t attempt_number(struct writer *w, int64_t at_ms)
{
	return (int64_t)((uint64_t)at_ms << 20 | (w->n_attempts++ & 0xfffff));
}

static bool add_attempt(struct writer *w, const struct store_record *r, struct error *e)
{
	struct sql_statement *st = w->st[W_ATTEMPT_ADD];

	if (!writer_ground(w, r->ground, r->at_ms, e))
		return false;
	sql_bind_int(st, 1, (int64_t)r->message);
	sql_bind_int(st, 2, r->at_ms);
	sql_bind_int(st, 3, r->ground->row);
	sql_bind_int(st, 4, r->is_fate_unknown);
	sql_bind_text(st, 5, r->evidence);
	sql_bind_int(st, 6, attempt_number(w, r->at_ms));
	return sql_run(st, e);
}

bool writer_record(struct writer *w, struct note *n, struct error *e)
{
	const struct store_record *r = &n->u.record.record;
	int64_t before = w->tally.messages;

	for (size_t i = 0; i < r->n_rcpts; i++)
		if (!record_one(w, r->message, &r->rcpts[i], e))
			return false;
	n->removed = (uint64_t)(before - w->tally.messages);
	return !r->ground || add_attempt(w, r, e);
}

/* ---- notices ---- */

static bool settle(struct writer *w, const struct store_notice *in, uint32_t index, struct error *e)
{
	switch (in->kind) {
	case STORE_NOTICE_FINAL:
		return writer_remove(w, W_RECIPIENT_REMOVE_FINISHED, in->about, index, e);
	case STORE_NOTICE_DELAY:
		return run_on(w, W_RECIPIENT_WARN, in->about, index, e);
	}
	CHECK(!"notice of no kind");
}

/* writer_remove runs other statements behind the one that matters: what was removed shows in the
 * tally. */
bool writer_notice(struct writer *w, struct note *n, struct error *e)
{
	const struct store_notice *in = &n->u.notice.notice;
	int64_t messages = w->tally.messages;

	for (size_t i = 0; i < in->n_indexes; i++) {
		int64_t before = w->tally.recipients;
		if (!settle(w, in, in->indexes[i], e))
			return false;
		if (in->kind == STORE_NOTICE_FINAL)
			n->piece += w->tally.recipients != before;
		else
			n->piece += sql_changes(w->db) > 0;
	}
	n->removed = (uint64_t)(messages - w->tally.messages);
	if (n->piece == 0 || !in->message)
		return true;
	return add_message(w, in->message, n->content, STORE_QUEUED, e);
}

bool writer_move(struct writer *w, struct note *n, struct error *e)
{
	const struct note_move *in = &n->u.move;
	struct sql_statement *st = w->st[W_RECIPIENT_MOVE];
	int64_t destination;

	for (size_t i = 0; i < in->n; i++) {
		if (!writer_destination(w, in->v[i].destination, &destination, e))
			return false;
		sql_bind_int(st, 3, destination);
		sql_bind_int(st, 4, in->due_ms);
		if (!run_on(w, W_RECIPIENT_MOVE, in->message, in->v[i].index, e))
			return false;
		n->piece += (uint64_t)sql_changes(w->db);
	}
	return true;
}

/* ---- expiry ---- */

struct expiring {
	struct note_place v[STORE_PIECE_MAX];
	size_t n;
};

/* Looks at the next attempts; only messages that came before can have one before. Returns how many
 * were looked at; -1: *e. */
static int
expire_look(struct writer *w, struct note_expire *in, struct expiring *x, struct error *e)
{
	struct sql_statement *st = w->st[W_ATTEMPT_AFTER];
	enum sql_step step;
	int n = 0;

	sql_bind_int(st, 1, in->looked_at.message);
	sql_bind_int(st, 2, in->looked_at.n);
	sql_bind_int(st, 3, (int64_t)store_id_from_ms(in->before_ms));
	sql_bind_int(st, 4, STORE_PIECE_MAX);
	while ((step = sql_step(st, e)) == SQL_ROW) {
		in->reached.message = sql_int(st, 0);
		in->reached.n = sql_int(st, 1);
		if (sql_int(st, 2) < in->before_ms)
			x->v[x->n++] = in->reached;
		n++;
	}
	return step == SQL_DONE ? n : -1;
}

static bool expire_attempts(struct writer *w, struct note *n, struct error *e)
{
	struct sql_statement *st = w->st[W_ATTEMPT_REMOVE];
	struct expiring x = { .n = 0 };
	int n_seen = expire_look(w, &n->u.expire, &x, e);

	for (size_t i = 0; i < x.n && n_seen >= 0; i++) {
		sql_bind_int(st, 1, x.v[i].message);
		sql_bind_int(st, 2, x.v[i].n);
		if (!sql_run(st, e))
			return false;
	}
	n->piece = x.n;
	n->is_unfinished = n_seen == STORE_PIECE_MAX;
	return n_seen >= 0;
}

/* What is looked up by the rows that are gone is looked up anew. */
static bool expire_run(struct writer *w, struct sql_statement *st, int64_t *n, struct error *e)
{
	if (!sql_run(st, e))
		return false;
	*n = sql_changes(w->db);
	if (*n > 0)
		writer_forget(w);
	return true;
}

static bool expire_grounds(struct writer *w, struct note *n, struct error *e)
{
	struct sql_statement *st = w->st[W_GROUND_EXPIRE];
	int64_t gone;

	sql_bind_int(st, 1, n->u.expire.before_ms);
	sql_bind_int(st, 2, STORE_PIECE_MAX);
	if (!expire_run(w, st, &gone, e))
		return false;
	n->is_unfinished = gone == STORE_PIECE_MAX;
	return true;
}

/* Names that no recipient has. */
static bool expire_destinations(struct writer *w, struct note *n, struct error *e)
{
	struct sql_statement *end = w->st[W_DESTINATION_PIECE], *st = w->st[W_DESTINATION_SWEEP];
	int64_t after = n->u.expire.looked_at.destination, last, gone;

	sql_bind_int(end, 1, after);
	sql_bind_int(end, 2, STORE_PIECE_MAX);
	if (sql_step(end, e) != SQL_ROW)
		return false;
	last = sql_int(end, 0);
	sql_reset(end);
	n->is_unfinished = last > 0;
	if (last == 0)
		return true;
	n->u.expire.reached.destination = last;
	sql_bind_int(st, 1, after);
	sql_bind_int(st, 2, last);
	return expire_run(w, st, &gone, e);
}

/* Attempts first: a ground outlives those that stand on it. */
bool writer_expire(struct writer *w, struct note *n, struct error *e)
{
	n->u.expire.reached = n->u.expire.looked_at;
	if (n->u.expire.looked_at.destination == 0 &&
	    (!expire_attempts(w, n, e) || (!n->is_unfinished && !expire_grounds(w, n, e))))
		return false;
	return n->is_unfinished || expire_destinations(w, n, e);
}

/* A page is written even when what it says is what it said before. */
static bool writer_probe(struct writer *w, struct error *e)
{
	return store_schema_mark(w->db, e);
}

bool writer_apply(struct writer *w, struct note *n, struct error *e)
{
	n->piece = n->removed = 0;
	n->is_unfinished = false;
	switch (n->kind) {
	case NOTE_ACCEPT:
		return writer_accept(w, n, e);
	case NOTE_RECORD:
		return writer_record(w, n, e);
	case NOTE_NOTICE:
		return writer_notice(w, n, e);
	case NOTE_MOVE:
		return writer_move(w, n, e);
	case NOTE_CHANGE:
		return writer_change(w, n, e);
	case NOTE_EXPIRE:
		return writer_expire(w, n, e);
	case NOTE_PROBE:
		return writer_probe(w, e);
	}
	CHECK(!"note of no kind");
}
