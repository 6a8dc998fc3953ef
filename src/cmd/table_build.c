/* hopseal table build: makes the file of an indexed table from its text. */

#include "table/build.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/table_options.h"

static const struct str table_help = STR_INIT(
	"usage: hopseal table build [-c DIR] [-o NAME=VALUE]... TYPE:FILE...\n"
	"\n"
	"Makes FILE.cdb, FILE.lmdb or FILE.db (types hash and btree) from the text FILE, which is\n"
	"of the form that texthash tables have. The old file stays until the new one is whole.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal, if it is there)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 all were made, 65 the text is malformed, 66 a file cannot be read,\n"
	"74 writing failed, 78 the configuration is wrong, 64 usage.\n");

static int build_one(struct str spec, bool is_utf8)
{
	struct table_build b = { .is_utf8 = is_utf8, .found = cmd_table_say };
	struct error e;

	if (!str_cut(spec, ':', &b.type, &b.path) || b.path.n == 0)
		return cmd_usage("table", "\"" STR_FMT "\" is not of the form TYPE:FILE",
				 STR_ARG(spec));
	return table_build(&b, &e) ? EX_OK : cmd_fail(&e);
}

static int build_run(const struct cmd_sources *s, char **specs)
{
	struct conf *conf;
	int status = EX_OK;

	if (!cmd_table_conf(s, &conf, &status))
		return status;
	bool is_utf8 = cmd_table_is_utf8(conf);
	conf_unref(conf);
	for (; *specs != NULL; specs++) {
		int one = build_one(str_of(*specs), is_utf8);
		status = status == EX_OK ? one : status;
	}
	return status;
}

/* ---- options ---- */

static const struct option table_long[] = {
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int table_option(struct cmd_sources *s, int opt)
{
	if (cmd_sources_option(s, opt, optarg))
		return 0;
	switch (opt) {
	case 'h':
		return cmd_print(table_help) ? -1 : EX_IOERR;
	default:
		CHECK(!"an option of no use");
	}
}

static int table_parse(struct cmd_sources *s, int argc, char **argv)
{
	int opt;

	opterr = 0; /* cmd_bad_option says it */
	while ((opt = getopt_long(argc, argv, ":c:o:h", table_long, NULL)) != -1) {
		int status = cmd_is_bad_option(opt) ? cmd_bad_option("table", opt, argv)
						    : table_option(s, opt);
		if (status != 0)
			return status;
	}
	if (optind == argc || strcmp(argv[optind], "build") != 0)
		return cmd_usage("table", "what to do is missing; \"build\" is all there is");
	if (optind + 1 == argc)
		return cmd_usage("table", "a table is missing");
	return 0;
}

int cmd_table(int argc, char **argv)
{
	struct cmd_sources s = { 0 };
	int status = table_parse(&s, argc, argv);

	if (status == 0)
		status = build_run(&s, argv + optind + 1);
	cmd_sources_fini(&s);
	return status < 0 ? EX_OK : status;
}
