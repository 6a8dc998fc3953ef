/* Lists of domains in main.cf, as mydestination and relay_domains: names and tables, the first
 * that matches decides, "!" turns a match around. postconf(5). */

#include "mail/domain.h"
#include "route/walk.h"

bool route_is_parent_style(const struct conf *conf, struct str name)
{
	struct str rest = conf_str(conf, CONF_parent_domain_matches_subdomains);
	struct str token;

	while (str_token(&rest, STR(", \t\r\n"), &token))
		if (str_eq(token, name))
			return true;
	return false;
}

static size_t route_list_count(struct str rest)
{
	struct str token;
	size_t n = 0;

	while (str_token_braced(&rest, STR(", \t\r\n"), &token))
		n++;
	return n;
}

static bool route_pattern_parse(struct arena *a, enum conf_id id, struct str token,
				struct route_pattern *out, struct error *e)
{
	*out = (struct route_pattern){ .text = token };
	while (str_has_prefix(out->text, STR("!"))) {
		out->text = str_from(out->text, 1);
		out->is_negated = !out->is_negated;
	}
	if (str_has_prefix(out->text, STR("/")))
		return error_set(e, ERROR_CONFIG,
				 STR_FMT ": a list in a file of its own (" STR_FMT
					 ") is not supported; use texthash:" STR_FMT,
				 STR_ARG(conf_name(id)), STR_ARG(out->text), STR_ARG(out->text));
	out->is_table = str_contains(out->text, ':') && !str_has_prefix(out->text, STR("["));
	if (!out->is_table)
		out->text = domain_fold(a, out->text);
	return true;
}

bool route_list_parse(struct arena *a, const struct conf *conf, enum conf_id id,
		      bool is_domain_list, struct route_list *out, struct error *e)
{
	struct str rest = conf_str(conf, id);
	size_t n = route_list_count(rest);
	struct route_pattern *v = ARENA_ARRAY(a, n, struct route_pattern);
	struct str token;

	for (size_t i = 0; str_token_braced(&rest, STR(", \t\r\n"), &token); i++)
		if (!route_pattern_parse(a, id, token, &v[i], e))
			return route_blame(conf, id, e);
	*out = (struct route_list){
		.id = id,
		.v = v,
		.n = n,
		.is_domain_list = is_domain_list,
		.has_parents = is_domain_list && route_is_parent_style(conf, conf_name(id)),
	};
	return true;
}

static void route_add_table(struct str *v, size_t *n, const struct route_pattern *p)
{
	if (!p->is_table)
		return;
	for (size_t i = 0; i < *n; i++)
		if (str_eq(v[i], p->text))
			return;
	v[(*n)++] = p->text;
}

size_t route_listed_tables(struct arena *a, const struct conf *conf, const struct str **out)
{
	static const enum conf_id ids[] = { CONF_mydestination, CONF_relay_domains };
	struct route_list lists[ARRAY_LEN(ids)] = { 0 };
	size_t n = 0, size = 0;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (route_list_parse(a, conf, ids[i], true, &lists[i], NULL))
			size += lists[i].n;
	struct str *v = ARENA_ARRAY(a, size, struct str);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		for (size_t j = 0; j < lists[i].n; j++)
			route_add_table(v, &n, &lists[i].v[j]);
	*out = v;
	return n;
}

static bool route_name_covers(const struct route_list *list, struct str name, struct str domain)
{
	if (str_eq(name, domain))
		return true;
	if (!list->is_domain_list || name.n >= domain.n || !str_has_suffix(domain, name))
		return false;
	if (list->has_parents)
		return domain.p[domain.n - name.n - 1] == '.';
	return str_has_prefix(name, STR("."));
}

/* The next shorter key of a domain in a table: the parent, or the parent with its dot. */
static bool route_table_parent(const struct route_list *list, struct str *key)
{
	size_t dot;

	if (!list->is_domain_list || !str_find(str_from(*key, 1), '.', &dot))
		return false;
	*key = str_from(*key, dot + 1 + (list->has_parents ? 1 : 0));
	return key->n > 0;
}

static enum route_match route_table_covers(struct route_walk *w, const struct route_list *list,
					   struct str table, struct str domain)
{
	struct question q = { .kind = QUESTION_TABLE, .table = table, .name = domain };

	do {
		const struct answer *answer = route_know(w, &q);
		if (!answer)
			return ROUTE_MATCH_WAIT;
		route_note_table(w, conf_name(list->id), &q, answer);
		if (answer->status == ANSWER_FAILED)
			return ROUTE_MATCH_FAILED;
		if (answer->status == ANSWER_FOUND)
			return ROUTE_MATCH_YES;
		q.is_partial = true;
	} while (route_table_parent(list, &q.name));
	return ROUTE_MATCH_NO;
}

static enum route_match route_pattern_match(struct route_walk *w, const struct route_list *list,
					    const struct route_pattern *p, struct str domain)
{
	if (p->is_table)
		return route_table_covers(w, list, p->text, domain);
	return route_name_covers(list, p->text, domain) ? ROUTE_MATCH_YES : ROUTE_MATCH_NO;
}

enum route_match
route_list_match(struct route_walk *w, const struct route_list *list, struct str domain)
{
	for (size_t i = 0; i < list->n; i++) {
		enum route_match m = route_pattern_match(w, list, &list->v[i], domain);
		if (m == ROUTE_MATCH_YES)
			return list->v[i].is_negated ? ROUTE_MATCH_NO : ROUTE_MATCH_YES;
		if (m != ROUTE_MATCH_NO)
			return m;
	}
	return ROUTE_MATCH_NO;
}
