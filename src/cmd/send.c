/* hopseal send: routes, decides and delivers one message now. */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/map.h"
#include "cmd/cmd.h"
#include "cmd/dsn.h"
#include "cmd/message.h"
#include "cmd/record.h"
#include "cmd/site.h"
#include "conf/value.h"
#include "mail/domain.h"
#include "mail/mailbox.h"
#include "os/os.h"

enum {
	SEND_REPORT_MAX = 256 * 1024 * 1024, /* octets of the report: 50,000 recipients fit */
};

static const struct str send_help = STR_INIT(
	"usage: hopseal send [-c DIR] [-o NAME=VALUE]... [options] RECIPIENT... < MESSAGE\n"
	"\n"
	"Delivers the message on standard input now and prints what became of each recipient.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  -f SENDER         envelope sender, \"\" for the null sender; default $USER@$myorigin\n"
	"      --age TIME    how long the message has waited already (s m h d w; default 0)\n"
	"      --notify LIST DSN: never, or success,failure,delay\n"
	"      --ret WHAT    DSN: full or hdrs\n"
	"      --envid TEXT  DSN: envelope identifier\n"
	"      --requiretls  the sender requires TLS all the way: REQUIRETLS (RFC 8689)\n"
	"      --json        the whole record: facts, decisions, traces, peers, replies\n"
	"  -v                print configuration warnings too\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 all delivered, 69 at least one bounced, 75 at least one deferred and none\n"
	"bounced, 64 usage, 65 bad message, 74 input or output failed, 78 bad configuration.\n");

struct send_options {
	struct cmd_sources sources;
	const char *sender;
	struct str notify, ret, envid;
	int64_t age_s;
	bool is_json, is_verbose, has_requiretls;
	char *const *rcpts;
	size_t n_rcpts;
};

/* One recipient on its way through routing. */
struct send_rcpt {
	struct send *send;
	struct str address;
	struct route_step step;
	struct fact_list *facts;
	struct ask_run *run;
	struct outcome failure; /* routing could not be done */
	struct send_job *job;   /* NULL: routing said the last word */
	size_t index;           /* in the job */
};

/* Recipients with one transport and next-hop share a delivery attempt. */
struct send_job {
	struct send *send;
	struct deliver_job job;
	struct smtp_rcpt *rcpts;
	struct deliver *delivery;
	const struct deliver_result *result;
};

struct send {
	const struct send_options *options;
	struct cmd_site site;
	struct arena *arena;
	struct cmd_message message;
	struct deliver_message envelope;
	struct send_rcpt *rcpts;
	size_t n_rcpts; /* each once */
	struct send_job *jobs;
	size_t n_jobs, n_routing, n_delivering;
};

/* ---- options ---- */

enum { OPT_JSON = 256, OPT_AGE, OPT_NOTIFY, OPT_RET, OPT_ENVID, OPT_REQUIRETLS };

static const struct option send_long[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "age", required_argument, NULL, OPT_AGE },
	{ "notify", required_argument, NULL, OPT_NOTIFY },
	{ "ret", required_argument, NULL, OPT_RET },
	{ "envid", required_argument, NULL, OPT_ENVID },
	{ "requiretls", no_argument, NULL, OPT_REQUIRETLS },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* 0: go on; else the exit status. -1 for help. */
static int send_option(struct send_options *o, int c)
{
	if (cmd_sources_option(&o->sources, c, optarg))
		return 0;
	switch (c) {
	case 'f':
		o->sender = optarg;
		return 0;
	case 'v':
		o->is_verbose = true;
		return 0;
	case OPT_JSON:
		o->is_json = true;
		return 0;
	case OPT_AGE:
		if (!conf_value_time(str_of(optarg), 's', &o->age_s))
			return cmd_usage("send", "--age %s: not a time", optarg);
		return 0;
	case OPT_NOTIFY:
		o->notify = str_of(optarg);
		return dsn_is_notify(o->notify) ? 0
						: cmd_usage("send", "--notify %s: unknown", optarg);
	case OPT_RET:
		o->ret = str_of(optarg);
		return dsn_is_ret(o->ret) ? 0 : cmd_usage("send", "--ret %s: unknown", optarg);
	case OPT_ENVID:
		o->envid = str_of(optarg);
		return dsn_is_envid(o->envid) ? 0 : cmd_usage("send", "--envid: not an identifier");
	case OPT_REQUIRETLS:
		o->has_requiretls = true;
		return 0;
	case 'h':
		return cmd_print(send_help) ? -1 : EX_IOERR;
	default:
		CHECK(!"an option of no use");
	}
}

static int send_parse(struct send_options *o, int argc, char **argv)
{
	int c;

	opterr = 0; /* cmd_bad_option says it */
	while ((c = getopt_long(argc, argv, ":c:o:f:vh", send_long, NULL)) != -1) {
		int status =
			cmd_is_bad_option(c) ? cmd_bad_option("send", c, argv) : send_option(o, c);
		if (status != 0)
			return status;
	}
	o->rcpts = argv + optind;
	o->n_rcpts = (size_t)(argc - optind);
	if (o->n_rcpts == 0)
		return cmd_usage("send", "a recipient is missing");
	if (o->n_rcpts > SMTP_RECIPIENTS_MAX)
		return cmd_usage("send", "more than %d recipients", SMTP_RECIPIENTS_MAX);
	return 0;
}

/* ---- the envelope ---- */

static struct str strip_brackets(struct str address)
{
	if (address.n >= 2 && address.p[0] == '<' && address.p[address.n - 1] == '>')
		return str_first(str_from(address, 1), address.n - 2);
	return address;
}

static struct str default_sender(struct send *s)
{
	const char *user = getenv("USER");

	return arena_fmt(s->arena, "%s@" STR_FMT, user && *user ? user : "postmaster",
			 STR_ARG(conf_str(s->site.conf, CONF_myorigin)));
}

static bool check_address(struct str address, const char *what, struct error *e)
{
	struct mailbox m;

	if (address.n == 0 || address.n > SMTP_PATH_MAX || !mailbox_parse(address, &m))
		return error_set(e, ERROR_USAGE, "%s <" STR_FMT ">: not a mail address", what,
				 STR_ARG(address));
	return true;
}

/* Each recipient once, whatever the case, as Postfix's cleanup(8) has it. */
static bool send_recipients(struct send *s, struct error *e)
{
	const struct send_options *o = s->options;
	struct map given;
	bool is_good = true;

	map_init(&given);
	for (size_t i = 0; i < o->n_rcpts && is_good; i++) {
		struct str address = strip_brackets(str_of(o->rcpts[i]));
		struct str folded = arena_lower(s->arena, address);
		is_good = check_address(address, "recipient", e);
		if (map_has(&given, folded))
			continue;
		map_put(&given, folded, 0);
		s->rcpts[s->n_rcpts++] = (struct send_rcpt){ .send = s, .address = address };
	}
	map_fini(&given);
	return is_good;
}

static bool send_envelope(struct send *s, struct error *e)
{
	const struct send_options *o = s->options;
	struct deliver_message *m = &s->envelope;

	m->sender = o->sender ? strip_brackets(str_of(o->sender)) : default_sender(s);
	if (m->sender.n > 0 && !check_address(m->sender, "sender", e))
		return false;
	if (!send_recipients(s, e))
		return false;
	m->ret = o->ret;
	m->envid = o->envid;
	m->age_s = (uint64_t)o->age_s;
	m->content = s->message.content;
	m->is_8bit = s->message.scan.is_8bit;
	m->has_8bit_header = s->message.scan.has_8bit_header;
	m->is_smtputf8 = conf_bool(s->site.conf, CONF_smtputf8_enable) &&
			 (!domain_is_ascii(m->sender) ||
			  (s->message.scan.has_8bit_header && s->message.scan.is_header_utf8));
	m->has_tls_required_no = s->message.scan.has_tls_required_no;
	m->has_requiretls = s->options->has_requiretls;
	m->size_octets = s->message.scan.size_octets;
	return true;
}

/* ---- routing ---- */

static void send_deliver(struct send *s);

static size_t rcpt_route_step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct send_rcpt *r = arg;

	r->step = route_recipient_step(r->send->arena, r->send->site.deliver.route, r->address,
				       facts);
	if (r->step.kind == ROUTE_DONE)
		return 0;
	*asks = r->step.u.ask.v;
	return r->step.u.ask.n;
}

static void rcpt_routed(void *arg, const struct error *e)
{
	struct send_rcpt *r = arg;
	struct send *s = r->send;

	ask_run_free(r->run);
	r->run = NULL;
	if (e)
		r->failure = (struct outcome){
			.kind = OUTCOME_DEFERRED,
			.status = STATUS(4, 3, 0),
			.reason = arena_str(s->arena, error_text(e)),
		};
	if (--s->n_routing == 0)
		send_deliver(s);
}

static void send_route(struct send *s)
{
	s->n_routing = s->n_rcpts;
	for (size_t i = 0; i < s->n_rcpts; i++) {
		struct send_rcpt *r = &s->rcpts[i];
		struct ask_stepper stepper = { rcpt_route_step, rcpt_routed, r };
		r->facts = fact_list_new(s->arena);
		r->run = ask_run_new(s->site.deliver.ask, &stepper, r->facts);
	}
}

/* ---- delivery ---- */

static bool is_same_job(const struct deliver_job *j, const struct route *r)
{
	return j->protocol == r->protocol && str_eq(j->transport, r->transport) &&
	       str_eq(j->nexthop, r->nexthop);
}

static struct send_job *send_job_of(struct send *s, const struct route *r)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		if (is_same_job(&s->jobs[i].job, r))
			return &s->jobs[i];
	struct send_job *j = &s->jobs[s->n_jobs++];
	j->send = s;
	j->job.transport = r->transport;
	j->job.nexthop = r->nexthop;
	j->job.protocol = r->protocol;
	os_random(&j->job.seed, sizeof(j->job.seed));
	return j;
}

static void send_group(struct send *s)
{
	s->jobs = ARENA_ARRAY(s->arena, s->n_rcpts, struct send_job);
	for (size_t i = 0; i < s->n_rcpts; i++) {
		struct send_rcpt *r = &s->rcpts[i];
		if (r->failure.reason.n > 0 || r->step.u.done.kind != ROUTE_DELIVER)
			continue;
		r->job = send_job_of(s, &r->step.u.done);
		r->index = r->job->job.n_rcpts++;
	}
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct send_job *j = &s->jobs[i];
		j->rcpts = ARENA_ARRAY(s->arena, j->job.n_rcpts, struct smtp_rcpt);
		j->job.rcpts = j->rcpts;
	}
	for (size_t i = 0; i < s->n_rcpts; i++) {
		const struct send_rcpt *r = &s->rcpts[i];
		if (r->job)
			r->job->rcpts[r->index] = (struct smtp_rcpt){
				.address = r->step.u.done.recipient,
				.notify = s->options->notify,
			};
	}
}

static void send_delivered(void *arg, const struct deliver_result *result)
{
	struct send_job *j = arg;

	j->result = result;
	if (--j->send->n_delivering == 0)
		net_loop_stop(j->send->site.deliver.loop);
}

static void send_deliver(struct send *s)
{
	send_group(s);
	s->n_delivering = s->n_jobs;
	for (size_t i = 0; i < s->n_jobs; i++)
		s->jobs[i].delivery = deliver_start(&s->site.deliver, &s->envelope, &s->jobs[i].job,
						    send_delivered, &s->jobs[i]);
	if (s->n_jobs == 0)
		net_loop_stop(s->site.deliver.loop);
}

/* ---- the report ---- */

static struct record_rcpt rcpt_record(const struct send_rcpt *r)
{
	struct record_rcpt p = { .route = r->step.u.done, .facts = fact_list_set(r->facts) };

	if (r->failure.reason.n > 0) {
		p.route = (struct route){ .kind = ROUTE_REFUSE,
					  .recipient = r->address,
					  .outcome = r->failure };
		p.outcome = r->failure;
	} else if (r->job) {
		p.delivery = r->job->result;
		p.index = r->index;
		p.outcome = p.delivery->rcpts[r->index].outcome;
	} else {
		p.outcome = r->step.u.done.outcome;
	}
	return p;
}

static int exit_status(const struct record *rec)
{
	int status = EX_OK;

	for (size_t i = 0; i < rec->n_rcpts; i++) {
		if (rec->rcpts[i].outcome.kind == OUTCOME_BOUNCED)
			return EX_UNAVAILABLE;
		if (rec->rcpts[i].outcome.kind == OUTCOME_DEFERRED)
			status = EX_TEMPFAIL;
	}
	return status;
}

static int send_report(struct send *s)
{
	size_t n = s->n_rcpts;
	struct record_rcpt *rcpts = ARENA_ARRAY(s->arena, n, struct record_rcpt);
	const struct deliver_result **results =
		ARENA_ARRAY(s->arena, s->n_jobs + 1, const struct deliver_result *);
	struct buf out;

	for (size_t i = 0; i < s->n_jobs; i++)
		results[i] = s->jobs[i].result;
	for (size_t i = 0; i < n; i++)
		rcpts[i] = rcpt_record(&s->rcpts[i]);
	struct record rec = {
		.sender = s->envelope.sender,
		.conf_fingerprint = conf_fingerprint(s->site.conf),
		.rcpts = rcpts,
		.n_rcpts = n,
		.deliveries = results,
		.n_deliveries = s->n_jobs,
	};
	rec.exit_code = exit_status(&rec);
	buf_init(&out, SEND_REPORT_MAX);
	bool fits;
	if (s->options->is_json) {
		struct json j;
		json_init(&j, &out, true);
		record_json(&j, &rec);
		fits = json_end(&j);
	} else {
		fits = record_text(&out, &rec);
	}
	/* the mail is sent: a cut report is still a report */
	if (!fits)
		cmd_say("the report was cut at %d octets", SEND_REPORT_MAX);
	bool is_printed = cmd_print(buf_str(&out));
	buf_fini(&out);
	return is_printed ? rec.exit_code : EX_IOERR;
}

static void send_close(struct send *s)
{
	for (size_t i = 0; i < s->n_jobs; i++)
		deliver_free(s->jobs[i].delivery);
	content_free(s->message.content);
	cmd_site_close(&s->site);
	arena_free(s->arena);
}

static int send_run(const struct send_options *o, struct conf *conf)
{
	struct send s = { .options = o, .arena = arena_new() };
	struct cmd_site_options so = { .conf = conf, .found = cmd_say_table_finding };
	struct error e = { 0 };

	s.rcpts = ARENA_ARRAY(s.arena, o->n_rcpts, struct send_rcpt);
	if (!cmd_site_open(&s.site, &so, &e)) {
		arena_free(s.arena);
		return cmd_fail(&e);
	}
	int status = EX_OK;
	uint64_t limit = (uint64_t)conf_int(conf, CONF_message_size_limit);
	if (!cmd_site_open_tls(&s.site, &e) ||
	    !cmd_message_read(STDIN_FILENO, limit, &s.message, &e) || !send_envelope(&s, &e)) {
		status = cmd_fail(&e);
	} else {
		send_route(&s);
		net_loop_run(s.site.deliver.loop);
		net_loop_drain(s.site.deliver.loop);
		status = send_report(&s);
	}
	send_close(&s);
	return status;
}

int cmd_send(int argc, char **argv)
{
	struct send_options o = { 0 };
	int status = send_parse(&o, argc, argv);

	if (status == 0) {
		struct conf *conf =
			cmd_configure(&o.sources, o.is_verbose ? CONF_NOTE : CONF_ERROR, &status);
		if (conf)
			status = send_run(&o, conf);
	}
	cmd_sources_fini(&o.sources);
	return status < 0 ? EX_OK : status;
}
