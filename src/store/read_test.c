#include "store/store_test.h"

static const struct str one = STR_INIT("smtp:one.example"), two = STR_INIT("smtp:two.example");

static uint64_t put(struct rig *r, struct str to, int64_t arrived_ms)
{
	return rig_accept_at(r, arrived_ms, &to, 1, STR("x"), STORE_ACCEPT_QUEUED);
}

static void defer_as(struct rig *r, uint64_t id, uint32_t index, int64_t due_ms, struct str reason,
		     bool was_asked_for)
{
	const struct store_rcpt_record rcpt = {
		.index = index,
		.verdict = STORE_RETRY_AT,
		.due_ms = due_ms,
		.was_asked_for = was_asked_for,
		.outcome = { .kind = OUTCOME_DEFERRED, .reason = reason },
	};

	store_record(r->client,
		     &(struct store_record){ .message = id, .rcpts = &rcpt, .n_rcpts = 1 },
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE, r->text);
}

static void defer(struct rig *r, uint64_t id, uint32_t index, int64_t due_ms, struct str reason)
{
	defer_as(r, id, index, due_ms, reason, false);
}

/* ---- destinations ---- */

struct seen {
	char text[400];
	int64_t oldest_ms; /* of the last one */
};

static void see_destination(void *arg, const struct store_destination *d)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	(void)snprintf(s->text + n, sizeof(s->text) - n, STR_FMT " %d/%d/%d at %d\n",
		       STR_ARG(d->name), (int)d->n_queued, (int)d->n_held, (int)d->n_finished,
		       (int)d->due_ms);
	s->oldest_ms = d->oldest_ms;
}

static void see_backlog(void *arg, struct str name, int64_t due_ms)
{
	struct seen *s = arg;
	size_t n = strlen(s->text);

	(void)snprintf(s->text + n, sizeof(s->text) - n, STR_FMT " %d\n", STR_ARG(name),
		       (int)due_ms);
}

static int64_t oldest_ms(struct rig *r)
{
	int64_t ms = -1;
	struct error e = { 0 };

	ok(store_oldest(rig_reader(r), &ms, &e), e.text);
	return ms;
}

TEST(the_oldest_message)
{
	struct rig *r = rig_new(1000);

	ok(oldest_ms(r) == 0, "none");
	uint64_t first = put(r, one, 1000), second = put(r, one, 1000);
	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(oldest_ms(r) == store_id_ms(first), "of two");
	store_change(r->client, STORE_DELETE,
		     &(struct store_selection){ .reach = STORE_OF_MESSAGE, .message = first }, 0,
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(oldest_ms(r) == store_id_ms(second), "that is left");
	rig_free(r);
}

TEST(destinations_are_counted)
{
	struct rig *r = rig_new(1000);
	const struct str three[] = { one, two, one }, held = STR("smtp:held.example");
	struct seen s = { "" };
	struct error e = { 0 };

	ok(store_destinations(rig_reader(r), see_destination, &s, &e) && !s.text[0], "none");
	(void)rig_accept_at(r, 3000, three, 3, STR("x"), STORE_ACCEPT_QUEUED);
	(void)rig_accept_at(r, 2000, three, 2, STR("x"), STORE_ACCEPT_HELD);
	uint64_t id = put(r, one, 1000);
	ok(rig_wait(r) == STORE_DONE, r->text);
	defer(r, id, 0, 9000, STR("later"));
	ok(store_destinations(rig_reader(r), see_destination, &s, &e), e.text);
	ok_str(str_of(s.text),
	       STR("smtp:one.example 3/1/0 at 3000\nsmtp:two.example 1/1/0 at 3000\n"),
	       "by state, the earliest of the queued ones");
	ok(s.oldest_ms > 0 && s.oldest_ms < store_id_ms(id) + 1, "the oldest message");
	int64_t place = 0;
	s.text[0] = '\0';
	do
		ok(store_destinations_piece(rig_reader(r), &place, see_destination, &s, &e),
		   e.text);
	while (place != 0);
	ok_str(str_of(s.text),
	       STR("smtp:one.example 3/1/0 at 3000\nsmtp:two.example 1/1/0 at 3000\n"),
	       "in pieces");
	s.text[0] = '\0';
	(void)rig_accept_at(r, 4000, &held, 1, STR("x"), STORE_ACCEPT_HELD);
	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(store_backlogs(rig_reader(r), see_backlog, &s, &e), e.text);
	ok_str(str_of(s.text), STR("smtp:one.example 3000\nsmtp:two.example 3000\n"),
	       "those with queued ones");
	rig_free(r);
}

/* ---- due ---- */

static struct store_due
due(struct rig *r, struct str to, int64_t now_ms, const struct store_due_place *after, size_t limit)
{
	struct store_due d;
	struct error e = { 0 };

	ok(store_due(rig_reader(r), r->arena, to, now_ms, after, limit, &d, &e), e.text);
	return d;
}

TEST(due_ones_by_time_and_message)
{
	struct rig *r = rig_new(1000);
	const struct str many[] = { one, two, one, one };
	const struct store_due_place start = { 0 };
	uint64_t late = put(r, one, 5000), early = put(r, one, 1000);
	uint64_t several = rig_accept_at(r, 2000, many, 4, STR("x"), STORE_ACCEPT_QUEUED);
	uint64_t held = rig_accept_at(r, 1, &one, 1, STR("x"), STORE_ACCEPT_HELD);

	ok(rig_wait(r) == STORE_DONE && held, r->text);
	struct store_due d = due(r, one, 4999, &start, 100);
	ok(d.n == 2 && d.n_rcpts == 4, "two messages are due, none that is held");
	ok(d.messages[0].id == early && d.messages[1].id == several, "the longest due first");
	ok(d.messages[1].n_rcpts == 3 && d.messages[1].rcpts[1].index == 2, "grouped");
	ok_str(d.messages[1].sender, STR("s@example"), "with the envelope");
	ok_str(d.messages[1].rcpts[2].address, STR("r3@example"), "address");
	ok(due(r, one, 4999, &d.next, 100).n == 0, "and no more");
	ok(due(r, one, 5000, &d.next, 100).messages[0].id == late, "until its time has come");
	ok(due(r, STR("smtp:nobody"), 5000, &start, 10).n == 0, "an unknown destination");

	struct store_due_place at = start;
	uint64_t order = 0;
	for (int i = 0; i < 5; i++) {
		d = due(r, one, 9000, &at, 1);
		ok(d.n == 1 && d.n_rcpts == 1, "one at a time");
		order = order * 10 + (d.messages->id == several ? d.messages->rcpts->index + 1
				      : d.messages->id == early ? 8
								: 9);
		at = d.next;
	}
	ok(order == 81349 && due(r, one, 9000, &at, 1).n == 0, "a message may come in parts");
	ok(due(r, one, 9000, &start, 3).n == 2, "a limit in the midst of a message");
	rig_free(r);
}

/* ---- list ---- */

struct listed {
	size_t n, max;
	uint64_t last;
	uint32_t index;
	bool is_in_order;
};

static enum store_go_on see_listed(void *arg, const struct store_message *m)
{
	struct listed *l = arg;

	ok(m->n_rcpts == 1 && m->sender.n > 0, "a recipient with its message");
	if (m->id < l->last || (m->id == l->last && l->n > 0 && m->rcpts->index <= l->index))
		l->is_in_order = false;
	l->last = m->id;
	l->index = m->rcpts->index;
	return ++l->n == l->max ? STORE_STOP : STORE_GO_ON;
}

static size_t list(struct rig *r, const struct store_filter *f, size_t max)
{
	struct listed l = { .max = max, .is_in_order = true };
	struct error e = { 0 };

	ok(store_list(rig_reader(r), f, see_listed, &l, &e), e.text);
	ok(l.is_in_order || f->destination, "by message and index");
	return l.n;
}

static int64_t rows(struct rig *r, const char *where)
{
	struct error e = { 0 };
	char text[200];
	int64_t n;

	(void)snprintf(text, sizeof(text), "SELECT count(*) FROM %s", where);
	ok(sql_get_int(rig_reader(r)->db, str_of(text), &n, &e), e.text);
	return n;
}

/* A connection behind the store's back. */
static struct sql *opened_beside(struct rig *r)
{
	const struct sql_options o = { .access = SQL_WRITE, .busy_ms = 5000 };
	struct error e = { 0 };
	struct sql *db = sql_open(r->store->writer.path, &o, &e);

	ok(db != NULL, e.text);
	return db;
}

/* As damage may. */
static void take_away(struct rig *r, const char *text)
{
	struct sql *db = opened_beside(r);
	struct error e = { 0 };

	ok(sql_do_all(db, text, &e), e.text);
	sql_close(db);
}

/* Another destination gets the number of `one`, which nobody has any more, at some step of a
 * reading. */
struct meddler {
	struct sql *db;
	int left; /* steps until then */
};

static void meddle_with(struct sql *db, const char *text)
{
	struct error e = { 0 };

	ok(sql_do_all(db, text, &e), e.text);
}

static bool meddle(void *arg)
{
	struct meddler *m = arg;

	if (--m->left == 0)
		meddle_with(m->db, "BEGIN; DELETE FROM destination WHERE name = 'smtp:one.example';"
				   "UPDATE destination SET id = 1 WHERE name = 'smtp:two.example';"
				   "UPDATE recipient SET destination = 1; COMMIT");
	return true;
}

static void undo_meddling(struct meddler *m)
{
	meddle_with(m->db,
		    "BEGIN; UPDATE recipient SET destination = 2;"
		    "UPDATE destination SET id = 2 WHERE name = 'smtp:two.example';"
		    "INSERT INTO destination (id, name) VALUES (1, 'smtp:one.example'); COMMIT");
}

static bool has_numbers(struct rig *r)
{
	return rows(r, "destination WHERE id = 1 AND name = 'smtp:one.example'") == 1 &&
	       rows(r, "destination WHERE id = 2 AND name = 'smtp:two.example'") == 1 &&
	       rows(r, "recipient WHERE destination = 2") == 1;
}

TEST(a_number_of_a_destination_is_nobody_elses_while_it_is_read)
{
	struct rig *r = rig_new(1000);
	struct meddler m = { .db = opened_beside(r) };
	struct error e = { 0 };

	uint64_t id = put(r, one, 1000);
	(void)put(r, two, 1000);
	store_record(r->client,
		     &(struct store_record){ .message = id,
					     .rcpts = &(struct store_rcpt_record){ 0 },
					     .n_rcpts = 1 },
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE, r->text);
	for (int turn = 1;; turn++) { /* at each step of a reading, on one store: quick anywhere */
		const struct store_due_place start = { 0 };
		struct store_due due;

		ok(has_numbers(r), "as before");
		m.left = turn;
		sql_watch(rig_reader(r)->db, 1, meddle, &m);
		ok(store_due(rig_reader(r), r->arena, one, 9999, &start, 9, &due, &e), e.text);
		sql_watch(rig_reader(r)->db, 0, NULL, NULL);
		ok(due.n == 0, "mail of the other is not mail of the first");
		if (m.left > 0)
			break;
		undo_meddling(&m);
	}
	sql_close(m.db);
	rig_free(r);
}

static void finish_one(struct rig *r, uint64_t id)
{
	const struct store_rcpt_record rcpt = { .verdict = STORE_TO_BE_TOLD };

	store_record(r->client,
		     &(struct store_record){ .message = id, .rcpts = &rcpt, .n_rcpts = 1 },
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE, r->text);
}

TEST(a_recipient_without_a_message_is_in_nobodys_way)
{
	struct rig *r = rig_new(1000);
	const struct store_due_place start = { 0 };
	struct error e = { 0 };
	struct store_due due;
	struct store_message *v;
	size_t n;

	(void)put(r, one, 1000);
	uint64_t kept = put(r, one, 2000), told = put(r, two, 1000), untold = put(r, two, 1000);
	ok(rig_wait(r) == STORE_DONE, r->text);
	finish_one(r, told);
	finish_one(r, untold);
	take_away(r, "DELETE FROM message WHERE id IN (SELECT min(message) FROM recipient "
		     "GROUP BY destination)");
	ok(store_due(rig_reader(r), r->arena, one, 9999, &start, 1, &due, &e), e.text);
	ok(due.n == 1 && due.n_rcpts == 1 && due.messages[0].id == kept, "what is behind it");
	ok(store_finished(rig_reader(r), r->arena, 0, 1, &v, &n, &e), e.text);
	ok(n == 1 && v[0].id == untold && v[0].n_rcpts == 1, "and whom nobody told yet");
	rig_free(r);
}

TEST(lists_are_filtered)
{
	struct rig *r = rig_new(1000);
	const struct str pair[] = { one, two };
	const struct str other = STR("S@EXAMPLE"), nobody = STR("nobody");
	uint64_t first = 0, middle = 0;

	for (int i = 0; i < 700; i++) {
		uint64_t id = rig_accept_at(r, 1000, pair, 2, STR("x"), STORE_ACCEPT_QUEUED);
		first = first ? first : id;
		middle = i == 350 ? id : middle;
	}
	ok(rig_wait(r) == STORE_DONE, r->text);
	defer(r, middle, 1, 9000, STR("the certificate has expired"));
	ok(list(r, &(struct store_filter){ 0 }, 0) == 1400, "all, in several pieces");
	ok(list(r, &(struct store_filter){ 0 }, 7) == 7, "until it is enough");
	ok(list(r, &(struct store_filter){ .destination = &two }, 0) == 700, "destination");
	ok(list(r, &(struct store_filter){ .destination = &nobody }, 0) == 0, "unknown");
	ok(list(r, &(struct store_filter){ .sender = &other }, 0) == 1400, "sender, in any case");
	ok(list(r, &(struct store_filter){ .sender = &nobody }, 0) == 0, "another sender");
	ok(list(r, &(struct store_filter){ .reason = STR("expired") }, 0) == 1, "reason");
	ok(list(r, &(struct store_filter){ .message = middle }, 0) == 2, "message");
	ok(list(r, &(struct store_filter){ .message = middle, .destination = &one }, 0) == 1,
	   "message and destination");
	ok(list(r, &(struct store_filter){ .states = 1u << STORE_HELD }, 0) == 0, "state");
	ok(list(r, &(struct store_filter){ .arrived_from_ms = store_id_ms(first) }, 0) == 1400,
	   "from");
	ok(list(r, &(struct store_filter){ .arrived_before_ms = store_id_ms(first) }, 0) == 0,
	   "before");
	rig_free(r);
}

TEST(a_list_goes_on_behind_where_it_stopped)
{
	struct rig *r = rig_new(1000);
	struct listed l = { .max = 3, .is_in_order = true };
	struct store_list_place at = store_list_start();
	struct error e = { 0 };
	size_t n = 0;

	for (int i = 0; i < 7; i++)
		(void)rig_accept_at(r, 1000, &one, 1, STR("x"), STORE_ACCEPT_QUEUED);
	ok(rig_wait(r) == STORE_DONE, r->text);
	while (!at.is_end) {
		l.n = 0;
		ok(store_list_piece(rig_reader(r), &(struct store_filter){ 0 }, &at, see_listed, &l,
				    &e),
		   e.text);
		n += l.n;
	}
	ok(n == 7 && l.is_in_order, "each once");
	rig_free(r);
}

/* ---- what operators do ---- */

static uint64_t change(struct rig *r, enum store_change what, struct store_selection which)
{
	store_change(r->client, what, &which, 5000, rig_done, r);
	ok(rig_wait(r) == STORE_DONE, r->text);
	return r->changed;
}

static void states(struct rig *r, uint64_t id, const char *want, const char *rule)
{
	static const char names[] = "qhf";
	const struct store_message *m = rig_read(r, id);
	char got[16] = "";

	for (size_t i = 0; m && i < m->n_rcpts; i++)
		got[i] = names[m->rcpts[i].state];
	ok_str(str_of(got), str_of(want), rule);
}

TEST(changes_of_a_message_and_a_recipient)
{
	struct rig *r = rig_new(1000);
	const struct str pair[] = { one, two };
	uint64_t id = rig_accept_at(r, 1000, pair, 2, STR("x"), STORE_ACCEPT_QUEUED);
	uint64_t other = rig_accept_at(r, 1000, pair, 2, STR("x"), STORE_ACCEPT_QUEUED);
	const struct store_selection message = { .reach = STORE_OF_MESSAGE, .message = id };
	const struct store_selection second = { .reach = STORE_OF_RECIPIENT,
						.message = id,
						.index = 1 };

	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(change(r, STORE_HOLD, second) == 1, "one");
	states(r, id, "qh", "hold");
	ok(change(r, STORE_HOLD, message) == 1, "only the one that was not held");
	states(r, id, "hh", "hold all of it");
	defer(r, id, 0, 9000, STR("it was on its way when it was held"));
	states(r, id, "hh", "held still");
	ok(change(r, STORE_RETRY, message) == 0, "held ones are not retried");
	ok(change(r, STORE_RELEASE, message) == 2, "release");
	states(r, id, "qq", "released");
	ok(rig_read(r, id)->rcpts[0].due_ms == 5000, "and due");
	defer(r, id, 0, 9000, STR("later"));
	ok(change(r, STORE_RETRY, message) == 2, "those that are due already are asked for, too");
	ok(rig_read(r, id)->rcpts[0].due_ms == 5000, "due");
	ok(rig_read(r, id)->rcpts[0].is_asked_for && rig_read(r, id)->rcpts[1].is_asked_for,
	   "by an operator");
	ok(change(r, STORE_RETRY, message) == 0, "once is enough");
	ok(!rig_read(r, id)->rcpts[0].is_warned, "which is no warning");
	defer(r, id, 0, 9000, STR("it was on its way when it was asked for"));
	ok(rig_read(r, id)->rcpts[0].is_asked_for, "asked for still");
	defer_as(r, id, 0, 9000, STR("later"), true);
	ok(!rig_read(r, id)->rcpts[0].is_asked_for, "for one attempt");
	ok(change(r, STORE_RETRY, message) == 1, "and again");
	ok(change(r, STORE_HOLD, second) == 1 && change(r, STORE_REQUEUE, message) == 2, "requeue");
	ok_str(rig_read(r, id)->rcpts[1].destination, STR(""), "to be routed");
	states(r, id, "qq", "and not held");
	ok(change(r, STORE_REQUEUE, message) == 0, "once is enough");
	ok(change(r, STORE_DELETE, second) == 1 && rig_read(r, id)->n_rcpts == 1, "delete one");
	ok(change(r, STORE_DELETE, message) == 1 && !rig_read(r, id), "delete the rest");
	states(r, other, "qq", "the other message is as it was");
	ok(change(r, STORE_DELETE, message) == 0, "nothing left to do");
	rig_free(r);
}

TEST(changes_of_many_are_done_in_pieces)
{
	struct rig *r = rig_new(1000);
	const struct store_selection of_one = { .reach = STORE_OF_DESTINATION, .destination = one };
	const struct store_selection unrouted = { .reach = STORE_OF_DESTINATION,
						  .destination = STR("") };
	const struct store_selection all = { .reach = STORE_ALL };

	for (int i = 0; i < 1800; i++)
		(void)put(r, i % 3 ? one : two, 9000);
	for (int i = 0; i < 900; i++)
		(void)put(r, STR_NONE, 9000);
	ok(rig_wait(r) == STORE_DONE, r->text);

	ok(change(r, STORE_HOLD, of_one) == 1200, "hold");
	ok(rows(r, "recipient WHERE state = 1") == 1200, "held");
	ok(change(r, STORE_RELEASE, all) == 1200, "release all that is held");
	ok(change(r, STORE_RETRY, all) == 2700, "retry, what is due already, too");
	ok(rows(r, "recipient WHERE is_warned = 2") == 2700, "all are asked for");
	ok(change(r, STORE_RETRY, all) == 0, "once is enough");
	ok(rows(r, "recipient WHERE state = 0 AND due = 5000") == 2700, "all are due");
	ok(change(r, STORE_REQUEUE, of_one) == 1200, "requeue");
	ok(change(r, STORE_REQUEUE, unrouted) == 0, "those are where they shall be");
	ok(change(r, STORE_REQUEUE, all) == 600, "the others");
	ok(rows(r, "recipient AS r JOIN destination AS d ON r.destination = d.id "
		   "WHERE d.name = ''") == 2700,
	   "all are to be routed");

	store_change(r->client, STORE_DELETE, &all, 5000, rig_done, r);
	uint64_t meanwhile = rig_accept_at(r, 9000, &one, 1, STR("x"), STORE_ACCEPT_QUEUED);
	size_t before = r->n_done;
	ok(rig_wait(r) == STORE_DONE && r->n_done == before + 2, "others come between the pieces");
	ok(rows(r, "message") == 0 || rig_read(r, meanwhile), "nothing else is left");
	ok(rows(r, "recipient") == rows(r, "message") && rows(r, "content") == rows(r, "message"),
	   "and no part of a message");
	rig_free(r);
}

static void count_changed(void *arg, const struct store_result *result)
{
	ok(result->fault == STORE_DONE, "done");
	*(uint64_t *)arg = result->changed;
}

/* A dead destination: what the first piece made due has been tried before the next one comes. */
TEST(a_retry_in_pieces_asks_for_each_once)
{
	static struct store_rcpt_record v[1200];
	static struct str to[ARRAY_LEN(v)];
	struct rig *r = rig_new(1000);
	const struct store_selection of_one = { .reach = STORE_OF_DESTINATION, .destination = one };
	uint64_t changed = 0;

	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		v[i] = (struct store_rcpt_record){ .index = (uint32_t)i,
						   .verdict = STORE_RETRY_AT,
						   .due_ms = 9000 + (int64_t)i,
						   .was_asked_for = true };
		to[i] = one;
	}
	uint64_t id = rig_accept_at(r, 1000, to, ARRAY_LEN(v), STR("x"), STORE_ACCEPT_QUEUED);
	struct store_record record = { .message = id, .rcpts = v, .n_rcpts = ARRAY_LEN(v) };
	store_record(r->client, &record, rig_done, r);
	ok(rig_wait(r) == STORE_DONE, r->text);

	record.n_rcpts = 500;
	for (size_t i = 0; i < record.n_rcpts; i++)
		v[i].due_ms = 8000;
	store_change(r->client, STORE_RETRY, &of_one, 5000, count_changed, &changed);
	store_record(r->client, &record, rig_done, r);
	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(changed == ARRAY_LEN(v), "as many as there are");
	ok(rows(r, "recipient WHERE due = 5000") == ARRAY_LEN(v) - 500, "the others are due");
	rig_free(r);
}

/* ---- beside a writer ---- */

struct reading {
	struct rig *rig;
	size_t n_rows;
	off_t log_most;
};

static off_t log_size(struct rig *r)
{
	struct stat st;
	char path[STORE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/queue.db-wal", r->directory);
	return stat(path, &st) == 0 ? st.st_size : 0;
}

/* Once in each piece of the list, more is written than the log is to hold. */
static enum store_go_on write_meanwhile(void *arg, const struct store_message *m)
{
	static const char octets[100000];
	struct reading *x = arg;

	(void)m;
	if (x->n_rows++ % 500 != 0 || x->n_rows > 2500)
		return STORE_GO_ON;
	for (int i = 0; i < 180; i++)
		(void)rig_accept_at(x->rig, 5000, &two, 1, str_span(octets, sizeof(octets)),
				    STORE_ACCEPT_QUEUED);
	ok(rig_wait(x->rig) == STORE_DONE, x->rig->text);
	off_t size = log_size(x->rig);
	x->log_most = size > x->log_most ? size : x->log_most;
	return STORE_GO_ON;
}

TEST(a_long_list_keeps_no_log)
{
	struct rig *r = rig_new(200000);
	struct reading x = { .rig = r };
	const struct store_filter f = { .destination = &one };
	struct error e = { 0 };

	for (int i = 0; i < 2500; i++)
		(void)put(r, one, 1000);
	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(store_list(rig_reader(r), &f, write_meanwhile, &x, &e), e.text);
	ok(x.n_rows == 2500, "all of it");
	ok(x.log_most > 0 && x.log_most < 45 * 1000 * 1000, "90 MB went through the log");
	rig_free(r);
}

TEST_MAIN(RUN(a_long_list_keeps_no_log), RUN(the_oldest_message), RUN(destinations_are_counted),
	  RUN(due_ones_by_time_and_message),
	  RUN(a_number_of_a_destination_is_nobody_elses_while_it_is_read),
	  RUN(a_recipient_without_a_message_is_in_nobodys_way), RUN(lists_are_filtered),
	  RUN(a_list_goes_on_behind_where_it_stopped), RUN(changes_of_a_message_and_a_recipient),
	  RUN(changes_of_many_are_done_in_pieces), RUN(a_retry_in_pieces_asks_for_each_once))
