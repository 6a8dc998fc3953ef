/* A disk that fails. SQLite and the store find the system calls below before the C library's. */

#include "store/store_test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "os/os.h"

#define SEEN __attribute__((visibility("default")))

/* Counts down with each call of its kind; at 0 it fails once, below it does nothing. */
struct trap {
	int left, error;
};

static bool is_room_taken(void);
static int full_error = ENOSPC; /* or EDQUOT */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct trap on_write, on_sync, on_read;
static unsigned n_writes, n_syncs; /* so far */
static bool is_dirty;              /* written to since the last sync */

static void trap_set(struct trap *t, int left, int error)
{
	pthread_mutex_lock(&mutex);
	*t = (struct trap){ left, error };
	pthread_mutex_unlock(&mutex);
}

/* The error, or 0. */
static int trap_spring(struct trap *t)
{
	return t->left > 0 && --t->left == 0 ? t->error : 0;
}

SEEN ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	pthread_mutex_lock(&mutex);
	int error = is_room_taken() ? full_error : trap_spring(&on_write);
	n_writes++;
	is_dirty = true;
	pthread_mutex_unlock(&mutex);
	if (error == 0)
		return syscall(SYS_pwrite64, fd, p, n, at);
	errno = error;
	return -1;
}

SEEN ssize_t pread64(int fd, void *p, size_t n, off64_t at)
{
	pthread_mutex_lock(&mutex);
	int error = trap_spring(&on_read);
	pthread_mutex_unlock(&mutex);
	if (error == 0)
		return syscall(SYS_pread64, fd, p, n, at);
	errno = error;
	return -1;
}

SEEN int fdatasync(int fd)
{
	pthread_mutex_lock(&mutex);
	int error = trap_spring(&on_sync);
	n_syncs++;
	is_dirty = false;
	pthread_mutex_unlock(&mutex);
	if (error == 0)
		return (int)syscall(SYS_fdatasync, fd);
	errno = error;
	return -1;
}

static bool look(bool *what)
{
	pthread_mutex_lock(&mutex);
	bool is = *what;
	pthread_mutex_unlock(&mutex);
	return is;
}

/* A disk that is full but for what the reserve takes. */
static char reserve[STORE_PATH_MAX];
static bool is_full;

static bool is_room_taken(void)
{
	return is_full && access(reserve, F_OK) == 0;
}

SEEN int statvfs(const char *restrict path, struct statvfs *restrict v)
{
	(void)path;
	*v = (struct statvfs){ .f_bavail = look(&is_full) ? 1 : 1000000, .f_frsize = 4096 };
	return 0;
}

static const struct str one = STR_INIT("smtp:one.example");

static void accepted(void *arg, const struct store_result *result)
{
	ok(!look(&is_dirty), "what was written is on the disk when it is acknowledged");
	rig_done(arg, result);
}

static unsigned syncs(void)
{
	pthread_mutex_lock(&mutex);
	unsigned n = n_syncs;
	pthread_mutex_unlock(&mutex);
	return n;
}

TEST(nothing_is_acknowledged_before_it_is_durable)
{
	struct rig *r = rig_new(1000);

	for (int i = 0; i < 20; i++) {
		uint64_t id = store_client_id(r->client);
		struct store_message m = rig_message(r, id, 1000, &one, 1);
		struct store_content *c = rig_content(r, id, STR("x"));
		unsigned before = syncs();
		store_accept(r->client, &m, c, STORE_ACCEPT_QUEUED, accepted, r);
		ok(rig_wait(r) == STORE_DONE, r->text);
		ok(n_syncs > before, "and this is how the test knows that it sees the calls");
		store_content_unref(c);
	}
	rig_free(r);
}

/* Each page goes into the log as two writes when SQLite is let. */
TEST(the_pages_of_a_commit_are_written_together)
{
	struct rig *r = rig_new(100000);
	static char text[80000]; /* twenty pages */

	(void)rig_accept(r, one, STR("first"));
	pthread_mutex_lock(&mutex);
	unsigned before = n_writes;
	pthread_mutex_unlock(&mutex);
	(void)rig_accept(r, one, str_span(text, sizeof(text)));
	ok(n_writes - before <= 4, "few calls");
	rig_free(r);
}

static enum store_fault try_one(struct rig *r, struct str text, uint64_t *id)
{
	*id = rig_accept_at(r, 1000, &one, 1, text, STORE_ACCEPT_QUEUED);
	return rig_wait(r);
}

static const struct {
	const char *rule;
	struct trap *trap;
	int error;
	enum store_fault fault;
} troubles[] = {
	{ "a full disk", &on_write, ENOSPC, STORE_FULL },
	{ "a quota", &on_write, EDQUOT, STORE_FULL },
	{ "a write that fails", &on_write, EIO, STORE_IO },
	{ "a sync that fails", &on_sync, EIO, STORE_IO },
};

/* Each system call of an accept fails in its turn. */
TEST(a_disk_that_fails_once)
{
	FOR_EACH(c, troubles) {
		struct rig *r = rig_new(1000);
		uint64_t kept = rig_accept(r, one, STR("kept")), id = 0, last;
		enum store_fault fault;
		int turn = 1;

		for (;; turn++) {
			trap_set(c->trap, turn, c->error);
			fault = try_one(r, STR("y"), &id);
			if (fault == STORE_DONE)
				break;
			ok(fault == c->fault && r->text[0], c->rule);
			ok(!rig_read(r, id) && !rig_text(r, id).p, "nothing of it is there");
			ok(rig_read(r, kept) != NULL, "what was there is there still");
			ok(try_one(r, STR("z"), &last) == STORE_DONE, "and the store goes on");
			kept = last;
		}
		trap_set(c->trap, 0, 0);
		ok(turn > 1, "some call did fail");
		rig_reopen(r);
		ok(rig_read(r, id) && rig_read(r, kept), "all acknowledged ones are there");
		struct store_space s;
		ok(store_space(r->store, &s, NULL) && s.messages == (uint64_t)turn + 1, "no other");
		rig_free(r);
	}
}

TEST(a_group_fails_whole)
{
	struct rig *r = rig_new(1000);
	uint64_t ids[50];
	size_t n_there = 0;

	(void)rig_accept(r, one, STR("x"));
	trap_set(&on_sync, 2, EIO);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ids[i] = rig_accept_at(r, 1000, &one, 1, STR("x"), STORE_ACCEPT_QUEUED);
	(void)rig_wait(r);
	trap_set(&on_sync, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		n_there += rig_read(r, ids[i]) != NULL;
	struct store_space s;
	ok(store_space(r->store, &s, NULL) && s.messages == 1 + n_there, "counted as committed");
	rig_free(r);
}

/* A caller may try again with the content that it has. */
static enum store_fault try_again(struct rig *r, struct store_content *c, uint64_t id)
{
	struct store_message m = rig_message(r, id, 1000, &one, 1);

	store_accept(r->client, &m, c, STORE_ACCEPT_QUEUED, rig_done, r);
	return rig_wait(r);
}

TEST(a_file_is_synchronised_once)
{
	struct rig *r = rig_new(0);
	uint64_t lost = store_client_id(r->client), kept = store_client_id(r->client);
	struct store_content *bad = rig_content(r, lost, STR("large"));
	struct store_content *good = rig_content(r, kept, STR("large"));

	trap_set(&on_sync, 1, EIO);
	ok(try_again(r, bad, lost) == STORE_IO, "the file's sync");
	ok(try_again(r, bad, lost) == STORE_IO, "is never believed again");
	trap_set(&on_sync, 2, EIO);
	ok(try_again(r, good, kept) == STORE_IO, "the log's sync");
	trap_set(&on_sync, 0, 0);
	ok(try_again(r, good, kept) == STORE_DONE, "the file is durable still");
	store_content_unref(bad);
	store_content_unref(good);
	ok_str(rig_text(r, kept), STR("large"), "and there");
	ok(!rig_read(r, lost) && !rig_has_file(r, lost), "the other one is not");
	rig_free(r);
}

/* Accepts one whose commit fails, and is gone before anything else is written. */
static _Noreturn void fail_and_die(struct rig *r, int tell)
{
	uint64_t id;

	r->loop = net_loop_new();
	rig_open_store(r);
	(void)rig_accept(r, one, STR("x")); /* the log's beginning has a sync of its own */
	trap_set(&on_sync, 2, EIO);
	if (try_one(r, STR("large"), &id) != STORE_IO || write(tell, &id, sizeof(id)) < 0)
		_exit(1);
	_exit(0);
}

TEST(what_a_crash_brings_back_has_its_content)
{
	struct rig *r = rig_new(0);
	int pipes[2], status;
	uint64_t id;

	(void)rig_accept(r, one, STR("x"));
	rig_close_store(r);
	net_loop_free(r->loop);
	ok(pipe(pipes) == 0, "pipe");
	pid_t child = fork();
	if (child == 0)
		fail_and_die(r, pipes[1]);
	ok(waitpid(child, &status, 0) == child && status == 0, "the log's sync failed");
	ok(read(pipes[0], &id, sizeof(id)) == sizeof(id), "and this is its id");
	r->loop = net_loop_new();
	rig_open_store(r);
	ok(rig_read(r, id) != NULL, "the log was written, and is believed at the next start");
	ok_str(rig_text(r, id), STR("large"), "so the file is needed");
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	rig_free(r);
}

TEST(what_was_refused_is_removed_when_it_cannot_come_back)
{
	struct rig *r = rig_new(0);
	uint64_t lost, kept;

	(void)rig_accept(r, one, STR("x"));
	trap_set(&on_sync, 2, EIO);
	ok(try_one(r, STR("large"), &lost) == STORE_IO, "the log's sync");
	store_change(r->client, STORE_RETRY, &(struct store_selection){ .reach = STORE_ALL }, 0,
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE, "in which nothing is written");
	ok(rig_has_file(r, lost), "it may come back");
	ok(try_one(r, STR("large"), &kept) == STORE_DONE, r->text);
	rig_reopen(r);
	ok(!rig_read(r, lost) && !rig_has_file(r, lost), "written over");
	ok_str(rig_text(r, kept), STR("large"), "by this one");
	rig_free(r);
}

TEST(a_content_file_that_cannot_be_synchronised)
{
	struct rig *r = rig_new(0);
	uint64_t id, other;

	(void)rig_accept(r, one, STR("x"));
	trap_set(&on_sync, 1, EIO);
	ok(try_one(r, STR("large"), &id) == STORE_IO, "the file's own sync comes first");
	ok(!rig_read(r, id) && !rig_has_file(r, id), "neither row nor file");
	ok(try_one(r, STR("large"), &other) == STORE_DONE, r->text);
	ok_str(rig_text(r, other), STR("large"), "the next one is whole");
	rig_free(r);
}

/* Long enough for the log to be copied again and again, with failures anywhere. */
TEST(failures_while_the_log_is_copied)
{
	static char text[900000];
	struct rig *r = rig_new(sizeof(text));
	uint64_t ids[60];
	bool is_there[60];
	size_t n = 0;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		text[7] = (char)i;
		if (i % 3 == 1)
			trap_set(&on_write, 200 + (int)i * 13, i % 2 ? EIO : ENOSPC);
		if (i % 3 == 2)
			trap_set(&on_sync, 1 + (int)i / 3 % 4, EIO);
		is_there[i] = try_one(r, str_span(text, sizeof(text)), &ids[i]) == STORE_DONE;
		n += is_there[i];
	}
	trap_set(&on_write, 0, 0);
	trap_set(&on_sync, 0, 0);
	ok(n > 10 && n < ARRAY_LEN(ids), "some failed and some did not");
	rig_reopen(r);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		arena_reset(r->arena);
		text[7] = (char)i;
		struct str want = is_there[i] ? str_span(text, sizeof(text)) : STR_NONE;
		ok_str(rig_text(r, ids[i]), want, "whole or not at all");
	}
	rig_free(r);
}

TEST(a_full_database_has_room_again_when_mail_leaves)
{
	static char text[4000];
	struct rig *r = rig_new(sizeof(text));
	uint64_t ids[200], id = 0;
	size_t n = 0;

	rig_close_store(r);
	r->options.pages_max = 120;
	rig_open_store(r);
	while (n < ARRAY_LEN(ids) &&
	       try_one(r, str_span(text, sizeof(text)), &ids[n]) == STORE_DONE)
		n++;
	ok(n > 20 && n < ARRAY_LEN(ids) && r->fault == STORE_FULL, r->text);
	ok(try_one(r, str_span(text, sizeof(text)), &id) == STORE_FULL, "still full");
	store_change(r->client, STORE_DELETE,
		     &(struct store_selection){ .reach = STORE_OF_MESSAGE, .message = ids[0] }, 0,
		     rig_done, r);
	ok(rig_wait(r) == STORE_DONE, "mail can leave a full disk");
	ok(try_one(r, str_span(text, sizeof(text)), &id) == STORE_DONE, "and makes room");
	rig_free(r);
}

static enum store_fault probe(struct rig *r)
{
	store_probe(r->client, rig_done, r);
	return rig_wait(r);
}

static struct rig *rig_with_probes(uint64_t age_ms)
{
	struct rig *r = rig_new(1000);

	rig_close_store(r);
	r->options.probe_age_ms = age_ms;
	rig_open_store(r);
	return r;
}

enum { LONG_MS = 24 * 3600 * 1000 };

/* The least age there is: two probes are in different milliseconds here. */
static void wait_until_stale(void)
{
	uint64_t now = os_now_ms();

	while (os_now_ms() <= now)
		(void)usleep(100);
}

TEST(a_probe_writes)
{
	struct rig *r = rig_with_probes(1);

	for (int i = 0; i < 3; i++) {
		wait_until_stale();
		trap_set(&on_sync, i == 1, EIO);
		unsigned before = syncs();
		ok(probe(r) == (i == 1 ? STORE_IO : STORE_DONE), r->text);
		ok(syncs() > before, "the disk was asked");
	}
	ok(counter_read(store_counters(r->store), COUNTER_store_commits) == 2,
	   "those that failed not");
	rig_free(r);
}

TEST(a_probe_is_told_what_was_seen_of_late)
{
	struct rig *r = rig_with_probes(LONG_MS);
	uint64_t id;

	ok(probe(r) == STORE_DONE, r->text);
	unsigned before = syncs();
	for (int i = 0; i < 20; i++)
		ok(probe(r) == STORE_DONE, r->text);
	ok(syncs() == before, "it could be written");
	trap_set(&on_sync, 1, EIO);
	ok(try_one(r, STR("x"), &id) == STORE_IO, r->text);
	before = syncs();
	for (int i = 0; i < 20; i++)
		ok(probe(r) == STORE_IO && r->text[0], "it could not, and why");
	ok(syncs() == before, "which was not tried again");
	ok(try_one(r, STR("x"), &id) == STORE_DONE, r->text);
	before = syncs();
	ok(probe(r) == STORE_DONE, "mail was written");
	ok(syncs() == before, "which says enough");
	rig_free(r);
}

TEST(mail_that_is_written_is_probe_enough)
{
	struct rig *r = rig_with_probes(LONG_MS);
	struct store_selection nothing = { .reach = STORE_OF_MESSAGE };

	store_change(r->client, STORE_RETRY, &nothing, 0, rig_done, r);
	ok(rig_wait(r) == STORE_DONE, "a transaction that writes nothing");
	unsigned before = syncs();
	ok(probe(r) == STORE_DONE && syncs() > before, "says nothing");
	rig_reopen(r);
	(void)rig_accept(r, one, STR("x"));
	before = syncs();
	ok(probe(r) == STORE_DONE && syncs() == before, "mail does");
	rig_free(r);
}

static enum store_fault deliver(struct rig *r, uint64_t id)
{
	const struct store_rcpt_record rcpt = { .verdict = STORE_GONE };

	store_record(r->client,
		     &(struct store_record){ .message = id, .rcpts = &rcpt, .n_rcpts = 1 },
		     rig_done, r);
	return rig_wait(r);
}

static void set_full(bool full)
{
	pthread_mutex_lock(&mutex);
	is_full = full;
	pthread_mutex_unlock(&mutex);
}

static void leave_a_full_disk(int error)
{
	struct rig *r = rig_new(1000);
	uint64_t ids[4], id;

	rig_close_store(r);
	r->options.reserve_octets = 65536;
	(void)snprintf(reserve, sizeof(reserve), "%s/reserve", r->directory);
	rig_open_store(r);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ids[i] = rig_accept(r, one, STR("x"));
	ok(access(reserve, F_OK) == 0, "room is kept back");

	full_error = error;
	set_full(true);
	size_t before = r->n_done;
	id = rig_accept_at(r, 1000, &one, 1, STR("y"), STORE_ACCEPT_QUEUED);
	ok(deliver(r, ids[0]) == STORE_DONE, "a delivery is recorded");
	ok(r->n_done == before + 2 && !rig_read(r, id) && !rig_read(r, ids[0]), "new mail is not");
	ok(access(reserve, F_OK) != 0, "in the room kept back");
	ok(probe(r) == STORE_FULL, "which probes are not told of");
	ok(try_one(r, STR("z"), &id) == STORE_FULL, "which is not for new mail");
	ok(deliver(r, ids[1]) == STORE_DONE, "but for what leaves");
	rig_reopen(r);
	ok(try_one(r, STR("z"), &id) == STORE_FULL, "after a restart, too");
	ok(deliver(r, ids[2]) == STORE_DONE, r->text);

	set_full(false);
	ok(try_one(r, STR("z"), &id) == STORE_DONE, "until there is room for both");
	ok(access(reserve, F_OK) == 0, "kept back again");
	rig_free(r);
}

TEST(mail_leaves_a_full_disk)
{
	leave_a_full_disk(ENOSPC);
}

/* The reserve is of the same account. */
TEST(mail_leaves_when_the_quota_is_used_up)
{
	leave_a_full_disk(EDQUOT);
}

TEST(a_damaged_database_says_so)
{
	static char text[3000];
	struct rig *r = rig_new(sizeof(text));
	char path[STORE_PATH_MAX], garbage[4096];
	struct error e = { 0 };
	size_t at;

	for (int i = 0; i < 40; i++)
		(void)rig_accept_at(r, 1000, &one, 1, str_span(text, sizeof(text)),
				    STORE_ACCEPT_QUEUED);
	ok(rig_wait(r) == STORE_DONE, r->text);
	rig_close_store(r);
	(void)snprintf(path, sizeof(path), "%s/queue.db", r->directory);
	memset(garbage, 0x5a, sizeof(garbage));
	FILE *f = fopen(path, "r+");
	ok(f && fseek(f, 4096, SEEK_SET) == 0, "open");
	for (int i = 0; i < 20; i++)
		ok(fwrite(garbage, 1, sizeof(garbage), f) == sizeof(garbage), "write");
	ok(fclose(f) == 0, "close");
	ok(!store_open(&r->options, &e) && e.kind == ERROR_DATA, e.text);
	ok(str_search(error_text(&e), STR("damaged"), &at) &&
		   str_search(error_text(&e), str_of(path), &at),
	   e.text);
	rig_free(r);
}

/* Each read of a start fails in its turn: the disk's trouble is not the database's. */
TEST(a_database_that_cannot_be_read)
{
	static char text[3000];
	struct rig *r = rig_new(sizeof(text));
	struct error e = { 0 };
	size_t at, n_pages = 0;
	int turn = 1;

	for (int i = 0; i < 40; i++)
		(void)rig_accept_at(r, 1000, &one, 1, str_span(text, sizeof(text)),
				    STORE_ACCEPT_QUEUED);
	ok(rig_wait(r) == STORE_DONE, r->text);
	rig_close_store(r);
	for (;; turn++) {
		trap_set(&on_read, turn, EIO);
		if ((r->store = store_open(&r->options, &e)) != NULL)
			break;
		ok(e.kind == ERROR_IO, e.text);
		n_pages += str_search(error_text(&e), STR("cannot be read"), &at);
	}
	trap_set(&on_read, 0, 0);
	ok(turn > 20 && n_pages > 10, "reads did fail, and most while the pages were checked");
	rig_free(r);
}

TEST_MAIN(RUN(nothing_is_acknowledged_before_it_is_durable),
	  RUN(the_pages_of_a_commit_are_written_together), RUN(a_disk_that_fails_once),
	  RUN(a_group_fails_whole), RUN(a_content_file_that_cannot_be_synchronised),
	  RUN(what_a_crash_brings_back_has_its_content),
	  RUN(what_was_refused_is_removed_when_it_cannot_come_back),
	  RUN(a_file_is_synchronised_once), RUN(failures_while_the_log_is_copied),
	  RUN(a_full_database_has_room_again_when_mail_leaves), RUN(mail_leaves_a_full_disk),
	  RUN(mail_leaves_when_the_quota_is_used_up), RUN(a_probe_writes),
	  RUN(a_probe_is_told_what_was_seen_of_late), RUN(mail_that_is_written_is_probe_enough),
	  RUN(a_damaged_database_says_so), RUN(a_database_that_cannot_be_read))
