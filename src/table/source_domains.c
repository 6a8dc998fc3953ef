#include "table/source_domains.h"

#include <stdlib.h>

#include "base/limits.h"
#include "mail/domain.h"
#include "os/os.h"
#include "table/lines.h"

#define SEPARATORS STR(", \t\r\n")

struct element {
	struct str name; /* folded as a key is */
	struct table_set *set;
	bool is_negated;
};

struct source_domains {
	const struct table_context *context;
	struct arena *arena;
	struct element *elements;
	size_t n, size;
	uint64_t now_ms; /* while it is made */
};

static void add_element(struct source_domains *d, struct str text, bool is_negated)
{
	const struct table_context *c = d->context;
	struct element e = { .is_negated = is_negated };

	if (str_contains(text, ':'))
		e.set = table_set_new(c->param, text, &c->options, d->now_ms);
	else if (c->options.is_utf8)
		e.name = domain_fold(d->arena, text);
	else
		e.name = arena_lower(d->arena, text);
	if (d->n == d->size) {
		d->size = 2 * d->size + 8;
		d->elements = base_realloc(d->elements, d->size * sizeof(*d->elements));
	}
	d->elements[d->n++] = e;
}

static bool
add_list(struct source_domains *d, struct str list, bool is_negated, int depth, struct error *e);

/* Its lines are lists; a "!" before the file turns all of them around. */
static bool
add_file(struct source_domains *d, struct str path, bool is_negated, int depth, struct error *e)
{
	struct table_lines lines;
	struct buf text;
	struct str line;
	unsigned number;

	path = arena_str(d->arena, path);
	if (depth >= TABLE_NESTING_MAX)
		return error_set(e, ERROR_LIMIT, "more than %d files inside each other",
				 TABLE_NESTING_MAX);
	buf_init(&text, CONF_FILE_MAX);
	bool is_good =
		os_file_read(path.p, &text, NULL, e) || error_prefix(e, STR_FMT, STR_ARG(path));
	table_lines_init(&lines, buf_str(&text));
	while (is_good && table_lines_next(&lines, &line, &number))
		is_good = add_list(d, line, is_negated, depth + 1, e);
	table_lines_fini(&lines);
	buf_fini(&text);
	return is_good;
}

static bool
add_list(struct source_domains *d, struct str list, bool is_negated, int depth, struct error *e)
{
	struct str token;
	bool is_good = true;

	while (is_good && str_token_braced(&list, SEPARATORS, &token)) {
		bool is_turned = is_negated;
		while (str_has_prefix(token, STR("!"))) {
			is_turned = !is_turned;
			token = str_from(token, 1);
		}
		if (str_has_prefix(token, STR("/")))
			is_good = add_file(d, token, is_turned, depth, e);
		else if (token.n > 0)
			add_element(d, token, is_turned);
	}
	return is_good;
}

struct source_domains *
source_domains_new(const struct table_context *c, struct str list, uint64_t now_ms, struct error *e)
{
	struct source_domains *d = base_alloc(sizeof(*d));

	d->context = c;
	d->arena = arena_new();
	d->now_ms = now_ms;
	if (add_list(d, list, false, 0, e))
		return d;
	error_prefix(e, "domain");
	source_domains_free(d);
	return NULL;
}

void source_domains_free(struct source_domains *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++)
		table_set_free(d->elements[i].set);
	free(d->elements);
	arena_free(d->arena);
	free(d);
}

static enum answer_status ask_table(const struct table_lookup *l, struct table_set *set,
				    struct str domain, struct str *failure)
{
	struct table_query q = { .arena = l->query.arena, .key = domain, .now_ms = l->now_ms };
	struct answer answer;
	struct table_lookup *later = table_set_lookup(set, &q, &answer);

	if (later != NULL) {
		table_lookup_cancel(later);
		*failure = STR("a table that asks a server cannot stand in the domain list");
		return ANSWER_FAILED;
	}
	*failure = answer.failure;
	return answer.status;
}

static enum answer_status ask_element(const struct element *e, const struct table_lookup *l,
				      struct str domain, struct str *failure)
{
	if (e->set != NULL)
		return ask_table(l, e->set, domain, failure);
	return str_eq(e->name, domain) ? ANSWER_FOUND : ANSWER_NONE;
}

enum answer_status source_domains_match(const struct source_domains *d,
					const struct table_lookup *l, struct str key,
					struct str *failure)
{
	struct str user, domain;

	if (!str_rcut(key, '@', &user, &domain) || user.n == 0)
		return ANSWER_NONE;
	for (size_t i = 0; i < d->n; i++) {
		enum answer_status s = ask_element(&d->elements[i], l, domain, failure);
		if (s == ANSWER_FOUND)
			return d->elements[i].is_negated ? ANSWER_NONE : ANSWER_FOUND;
		if (s == ANSWER_FAILED)
			return s;
	}
	return ANSWER_NONE;
}
