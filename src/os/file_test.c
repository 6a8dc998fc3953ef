#include "base/test.h"
#include "os/os.h"

#include <sys/stat.h>
#include <unistd.h>

static char path[] = "/tmp/hopseal-os-test-XXXXXX";

static void file_write(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	ok(f != NULL && fwrite(text, 1, n, f) == n && fclose(f) == 0, "write");
}

static int file_setup(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 || close(fd) != 0;
}

static int file_teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static bool file_read(struct buf *b, size_t limit, struct error *e)
{
	struct os_file_id read_id, stat_id;

	buf_init(b, limit);
	if (!os_file_read(path, b, &read_id, e))
		return false;
	ok(os_file_stat(path, &stat_id, e), "stat");
	ok(os_file_id_eq(&read_id, &stat_id), "read and stat see the same version");
	ok(read_id.is_regular && read_id.size == buf_len(b), "identity");
	return true;
}

TEST(os_file_read_whole)
{
	static char big[300000];
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, sizeof(big) };
	struct error e;
	struct buf b;

	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		file_write(big, sizes[i]);
		ok(file_read(&b, sizeof(big), &e), "within the limit");
		ok(buf_len(&b) == sizes[i], "all of it");
		buf_fini(&b);
	}
}

TEST(os_file_read_limit)
{
	struct error e;
	struct buf b;

	file_write("abcdef", 6);
	ok(file_read(&b, 6, &e), "exactly the limit");
	ok_str(buf_str(&b), STR("abcdef"), "content");
	buf_fini(&b);
	ok(!file_read(&b, 5, &e), "one octet too many");
	ok(e.kind == ERROR_LIMIT, "kind");
	ok_str(error_text(&e), STR("longer than 5 octets"), "text");
	buf_fini(&b);
}

TEST(os_file_read_from_a_pipe)
{
	struct error e;
	struct buf b;
	char name[64];
	int fds[2];

	ok(pipe(fds) == 0 && write(fds[1], "abc", 3) == 3 && close(fds[1]) == 0, "pipe");
	(void)snprintf(name, sizeof(name), "/dev/fd/%d", fds[0]);
	buf_init(&b, 100);
	ok(os_file_read(name, &b, NULL, &e), "a pipe is read to its end");
	ok_str(buf_str(&b), STR("abc"), "content");
	buf_fini(&b);
	close(fds[0]);
}

TEST(os_file_missing)
{
	struct error e;
	struct os_file_id id;
	struct buf b;

	buf_init(&b, 100);
	ok(!os_file_read("/nonexistent/x", &b, NULL, &e), "missing");
	ok(e.kind == ERROR_NO_INPUT, "kind");
	ok_str(error_text(&e), STR("No such file or directory"), "the system's words");
	ok(!os_file_stat("/nonexistent/x", &id, &e) && e.kind == ERROR_NO_INPUT, "stat");
	ok(!os_file_read("/", &b, NULL, &e), "a folder");
	ok_str(error_text(&e), STR("Is a directory"), "the system's words");
	buf_fini(&b);
}

TEST(os_file_id_changes)
{
	struct os_file_id before, after;
	struct error e;

	file_write("abc", 3);
	ok(os_file_stat(path, &before, &e), "before");
	usleep(20000);
	file_write("xyz", 3);
	ok(os_file_stat(path, &after, &e), "after");
	ok(!os_file_id_eq(&before, &after), "same size, other version");
}

TEST(os_file_write_replaces_whole)
{
	struct error e;
	struct buf b;

	file_write("old content", 11);
	ok(os_file_write(path, STR("new"), &e), "write");
	buf_init(&b, 100);
	ok(os_file_read(path, &b, NULL, &e), "read");
	ok_str(buf_str(&b), STR("new"), "content");
	buf_fini(&b);
	ok(!os_file_write("/nonexistent/x", STR("new"), &e), "no such folder");
	ok_str(error_text(&e), STR("No such file or directory"), "the system's words");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(os_file_read_whole), RUN(os_file_read_limit), RUN(os_file_read_from_a_pipe),
		RUN(os_file_missing),    RUN(os_file_id_changes), RUN(os_file_write_replaces_whole),
	};
	return cmocka_run_group_tests(tests, file_setup, file_teardown);
}
