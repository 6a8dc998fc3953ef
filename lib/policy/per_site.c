/* smtp_tls_per_site: two exact questions, next-hop and host, and the stronger answer counts. */

#include "policy/decide.h"

static const struct str table = STR_INIT("smtp_tls_per_site");

/* In the order in which they outdo each other. */
enum keyword { NO_ENTRY, MAY, NONE, MUST_NOPEERMATCH, MUST };

static const struct {
	struct str name;
	enum tls_level level;
} keywords[] = {
	[NO_ENTRY] = { STR_INIT("no entry"), TLS_LEVEL_INVALID },
	[MAY] = { STR_INIT("MAY"), TLS_LEVEL_MAY },
	[NONE] = { STR_INIT("NONE"), TLS_LEVEL_NONE },
	[MUST_NOPEERMATCH] = { STR_INIT("MUST_NOPEERMATCH"), TLS_LEVEL_ENCRYPT },
	[MUST] = { STR_INIT("MUST"), TLS_LEVEL_VERIFY },
};

static bool keyword_parse(struct str text, enum keyword *out)
{
	for (size_t i = MAY; i < ARRAY_LEN(keywords); i++) {
		if (str_ieq_ascii(text, keywords[i].name)) {
			*out = (enum keyword)i;
			return true;
		}
	}
	return false;
}

/* One of the two questions. */
struct lookup {
	struct str key;
	struct str code; /* of its trace step */
	const char *what;
	const struct answer *answer; /* NULL: not asked */
	enum keyword result;
	size_t step; /* its index in the trace */
};

static void trace_answer(struct policy_work *w, struct lookup *l)
{
	const struct answer *answer = l->answer;
	struct trace_step *s =
		policy_trace_add(&w->trace, TRACE_QUESTION, l->code, "%s \"" STR_FMT "\" " STR_FMT,
				 l->what, STR_ARG(l->key),
				 STR_ARG(policy_trace_answer_words(w->a, answer)));

	l->step = w->trace.n - 1;
	s->key = l->key;
	s->value = answer->value;
	s->source = answer->source.n ? answer->source : table;
	s->file = answer->file;
	s->line = answer->line;
	s->answer = answer->status;
}

/* An entry without text is a broken table, not a keyword that nobody knows. */
static bool is_error(const struct answer *answer)
{
	return answer->status == ANSWER_FAILED ||
	       (answer->status == ANSWER_FOUND && str_trim(answer->value).n == 0);
}

static bool is_unknown(struct lookup *l)
{
	return l->answer->status == ANSWER_FOUND && !keyword_parse(l->answer->value, &l->result);
}

/* A failed lookup is not an absent entry, nor is a keyword that we do not know: the level that
 * the operator meant may be any, so no default takes its place. */
static void fail_lookup(struct policy_work *w, const struct lookup *l)
{
	policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-lookup-error"),
			 "a failed lookup is no absent entry: no level is assumed, the mail waits");
	policy_fail(w, l->step, STATUS(4, 3, 0), STR("Temporary lookup error"));
}

static void fail_keyword(struct policy_work *w, const struct lookup *l)
{
	policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-unknown-keyword"),
			 "\"" STR_FMT
			 "\" is none of NONE, MAY, MUST_NOPEERMATCH and MUST: no level "
			 "is assumed, the mail waits",
			 STR_ARG(l->answer->value));
	policy_fail(w, l->step, STATUS(4, 7, 5), STR("client TLS configuration problem"));
}

static bool find(struct policy_work *w, struct lookup *l)
{
	w->ask = (struct question){ .kind = QUESTION_TABLE, .table = table, .name = l->key };
	l->answer = fact_find(w->facts, &w->ask);
	return l->answer != NULL;
}

/* Traces the answer; false when it ends the decision. */
static bool take_answer(struct policy_work *w, struct lookup *l)
{
	trace_answer(w, l);
	if (is_error(l->answer))
		fail_lookup(w, l);
	else if (is_unknown(l))
		fail_keyword(w, l);
	else
		return true;
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
	struct str level = tls_level_name(keywords[winner->result].level);

	if (nexthop->result == NO_ENTRY || host->result == NO_ENTRY)
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-combined"),
				 "the %s's " STR_FMT " means level " STR_FMT, winner->what,
				 STR_ARG(keywords[winner->result].name), STR_ARG(level));
	else if (nexthop->result == host->result)
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-combined"),
				 "both say " STR_FMT ", which means level " STR_FMT,
				 STR_ARG(keywords[winner->result].name), STR_ARG(level));
	else
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-combined"),
				 "the %s's " STR_FMT " outdoes the %s's " STR_FMT
				 " and means level " STR_FMT,
				 winner->what, STR_ARG(keywords[winner->result].name),
				 winner == host ? nexthop->what : host->what,
				 STR_ARG(keywords[winner == host ? nexthop->result : host->result]
						 .name),
				 STR_ARG(level));
}

/* MAY is a wish and never lowers; the other three replace the global level, stronger or weaker. */
static void against_global(struct policy_work *w, const struct lookup *winner)
{
	enum tls_level global = w->cfg->global, level = keywords[winner->result].level;
	struct str global_name = tls_level_name(global), name = tls_level_name(level);

	if (winner->result == MAY && global > TLS_LEVEL_MAY) {
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-may-yields"),
				 "MAY never lowers the global level: " STR_FMT " stays",
				 STR_ARG(global_name));
		take(w, global, w->global_step);
		return;
	}
	if (level < global)
		policy_trace_add(&w->trace, TRACE_WARNING, STR("per-site-lowers-global"),
				 "the entry lowers the global level " STR_FMT " to " STR_FMT,
				 STR_ARG(global_name), STR_ARG(name));
	else
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-replaces-global"),
				 "the entry counts instead of the global level " STR_FMT,
				 STR_ARG(global_name));
	take(w, level, winner->step);
}

static void combine(struct policy_work *w, const struct lookup *nexthop, const struct lookup *host)
{
	const struct lookup *winner = host->result > nexthop->result ? host : nexthop;

	if (winner->result == NO_ENTRY) {
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-no-entry"),
				 "no entry: the global level " STR_FMT " counts",
				 STR_ARG(tls_level_name(w->cfg->global)));
		take(w, w->cfg->global, w->global_step);
		return;
	}
	trace_combined(w, nexthop, host, winner);
	against_global(w, winner);
}

/* Nothing is written before all is known: a pass that ends in a question is cheap. */
enum policy_source policy_per_site(struct policy_work *w)
{
	struct lookup nexthop = { .key = w->subject->nexthop,
				  .code = STR("per-site-nexthop"),
				  .what = "next-hop" };
	struct lookup host = { .key = w->subject->host,
			       .code = STR("per-site-host"),
			       .what = "host" };
	bool is_same = str_ieq_ascii(nexthop.key, host.key);

	if (!find(w, &nexthop))
		return SOURCE_ASK;
	if (!is_same && !is_error(nexthop.answer) && !is_unknown(&nexthop) && !find(w, &host))
		return SOURCE_ASK;
	if (!take_answer(w, &nexthop))
		return SOURCE_ERROR;
	if (is_same)
		policy_trace_add(&w->trace, TRACE_RULE, STR("per-site-same-name"),
				 "the host has the next-hop's name: asked once");
	else if (!take_answer(w, &host))
		return SOURCE_ERROR;
	combine(w, &nexthop, &host);
	return SOURCE_LEVEL;
}
