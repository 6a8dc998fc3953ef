/* Findings about entries, and a bound on how many of a kind are told. */

#include "policy/lint_inside.h"

#include <stdlib.h>
#include <string.h>

void policy_lint_init(struct lint *l, struct arena *a, struct str param,
		      const struct policy_lint_entry *entries, size_t n,
		      const struct policy_lint_site *site)
{
	*l = (struct lint){ .arena = a, .site = site, .param = param, .entries = entries, .n = n };
	CHECK(n < UINT32_MAX);
	map_init(&l->keys);
	for (size_t i = 0; i < n; i++)
		if (!map_has(&l->keys, entries[i].key))
			map_put(&l->keys, entries[i].key, (uint32_t)i);
}

static struct lint_count *lint_count_of(struct lint *l, struct str code)
{
	for (size_t i = 0; i < l->n_counts; i++)
		if (str_eq(l->counts[i].code, code))
			return &l->counts[i];
	CHECK(l->n_counts < ARRAY_LEN(l->counts));
	l->counts[l->n_counts].code = code;
	return &l->counts[l->n_counts++];
}

bool policy_lint_wants(struct lint *l, struct str code)
{
	return ++lint_count_of(l, code)->n <= POLICY_LINT_FINDINGS_MAX;
}

static void lint_keep(struct lint *l, const struct conf_finding *f)
{
	if (l->n_found == l->room) {
		l->room = l->room ? 2 * l->room : 32;
		struct policy_lint_finding *v =
			ARENA_ARRAY(l->arena, l->room, struct policy_lint_finding);
		if (l->n_found)
			memcpy(v, l->found, l->n_found * sizeof(*v));
		l->found = v;
	}
	l->found[l->n_found++] = (struct policy_lint_finding){ *f, l->at };
}

void policy_lint_say(struct lint *l, struct lint_words w)
{
	struct lint_count *c = lint_count_of(l, w.code);

	c->last = (struct conf_finding){
		.severity = w.severity,
		.code = w.code,
		.param = l->param,
		.file = lint_entry(l)->file,
		.line = lint_entry(l)->line,
		.text = w.text,
		.remedy = w.remedy,
	};
	lint_keep(l, &c->last);
}

struct policy_lint_findings policy_lint_end(struct lint *l)
{
	for (size_t i = 0; i < l->n_counts; i++) {
		struct lint_count *c = &l->counts[i];
		if (c->n <= POLICY_LINT_FINDINGS_MAX)
			continue;
		l->at = 0;
		c->last.line = 0;
		c->last.text = arena_fmt(l->arena, "and %zu more entries of this kind",
					 c->n - POLICY_LINT_FINDINGS_MAX);
		c->last.remedy = STR("");
		lint_keep(l, &c->last);
	}
	map_fini(&l->keys);
	return (struct policy_lint_findings){ l->found, l->n_found };
}
