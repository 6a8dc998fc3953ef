/* A store whose process is killed at any moment, and readers in other processes. */

#include "store/store_test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "os/os.h"

static const struct str pair[] = { STR_INIT("smtp:one.example"), STR_INIT("smtp:two.example") };

enum { INLINE = 3000, WINDOW = 40, TEXT_MAX = 9000 };

/* Told by the process that will be killed; ACCEPTED and RECORDED when the store has answered. */
enum word { ACCEPTED, RECORDING, RECORDED };

struct saying {
	uint64_t id;
	enum word word;
};

/* What the message of that id has as its content: some inline, some in a file. */
static struct str text_of(uint64_t id, char *text)
{
	size_t n = (id >> 8) * 7919 % TEXT_MAX;

	for (size_t i = 0; i < n; i++)
		text[i] = (char)((id >> 8) + i * 31);
	return str_span(text, n);
}

/* ---- the process that is killed ---- */

struct job {
	struct rig *r;
	uint64_t id;
};

static int telling;

static void say(uint64_t id, enum word word)
{
	const struct saying s = { id, word };

	if (write(telling, &s, sizeof(s)) != sizeof(s))
		_exit(1);
}

static void next(struct job *j);

static void job_recorded(void *arg, const struct store_result *result)
{
	struct job *j = arg;

	if (result->fault != STORE_DONE)
		_exit(2);
	say(j->id, RECORDED);
	next(j);
}

/* Of every second message the first recipient is delivered. */
static void job_accepted(void *arg, const struct store_result *result)
{
	struct job *j = arg;
	const struct store_rcpt_record rcpt = { .index = 0, .verdict = STORE_GONE };

	if (result->fault != STORE_DONE)
		_exit(3);
	say(j->id, ACCEPTED);
	if ((j->id >> 8) % 2) {
		next(j);
		return;
	}
	say(j->id, RECORDING);
	store_record(j->r->client,
		     &(struct store_record){ .message = j->id, .rcpts = &rcpt, .n_rcpts = 1 },
		     job_recorded, j);
}

static void next(struct job *j)
{
	char text[TEXT_MAX];
	struct store_content *c;

	arena_reset(j->r->arena);
	j->id = store_client_id(j->r->client);
	struct store_message m = rig_message(j->r, j->id, 1000, pair, 2);
	c = rig_content(j->r, j->id, text_of(j->id, text));
	store_accept(j->r->client, &m, c, STORE_ACCEPT_QUEUED, job_accepted, j);
	store_content_unref(c);
}

static _Noreturn void work_until_killed(struct rig *r)
{
	struct job jobs[WINDOW];

	r->loop = net_loop_new();
	rig_open_store(r);
	for (size_t i = 0; i < WINDOW; i++) {
		jobs[i].r = r;
		next(&jobs[i]);
	}
	net_loop_run(r->loop);
	_exit(4);
}

/* ---- what has to be true afterwards ---- */

struct ledger {
	struct rig *r;
	struct saying *v;
	size_t n, size, n_listed;
	int64_t n_files;
};

static void ledger_read(struct ledger *l, int fd)
{
	struct saying s;

	while (read(fd, &s, sizeof(s)) == sizeof(s)) {
		if (l->n == l->size) {
			l->size = l->size ? 2 * l->size : 256;
			l->v = base_realloc(l->v, l->size * sizeof(*l->v));
		}
		l->v[l->n++] = s;
	}
}

static bool was_said(const struct ledger *l, uint64_t id, enum word word)
{
	for (size_t i = l->n; i-- > 0;)
		if (l->v[i].id == id && l->v[i].word == word)
			return true;
	return false;
}

static void check_acknowledged(const struct ledger *l, uint64_t id)
{
	const struct store_message *m = rig_read(l->r, id);
	bool is_begun = was_said(l, id, RECORDING), is_recorded = was_said(l, id, RECORDED);

	ok(m != NULL, "a message that was acknowledged is there");
	ok(m->n_rcpts == 2 || (m->n_rcpts == 1 && is_begun), "with its recipients");
	ok(m->n_rcpts == 1 || !is_recorded, "a delivery that was recorded is not undone");
}

static enum store_go_on check_whole(void *arg, const struct store_message *m)
{
	struct ledger *l = arg;
	char text[TEXT_MAX];

	if (m->rcpts->index == 0 && (m->id >> 8) % 2)
		ok(rig_read(l->r, m->id)->n_rcpts == 2, "no half of a message");
	if (m->rcpts->index == 1) {
		ok_str(rig_text(l->r, m->id), text_of(m->id, text), "the content is whole");
		l->n_files += rig_has_file(l->r, m->id);
	}
	l->n_listed++;
	if (l->n_listed % 100 == 0)
		arena_reset(l->r->arena);
	return STORE_GO_ON;
}

static int n_found;

static int count_file(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st, (void)f;
	n_found += flag == FTW_F && strstr(path, "/content/") != NULL;
	return 0;
}

static void check_after(struct ledger *l)
{
	struct error e = { 0 };
	int64_t n = 1;

	l->r->loop = net_loop_new();
	rig_open_store(l->r);
	struct sql *db = rig_reader(l->r)->db;
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].word == ACCEPTED)
			check_acknowledged(l, l->v[i].id);
	l->n_listed = 0;
	l->n_files = 0;
	ok(store_list(rig_reader(l->r), &(struct store_filter){ 0 }, check_whole, l, &e), e.text);
	n_found = 0;
	(void)nftw(l->r->directory, count_file, 16, FTW_PHYS);
	ok(n_found == l->n_files, "no file without a message");
	ok(sql_get_int(db,
		       STR("SELECT count(*) FROM message AS m WHERE NOT EXISTS "
			   "(SELECT 1 FROM recipient WHERE message = m.id)"),
		       &n, &e) &&
		   n == 0,
	   "no message without a recipient");
	rig_close_store(l->r);
	net_loop_free(l->r->loop);
	l->r->loop = NULL;
}

static unsigned kill_rounds(void)
{
	const char *text = getenv("HOPSEAL_CRASH_ROUNDS");

	return text ? (unsigned)atoi(text) : 12;
}

/* Killed so long after the start, or after its first word. */
enum moment { SINCE_START, SINCE_FIRST_WORD };

static void one_round(struct ledger *l, enum moment since, unsigned ms)
{
	int pipes[2], status;

	ok(pipe(pipes) == 0, "pipe");
	pid_t child = fork();
	if (child == 0) {
		(void)close(pipes[0]);
		telling = pipes[1];
		work_until_killed(l->r);
	}
	(void)close(pipes[1]);
	struct pollfd word = { .fd = pipes[0], .events = POLLIN };
	ok(since == SINCE_START || poll(&word, 1, -1) == 1, "it says something");
	os_sleep_ms(ms);
	ok(kill(child, SIGKILL) == 0, "kill");
	ledger_read(l, pipes[0]);
	(void)close(pipes[0]);
	ok(waitpid(child, &status, 0) == child, "wait");
	ok(WIFSIGNALED(status), "it worked until it was killed");
	check_after(l);
}

TEST(killed_at_any_moment)
{
	struct rig *r = rig_new(INLINE);
	struct ledger l = { .r = r };

	rig_close_store(r);
	net_loop_free(r->loop);
	r->loop = NULL;
	srandom((unsigned)os_utc_ns());
	for (unsigned i = 0; i < kill_rounds(); i++)
		one_round(&l, i % 2 ? SINCE_START : SINCE_FIRST_WORD,
			  i == 1 ? 2 : (unsigned)random() % 120);
	ok(l.n > 0, "something was acknowledged");
	print_message("# %zu words of %zu recipients in the queue\n", l.n, l.n_listed);
	free(l.v);
	r->loop = net_loop_new();
	rig_free(r);
}

/* ---- readers in other processes ---- */

static enum store_go_on count_listed(void *arg, const struct store_message *m)
{
	size_t *n = arg;

	(void)m;
	++*n;
	return STORE_GO_ON;
}

/* Lists again and again; a list never shrinks, because nothing leaves. */
static _Noreturn void read_until_told(const char *directory, int fd)
{
	struct error e = { 0 };
	struct store_reader *r = NULL;
	size_t last = 0, n_lists = 0;
	char c;

	while (!r) {
		r = store_reader_open(directory, &e);
		os_sleep_ms(1);
	}
	do {
		size_t n = 0;
		if (!store_list(r, &(struct store_filter){ 0 }, count_listed, &n, &e) || n < last)
			_exit(1);
		last = n;
		n_lists++;
	} while (read(fd, &c, 1) < 0);
	store_reader_close(r);
	_exit(n_lists > 1 && last > 0 ? 0 : 2);
}

TEST(a_reader_elsewhere_holds_nothing_up)
{
	struct rig *r = rig_new(INLINE);
	int pipes[2], status;

	rig_close_store(r);
	ok(pipe(pipes) == 0 && fcntl(pipes[0], F_SETFL, O_NONBLOCK) == 0, "pipe");
	pid_t child = fork();
	if (child == 0)
		read_until_told(r->directory, pipes[0]);
	rig_open_store(r);
	for (int i = 0; i < 40; i++) {
		for (int k = 0; k < 50; k++)
			(void)rig_accept_at(r, 1000, pair, 2, STR("x"), STORE_ACCEPT_QUEUED);
		ok(rig_wait(r) == STORE_DONE, r->text);
	}
	ok(write(pipes[1], "x", 1) == 1, "write");
	ok(waitpid(child, &status, 0) == child, "wait");
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it read what it should");
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	rig_free(r);
}

static size_t listed(const char *directory)
{
	struct error e = { 0 };
	struct store_reader *r = store_reader_open(directory, &e);
	size_t n = 0;

	ok(r != NULL, e.text);
	ok(store_list(r, &(struct store_filter){ 0 }, count_listed, &n, &e), e.text);
	store_reader_close(r);
	return n;
}

TEST(a_reader_needs_no_daemon)
{
	struct rig *r = rig_new(INLINE);

	(void)rig_accept_at(r, 1000, pair, 2, STR("x"), STORE_ACCEPT_QUEUED);
	ok(rig_wait(r) == STORE_DONE, r->text);
	ok(listed(r->directory) == 2, "beside it");
	rig_close_store(r);
	ok(listed(r->directory) == 2, "without it");
	rig_open_store(r);
	(void)rig_accept_at(r, 1000, pair, 2, STR("x"), STORE_ACCEPT_QUEUED);
	ok(rig_wait(r) == STORE_DONE && listed(r->directory) == 4, "and again beside it");
	rig_free(r);
}

/* The log begins anew when it has been copied: it does not grow with what passes through. */
TEST(the_log_stays_bounded)
{
	static char text[50000];
	struct rig *r = rig_new(sizeof(text));
	struct error e = { 0 };
	struct stat st;
	char path[STORE_PATH_MAX];
	const struct store_selection all = { .reach = STORE_ALL };
	struct store_reader *slow = store_reader_open(r->directory, &e);

	ok(slow != NULL, e.text);
	(void)snprintf(path, sizeof(path), "%s/queue.db-wal", r->directory);
	for (int i = 0; i < 60; i++) {
		for (int k = 0; k < 30; k++)
			(void)rig_accept_at(r, 1000, pair, 2, str_span(text, sizeof(text)),
					    STORE_ACCEPT_QUEUED);
		store_change(r->client, STORE_DELETE, &all, 1000, rig_done, r);
		ok(rig_wait(r) == STORE_DONE, r->text);
	}
	ok(stat(path, &st) == 0 && st.st_size < 40000000, "90 MB went through");
	store_reader_close(slow);
	rig_free(r);
}

TEST_MAIN(RUN(killed_at_any_moment), RUN(a_reader_elsewhere_holds_nothing_up),
	  RUN(a_reader_needs_no_daemon), RUN(the_log_stays_bounded))
