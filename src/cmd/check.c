/* hopseal check: what is wrong with a configuration and its tables, before any mail meets it. */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/check_inside.h"
#include "cmd/maillog.h"
#include "listen/listen.h"
#include "cmd/cmd.h"
#include "cmd/site.h"
#include "deliver/site_options.h"
#include "os/os.h"

enum { CHECK_REPORT_MAX = 64 * 1024 * 1024 };

#define DAY_S 86400
#define EXPIRES_WITHIN_S (14 * DAY_S) /* whoever renews by machine has done it by then */

static const struct str check_help = STR_INIT(
	"usage: hopseal check [-v] [-c DIR] [-o NAME=VALUE]... [--json] [--dns]\n"
	"                     [--expires-within TIME] [--ignore CODE]...\n"
	"\n"
	"Validates main.cf, the tables that it names and the files that TLS and DNS need, and\n"
	"points at entries that do not do what they look like. Nothing is connected to. When\n"
	"there is nothing to say, it says nothing.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"      --json        one JSON document\n"
	"      --dns         ask DNS whether keys of policy tables are names of servers\n"
	"      --expires-within TIME\n"
	"                    find certificates that end within 30d, 12h ... (14d)\n"
	"      --ignore CODE leave out findings of this code; may be repeated\n"
	"  -v                count the findings, though there are none\n"
	"  -h, --help\n"
	"\n"
	"Each finding is an error (nothing is delivered, or the mail concerned is deferred), a\n"
	"warning (it does not do what it looks like) or a note (accepted, without effect; or an\n"
	"exception that may well be meant).\n"
	"\n"
	"Exit status: 0 no errors, 78 errors, 66 main.cf cannot be read, 64 usage.\n");

struct check {
	struct cmd_sources sources;
	bool is_json, is_verbose, asks_dns;
	int64_t expires_within_s;
	const char **ignored; /* codes; argv's */
	size_t n_ignored;

	struct arena *arena;
	struct conf_finding *found;
	size_t n, room;
	struct conf *conf;
	struct tables *tables;
};

static bool check_is_ignored(const struct check *c, struct str code)
{
	for (size_t i = 0; i < c->n_ignored; i++)
		if (str_eq(str_of(c->ignored[i]), code))
			return true;
	return false;
}

static void check_add(struct check *c, const struct conf_finding *f)
{
	if (check_is_ignored(c, f->code))
		return;
	if (c->n == c->room) {
		c->room = c->room ? c->room * 2 : 64;
		c->found = base_realloc(c->found, c->room * sizeof(*c->found));
	}
	c->found[c->n++] = *f;
}

static void check_add_all(struct check *c, struct conf_findings f)
{
	for (size_t i = 0; i < f.n; i++)
		check_add(c, &f.v[i]);
}

/* A part that could not be opened. */
static void check_add_error(struct check *c, const char *code, const struct error *e)
{
	struct conf_finding f = {
		.severity = CONF_ERROR,
		.code = str_of(code),
		.text = arena_str(c->arena, error_text(e)),
	};

	check_add(c, &f);
}

static void check_table_found(void *arg, const struct table_finding *t)
{
	struct check *c = arg;
	struct conf_finding f = check_table_finding(c->arena, t);

	check_add(c, &f);
}

static void check_found(void *arg, const struct conf_finding *f)
{
	check_add(arg, f);
}

static struct check_to check_to_here(struct check *c)
{
	return (struct check_to){ c->arena, check_found, c, os_utc_s(), c->expires_within_s };
}

struct conf_finding check_param_finding(const struct conf *conf, enum conf_id id,
					enum conf_severity severity, struct str code)
{
	return (struct conf_finding){
		.severity = severity,
		.code = code,
		.param = conf_name(id),
		.file = conf_file(conf, id),
		.line = conf_line(conf, id),
	};
}

/* ---- what delivery would open ---- */

static void check_routing(struct check *c)
{
	struct error e = { 0 };
	struct route_machine machine = { 0 };
	const struct route_config *cfg = NULL;
	struct check_to to = check_to_here(c);

	if (net_own_addresses(c->arena, &machine.own, &machine.n_own, &e))
		cfg = route_config_new(c->arena, c->conf, &machine, &e);
	if (cfg)
		check_routes(&to, c->conf, cfg,
			     tables_find(c->tables, conf_name(CONF_transport_maps)));
	else
		check_add_error(c, "routing", &e);
}

static void check_add_ca_path(struct check *c, struct str text)
{
	struct conf_finding f = check_param_finding(c->conf, CONF_smtp_tls_CApath, CONF_WARNING,
						    STR("tls-ca-path"));

	f.text = arena_str(c->arena, text);
	f.remedy = STR("no CA is trusted from there: correct the path, or remove it");
	check_add(c, &f);
}

static void check_lmtp_tls(struct check *c)
{
	struct error e = { 0 };
	struct tls_client *tls = deliver_tls_new(conf_lmtp(c->conf), &e);

	if (!tls)
		check_add_error(c, "tls", &e);
	tls_client_free(tls);
}

/* What delivery would have, or at least a client that tells good ciphers from bad. */
static struct tls_client *check_open_tls(struct check *c, const struct check_to *to)
{
	struct tls_client_options nothing = { .verify_depth = 9 };
	bool is_good = check_files(to, c->conf);
	struct error e = { 0 };
	struct tls_client *tls = deliver_tls_new(c->conf, &e);

	if (!tls && is_good)
		check_add_error(c, "tls", &e);
	check_lmtp_tls(c);
	if (tls && tls_client_warning(tls).n)
		check_add_ca_path(c, tls_client_warning(tls));
	else if (tls)
		check_ca_folder(to, c->conf);
	return tls ? tls : tls_client_new(&nothing, &e);
}

static void
check_policy(struct check *c, const struct policy_config *cfg, const struct check_tables *tables)
{
	struct check_to to = check_to_here(c);
	struct tls_client *tls = check_open_tls(c, &to);

	if (cfg && tls)
		check_tls(&to, c->conf, cfg, tls, tables);
	tls_client_free(tls);
}

/* A slip in the list of actions makes mail wait, that of the few who ask for REQUIRETLS. */
static void check_requiretls(struct check *c, enum conf_id id)
{
	struct str word = policy_requiretls_unknown(c->conf, id);
	struct conf_finding f =
		check_param_finding(c->conf, id, CONF_ERROR, STR("requiretls-action"));

	if (word.n == 0)
		return;
	f.remedy = STR("use enforce, opportunistic+starttls, opportunistic, disable, or a table as "
		       "type:name");
	f.text = arena_fmt(c->arena,
			   STR_FMT ": \"" STR_FMT "\" is no action: mail with REQUIRETLS that "
				   "comes to it is deferred (4.7.5)",
			   STR_ARG(f.param), STR_ARG(str_first(word, 60)));
	check_add(c, &f);
}

static void check_notify_class(struct check *c, struct str word)
{
	struct conf_finding f = check_param_finding(c->conf, CONF_notify_classes, CONF_WARNING,
						    STR("notify-class"));

	f.text = arena_fmt(c->arena,
			   "notify_classes: no postmaster is told of \"" STR_FMT "\" here; of "
			   "bounce, 2bounce and delay alone",
			   STR_ARG(str_first(word, 60)));
	f.remedy = STR("look at the log, hopseal status or the metrics for it");
	check_add(c, &f);
}

static void check_notify(struct check *c)
{
	struct str words = conf_str(c->conf, CONF_notify_classes), word;

	while (conf_is_set(c->conf, CONF_notify_classes) &&
	       str_token(&words, STR(", \t\r\n"), &word))
		if (!str_ieq_ascii(word, STR("bounce")) && !str_ieq_ascii(word, STR("2bounce")) &&
		    !str_ieq_ascii(word, STR("delay")))
			check_notify_class(c, word);
}

/* Each list once, however many offer AUTH by it. */
static void check_all_passwords(struct check *c, const struct listen_setup *setup)
{
	struct check_to to = check_to_here(c);

	for (size_t i = 0; i < listen_setup_count(setup); i++) {
		struct str list = listen_setup_passwords(setup, i);
		bool is_new = list.n > 0;

		for (size_t k = 0; k < i && is_new; k++)
			is_new = !str_eq(list, listen_setup_passwords(setup, k));
		if (is_new)
			check_passwords(&to, c->conf, list);
	}
}

/* Who listens, with which certificates: hopseal serve would not start. */
static void check_listeners(struct check *c)
{
	struct error e;
	struct listen_setup *setup = listen_setup_new(c->conf, &e);
	struct conf_finding f =
		check_param_finding(c->conf, CONF_hopseal_listeners, CONF_ERROR, STR("listeners"));

	if (setup && listen_setup_read(setup, &e) && listen_setup_try(setup, &e)) {
		struct check_to to = check_to_here(c);
		check_connections(&to, c->conf, listen_setup_connections_max(setup));
		check_all_passwords(c, setup);
		listen_setup_unref(setup);
		return;
	}
	listen_setup_unref(setup);
	f.text = arena_str(c->arena, error_text(&e));
	f.remedy = STR("hopseal serve does not start with it, and a reload refuses it");
	check_add(c, &f);
}

/* hopseal serve does not start with it. */
static void check_log(struct check *c)
{
	struct os_log_options o;
	struct error e;
	struct conf_finding f =
		check_param_finding(c->conf, CONF_maillog_file, CONF_ERROR, STR("log"));

	if (cmd_maillog_options(c->conf, &o, &e))
		return;
	f.text = arena_str(c->arena, error_text(&e));
	f.remedy = STR("hopseal serve does not start with it, and a reload refuses it");
	check_add(c, &f);
}

static void check_resolver(struct check *c, const struct check_tables *tables)
{
	struct error e = { 0 };
	enum conf_id blamed;
	struct net_loop *loop = net_loop_new();
	struct dns *dns = NULL;
	struct check_to to = check_to_here(c);

	if (!ask_dns_check(loop, c->conf, &blamed, &e)) {
		struct conf_finding f =
			check_param_finding(c->conf, blamed, CONF_ERROR, STR("dns"));
		f.text = arena_str(c->arena, error_text(&e));
		f.remedy = STR("correct the parameter: no destination can be looked up");
		check_add(c, &f);
	} else {
		dns = ask_dns_new(loop, c->conf, &e);
		if (!dns)
			check_add_error(c, "dns", &e);
	}
	if (dns && c->asks_dns)
		check_dns(&to, loop, dns, tables);
	dns_free(dns);
	net_loop_free(loop);
}

static void check_all(struct check *c)
{
	struct error e = { 0 };
	struct check_tables tables;
	struct check_to to = check_to_here(c);
	const struct policy_config *cfg = policy_config_new(c->arena, c->conf, &e);

	check_tables_init(&tables, c->conf, c->tables, cfg);
	check_tables_lint(&to, &tables, c->conf, cfg);
	check_routing(c);
	check_resolver(c, &tables);
	const struct policy_config *lmtp =
		cfg ? policy_config_new(c->arena, conf_lmtp(c->conf), &e) : NULL;
	if (!lmtp)
		check_add_error(c, "tls-policy", &e);
	check_requiretls(c, CONF_smtp_requiretls_policy);
	check_requiretls(c, CONF_lmtp_requiretls_policy);
	check_login(&to, c->conf, cfg, lmtp);
	check_notify(c);
	check_listeners(c);
	check_log(c);
	check_queue_folder(&to, c->conf);
	check_policy(c, cfg, &tables);
	check_tables_fini(&tables);
}

/* ---- the report ---- */

static int check_report(const struct check *c)
{
	struct check_findings found = { c->found, c->n };
	int status = check_count(&found, CONF_ERROR) > 0 ? EX_CONFIG : EX_OK;
	struct buf out;

	buf_init(&out, CHECK_REPORT_MAX);
	bool fits = c->is_json ? check_report_json(&out, &found, status)
			       : check_report_text(&out, &found, c->is_verbose);
	if (!fits)
		cmd_say("the report was cut at %d octets", CHECK_REPORT_MAX);
	if (!cmd_print(buf_str(&out)))
		status = EX_IOERR;
	buf_fini(&out);
	return status;
}

static int check_run(struct check *c)
{
	struct conf_findings findings;
	struct error e = { 0 };
	struct conf *conf = cmd_configure_quietly(&c->sources, c->arena, &findings, &e);

	if (!conf && findings.n == 0)
		return cmd_fail(&e);
	check_add_all(c, findings);
	if (conf) {
		struct table_options o = { .found = check_table_found, .arg = c };
		c->conf = conf;
		c->tables = cmd_tables_open(conf, &o);
		check_all(c);
		tables_free(c->tables);
	}
	int status = check_report(c);
	conf_unref(conf);
	return status;
}

/* ---- options ---- */

enum { OPT_JSON = 256, OPT_DNS, OPT_EXPIRES_WITHIN, OPT_IGNORE };

static const struct option check_long[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "dns", no_argument, NULL, OPT_DNS },
	{ "expires-within", required_argument, NULL, OPT_EXPIRES_WITHIN },
	{ "ignore", required_argument, NULL, OPT_IGNORE },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

/* "30d"; a number alone is one of seconds, as in main.cf. */
static bool check_time(struct str text, int64_t *seconds)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', DAY_S }, { 'w', 7 * DAY_S } };
	int64_t unit_s = 1;
	uint64_t n;

	for (size_t i = 0; text.n > 0 && i < ARRAY_LEN(units); i++) {
		if (text.p[text.n - 1] == units[i].unit) {
			unit_s = units[i].s;
			text.n--;
			break;
		}
	}
	if (!str_to_u64(text, &n) || n > 1000000)
		return false;
	*seconds = (int64_t)n * unit_s;
	return true;
}

static int check_option(struct check *c, int opt)
{
	if (cmd_sources_option(&c->sources, opt, optarg))
		return 0;
	switch (opt) {
	case OPT_JSON:
		c->is_json = true;
		return 0;
	case OPT_DNS:
		c->asks_dns = true;
		return 0;
	case OPT_EXPIRES_WITHIN:
		if (check_time(str_of(optarg), &c->expires_within_s))
			return 0;
		return cmd_usage("check", "\"%s\" is no time such as 30d", optarg);
	case OPT_IGNORE:
		c->ignored = base_realloc(c->ignored, (c->n_ignored + 1) * sizeof(*c->ignored));
		c->ignored[c->n_ignored++] = optarg;
		return 0;
	case 'v':
		c->is_verbose = true;
		return 0;
	case 'h':
		return cmd_print(check_help) ? -1 : EX_IOERR;
	default:
		CHECK(!"an option of no use");
	}
}

static int check_parse(struct check *c, int argc, char **argv)
{
	int opt;

	opterr = 0; /* cmd_bad_option says it */
	while ((opt = getopt_long(argc, argv, ":c:o:hv", check_long, NULL)) != -1) {
		int status = cmd_is_bad_option(opt) ? cmd_bad_option("check", opt, argv)
						    : check_option(c, opt);
		if (status != 0)
			return status;
	}
	if (optind != argc)
		return cmd_usage("check", "no argument is wanted: \"%s\"", argv[optind]);
	return 0;
}

int cmd_check(int argc, char **argv)
{
	struct check c = { .arena = arena_new(), .expires_within_s = EXPIRES_WITHIN_S };
	int status = check_parse(&c, argc, argv);

	if (status == 0)
		status = check_run(&c);
	free(c.found);
	free(c.ignored);
	arena_free(c.arena);
	cmd_sources_fini(&c.sources);
	return status < 0 ? EX_OK : status;
}
