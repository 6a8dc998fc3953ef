/* hopseal queue: what is in the queue, and what is to become of it. */

#include "cmd/queue.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

#include "conf/value.h"
#include "os/os.h"

static const struct str queue_help = STR_INIT(
	"usage: hopseal queue [-c DIR] [-o NAME=VALUE]... [ACTION] [options] [ID[/RECIPIENT]]...\n"
	"\n"
	"list                what is in the queue, by message (the default)\n"
	"show ID             all about a message: recipients, attempts, evidence\n"
	"cat ID              the message itself\n"
	"hold                keep it, and do not try it until it is released\n"
	"release             try what is held\n"
	"retry               try it now\n"
	"flush               the same, and destinations that are left alone, too\n"
	"requeue             the same, by the routes of today; held mail is released\n"
	"delete              remove it; nobody is told\n"
	"\n"
	"Changes are of messages, of single recipients, of a --destination, or of --all.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  --destination DEST  of this one, TRANSPORT:NEXTHOP as list shows it\n"
	"  --all             of all mail: for changes\n"
	"  --sender ADDRESS  list: from this envelope sender; \"\" is the null sender\n"
	"  --older TIME      list: in the queue for longer (s m h d w; default s)\n"
	"  --reason TEXT     list: with this in the last reason or reply\n"
	"  --state STATE     list: queued, held or finished; may be repeated\n"
	"  --by-destination  list: a line for each destination\n"
	"  --json            list: JSON, an object a line; else one object\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 done, 64 usage, 65 no queue id, 66 no such message or no queue, 74 the\n"
	"queue could not be read, 75 it could not be changed now, 78 bad configuration.\n");

enum {
	OPT_DESTINATION = 256,
	OPT_ALL,
	OPT_SENDER,
	OPT_OLDER,
	OPT_REASON,
	OPT_STATE,
	OPT_BY_DESTINATION,
	OPT_JSON
};

static const struct option options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "destination", required_argument, NULL, OPT_DESTINATION },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "sender", required_argument, NULL, OPT_SENDER },
	{ "older", required_argument, NULL, OPT_OLDER },
	{ "reason", required_argument, NULL, OPT_REASON },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "by-destination", no_argument, NULL, OPT_BY_DESTINATION },
	{ "json", no_argument, NULL, OPT_JSON },
	{ 0 },
};

static bool take_state(struct queue_command *q, const char *text)
{
	enum control_state state;

	if (!control_state_parse(str_of(text), &state))
		return false;
	q->filter.states |= state;
	return true;
}

static bool take_older(struct queue_command *q, const char *text)
{
	int64_t s;

	if (!conf_value_time(str_of(text), 's', &s) || s > INT64_MAX / 1000)
		return false;
	int64_t before_ms = os_utc_ns() / 1000000 - s * 1000;
	q->filter.arrived_before_ms = (uint64_t)before_ms;
	return before_ms > 0;
}

static bool take_option(struct queue_command *q, int c)
{
	switch (c) {
	case OPT_DESTINATION:
		q->filter.destination = str_of(optarg);
		q->filter.has_destination = true;
		return true;
	case OPT_SENDER:
		q->filter.sender = str_of(optarg);
		q->filter.has_sender = true;
		return true;
	case OPT_REASON:
		q->filter.reason = str_of(optarg);
		return true;
	case OPT_ALL:
		return q->is_all = true;
	case OPT_BY_DESTINATION:
		return q->is_by_destination = true;
	case OPT_JSON:
		return q->is_json = true;
	case OPT_STATE:
		return take_state(q, optarg);
	case OPT_OLDER:
		return take_older(q, optarg);
	default:
		CHECK(cmd_sources_option(&q->sources, c, optarg));
		return true;
	}
}

static int queue_parse(struct queue_command *q, int argc, char **argv)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:o:h", options, NULL)) != -1) {
		if (cmd_is_bad_option(c))
			return cmd_bad_option("queue", c, argv);
		if (c == 'h')
			return cmd_print(queue_help) ? -1 : EX_IOERR;
		if (!take_option(q, c))
			return cmd_usage("queue", "\"%s\" is no %s", optarg,
					 c == OPT_STATE ? "state" : "time");
	}
	q->ids = argv + optind;
	q->n_ids = (size_t)(argc - optind);
	return 0;
}

/* ---- actions ---- */

struct action {
	const char *name;
	int (*run)(struct queue_command *q); /* NULL: a change */
	bool is_one;                         /* message */
};

static const struct action reads[] = {
	{ "list", cmd_queue_list, false },
	{ "show", cmd_queue_show, true },
	{ "cat", cmd_queue_cat, true },
};

/* An option that says which rows list is to show; NULL: none. */
static const char *filter_given(const struct queue_command *q)
{
	return q->filter.has_sender          ? "--sender"
	       : q->filter.arrived_before_ms ? "--older"
	       : q->filter.reason.p          ? "--reason"
	       : q->filter.states            ? "--state"
					     : NULL;
}

/* Left unheard, they would let an action reach more than was meant. */
static int check_list_options(const struct queue_command *q)
{
	const char *option = filter_given(q);

	if (!option && q->is_by_destination)
		option = "--by-destination";
	return option ? cmd_usage("queue", "%s is for list", option) : 0;
}

static int check_list(const struct queue_command *q)
{
	const char *option = filter_given(q);

	if (q->is_by_destination && (option || q->n_ids > 0))
		return cmd_usage("queue", "--by-destination and %s exclude each other",
				 option ? option : "queue ids");
	return 0;
}

static int check_read(const struct queue_command *q, const struct action *a)
{
	if (q->is_all)
		return cmd_usage("queue", "--all is for changes");
	if (!a->is_one)
		return check_list(q);
	if (q->n_ids != 1)
		return cmd_usage("queue", "one queue id is wanted");
	if (q->filter.has_destination)
		return cmd_usage("queue", "--destination is for list and changes");
	return check_list_options(q);
}

static int check_change(const struct queue_command *q)
{
	int ways = (q->n_ids > 0) + q->filter.has_destination + q->is_all;
	int status = check_list_options(q);

	if (status != 0)
		return status;
	if (ways == 0)
		return cmd_usage("queue", "which mail? queue ids, --destination or --all");
	if (ways > 1)
		return cmd_usage("queue", "queue ids, --destination and --all exclude each other");
	return 0;
}

static const struct action *find_read(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(reads); i++)
		if (strcmp(name, reads[i].name) == 0)
			return &reads[i];
	return NULL;
}

/* Wrong usage is told before any file is read. */
static int queue_run(struct queue_command *q, const char *name)
{
	const struct action *read = find_read(name);
	enum control_kind kind = CONTROL_STATUS;
	int status;

	if (read)
		status = check_read(q, read);
	else if (control_kind_parse(str_of(name), &kind) && control_is_change(kind))
		status = check_change(q);
	else
		status = cmd_usage("queue", "no action \"%s\"", name);
	if (status == 0)
		q->conf = cmd_configure_to_ask(&q->sources, &q->is_rescued, &status);
	if (!q->conf)
		return status;
	q->directory = arena_str(q->arena, conf_str(q->conf, CONF_hopseal_queue_directory)).p;
	if (!read)
		return cmd_queue_change(q, kind);
	return q->is_by_destination && !read->is_one ? cmd_queue_by_destination(q) : read->run(q);
}

int cmd_queue(int argc, char **argv)
{
	struct queue_command q = { .arena = arena_new() };
	const char *action = "list";
	int status = queue_parse(&q, argc, argv);

	if (status == 0 && q.n_ids > 0) {
		action = q.ids[0];
		q.ids++;
		q.n_ids--;
	}
	if (status == 0)
		status = queue_run(&q, action);
	conf_unref(q.conf);
	arena_free(q.arena);
	cmd_sources_fini(&q.sources);
	return status < 0 ? EX_OK : status;
}
