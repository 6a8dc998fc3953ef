/* hopseal explain: the decision for a destination and why, by the code that delivery uses, without
 * connecting. */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/limits.h"
#include "cmd/explain.h"
#include "cmd/explain_diff.h"
#include "json/facts.h"
#include "mail/nexthop.h"
#include "os/os.h"
#include "policy/compare.h"

enum {
	EXPLAIN_REPORT_MAX = 64 * 1024 * 1024,
	EXPLAIN_REFUSED = 1,     /* no host may be used under the policy */
	EXPLAIN_CANNOT_TELL = 3, /* a lookup failed */
};

static const struct str explain_help = STR_INIT(
	"usage: hopseal explain [-c DIR] [-o NAME=VALUE]... [options] NEXTHOP|ADDRESS\n"
	"       hopseal explain --diff OTHER [-c DIR] [options] [NEXTHOP|ADDRESS|-]...\n"
	"\n"
	"Says which TLS level mail to a destination gets, and which line decides it, by the code\n"
	"that delivery uses. Nothing is connected to; DNS and tables are asked.\n"
	"\n"
	"  NEXTHOP           example.com, example.com:587, [mx.example.com]:25 ...\n"
	"  ADDRESS           user@example.com: transport_maps and relayhost are applied first\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"      --host NAME   decide for this server name; no MX lookup\n"
	"      --tls-required-no  the message says \"TLS-Required: No\" (RFC 8689)\n"
	"      --requiretls  the sender asked for REQUIRETLS (RFC 8689)\n"
	"      --lmtp        the destination is reached by LMTP\n"
	"      --color WHEN  auto: on a terminal, unless NO_COLOR is set; always; never\n"
	"      --json        one JSON document\n"
	"      --facts FILE  take all answers from FILE and ask nobody: same input, same output\n"
	"      --record FILE write the answers that were used, for --facts\n"
	"      --diff OTHER  what would be decided under OTHER/main.cf instead, without DNS; -\n"
	"                    takes destinations from standard input, and without any all are\n"
	"                    taken that the two configurations and their tables name\n"
	"  -v                print configuration warnings too\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 at least one host may be used; 1 the policy forbids every host, there is\n"
	"none, or the address is refused; 3 a lookup failed; 64 usage; 65 bad facts, or a\n"
	"question that they do not answer; 66 no such file; 78 bad configuration.\n"
	"With --diff: 0 nothing is demanded less; 1 something is lowered, or released; 2 "
	"something\n"
	"is changed or refused; 3 a lookup failed.\n");

/* ---- one stepper at a time ---- */

static void explain_done(void *arg, const struct error *e)
{
	struct explain *x = arg;

	x->has_failed = e != NULL;
	if (e)
		x->error = *e;
	net_loop_stop(x->site.deliver.loop);
}

static bool explain_run(struct explain *x, size_t (*step)(void *arg, struct fact_set facts,
							  const struct question **asks))
{
	struct ask_stepper stepper = { step, explain_done, x };
	struct ask_run *run = ask_run_new(x->site.deliver.ask, &stepper, x->facts);

	net_loop_run(x->site.deliver.loop);
	ask_run_free(run);
	return !x->has_failed;
}

static size_t step_recipient(void *arg, struct fact_set facts, const struct question **asks)
{
	struct explain *x = arg;

	x->recipient =
		route_recipient_step(x->arena, x->site.deliver.route, x->options->subject, facts);
	if (x->recipient.kind == ROUTE_DONE)
		return 0;
	*asks = x->recipient.u.ask.v;
	return x->recipient.u.ask.n;
}

static size_t step_hosts(void *arg, struct fact_set facts, const struct question **asks)
{
	struct explain *x = arg;

	/* seed 0: the order among equals is the same each time */
	x->hosts = route_hosts_step(x->arena, x->site.deliver.route, x->protocol, x->nexthop, 0,
				    facts);
	if (x->hosts.kind == ROUTE_HOSTS_DONE)
		return 0;
	*asks = x->hosts.u.ask.v;
	return x->hosts.u.ask.n;
}

static size_t step_policy(void *arg, struct fact_set facts, const struct question **asks)
{
	struct explain *x = arg;

	x->policy = policy_step(x->arena, deliver_client_of(&x->site.deliver, x->protocol)->policy,
				&x->subject, facts);
	*asks = &x->policy.u.ask;
	return x->policy.kind == POLICY_ASK ? 1 : 0;
}

/* ---- the walk ---- */

static void
explain_decide(struct explain *x, struct explain_destination *d, struct str host, uint16_t port)
{
	struct explain_host *h = &d->host[d->n_hosts++];

	x->subject = (struct policy_subject){
		.nexthop = route_table_key(x->protocol, d->nexthop),
		.host = host,
		.port = port,
		.has_tls_required_no = x->options->has_tls_required_no,
		.has_requiretls = x->options->has_requiretls,
		.is_lmtp = x->protocol == ROUTE_LMTP,
	};
	h->subject = x->subject;
	h->is_decided = explain_run(x, step_policy);
	if (h->is_decided)
		h->decision = x->policy.u.decided;
	else
		h->error = arena_str(x->arena, error_text(&x->error));
	if (x->asks_logins)
		h->login = explain_login(x, d->nexthop, host);
}

static bool is_decided_already(const struct explain_destination *d, const struct route_host *c)
{
	for (size_t i = 0; i < d->n_hosts; i++)
		if (str_ieq_ascii(d->host[i].subject.host, c->host) &&
		    d->host[i].subject.port == c->port)
			return true;
	return false;
}

static void explain_look_up(struct explain *x, struct explain_destination *d)
{
	x->nexthop = d->nexthop;
	d->is_looked_up = true;
	if (!explain_run(x, step_hosts)) {
		d->error = arena_str(x->arena, error_text(&x->error));
		return;
	}
	d->hosts = x->hosts.u.done;
	d->host = ARENA_ARRAY(x->arena, d->hosts.n, struct explain_host);
	/* a host with several addresses is decided once */
	for (size_t i = 0; i < d->hosts.n; i++)
		if (!is_decided_already(d, &d->hosts.v[i]))
			explain_decide(x, d, d->hosts.v[i].host, d->hosts.v[i].port);
}

static void explain_named_host(struct explain *x, struct explain_destination *d)
{
	struct nexthop n;
	uint16_t port = nexthop_parse(d->nexthop, 25, true, &n) == NEXTHOP_OK ? n.port : 25;

	d->host = ARENA_NEW(x->arena, struct explain_host);
	explain_decide(x, d, str_of(x->options->host), port);
}

static void explain_destinations(struct explain *x, struct str nexthop)
{
	const struct str *each;
	const struct conf *conf = deliver_client_of(&x->site.deliver, x->protocol)->conf;

	x->asks_logins = !x->site.is_offline && conf_bool(conf, CONF_smtp_sasl_auth_enable);
	x->n_destinations = route_nexthops(x->arena, nexthop, &each);
	x->destinations = ARENA_ARRAY(x->arena, x->n_destinations, struct explain_destination);
	for (size_t i = 0; i < x->n_destinations; i++) {
		struct explain_destination *d = &x->destinations[i];
		d->nexthop = each[i];
		if (x->options->host)
			explain_named_host(x, d);
		else
			explain_look_up(x, d);
	}
}

/* False: a lookup failed on the way to a next-hop. */
static bool explain_all(struct explain *x)
{
	x->protocol = x->options->is_lmtp ? ROUTE_LMTP : ROUTE_SMTP;
	if (!x->is_address) {
		explain_destinations(x, x->options->subject);
		return true;
	}
	if (!explain_run(x, step_recipient))
		return false;
	const struct route *r = &x->recipient.u.done;
	if (r->kind != ROUTE_DELIVER)
		return true;
	x->protocol = r->protocol;
	explain_destinations(x, r->nexthop);
	return true;
}

/* The status codes of a failed table or DNS lookup, and of nothing else here. */
static bool is_lookup_failure(struct status s)
{
	return s.class == 4 &&
	       ((s.subject == 3 && s.detail == 0) || (s.subject == 4 && s.detail == 3));
}

static int explain_route_status(const struct route *r)
{
	if (r->kind == ROUTE_DISCARD)
		return EX_OK;
	return is_lookup_failure(r->outcome.status) ? EXPLAIN_CANNOT_TELL : EXPLAIN_REFUSED;
}

static int explain_status(const struct explain *x)
{
	bool is_unknown = false, has_gap = false;

	if (x->is_address && x->recipient.u.done.kind != ROUTE_DELIVER)
		return explain_route_status(&x->recipient.u.done);
	for (size_t i = 0; i < x->n_destinations; i++) {
		const struct explain_destination *d = &x->destinations[i];
		has_gap |= d->error.n > 0;
		is_unknown |= d->is_looked_up && d->hosts.n == 0 &&
			      is_lookup_failure(d->hosts.failure.status);
		for (size_t k = 0; k < d->n_hosts; k++) {
			const struct explain_host *h = &d->host[k];
			if (h->is_decided && policy_decision_can_be_met(&h->decision))
				return EX_OK;
			has_gap |= !h->is_decided;
			is_unknown |= is_lookup_failure(h->decision.error.status);
		}
	}
	if (has_gap && x->options->facts)
		return EX_DATAERR;
	return has_gap || is_unknown ? EXPLAIN_CANNOT_TELL : EXPLAIN_REFUSED;
}

static bool explain_record(const struct explain *x, struct error *e)
{
	struct buf out;
	struct json j;

	buf_init(&out, FACTS_FILE_MAX);
	json_init(&j, &out, true);
	fact_set_json(&j, fact_list_set(x->facts));
	bool is_written = json_end(&j) ? os_file_write(x->options->record, buf_str(&out), e)
				       : error_set(e, ERROR_LIMIT, "too many facts to record");
	buf_fini(&out);
	return is_written || error_prefix(e, "%s", x->options->record);
}

static int explain_report(const struct explain *x)
{
	int status = explain_status(x);
	struct error e = { 0 };
	struct buf out;
	bool fits;

	if (x->options->record && !explain_record(x, &e))
		return cmd_fail(&e);
	buf_init(&out, EXPLAIN_REPORT_MAX);
	if (x->options->is_json) {
		struct json j;
		json_init(&j, &out, true);
		explain_json(&j, x, status);
		fits = json_end(&j);
	} else {
		struct page page = cmd_terminal_page(&out, x->options->color);
		fits = explain_text(&page, x);
	}
	if (!fits) { /* facts of a file can be larger than any that were asked for */
		cmd_say("the report has more than %d octets", EXPLAIN_REPORT_MAX);
		status = EX_DATAERR;
	} else if (x->options->is_json ? !cmd_print(buf_str(&out))
				       : !cmd_print_page(buf_str(&out))) {
		status = EX_IOERR;
	}
	buf_fini(&out);
	return status;
}

/* ---- options ---- */

enum {
	OPT_HOST = 256,
	OPT_JSON,
	OPT_FACTS,
	OPT_RECORD,
	OPT_NO_TLS,
	OPT_LMTP,
	OPT_DIFF,
	OPT_REQUIRETLS,
	OPT_COLOR
};

static const struct option explain_long[] = {
	{ "host", required_argument, NULL, OPT_HOST },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "facts", required_argument, NULL, OPT_FACTS },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ "tls-required-no", no_argument, NULL, OPT_NO_TLS },
	{ "color", required_argument, NULL, OPT_COLOR },
	{ "requiretls", no_argument, NULL, OPT_REQUIRETLS },
	{ "lmtp", no_argument, NULL, OPT_LMTP },
	{ "diff", required_argument, NULL, OPT_DIFF },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int explain_option(struct explain_options *o, int c)
{
	if (cmd_sources_option(&o->sources, c, optarg))
		return 0;
	switch (c) {
	case 'v':
		o->is_verbose = true;
		return 0;
	case OPT_HOST:
		o->host = optarg;
		return 0;
	case OPT_JSON:
		o->is_json = true;
		return 0;
	case OPT_FACTS:
		o->facts = optarg;
		return 0;
	case OPT_RECORD:
		o->record = optarg;
		return 0;
	case OPT_NO_TLS:
		o->has_tls_required_no = true;
		return 0;
	case OPT_COLOR:
		return cmd_color_parse(optarg, &o->color)
			       ? 0
			       : cmd_usage("explain", "--color %s: say auto, always or never",
					   optarg);
	case OPT_REQUIRETLS:
		o->has_requiretls = true;
		return 0;
	case OPT_LMTP:
		o->is_lmtp = true;
		return 0;
	case OPT_DIFF:
		o->diff = optarg;
		return 0;
	case 'h':
		return cmd_print(explain_help) ? -1 : EX_IOERR;
	default:
		CHECK(!"an option of no use");
	}
}

static int explain_parse(struct explain_options *o, int argc, char **argv)
{
	int c;

	opterr = 0; /* cmd_bad_option says it */
	while ((c = getopt_long(argc, argv, ":c:o:vh", explain_long, NULL)) != -1) {
		int status = cmd_is_bad_option(c) ? cmd_bad_option("explain", c, argv)
						  : explain_option(o, c);
		if (status != 0)
			return status;
	}
	o->subjects = argv + optind;
	o->n_subjects = argc - optind;
	if (o->diff && (o->facts || o->record))
		return cmd_usage("explain", "--diff asks tables alone: no --facts, no --record");
	if (o->diff)
		return 0;
	if (o->n_subjects != 1)
		return cmd_usage("explain", "one next-hop or address is wanted");
	o->subject = str_of(argv[optind]);
	if (o->subject.n == 0 || o->subject.n > NEXTHOP_MAX)
		return cmd_usage("explain", "\"%s\" is no next-hop and no address", argv[optind]);
	return 0;
}

static bool explain_read_facts(struct explain *x, struct error *e)
{
	struct buf b;

	x->recorded = fact_list_new(x->arena);
	buf_init(&b, FACTS_FILE_MAX);
	bool is_read = os_file_read(x->options->facts, &b, NULL, e) &&
		       facts_read(buf_str(&b), x->recorded, e);
	buf_fini(&b);
	return is_read || error_prefix(e, "%s", x->options->facts);
}

static bool explain_open(struct explain *x, struct conf *conf, struct error *e)
{
	struct cmd_site_options so = { .conf = conf, .found = cmd_say_table_finding };

	if (x->options->facts) {
		if (!explain_read_facts(x, e)) {
			conf_unref(conf);
			return false;
		}
		so.is_offline = true;
		so.facts = fact_list_set(x->recorded);
	}
	return cmd_site_open(&x->site, &so, e);
}

static int explain_configured(const struct explain_options *o, struct conf *conf)
{
	struct explain x = { .options = o, .arena = arena_new() };
	struct error e = { 0 };
	int status;

	x.facts = fact_list_new(x.arena);
	x.is_address = str_contains(o->subject, '@');
	if (!explain_open(&x, conf, &e)) {
		arena_free(x.arena);
		return cmd_fail(&e);
	}
	if (explain_all(&x)) {
		status = explain_report(&x);
	} else {
		status = cmd_fail(&x.error);
		if (x.error.kind != ERROR_DATA)
			status = EXPLAIN_CANNOT_TELL;
	}
	cmd_site_close(&x.site);
	arena_free(x.arena);
	return status;
}

int cmd_explain(int argc, char **argv)
{
	struct explain_options o = { 0 };
	int status = explain_parse(&o, argc, argv);

	if (status == 0) {
		struct conf *conf =
			cmd_configure(&o.sources, o.is_verbose ? CONF_NOTE : CONF_ERROR, &status);
		if (conf)
			status = o.diff ? explain_diff(&o, conf) : explain_configured(&o, conf);
	}
	cmd_sources_fini(&o.sources);
	return status < 0 ? EX_OK : status;
}
