/* pgsql:/path: a query to PostgreSQL servers, pgsql_table(5). The engine runs on the threads of
 * remote.h; the servers of a table, and which of them are down, are shared among them. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/limits.h"
#include "os/os.h"
#include "sql/pgsql.h"
#include "table/remote.h"
#include "table/source_sql.h"

enum { RETRY_S = 60, IDLE_S = 60 }; /* retry_interval, idle_interval */

struct host {
	struct pgsql_server *server;
	uint64_t down_until; /* under the mutex */
};

/* All of the engine's; it may outlive the table. */
struct pgsql_config {
	struct arena *arena;
	struct key_templates templates;
	uint64_t limit, retry_ms;
	struct host *hosts;
	size_t n;
	pthread_mutex_t mutex;
};

struct connection {
	struct pgsql_config *config;
	struct host *host;
	struct pgsql *pgsql;
	struct buf query;
};

/* ---- which server ---- */

/* Those of one kind, beginning anywhere. NULL: none that is not tried and is down as asked. */
static struct host *pick_of_kind(struct pgsql_config *c, enum pgsql_kind kind, bool is_down,
				 const bool *is_tried, size_t begin)
{
	uint64_t now = os_now_ms();

	for (size_t i = 0; i < c->n; i++) {
		size_t at = (begin + i) % c->n;
		struct host *h = &c->hosts[at];
		if (!is_tried[at] && pgsql_server_kind(h->server) == kind &&
		    (h->down_until > now) == is_down)
			return h;
	}
	return NULL;
}

/* Sockets of this machine first, as Postfix has it; those that are down only when no other is
 * left. */
static struct host *pick_host(struct pgsql_config *c, const bool *is_tried)
{
	static const enum pgsql_kind kinds[] = { PGSQL_UNIX, PGSQL_INET, PGSQL_URI };
	struct host *found = NULL;
	uint32_t begin;

	os_random(&begin, sizeof(begin));
	pthread_mutex_lock(&c->mutex);
	for (int down = 0; down < 2; down++)
		for (size_t k = 0; k < ARRAY_LEN(kinds) && found == NULL; k++)
			found = pick_of_kind(c, kinds[k], down == 1, is_tried, begin);
	pthread_mutex_unlock(&c->mutex);
	return found;
}

static void set_down(struct pgsql_config *c, struct host *h, uint64_t until)
{
	pthread_mutex_lock(&c->mutex);
	h->down_until = until;
	pthread_mutex_unlock(&c->mutex);
}

/* The part of the time that is left for one of `n` servers. */
static struct remote_call share(const struct remote_call *call, size_t n)
{
	struct remote_call part = *call;

	part.deadline_ms = os_now_ms() + remote_left_ms(call) / (n > 0 ? n : 1);
	return part;
}

/* ---- the engine ---- */

static bool wait_for(struct pgsql *p, enum pgsql_progress what, const struct remote_call *call,
		     struct error *why)
{
	short events = what == PGSQL_WAIT_READ ? POLLIN : POLLIN | POLLOUT;

	return remote_wait(call, pgsql_fd(p), events, why);
}

static bool
connect_server(struct pgsql *p, const struct remote_call *call, struct str name, struct error *why)
{
	enum pgsql_progress progress = PGSQL_WAIT_WRITE;

	while (progress == PGSQL_WAIT_READ || progress == PGSQL_WAIT_WRITE) {
		short events = progress == PGSQL_WAIT_READ ? POLLIN : POLLOUT;
		if (!remote_wait(call, pgsql_fd(p), events, why))
			return error_prefix(why, STR_FMT, STR_ARG(name));
		progress = pgsql_connect(p, why);
	}
	return progress == PGSQL_READY;
}

static struct pgsql *
open_host(const struct host *h, const struct remote_call *call, struct error *why)
{
	struct pgsql *p = pgsql_start(h->server, why);

	if (p != NULL && connect_server(p, call, pgsql_server_name(h->server), why))
		return p;
	pgsql_close(p);
	return NULL;
}

static void *engine_open(const void *config, const struct remote_call *call, struct error *why)
{
	struct pgsql_config *c = (struct pgsql_config *)config; /* what changes has a mutex */
	bool is_tried[TABLE_PGSQL_HOSTS_MAX] = { false };
	struct host *h;

	for (size_t i = 0; i < c->n && (h = pick_host(c, is_tried)) != NULL; i++) {
		struct remote_call part = share(call, c->n - i);
		struct pgsql *p = open_host(h, &part, why);
		is_tried[h - c->hosts] = true;
		set_down(c, h, p != NULL ? 0 : os_now_ms() + c->retry_ms);
		if (p == NULL)
			continue;
		struct connection *n = base_alloc(sizeof(*n));
		*n = (struct connection){ .config = c, .host = h, .pgsql = p };
		buf_init(&n->query, TABLE_VALUE_MAX);
		return n;
	}
	return NULL;
}

static void engine_close(void *connection)
{
	struct connection *n = connection;

	pgsql_close(n->pgsql);
	buf_fini(&n->query);
	free(n);
}

struct quoting {
	struct pgsql *pgsql;
	struct error *why;
};

static bool quote(void *arg, struct str text, struct buf *out)
{
	const struct quoting *q = arg;

	return pgsql_quote(q->pgsql, text, out, q->why);
}

/* The expanded query, which ends in NUL. */
static bool expand(struct connection *n, struct str key, struct error *why)
{
	struct quoting quoting = { .pgsql = n->pgsql, .why = why };
	const struct key_quote q = { .add = quote, .arg = &quoting };

	buf_reset(&n->query);
	error_set(why, ERROR_LIMIT, "the query is too long");
	return key_template_query(&n->config->templates, key, &q, &n->query) == KEY_EXPANDED &&
	       buf_add_char(&n->query, '\0');
}

static enum pgsql_progress
next_row(struct connection *n, const struct remote_call *call, struct error *why)
{
	enum pgsql_progress progress = pgsql_next(n->pgsql, why);

	while (progress == PGSQL_WAIT_READ || progress == PGSQL_WAIT_WRITE) {
		if (!wait_for(n->pgsql, progress, call, why)) {
			error_prefix(why, STR_FMT, STR_ARG(pgsql_server_name(n->host->server)));
			return progress;
		}
		progress = pgsql_next(n->pgsql, why);
	}
	return progress;
}

static bool add_row(const struct connection *n, struct key_results *r, struct error *why)
{
	for (int i = 0; i < pgsql_columns(n->pgsql); i++)
		if (!key_results_add(r, pgsql_text(n->pgsql, i), why))
			return false;
	return true;
}

/* With other servers to ask, a connection from earlier gives them their chance. */
static enum remote_status give_up(struct connection *n)
{
	set_down(n->config, n->host, os_now_ms() + n->config->retry_ms);
	return n->config->n > 1 ? REMOTE_LOST : REMOTE_BROKEN;
}

static enum remote_status failed(struct connection *n)
{
	switch (pgsql_fault(n->pgsql)) {
	case PGSQL_FAULT_QUERY:
		return REMOTE_FAILED;
	case PGSQL_FAULT_SERVER:
		return n->config->n > 1 ? give_up(n) : REMOTE_FAILED;
	case PGSQL_FAULT_LOST:
		break;
	}
	return REMOTE_LOST;
}

static enum remote_status read_rows(struct connection *n, const struct remote_call *call,
				    struct key_results *r, struct error *why)
{
	enum pgsql_progress progress;

	while ((progress = next_row(n, call, why)) == PGSQL_ROW)
		if (!add_row(n, r, why))
			return REMOTE_BROKEN; /* more rows are on their way */
	if (progress == PGSQL_END)
		return r->n > 0 ? REMOTE_FOUND : REMOTE_NONE;
	return progress == PGSQL_FAILED ? failed(n) : give_up(n);
}

/* What a server says may quote the key, and is shown to people. */
static void tidy(struct error *why)
{
	char quoted[REMOTE_QUOTE_MAX];

	error_set(why, why->kind, "%s", remote_quote(error_text(why), quoted));
}

static enum remote_status engine_lookup(void *connection, const struct remote_call *call,
					struct str key, struct buf *value, struct error *why)
{
	struct connection *n = connection;
	struct pgsql_config *c = n->config;
	struct remote_call part = share(call, c->n > 1 ? 2 : 1);
	struct key_results results = {
		.templates = &c->templates, .key = key, .limit = c->limit, .out = value
	};
	enum remote_status status;

	if (!expand(n, key, why))
		status = REMOTE_FAILED;
	else if (pgsql_send(n->pgsql, buf_str(&n->query).p, why))
		status = read_rows(n, &part, &results, why);
	else
		status = failed(n);
	if (status != REMOTE_FOUND && status != REMOTE_NONE)
		tidy(why);
	return status;
}

static const struct remote_engine pgsql_engine = {
	.open = engine_open,
	.lookup = engine_lookup,
	.close = engine_close,
};

/* ---- the configuration ---- */

static const struct source_name pgsql_names[] = {
	{ .name = STR_INIT("hosts") },
	{ .name = STR_INIT("user") },
	{ .name = STR_INIT("password"), .is_secret = true },
	{ .name = STR_INIT("dbname") },
	{ .name = STR_INIT("encoding") },
	{ .name = STR_INIT("retry_interval") },
	{ .name = STR_INIT("idle_interval") },
	{ .name = STR_INIT("select_function") },
	SOURCE_SQL_NAMES,
};

static void config_free(void *config)
{
	struct pgsql_config *c = config;

	for (size_t i = 0; i < c->n; i++)
		pgsql_server_free(c->hosts[i].server);
	pthread_mutex_destroy(&c->mutex);
	arena_free(c->arena);
}

static bool
add_host(struct pgsql_config *c, struct str host, const struct pgsql_login *login, struct error *e)
{
	if (c->n == TABLE_PGSQL_HOSTS_MAX)
		return error_set(e, ERROR_LIMIT, "hosts: more than %d", TABLE_PGSQL_HOSTS_MAX);

	struct pgsql_server *server = pgsql_server_new(host, login, e);
	if (server == NULL)
		return error_prefix(e, "hosts");
	c->hosts[c->n++].server = server;
	return login->dbname.n > 0 || pgsql_server_kind(server) == PGSQL_URI ||
	       error_set(e, ERROR_CONFIG, "the parameter \"dbname\" is missing");
}

static bool add_hosts(struct pgsql_config *c, const struct source_file *f, struct error *e)
{
	const struct pgsql_login login = {
		.dbname = source_file_get(f, STR("dbname")),
		.user = source_file_get(f, STR("user")),
		.password = source_file_get(f, STR("password")),
		.encoding = source_file_get_or(f, STR("encoding"), STR("UTF8")),
	};
	struct str hosts = source_file_get(f, STR("hosts")), host;
	bool is_good = true;

	c->hosts = ARENA_ARRAY(c->arena, TABLE_PGSQL_HOSTS_MAX, struct host);
	while (is_good && str_token(&hosts, STR(", \t\r\n"), &host))
		is_good = add_host(c, host, &login, e);
	if (is_good && c->n == 0)
		is_good = add_host(c, STR("localhost"), &login, e);
	for (size_t i = 0; i < c->n && login.password.n == 0; i++)
		if (pgsql_server_has_password(c->hosts[i].server)) {
			source_file_is_secret(f);
			break;
		}
	return is_good;
}

static bool
config_fill(struct pgsql_config *c, const struct source_sql *s, uint64_t *idle_s, struct error *e)
{
	struct str query = arena_str(c->arena, s->templates.query);
	struct str result = arena_str(c->arena, s->templates.result);
	const struct source_file *f = &s->file;
	uint64_t retry_s;

	c->limit = s->limit;
	if (!key_templates_init(&c->templates, query, result, e) || !add_hosts(c, f, e) ||
	    !source_file_get_int(f, STR("idle_interval"), IDLE_S, 1, idle_s, e) ||
	    !source_file_get_int(f, STR("retry_interval"), RETRY_S, 1, &retry_s, e))
		return false;
	c->retry_ms = retry_s * 1000;
	return *idle_s <= INT32_MAX / 1000 && retry_s <= INT32_MAX / 1000
		       ? true
		       : error_set(e, ERROR_CONFIG, "an interval is too long");
}

static struct pgsql_config *
config_new(const struct source_sql *s, uint64_t *idle_s, struct error *e)
{
	struct arena *a = arena_new();
	struct pgsql_config *c = ARENA_NEW(a, struct pgsql_config);

	c->arena = a;
	CHECK(pthread_mutex_init(&c->mutex, NULL) == 0);
	if (config_fill(c, s, idle_s, e))
		return c;
	config_free(c);
	return NULL;
}

/* ---- the table ---- */

struct pgsql_table {
	const struct table_context *context;
	struct source_sql source;
	struct remote *remote;
};

static void pgsql_table_close(void *table)
{
	struct pgsql_table *t = table;

	if (t->remote != NULL)
		remote_free(t->remote);
	source_sql_close(&t->source);
	free(t);
}

static void *pgsql_table_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct pgsql_table *t = base_alloc(sizeof(*t));
	struct remote_options o = { .engine = &pgsql_engine, .config_free = config_free };
	uint64_t idle_s;

	t->context = c;
	if (source_sql_open(&t->source, c, pgsql_names, ARRAY_LEN(pgsql_names), now_ms, e))
		o.config = config_new(&t->source, &idle_s, e);
	if (o.config == NULL) {
		pgsql_table_close(t);
		return NULL;
	}
	o.idle_ms = idle_s * 1000;
	t->remote = remote_new(c, &o);
	return t;
}

static bool pgsql_table_lookup(void *table, struct table_lookup *l)
{
	struct pgsql_table *t = table;
	struct str key;

	switch (source_sql_admit(&t->source, l, &key)) {
	case ANSWER_FOUND:
		return !key_template_fits(&t->source.templates, key) ||
		       remote_lookup(t->remote, l, key);
	case ANSWER_FAILED:
		l->answer.failure =
			arena_fmt(l->query.arena, STR_FMT ": " STR_FMT, STR_ARG(t->context->source),
				  STR_ARG(l->answer.failure));
		return true;
	case ANSWER_NONE:
		break;
	}
	return true;
}

static void pgsql_table_cancel(void *table, struct table_lookup *l)
{
	struct pgsql_table *t = table;

	remote_cancel(t->remote, l);
}

const struct table_type table_type_pgsql = {
	.name = STR_INIT("pgsql"),
	.open = pgsql_table_open,
	.lookup = pgsql_table_lookup,
	.close = pgsql_table_close,
	.cancel = pgsql_table_cancel,
};
