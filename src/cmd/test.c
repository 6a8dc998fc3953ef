/* hopseal test: cases of a policy and what must be decided in them, without any network. */

#include <getopt.h>
#include <stdlib.h>
#include <sysexits.h>

#include "cmd/test_inside.h"
#include "os/os.h"

enum {
	TEST_FILE_MAX = 256 * 1024 * 1024,
	TEST_FAILED = 1,
};

static const struct str test_help = STR_INIT(
	"usage: hopseal test [-c DIR] [-o NAME=VALUE]... [--json] FILE...\n"
	"\n"
	"Runs policy tests: each line of FILE is a case as JSON, with a destination and what must\n"
	"be decided for it. Nothing is connected to and no network is asked.\n"
	"\n"
	"  FILE              cases, one a line: {\"id\", \"nexthop\", \"host\", \"expect\" ...}\n"
	"  -c DIR            cases without \"config\" are decided under DIR/main.cf\n"
	"                    ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"      --json        one JSON document\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 every case passed; 1 a case failed; 64 usage; 65 a file is malformed or\n"
	"holds no case; 66 no such file; 78 bad configuration.\n");

struct test_run {
	struct cmd_sources sources;
	bool is_json;
	struct test_setups *setups;
	struct test_report report;
	struct arena *arena; /* of one case */
};

/* 0, or the exit status that ends the run. */
static int run_case(struct test_run *t, const struct json_node *root, struct test_case *c)
{
	struct test_verdict verdict;
	struct error e = { 0 };
	int status = 0;

	if (!test_case_read(root, c, &e)) {
		cmd_say("%s:%u: %s", c->file, c->line, e.text);
		return EX_DATAERR;
	}
	struct test_setup *setup = test_setups_get(t->setups, c, &status);
	if (!setup)
		return status;
	arena_reset(t->arena);
	struct test_results results = test_decide(t->arena, setup, c);
	test_compare(t->arena, &verdict, c, &results);
	if (!test_report_add(&t->report, t->arena, setup, c, &verdict))
		status = EX_IOERR;
	test_verdict_fini(&verdict);
	return status;
}

/* The reader names line and column; the line comes first here, as editors know it. */
static int say_malformed(const struct test_case *c, const struct error *e)
{
	struct str column = str_of(e->text), line;

	if (!str_cut(column, ',', &line, &column))
		column = str_of(e->text);
	cmd_say("%s:%u: " STR_FMT, c->file, c->line, STR_ARG(str_trim(column)));
	return EX_DATAERR;
}

static int run_cases(struct test_run *t, const char *file, struct str text)
{
	struct json_doc *doc;
	struct error e = { 0 };
	unsigned line = 0;
	bool is_empty = true;

	while ((doc = json_line_next(&text, &line, &e))) {
		struct test_case c = { .file = file, .line = line };
		int status = run_case(t, json_doc_root(doc), &c);
		json_doc_free(doc);
		if (status != 0)
			return status;
		is_empty = false;
	}
	if (e.kind != ERROR_NONE)
		return say_malformed(&(struct test_case){ .file = file, .line = line }, &e);
	if (!is_empty)
		return 0;
	cmd_say("%s: there is no case in it", file);
	return EX_DATAERR;
}

static int run_file(struct test_run *t, const char *file)
{
	struct error e = { 0 };
	struct buf text;
	int status;

	buf_init(&text, TEST_FILE_MAX);
	if (os_file_read(file, &text, NULL, &e)) {
		status = run_cases(t, file, buf_str(&text));
	} else {
		(void)error_prefix(&e, "%s", file);
		status = cmd_fail(&e);
	}
	buf_fini(&text);
	return status;
}

static int run_files(struct test_run *t, char **files, int n)
{
	int status = 0;

	t->setups = test_setups_new(&t->sources);
	t->arena = arena_new();
	test_report_init(&t->report, t->is_json);
	for (int i = 0; i < n && status == 0; i++)
		status = run_file(t, files[i]);
	if (status == 0) { /* else the count would look like the end of a whole run */
		status = t->report.failed > 0 ? TEST_FAILED : EX_OK;
		if (!test_report_end(&t->report, status))
			status = EX_IOERR;
	}
	test_report_fini(&t->report);
	arena_free(t->arena);
	test_setups_free(t->setups);
	return status;
}

/* ---- options ---- */

enum { OPT_JSON = 256 };

static const struct option test_long[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int test_option(struct test_run *t, int opt)
{
	if (cmd_sources_option(&t->sources, opt, optarg))
		return 0;
	switch (opt) {
	case OPT_JSON:
		t->is_json = true;
		return 0;
	case 'h':
		return cmd_print(test_help) ? -1 : EX_IOERR;
	default:
		CHECK(!"an option of no use");
	}
}

static int test_parse(struct test_run *t, int argc, char **argv)
{
	int opt;

	opterr = 0; /* cmd_bad_option says it */
	while ((opt = getopt_long(argc, argv, ":c:o:h", test_long, NULL)) != -1) {
		int status = cmd_is_bad_option(opt) ? cmd_bad_option("test", opt, argv)
						    : test_option(t, opt);
		if (status != 0)
			return status;
	}
	if (optind == argc)
		return cmd_usage("test", "a file with cases is missing");
	return 0;
}

int cmd_test(int argc, char **argv)
{
	struct test_run t = { .is_json = false };
	int status = test_parse(&t, argc, argv);

	if (status == 0)
		status = run_files(&t, argv + optind, argc - optind);
	cmd_sources_fini(&t.sources);
	return status < 0 ? EX_OK : status;
}
