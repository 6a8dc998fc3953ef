#include "base/test.h"
#include "os/os.h"
#include "table/build.h"
#include "table/type.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const types[] = { "cdb", "lmdb", "hash", "btree" };

struct heard {
	struct arena *arena;
	struct str text;
};

static void hear(void *arg, const struct table_finding *f)
{
	struct heard *h = arg;

	h->text = arena_fmt(h->arena, STR_FMT STR_FMT ";", STR_ARG(h->text), STR_ARG(f->code));
	ok(f->text.n > 0, "there is a text");
}

/* A folder with the text of a table. */
struct lab {
	struct arena *arena;
	struct heard heard;
	char folder[64];
	struct str text; /* path */
	const char *type;
	struct str file;
	struct table_set *set;
	uint64_t now_ms;
};

static void lab_write(struct lab *lab, struct str path, struct str text)
{
	struct error e;

	ok(os_file_write(path.p, text, &e), path.p);
	(void)lab;
}

static bool lab_build(struct lab *lab, struct str text, struct error *e)
{
	struct table_build b = {
		.type = str_of(lab->type),
		.path = lab->text,
		.is_utf8 = true,
		.found = hear,
		.arg = &lab->heard,
	};

	lab_write(lab, lab->text, text);
	return table_build(&b, e);
}

static void lab_open(struct lab *lab)
{
	struct table_options o = { .is_utf8 = true, .found = hear, .arg = &lab->heard };
	struct str list = arena_fmt(lab->arena, "%s:" STR_FMT, lab->type, STR_ARG(lab->text));

	lab->set = table_set_new(STR("p"), list, &o, lab->now_ms);
}

static void lab_init(struct lab *lab, const char *type)
{
	*lab = (struct lab){ .arena = arena_new(), .type = type };
	lab->heard = (struct heard){ lab->arena, STR("") };
	strcpy(lab->folder, "/tmp/hopseal-indexed-XXXXXX");
	ok(mkdtemp(lab->folder) != NULL, "mkdtemp");
	lab->text = arena_fmt(lab->arena, "%s/t", lab->folder);
	const char *suffix = strcmp(type, "btree") == 0 || strcmp(type, "hash") == 0 ? "db" : type;
	lab->file = arena_fmt(lab->arena, STR_FMT ".%s", STR_ARG(lab->text), suffix);
}

static void lab_fini(struct lab *lab)
{
	table_set_free(lab->set);
	unlink(lab->file.p);
	unlink(lab->text.p);
	ok(rmdir(lab->folder) == 0, "nothing else was left in the folder");
	arena_free(lab->arena);
}

static uint64_t lab_version(struct lab *lab)
{
	uint64_t v = 0;

	ok(table_set_version(lab->set, lab->now_ms, &v), "a file can tell");
	return v;
}

static struct str lab_ask(struct lab *lab, struct str key)
{
	struct table_query q = { .arena = lab->arena, .key = key, .now_ms = lab->now_ms };
	struct answer answer;

	ok(table_set_lookup(lab->set, &q, &answer) == NULL, "answers at once");
	switch (answer.status) {
	case ANSWER_FOUND:
		ok_str(answer.file, lab->file, "the file is named");
		return arena_fmt(lab->arena, "=" STR_FMT, STR_ARG(answer.value));
	case ANSWER_NONE:
		return STR("-");
	case ANSWER_FAILED:
		ok(answer.failure.n > 0, "a failure has a text");
		return STR("!");
	}
	return STR_NONE;
}

static const struct {
	const char *rule;
	struct str key, want;
} cases[] = {
	{ "an entry", STR_INIT("example.com"), STR_INIT("=MUST") },
	{ "in any case", STR_INIT("Example.COM"), STR_INIT("=MUST") },
	{ "stored in any case", STR_INIT("example.org"), STR_INIT("=encrypt ciphers=high") },
	{ "folded when it is stored", STR_INIT("\u00c9.example"), STR_INIT("=v") },
	{ "folded to two letters", STR_INIT("\u00df"), STR_INIT("=w") },
	{ "not there", STR_INIT("example.net"), STR_INIT("-") },
	{ "a beginning", STR_INIT("example.co"), STR_INIT("-") },
	{ "one octet more", STR_INIT("example.com\0"), STR_INIT("-") },
	{ "not UTF-8", STR_INIT("\xe9"), STR_INIT("-") },
	{ "the empty key", STR_INIT(""), STR_INIT("-") },
};

#define TEXT                                                                                       \
	"# c\nexample.com MUST\nEXAMPLE.ORG encrypt\n ciphers=high\n\u00c9.example v\n\u00df w\n"

static void count_entry(void *arg, const struct table_entry *e)
{
	size_t *n = arg;

	ok(e->key.n > 0 && e->value.n > 0 && !str_contains(e->key, '\0'), "an entry");
	(*n)++;
}

TEST(indexed_lookup)
{
	FOR_EACH(type, types) {
		struct lab lab;
		struct error e;
		size_t n = 0;
		lab_init(&lab, *type);
		ok(lab_build(&lab, STR(TEXT), &e), e.text);
		lab_open(&lab);
		FOR_EACH(c, cases)
			ok_str(lab_ask(&lab, c->key), c->want, c->rule);
		table_set_each(lab.set, count_entry, &n);
		ok(n == 4, "all are listed");
		ok_str(lab.heard.text, STR(""), *type);
		lab_fini(&lab);
	}
}

TEST(indexed_changes)
{
	FOR_EACH(type, types) {
		struct lab lab;
		struct error e;
		lab_init(&lab, *type);
		ok(lab_build(&lab, STR("k v\n"), &e), e.text);
		lab_open(&lab);
		uint64_t first = lab_version(&lab);
		ok(lab_build(&lab, STR("k w\n"), &e), e.text);
		ok(lab_version(&lab) == first, "not looked at within a second");
		lab.now_ms += 2000;
		ok(lab_version(&lab) > first, *type);
		ok_str(lab_ask(&lab, STR("k")), STR("=w"), *type);
		ok_str(lab.heard.text, STR("reloaded;"), *type);
		lab_fini(&lab);
	}
}

TEST(indexed_missing)
{
	FOR_EACH(type, types) {
		struct lab lab;
		struct error e;
		lab_init(&lab, *type);
		lab_open(&lab);
		ok_str(lab_ask(&lab, STR("k")), STR("!"), *type);
		ok_str(lab.heard.text, STR("open;"), "told once");
		ok(lab_build(&lab, STR("k v\n"), &e), e.text);
		lab.now_ms += 2000;
		ok_str(lab_ask(&lab, STR("k")), STR("=v"), "it came");
		unlink(lab.file.p);
		lab.now_ms += 2000;
		ok_str(lab_ask(&lab, STR("k")), STR("=v"), "the last version goes on answering");
		ok_str(lab.heard.text, STR("open;reloaded;kept-old;"), "and it is told");
		lab_fini(&lab);
	}
}

/* Written over, not replaced: what was open is no longer there. */
TEST(indexed_overwritten)
{
	FOR_EACH(type, types) {
		struct lab lab;
		struct error e;
		lab_init(&lab, *type);
		ok(lab_build(&lab, STR("k v\n"), &e), e.text);
		lab_open(&lab);
		ok_str(lab_ask(&lab, STR("k")), STR("=v"), *type);
		uint64_t first = lab_version(&lab);
		ok(truncate(lab.file.p, 100) == 0, "truncate");
		ok(lab_version(&lab) > first, "at once, as a lookup would");
		ok_str(lab_ask(&lab, STR("k")), STR("!"), *type);
		ok_str(lab.heard.text, STR("open;"), *type);
		lab_fini(&lab);
	}
}

/* Part of a copy: what is missing is no absent entry, and no fault of a mapping. */
TEST(indexed_cut_short)
{
	FOR_EACH(type, types) {
		for (int i = 0; i < 2; i++) {
			struct lab lab;
			struct error e;
			struct stat whole;
			lab_init(&lab, *type);
			ok(lab_build(&lab, STR(TEXT), &e), e.text);
			ok(stat(lab.file.p, &whole) == 0, "stat");
			off_t size = i == 0 ? whole.st_size - 1 : whole.st_size / 2;
			ok(truncate(lab.file.p, size) == 0, "truncate");
			lab_open(&lab);
			ok(!str_eq(lab_ask(&lab, STR("example.com")), STR("-")), *type);
			lab_fini(&lab);
		}
	}
}

TEST(indexed_not_such_a_file)
{
	static const char text[8192] = "k v\nthis is no index of any kind\n";

	FOR_EACH(type, types) {
		struct lab lab;
		lab_init(&lab, *type);
		lab_write(&lab, lab.text, STR("k v\n"));
		lab_write(&lab, lab.file, str_span(text, sizeof(text)));
		lab_open(&lab);
		ok_str(lab_ask(&lab, STR("k")), STR("!"), *type);
		ok_str(lab.heard.text, STR("open;"), *type);
		lab_fini(&lab);
	}
}

TEST(indexed_older_than_its_text)
{
	FOR_EACH(type, types) {
		const struct timespec later[2] = { { .tv_sec = 4000000000 },
						   { .tv_sec = 4000000000 } };
		struct lab lab;
		struct error e;
		lab_init(&lab, *type);
		ok(lab_build(&lab, STR("k v\n"), &e), e.text);
		ok(utimensat(AT_FDCWD, lab.text.p, later, 0) == 0, "utimensat");
		lab_open(&lab);
		ok_str(lab_ask(&lab, STR("k")), STR("=v"), *type);
		ok_str(lab.heard.text, STR("older;"), *type);
		lab_fini(&lab);
	}
}

static const struct {
	const char *rule;
	struct str text, findings;
} bad_texts[] = {
	{ "a key twice", STR_INIT("k v\nK w\n"), STR_INIT("duplicate-key;") },
	{ "a key twice when folded", STR_INIT("\u00e9 v\n\u00c9 w\n"), STR_INIT("") },
	{ "no text", STR_INIT("k v\n\0 w\n"), STR_INIT("line-nul;") },
};

TEST(build_refuses)
{
	FOR_EACH(c, bad_texts) {
		struct lab lab;
		struct error e;
		lab_init(&lab, "cdb");
		ok(lab_build(&lab, STR("k old\n"), &e), e.text);
		ok(!lab_build(&lab, c->text, &e), c->rule);
		ok(e.kind == ERROR_DATA, c->rule);
		ok_str(lab.heard.text, c->findings, c->rule);
		lab_open(&lab);
		ok_str(lab_ask(&lab, STR("k")), STR("=old"), "the old file is still there");
		lab_fini(&lab);
	}
}

TEST(build_warns)
{
	struct lab lab;
	struct error e;

	lab_init(&lab, "cdb");
	ok(lab_build(&lab, STR("k v\nl\n"), &e), e.text);
	ok_str(lab.heard.text, STR("line-format;"), "a line that has no effect");
	lab_fini(&lab);
}

TEST(build_permissions)
{
	struct lab lab;
	struct stat s;
	struct error e;

	lab_init(&lab, "cdb");
	lab_write(&lab, lab.text, STR("k v\n"));
	ok(chmod(lab.text.p, 0640) == 0, "chmod");
	struct table_build b = { .type = STR("cdb"), .path = lab.text, .is_utf8 = true };
	ok(table_build(&b, &e), e.text);
	ok(b.n == 1, "one entry");
	ok(stat(lab.file.p, &s) == 0 && (s.st_mode & 0777) == 0640, "as the text's");
	lab_fini(&lab);
}

TEST(build_other_types)
{
	struct table_build b = { .type = STR("pcre"), .path = STR("/nonexistent/x") };
	struct error e;

	ok(!table_build(&b, &e) && e.kind == ERROR_USAGE, "patterns are not built");
	b.type = STR("cdb");
	ok(!table_build(&b, &e) && e.kind == ERROR_NO_INPUT, "nothing to build from");
}

TEST_MAIN(RUN(indexed_lookup), RUN(indexed_changes), RUN(indexed_missing), RUN(indexed_overwritten),
	  RUN(indexed_cut_short), RUN(indexed_not_such_a_file), RUN(indexed_older_than_its_text),
	  RUN(build_refuses), RUN(build_warns), RUN(build_permissions), RUN(build_other_types))
