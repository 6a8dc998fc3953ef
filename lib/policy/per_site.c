/* smtp_tls_per_site: two exact questions, next-hop and host, and the stronger answer counts. */

#include "policy/decide.h"
#include "policy/per_site.h"

static const struct {
	struct str name;
	enum tls_level level;
} keywords[] = {
	[POLICY_NO_ENTRY] = { STR_INIT("no entry"), TLS_LEVEL_INVALID },
	[POLICY_MAY] = { STR_INIT("MAY"), TLS_LEVEL_MAY },
	[POLICY_NONE] = { STR_INIT("NONE"), TLS_LEVEL_NONE },
	[POLICY_MUST_NOPEERMATCH] = { STR_INIT("MUST_NOPEERMATCH"), TLS_LEVEL_ENCRYPT },
	[POLICY_MUST] = { STR_INIT("MUST"), TLS_LEVEL_VERIFY },
};

static bool keyword_parse(struct str text, enum policy_keyword *out)
{
	for (size_t i = POLICY_MAY; i < ARRAY_LEN(keywords); i++) {
		if (str_ieq_ascii(text, keywords[i].name)) {
			*out = (enum policy_keyword)i;
			return true;
		}
	}
	return false;
}

/* One of the two questions. */
struct lookup {
	struct policy_lookup q; /* answer NULL: not asked */
	enum policy_keyword result;
	size_t step; /* its index in the trace */
};

/* An entry without text is a broken table, not a keyword that nobody knows. */
enum policy_keyword_answer policy_keyword_of(const struct answer *answer, enum policy_keyword *out)
{
	*out = POLICY_NO_ENTRY;
	if (answer->status == ANSWER_FAILED ||
	    (answer->status == ANSWER_FOUND && !str_trim(answer->value).n))
		return POLICY_KEYWORD_FAILED;
	if (answer->status == ANSWER_FOUND && !keyword_parse(answer->value, out))
		return POLICY_KEYWORD_UNKNOWN;
	return POLICY_KEYWORD;
}

enum tls_level policy_keyword_level(enum policy_keyword k)
{
	return keywords[k].level;
}

struct str policy_keyword_name(enum policy_keyword k)
{
	return keywords[k].name;
}

/* A failed lookup is not an absent entry, nor is a keyword that we do not know: the level that
 * the operator meant may be any, so no default takes its place. */
static void fail_lookup(struct policy_work *w, const struct lookup *l)
{
	policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-lookup-error"),
			 STR("a failed lookup is no absent entry: no level is assumed, the mail "
			     "waits"));
	policy_fail(w, l->step, STATUS(4, 3, 0), STR("Temporary lookup error"));
}

static void fail_keyword(struct policy_work *w, const struct lookup *l)
{
	policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-unknown-keyword"),
			 STR("\"%\" is none of NONE, MAY, MUST_NOPEERMATCH and MUST: no level is "
			     "assumed, the mail waits"),
			 l->q.answer->value);
	policy_fail(w, l->step, STATUS(4, 7, 5), STR("client TLS configuration problem"));
}

static bool find(struct policy_work *w, struct lookup *l)
{
	w->ask = (struct question){ .kind = QUESTION_TABLE, .table = l->q.table, .name = l->q.key };
	l->q.answer = fact_find(w->facts, &w->ask);
	return l->q.answer != NULL;
}

/* Traces the answer; false when it ends the decision. */
static bool take_answer(struct policy_work *w, struct lookup *l)
{
	l->step = w->trace.n;
	policy_trace_lookup(&w->trace, &l->q);
	switch (policy_keyword_of(l->q.answer, &l->result)) {
	case POLICY_KEYWORD:
		return true;
	case POLICY_KEYWORD_UNKNOWN:
		fail_keyword(w, l);
		break;
	case POLICY_KEYWORD_FAILED:
		fail_lookup(w, l);
		break;
	}
	return false;
}

static void take(struct policy_work *w, enum tls_level level, size_t deciding)
{
	w->d.level = level;
	w->d.deciding = deciding;
}

static void trace_combined(struct policy_work *w, const struct lookup *nexthop,
			   const struct lookup *host, const struct lookup *winner)
{
	const struct lookup *other = winner == host ? nexthop : host;
	struct str name = keywords[winner->result].name;
	struct str level = tls_level_name(keywords[winner->result].level);

	if (nexthop->result == POLICY_NO_ENTRY || host->result == POLICY_NO_ENTRY)
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-combined"),
				 STR("the %'s % means level %"), winner->q.what, name, level);
	else if (nexthop->result == host->result)
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-combined"),
				 STR("both say %, which means level %"), name, level);
	else
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-combined"),
				 STR("the %'s % outdoes the %'s % and means level %"),
				 winner->q.what, name, other->q.what, keywords[other->result].name,
				 level);
}

/* MAY is a wish and never lowers; the other three replace the global level, stronger or weaker. */
static void against_global(struct policy_work *w, const struct lookup *winner)
{
	enum tls_level global = w->cfg->global, level = keywords[winner->result].level;
	struct str global_name = tls_level_name(global), name = tls_level_name(level);

	if (winner->result == POLICY_MAY && global > TLS_LEVEL_MAY) {
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-may-yields"),
				 STR("MAY never lowers the global level: % stays"), global_name);
		take(w, global, w->global_step);
		return;
	}
	if (level < global)
		policy_trace_add(&w->trace, TRACE_WARNING, STR("per-site-lowers-global"),
				 STR("the entry lowers the global level % to %"), global_name,
				 name);
	else
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-replaces-global"),
				 STR("the entry counts instead of the global level %"),
				 global_name);
	take(w, level, winner->step);
}

static void combine(struct policy_work *w, const struct lookup *nexthop, const struct lookup *host)
{
	const struct lookup *winner = host->result > nexthop->result ? host : nexthop;

	if (winner->result == POLICY_NO_ENTRY) {
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-no-entry"),
				 STR("no entry: the global level % counts"),
				 tls_level_name(w->cfg->global));
		take(w, w->cfg->global, w->global_step);
		return;
	}
	trace_combined(w, nexthop, host, winner);
	against_global(w, winner);
}

enum policy_source policy_per_site(struct policy_work *w)
{
	struct lookup nexthop = { .q = { .code = STR("per-site-nexthop"),
					 .what = STR("next-hop"),
					 .table = w->cfg->table_per_site,
					 .key = w->subject->nexthop } };
	struct lookup host = { .q = { .code = STR("per-site-host"),
				      .what = STR("host"),
				      .table = w->cfg->table_per_site,
				      .key = w->subject->host } };
	bool is_same = str_ieq_ascii(nexthop.q.key, host.q.key), is_good;

	if (!find(w, &nexthop))
		return SOURCE_ASK;
	is_good = policy_keyword_of(nexthop.q.answer, &nexthop.result) == POLICY_KEYWORD;
	if (!is_same && is_good && !find(w, &host))
		return SOURCE_ASK;
	policy_trace_global(w);
	if (!take_answer(w, &nexthop))
		return SOURCE_ERROR;
	if (is_same)
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-same-name"),
				 STR("the host has the next-hop's name: asked once"));
	else if (!take_answer(w, &host))
		return SOURCE_ERROR;
	combine(w, &nexthop, &host);
	return SOURCE_LEVEL;
}
