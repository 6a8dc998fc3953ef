/* hopseal check: what is wrong with a configuration and its tables, before any mail meets it. */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/check_inside.h"
#include "cmd/cmd.h"
#include "cmd/routes.h"
#include "cmd/site.h"
#include "deliver/site_options.h"
#include "policy/lint.h"

enum { CHECK_REPORT_MAX = 64 * 1024 * 1024 };

static const struct str check_help = STR_INIT(
	"usage: hopseal check [-c DIR] [-o NAME=VALUE]... [--json]\n"
	"\n"
	"Validates main.cf, the tables that it names and the files that TLS and DNS need, and\n"
	"points at entries that do not do what they look like. Nothing is connected to.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"      --json        one JSON document\n"
	"  -h, --help\n"
	"\n"
	"Each finding is an error (nothing is delivered, or the mail concerned is deferred), a\n"
	"warning (it does not do what it looks like) or a note (accepted, without effect).\n"
	"\n"
	"Exit status: 0 no errors, 78 errors, 66 main.cf cannot be read, 64 usage.\n");

/* The entries of one parameter's tables: copies, for some table types lend them for the call. */
struct check_table {
	struct arena *arena;
	struct policy_lint_entry *v;
	size_t n, room;
};

struct check {
	struct cmd_sources sources;
	bool is_json;
	struct arena *arena;
	struct conf_finding *found;
	size_t n, room;
	struct check_table per_site, maps;
};

static void check_add(struct check *c, const struct conf_finding *f)
{
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

/* ---- tables ---- */

static void check_table_found(void *arg, const struct table_finding *t)
{
	struct check *c = arg;
	struct str where = t->file.n > 0 ? STR_NONE : t->source;
	struct conf_finding f = {
		.severity = t->is_error  ? CONF_ERROR
			    : t->is_news ? CONF_NOTE
					 : CONF_WARNING,
		.code = arena_fmt(c->arena, "table-" STR_FMT, STR_ARG(t->code)),
		.param = arena_str(c->arena, t->param),
		.file = arena_str(c->arena, t->file),
		.line = t->line,
		.text = arena_fmt(c->arena, STR_FMT "%s" STR_FMT, STR_ARG(where),
				  where.n > 0 ? ": " : "", STR_ARG(t->text)),
		.remedy = arena_str(c->arena, t->remedy),
	};

	check_add(c, &f);
}

static void check_entry(void *arg, const struct table_entry *t)
{
	struct check_table *to = arg;

	if (to->n == to->room) {
		to->room = to->room ? to->room * 2 : 256;
		to->v = base_realloc(to->v, to->room * sizeof(*to->v));
	}
	to->v[to->n++] = (struct policy_lint_entry){
		.key = arena_str(to->arena, t->key),
		.value = arena_str(to->arena, t->value),
		.file = t->file,
		.line = t->line,
	};
}

/* Keeps what a lint found: the tables go before the report. */
static void check_keep(struct check *c, struct conf_findings f)
{
	for (size_t i = 0; i < f.n; i++) {
		struct conf_finding kept = f.v[i];
		kept.file = arena_str(c->arena, kept.file);
		check_add(c, &kept);
	}
}

static void check_tables(struct check *c, const struct conf *conf, const struct tables *t)
{
	struct cmd_routes routes;

	cmd_routes_init(&routes, conf, tables_find(t, conf_name(CONF_transport_maps)));
	struct policy_lint_routes produced = {
		.nexthops = routes.nexthops,
		.n = routes.n,
		.has_any_domain = routes.has_any_domain,
		.has_more = routes.has_unlisted,
	};
	table_set_each(tables_find(t, conf_name(CONF_smtp_tls_per_site)), check_entry,
		       &c->per_site);
	table_set_each(tables_find(t, conf_name(CONF_smtp_tls_policy_maps)), check_entry, &c->maps);
	check_keep(c, policy_lint_per_site(c->arena, c->per_site.v, c->per_site.n, &produced));
	check_keep(c, policy_lint_maps(c->arena, c->maps.v, c->maps.n));
	cmd_routes_fini(&routes);
}

/* ---- what delivery would open ---- */

static void check_add_tls_warning(struct check *c, struct str text)
{
	struct conf_finding f = {
		.severity = CONF_WARNING,
		.code = STR("tls-ca-path"),
		.param = STR("smtp_tls_CApath"),
		.text = arena_str(c->arena, text),
		.remedy = STR("no CA is trusted from there: correct the path, or remove it"),
	};

	if (text.n > 0)
		check_add(c, &f);
}

static void check_found(void *arg, const struct conf_finding *f)
{
	check_keep(arg, (struct conf_findings){ f, 1 });
}

static void check_routing(struct check *c, const struct conf *conf, const struct tables *t)
{
	struct error e = { 0 };
	struct route_machine machine = { 0 };
	const struct route_config *cfg = NULL;
	struct check_to to = { c->arena, check_found, c };

	if (net_own_addresses(c->arena, &machine.own, &machine.n_own, &e))
		cfg = route_config_new(c->arena, conf, &machine, &e);
	if (cfg)
		cmd_check_routes(&to, conf, cfg, tables_find(t, conf_name(CONF_transport_maps)));
	else
		check_add_error(c, "routing", &e);
}

static void check_dns(struct check *c, const struct conf *conf)
{
	struct error e = { 0 };
	struct net_loop *loop = net_loop_new();
	struct dns *dns = ask_dns_new(loop, conf, &e);

	if (!dns)
		check_add_error(c, "dns", &e);
	dns_free(dns);
	net_loop_free(loop);
}

/* A slip in the list of actions makes mail wait, that of the few who ask for REQUIRETLS. */
static void check_requiretls(struct check *c, const struct conf *conf, enum conf_id id)
{
	struct str word = policy_requiretls_unknown(conf, id);
	struct conf_finding f = {
		.severity = CONF_ERROR,
		.code = STR("requiretls-action"),
		.param = conf_name(id),
		.file = conf_file(conf, id),
		.line = conf_line(conf, id),
		.remedy = STR("use enforce, opportunistic+starttls, opportunistic, disable, or a "
			      "table as type:name"),
	};

	if (word.n == 0)
		return;
	f.text = arena_fmt(c->arena,
			   STR_FMT ": \"" STR_FMT "\" is no action: mail with REQUIRETLS that "
				   "comes to it is deferred (4.7.5)",
			   STR_ARG(f.param), STR_ARG(str_first(word, 60)));
	check_add(c, &f);
}

static void check_policy(struct check *c, const struct conf *conf)
{
	struct error e = { 0 };
	struct check_entries per_site = { c->per_site.v, c->per_site.n };
	struct check_entries maps = { c->maps.v, c->maps.n };
	struct check_to to = { c->arena, check_found, c };
	const struct policy_config *cfg = policy_config_new(c->arena, conf, &e);

	if (!cfg)
		check_add_error(c, "tls-policy", &e);
	check_requiretls(c, conf, CONF_smtp_requiretls_policy);
	check_requiretls(c, conf, CONF_lmtp_requiretls_policy);
	struct tls_client *tls = deliver_tls_new(conf, &e);
	if (tls)
		check_add_tls_warning(c, tls_client_warning(tls));
	else
		check_add_error(c, "tls", &e);
	if (cfg && tls)
		cmd_check_tls(&to, conf, cfg, tls, &per_site, &maps);
	tls_client_free(tls);
}

/* ---- the report ---- */

static const char *const severity_names[] = {
	[CONF_NOTE] = "note",
	[CONF_WARNING] = "warning",
	[CONF_ERROR] = "error",
};

static size_t check_count(const struct check *c, enum conf_severity severity)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		n += c->found[i].severity == severity;
	return n;
}

static void put_or_null(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	json_str_or_null(j, s.n > 0 ? s : STR_NONE);
}

static void put_finding(struct json *j, const struct conf_finding *f)
{
	json_object(j);
	json_put_str(j, "severity", str_of(severity_names[f->severity]));
	json_put_str(j, "code", f->code);
	put_or_null(j, "parameter", f->param);
	put_or_null(j, "file", f->file);
	json_key(j, "line");
	if (f->line > 0)
		json_int(j, f->line);
	else
		json_null(j);
	json_put_str(j, "text", f->text);
	put_or_null(j, "remedy", f->remedy);
	json_object_end(j);
}

static bool check_json(struct buf *out, const struct check *c, int status)
{
	struct json j;

	json_init(&j, out, true);
	json_object(&j);
	json_put_str(&j, "schema", STR("hopseal.check"));
	json_put_int(&j, "version", 1);
	json_key(&j, "findings");
	json_array(&j);
	for (size_t i = 0; i < c->n; i++)
		put_finding(&j, &c->found[i]);
	json_array_end(&j);
	json_put_int(&j, "errors", (int64_t)check_count(c, CONF_ERROR));
	json_put_int(&j, "warnings", (int64_t)check_count(c, CONF_WARNING));
	json_put_int(&j, "notes", (int64_t)check_count(c, CONF_NOTE));
	json_put_int(&j, "exit", status);
	json_object_end(&j);
	return json_end(&j);
}

/* A finding that stands in no file has at least its parameter. */
static struct str place_of(const struct conf_finding *f)
{
	size_t at;

	return f->file.n > 0 || str_search(f->text, f->param, &at) ? STR_NONE : f->param;
}

static bool add_finding(struct buf *out, const struct conf_finding *f)
{
	struct str param = place_of(f);
	bool fits = true;

	if (f->file.n > 0)
		fits = f->line > 0 ? buf_fmt(out, STR_FMT ":%u: ", STR_ARG(f->file), f->line)
				   : buf_fmt(out, STR_FMT ": ", STR_ARG(f->file));
	fits = fits && buf_fmt(out, "%s: " STR_FMT "%s" STR_FMT " [" STR_FMT "]\n",
			       severity_names[f->severity], STR_ARG(param), param.n > 0 ? ": " : "",
			       STR_ARG(f->text), STR_ARG(f->code));
	if (f->remedy.n > 0)
		fits = fits && buf_fmt(out, "    " STR_FMT "\n", STR_ARG(f->remedy));
	return fits;
}

/* "1 error", "2 warnings" */
static bool
add_count(struct buf *out, const struct check *c, enum conf_severity severity, const char *after)
{
	size_t n = check_count(c, severity);

	return buf_fmt(out, "%zu %s%s%s", n, severity_names[severity], n == 1 ? "" : "s", after);
}

static bool check_text(struct buf *out, const struct check *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (!add_finding(out, &c->found[i]))
			return false;
	return add_count(out, c, CONF_ERROR, ", ") && add_count(out, c, CONF_WARNING, ", ") &&
	       add_count(out, c, CONF_NOTE, "\n");
}

static int check_report(const struct check *c)
{
	int status = check_count(c, CONF_ERROR) > 0 ? EX_CONFIG : EX_OK;
	struct buf out;

	buf_init(&out, CHECK_REPORT_MAX);
	bool fits = c->is_json ? check_json(&out, c, status) : check_text(&out, c);
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
		struct tables *t = cmd_tables_open(conf, &o);
		check_tables(c, conf, t);
		check_routing(c, conf, t);
		check_dns(c, conf);
		check_policy(c, conf);
		tables_free(t);
	}
	int status = check_report(c);
	conf_unref(conf);
	return status;
}

/* ---- options ---- */

enum { OPT_JSON = 256 };

static const struct option check_long[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int check_option(struct check *c, int opt)
{
	if (cmd_sources_option(&c->sources, opt, optarg))
		return 0;
	switch (opt) {
	case OPT_JSON:
		c->is_json = true;
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
	while ((opt = getopt_long(argc, argv, ":c:o:h", check_long, NULL)) != -1) {
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
	struct check c = { .arena = arena_new() };

	c.per_site.arena = c.maps.arena = c.arena;
	int status = check_parse(&c, argc, argv);

	if (status == 0)
		status = check_run(&c);
	free(c.found);
	free(c.per_site.v);
	free(c.maps.v);
	arena_free(c.arena);
	cmd_sources_fini(&c.sources);
	return status < 0 ? EX_OK : status;
}
