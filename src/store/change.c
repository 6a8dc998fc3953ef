/* What operators ask for: hold, release, retry, delete, requeue. The recipients are looked up
 * first, at most STORE_PIECE_MAX of them, then changed one by one; what is selected by destination
 * is no longer selected once it is changed, so the next piece goes on where this one ended. A
 * message is done in one piece. */

#include <stdlib.h>

#include "store/room.h"

struct found {
	uint64_t message;
	uint32_t index;
	int64_t destination, due_ms;
	enum store_state state;
	bool is_asked_for;
};

struct findings {
	struct found *v;
	size_t n, size;
};

static void found_add(struct findings *f, const struct sql_statement *st)
{
	if (f->n == f->size) {
		f->size = f->size ? 2 * f->size : 64;
		f->v = base_realloc(f->v, f->size * sizeof(*f->v));
	}
	f->v[f->n++] = (struct found){
		.message = (uint64_t)sql_int(st, 0),
		.index = (uint32_t)sql_int(st, 1),
		.destination = sql_int(st, 2),
		.state = (enum store_state)sql_int(st, 3),
		.due_ms = sql_int(st, 4),
		.is_asked_for = sql_int(st, 5) & STORE_MARK_ASKED_FOR,
	};
}

static bool find(struct sql_statement *st, struct findings *f, struct error *e)
{
	enum sql_step step;

	while ((step = sql_step(st, e)) == SQL_ROW)
		found_add(f, st);
	return step == SQL_DONE;
}

/* Whether the change has anything to do with this one. */
static bool is_meant(const struct note_change *in, const struct found *f, int64_t unrouted)
{
	switch (in->change) {
	case STORE_HOLD:
		return f->state == STORE_QUEUED;
	case STORE_RELEASE:
		return f->state == STORE_HELD;
	case STORE_RETRY:
		return f->state == STORE_QUEUED && (f->due_ms > in->now_ms || !f->is_asked_for);
	case STORE_DELETE:
		return true;
	case STORE_REQUEUE:
		return f->state == STORE_HELD ||
		       (f->state == STORE_QUEUED &&
			(f->destination != unrouted || f->due_ms > in->now_ms));
	}
	CHECK(!"change of no kind");
}

/* As it is to be now; `marks` are added. */
static bool put(struct writer *w, const struct found *f, int marks, struct error *e)
{
	struct sql_statement *st = w->st[W_RECIPIENT_CHANGE];

	sql_bind_int(st, 1, (int64_t)f->message);
	sql_bind_int(st, 2, f->index);
	sql_bind_int(st, 3, f->destination);
	sql_bind_int(st, 4, f->state);
	sql_bind_int(st, 5, f->due_ms);
	sql_bind_int(st, 6, marks);
	return sql_run(st, e);
}

static bool change_one(struct writer *w, const struct note_change *in, const struct found *f,
		       int64_t unrouted, struct error *e)
{
	struct found to = *f;

	switch (in->change) {
	case STORE_HOLD:
		to.state = STORE_HELD;
		return put(w, &to, 0, e);
	case STORE_RELEASE:
		to.state = STORE_QUEUED;
		to.due_ms = in->now_ms;
		return put(w, &to, 0, e);
	case STORE_RETRY: /* what is due keeps its place */
		if (to.due_ms > in->now_ms)
			to.due_ms = in->now_ms;
		return put(w, &to, STORE_MARK_ASKED_FOR, e);
	case STORE_DELETE:
		return writer_remove(w, W_RECIPIENT_REMOVE, f->message, f->index, e);
	case STORE_REQUEUE:
		to.destination = unrouted;
		to.state = STORE_QUEUED;
		to.due_ms = in->now_ms;
		return put(w, &to, 0, e);
	}
	CHECK(!"change of no kind");
}

static bool change_all(struct writer *w, struct note *n, const struct findings *f, int64_t unrouted,
		       struct error *e)
{
	int64_t before = w->tally.messages;

	for (size_t i = 0; i < f->n; i++) {
		if (!is_meant(&n->u.change, &f->v[i], unrouted))
			continue;
		if (!change_one(w, &n->u.change, &f->v[i], unrouted, e))
			return false;
		n->piece++;
	}
	n->removed = (uint64_t)(before - w->tally.messages);
	return true;
}

/* ---- by message ---- */

static bool find_of_message(struct writer *w, const struct store_selection *which,
			    struct findings *f, struct error *e)
{
	bool is_one = which->reach == STORE_OF_RECIPIENT;
	struct sql_statement *st = w->st[W_FIND_OF_MESSAGE];

	sql_bind_int(st, 1, (int64_t)which->message);
	sql_bind_int(st, 2, is_one ? which->index : 0);
	sql_bind_int(st, 3, is_one ? which->index : UINT32_MAX);
	return find(st, f, e);
}

/* ---- by destination ---- */

static unsigned states_of(enum store_change change)
{
	switch (change) {
	case STORE_HOLD:
	case STORE_RETRY:
		return 1u << STORE_QUEUED;
	case STORE_RELEASE:
		return 1u << STORE_HELD;
	case STORE_DELETE:
		return 1u << STORE_QUEUED | 1u << STORE_HELD | 1u << STORE_FINISHED;
	case STORE_REQUEUE:
		return 1u << STORE_QUEUED | 1u << STORE_HELD;
	}
	CHECK(!"change of no kind");
}

/* Those that are due later than this are looked for. Queued ones that are due already are no work
 * for RETRY, nor for REQUEUE where they would go to where they are. What RETRY made due may have
 * been tried and deferred before the next piece: that goes on at the due time where the last ended,
 * or a destination that is dead would be tried for as long as it defers faster than this. */
static int64_t due_behind(const struct note_change *in, enum store_state state, bool is_unrouted)
{
	if (state == STORE_QUEUED && in->change == STORE_RETRY)
		return in->due_reached - 1;
	if (state == STORE_QUEUED && in->change == STORE_REQUEUE && is_unrouted)
		return in->now_ms;
	return INT64_MIN;
}

/* What is due already is no less asked for: defer_transports would keep it back. It stays in its
 * place, so the next piece goes on at the due time where this one ended. */
static bool find_unasked(struct writer *w, struct note_change *in, int64_t destination,
			 struct findings *f, struct error *e)
{
	struct sql_statement *st = w->st[W_FIND_UNASKED];

	if (in->due_reached > in->now_ms)
		return true;
	sql_bind_int(st, 1, destination);
	sql_bind_int(st, 2, in->due_reached);
	sql_bind_int(st, 3, in->now_ms);
	sql_bind_int(st, 4, (int64_t)(STORE_PIECE_MAX - f->n));
	if (!find(st, f, e))
		return false;
	in->due_reached = f->n == STORE_PIECE_MAX ? f->v[f->n - 1].due_ms : in->now_ms + 1;
	return true;
}

static bool find_of_destination(struct writer *w, struct note_change *in, int64_t destination,
				int64_t unrouted, struct findings *f, struct error *e)
{
	struct sql_statement *st = w->st[W_FIND_OF_DESTINATION];

	if (in->change == STORE_RETRY && !find_unasked(w, in, destination, f, e))
		return false;

	for (enum store_state s = STORE_QUEUED; s <= STORE_FINISHED; s++) {
		if (!(states_of(in->change) & 1u << s) || f->n == STORE_PIECE_MAX)
			continue;
		sql_bind_int(st, 1, destination);
		sql_bind_int(st, 2, s);
		sql_bind_int(st, 3, due_behind(in, s, destination == unrouted));
		sql_bind_int(st, 4, (int64_t)(STORE_PIECE_MAX - f->n));
		if (!find(st, f, e))
			return false;
	}
	if (in->change == STORE_RETRY && f->n == STORE_PIECE_MAX)
		in->due_reached = f->v[f->n - 1].due_ms;
	return true;
}

/* ---- all ---- */

/* The next destination behind the last one that is done; *row 0: there is none. */
static bool next_destination(struct writer *w, int64_t after, int64_t *row, struct error *e)
{
	struct sql_statement *st = w->st[W_DESTINATION_AFTER];
	enum sql_step step;

	sql_bind_int(st, 1, after);
	step = sql_step(st, e);
	*row = step == SQL_ROW ? sql_int(st, 0) : 0;
	if (step == SQL_ROW)
		sql_reset(st);
	return step != SQL_FAILED;
}

/* Destinations with little in them share a piece. One counts as done only in a piece that found its
 * end, and only when that is committed. */
static bool
find_of_all(struct writer *w, struct note *n, int64_t unrouted, struct findings *f, struct error *e)
{
	struct note_change *in = &n->u.change;
	int64_t row = 0;

	in->reached = in->destination;
	for (int i = 0; i < STORE_PIECE_MAX && f->n < STORE_PIECE_MAX; i++) {
		if (!next_destination(w, in->reached, &row, e))
			return false;
		if (row == 0)
			return true;
		if (row != in->due_of) /* the one that was begun is not there any more */
			in->due_reached = 0;
		in->due_of = row;
		if (!find_of_destination(w, in, row, unrouted, f, e))
			return false;
		if (f->n == STORE_PIECE_MAX)
			break;
		in->reached = row;
	}
	n->is_unfinished = true;
	return true;
}

static bool find_what_is_meant(struct writer *w, struct note *n, int64_t unrouted,
			       struct findings *f, struct error *e)
{
	const struct store_selection *which = &n->u.change.which;
	int64_t destination;

	n->u.change.due_reached = n->u.change.due_from;
	switch (which->reach) {
	case STORE_ALL:
		return find_of_all(w, n, unrouted, f, e);
	case STORE_OF_DESTINATION:
		if (!writer_destination(w, which->destination, &destination, e) ||
		    !find_of_destination(w, &n->u.change, destination, unrouted, f, e))
			return false;
		n->is_unfinished = f->n == STORE_PIECE_MAX;
		return true;
	case STORE_OF_MESSAGE:
	case STORE_OF_RECIPIENT:
		return find_of_message(w, which, f, e);
	}
	CHECK(!"reach of no kind");
}

bool writer_change(struct writer *w, struct note *n, struct error *e)
{
	struct findings f = { 0 };
	int64_t unrouted = 0;
	bool is_done = (n->u.change.change != STORE_REQUEUE ||
			writer_destination(w, STR(""), &unrouted, e)) &&
		       find_what_is_meant(w, n, unrouted, &f, e) &&
		       change_all(w, n, &f, unrouted, e);

	free(f.v);
	return is_done;
}
