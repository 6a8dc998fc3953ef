/* The entries of the policy tables, held against each other and against the routing. */

#include "cmd/check_inside.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "cmd/routes.h"
#include "cmd/site.h"
#include "os/os.h"

struct conf_finding check_table_finding(struct arena *a, const struct table_finding *t)
{
	struct str where = t->file.n > 0 ? STR_NONE : t->source;

	return (struct conf_finding){
		.severity = t->is_error  ? CONF_ERROR
			    : t->is_news ? CONF_NOTE
					 : CONF_WARNING,
		.code = arena_fmt(a, "table-" STR_FMT, STR_ARG(t->code)),
		.param = arena_str(a, t->param),
		.file = arena_str(a, t->file),
		.line = t->line,
		.text = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(where), where.n > 0 ? ": " : "",
				  STR_ARG(t->text)),
		.remedy = arena_str(a, t->remedy),
	};
}

/* ---- entries ---- */

struct entries_reading {
	struct arena *arena;
	struct check_entries *to;
	struct map values; /* -> an entry that has it: most tables have few */
	struct str source, file;
};

static struct str keep_value(struct entries_reading *r, struct str value)
{
	uint32_t at;

	if (map_get(&r->values, value, &at))
		return r->to->v[at].value;
	value = arena_str(r->arena, value);
	map_put(&r->values, value, (uint32_t)r->to->n);
	return value;
}

static struct str keep_last(struct arena *a, struct str *last, struct str s)
{
	if (!str_eq(*last, s))
		*last = arena_str(a, s);
	return *last;
}

static void take_entry(void *arg, const struct table_entry *e)
{
	struct entries_reading *r = arg;
	struct check_entries *to = r->to;

	if (to->n == to->room) {
		to->room = to->room ? to->room * 2 : 256;
		to->v = base_realloc(to->v, to->room * sizeof(*to->v));
	}
	struct policy_lint_entry kept = {
		.key = arena_str(r->arena, e->key),
		.value = keep_value(r, e->value),
		.source = keep_last(r->arena, &r->source, e->source),
		.file = keep_last(r->arena, &r->file, e->file),
		.line = e->line,
	};
	to->v[to->n++] = kept;
}

static void read_entries(struct arena *a, struct check_entries *to, const struct table_set *set)
{
	struct entries_reading r = { .arena = a, .to = to };

	if (!set)
		return;
	map_init(&r.values);
	table_set_each(set, take_entry, &r);
	map_fini(&r.values);
}

/* ---- where mail goes ---- */

static void take_nexthop(void *arg, struct str nexthop)
{
	policy_lint_route_nexthop(arg, nexthop);
}

static void take_domain(void *arg, struct str domain, struct str nexthop)
{
	policy_lint_route_domain(arg, domain, nexthop);
}

static void take_unlisted(void *arg)
{
	policy_lint_route_unlisted(arg);
}

void check_tables_init(struct check_tables *t, const struct conf *conf, const struct tables *tables,
		       const struct policy_config *cfg)
{
	struct cmd_routes_reader reader = { take_nexthop, take_domain, take_unlisted, NULL };
	struct str digest = conf_str(conf, CONF_smtp_tls_fingerprint_digest);

	*t = (struct check_tables){ .arena = arena_new(), .routes = policy_lint_routes_new() };
	t->site = (struct policy_lint_site){
		.routes = t->routes,
		.global = cfg ? policy_config_level(cfg) : TLS_LEVEL_NONE,
		.dnssec_lack = policy_lint_dnssec_lack(conf),
		.fingerprint_n = tls_digest_octets(digest),
		.fingerprint_digest = digest,
		.is_utf8 = conf_bool(conf, CONF_smtputf8_enable),
		.enforces_sts = conf_bool(conf, CONF_smtp_tls_enforce_sts_mx_patterns),
	};
	reader.arg = t->routes;
	cmd_routes_read(conf, tables_find(tables, conf_name(CONF_transport_maps)), &reader);
	if (!conf_str(conf, CONF_smtp_tls_policy_maps).n) /* else nobody asks it */
		read_entries(t->arena, &t->per_site,
			     tables_find(tables, conf_name(CONF_smtp_tls_per_site)));
	read_entries(t->arena, &t->maps, tables_find(tables, conf_name(CONF_smtp_tls_policy_maps)));
}

void check_tables_fini(struct check_tables *t)
{
	free(t->per_site.v);
	free(t->maps.v);
	policy_lint_routes_free(t->routes);
	arena_free(t->arena);
}

/* ---- the text that an indexed file was made from ---- */

/* Indexed files have no lines, the text beside them has. */
struct twin {
	const struct check_to *to;
	struct str param, source; /* of the indexed table */
	struct table_set *text;   /* NULL: there is none */
	bool is_told;             /* what is wrong with the text */
};

/* The text's path, "" for tables that are made from none. */
static struct str text_path(struct str source)
{
	static const struct str types[] = { STR_INIT("hash"), STR_INIT("btree"), STR_INIT("cdb"),
					    STR_INIT("lmdb") };
	struct str type, path;

	if (str_has_prefix(source, STR("proxy:")))
		source = str_from(source, 6);
	if (!str_cut(source, ':', &type, &path))
		return STR("");
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_eq(type, types[i]))
			return path;
	return STR("");
}

/* What postmap made of a key that stands there twice is not what the text looks like. */
static void twin_found(void *arg, const struct table_finding *t)
{
	const struct twin *w = arg;
	struct conf_finding f = check_table_finding(w->to->arena, t);

	if (w->is_told || !str_eq(t->code, STR("duplicate-key")))
		return;
	f.severity = CONF_WARNING;
	f.param = w->param;
	f.text = arena_fmt(w->to->arena, STR_FMT "; in the table made from it one counts",
			   STR_ARG(t->text));
	f.remedy = STR("take one away, and make the table again");
	w->to->found(w->to->arg, &f);
}

static void twin_open(struct twin *w, struct str source, bool is_utf8)
{
	struct table_options o = { .is_utf8 = is_utf8, .found = twin_found, .arg = w };
	struct str path = text_path(source);
	struct arena *a = arena_new();
	struct os_file_id id;
	struct error e;

	table_set_free(w->text);
	w->text = NULL;
	w->source = source;
	if (path.n && os_file_stat(arena_str(a, path).p, &id, &e))
		w->text = table_set_new(w->param, arena_fmt(a, "texthash:" STR_FMT, STR_ARG(path)),
					&o, os_now_ms());
	arena_free(a);
}

static void twin_place(struct twin *w, const struct policy_lint_entry *e, struct conf_finding *f)
{
	struct answer answer = { .status = ANSWER_NONE };
	struct arena *a = arena_new();
	struct table_query q = { .arena = a, .key = e->key, .now_ms = os_now_ms() };

	if (w->text && table_set_lookup(w->text, &q, &answer))
		CHECK(!"a text that answers later");
	if (answer.status == ANSWER_FOUND) {
		f->file = arena_str(w->to->arena, answer.file);
		f->line = answer.line;
	}
	arena_free(a);
}

/* ---- the lint ---- */

static void say_findings(const struct check_to *to, const struct check_entries *entries,
			 struct str param, struct policy_lint_findings found, bool is_utf8)
{
	struct twin w = { .to = to, .param = param, .is_told = true };

	for (size_t i = 0; i < found.n; i++) {
		struct conf_finding f = found.v[i].f;
		const struct policy_lint_entry *e = &entries->v[found.v[i].entry];
		if (f.line == 0 && !str_eq(w.source, e->source))
			twin_open(&w, e->source, is_utf8);
		if (f.line == 0 && f.file.n)
			twin_place(&w, e, &f);
		f.file = arena_str(to->arena, f.file);
		to->found(to->arg, &f);
	}
	table_set_free(w.text);
}

/* Keys that stand twice in the texts of indexed tables. */
static void say_duplicates(const struct check_to *to, const struct conf *conf, enum conf_id id)
{
	struct twin w = { .to = to, .param = conf_name(id) };
	struct str list = conf_str(conf, id), source;

	while (str_token_braced(&list, STR(", \t\r\n"), &source))
		if (text_path(source).n)
			twin_open(&w, source, conf_bool(conf, CONF_smtputf8_enable));
	table_set_free(w.text);
}

static void say_all(const struct check_to *to, struct conf_findings found)
{
	for (size_t i = 0; i < found.n; i++)
		to->found(to->arg, &found.v[i]);
}

void check_tables_lint(const struct check_to *to, const struct check_tables *t,
		       const struct conf *conf, const struct policy_config *cfg)
{
	static const enum conf_id ids[] = { CONF_smtp_tls_per_site, CONF_smtp_tls_policy_maps,
					    CONF_transport_maps };
	const struct policy_lint_site *site = &t->site;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		say_duplicates(to, conf, ids[i]);
	say_findings(to, &t->per_site, conf_name(CONF_smtp_tls_per_site),
		     policy_lint_per_site(to->arena, t->per_site.v, t->per_site.n, site),
		     site->is_utf8);
	say_findings(to, &t->maps, conf_name(CONF_smtp_tls_policy_maps),
		     policy_lint_maps(to->arena, t->maps.v, t->maps.n, site), site->is_utf8);
	if (cfg && t->maps.n)
		say_findings(to, &t->maps, conf_name(CONF_smtp_tls_policy_maps),
			     policy_lint_settings(to->arena, t->maps.v, t->maps.n, site, conf, cfg),
			     site->is_utf8);
	say_all(to, policy_lint_fingerprints(to->arena, conf, site));
}
