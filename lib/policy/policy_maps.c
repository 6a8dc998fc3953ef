/* smtp_tls_policy_maps: the next-hop as it stands, then its parent domains, and the entry found. */

#include "policy/decide.h"
#include "policy/entry.h"

#include "mail/domain.h"

#define PARENTS_SHOWN 8     /* steps of a walk without an entry, in the trace */
#define ATTRIBUTES_SHOWN 24 /* in the trace */

static const struct str configuration_problem = STR_INIT("client TLS configuration problem");

/* A key and what the tables said; NULL: not asked yet. */
struct lookup {
	struct str key;
	const struct answer *answer;
	size_t n; /* how many keys were asked, this one among them */
};

/* The first key is the next-hop; a key after it begins at its next dot. Parents are whole keys as
 * far as tables go: pattern tables are asked for them, too, as Postfix does. */
static bool next_key(struct str *key)
{
	for (size_t i = 1; i < key->n; i++) {
		if (key->p[i] == '.') {
			*key = str_from(*key, i);
			return true;
		}
	}
	return false;
}

/* Addresses, and what has brackets or a port, are routes that somebody wrote: no domain of a
 * recipient, so no parents. */
static bool has_parents(const struct policy_work *w)
{
	bool is_utf8_ok = conf_bool(w->cfg->conf, CONF_smtputf8_enable);

	return domain_is_hostname_utf8(w->subject->nexthop, is_utf8_ok);
}

static const struct answer *ask(struct policy_work *w, struct str key)
{
	w->ask = (struct question){ .kind = QUESTION_TABLE,
				    .table = w->cfg->table_maps,
				    .name = key };
	return fact_find(w->facts, &w->ask);
}

/* Walks up to the first key with an answer other than "no entry". False: w->ask comes first. */
static bool walk(struct policy_work *w, struct lookup *l)
{
	bool walks = has_parents(w);

	*l = (struct lookup){ .key = w->subject->nexthop };
	do {
		l->n++;
		l->answer = ask(w, l->key);
	} while (l->answer && l->answer->status == ANSWER_NONE && walks && next_key(&l->key));
	return l->answer != NULL;
}

/* ---- the trace ---- */

static void trace_answer(struct policy_work *w, struct str key, const struct answer *answer)
{
	bool is_nexthop = key.n == w->subject->nexthop.n;
	struct policy_lookup l = {
		.code = is_nexthop ? STR("policy-maps-nexthop") : STR("policy-maps-parent"),
		.what = is_nexthop ? STR("next-hop") : STR("parent"),
		.table = w->cfg->table_maps,
		.key = key,
		.answer = answer,
	};

	policy_trace_lookup(&w->trace, &l);
}

/* All keys of the walk, but not the many of a name with a hundred labels. */
static void trace_walk(struct policy_work *w, const struct lookup *l)
{
	struct str key = w->subject->nexthop;

	for (size_t i = 1; i < l->n; i++) {
		if (i <= PARENTS_SHOWN)
			trace_answer(w, key, ask(w, key));
		else if (i == PARENTS_SHOWN + 1)
			policy_trace_add(&w->trace, TRACE_RULE, STR("policy-maps-parents"),
					 arena_fmt(w->a, "%zu more parents have no entry",
						   l->n - i));
		CHECK(next_key(&key));
	}
	trace_answer(w, l->key, l->answer);
}

static void trace_attributes(struct policy_work *w, const struct policy_entry *e)
{
	bool is_off = e->level == TLS_LEVEL_NONE;

	for (size_t i = 0; i < e->n_attributes && i < ATTRIBUTES_SHOWN; i++) {
		const struct policy_attribute *at = &e->attributes[i];
		struct trace_step *s =
			policy_trace_add(&w->trace, is_off ? TRACE_WARNING : TRACE_RULE,
					 is_off ? STR("policy-attr-ignored")
						: STR("policy-attribute"),
					 STR("%%%: %"), at->name, is_off ? STR("") : STR("="),
					 at->value, at->effect);

		s->key = at->name;
		s->value = at->value;
	}
	if (e->n_attributes > ATTRIBUTES_SHOWN)
		policy_trace_add(&w->trace, TRACE_RULE, STR("policy-attributes"),
				 arena_fmt(w->a, "and %zu more attributes",
					   e->n_attributes - ATTRIBUTES_SHOWN));
}

static void trace_level(struct policy_work *w, enum tls_level level)
{
	struct str global = tls_level_name(w->cfg->global), name = tls_level_name(level);

	if (level < w->cfg->global)
		policy_trace_add(&w->trace, TRACE_WARNING, STR("policy-maps-lowers-global"),
				 STR("the entry lowers the global level % to %"), global, name);
	else
		policy_trace_add(&w->trace, TRACE_RULE, STR("policy-maps-replaces-global"),
				 STR("the entry means level %, and counts instead of the global "
				     "level %"),
				 name, global);
}

/* ---- what it comes to ---- */

static enum policy_source fail(struct policy_work *w, struct str code, struct str text)
{
	size_t deciding = w->trace.n - 1; /* the step of the lookup */

	policy_trace_add(&w->trace, TRACE_RULE, code, STR("%: no level is assumed, the mail waits"),
			 text);
	policy_fail(w, deciding, STATUS(4, 7, 5), configuration_problem);
	return SOURCE_ERROR;
}

static enum policy_source take_entry(struct policy_work *w, const struct answer *answer)
{
	struct policy_entry *e = ARENA_NEW(w->a, struct policy_entry);
	size_t deciding = w->trace.n - 1;

	*e = policy_entry_parse(w->a, answer->value);
	if (e->problem.n) {
		enum policy_source s = fail(w, e->problem_code, e->problem);

		trace_attributes(w, e);
		return s;
	}
	w->entry = e;
	trace_level(w, e->level);
	trace_attributes(w, e);
	w->d.level = e->level;
	w->d.deciding = deciding;
	return SOURCE_LEVEL;
}

static enum policy_source take_none(struct policy_work *w)
{
	policy_trace_add(&w->trace, TRACE_RULE, STR("policy-maps-no-entry"),
			 STR("no entry: the global level % counts"),
			 tls_level_name(w->cfg->global));
	w->d.level = w->cfg->global;
	w->d.deciding = w->global_step;
	return SOURCE_LEVEL;
}

/* A failed lookup is not an absent entry. An entry without text is a broken table. */
enum policy_source policy_maps(struct policy_work *w)
{
	struct lookup l;

	if (!walk(w, &l))
		return SOURCE_ASK;
	policy_trace_global(w);
	if (conf_str(w->cfg->conf, CONF_smtp_tls_per_site).n)
		policy_trace_add(&w->trace, TRACE_WARNING, STR("per-site-ignored"),
				 STR("% is ignored beside %"), w->cfg->table_per_site,
				 w->cfg->table_maps);
	trace_walk(w, &l);
	if (l.answer->status == ANSWER_FAILED ||
	    (l.answer->status == ANSWER_FOUND && !str_trim(l.answer->value).n))
		return fail(w, STR("policy-lookup-error"),
			    STR("a failed lookup is no absent entry"));
	if (l.answer->status == ANSWER_NONE)
		return take_none(w);
	return take_entry(w, l.answer);
}
