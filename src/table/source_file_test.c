#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"
#include "conf/conf.h"
#include "table/source_file.h"

static const struct source_name names[] = {
	{ .name = STR_INIT("query") },
	{ .name = STR_INIT("limit") },
	{ .name = STR_INIT("password"), .is_secret = true },
};

/* Findings as "code:line;". */
struct told {
	struct buf text;
	bool has_secret;
};

static void told_add(void *arg, const struct table_finding *f)
{
	struct told *t = arg;
	size_t at;

	ok(!f->is_error, "none of them stops the table");
	ok(buf_fmt(&t->text, STR_FMT ":%u;", STR_ARG(f->code), f->line), "room");
	ok(f->text.n > 0 && f->remedy.n > 0, "text and remedy");
	t->has_secret |= str_search(f->text, STR("sesame"), &at) ||
			 str_search(f->remedy, STR("sesame"), &at);
}

TEST(source_file_read)
{
	static const struct {
		const char *rule;
		struct str text, query, limit, told;
	} cases[] = {
		{ "two parameters", STR_INIT("query = x\nlimit=3\n"), STR_INIT("x"), STR_INIT("3"),
		  STR_INIT("") },
		{ "an \"=\" in the value",
		  STR_INIT("query = SELECT a WHERE b = '%s'"),
		  STR_INIT("SELECT a WHERE b = '%s'"),
		  { NULL, 0 },
		  STR_INIT("") },
		{ "a dollar is a dollar",
		  STR_INIT("query = $limit ${x"),
		  STR_INIT("$limit ${x"),
		  { NULL, 0 },
		  STR_INIT("") },
		{ "continued, with comments inside",
		  STR_INIT(
			  "# head\n\nquery = SELECT a\n# no end\n  FROM b\n\n\tWHERE c\nlimit = 1"),
		  STR_INIT("SELECT a  FROM b\tWHERE c"), STR_INIT("1"), STR_INIT("") },
		{ "a number sign later is no comment",
		  STR_INIT("query = a # b"),
		  STR_INIT("a # b"),
		  { NULL, 0 },
		  STR_INIT("") },
		{ "set to nothing is set",
		  STR_INIT("query ="),
		  STR_INIT(""),
		  { NULL, 0 },
		  STR_INIT("") },
		{ "an unknown name",
		  STR_INIT("limit = 1\nquerry = x"),
		  { NULL, 0 },
		  STR_INIT("1"),
		  STR_INIT("parameter-unknown:2;") },
		{ "case matters",
		  STR_INIT("Query = x"),
		  { NULL, 0 },
		  { NULL, 0 },
		  STR_INIT("parameter-unknown:1;") },
		{ "twice: the last one", STR_INIT("query = a\nlimit = 1\nquery = b"), STR_INIT("b"),
		  STR_INIT("1"), STR_INIT("parameter-again:1;") },
		{ "no equals sign",
		  STR_INIT("password sesame\nlimit = 1"),
		  { NULL, 0 },
		  STR_INIT("1"),
		  STR_INIT("parameter-syntax:1;") },
		{ "no name",
		  STR_INIT("= sesame\n\nlimit = 1"),
		  { NULL, 0 },
		  STR_INIT("1"),
		  STR_INIT("parameter-syntax:1;") },
		{ "continues nothing",
		  STR_INIT(" password = sesame\nlimit = 1"),
		  { NULL, 0 },
		  STR_INIT("1"),
		  STR_INIT("parameter-syntax:1;") },
		{ "nothing", STR_INIT(""), { NULL, 0 }, { NULL, 0 }, STR_INIT("") },
	};

	FOR_EACH(c, cases) {
		struct told told = { 0 };
		struct table_context context = {
			.options = { .found = told_add, .arg = &told },
		};
		struct arena *a = arena_new();
		struct source_file s = {
			.context = &context,
			.names = names,
			.n_names = ARRAY_LEN(names),
			.arena = a,
		};
		struct str text = test_exact(c->text);
		buf_init(&told.text, 1000);
		source_file_read(&s, text);
		free((char *)text.p);
		ok_str(source_file_get(&s, STR("query")), c->query, c->rule);
		ok((source_file_get(&s, STR("query")).p == NULL) == (c->query.p == NULL), c->rule);
		ok_str(source_file_get_or(&s, STR("limit"), STR("unset")),
		       c->limit.p ? c->limit : STR("unset"), c->rule);
		ok_str(buf_str(&told.text), c->told, c->rule);
		ok(!told.has_secret, c->rule);
		buf_fini(&told.text);
		arena_free(a);
	}
}

TEST(source_file_numbers)
{
	static const struct {
		struct str text;
		uint64_t want; /* 0: refused */
	} cases[] = {
		{ STR_INIT(""), 7 },           { STR_INIT("limit = 3"), 3 },
		{ STR_INIT("limit = 2"), 2 },  { STR_INIT("limit = 1"), 0 },
		{ STR_INIT("limit ="), 0 },    { STR_INIT("limit = x"), 0 },
		{ STR_INIT("limit = -1"), 0 },
	};

	FOR_EACH(c, cases) {
		struct table_context context = { .param = STR("p") };
		struct arena *a = arena_new();
		struct source_file s = {
			.context = &context, .names = names, .n_names = ARRAY_LEN(names), .arena = a
		};
		struct error e;
		uint64_t n;
		source_file_read(&s, c->text);
		bool is_good = source_file_get_int(&s, STR("limit"), 7, 2, &n, &e);
		ok(is_good == (c->want > 0) && (!is_good || n == c->want), c->text.p);
		ok(is_good || e.kind == ERROR_CONFIG, c->text.p);
		arena_free(a);
	}
}

static char path[] = "/tmp/hopseal-source-test-XXXXXX";

static bool open_source(struct source_file *s, struct arena *a, struct table_context *c,
			struct str body, struct error *e)
{
	c->body = body;
	return source_file_open(s, a, c, names, ARRAY_LEN(names), e);
}

TEST(source_file_that_all_can_read)
{
	static const struct {
		const char *text;
		mode_t mode;
		struct str told;
	} cases[] = {
		{ "password = sesame\n", 0644, STR_INIT("readable-by-all:0;") },
		{ "password = sesame\n", 0640, STR_INIT("") },
		{ "password = \nquery = x\n", 0644, STR_INIT("") },
	};
	int fd = mkstemp(path);

	FOR_EACH(c, cases) {
		struct told told = { 0 };
		struct table_context context = {
			.options = { .found = told_add, .arg = &told },
		};
		struct arena *a = arena_new();
		struct source_file s;
		struct error e = { 0 };
		size_t n = strlen(c->text);
		ok(ftruncate(fd, 0) == 0 && pwrite(fd, c->text, n, 0) == (ssize_t)n, "write");
		ok(fchmod(fd, c->mode) == 0, "mode");
		buf_init(&told.text, 1000);
		ok(open_source(&s, a, &context, str_of(path), &e), e.text);
		ok_str(buf_str(&told.text), c->told, c->text);
		ok(!told.has_secret, c->text);
		buf_fini(&told.text);
		arena_free(a);
	}
	close(fd);
	unlink(path);

	struct table_context context = { .param = STR("p") };
	struct arena *a = arena_new();
	struct source_file s;
	struct error e = { 0 };
	ok(!open_source(&s, a, &context, str_of(path), &e) && e.kind == ERROR_NO_INPUT, e.text);
	arena_free(a);
}

TEST(source_file_in_main_cf)
{
	const struct conf_source source = {
		.file = STR("main.cf"),
		.text = STR("smtp_tls_policy_maps = pgsql:db\n"
			    "db_query = $where '%s'\nwhere = SELECT\ndb_limit = 5\n"),
	};
	const struct conf_machine machine = { .hostname = STR("host.example") };
	struct arena *a = arena_new();
	struct conf_findings findings;
	struct conf *conf = conf_new(&source, 1, &machine, a, &findings);
	struct table_context context = { .options = { .conf = conf } };
	struct source_file s;
	struct error e = { 0 };

	ok(conf != NULL, "main.cf");
	ok(open_source(&s, a, &context, STR("db"), &e), e.text);
	ok_str(source_file_get(&s, STR("query")), STR("SELECT '%s'"), "expanded");
	ok_str(source_file_get(&s, STR("limit")), STR("5"), "limit");
	ok(source_file_get(&s, STR("password")).p == NULL, "not set");
	ok(s.file.n == 0, "no file");
	ok(!open_source(&s, a, &context, STR("other"), &e) && e.kind == ERROR_CONFIG, e.text);
	context.options.conf = NULL;
	ok(!open_source(&s, a, &context, STR("db"), &e) && e.kind == ERROR_CONFIG, e.text);
	conf_unref(conf);
	arena_free(a);
}

TEST_MAIN(RUN(source_file_read), RUN(source_file_numbers), RUN(source_file_that_all_can_read),
	  RUN(source_file_in_main_cf))
