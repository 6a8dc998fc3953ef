/* sqlite:/path: a query to a database in a file, sqlite_table(5). Asked where it stands: a local
 * file answers in microseconds, and what takes longer is cut off. */

#include <stdlib.h>

#include "base/limits.h"
#include "os/os.h"
#include "sql/sql.h"
#include "table/source_sql.h"

enum {
	CHECK_EVERY_MS = 1000,
	BUSY_MS = 100,      /* waited for a writer, as for those of other files */
	WATCH_STEPS = 5000, /* of SQLite's machine: well under a ms */
};

struct sqlite_table {
	const struct table_context *context;
	struct source_sql source;
	struct str path; /* ends in NUL */

	struct key_params params; /* if has_params: a statement is made once, not for each key */
	bool has_params;

	struct sql *db;             /* NULL: why_not says why */
	struct sql_statement *kept; /* of params, if SQLite takes it so */
	struct os_file_id id;
	struct error why_not;
	uint64_t next_check_ms;
	bool is_told; /* that it cannot be used */

	uint64_t deadline_ms; /* of the query that runs */
	struct buf query, value;
};

static const struct source_name sqlite_names[] = {
	{ .name = STR_INIT("dbpath") },
	SOURCE_SQL_NAMES,
};

static void sqlite_say(const struct sqlite_table *t, struct table_finding f)
{
	f.file = t->path;
	table_report(t->context, f);
}

/* ---- the file ---- */

static bool sqlite_go_on(void *arg)
{
	const struct sqlite_table *t = arg;

	return os_now_ms() < t->deadline_ms;
}

static void sqlite_drop(struct sqlite_table *t)
{
	sql_close(t->db);
	t->db = NULL;
	t->kept = NULL;
}

/* A '...' may stand where SQL takes no parameter, or be none at all, inside a comment or a name.
 * Then the text of the query is made for each key. */
static void sqlite_keep(struct sqlite_table *t)
{
	struct error why;

	if (!t->has_params)
		return;
	t->kept = sql_keep(t->db, t->params.sql, &why);
	if (t->kept != NULL && (size_t)sql_parameters(t->kept) != t->params.n)
		t->kept = NULL;
}

/* A key that has every part that a query may name. */
#define PROBE STR("user@9.8.7.6.5.4.3.2.example")

static void sqlite_say_columns(const struct sqlite_table *t, int n)
{
	if (n > 1)
		source_file_say(&t->source.file, STR("query"),
				(struct table_finding){
					.code = STR("query-columns"),
					.text = STR("the query gives several columns, and only the "
						    "first one counts"),
					.remedy =
						STR("select one column, such as a || ' ' || b") });
}

/* What SQLite thinks of the query is told when the file is opened, not when mail waits. */
static void sqlite_probe(struct sqlite_table *t)
{
	struct error why;
	size_t at;

	/* A part of the key outside of quotes may have to be a number, or anything. */
	if (key_template_bare(t->source.templates.query, &at))
		return;
	buf_reset(&t->query);
	if (key_template_query(&t->source.templates, PROBE, NULL, &t->query) != KEY_EXPANDED)
		return;
	struct sql_statement *st = sql_prepare(t->db, buf_str(&t->query), &why);
	if (st != NULL)
		sqlite_say_columns(t, sql_columns(st));
	else if (sql_fault(t->db) == SQL_FAULT_TEXT)
		source_file_say(&t->source.file, STR("query"),
				(struct table_finding){ .is_error = true,
							.code = STR("query-refused"),
							.text = error_text(&why),
							.remedy = STR("mend the query") });
	sql_free(st);
}

static bool sqlite_open_file(struct sqlite_table *t, struct error *why)
{
	const struct sql_options o = { .access = SQL_READ, .busy_ms = BUSY_MS };
	struct os_file_id id;
	int64_t n;

	if (!os_file_stat(t->path.p, &id, why))
		return false;
	if (!id.is_regular)
		return error_set(why, ERROR_NO_INPUT, "Not a regular file");
	t->db = sql_open(t->path.p, &o, why);
	if (t->db == NULL)
		return false;
	sql_watch(t->db, WATCH_STEPS, sqlite_go_on, t);
	t->deadline_ms = os_now_ms() + TABLE_SQLITE_MS_MAX;
	t->id = id;
	/* Opening reads nothing; this sees that it is a database. */
	if (sql_get_int(t->db, STR("PRAGMA schema_version"), &n, why) ||
	    sql_fault(t->db) == SQL_FAULT_BUSY)
		return true;
	sqlite_drop(t);
	return false;
}

static void sqlite_unusable(struct sqlite_table *t, const struct error *why)
{
	t->why_not = *why;
	error_prefix(&t->why_not, STR_FMT, STR_ARG(t->path));
	if (!t->is_told)
		sqlite_say(t, (struct table_finding){
				      .is_error = true,
				      .code = STR("open"),
				      .text = error_text(why),
			      });
	t->is_told = true;
}

/* Another file may have taken the name. What changes inside of one is SQLite's business. */
static void sqlite_look(struct sqlite_table *t)
{
	bool is_first = t->db == NULL && t->why_not.kind == ERROR_NONE;
	struct os_file_id id;
	struct error why;

	if (t->db != NULL && os_file_stat(t->path.p, &id, &why) && id.dev == t->id.dev &&
	    id.ino == t->id.ino)
		return;
	sqlite_drop(t);
	if (!sqlite_open_file(t, &why)) {
		sqlite_unusable(t, &why);
		return;
	}
	t->is_told = false;
	if (!is_first)
		sqlite_say(t, (struct table_finding){ .is_news = true,
						      .code = STR("reloaded"),
						      .text = STR("a new version answers now") });
	sqlite_probe(t);
	sqlite_keep(t);
}

static void sqlite_refresh(void *table, uint64_t now_ms)
{
	struct sqlite_table *t = table;

	if (now_ms < t->next_check_ms)
		return;
	t->next_check_ms = now_ms + CHECK_EVERY_MS;
	sqlite_look(t);
}

/* ---- lookups ---- */

static bool sqlite_quote(void *arg, struct str text, struct buf *out)
{
	struct str before;

	(void)arg;
	while (str_cut(text, '\'', &before, &text))
		if (!buf_add(out, before) || !buf_add(out, STR("''")))
			return false;
	return buf_add(out, text);
}

static const struct key_quote sqlite_key_quote = { .add = sqlite_quote };

static bool
sqlite_rows(struct sqlite_table *t, struct sql_statement *st, struct str key, struct error *why)
{
	struct key_results results = { .templates = &t->source.templates,
				       .key = key,
				       .limit = t->source.limit,
				       .out = &t->value };
	enum sql_step step;

	while ((step = sql_step(st, why)) == SQL_ROW)
		if (!key_results_add(&results, sql_text(st, 0), why))
			return false;
	return step == SQL_DONE;
}

static bool sqlite_ask_kept(struct sqlite_table *t, struct str key, struct error *why)
{
	size_t ends[KEY_PARAMS_MAX], begin = 0;

	buf_reset(&t->query);
	if (!key_params_expand(&t->params, key, &t->query, ends))
		return error_set(why, ERROR_LIMIT, "the query is too long");
	for (size_t i = 0; i < t->params.n; begin = ends[i++])
		sql_bind_text(t->kept, (int)i + 1,
			      str_span(buf_str(&t->query).p + begin, ends[i] - begin));
	bool is_done = sqlite_rows(t, t->kept, key, why);
	sql_reset(t->kept);
	return is_done;
}

static bool sqlite_ask_text(struct sqlite_table *t, struct str key, struct error *why)
{
	buf_reset(&t->query);
	if (key_template_query(&t->source.templates, key, &sqlite_key_quote, &t->query) !=
	    KEY_EXPANDED)
		return error_set(why, ERROR_LIMIT, "the query is too long");
	struct sql_statement *st = sql_prepare(t->db, buf_str(&t->query), why);
	bool is_done = st != NULL && sqlite_rows(t, st, key, why);
	sql_free(st);
	return is_done;
}

/* What the rows make, in t->value. */
static bool sqlite_ask(struct sqlite_table *t, struct str key, struct error *why)
{
	buf_reset(&t->value);
	t->deadline_ms = os_now_ms() + TABLE_SQLITE_MS_MAX;
	return t->kept != NULL ? sqlite_ask_kept(t, key, why) : sqlite_ask_text(t, key, why);
}

/* What SQLite failed with; a value too many or too long is no failure of it. */
static enum sql_fault sqlite_fault(const struct sqlite_table *t, const struct error *why)
{
	return why->kind == ERROR_LIMIT ? SQL_FAULT_NONE : sql_fault(t->db);
}

/* A query that failed: some faults mean that the file has to be opened anew. */
static void sqlite_failed(struct sqlite_table *t, struct error *why)
{
	switch (sqlite_fault(t, why)) {
	case SQL_FAULT_IO:
	case SQL_FAULT_CORRUPT:
	case SQL_FAULT_NO_FILE:
		sqlite_drop(t);
		sqlite_unusable(t, why);
		break;
	case SQL_FAULT_INTERRUPTED:
		error_set(why, ERROR_TEMP, "the query takes longer than %d ms",
			  TABLE_SQLITE_MS_MAX);
		break;
	case SQL_FAULT_NONE:
	case SQL_FAULT_BUSY:
	case SQL_FAULT_FULL:
	case SQL_FAULT_CONSTRAINT:
	case SQL_FAULT_TEXT:
	case SQL_FAULT_OTHER:
		break;
	}
}

static void sqlite_fail(const struct sqlite_table *t, struct table_lookup *l, struct str why)
{
	l->answer.status = ANSWER_FAILED;
	l->answer.failure = arena_fmt(l->query.arena, STR_FMT ": " STR_FMT,
				      STR_ARG(t->context->source), STR_ARG(why));
}

static void sqlite_answer(struct sqlite_table *t, struct table_lookup *l, struct str key)
{
	struct error why;

	if (t->db == NULL) {
		sqlite_fail(t, l, error_text(&t->why_not));
		return;
	}
	if (!sqlite_ask(t, key, &why)) {
		sqlite_failed(t, &why);
		sqlite_fail(t, l, error_text(&why));
		return;
	}
	l->answer.value = buf_str(&t->value);
	l->answer.status = source_sql_value(&t->source, &l->answer.value, &why);
	if (l->answer.status == ANSWER_FAILED)
		sqlite_fail(t, l, error_text(&why));
}

static bool sqlite_lookup(void *table, struct table_lookup *l)
{
	struct sqlite_table *t = table;
	struct str key;

	l->answer.file = t->path;
	enum answer_status admitted = source_sql_admit(&t->source, l, &key);
	if (admitted == ANSWER_FAILED)
		sqlite_fail(t, l, l->answer.failure);
	if (admitted != ANSWER_FOUND || !key_template_fits(&t->source.templates, key))
		return true;
	sqlite_refresh(t, l->now_ms);
	sqlite_answer(t, l, key);
	return true;
}

/* ---- the table ---- */

static void sqlite_close(void *table)
{
	struct sqlite_table *t = table;

	sqlite_drop(t);
	buf_fini(&t->query);
	buf_fini(&t->value);
	source_sql_close(&t->source);
	free(t);
}

static void *sqlite_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	struct sqlite_table *t = base_alloc(sizeof(*t));
	bool is_good =
		source_sql_open(&t->source, c, sqlite_names, ARRAY_LEN(sqlite_names), now_ms, e);

	t->context = c;
	buf_init(&t->query, TABLE_VALUE_MAX);
	buf_init(&t->value, TABLE_VALUE_MAX);
	if (is_good) {
		t->path = source_file_get(&t->source.file, STR("dbpath"));
		is_good = t->path.n > 0 ||
			  error_set(e, ERROR_CONFIG, "the parameter \"dbpath\" is missing");
	}
	if (!is_good) {
		sqlite_close(t);
		return NULL;
	}
	t->path = arena_str(t->source.arena, t->path);
	t->has_params = key_params_init(&t->params, t->source.arena, t->source.templates.query);
	t->next_check_ms = now_ms + CHECK_EVERY_MS;
	sqlite_look(t);
	return t;
}

const struct table_type table_type_sqlite = {
	.name = STR_INIT("sqlite"),
	.open = sqlite_open,
	.lookup = sqlite_lookup,
	.close = sqlite_close,
	.refresh = sqlite_refresh,
};
