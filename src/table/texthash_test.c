/* texthash over real files: first reading, change, half-written and broken versions. */

#include "base/test.h"
#include "table/table.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

static struct {
	char folder[64], path[96], list[128];
	struct arena *arena;
	struct str heard; /* "line code;" of all findings */
	struct table_set *set;
	uint64_t now_ms;
} env;

static void hear(void *arg, const struct table_finding *f)
{
	(void)arg;
	env.heard = arena_fmt(env.arena, STR_FMT "%u " STR_FMT ";", STR_ARG(env.heard), f->line,
			      STR_ARG(f->code));
	ok_str(f->file, str_of(env.path), "the file is named");
	ok_str(f->source, str_of(env.list), "the source is named");
}

/* As a writer does who wrote it `age_s` ago. */
static void write_file(const char *text, long age_s)
{
	FILE *f = fopen(env.path, "w");
	struct timespec at[2] = { { .tv_sec = (time_t)os_utc_s() - age_s }, { 0 } };

	at[1] = at[0];
	ok(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0, "write");
	ok(utimensat(AT_FDCWD, env.path, at, 0) == 0, "utimensat");
}

static void open_set(void)
{
	struct table_options o = { .is_utf8 = true, .found = hear };

	env.set = table_set_new(STR("smtp_tls_per_site"), str_of(env.list), &o, env.now_ms);
}

static void make_folder(void)
{
	(void)snprintf(env.folder, sizeof(env.folder), "/tmp/hopseal-texthash-XXXXXX");
	ok(mkdtemp(env.folder) != NULL, "folder");
	(void)snprintf(env.path, sizeof(env.path), "%s/table", env.folder);
	(void)snprintf(env.list, sizeof(env.list), "texthash:%s", env.path);
	env.arena = arena_new();
	env.heard = STR("");
	env.now_ms = 1000000;
}

static void open_env(const char *text)
{
	make_folder();
	if (text != NULL)
		write_file(text, 100);
	open_set();
}

static void close_env(void)
{
	table_set_free(env.set);
	arena_free(env.arena);
	(void)unlink(env.path);
	ok(rmdir(env.folder) == 0, "folder is empty");
}

static struct answer lookup(const char *key)
{
	struct table_query q = { .arena = env.arena, .key = str_of(key), .now_ms = env.now_ms };
	struct answer answer;

	ok(table_set_lookup(env.set, &q, &answer) == NULL, "at once");
	return answer;
}

static void ask_value(const char *key, struct str want, const char *rule)
{
	struct answer answer = lookup(key);

	if (want.n == 0) {
		ok(answer.status == ANSWER_NONE, rule);
		return;
	}
	ok(answer.status == ANSWER_FOUND, rule);
	ok_str(answer.value, want, rule);
	ok_str(answer.file, str_of(env.path), rule);
	ok_str(answer.source, str_of(env.list), rule);
}

static void ask_failure(const char *key, const char *want, const char *rule)
{
	struct answer answer = lookup(key);

	ok(answer.status == ANSWER_FAILED, rule);
	ok_str(answer.failure, arena_fmt(env.arena, "%s: %s", env.list, want), rule);
}

static uint64_t version(void)
{
	uint64_t v = 0;

	ok(table_set_version(env.set, env.now_ms, &v), "a file can tell");
	return v;
}

static void expect_heard(struct str want, const char *rule)
{
	ok_str(env.heard, want, rule);
	env.heard = STR("");
}

TEST(texthash_lookup)
{
	open_env("# c\nexample.com MUST\n[Mail.Example.com]:587\n NONE\n");
	ask_value("EXAMPLE.com", STR("MUST"), "any case");
	ask_value("[mail.example.com]:587", STR("NONE"), "verbatim");
	ask_value("mail.example.com", STR(""), "brackets and port are part of the key");
	ok(lookup("example.com").line == 2, "line");
	ok(lookup("[mail.example.com]:587").line == 3, "line of the key");
	expect_heard(STR(""), "nothing to say");
	close_env();
}

TEST(texthash_findings)
{
	open_env(" x y\nk\n\"q z\nc: v\n\u00c9 v\n\xe9 v\n");
	expect_heard(STR("1 line-leading-space;2 line-format;3 line-quote;4 line-colon;"
			 "5 key-not-folded;6 line-utf8;"),
		     "all of them");
	ask_value("c:", STR("v"), "it works");
	close_env();
}

TEST(texthash_many_findings)
{
	char text[200 * 4 + 1];

	for (int i = 0; i < 200; i++)
		(void)snprintf(text + 4 * i, 5, "%03d\n", i);
	open_env(text);
	ok(str_has_suffix(env.heard, STR("100 line-format;0 more;")), "not more than a hundred");
	close_env();
}

TEST(texthash_duplicates)
{
	open_env("example.com MUST\nother.example NONE\nEXAMPLE.com NONE\nother.example MAY\n");
	expect_heard(STR("3 duplicate-key;4 duplicate-key;"), "all of them");
	ask_failure("example.com", "line 3: the key \"example.com\" is there already, in line 1",
		    "the whole table is unusable");
	ask_failure("unknown.example",
		    "line 3: the key \"example.com\" is there already, in line 1", "all keys");
	write_file("example.com MUST\n", 50);
	env.now_ms += 1000;
	ask_value("example.com", STR("MUST"), "until it is mended");
	expect_heard(STR("0 reloaded;"), "and says so");
	close_env();
}

TEST(texthash_missing)
{
	open_env(NULL);
	expect_heard(STR("0 open;"), "a finding");
	ask_failure("k", "No such file or directory", "the system's words");
	env.now_ms += 5000;
	ask_failure("k", "No such file or directory", "again");
	expect_heard(STR(""), "told once");
	write_file("k v\n", 50);
	ask_failure("k", "No such file or directory", "looked at once a second");
	env.now_ms += 1000;
	ask_value("k", STR("v"), "it came");
	close_env();
}

TEST(texthash_not_a_file)
{
	open_env(NULL);
	ok(mkdir(env.path, 0700) == 0, "a folder");
	env.now_ms += 1000;
	ask_failure("k", "Not a regular file", "a folder");
	ok(rmdir(env.path) == 0 && mkfifo(env.path, 0600) == 0, "a pipe");
	env.now_ms += 1000;
	ask_failure("k", "Not a regular file", "a pipe does not block");
	close_env();
}

TEST(texthash_change)
{
	open_env("k v\n");
	write_file("k w\nl x\n", 50);
	env.now_ms += 999;
	ask_value("k", STR("v"), "not looked at within a second");
	env.now_ms += 1;
	ask_value("k", STR("w"), "the new version");
	ask_value("l", STR("x"), "the new version");
	expect_heard(STR("0 reloaded;"), "said once");
	env.now_ms += 1000;
	ask_value("k", STR("w"), "the same version");
	expect_heard(STR(""), "is not read again");
	close_env();
}

/* Looking at the version finds the new one, too; a broken one changes no answer. */
TEST(texthash_version)
{
	open_env("k v\n");
	uint64_t first = version();
	env.now_ms += 1000;
	ok(version() == first, "the same file");
	write_file("k w\nk x\n", 50);
	env.now_ms += 1000;
	ok(version() == first, "the last good version answers");
	write_file("k w\n", 40);
	ok(version() == first, "not looked at within a second");
	env.now_ms += 1000;
	ok(version() > first, "another one");
	close_env();
}

TEST(texthash_replaced)
{
	char other[128];

	open_env("k v\n");
	(void)snprintf(other, sizeof(other), "%s/other", env.folder);
	ok(rename(env.path, other) == 0, "away");
	write_file("k w\n", 100); /* same size, same time: another file */
	env.now_ms += 1000;
	ask_value("k", STR("w"), "by rename");
	ok(rename(other, env.path) == 0, "and back");
	env.now_ms += 1000;
	ask_value("k", STR("v"), "by rename");
	close_env();
}

TEST(texthash_too_young)
{
	open_env("k v\n");
	write_file("k w\n", 0);
	env.now_ms += 1000;
	ask_value("k", STR("v"), "somebody may still be writing");
	write_file("k w\n", 2);
	env.now_ms += 1000;
	ask_value("k", STR("w"), "left alone for a moment");
	close_env();
}

TEST(texthash_from_the_future)
{
	open_env("k v\n");
	write_file("k w\n", -5000);
	env.now_ms += 1000;
	ask_value("k", STR("v"), "its time says nothing");
	env.now_ms += 1000;
	ask_value("k", STR("w"), "unchanged for a second as we saw it");
	close_env();
}

TEST(texthash_half_written)
{
	open_env("k v\nl x\n");
	write_file("k w\nl", 3);
	env.now_ms += 1000;
	ask_value("l", STR("x"), "no line end at its end");
	write_file("", 3);
	env.now_ms += 1000;
	ask_value("l", STR("x"), "emptied before it is written");
	expect_heard(STR(""), "nothing to say yet");
	write_file("k w", 11);
	env.now_ms += 1000;
	ask_value("k", STR("w"), "it was meant so");
	write_file("", 11);
	env.now_ms += 1000;
	ask_value("k", STR(""), "and so was this");
	close_env();
}

static void *write_slowly(void *arg)
{
	FILE *f = arg;

	for (int i = 0; i < 4; i++) {
		os_sleep_ms(20);
		CHECK(fprintf(f, "l%d x\nm", i) > 0 && fflush(f) == 0);
	}
	os_sleep_ms(200);
	CHECK(fputs(" y\n", f) >= 0 && fclose(f) == 0);
	return NULL;
}

TEST(texthash_half_written_at_the_start)
{
	pthread_t writer;
	FILE *f;

	make_folder();
	f = fopen(env.path, "w");
	ok(f != NULL && fputs("k v\n", f) >= 0 && fflush(f) == 0, "write");
	ok(pthread_create(&writer, NULL, write_slowly, f) == 0, "thread");
	open_set();
	ask_value("m", STR("y"), "waits for the rest");
	ok(pthread_join(writer, NULL) == 0, "thread");
	close_env();
}

TEST(texthash_broken_version)
{
	open_env("k v\n");
	write_file("k w\nk x\n", 50);
	env.now_ms += 1000;
	ask_value("k", STR("v"), "the last good version");
	expect_heard(STR("2 duplicate-key;0 kept-old;"), "says so");
	env.now_ms += 1000;
	ask_value("k", STR("v"), "still");
	expect_heard(STR(""), "once for each version");
	write_file("k w\nk y\n", 40);
	env.now_ms += 1000;
	ask_value("k", STR("v"), "another broken one");
	expect_heard(STR("2 duplicate-key;0 kept-old;"), "says so again");
	write_file("k z\n", 30);
	env.now_ms += 1000;
	ask_value("k", STR("z"), "mended");
	expect_heard(STR("0 reloaded;"), "says so");
	close_env();
}

TEST(texthash_removed)
{
	open_env("k v\n");
	ok(unlink(env.path) == 0, "unlink");
	for (int i = 0; i < 3; i++) {
		env.now_ms += 1000;
		ask_value("k", STR("v"), "the last good version");
	}
	expect_heard(STR("0 kept-old;"), "told once");
	write_file("k w\n", 50);
	env.now_ms += 1000;
	ask_value("k", STR("w"), "it came back");
	close_env();
}

static void wait_for(const char *key, struct str want)
{
	for (int i = 0; i < 1000; i++) {
		struct answer answer = lookup(key);
		if (answer.status == ANSWER_FOUND && str_eq(answer.value, want))
			return;
		usleep(10000);
		env.now_ms += 10;
	}
	ok(false, "a large file is read in the end");
}

static void write_many(unsigned n, const char *value)
{
	FILE *f = fopen(env.path, "w");
	struct timespec at[2] = { { .tv_sec = (time_t)os_utc_s() - 50 }, { 0 } };

	at[1] = at[0];
	ok(f != NULL, "write");
	for (unsigned i = 0; i < n; i++)
		ok(fprintf(f, "host%u.example.com %s\n", i, value) > 0, "write");
	ok(fclose(f) == 0 && utimensat(AT_FDCWD, env.path, at, 0) == 0, "write");
}

TEST(texthash_large)
{
	open_env("host7.example.com v\n");
	write_many(50000, "w");
	env.now_ms += 1000;
	ask_value("host7.example.com", STR("v"), "it is read beside, lookups go on");
	wait_for("host49999.example.com", STR("w"));
	ask_value("host7.example.com", STR("w"), "and then taken over");
	expect_heard(STR("0 reloaded;"), "says so");
	write_many(60000, "x");
	env.now_ms += 1000;
	ask_value("host7.example.com", STR("w"), "the set may be closed while it reads");
	close_env();
}

static void join_entry(void *arg, const struct table_entry *e)
{
	(void)arg;
	env.heard = arena_fmt(env.arena, STR_FMT "%u:" STR_FMT "=" STR_FMT ";", STR_ARG(env.heard),
			      e->line, STR_ARG(e->key), STR_ARG(e->value));
}

TEST(texthash_each)
{
	open_env("# c\nK v\nl w\n");
	table_set_each(env.set, join_entry, NULL);
	expect_heard(STR("2:k=v;3:l=w;"), "in order");
	close_env();
	open_env(NULL);
	expect_heard(STR("0 open;"), "missing");
	table_set_each(env.set, join_entry, NULL);
	expect_heard(STR(""), "nothing");
	close_env();
}

TEST_MAIN(RUN(texthash_lookup), RUN(texthash_findings), RUN(texthash_many_findings),
	  RUN(texthash_duplicates), RUN(texthash_missing), RUN(texthash_not_a_file),
	  RUN(texthash_change), RUN(texthash_version), RUN(texthash_replaced),
	  RUN(texthash_too_young), RUN(texthash_from_the_future), RUN(texthash_half_written),
	  RUN(texthash_half_written_at_the_start), RUN(texthash_broken_version),
	  RUN(texthash_removed), RUN(texthash_large), RUN(texthash_each))
