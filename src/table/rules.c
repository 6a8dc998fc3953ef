#include "table/rules.h"

#include <stdlib.h>

#include "base/limits.h"
#include "mail/domain.h"
#include "table/braces.h"
#include "table/lines.h"
#include "table/template.h"

#define NO_ENDIF SIZE_MAX

struct rule {
	enum rule_op op;
	unsigned line;
	bool is_negated;
	void *pattern;
	struct str value;
	size_t n_named; /* groups that the value needs, with group 0; 0: it is taken as it is */
	size_t end; /* of RULE_IF: the index of its RULE_ENDIF; while reading: of the outer "if" */
};

struct rules {
	const struct rules_engine *engine;
	bool is_utf8;
	struct arena *arena;
	struct rule *v;
	size_t n, room;
	size_t open; /* the innermost "if" that is open, while reading */
};

/* ---- reading ---- */

struct rules_fill {
	struct textload *load;
	struct rules *rules;
	struct rules_reach *reach;
	unsigned line;
};

static void
rules_say(const struct rules_fill *f, struct str code, const char *what, struct str remedy)
{
	textload_say(f->load,
		     (struct table_finding){ .code = code,
					     .line = f->line,
					     .text = arena_str(f->load->arena, str_of(what)),
					     .remedy = remedy });
}

static void rules_skip(const struct rules_fill *f, const struct error *why)
{
	struct error text;

	error_set(&text, ERROR_NONE, "this line has no effect: %s", why->text);
	rules_say(f, STR("pattern-syntax"), text.text, STR("mend the line or take it away"));
}

static struct rule *rules_add(const struct rules_fill *f, enum rule_op op)
{
	struct rules *r = f->rules;

	if (r->n == r->room) {
		r->room = r->room > 0 ? r->room * 2 : 64;
		r->v = base_realloc(r->v, r->room * sizeof(*r->v));
	}
	r->v[r->n] = (struct rule){ .op = op, .line = f->line, .end = NO_ENDIF };
	return &r->v[r->n++];
}

/* Adds it with its pattern, unless that cannot be compiled. */
static struct rule *rules_compile(const struct rules_fill *f, enum rule_op op,
				  const struct rule_pattern *p, size_t n_named)
{
	struct error why = { .kind = ERROR_NONE };
	size_t n_groups = 0;
	void *pattern = f->rules->engine->compile(p, &n_groups, &why);

	if (pattern != NULL && n_named > n_groups + 1) {
		f->rules->engine->free(pattern);
		pattern = NULL;
		error_set(&why, ERROR_DATA,
			  "the value names group %zu, and the pattern has %zu groups", n_named - 1,
			  n_groups);
	}
	if (pattern == NULL) {
		rules_skip(f, &why);
		return NULL;
	}
	struct rule *added = rules_add(f, op);
	added->pattern = pattern;
	added->is_negated = p->is_negated;
	added->n_named = n_named;
	return added;
}

static void rules_add_if(const struct rules_fill *f, const struct rule_pattern *p)
{
	struct rule *added = rules_compile(f, RULE_IF, p, 0);

	if (added == NULL)
		return;
	added->end = f->rules->open;
	f->rules->open = (size_t)(added - f->rules->v);
	rules_reach_enter(f->reach);
}

static void rules_add_endif(const struct rules_fill *f)
{
	struct rules *r = f->rules;

	if (r->open == NO_ENDIF) {
		rules_skip(f,
			   &(struct error){ .text = "there is no \"if\" before this \"endif\"" });
		return;
	}
	(void)rules_add(f, RULE_ENDIF);
	struct rule *opened = &r->v[r->open];
	r->open = opened->end;
	opened->end = r->n - 1;
	rules_reach_leave(f->reach);
}

/* How many groups a value needs. False when the rule has no effect. */
static bool rules_value(const struct rules_fill *f, const struct rule_text *text, size_t *n_named)
{
	struct error why;
	size_t max;

	*n_named = 0;
	if (!f->rules->engine->has_groups || !str_contains(text->value, '$'))
		return true;
	if (!template_check(text->value, &max, &why)) {
		rules_skip(f, &why);
		return false;
	}
	if (max > 0 && text->pattern.is_negated) {
		rules_skip(f, &(struct error){ .text = "a negated pattern has no groups for the "
						       "value to name" });
		return false;
	}
	*n_named = max + 1;
	return true;
}

static void rules_say_value(const struct rules_fill *f, struct str value)
{
	if (value.n == 0)
		rules_say(f, STR("empty-value"),
			  "there is no value; a key that matches is an error",
			  STR("give it a value or take it away"));
	if (f->rules->is_utf8 && !domain_is_utf8(value))
		rules_say(f, STR("line-utf8"),
			  "the value is not UTF-8; a key that matches is an error",
			  STR("save the file as UTF-8"));
}

static void
rules_say_reach(const struct rules_fill *f, const struct rule_text *text, const void *pattern)
{
	const struct rules_engine *engine = f->rules->engine;
	struct rules_net net = { .prefix = 0 };
	struct error what;

	if (engine->net)
		net = engine->net(pattern);
	unsigned before = rules_reach_add(f->reach, text, engine->net ? &net : NULL, f->line);
	if (before == 0)
		return;
	error_set(&what, ERROR_NONE,
		  "this rule is never tried: the one in line %u takes every key that it matches",
		  before);
	rules_say(f, STR("pattern-unreachable"), what.text,
		  STR("move it before that rule, or take it away"));
}

/* "/one/!/two/ value" is one inside of "if !/two/". */
static void rules_add_match(const struct rules_fill *f, const struct rule_text *text)
{
	struct rules *r = f->rules;
	size_t n_named, n = r->n, open = r->open;
	bool is_pair = text->second.text.p != NULL;

	if (!rules_value(f, text, &n_named))
		return;
	if (is_pair)
		rules_add_if(f, &text->second);
	if (is_pair && r->n == n)
		return;
	struct rule *added = rules_compile(f, RULE_MATCH, &text->pattern, n_named);
	const void *pattern = added != NULL ? added->pattern : NULL;
	if (added != NULL) {
		added->value = arena_str(r->arena, text->value);
		rules_say_value(f, text->value);
	}
	if (is_pair)
		rules_add_endif(f);
	if (pattern != NULL)
		rules_say_reach(f, text, pattern);
	CHECK(r->open == open);
}

static void rules_add_line(const struct rules_fill *f, struct str line)
{
	struct rule_text text;
	struct error why = { .kind = ERROR_NONE };

	if (!f->rules->engine->parse(line, &text, &why)) {
		rules_skip(f, &why);
		return;
	}
	if (text.extra.n > 0)
		rules_say(f, STR("pattern-extra"), "the text at the end of this line has no effect",
			  STR("begin rules between \"if\" and \"endif\" without white space"));
	switch (text.op) {
	case RULE_MATCH:
		rules_add_match(f, &text);
		return;
	case RULE_IF:
		rules_add_if(f, &text.pattern);
		return;
	case RULE_ENDIF:
		rules_add_endif(f);
		return;
	}
}

/* A line that tells that this is no such text at all. */
static bool rules_is_text(struct rules_fill *f, const struct table_lines *lines, struct str line)
{
	struct table_finding bad = { .line = f->line };

	if (lines->is_too_long || line.n > TABLE_VALUE_MAX) {
		bad.code = STR("line-length");
		bad.text = STR("a rule is longer than a mebibyte");
	} else if (str_contains(line, '\0')) {
		bad.code = STR("line-nul");
		bad.text = STR("there is a NUL octet: this is no text");
	} else {
		return true;
	}
	textload_fail(f->load, bad);
	return false;
}

static void rules_close_blocks(struct rules_fill *f)
{
	struct rules *r = f->rules;

	while (r->open != NO_ENDIF) {
		struct rule *opened = &r->v[r->open];
		f->line = opened->line;
		rules_say(f, STR("pattern-no-endif"),
			  "this \"if\" has no \"endif\": a key that it does not match is not found",
			  STR("write \"endif\" where its rules end"));
		r->open = opened->end;
		opened->end = NO_ENDIF;
	}
}

void rules_fill(const struct rules_engine *engine, struct textload *l, struct str text)
{
	struct rules *r = base_alloc(sizeof(*r));
	struct rules_reach reach;
	struct rules_fill f = { .load = l, .rules = r, .reach = &reach };
	struct table_lines lines;
	struct str line;

	*r = (struct rules){
		.engine = engine, .is_utf8 = l->is_utf8, .arena = arena_new(), .open = NO_ENDIF
	};
	l->content = r;
	rules_reach_init(&reach);
	table_lines_init(&lines, text);
	while (table_lines_next(&lines, &line, &f.line)) {
		if (!rules_is_text(&f, &lines, line))
			continue;
		if (ascii_is_space(line.p[0]))
			rules_say(&f, STR("line-leading-space"),
				  "this line has no effect: it begins with white space, and there "
				  "is no rule before it to continue",
				  STR("begin the line with the rule"));
		else
			rules_add_line(&f, str_trim(line));
	}
	table_lines_fini(&lines);
	rules_reach_fini(&reach);
	rules_close_blocks(&f);
}

size_t rules_count(const void *content)
{
	return ((const struct rules *)content)->n;
}

void rules_free(void *content)
{
	struct rules *r = content;

	for (size_t i = 0; i < r->n; i++)
		if (r->v[i].pattern != NULL)
			r->engine->free(r->v[i].pattern);
	free(r->v);
	arena_free(r->arena);
	free(r);
}

/* ---- looking up ---- */

static void rules_fail(const struct rule *rule, struct table_lookup *l, const char *why)
{
	l->answer.status = ANSWER_FAILED;
	l->answer.failure = arena_fmt(l->query.arena, "the rule in line %u: %s", rule->line, why);
}

static void rules_found(const struct rules *r, const struct rule *rule, const struct str *groups,
			struct table_lookup *l)
{
	struct str value = rule->value;
	struct buf out;

	buf_init(&out, TABLE_VALUE_MAX);
	bool fits = rule->n_named == 0 || template_expand(rule->value, groups, &out);
	if (rule->n_named > 0)
		value = arena_str(l->query.arena, buf_str(&out));
	buf_fini(&out);
	l->answer.line = rule->line;
	if (!fits) {
		rules_fail(rule, l, "the value is too long");
	} else if (r->is_utf8 && !domain_is_utf8(value)) {
		rules_fail(rule, l, "the value is not UTF-8");
	} else {
		l->answer.status = ANSWER_FOUND;
		l->answer.value = value;
	}
}

static bool rules_applies(const struct rule *rule, enum rules_hit hit)
{
	return hit == (rule->is_negated ? RULES_MISS : RULES_HIT);
}

static void rules_run(const struct rules *r, const struct rules_key *key, struct table_lookup *l)
{
	struct error why = { .kind = ERROR_NONE };

	for (size_t i = 0; i < r->n; i++) {
		const struct rule *rule = &r->v[i];
		struct str *groups = NULL;
		if (rule->op == RULE_ENDIF)
			continue;
		if (rule->n_named > 0)
			groups = ARENA_ARRAY(l->query.arena, rule->n_named, struct str);
		enum rules_hit hit =
			r->engine->match(rule->pattern, key, groups, rule->n_named, &why);
		if (hit == RULES_FAILED) {
			rules_fail(rule, l, why.text);
			return;
		}
		if (rules_applies(rule, hit)) {
			if (rule->op == RULE_IF)
				continue;
			rules_found(r, rule, groups, l);
			return;
		}
		if (rule->op != RULE_IF)
			continue;
		if (rule->end == NO_ENDIF)
			return;
		i = rule->end;
	}
}

bool rules_lookup(void *table, struct table_lookup *l)
{
	const struct rules *r = textfile_content(table, l);
	struct rules_key key = { .text = arena_str(l->query.arena, l->key) }; /* ends in NUL */

	if (r == NULL || l->query.is_partial || (r->is_utf8 && l->folded.p == NULL))
		return true;
	if (r->engine->is_of_addresses && !address_parse(l->key, &key.address))
		return true;
	rules_run(r, &key, l);
	return true;
}

/* ---- the table ---- */

bool rules_inline_text(struct str body, struct buf *out, struct error *e)
{
	struct str inside, rule;

	if (!table_unbrace(body, &inside))
		return error_set(e, ERROR_CONFIG,
				 "the braces do not match, or something follows "
				 "them");
	while (str_token_braced(&inside, STR(", \t\r\n"), &rule)) {
		if (!table_unbrace(rule, &rule))
			return error_set(e, ERROR_CONFIG,
					 "each rule wants braces of its own: { {rule} {rule} }");
		if (!buf_add(out, rule) || !buf_add_char(out, '\n'))
			return error_set(e, ERROR_LIMIT, "it is too long");
	}
	return true;
}

void *rules_open(const struct textload_kind *kind, const struct table_context *c, uint64_t now_ms,
		 struct error *e)
{
	struct buf text;
	void *table = NULL;

	if (c->body.p[0] != '{')
		return textfile_open(kind, c, now_ms);
	buf_init(&text, CONF_VALUE_MAX);
	if (rules_inline_text(c->body, &text, e))
		table = textfile_open_text(kind, c, buf_str(&text));
	buf_fini(&text);
	return table;
}

void rules_refresh(void *table, uint64_t now_ms)
{
	textfile_refresh(table, now_ms);
}

void rules_close(void *table)
{
	textfile_close(table);
}

bool rules_has_patterns(const void *table)
{
	(void)table;
	return true;
}
