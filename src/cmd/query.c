/* hopseal query: one table asked for keys, as `postmap -q` does. */

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/cmd.h"
#include "cmd/table_options.h"
#include "net/net.h"
#include "os/os.h"

static const struct str query_help = STR_INIT(
	"usage: hopseal query [-c DIR] [-o NAME=VALUE]... TYPE:NAME KEY\n"
	"       hopseal query [-c DIR] [-o NAME=VALUE]... TYPE:NAME -\n"
	"\n"
	"Looks a key up in a table and prints its value. With \"-\" the keys are the lines of\n"
	"standard input, and each that is found is printed with a tab and its value.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal, if it is there)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 found (with \"-\": at least one), 1 not found, 75 the lookup failed,\n"
	"78 the configuration is wrong, 66 DIR/main.cf cannot be read, 64 usage.\n");

enum { QUERY_NOT_FOUND = 1, QUERY_OUTPUT_MAX = 64 * 1024 * 1024 };

struct query {
	struct cmd_sources sources;
	struct net_loop *loop;
	struct tables *tables;
	struct str table; /* "type:name" */
	struct str key;
};

struct query_wait {
	struct arena *arena;
	struct answer answer;
};

static void query_answered(void *arg, const struct answer *answer)
{
	struct query_wait *w = arg;

	w->answer = answer_copy(w->arena, answer);
}

/* The loop runs until a server has answered or its time is over. */
static struct answer query_ask(struct query *q, struct arena *a, struct str key)
{
	struct query_wait w = {
		.arena = a,
		.answer = { .status = ANSWER_FAILED, .failure = STR("no answer came") },
	};
	struct table_query t = {
		.arena = a,
		.key = key,
		.now_ms = os_now_ms(),
		.answered = query_answered,
		.arg = &w,
	};

	if (table_set_lookup(tables_find(q->tables, q->table), &t, &w.answer) != NULL)
		net_loop_run(q->loop);
	return w.answer;
}

/* The exit code for one answer; what was found is printed. */
static int query_tell(const struct answer *answer, struct str key, bool has_key)
{
	struct buf out;
	bool fits, is_printed;

	switch (answer->status) {
	case ANSWER_NONE:
		return QUERY_NOT_FOUND;
	case ANSWER_FAILED:
		cmd_say(STR_FMT, STR_ARG(answer->failure));
		return EX_TEMPFAIL;
	case ANSWER_FOUND:
		break;
	}
	buf_init(&out, QUERY_OUTPUT_MAX);
	fits = !has_key || (buf_add(&out, key) && buf_add_char(&out, '\t'));
	fits = fits && buf_add(&out, answer->value) && buf_add_char(&out, '\n');
	CHECK(fits);
	is_printed = cmd_print(buf_str(&out));
	buf_fini(&out);
	return is_printed ? EX_OK : EX_IOERR;
}

static int query_one(struct query *q, struct str key, bool has_key)
{
	struct arena *a = arena_new();
	struct answer answer = query_ask(q, a, key);
	int status = query_tell(&answer, key, has_key);

	arena_free(a);
	return status;
}

/* A failed lookup ends it: what comes after would look as if it had been asked. */
static int query_lines(struct query *q)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	int status = QUERY_NOT_FOUND;

	while ((n = getline(&line, &room, stdin)) >= 0) {
		struct str key = str_span(line, (size_t)n);
		if (key.n > 0 && key.p[key.n - 1] == '\n')
			key.n--;
		int one = query_one(q, key, true);
		if (one == EX_OK || one > QUERY_NOT_FOUND)
			status = one;
		if (one > QUERY_NOT_FOUND)
			break;
	}
	if (ferror(stdin)) {
		cmd_say("standard input: %s", strerror(errno));
		status = EX_IOERR;
	}
	free(line);
	return status;
}

static int query_run(struct query *q)
{
	struct table_options o = { .found = cmd_table_say };
	struct conf *conf;
	int status = EX_OK;

	if (!cmd_table_conf(&q->sources, &conf, &status))
		return status;
	o.is_utf8 = cmd_table_is_utf8(conf);
	o.conf = conf;
	q->loop = o.loop = net_loop_new();
	q->tables = tables_new(&o);
	tables_open(q->tables, q->table, q->table, os_now_ms());
	bool is_lines = str_eq(q->key, STR("-"));
	status = is_lines ? query_lines(q) : query_one(q, q->key, false);
	tables_free(q->tables);
	net_loop_free(q->loop);
	conf_unref(conf);
	return status;
}

/* ---- options ---- */

static const struct option query_long[] = {
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int query_option(struct query *q, int opt)
{
	if (cmd_sources_option(&q->sources, opt, optarg))
		return 0;
	switch (opt) {
	case 'h':
		return cmd_print(query_help) ? -1 : EX_IOERR;
	default:
		CHECK(!"an option of no use");
	}
}

static int query_parse(struct query *q, int argc, char **argv)
{
	int opt;

	opterr = 0; /* cmd_bad_option says it */
	while ((opt = getopt_long(argc, argv, ":c:o:h", query_long, NULL)) != -1) {
		int status = cmd_is_bad_option(opt) ? cmd_bad_option("query", opt, argv)
						    : query_option(q, opt);
		if (status != 0)
			return status;
	}
	if (argc - optind != 2)
		return cmd_usage("query", "a table and a key are wanted");
	q->table = str_of(argv[optind]);
	q->key = str_of(argv[optind + 1]);
	return 0;
}

int cmd_query(int argc, char **argv)
{
	struct query q = { 0 };
	int status = query_parse(&q, argc, argv);

	if (status == 0)
		status = query_run(&q);
	cmd_sources_fini(&q.sources);
	return status < 0 ? EX_OK : status;
}
