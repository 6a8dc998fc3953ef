/* Lists for people: filtered, and read in pieces. A piece is copied before anybody is called, so
 * that a caller that waits (for a terminal) keeps no page of the log in use. */

#include "store/room.h"

enum { LIST_PIECE = 500 };

/* The first bound is raised as the list goes on: it is the one that the index is entered by. */
static void bind_piece(struct sql_statement *st, const struct store_filter *f,
		       const struct store_list_place *at)
{
	uint64_t from = f->message ? f->message : store_id_from_ms(f->arrived_from_ms);
	uint64_t before = store_id_from_ms(f->arrived_before_ms);
	uint64_t last = f->message ? f->message : before ? before - 1 : INT64_MAX;

	if (!f->destination && from < at->message)
		from = at->message;
	sql_bind_int(st, 1, (int64_t)at->message);
	sql_bind_int(st, 2, at->index);
	sql_bind_int(st, 3, (int64_t)from);
	sql_bind_int(st, 4, (int64_t)last);
	sql_bind_int(st, 5, LIST_PIECE);
	if (!f->destination)
		return;
	sql_bind_text(st, 6, *f->destination);
	sql_bind_int(st, 7, at->state);
	sql_bind_int(st, 8, at->due_ms);
}

/* The rows of one piece, in the arena; each message's rcpts is one recipient. */
static bool read_piece(struct sql_statement *st, struct arena *a, struct store_message *v,
		       size_t *n, struct error *e)
{
	enum sql_step step;

	*n = 0;
	while ((step = sql_step(st, e)) == SQL_ROW) {
		struct store_message *m = &v[(*n)++];
		*m = reader_message(st, 0, a);
		m->rcpts = ARENA_NEW(a, struct store_rcpt);
		m->n_rcpts = 1;
		*m->rcpts = reader_rcpt(st, READER_MESSAGE_COLUMNS, a);
	}
	return step == SQL_DONE;
}

static bool has_reason(const struct outcome *o, struct str part)
{
	size_t at;

	return part.n == 0 || str_search(o->reason, part, &at) ||
	       str_search(o->reply.text, part, &at);
}

static bool is_wanted(const struct store_filter *f, const struct store_message *m)
{
	const struct store_rcpt *r = m->rcpts;

	return (f->states == 0 || (f->states & 1u << r->state)) &&
	       (!f->sender || str_ieq_ascii(m->sender, *f->sender)) &&
	       has_reason(&r->last, f->reason);
}

static struct store_list_place behind(const struct store_message *m)
{
	return (struct store_list_place){ m->id, m->rcpts->index, m->rcpts->state, m->rcpts->due_ms,
					  false };
}

struct store_list_place store_list_start(void)
{
	return (struct store_list_place){ .index = -1, .due_ms = INT64_MIN };
}

bool store_list_piece(struct store_reader *r, const struct store_filter *f,
		      struct store_list_place *at,
		      enum store_go_on (*each)(void *arg, const struct store_message *m), void *arg,
		      struct error *e)
{
	struct sql_statement *st = r->st[f->destination ? R_LIST_DESTINATION : R_LIST];
	struct arena *a = arena_new();
	struct store_message *v = ARENA_ARRAY(a, LIST_PIECE, struct store_message);
	size_t n;

	bind_piece(st, f, at);
	bool is_read = read_piece(st, a, v, &n, e);
	for (size_t i = 0; is_read && i < n; i++) {
		*at = behind(&v[i]);
		if (is_wanted(f, &v[i]) && each(arg, &v[i]) == STORE_STOP) {
			arena_free(a);
			return true;
		}
	}
	at->is_end = n < LIST_PIECE;
	arena_free(a);
	return is_read;
}

/* A list whose caller says when it is over. */
struct listing {
	enum store_go_on (*each)(void *arg, const struct store_message *m);
	void *arg;
	bool is_over;
};

static enum store_go_on listing_each(void *arg, const struct store_message *m)
{
	struct listing *l = arg;
	enum store_go_on on = l->each(l->arg, m);

	l->is_over = on == STORE_STOP;
	return on;
}

bool store_list(struct store_reader *r, const struct store_filter *f,
		enum store_go_on (*each)(void *arg, const struct store_message *m), void *arg,
		struct error *e)
{
	struct store_list_place at = store_list_start();
	struct listing l = { .each = each, .arg = arg };

	while (!at.is_end && !l.is_over)
		if (!store_list_piece(r, f, &at, listing_each, &l, e))
			return false;
	return true;
}
