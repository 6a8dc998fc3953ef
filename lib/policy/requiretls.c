/* REQUIRETLS (RFC 8689): how strictly smtp_requiretls_policy wants it kept for a next-hop, and
 * whether the level that was decided can keep it. It only ever adds to a level. */

#include "policy/decide.h"

#include "mail/domain.h"

static const struct str separators = STR_INIT(", \t\r\n");

static const struct str names[] = {
	[REQUIRETLS_NOT_ASKED] = STR_INIT(""),
	[REQUIRETLS_DISABLE] = STR_INIT("disable"),
	[REQUIRETLS_OPPORTUNISTIC] = STR_INIT("opportunistic"),
	[REQUIRETLS_STARTTLS] = STR_INIT("opportunistic+starttls"),
	[REQUIRETLS_ENFORCE] = STR_INIT("enforce"),
};

struct str policy_requiretls_name(enum policy_requiretls action)
{
	return names[action];
}

static bool action_parse(struct str text, enum policy_requiretls *out)
{
	for (size_t i = REQUIRETLS_DISABLE; i < ARRAY_LEN(names); i++) {
		if (str_ieq_ascii(text, names[i])) {
			*out = (enum policy_requiretls)i;
			return true;
		}
	}
	return false;
}

/* ---- the list of actions and tables ---- */

static bool is_table(struct str item)
{
	return str_contains(item, ':');
}

static size_t split(struct str list, struct str *out, size_t *n_tables)
{
	struct str item;
	size_t n = 0;

	*n_tables = 0;
	while (str_token_braced(&list, separators, &item)) {
		if (out)
			out[n] = item;
		*n_tables += is_table(item);
		n++;
	}
	return n;
}

bool policy_requiretls_read(struct arena *a, const struct conf *conf, enum conf_id id,
			    struct requiretls_list *out, struct error *e)
{
	struct str list = conf_str(conf, id);
	size_t n_tables;
	struct str *v;

	out->id = id;
	out->n = split(list, NULL, &n_tables);
	if (n_tables > POLICY_REQUIRETLS_TABLES_MAX)
		return error_set(e, ERROR_CONFIG, STR_FMT " has more than %d tables",
				 STR_ARG(conf_name(id)), POLICY_REQUIRETLS_TABLES_MAX);
	v = ARENA_ARRAY(a, out->n + 1, struct str);
	split(list, v, &n_tables);
	out->v = v;
	return true;
}

size_t policy_requiretls_tables(struct arena *a, const struct conf *conf, enum conf_id id,
				const struct str **out)
{
	struct requiretls_list list;
	size_t n = 0;

	if (!policy_requiretls_read(a, conf, id, &list, NULL))
		return 0;
	struct str *v = ARENA_ARRAY(a, list.n + 1, struct str);
	for (size_t i = 0; i < list.n; i++)
		if (is_table(list.v[i]))
			v[n++] = list.v[i];
	*out = v;
	return n;
}

struct str policy_requiretls_unknown(const struct conf *conf, enum conf_id id)
{
	struct str list = conf_str(conf, id), item;
	enum policy_requiretls ignored;

	while (str_token_braced(&list, separators, &item))
		if (!is_table(item) && !str_ieq_ascii(item, STR("error")) &&
		    !action_parse(item, &ignored))
			return item;
	return STR_NONE;
}

/* ---- which item counts ---- */

enum found { FOUND, NOT_FOUND, FOUND_ASK, FOUND_ERROR };

/* postconf(5), smtp_requiretls_policy: parents are keys of tables of fixed strings. What patterns
 * have to say of a name they have said, and a server behind a socket can look for parents. */
static bool knows_parents(struct str table)
{
	static const struct str types[] = { STR_INIT("cidr:"),   STR_INIT("pcre:"),
					    STR_INIT("regexp:"), STR_INIT("socketmap:"),
					    STR_INIT("static:"), STR_INIT("tcp:") };

	if (str_has_prefix(table, STR("proxy:")))
		table = str_from(table, 6);
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_has_prefix(table, types[i]))
			return false;
	return true;
}

/* The parent domains have a dot in front. */
static bool next_key(struct question *q)
{
	size_t dot;

	if (!knows_parents(q->table) || !q->name.n || !str_find(str_from(q->name, 1), '.', &dot))
		return false;
	q->name = str_from(q->name, dot + 1);
	q->is_partial = true;
	return true;
}

/* One step for a table, however many parents it was asked for. */
static void trace_none(struct policy_work *w, const struct question *q, struct str key)
{
	struct trace_step *s = policy_trace_add(&w->trace, TRACE_QUESTION, STR("requiretls-table"),
						STR("REQUIRETLS: \"%\" %"), key,
						q->is_partial ? STR("and its parents have no entry")
							      : STR("has no entry"));

	s->key = key;
	s->source = q->table;
	s->answer = ANSWER_NONE;
}

static enum found
ask_table(struct policy_work *w, struct str table, struct str key, struct str *value)
{
	struct question q = { .kind = QUESTION_TABLE, .table = table, .name = key };
	struct policy_lookup l = { .code = STR("requiretls-table"),
				   .what = STR("REQUIRETLS:"),
				   .table = table };

	do {
		w->ask = q;
		l.key = q.name;
		l.answer = fact_find(w->facts, &q);
		if (!l.answer)
			return FOUND_ASK;
		if (l.answer->status == ANSWER_NONE)
			continue;
		policy_trace_lookup(&w->trace, &l);
		*value = l.answer->value;
		return l.answer->status == ANSWER_FOUND ? FOUND : FOUND_ERROR;
	} while (next_key(&q));
	trace_none(w, &q, key);
	return NOT_FOUND;
}

static enum found find_item(struct policy_work *w, const struct requiretls_list *list,
			    struct str key, struct str *value)
{
	for (size_t i = 0; i < list->n; i++) {
		if (!is_table(list->v[i])) {
			*value = list->v[i];
			return FOUND;
		}
		enum found f = ask_table(w, list->v[i], key, value);
		if (f != NOT_FOUND)
			return f;
	}
	return NOT_FOUND;
}

static enum policy_source
fail(struct policy_work *w, struct str code, struct str form, struct str value)
{
	struct trace_step *s = policy_trace_add(&w->trace, TRACE_RULE, code, form, value);

	policy_trace_param(s, w->cfg->conf, w->requiretls->id);
	s->value = value;
	policy_fail(w, w->trace.n - 1, STATUS(4, 7, 5), STR("client REQUIRETLS policy problem"));
	return SOURCE_ERROR;
}

/* ---- what it comes to ---- */

static struct str meaning(enum policy_requiretls action)
{
	switch (action) {
	case REQUIRETLS_NOT_ASKED:
	case REQUIRETLS_DISABLE:
		return STR("it is not honoured");
	case REQUIRETLS_OPPORTUNISTIC:
		return STR("it is passed on to a server that announces it inside TLS");
	case REQUIRETLS_STARTTLS:
		return STR("TLS is required, and it is passed on to a server that announces it");
	case REQUIRETLS_ENFORCE:
		break;
	}
	return STR("the server has to prove who it is and to announce it inside TLS, else the "
		   "mail is returned");
}

static void trace_action(struct policy_work *w, bool is_default)
{
	enum policy_requiretls action = w->d.requiretls;
	struct trace_step *s =
		policy_trace_add(&w->trace, TRACE_RULE, STR("requiretls"),
				 STR("the sender asked for REQUIRETLS: %%: %"), names[action],
				 is_default ? STR(", as nothing else matches") : STR(""),
				 meaning(action));

	policy_trace_param(s, w->cfg->conf, w->requiretls->id);
	s->value = names[action];
}

/* RFC 8689 section 4.2.1 speaks of messages that have a sender to return them to. One that has
 * none would be lost, and what it tells with it. */
static void spare_null_sender(struct policy_work *w)
{
	if (!w->subject->has_null_sender || w->d.requiretls <= REQUIRETLS_OPPORTUNISTIC)
		return;
	policy_trace_add(&w->trace, TRACE_RULE, STR("requiretls-null-sender"),
			 STR("the sender is empty and the mail could not be returned: REQUIRETLS "
			     "is passed on where the server announces it, and the TLS level "
			     "stands"));
	w->d.requiretls = REQUIRETLS_OPPORTUNISTIC;
}

static void refuse_level(struct policy_work *w, struct str lacks)
{
	struct str level = tls_level_name(w->d.level);

	policy_trace_add(&w->trace, TRACE_RULE, STR("requiretls-level"),
			 STR("level % %: this host is not used"), level, lacks);
	w->d.error = (struct policy_error){
		STATUS(5, 7, 10),
		arena_fmt(w->a,
			  "the sender requires TLS all the way (REQUIRETLS), and level " STR_FMT
			  " " STR_FMT " for host " STR_FMT,
			  STR_ARG(level), STR_ARG(lacks), STR_ARG(w->subject->host)),
	};
	w->d.deciding = w->trace.n - 1;
}

static enum policy_source hold_against_level(struct policy_work *w)
{
	if (w->d.requiretls == REQUIRETLS_ENFORCE && w->d.level <= TLS_LEVEL_ENCRYPT)
		refuse_level(w, STR("checks no certificate"));
	else if (w->d.requiretls == REQUIRETLS_STARTTLS && w->d.level <= TLS_LEVEL_NONE)
		refuse_level(w, STR("uses no TLS"));
	else
		return SOURCE_LEVEL;
	return SOURCE_ERROR;
}

/* The next-hop without brackets and port; that of a socket is this machine. False: it has no ASCII
 * form, and nothing can match it. */
static bool find_key(struct policy_work *w, struct str *key)
{
	if (w->subject->is_lmtp && str_has_prefix(w->subject->nexthop, STR("unix:"))) {
		*key = conf_str(w->cfg->conf, CONF_myhostname);
		return true;
	}
	return domain_to_ascii(w->a, w->d.domain, key);
}

enum policy_source policy_requiretls_apply(struct policy_work *w)
{
	struct str key, value = STR("");
	enum found found = NOT_FOUND;

	if (!w->subject->has_requiretls)
		return SOURCE_LEVEL;
	if (!conf_bool(w->cfg->conf, CONF_requiretls_enable)) {
		policy_trace_param(
			policy_trace_add(&w->trace, TRACE_WARNING, STR("requiretls-disabled"),
					 STR("the sender asked for REQUIRETLS, which "
					     "requiretls_enable = no takes no notice of")),
			w->cfg->conf, CONF_requiretls_enable);
		w->d.requiretls = REQUIRETLS_DISABLE;
		return SOURCE_LEVEL;
	}
	w->requiretls = w->subject->is_lmtp ? &w->cfg->lmtp_requiretls : &w->cfg->smtp_requiretls;
	w->d.requiretls = REQUIRETLS_ENFORCE;
	if (find_key(w, &key))
		found = find_item(w, w->requiretls, key, &value);
	if (found == FOUND_ASK)
		return SOURCE_ASK;
	if (found == FOUND_ERROR)
		return fail(w, STR("requiretls-lookup-error"),
			    STR("% could not be asked: REQUIRETLS is not given up, the mail waits"),
			    w->ask.table);
	if (found == FOUND && !action_parse(value, &w->d.requiretls))
		return fail(w, STR("requiretls-unknown-action"),
			    STR("\"%\" is no action: REQUIRETLS is not given up, the mail waits"),
			    str_first(value, 100));
	trace_action(w, found == NOT_FOUND);
	spare_null_sender(w);
	return hold_against_level(w);
}
