/* A list of tables, asked in order. */

#include "table/type.h"

#include "mail/domain.h"

#define SEPARATORS STR(", \t\r\n")

struct table {
	struct table_context context;
	const struct table_type *type;
	void *state; /* of the type; of a broken table the text of its failure */
};

struct table_set {
	struct arena *arena;
	struct str param;
	struct table_options options;
	struct table **tables;
	size_t n;
	size_t n_lookups; /* under way */
};

void table_report(const struct table_context *c, struct table_finding f)
{
	f.param = c->param;
	f.source = c->source;
	if (c->options.found != NULL)
		c->options.found(c->options.arg, &f);
}

bool table_key_is_folded(struct str key)
{
	if (domain_is_ascii(key))
		return true;

	struct arena *a = arena_new();
	bool is_folded = str_eq(domain_fold(a, key), arena_lower(a, key));
	arena_free(a);
	return is_folded;
}

bool table_never_changes(void *table, uint64_t now_ms, uint64_t *version)
{
	(void)table;
	(void)now_ms;
	*version = 0;
	return true;
}

/* What stands in for a table that cannot be used. */

static bool broken_lookup(void *table, struct table_lookup *l)
{
	l->answer.status = ANSWER_FAILED;
	l->answer.failure = *(struct str *)table;
	return true;
}

static void broken_close(void *table)
{
	(void)table;
}

static const struct table_type table_type_broken = {
	.name = STR_INIT(""),
	.lookup = broken_lookup,
	.close = broken_close,
	.version = table_never_changes,
};

static void table_break(struct table_set *s, struct table *t, struct table_finding f)
{
	struct str *failure = ARENA_NEW(s->arena, struct str);

	*failure = arena_fmt(s->arena, STR_FMT ": " STR_FMT, STR_ARG(t->context.source),
			     STR_ARG(f.text));
	t->type = &table_type_broken;
	t->state = failure;
	f.is_error = true;
	table_report(&t->context, f);
}

/* Parameters with logins: a word of theirs that names no table may be a piece of a password. It is
 * not shown. */
static bool holds_logins(const struct table_set *s)
{
	return str_has_suffix(s->param, STR("_password_maps"));
}

static void hide(struct table *t)
{
	t->context.source = STR("(an entry)");
}

static const struct table_type *const builtin_types[] = {
	&table_type_texthash, &table_type_regexp, &table_type_pcre,      &table_type_cidr,
	&table_type_hash,     &table_type_btree,  &table_type_cdb,       &table_type_lmdb,
	&table_type_inline,   &table_type_static, &table_type_fail,      &table_type_union,
	&table_type_pipe,     &table_type_rand,   &table_type_socketmap, &table_type_tcp,
	&table_type_memcache, &table_type_sqlite, &table_type_pgsql,
};

static const struct table_type *
table_type_in(const struct table_type *const *types, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(types[i]->name, name))
			return types[i];
	return NULL;
}

static const struct table_type *table_type_find(const struct table_options *o, struct str name)
{
	const struct table_type *type = table_type_in(o->types, o->n_types, name);

	return type ? type : table_type_in(builtin_types, ARRAY_LEN(builtin_types), name);
}

static void table_break_spec(struct table_set *s, struct table *t)
{
	struct str source = t->context.source;
	struct str remedy = STR("write type:name, such as texthash:/path or static:value");

	if (source.p[0] == '/')
		remedy = arena_fmt(s->arena, "write texthash:" STR_FMT, STR_ARG(source));
	else if (holds_logins(s))
		hide(t);
	table_break(s, t,
		    (struct table_finding){ .code = STR("bad-spec"),
					    .text = STR("this is not of the form type:name"),
					    .remedy = remedy });
}

/* Types that are made from a text file of texthash's syntax by postmap(1). */
static bool table_is_compiled(struct str name)
{
	static const struct str names[] = { STR_INIT("dbm"), STR_INIT("sdbm") };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(names[i], name))
			return true;
	return false;
}

static void table_break_type(struct table_set *s, struct table *t, struct str name)
{
	struct str text = arena_fmt(s->arena, "tables of type \"" STR_FMT "\" are not supported",
				    STR_ARG(name));
	struct str remedy =
		STR("the types are hash, btree, cdb, lmdb, texthash, regexp, pcre, "
		    "cidr, sqlite, pgsql, inline, static, fail, unionmap, pipemap, randmap, "
		    "socketmap, tcp and memcache");

	if (holds_logins(s) && !str_has_prefix(t->context.body, STR("/"))) {
		hide(t);
		text = STR("tables of this type are not supported");
	} else if (table_is_compiled(name)) {
		remedy = arena_fmt(s->arena,
				   "texthash:" STR_FMT " reads the text that this one is made from",
				   STR_ARG(t->context.body));
	}
	table_break(s, t,
		    (struct table_finding){
			    .code = STR("unknown-type"), .text = text, .remedy = remedy });
}

/* "proxy:" is Postfix's way to a table through a server of its own; here it is the table itself. */
static bool table_split(struct str source, struct str *name, struct str *body)
{
	if (str_has_prefix(source, STR("proxy:")))
		source = str_from(source, 6);
	return str_cut(source, ':', name, body) && name->n > 0 && body->n > 0;
}

/* How a table is called in findings, answers and failures. Those of logins that stand in main.cf
 * themselves ("static:user:password") are not quoted. */
static struct str
table_called(const struct table_set *s, struct str source, struct str name, struct str body)
{
	bool is_elsewhere = str_has_prefix(body, STR("/")) || str_eq(name, STR("tcp")) ||
			    str_eq(name, STR("socketmap"));

	if (!holds_logins(s) || is_elsewhere)
		return source;
	return arena_fmt(s->arena, STR_FMT ":...", STR_ARG(name));
}

static void table_open(struct table_set *s, struct table *t, uint64_t now_ms)
{
	struct str name;
	struct error e;

	if (!table_split(t->context.source, &name, &t->context.body)) {
		table_break_spec(s, t);
		return;
	}
	t->context.source = table_called(s, t->context.source, name, t->context.body);
	t->type = table_type_find(&s->options, name);
	if (t->type == NULL) {
		table_break_type(s, t, name);
		return;
	}
	t->state = t->type->open(&t->context, now_ms, &e);
	if (t->state == NULL)
		table_break(s, t,
			    (struct table_finding){ .code = STR("bad-body"),
						    .text = arena_str(s->arena, error_text(&e)) });
}

static struct table *table_new(struct table_set *s, struct str source)
{
	struct table *t = ARENA_NEW(s->arena, struct table);

	t->context = (struct table_context){ .param = s->param,
					     .source = arena_str(s->arena, source),
					     .options = s->options };
	return t;
}

static size_t table_count(struct str list)
{
	struct str token;
	size_t n = 0;

	while (str_token_braced(&list, SEPARATORS, &token))
		n++;
	return n;
}

struct table_set *
table_set_new(struct str param, struct str list, const struct table_options *o, uint64_t now_ms)
{
	struct arena *a = arena_new();
	struct table_set *s = ARENA_NEW(a, struct table_set);
	struct str token;

	*s = (struct table_set){ .arena = a, .param = arena_str(a, param), .options = *o };
	s->tables = ARENA_ARRAY(a, table_count(list), struct table *);
	while (str_token_braced(&list, SEPARATORS, &token)) {
		struct table *t = table_new(s, token);
		s->tables[s->n++] = t;
		table_open(s, t, now_ms);
	}
	return s;
}

void table_set_free(struct table_set *s)
{
	if (s == NULL)
		return;
	CHECK(s->n_lookups == 0);
	for (size_t i = 0; i < s->n; i++)
		s->tables[i]->type->close(s->tables[i]->state);
	arena_free(s->arena);
}

/* The type's spans are borrowed: the answer that leaves the set is a copy. */
static void table_lookup_finish(struct table_lookup *l, const struct table *t)
{
	struct answer *answer = &l->answer;

	if (answer->status == ANSWER_FOUND && answer->value.n == 0) {
		answer->status = ANSWER_FAILED;
		answer->failure = arena_fmt(l->query.arena, STR_FMT ": the value is empty",
					    STR_ARG(t->context.source));
	}
	answer->source = t->context.source;
	*answer = answer_copy(l->query.arena, answer);
}

/* Goes on from l->at. False: a table answers later. */
static bool table_lookup_run(struct table_lookup *l)
{
	for (; l->at < l->set->n; l->at++) {
		struct table *t = l->set->tables[l->at];
		l->answer = (struct answer){ .status = ANSWER_NONE };
		if (!t->type->lookup(t->state, l))
			return false;
		if (l->answer.status != ANSWER_NONE) {
			table_lookup_finish(l, t);
			return true;
		}
	}
	l->answer = (struct answer){ .status = ANSWER_NONE };
	return true;
}

struct table_lookup *
table_set_lookup(struct table_set *s, const struct table_query *q, struct answer *answer)
{
	struct table_lookup *l = ARENA_NEW(q->arena, struct table_lookup);

	l->key = q->key;
	if (!s->options.is_utf8)
		l->folded = arena_lower(q->arena, q->key);
	else if (domain_is_utf8(q->key))
		l->folded = domain_fold(q->arena, q->key);
	l->now_ms = q->now_ms;
	l->query = *q;
	l->set = s;
	if (table_lookup_run(l)) {
		*answer = l->answer;
		return NULL;
	}
	s->n_lookups++;
	return l;
}

void table_lookup_answered(struct table_lookup *l)
{
	if (l->answer.status == ANSWER_NONE) {
		l->at++;
		if (!table_lookup_run(l))
			return;
	} else {
		table_lookup_finish(l, l->set->tables[l->at]);
	}
	l->set->n_lookups--;
	l->query.answered(l->query.arg, &l->answer);
}

void table_lookup_cancel(struct table_lookup *l)
{
	struct table *t = l->set->tables[l->at];

	CHECK(t->type->cancel != NULL);
	t->type->cancel(t->state, l);
	l->set->n_lookups--;
}

void table_set_refresh(struct table_set *s, uint64_t now_ms)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->tables[i]->type->refresh != NULL)
			s->tables[i]->type->refresh(s->tables[i]->state, now_ms);
}

/* Numbers that only grow: so does their sum. */
bool table_set_version(struct table_set *s, uint64_t now_ms, uint64_t *version)
{
	uint64_t one;

	*version = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct table *t = s->tables[i];
		if (t->type->version == NULL || !t->type->version(t->state, now_ms, &one))
			return false;
		*version += one;
	}
	return true;
}

bool table_set_each(const struct table_set *s,
		    void (*entry)(void *arg, const struct table_entry *e), void *arg)
{
	bool is_all = true;

	for (size_t i = 0; i < s->n; i++)
		if (s->tables[i]->type->each != NULL)
			s->tables[i]->type->each(s->tables[i]->state, entry, arg);
		else
			is_all = false;
	return is_all;
}

bool table_set_has_patterns(const struct table_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->tables[i]->type->has_patterns != NULL &&
		    s->tables[i]->type->has_patterns(s->tables[i]->state))
			return true;
	return false;
}
