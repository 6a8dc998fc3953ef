#include "cmd/site.h"

#include "cmd/cmd.h"
#include "deliver/login.h"
#include "deliver/site_options.h"
#include "os/os.h"
#include "policy/cache.h"
#include "sasl/sasl.h"

/* The parameters whose values are lists of tables that are looked up by name. */
static const enum conf_id table_params[] = {
	CONF_transport_maps,         CONF_smtp_tls_per_site,    CONF_smtp_tls_policy_maps,
	CONF_lmtp_tls_per_site,      CONF_lmtp_tls_policy_maps, CONF_smtp_sasl_password_maps,
	CONF_lmtp_sasl_password_maps
};

struct str cmd_table_finding_text(struct arena *a, const struct table_finding *f)
{
	const char *severity = f->is_error ? "error" : f->is_news ? "note" : "warning";

	if (f->file.n > 0 && f->line > 0)
		return arena_fmt(a, STR_FMT ":%u: %s: " STR_FMT, STR_ARG(f->file), f->line,
				 severity, STR_ARG(f->text));
	return arena_fmt(a, STR_FMT ": " STR_FMT ": %s: " STR_FMT, STR_ARG(f->param),
			 STR_ARG(f->source), severity, STR_ARG(f->text));
}

void cmd_say_table_finding(void *arg, const struct table_finding *f)
{
	struct arena *a = arena_new();

	(void)arg;
	cmd_say("%s", cmd_table_finding_text(a, f).p);
	arena_free(a);
}

/* Tables that stand as elements in lists of names: now, so that what is wrong with them is told
 * before the first lookup. */
static void open_specs(struct tables *t, const struct str *specs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!tables_find(t, specs[i]))
			tables_open(t, specs[i], specs[i], os_now_ms());
}

static void open_listed_tables(struct tables *t, const struct conf *conf)
{
	struct arena *a = arena_new();
	const struct str *specs;
	size_t n;

	n = route_listed_tables(a, conf, &specs);
	open_specs(t, specs, n);
	n = policy_requiretls_tables(a, conf, CONF_smtp_requiretls_policy, &specs);
	open_specs(t, specs, n);
	n = policy_requiretls_tables(a, conf, CONF_lmtp_requiretls_policy, &specs);
	open_specs(t, specs, n);
	arena_free(a);
}

struct tables *cmd_tables_open(const struct conf *conf, const struct table_options *options)
{
	struct table_options o = *options;
	o.is_utf8 = conf_bool(conf, CONF_smtputf8_enable);
	o.conf = conf;
	struct tables *t = tables_new(&o);

	for (size_t i = 0; i < ARRAY_LEN(table_params); i++)
		tables_open(t, conf_name(table_params[i]), conf_str(conf, table_params[i]),
			    os_now_ms());
	open_listed_tables(t, conf);
	return t;
}

static bool site_open_lookups(struct cmd_site *s, const struct cmd_site_options *o, struct error *e)
{
	struct table_options tables = {
		.found = o->found,
		.arg = o->arg,
		.loop = s->deliver.loop,
	};

	if (o->is_offline) {
		s->deliver.ask = ask_new_offline(s->deliver.loop, o->facts);
		return true;
	}
	s->tables = cmd_tables_open(s->conf, &tables);
	s->dns = ask_dns_new(s->deliver.loop, s->conf, e);
	if (!s->dns)
		return false;
	s->deliver.ask = ask_new(s->deliver.loop, s->tables, s->dns);
	return true;
}

/* myorigin may name a file that holds the domain in its first line, as /etc/mailname does. "" when
 * it cannot be read: only a recipient without domain misses it. */
static struct str site_origin(struct arena *a, const struct conf *conf)
{
	struct str path = conf_str(conf, CONF_myorigin), line = STR(""), rest;
	struct buf b;

	if (!str_has_prefix(path, STR("/")))
		return line;
	buf_init(&b, 4096);
	if (os_file_read(arena_str(a, path).p, &b, NULL, NULL)) {
		rest = buf_str(&b);
		if (str_token(&rest, STR("\r\n"), &line))
			line = arena_str(a, str_trim(line));
	}
	buf_fini(&b);
	return line;
}

static bool site_open_client(struct cmd_site *s, struct deliver_client *c, const struct conf *conf,
			     struct error *e)
{
	c->conf = conf;
	c->policy = policy_config_new(s->arena, conf, e);
	if (c->policy)
		c->decisions = policy_cache_new(c->policy);
	return c->policy != NULL;
}

static bool
site_open_steppers(struct cmd_site *s, const struct cmd_site_options *o, struct error *e)
{
	struct route_machine machine = { .own = o->own, .n_own = o->n_own };

	if (!o->is_offline) {
		if (!net_own_addresses(s->arena, &machine.own, &machine.n_own, e))
			return false;
		machine.origin = site_origin(s->arena, s->conf);
	}
	s->deliver.route = route_config_new(s->arena, s->conf, &machine, e);
	if (!s->deliver.route)
		return false;
	return site_open_client(s, &s->deliver.smtp, s->conf, e) &&
	       site_open_client(s, &s->deliver.lmtp, conf_lmtp(s->conf), e);
}

/* A file that main.cf names and that is missing or broken is a fault of main.cf. */
static bool site_blame_configuration(struct error *e)
{
	if (e->kind == ERROR_NO_INPUT || e->kind == ERROR_DATA)
		e->kind = ERROR_CONFIG;
	return false;
}

bool cmd_site_open(struct cmd_site *s, const struct cmd_site_options *o, struct error *e)
{
	*s = (struct cmd_site){ .conf = o->conf, .is_offline = o->is_offline };
	s->arena = arena_new();
	s->deliver.conf = s->conf;
	s->has_loop = !o->loop;
	s->deliver.loop = o->loop ? o->loop : net_loop_new();
	if (site_open_lookups(s, o, e) && site_open_steppers(s, o, e))
		return true;
	cmd_site_close(s);
	return site_blame_configuration(e);
}

static bool site_open_client_tls(struct deliver_client *c, struct error *e)
{
	c->tls = deliver_tls_new(c->conf, e);
	if (!c->tls)
		return site_blame_configuration(e);
	struct str warning = tls_client_warning(c->tls);
	if (warning.n > 0)
		cmd_say("warning: " STR_FMT, STR_ARG(warning));
	return true;
}

/* Servers that want a login would refuse mail without it for good, and it would be returned. */
static bool site_open_login(struct cmd_site *s, struct error *e)
{
	enum conf_id blamed;

	if (!deliver_login_check(s->conf, &blamed, e))
		return error_prefix(e, STR_FMT ":%u", STR_ARG(conf_file(s->conf, blamed)),
				    conf_line(s->conf, blamed));
	s->deliver.sasl = sasl_new();
	return true;
}

bool cmd_site_open_tls(struct cmd_site *s, struct error *e)
{
	return site_open_login(s, e) && site_open_client_tls(&s->deliver.smtp, e) &&
	       site_open_client_tls(&s->deliver.lmtp, e);
}

static void site_close_client(struct deliver_client *c)
{
	tls_client_free(c->tls);
	policy_cache_free(c->decisions);
}

void cmd_site_close(struct cmd_site *s)
{
	site_close_client(&s->deliver.smtp);
	site_close_client(&s->deliver.lmtp);
	sasl_free(s->deliver.sasl);
	ask_free(s->deliver.ask);
	dns_free(s->dns);
	tables_free(s->tables);
	if (s->has_loop)
		net_loop_free(s->deliver.loop);
	arena_free(s->arena);
	conf_unref(s->conf);
}
