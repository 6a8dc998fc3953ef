/* The two threads: one makes content files durable, the other does the notes that wait, one
 * transaction for all of them. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "os/os.h"
#include "store/room.h"

/* ---- content files ---- */

/* The folders of files made at about the same time are mostly one: it is synchronised when it
 * changes, and counts for all files before it. NULL: all notes are done. */
static struct note *sync_folder(struct note *first, struct store *s)
{
	char folder[STORE_PATH_MAX], other[STORE_PATH_MAX];
	struct note *n = first, *next;
	struct error e = { 0 };

	store_content_folder(first->content, folder);
	bool is_good = store_sync_folder(folder, &e);
	unsigned failures = __atomic_add_fetch(&s->folder_failures, !is_good, __ATOMIC_RELAXED);
	do {
		next = note_next(n);
		/* A name from before a failure may be what was lost: the kernel tells once. */
		n->content->is_durable = n->content->folder_failures == failures;
		if (!n->content->is_durable && is_good)
			error_set(&e, ERROR_IO, "%s: it could not be made durable before", folder);
		if (n->content->is_durable)
			note_queue_put(&s->to_write, n);
		else
			note_fail(n, STORE_IO, error_text(&e));
		n = next;
		if (n)
			store_content_folder(n->content, other);
	} while (n && strcmp(folder, other) == 0);
	return n;
}

/* All files first; those that fail are out. */
static struct note *sync_files(struct note *first)
{
	struct net_note *good = NULL, **last = &good;
	struct note *next;

	for (struct note *n = first; n; n = next) {
		struct error e = { 0 };
		next = note_next(n);
		n->link.next = NULL;
		if (store_content_sync(n->content, &e)) {
			*last = &n->link;
			last = &n->link.next;
		} else {
			note_fail(n, STORE_IO, error_text(&e));
		}
	}
	return good ? note_of(good) : NULL;
}

/* Notes with a file wait here for theirs, and for nobody else's. */
void *store_sync(void *arg)
{
	struct store *s = arg;
	struct note *n;

	while ((n = note_queue_take(&s->to_sync, STORE_SYNC_MAX)) != NULL) {
		n = sync_files(n);
		while (n)
			n = sync_folder(n, s);
	}
	return NULL;
}

/* ---- one transaction ---- */

static enum store_fault fault_of(enum sql_fault f, const struct error *e)
{
	switch (f) {
	case SQL_FAULT_BUSY:
	case SQL_FAULT_INTERRUPTED:
		return STORE_BUSY;
	case SQL_FAULT_FULL:
		return STORE_FULL;
	case SQL_FAULT_CORRUPT:
	case SQL_FAULT_TEXT: /* a table is not there any more */
		return STORE_DAMAGED;
	case SQL_FAULT_CONSTRAINT:
		return STORE_REFUSED;
	case SQL_FAULT_NONE:
	case SQL_FAULT_IO:
	case SQL_FAULT_NO_FILE:
		return STORE_IO;
	case SQL_FAULT_OTHER:
		return e->kind == ERROR_LIMIT ? STORE_REFUSED : STORE_IO;
	}
	CHECK(!"fault of no kind");
}

static bool apply_all(struct writer *w, struct note *first, struct error *e)
{
	for (struct note *n = first; n; n = note_next(n))
		if (!writer_apply(w, n, e))
			return false;
	return true;
}

static bool transact(struct writer *w, struct note *first, struct error *e)
{
	w->tally.messages = w->tally.recipients = 0;
	w->tally.n_files = 0;
	if (!sql_begin(w->db, e) || !apply_all(w, first, e))
		return false;
	w->is_in_doubt = !sql_commit(w->db, e);
	return !w->is_in_doubt;
}

/* After an I/O error nothing that SQLite or the kernel keeps in memory is believed any more: what
 * was committed before is read again from the files. */
static enum store_fault give_up(struct writer *w, const struct error *e)
{
	enum store_fault fault = fault_of(sql_fault(w->db), e);

	sql_rollback(w->db);
	writer_forget(w);
	if (fault == STORE_IO || fault == STORE_DAMAGED)
		writer_close(w);
	return fault;
}

static enum store_fault do_group(struct writer *w, struct note *first, struct error *e)
{
	w->is_in_doubt = false;
	if (w->db && writer_has_moved(w)) {
		error_set(e, ERROR_IO, "%s or its log is not there any more", w->path);
		return STORE_IO;
	}
	if (!w->db && !writer_open(w, e))
		return e->kind == ERROR_DATA ? STORE_DAMAGED : STORE_IO;
	if (transact(w, first, e))
		return STORE_DONE;
	return give_up(w, e);
}

static void measure(struct store *s, const struct note *first, uint64_t since)
{
	uint64_t n = 0;

	for (const struct note *x = first; x; x = note_next(x))
		n++;
	counter_add(&s->counters, COUNTER_store_commits, 1);
	counter_add(&s->counters, COUNTER_store_changes, n);
	histogram_add(&s->counters, HISTOGRAM_store_commit, os_now_ms() - since);
}

static enum store_fault timed_group(struct store *s, struct note *first, struct error *e)
{
	uint64_t since = os_now_ms();
	enum store_fault fault = do_group(&s->writer, first, e);

	if (fault == STORE_DONE)
		measure(s, first, since);
	store_probe_learn(s, first, fault, e, since);
	return fault;
}

/* ---- afterwards ---- */

static void count(struct store *s)
{
	int64_t free_pages;

	if (sql_get_int(s->writer.db, STR("PRAGMA freelist_count"), &free_pages, NULL))
		__atomic_store_n(&s->free_pages, free_pages, __ATOMIC_RELAXED);
	(void)__atomic_add_fetch(&s->messages, s->writer.tally.messages, __ATOMIC_RELAXED);
	(void)__atomic_add_fetch(&s->recipients, s->writer.tally.recipients, __ATOMIC_RELAXED);
}

/* The rows are gone for good: now the files may go. One that a crash leaves is removed at the next
 * start. */
static void remove_files(struct store *s)
{
	const struct writer_tally *t = &s->writer.tally;
	char path[STORE_PATH_MAX];

	for (size_t i = 0; i < t->n_files; i++) {
		store_content_path(s->directory, t->files[i], path);
		(void)unlink(path);
	}
}

static void done(struct store *s, struct note *n)
{
	n->result.changed += n->piece;
	n->result.removed += n->removed;
	if (n->content && (n->kind != NOTE_NOTICE || n->piece > 0))
		n->content->is_kept = true;
	if (!n->is_unfinished) {
		note_return(n);
		return;
	}
	if (n->kind == NOTE_CHANGE) {
		n->u.change.destination = n->u.change.reached;
		n->u.change.due_from = n->u.change.due_reached;
	}
	if (n->kind == NOTE_EXPIRE)
		n->u.expire.looked_at = n->u.expire.reached;
	note_queue_put(&s->to_write, n);
}

static void
finish(struct store *s, struct note *first, enum store_fault fault, const struct error *e)
{
	bool is_written = fault == STORE_DONE && store_has_proof(first);
	struct note *next;

	if (fault == STORE_DONE)
		count(s);
	else if (s->writer.is_in_doubt && fault != STORE_FULL) /* that has not taken the end */
		store_doubt_add(s, first);
	for (struct note *n = first; n; n = next) {
		next = note_next(n);
		if (fault == STORE_DONE)
			done(s, n);
		else
			note_fail(n, fault, error_text(e));
	}
	if (fault == STORE_DONE)
		remove_files(s);
	if (is_written)
		store_doubt_clear(s);
}

/* One note that cannot be must not fail the others: each is tried alone. */
static void one_by_one(struct store *s, struct note *first)
{
	struct note *next;

	for (struct note *n = first; n; n = next) {
		struct error e = { 0 };
		next = note_next(n);
		n->link.next = NULL;
		finish(s, n, timed_group(s, n, &e), &e);
	}
}

/* How much of the log was copied, in SQLite's index of it ("nBackfill"): nothing. Whoever opens
 * the database when nobody has it makes the index anew; this is for a reader in another process
 * that keeps it. */
static void forget_copied(const struct writer *w)
{
	enum { COPIED_AT = 96 };
	const uint32_t none = 0;
	char index[STORE_PATH_MAX + 8];

	(void)snprintf(index, sizeof(index), "%s-shm", w->path);
	int fd = open(index, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!pwrite(fd, &none, sizeof(none), COPIED_AT);
	(void)close(fd);
}

/* What readers are given now may be something older later, and the log would begin anew over what
 * is still needed of it. Ended like this, with the files as they are, the process leaves a log
 * that the next one copies from its start. */
static _Noreturn void lost(const struct writer *w, const struct error *e)
{
	struct error why;

	forget_copied(w);
	(void)error_set(&why, ERROR_IO,
			"%s: the disk lost what was written to it (%s): ending, for only a new "
			"process can write it again",
			w->path, e->text);
	if (w->lost)
		w->lost(w->lost_arg, why.text);
	else
		fprintf(stderr, "hopseal: %s\n", why.text);
	_exit(EX_IOERR);
}

/* Copies the log into the database, when it is long and everybody has been answered. Readers that
 * need old pages keep it from beginning anew: then it is not tried again before it has grown by as
 * much. Failure costs only disk: the log stays, and has everything. */
static void copy_log(struct writer *w)
{
	struct error e;
	int64_t pages = w->db ? sql_log_pages(w->db) : 0;

	if (pages < w->log_pages)
		w->checkpoint_at = STORE_LOG_PAGES;
	w->log_pages = pages;
	if (pages < w->checkpoint_at)
		return;
	w->checkpoint_at = pages + STORE_LOG_PAGES;
	enum sql_copied copied = sql_checkpoint(w->db, &e);
	if (copied == SQL_COPY_LOST)
		lost(w, &e);
	if (copied == SQL_COPY_FAILED && sql_fault(w->db) == SQL_FAULT_IO)
		writer_close(w);
}

/* ---- a full disk ---- */

static bool is_new_mail(const struct note *n)
{
	return n->kind == NOTE_ACCEPT || n->kind == NOTE_PROBE ||
	       (n->kind == NOTE_NOTICE && n->u.notice.notice.message);
}

/* What is left of the group without new mail; NULL: nothing. */
static struct note *refuse_new_mail(struct note *first, const char *why)
{
	struct net_note *left = NULL, **last = &left;
	struct note *next;

	for (struct note *n = first; n; n = next) {
		next = note_next(n);
		n->link.next = NULL;
		if (is_new_mail(n)) {
			note_fail(n, STORE_FULL, str_of(why));
		} else {
			*last = &n->link;
			last = &n->link.next;
		}
	}
	return left ? note_of(left) : NULL;
}

/* What settles mail goes on in the room that was kept back. */
static void do_on_full_disk(struct store *s, struct note *first, const struct error *why)
{
	struct error e = { 0 };

	store_reserve_release(s);
	first = refuse_new_mail(first, why->text);
	if (first)
		finish(s, first, timed_group(s, first, &e), &e);
}

static void do_notes(struct store *s, struct note *first)
{
	struct error e = { 0 };
	enum store_fault fault = timed_group(s, first, &e);

	if (fault == STORE_REFUSED && note_next(first))
		one_by_one(s, first);
	else if (fault == STORE_FULL)
		do_on_full_disk(s, first, &e);
	else
		finish(s, first, fault, &e);
}

void *store_write(void *arg)
{
	struct store *s = arg;
	struct note *first;

	while ((first = note_queue_take(&s->to_write, STORE_GROUP_MAX)) != NULL) {
		first = store_probe_answer(s, first);
		if (first && !store_reserve_keep(s))
			first = refuse_new_mail(first, "the disk is full");
		if (first)
			do_notes(s, first);
		copy_log(&s->writer);
	}
	return NULL;
}
