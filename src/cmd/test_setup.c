/* The configurations of policy tests. Cases that bring the same texts share one that is made once;
 * a few are kept, for files of tests tend to go through one configuration after the other. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/test_inside.h"
#include "table/type.h"

enum {
	SETUPS_KEPT = 32,
	SETUP_TEXT_MAX = 64 * 1024 * 1024, /* config and tables of one case */
};

struct test_setups {
	const struct cmd_sources *sources;
	struct test_setup live, kept[SETUPS_KEPT];
	struct test_folder folders[SETUPS_KEPT]; /* of those kept */
	char folder[1024];                       /* private; "" until a case brings tables */
	struct buf key;
	uint64_t clock;
};

/* ---- tables in the network: known by the facts of a case, or not at all ---- */

static void *remote_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	(void)now_ms;
	(void)e;
	return (void *)c;
}

static bool remote_lookup(void *table, struct table_lookup *l)
{
	(void)table;
	(void)l;
	return false;
}

static void remote_cancel(void *table, struct table_lookup *l)
{
	(void)table;
	(void)l;
}

static void remote_close(void *table)
{
	(void)table;
}

#define REMOTE(type)                                                                               \
	{                                                                                          \
		.name = STR_INIT(type), .open = remote_open, .lookup = remote_lookup,              \
		.cancel = remote_cancel, .close = remote_close                                     \
	}

static const struct table_type socketmap_type = REMOTE("socketmap"), tcp_type = REMOTE("tcp"),
			       pgsql_type = REMOTE("pgsql"), mysql_type = REMOTE("mysql"),
			       ldap_type = REMOTE("ldap"), memcache_type = REMOTE("memcache"),
			       redis_type = REMOTE("redis"), mongodb_type = REMOTE("mongodb"),
			       nis_type = REMOTE("nis"), nisplus_type = REMOTE("nisplus");

/* Static, for tables inside lists of names are opened when they are first asked. */
static const struct table_type *const remote_types[] = {
	&socketmap_type, &tcp_type,   &pgsql_type,   &mysql_type, &ldap_type,
	&memcache_type,  &redis_type, &mongodb_type, &nis_type,   &nisplus_type,
};

static struct tables *
open_tables(const struct conf *conf, void (*found)(void *arg, const struct table_finding *f))
{
	struct table_options o = {
		.found = found,
		.types = remote_types,
		.n_types = ARRAY_LEN(remote_types),
	};

	return cmd_tables_open(conf, &o);
}

/* ---- one configuration ---- */

static void setup_refuse(struct test_setup *s, struct str why)
{
	s->refusal = why.n > 0 ? arena_str(s->arena, why) : STR("the configuration is refused");
}

static void setup_open(struct test_setup *s, void (*found)(void *arg, const struct table_finding *))
{
	struct error e = { 0 };

	s->policy = policy_config_new(s->arena, s->conf, &e);
	if (s->policy)
		s->lmtp_policy = policy_config_new(s->arena, conf_lmtp(s->conf), &e);
	if (!s->lmtp_policy)
		setup_refuse(s, error_text(&e));
	else
		s->tables = open_tables(s->conf, found);
}

bool test_setup_route(struct test_setup *s, struct error *e)
{
	struct route_machine machine = { 0 };

	if (!s->route)
		s->route = route_config_new(s->arena, s->conf, &machine, e);
	return s->route != NULL;
}

static bool has_table(const struct test_case *c, struct str name)
{
	return str_eq(name, STR("missing")) || (c->tables && json_member(c->tables, name));
}

/* A value with the paths of the tables that it names. */
static bool
add_value(const struct test_setup *s, const struct test_case *c, struct buf *out, struct str value)
{
	struct str before, rest, name, after;

	while (str_cut(value, '@', &before, &rest)) {
		bool is_table = str_cut(rest, '@', &name, &after) && has_table(c, name);
		bool fits = is_table ? buf_fmt(out, STR_FMT STR_FMT "/" STR_FMT, STR_ARG(before),
					       STR_ARG(s->folder), STR_ARG(name))
				     : buf_fmt(out, STR_FMT "@", STR_ARG(before));
		if (!fits)
			return false;
		value = is_table ? after : rest;
	}
	return buf_add(out, value);
}

static bool add_settings(const struct test_setup *s, const struct test_case *c, struct buf *out)
{
	const struct json_node *value;
	struct str name, text = STR("");
	void *at = NULL;
	bool fits = true;

	while (fits && json_member_next(c->config, &at, &name, &value))
		fits = json_get_str(value, "", &text) &&
		       buf_fmt(out, STR_FMT " = ", STR_ARG(name)) && add_value(s, c, out, text) &&
		       buf_add_char(out, '\n');
	return fits;
}

/* The same machine everywhere, so that a test means the same everywhere. */
static void setup_configure(struct test_setup *s, struct str text)
{
	const struct conf_machine machine = { .hostname = STR("client.example.net") };
	const struct conf_source sources[] = {
		{ .file = STR(""), .text = STR("myhostname = client.example.net") },
		{ .file = STR(""), .text = STR("inet_protocols = all") },
		{ .file = STR("config"), .text = text },
	};
	struct conf_findings findings;

	s->conf = conf_new(sources, ARRAY_LEN(sources), &machine, s->arena, &findings);
	for (size_t i = 0; !s->conf && i < findings.n && s->refusal.n == 0; i++)
		if (findings.v[i].severity == CONF_ERROR)
			setup_refuse(s, findings.v[i].text);
}

static void setup_close(struct test_setup *s)
{
	if (!s->arena)
		return;
	tables_free(s->tables);
	conf_unref(s->conf);
	arena_free(s->arena);
	*s = (struct test_setup){ .arena = NULL };
}

struct str test_setup_shown(struct arena *a, const struct test_setup *s, struct str text)
{
	struct str out = STR("");
	size_t at;

	while (s && s->folder.n > 0 && str_search(text, s->folder, &at)) {
		struct str name = str_from(text, at + s->folder.n + 1);
		size_t n = 0;
		while (n < name.n && (ascii_is_alnum(name.p[n]) ||
				      (name.p[n] != '\0' && strchr("_-.", name.p[n]))))
			n++;
		out = arena_fmt(a, STR_FMT STR_FMT "@" STR_FMT "@", STR_ARG(out),
				STR_ARG(str_first(text, at)), STR_ARG(str_first(name, n)));
		text = str_from(name, n);
	}
	return out.n > 0 ? arena_fmt(a, STR_FMT STR_FMT, STR_ARG(out), STR_ARG(text)) : text;
}

/* ---- all of them ---- */

struct test_setups *test_setups_new(const struct cmd_sources *live)
{
	struct test_setups *all = base_alloc(sizeof(*all));

	*all = (struct test_setups){ .sources = live };
	buf_init(&all->key, SETUP_TEXT_MAX);
	return all;
}

void test_setups_free(struct test_setups *all)
{
	setup_close(&all->live);
	for (size_t i = 0; i < SETUPS_KEPT; i++) {
		setup_close(&all->kept[i]);
		test_folder_remove(&all->folders[i]);
	}
	if (all->folder[0])
		rmdir(all->folder);
	buf_fini(&all->key);
	free(all);
}

static struct test_setup *get_live(struct test_setups *all, int *status)
{
	struct test_setup *s = &all->live;

	if (s->arena)
		return s;
	struct conf *conf = cmd_configure(all->sources, CONF_ERROR, status);
	if (!conf)
		return NULL;
	s->arena = arena_new();
	s->conf = conf;
	setup_open(s, cmd_say_table_finding);
	if (s->refusal.n == 0)
		return s;
	cmd_say(STR_FMT, STR_ARG(s->refusal));
	*status = EX_CONFIG;
	return NULL;
}

static bool add_texts(struct buf *b, const struct json_node *texts)
{
	const struct json_node *value;
	struct str name, text = STR("");
	void *at = NULL;
	bool fits = true;

	while (fits && texts && json_member_next(texts, &at, &name, &value))
		fits = json_get_str(value, "", &text) && buf_fmt(b, "%zu %zu\n", name.n, text.n) &&
		       buf_add(b, name) && buf_add(b, text);
	return fits;
}

/* The one with that key, or else the one that was of no use for longest. */
static struct test_setup *find_kept(struct test_setups *all, struct str key, uint64_t hash)
{
	struct test_setup *oldest = &all->kept[0];

	for (size_t i = 0; i < SETUPS_KEPT; i++) {
		struct test_setup *s = &all->kept[i];
		if (s->arena && s->key_hash == hash && str_eq(s->key, key))
			return s;
		if (s->used < oldest->used)
			oldest = s;
	}
	setup_close(oldest);
	return oldest;
}

static bool make_folder(struct test_setups *all)
{
	const char *tmp = getenv("TMPDIR");
	int n;

	if (all->folder[0])
		return true;
	n = snprintf(all->folder, sizeof(all->folder), "%s/hopseal-test.XXXXXX",
		     tmp && tmp[0] == '/' ? tmp : "/tmp");
	if (n < 0 || (size_t)n >= sizeof(all->folder))
		errno = ENAMETOOLONG;
	else if (mkdtemp(all->folder))
		return true;
	all->folder[0] = '\0';
	return false;
}

static bool setup_make(struct test_setups *all, struct test_setup *s, const struct test_case *c)
{
	struct buf text;
	bool fits;

	size_t place = (size_t)(s - all->kept);

	s->folder = arena_fmt(s->arena, "%s/%zu", all->folder, place);
	if (!test_folder_fill(&all->folders[place], s->folder, c->tables))
		return false;
	buf_init(&text, SETUP_TEXT_MAX);
	fits = add_settings(s, c, &text);
	if (fits) {
		setup_configure(s, arena_str(s->arena, buf_str(&text)));
		if (s->conf)
			setup_open(s, NULL);
	} else {
		setup_refuse(s, STR("the configuration is too large"));
	}
	buf_fini(&text);
	return true;
}

static int say_no_folder(const struct test_setups *all)
{
	cmd_say("the tables of a case cannot be written below %s: %s",
		all->folder[0] ? all->folder : "$TMPDIR (else /tmp)", strerror(errno));
	return EX_IOERR;
}

struct test_setup *test_setups_get(struct test_setups *all, const struct test_case *c, int *status)
{
	if (!c->config)
		return get_live(all, status);
	buf_reset(&all->key);
	if (!add_texts(&all->key, c->config) || !buf_add_char(&all->key, '\n') ||
	    !add_texts(&all->key, c->tables)) {
		cmd_say("%s:%u: config and tables are larger than %d octets", c->file, c->line,
			SETUP_TEXT_MAX);
		*status = EX_DATAERR;
		return NULL;
	}
	struct str key = buf_str(&all->key);
	uint64_t hash = str_hash(key);
	struct test_setup *s = find_kept(all, key, hash);
	if (!s->arena) {
		s->arena = arena_new();
		s->key = arena_str(s->arena, key);
		s->key_hash = hash;
		if (!make_folder(all) || !setup_make(all, s, c)) {
			*status = say_no_folder(all);
			setup_close(s);
			return NULL;
		}
	}
	s->used = ++all->clock;
	return s;
}
