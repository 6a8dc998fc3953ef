#include "os/log.h"

#include <pthread.h>
#include <unistd.h>

#include "base/test.h"
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
	struct os_log_options o = { str_of(p->path), STR("hopseal"), STR("mail"), form };
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
	os_log_event(l, &event);
	ok(os_log_lost(l) == 0, "nothing is lost");
	os_log_free(l);
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
	struct os_log_options o = { STR("/nonexistent/log"), STR("hopseal"), STR("mail"),
				    OS_LOG_TEXT };
	struct error e;

	ok(!os_log_new(&o, &e) && e.kind == ERROR_IO, "a folder that is not there");
	ok_str(error_text(&e), STR("/nonexistent/log: No such file or directory"), "which");
	o.facility = STR("nail");
	ok(!os_log_new(&o, &e) && e.kind == ERROR_CONFIG, "no facility");
	ok_str(error_text(&e), STR("nail: no such syslog facility"), "which");
}

TEST_MAIN(RUN(a_line_of_a_file_has_time_machine_program_and_process),
	  RUN(a_line_of_json_is_an_object), RUN(after_a_rename_reopening_begins_a_new_file),
	  RUN(lines_of_several_threads_stay_whole), RUN(what_cannot_be_opened_is_told))
