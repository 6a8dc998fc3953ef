/* memcache:/path: values in a memcached server, as memcache_table(5), with another table behind it
 * for what is not there. Nothing is ever written into the server.
 *
 * libmemcached is not used: it says "not found" where the server sends an error or nonsense. */

#include <stdlib.h>

#include "base/limits.h"
#include "table/key_template.h"
#include "table/memcache_engine.h"
#include "table/source_domains.h"
#include "table/source_file.h"

struct memcache {
	const struct table_context *context;
	struct arena *arena;
	struct source_file file;
	struct key_templates templates;
	struct source_domains *domains;
	struct remote *remote;
	struct table_set *backup; /* NULL: none */
};

static const struct source_name memcache_names[] = {
	{ .name = STR_INIT("memcache") },        { .name = STR_INIT("backup") },
	{ .name = STR_INIT("flags") },           { .name = STR_INIT("ttl") },
	{ .name = STR_INIT("key_format") },      { .name = STR_INIT("domain") },
	{ .name = STR_INIT("data_size_limit") }, { .name = STR_INIT("line_size_limit") },
	{ .name = STR_INIT("max_try") },         { .name = STR_INIT("retry_pause") },
	{ .name = STR_INIT("timeout") },
};

/* ---- looking up ---- */

/* What the server does not give is asked of the backup. */
struct memcache_backup {
	struct table_lookup *outer, *inner;
};

static void memcache_backup_answered(void *arg, const struct answer *answer)
{
	struct memcache_backup *b = arg;
	struct table_lookup *l = b->outer;

	l->state = NULL;
	l->answer = *answer;
	table_lookup_answered(l);
}

/* True: answered. */
static bool memcache_ask_backup(struct memcache *m, struct table_lookup *l)
{
	struct memcache_backup *b = ARENA_NEW(l->query.arena, struct memcache_backup);
	const struct table_query q = {
		.arena = l->query.arena,
		.key = l->key,
		.is_partial = l->query.is_partial,
		.now_ms = l->now_ms,
		.answered = memcache_backup_answered,
		.arg = b,
	};

	b->outer = l;
	b->inner = table_set_lookup(m->backup, &q, &l->answer);
	l->state = b->inner != NULL ? b : NULL;
	return b->inner == NULL;
}

/* What the server says before the set hears of it. */
static bool memcache_answered(void *table, struct table_lookup *l)
{
	struct memcache *m = table;

	return l->answer.status == ANSWER_FOUND || m->backup == NULL || memcache_ask_backup(m, l);
}

static bool memcache_ask_server(struct memcache *m, struct table_lookup *l, struct str key)
{
	if (key.n > MEMCACHE_KEY_MAX) {
		remote_fail(m->remote, l, STR("the key is too long"));
		return true;
	}
	if (!memcache_is_key(key))
		return true;
	return remote_lookup(m->remote, l, key) && memcache_answered(m, l);
}

static bool memcache_expand(struct memcache *m, struct table_lookup *l)
{
	bool is_over = true;
	struct buf key;

	buf_init(&key, TABLE_VALUE_MAX);
	switch (key_template_query(&m->templates, l->folded, NULL, &key)) {
	case KEY_EXPANDED:
		is_over = memcache_ask_server(m, l, buf_str(&key));
		break;
	case KEY_SKIPPED:
		break;
	case KEY_FAILED:
		remote_fail(m->remote, l, STR("the key is too long"));
		break;
	}
	buf_fini(&key);
	return is_over;
}

static bool memcache_lookup(void *table, struct table_lookup *l)
{
	struct memcache *m = table;

	l->state = NULL;
	if (l->folded.n == 0)
		return true;
	if (m->domains != NULL) {
		l->answer.status =
			source_domains_match(m->domains, l, l->folded, &l->answer.failure);
		if (l->answer.status != ANSWER_FOUND)
			return true;
		l->answer.status = ANSWER_NONE;
	}
	return memcache_expand(m, l);
}

static void memcache_cancel(void *table, struct table_lookup *l)
{
	struct memcache *m = table;
	struct memcache_backup *b = l->state;

	if (b != NULL)
		table_lookup_cancel(b->inner);
	else
		remote_cancel(m->remote, l);
}

/* ---- opening ---- */

static bool memcache_read_seconds(const struct source_file *f, struct str name, uint64_t preset,
				  uint64_t *ms, struct error *e)
{
	if (!source_file_get_int(f, name, preset, 1, ms, e))
		return false;
	if (*ms > 3600)
		return error_set(e, ERROR_CONFIG, STR_FMT " is more than an hour", STR_ARG(name));
	*ms *= 1000;
	return true;
}

static bool
memcache_read_limits(const struct source_file *f, struct memcache_limits *out, struct error *e)
{
	uint64_t line, value;

	if (!source_file_get_int(f, STR("line_size_limit"), 1024, 1, &line, e) ||
	    !source_file_get_int(f, STR("data_size_limit"), 10240, 1, &value, e))
		return false;
	out->line_max = line < TABLE_VALUE_MAX ? (size_t)line : TABLE_VALUE_MAX;
	out->value_max = value < TABLE_VALUE_MAX ? (size_t)value : TABLE_VALUE_MAX;
	return true;
}

static bool
memcache_read_config(const struct source_file *f, struct memcache_config *c, struct error *e)
{
	struct str place = source_file_get_or(f, STR("memcache"), STR("inet:localhost:11211"));

	return remote_server_parse(place, &c->server, e) &&
	       memcache_read_limits(f, &c->limits, e) &&
	       source_file_get_int(f, STR("max_try"), 2, 1, &c->tries, e) &&
	       memcache_read_seconds(f, STR("retry_pause"), 1, &c->pause_ms, e) &&
	       memcache_read_seconds(f, STR("timeout"), 2, &c->timeout_ms, e);
}

static bool memcache_open_server(struct memcache *m, struct error *e)
{
	struct memcache_config *config = base_alloc(sizeof(*config));
	const struct remote_options o = {
		.engine = &memcache_engine,
		.config = config,
		.config_free = free,
		.answered = memcache_answered,
		.table = m,
	};

	if (!memcache_read_config(&m->file, config, e)) {
		free(config);
		return false;
	}
	m->remote = remote_new(m->context, &o);
	return true;
}

static bool memcache_open_parts(struct memcache *m, uint64_t now_ms, struct error *e)
{
	struct str format, domain, backup;

	if (!source_file_open(&m->file, m->arena, m->context, memcache_names,
			      ARRAY_LEN(memcache_names), e))
		return false;
	format = source_file_get_or(&m->file, STR("key_format"), STR("%s"));
	domain = source_file_get_or(&m->file, STR("domain"), STR(""));
	backup = source_file_get_or(&m->file, STR("backup"), STR(""));
	if (!key_templates_init(&m->templates, format, STR("%s"), e))
		return false;
	if (domain.n > 0) {
		m->domains = source_domains_new(m->context, domain, now_ms, e);
		if (m->domains == NULL)
			return false;
	}
	if (backup.n > 0)
		m->backup = table_set_new(m->context->param, backup, &m->context->options, now_ms);
	return memcache_open_server(m, e);
}

static void memcache_close(void *table)
{
	struct memcache *m = table;

	if (m->remote != NULL)
		remote_free(m->remote);
	table_set_free(m->backup);
	source_domains_free(m->domains);
	arena_free(m->arena);
	free(m);
}

static void *memcache_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct memcache *m = base_alloc(sizeof(*m));

	m->context = c;
	m->arena = arena_new();
	if (memcache_open_parts(m, now_ms, e))
		return m;
	memcache_close(m);
	return NULL;
}

static void memcache_refresh(void *table, uint64_t now_ms)
{
	struct memcache *m = table;

	if (m->backup != NULL)
		table_set_refresh(m->backup, now_ms);
}

const struct table_type table_type_memcache = {
	.name = STR_INIT("memcache"),
	.open = memcache_open,
	.lookup = memcache_lookup,
	.close = memcache_close,
	.cancel = memcache_cancel,
	.refresh = memcache_refresh,
};
