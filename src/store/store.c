/* The store: opened, closed, and how much room it has. */

#include "store/store.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/room.h"

static bool read_state(struct store *s, struct error *e)
{
	struct sql *db = s->writer.db;
	int64_t last = 0, tried = 0;

	if (!sql_get_int(db, STR("SELECT ifnull(max(id), 0) FROM message"), &last, e) ||
	    !sql_get_int(db, STR("SELECT ifnull(max(message), 0) FROM attempt"), &tried, e) ||
	    !sql_get_int(db, STR("SELECT count(*) FROM message"), &s->messages, e) ||
	    !sql_get_int(db, STR("SELECT count(*) FROM recipient"), &s->recipients, e) ||
	    !sql_get_int(db, STR("PRAGMA freelist_count"), &s->free_pages, e))
		return false;
	s->last_id_us = (uint64_t)(last > tried ? last : tried) >> 8;
	return true;
}

static bool start_both(struct store *s, struct error *e)
{
	int code = pthread_create(&s->writing, NULL, store_write, s);

	if (code == 0 && (code = pthread_create(&s->syncing, NULL, store_sync, s)) != 0) {
		note_queue_close(&s->to_write);
		CHECK(pthread_join(s->writing, NULL) == 0);
	}
	return code == 0 || error_set(e, ERROR_SYSTEM, "a thread: %s", strerror(code));
}

/* Signals are for the threads that were there before. */
static bool start_threads(struct store *s, struct error *e)
{
	sigset_t all, before;

	(void)sigfillset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	bool is_started = start_both(s, e);
	CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (!is_started)
		return false;
	(void)pthread_setname_np(s->writing, "store-write");
	(void)pthread_setname_np(s->syncing, "store-sync");
	return true;
}

static void store_free(struct store *s)
{
	writer_close(&s->writer);
	store_doubt_fini(s);
	free(s->writer.tally.files);
	note_queue_fini(&s->to_write);
	note_queue_fini(&s->to_sync);
	if (s->lock_fd >= 0)
		(void)close(s->lock_fd);
	store_memory_unref(s->memory);
	free(s);
}

static bool has_losses(const struct store *s)
{
	return s->losses.recipients > 0 || s->losses.messages > 0;
}

static bool check_rows(struct store *s, struct error *e)
{
	struct sql *db = s->writer.db;

	return store_sound_rows(db, &s->losses, e) &&
	       (has_losses(s) || store_directory_sweep(s->directory, db, e));
}

static bool open_database(struct store *s, const struct store_options *o, struct error *e)
{
	struct writer *w = &s->writer;

	(void)snprintf(s->directory, sizeof(s->directory), "%s", o->directory);
	(void)snprintf(w->path, sizeof(w->path), "%s/" STORE_DATABASE, s->directory);
	w->directory = s->directory;
	w->pages_max = o->pages_max;
	w->is_checked = o->is_checked;
	w->lost = o->lost;
	w->lost_arg = o->lost_arg;
	if (!writer_open(w, e))
		return false;
	/* The log's name, too: SQLite does not say when it could not make it durable. */
	if ((!o->is_checked || check_rows(s, e)) && read_state(s, e) &&
	    store_sync_folder(s->directory, e))
		return true;
	return error_prefix(e, "%s", w->path);
}

struct str store_trouble(const struct store *s, struct arena *a)
{
	if (!has_losses(s))
		return STR("");
	return arena_fmt(a,
			 "%s is damaged: %lld recipients are without their message or their "
			 "destination, and %lld messages without a recipient; all other mail goes "
			 "on, and no file was removed",
			 s->writer.path, (long long)s->losses.recipients,
			 (long long)s->losses.messages);
}

struct store *store_open(const struct store_options *o, struct error *e)
{
	struct store *s = base_alloc(sizeof(*s));

	note_queue_init(&s->to_write);
	note_queue_init(&s->to_sync);
	s->inline_limit = o->inline_limit;
	s->memory = store_memory_new(o->content_memory_limit);
	s->reserve_octets = o->reserve_octets;
	s->probe_age_ms = o->probe_age_ms;
	s->lock_fd = store_directory_take(o->directory, o->lock_wait_ms, e);
	if (s->lock_fd >= 0 && open_database(s, o, e) && start_threads(s, e))
		return s;
	store_free(s);
	return NULL;
}

/* Files first: their notes go on to the writer. */
void store_close(struct store *s)
{
	if (!s)
		return;
	CHECK(__atomic_load_n(&s->n_clients, __ATOMIC_ACQUIRE) == 0);
	note_queue_close(&s->to_sync);
	CHECK(pthread_join(s->syncing, NULL) == 0);
	note_queue_close(&s->to_write);
	CHECK(pthread_join(s->writing, NULL) == 0);
	store_free(s);
}

/* ---- space ---- */

static uint64_t size_of(const char *path, const char *behind)
{
	char whole[STORE_PATH_MAX + 8];
	struct stat st;

	(void)snprintf(whole, sizeof(whole), "%s%s", path, behind);
	return stat(whole, &st) == 0 ? (uint64_t)st.st_size : 0;
}

const struct log_counters *store_counters(const struct store *s)
{
	return &s->counters;
}

bool store_space(struct store *s, struct store_space *out, struct error *e)
{
	struct statvfs v;

	if (statvfs(s->directory, &v) != 0)
		return error_set(e, ERROR_IO, "%s: %s", s->directory, strerror(errno));
	*out = (struct store_space){
		.free_octets = (uint64_t)v.f_bavail * v.f_frsize,
		.database_octets = size_of(s->writer.path, "") + size_of(s->writer.path, "-wal"),
		.reusable_octets =
			(uint64_t)__atomic_load_n(&s->free_pages, __ATOMIC_RELAXED) * 4096,
		.messages = (uint64_t)__atomic_load_n(&s->messages, __ATOMIC_RELAXED),
		.recipients = (uint64_t)__atomic_load_n(&s->recipients, __ATOMIC_RELAXED),
		.content_memory_octets = store_memory_used(s->memory),
		.notes = note_queue_length(&s->to_write) + note_queue_length(&s->to_sync),
	};
	return true;
}

/* What is beyond the inline limit is a file's, and so is what is larger than the whole budget. */
bool store_memory_is_short(const struct store *s, uint64_t size_octets)
{
	uint64_t wanted = size_octets < s->inline_limit ? size_octets : s->inline_limit;

	return store_memory_used(s->memory) > 0 && !store_memory_has_room(s->memory, wanted);
}
