#include "table/source_sql.h"

#include "mail/domain.h"

/* ---- the query ---- */

static struct str required(const struct source_file *f, struct str name, struct error *e)
{
	struct str value = source_file_get(f, name);

	if (value.n == 0)
		error_set(e, ERROR_CONFIG,
			  "the parameter \"query\" is missing (or, as it was once, \"table\", "
			  "\"select_field\" and \"where_field\")");
	return value;
}

/* The parameters that there were before `query`. */
static struct str old_query(struct source_sql *s, struct error *e)
{
	const struct source_file *f = &s->file;
	struct str function = source_file_get(f, STR("select_function"));
	struct str table, field, where;

	if (function.n > 0)
		return arena_fmt(s->arena, "SELECT " STR_FMT "('%%s')", STR_ARG(function));
	table = required(f, STR("table"), e);
	field = required(f, STR("select_field"), e);
	where = required(f, STR("where_field"), e);
	if (table.n == 0 || field.n == 0 || where.n == 0)
		return STR_NONE;
	return arena_fmt(s->arena,
			 "SELECT " STR_FMT " FROM " STR_FMT " WHERE " STR_FMT " = '%%s' " STR_FMT,
			 STR_ARG(field), STR_ARG(table), STR_ARG(where),
			 STR_ARG(source_file_get(f, STR("additional_conditions"))));
}

static void say_bare(const struct source_sql *s, size_t at)
{
	struct str text = arena_fmt(s->arena,
				    "\"" STR_FMT "\" stands outside of '...' in the query: whoever "
				    "chooses the key writes SQL",
				    STR_ARG(str_first(str_from(s->templates.query, at), 2)));

	source_file_say(&s->file, STR("query"),
			(struct table_finding){ .code = STR("query-bare"),
						.text = text,
						.remedy = STR("put single quotes around it") });
}

static void check_query(const struct source_sql *s)
{
	size_t at;

	if (key_template_bare(s->templates.query, &at))
		say_bare(s, at);
	if (!s->templates.has_key)
		source_file_say(&s->file, STR("query"),
				(struct table_finding){
					.code = STR("query-constant"),
					.text = STR("the query does not depend on the key: every "
						    "key has the same value"),
					.remedy = STR("compare a column with '%s'") });
}

static bool open_query(struct source_sql *s, struct error *e)
{
	struct str query = source_file_get(&s->file, STR("query"));
	struct str result = source_file_get_or(&s->file, STR("result_format"), STR("%s"));

	if (query.n == 0)
		query = old_query(s, e);
	if (query.n == 0 || !key_templates_init(&s->templates, query, result, e))
		return false;
	check_query(s);
	return source_file_get_int(&s->file, STR("expansion_limit"), 0, 0, &s->limit, e);
}

bool source_sql_open(struct source_sql *s, const struct table_context *c,
		     const struct source_name *names, size_t n_names, uint64_t now_ms,
		     struct error *e)
{
	*s = (struct source_sql){ .arena = arena_new(), .is_utf8 = c->options.is_utf8 };
	if (!source_file_open(&s->file, s->arena, c, names, n_names, e) || !open_query(s, e))
		return false;
	struct str list = source_file_get(&s->file, STR("domain"));
	if (list.n == 0)
		return true;
	s->domains = source_domains_new(c, list, now_ms, e);
	return s->domains != NULL;
}

void source_sql_close(struct source_sql *s)
{
	source_domains_free(s->domains);
	arena_free(s->arena);
}

/* ---- lookups ---- */

enum answer_status
source_sql_admit(const struct source_sql *s, struct table_lookup *l, struct str *key)
{
	*key = l->folded;
	if (key->n == 0 || str_contains(*key, '\0') || !domain_is_utf8(*key))
		l->answer.status = ANSWER_NONE;
	else if (s->domains == NULL)
		return ANSWER_FOUND;
	else
		l->answer.status = source_domains_match(s->domains, l, *key, &l->answer.failure);
	return l->answer.status;
}

/* Postfix sees values as C strings. */
enum answer_status
source_sql_value(const struct source_sql *s, struct str *value, struct error *why)
{
	size_t end;

	if (str_find(*value, '\0', &end))
		*value = str_first(*value, end);
	if (value->n == 0)
		return ANSWER_NONE;
	if (!s->is_utf8 || domain_is_utf8(*value))
		return ANSWER_FOUND;
	error_set(why, ERROR_DATA, "the value is not UTF-8");
	return ANSWER_FAILED;
}
