/* hopseal status, reload, stop: of the daemon. */

#include <getopt.h>
#include <sysexits.h>

#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/control_client.h"
#include "store/store.h"

static const struct str status_help = STR_INIT(
	"usage: hopseal status [-c DIR] [-o NAME=VALUE]... [--json]\n"
	"\n"
	"Says whether the daemon runs, since when and under which configuration, what it has done\n"
	"and what is in the queue. Without a daemon: what is in the queue.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  --json            one object\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 it runs, 64 usage, 69 it does not run or may not be asked, 75 no answer,\n"
	"78 bad configuration.\n");

static const struct str reload_help = STR_INIT(
	"usage: hopseal reload [-c DIR] [-o NAME=VALUE]...\n"
	"\n"
	"Makes the daemon read its configuration anew. One with errors is refused.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 it is in force, 64 usage, 69 no daemon runs, 78 bad configuration.\n");

static const struct str stop_help = STR_INIT(
	"usage: hopseal stop [-c DIR] [-o NAME=VALUE]...\n"
	"\n"
	"Tells the daemon to end, and does not wait for that.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 it was told, 64 usage, 69 no daemon runs, 78 bad configuration.\n");

struct asked {
	struct cmd_sources sources;
	struct conf *conf;
	bool is_rescued; /* cmd_configure_to_ask() */
	bool is_json;
	struct buf out;
	bool fits;
};

/* ---- the daemon's answer, for people ---- */

static void row(struct asked *s, const char *label, const struct json_node *n, const char *path)
{
	struct str text;
	int64_t number;

	if (json_get_str(n, path, &text))
		s->fits = s->fits && buf_fmt(&s->out, "%-14s " STR_FMT "\n", label, STR_ARG(text));
	else if (json_get_int(n, path, &number))
		s->fits = s->fits && buf_fmt(&s->out, "%-14s %lld\n", label, (long long)number);
}

static void rows_of(struct asked *s, const char *title, const struct json_node *object)
{
	const struct json_node *value;
	struct str name;
	void *at = NULL;
	int64_t number;

	s->fits = s->fits && buf_fmt(&s->out, "\n%s\n", title);
	while (object && json_member_next(object, &at, &name, &value))
		if (json_get_int(value, "", &number))
			s->fits = s->fits &&
				  buf_fmt(&s->out, "  %-24s %lld\n", name.p, (long long)number);
}

static void blocked_row(struct asked *s, const struct json_node *n)
{
	struct str name = STR("");
	bool is_dead = false;
	int64_t seconds = 0;

	(void)!json_get_str(n, "destination", &name);
	(void)!json_get_bool(n, "is_dead", &is_dead);
	(void)!json_get_int(n, "blocked_s", &seconds);
	s->fits = s->fits && buf_fmt(&s->out, "  " STR_FMT ": %s for %lld s\n", STR_ARG(name),
				     is_dead ? "dead" : "suspended", (long long)seconds);
}

static bool take_status(void *arg, struct str text, const struct json_node *n)
{
	struct asked *s = arg;
	const struct json_node *blocked = json_at(n, "blocked");
	int64_t n_more;

	if (s->is_json) {
		s->fits = buf_add(&s->out, text) && buf_add_char(&s->out, '\n');
		return true;
	}
	row(s, "state", n, "state");
	row(s, "version", n, "version");
	row(s, "configuration", n, "configuration");
	row(s, "process", n, "pid");
	row(s, "uptime in s", n, "uptime_s");
	row(s, "workers", n, "workers");
	row(s, "trouble", n, "trouble");
	rows_of(s, "in the queue", json_at(n, "queue"));
	rows_of(s, "under way", json_at(n, "active"));
	rows_of(s, "sessions", json_at(n, "sessions"));
	rows_of(s, "process", json_at(n, "process"));
	rows_of(s, "store", json_at(n, "store"));
	rows_of(s, "since the start", json_at(n, "counters"));
	if (json_count(blocked) > 0)
		s->fits = s->fits && buf_add(&s->out, STR("\nleft alone\n"));
	for (size_t i = 0; i < json_count(blocked); i++)
		blocked_row(s, json_item(blocked, i));
	if (json_get_int(n, "blocked_more", &n_more) && n_more > 0)
		s->fits = s->fits &&
			  buf_fmt(&s->out, "  and %lld more: hopseal queue list --by-destination\n",
				  (long long)n_more);
	return true;
}

/* ---- without one ---- */

struct totals {
	uint64_t queued, held, finished, destinations;
};

static void count(void *arg, const struct store_destination *d)
{
	struct totals *t = arg;

	t->queued += d->n_queued;
	t->held += d->n_held;
	t->finished += d->n_finished;
	t->destinations++;
}

/* `t` NULL: the queue cannot be read. */
static bool put_down(struct buf *out, const struct totals *t)
{
	struct json j;

	json_init(&j, out, false);
	json_object(&j);
	json_put_str(&j, "state", STR("down"));
	json_put_str(&j, "version", STR(HOPSEAL_VERSION));
	if (t) {
		json_key(&j, "queue");
		json_object(&j);
		json_put_int(&j, "recipients", (int64_t)(t->queued + t->held + t->finished));
		json_put_int(&j, "queued", (int64_t)t->queued);
		json_put_int(&j, "held", (int64_t)t->held);
		json_put_int(&j, "finished", (int64_t)t->finished);
		json_put_int(&j, "destinations", (int64_t)t->destinations);
		json_object_end(&j);
	}
	json_object_end(&j);
	return json_end(&j);
}

static int status_down(struct asked *s)
{
	struct arena *a = arena_new();
	struct error e;
	struct totals t = { 0 };
	struct store_reader *r =
		store_reader_open(arena_str(a, conf_str(s->conf, CONF_hopseal_queue_directory)).p,
				  &e);
	bool is_read = r && store_destinations(r, count, &t, &e);

	store_reader_close(r);
	arena_free(a);
	if (!is_read)
		cmd_say("%s", e.text);
	if (s->is_json)
		s->fits = put_down(&s->out, is_read ? &t : NULL);
	else if (!is_read)
		s->fits = buf_add(&s->out, STR("state          down\n"));
	else
		s->fits = buf_fmt(&s->out,
				  "state          down\n\nin the queue\n"
				  "  %-24s %llu\n  %-24s %llu\n  %-24s %llu\n  %-24s %llu\n",
				  "queued", (unsigned long long)t.queued, "held",
				  (unsigned long long)t.held, "finished",
				  (unsigned long long)t.finished, "destinations",
				  (unsigned long long)t.destinations);
	if (!cmd_print(buf_str(&s->out)))
		return EX_IOERR;
	cmd_say("no daemon runs");
	return EX_UNAVAILABLE;
}

/* ---- the commands ---- */

static bool take_nothing(void *arg, struct str text, const struct json_node *n)
{
	(void)arg;
	(void)text;
	(void)n;
	return true;
}

static int ask(struct asked *s, enum control_kind kind)
{
	struct control_request r = { .kind = kind };
	bool is_status = kind == CONTROL_STATUS;
	struct error e;

	s->fits = true;
	switch (cmd_control_ask(s->conf, &r, is_status ? take_status : take_nothing, s, &e)) {
	case CMD_CONTROL_DONE:
		CHECK(s->fits);
		return !is_status || cmd_print(buf_str(&s->out)) ? EX_OK : EX_IOERR;
	case CMD_CONTROL_FAILED:
		return cmd_fail(&e);
	case CMD_CONTROL_DOWN:
		if (s->is_rescued)
			return cmd_no_daemon(&e) ? EX_OK : cmd_fail(&e);
		if (is_status)
			return status_down(s);
		cmd_say("no daemon runs");
		return EX_UNAVAILABLE;
	}
	CHECK(!"an answer");
}

static int asked_parse(struct asked *s, int argc, char **argv, const char *name, struct str help,
		       enum control_kind kind)
{
	static const struct option with_json[] = { { "json", no_argument, NULL, 'j' },
						   { "help", no_argument, NULL, 'h' },
						   { 0 } };
	const struct option *options = kind == CONTROL_STATUS ? with_json : with_json + 1;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:o:h", options, NULL)) != -1) {
		if (cmd_is_bad_option(c))
			return cmd_bad_option(name, c, argv);
		if (c == 'h')
			return cmd_print(help) ? -1 : EX_IOERR;
		if (c == 'j')
			s->is_json = true;
		else
			CHECK(cmd_sources_option(&s->sources, c, optarg));
	}
	if (optind < argc)
		return cmd_usage(name, "\"%s\": too many arguments", argv[optind]);
	return 0;
}

static int
asked_run(int argc, char **argv, const char *name, struct str help, enum control_kind kind)
{
	struct asked s = { 0 };
	int status = asked_parse(&s, argc, argv, name, help, kind);

	buf_init(&s.out, CONTROL_REPLY_MAX);
	if (status == 0)
		s.conf = cmd_configure_to_ask(&s.sources, &s.is_rescued, &status);
	if (s.conf)
		status = ask(&s, kind);
	conf_unref(s.conf);
	buf_fini(&s.out);
	cmd_sources_fini(&s.sources);
	return status < 0 ? EX_OK : status;
}

int cmd_status(int argc, char **argv)
{
	return asked_run(argc, argv, "status", status_help, CONTROL_STATUS);
}

int cmd_reload(int argc, char **argv)
{
	return asked_run(argc, argv, "reload", reload_help, CONTROL_RELOAD);
}

int cmd_stop(int argc, char **argv)
{
	return asked_run(argc, argv, "stop", stop_help, CONTROL_STOP);
}
