#define _GNU_SOURCE /* memmem */

#include "os/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/test.h"
#include "os/log_out.h"
#include "os/os.h"

enum { WRITERS = 4, LINES = 200 };

static const struct log_value values[] = {
	{ .field = FIELD_queue_id, .text = STR_INIT("4Xy") },
	{ .field = FIELD_message_id, .text = STR_INIT("<a@b>\r\nforged") },
};
static const struct log_event event = { EVENT_message_id, values, 2, STR_INIT("") };

struct place {
	char dir[64], path[96], moved[96];
};

static struct place place_new(void)
{
	struct place p;

	strcpy(p.dir, "/tmp/hopseal-log-XXXXXX");
	ok(mkdtemp(p.dir) != NULL, "a folder");
	snprintf(p.path, sizeof(p.path), "%s/log", p.dir);
	snprintf(p.moved, sizeof(p.moved), "%s/log.1", p.dir);
	return p;
}

static void place_free(struct place *p)
{
	unlink(p->path);
	unlink(p->moved);
	rmdir(p->dir);
}

static struct os_log *log_new(const struct place *p, enum os_log_form form)
{
	struct os_log_options o = { .path = str_of(p->path),
				    .name = STR("hopseal"),
				    .facility = STR("mail"),
				    .form = form };
	struct error e;
	struct os_log *l = os_log_new(&o, &e);

	ok(l != NULL, "open");
	return l;
}

static struct str read_all(struct buf *b, const char *path)
{
	buf_init(b, 1 << 20);
	ok(os_file_read(path, b, NULL, NULL), "the file");
	return buf_str(b);
}

TEST(a_line_of_a_file_has_time_machine_program_and_process)
{
	struct place p = place_new();
	struct os_log *l = log_new(&p, OS_LOG_TEXT);
	struct buf b;
	char want[128];
	size_t at;

	os_log_event(l, &event);
	struct str text = read_all(&b, p.path);
	snprintf(want, sizeof(want), " hopseal/cleanup[%d]: 4Xy: message-id=<a@b>?\?forged\n",
		 (int)getpid());
	ok(str_has_suffix(text, str_of(want)), "one line");
	ok(text.p[3] == ' ' && text.p[9] == ':' && text.p[12] == ':', "Nov 22 11:30:00");
	ok(str_find(text, '\n', &at) && at == text.n - 1, "one line end");
	buf_fini(&b);
	os_log_free(l);
	place_free(&p);
}

TEST(a_line_of_json_is_an_object)
{
	struct place p = place_new();
	struct os_log *l = log_new(&p, OS_LOG_JSON);
	struct buf b;

	os_log_event(l, &event);
	struct str text = read_all(&b, p.path);
	ok(str_has_prefix(text, STR("{\"at\":\"20")), "begins with the time");
	ok(str_has_suffix(text, STR("\"message_id\":\"<a@b>\\r\\nforged\"}\n")), "ends");
	buf_fini(&b);
	os_log_free(l);
	place_free(&p);
}

TEST(after_a_rename_reopening_begins_a_new_file)
{
	struct place p = place_new();
	struct os_log *l = log_new(&p, OS_LOG_TEXT);
	struct buf b;
	struct error e;

	os_log_event(l, &event);
	ok(rename(p.path, p.moved) == 0, "renamed");
	os_log_event(l, &event);
	ok(os_log_reopen(l, &e), "reopened");
	os_log_event(l, &event);
	struct str old = read_all(&b, p.moved);
	size_t n_old = old.n;
	buf_fini(&b);
	ok(read_all(&b, p.path).n * 2 == n_old, "two lines there, one here");
	buf_fini(&b);
	ok(unlink(p.path) == 0 && unlink(p.moved) == 0 && rmdir(p.dir) == 0, "all gone");
	ok(!os_log_reopen(l, &e) && e.kind == ERROR_IO, "no folder: the old file is written on");
	os_log_event(l, &event); /* into the file that has no name any more */
	os_log_free(l);
}

TEST(another_file_while_it_is_written)
{
	struct place p = place_new();
	struct os_log *l = log_new(&p, OS_LOG_TEXT);
	struct buf b;
	struct error e;

	os_log_event(l, &event);
	ok(os_log_move(l, str_of(p.path), 0600, &e), "the same is no change");
	ok(os_log_move(l, str_of(p.moved), 0600, &e), e.text);
	os_log_event(l, &event);
	size_t n = read_all(&b, p.path).n;
	buf_fini(&b);
	ok(read_all(&b, p.moved).n == n, "one line there, one here");
	buf_fini(&b);
	ok(!os_log_move(l, str_of(p.dir), 0600, &e) && e.kind == ERROR_IO, "a folder");
	ok(!os_log_move(l, STR("/nonexistent/log"), 0600, &e) && e.kind == ERROR_IO, "nowhere");
	ok(!os_log_move(l, STR("/dev/stdout"), 0600, &e) && e.kind == ERROR_CONFIG, "a stream");
	ok(!os_log_move(l, STR(""), 0600, &e) && e.kind == ERROR_CONFIG, "the system's log");
	os_log_event(l, &event);
	ok(read_all(&b, p.moved).n == 2 * n, "it goes on as it was");
	buf_fini(&b);
	os_log_free(l);
	place_free(&p);
}

TEST(a_file_is_made_with_its_mode)
{
	struct place p = place_new();
	struct os_log_out_options o = { .path = str_of(p.path), .mode = 0640 };
	struct error e;
	struct stat s;

	mode_t before = umask(0077);
	struct os_log_out *l = os_log_out_new(&o, &e);
	ok(l && stat(p.path, &s) == 0 && (s.st_mode & 0777) == 0640, "whatever the umask");
	ok(chmod(p.path, 0604) == 0 && os_log_out_reopen(l, &e), "opened again");
	ok(stat(p.path, &s) == 0 && (s.st_mode & 0777) == 0604, "one that is there keeps its own");
	umask(before);
	os_log_out_free(l);
	place_free(&p);
}

TEST(a_link_is_not_given_away)
{
	struct place p = place_new();
	struct os_log_out_options o = { .path = str_of(p.path) };
	struct error e;
	const unsigned other = geteuid() + 1;

	ok(mknod(p.moved, S_IFREG | 0600, 0) == 0 && symlink(p.moved, p.path) == 0, "a link");
	struct os_log_out *l = os_log_out_new(&o, &e);
	ok(l && !os_log_out_give(l, other, other, &e), "to another file");
	ok(os_log_out_give(l, geteuid(), getegid(), &e), "nothing to give");
	os_log_out_free(l);
	ok(unlink(p.path) == 0 && link(p.moved, p.path) == 0, "a second name");
	l = os_log_out_new(&o, &e);
	ok(l && !os_log_out_give(l, other, other, &e), "of another file");
	os_log_out_free(l);
	place_free(&p);
}

/* ---- those who read slowly ---- */

enum { MANY = 3000 };

static int system_log(const struct place *p)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	strcpy(a.sun_path, p->path);
	ok(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "the system's log");
	return fd;
}

static struct os_log *system_log_new(const struct place *p)
{
	struct os_log_options o = { .name = STR("hopseal"),
				    .facility = STR("mail"),
				    .system = str_of(p->path) };
	struct error e;

	return os_log_new(&o, &e);
}

static struct str receive(int fd, char *text, size_t size)
{
	ssize_t n = recv(fd, text, size, 0);

	return str_span(text, n < 0 ? 0 : (size_t)n);
}

static void log_number(struct os_log *l, int64_t n)
{
	const struct log_value v = { .field = FIELD_seconds, .number = n };
	const struct log_event e = { .id = EVENT_suspended, .values = &v, .n_values = 1 };

	os_log_event(l, &e);
}

static bool contains(struct str text, const char *part)
{
	return text.n > 0 && memmem(text.p, text.n, part, strlen(part));
}

static bool has_number(struct str line, int n)
{
	char want[32];

	(void)snprintf(want, sizeof(want), "suspended for %ds", n);
	return contains(line, want);
}

TEST(a_slow_system_log_gets_every_line_in_order)
{
	struct place p = place_new();
	int fd = system_log(&p);
	struct os_log *l = system_log_new(&p);
	char text[4096];

	for (int i = 0; i < MANY; i++)
		log_number(l, i);
	for (int i = 0; i < MANY; i++) {
		struct str line = receive(fd, text, sizeof(text));
		if (!has_number(line, i) || line.p[0] != '<' || line.p[line.n - 1] == '\n')
			ok(false, "one line each, with a priority, without a line end");
	}
	os_log_free(l);
	close(fd);
	place_free(&p);
}

TEST(a_system_log_that_is_restarted_goes_on)
{
	struct place p = place_new();
	struct os_log *l = system_log_new(&p); /* not there yet */
	int fd = system_log(&p);
	char text[4096];

	log_number(l, 1);
	ok(has_number(receive(fd, text, sizeof(text)), 1), "came later");
	close(fd);
	unlink(p.path);
	log_number(l, 2);
	os_sleep_ms(50);
	fd = system_log(&p);
	ok(has_number(receive(fd, text, sizeof(text)), 2), "was away for a moment");
	os_log_free(l);
	close(fd);
	place_free(&p);
}

TEST(a_pipe_without_a_reader_is_an_error)
{
	struct place p = place_new();
	struct os_log_out_options o = { .path = str_of(p.path) };
	struct error e;

	ok(mkfifo(p.path, 0600) == 0, "a pipe");
	ok(!os_log_out_new(&o, &e) && e.kind == ERROR_IO, "and not waited for");
	place_free(&p);
}

TEST(nobody_waits_for_who_does_not_read)
{
	struct place p = place_new();
	char text[65536];
	struct buf heard;

	ok(mkfifo(p.path, 0600) == 0, "a pipe");
	int fd = open(p.path, O_RDWR);
	struct os_log *l = log_new(&p, OS_LOG_TEXT);
	uint64_t before = os_now_ms();
	for (size_t n = 0; n < LOG_WAITING_MAX / 40; n++)
		log_number(l, (int64_t)n);
	ok(os_now_ms() - before < 10000, "in no time");
	buf_init(&heard, 4 * LOG_WAITING_MAX);
	for (bool is_told = false; !is_told;) {
		ssize_t n = read(fd, text, sizeof(text));
		ok(n > 0 && buf_add(&heard, str_span(text, (size_t)n)), "what waited");
		log_number(l, -1);
		is_told = contains(buf_str(&heard), " lines of the log were lost");
	}
	buf_fini(&heard);
	for (int i = 0; i < 20000; i++) /* more than a pipe holds */
		log_number(l, i);
	before = os_now_ms();
	os_log_free(l); /* its thread is stuck, and stays so */
	ok(os_now_ms() - before < 5000, "an end all the same");
	close(fd);
	place_free(&p);
}

static void limit_files(rlim_t octets)
{
	struct rlimit l;

	ok(getrlimit(RLIMIT_FSIZE, &l) == 0, "the limit");
	l.rlim_cur = octets < l.rlim_max ? octets : l.rlim_max;
	ok(setrlimit(RLIMIT_FSIZE, &l) == 0, "another");
}

TEST(every_line_that_is_lost_is_counted)
{
	struct place p = place_new();
	struct os_log *l = log_new(&p, OS_LOG_TEXT);
	struct buf b;

	(void)signal(SIGXFSZ, SIG_IGN);
	limit_files(1); /* as a disk that is full */
	for (int i = 0; i < 100; i++)
		log_number(l, i);
	limit_files(RLIM_INFINITY);
	log_number(l, 100);
	ok(contains(read_all(&b, p.path), " 100 lines of the log were lost"), "all of them");
	ok(os_log_lost(l) == 100, "and once told still counted");
	buf_fini(&b);
	os_log_free(l);
	place_free(&p);
}

static struct str line_of(struct str text, unsigned n)
{
	struct str line = STR("");

	for (unsigned i = 0; i <= n; i++)
		if (!str_cut(text, '\n', &line, &text))
			return STR("");
	return line;
}

TEST(behind_a_line_that_a_full_disk_cut_the_next_one_begins_anew)
{
	struct place p = place_new();
	struct os_log *l = log_new(&p, OS_LOG_TEXT);
	struct buf b;

	(void)signal(SIGXFSZ, SIG_IGN);
	limit_files(7);
	log_number(l, 1);
	limit_files(RLIM_INFINITY);
	log_number(l, 2);
	struct str text = read_all(&b, p.path);
	ok(line_of(text, 0).n == 7, "what there was room for");
	ok(contains(line_of(text, 1), " 1 lines of the log were lost"), "it is told");
	ok(has_number(line_of(text, 2), 2) && line_of(text, 3).n == 0, "and it goes on");
	buf_fini(&b);
	os_log_free(l);
	place_free(&p);
}

TEST(behind_a_line_that_another_daemon_left_cut_the_first_one_begins_anew)
{
	struct place p = place_new();
	FILE *f = fopen(p.path, "w");
	struct buf b;

	ok(f && fputs("whole\ncut", f) >= 0 && fclose(f) == 0, "a file that is there");
	struct os_log *l = log_new(&p, OS_LOG_TEXT);
	log_number(l, 1);
	struct str text = read_all(&b, p.path);
	ok_str(line_of(text, 1), STR("cut"), "as it was");
	ok(has_number(line_of(text, 2), 1), "a line of its own");
	buf_fini(&b);
	os_log_free(l);
	place_free(&p);
}

static void *write_lines(void *arg)
{
	for (int i = 0; i < LINES; i++)
		os_log_event(arg, &event);
	return NULL;
}

TEST(lines_of_several_threads_stay_whole)
{
	struct place p = place_new();
	struct os_log *l = log_new(&p, OS_LOG_TEXT);
	pthread_t t[WRITERS];
	struct buf b;
	size_t n = 0;

	for (int i = 0; i < WRITERS; i++)
		ok(pthread_create(&t[i], NULL, write_lines, l) == 0, "a thread");
	for (int i = 0; i < WRITERS; i++)
		ok(pthread_join(t[i], NULL) == 0, "its end");
	struct str rest = read_all(&b, p.path), line;
	while (str_cut(rest, '\n', &line, &rest)) {
		ok(str_has_suffix(line, STR("message-id=<a@b>?\?forged")), "whole");
		n++;
	}
	ok(n == WRITERS * LINES, "every line");
	buf_fini(&b);
	os_log_free(l);
	place_free(&p);
}

TEST(what_cannot_be_opened_is_told)
{
	struct os_log_options o = { .path = STR("/nonexistent/log"),
				    .name = STR("hopseal"),
				    .facility = STR("mail") };
	struct error e;

	ok(!os_log_new(&o, &e) && e.kind == ERROR_IO, "a folder that is not there");
	ok_str(error_text(&e), STR("/nonexistent/log: No such file or directory"), "which");
	o.facility = STR("nail");
	ok(!os_log_new(&o, &e) && e.kind == ERROR_CONFIG, "no facility");
	ok_str(error_text(&e), STR("nail: no such syslog facility"), "which");
}

TEST_MAIN(RUN(a_line_of_a_file_has_time_machine_program_and_process),
	  RUN(a_line_of_json_is_an_object), RUN(after_a_rename_reopening_begins_a_new_file),
	  RUN(another_file_while_it_is_written), RUN(a_file_is_made_with_its_mode),
	  RUN(a_link_is_not_given_away), RUN(a_slow_system_log_gets_every_line_in_order),
	  RUN(a_system_log_that_is_restarted_goes_on), RUN(a_pipe_without_a_reader_is_an_error),
	  RUN(nobody_waits_for_who_does_not_read), RUN(every_line_that_is_lost_is_counted),
	  RUN(behind_a_line_that_a_full_disk_cut_the_next_one_begins_anew),
	  RUN(behind_a_line_that_another_daemon_left_cut_the_first_one_begins_anew),
	  RUN(lines_of_several_threads_stay_whole), RUN(what_cannot_be_opened_is_told))
