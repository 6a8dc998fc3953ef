#include "cmd/check_inside.h"

#include "deliver/site_options.h"

/* Entries of policy tables that are followed to the TLS library, which takes its time. */
#define CHECK_ENTRIES_MAX 10000

struct tls_check {
	const struct check_to *to;
	const struct conf *conf;
	const struct policy_config *cfg;
	struct tls_client *tls;
	struct str said[16]; /* texts, so that each is said once */
	size_t n_said;
	const struct policy_lint_entry *entry; /* of a policy table, when one is at hand */
};

static bool tls_is_said(struct tls_check *c, struct str text)
{
	for (size_t i = 0; i < c->n_said; i++)
		if (str_eq(c->said[i], text))
			return true;
	if (c->n_said < ARRAY_LEN(c->said))
		c->said[c->n_said++] = text;
	return false;
}

struct tls_words {
	enum conf_severity severity;
	struct str code, text;
};

/* `level` is the first that has the trouble; others share it. */
static void tls_say(struct tls_check *c, enum tls_level level, struct tls_words w)
{
	struct conf_finding f = { .severity = w.severity, .code = w.code };

	if (c->entry) {
		f.param = conf_name(CONF_smtp_tls_policy_maps);
		f.file = arena_str(c->to->arena, c->entry->file);
		f.line = c->entry->line;
		f.text = arena_fmt(c->to->arena, "key " STR_FMT ": " STR_FMT,
				   STR_ARG(c->entry->key), STR_ARG(w.text));
	} else {
		if (tls_is_said(c, w.text))
			return;
		f.text = arena_fmt(c->to->arena, "level " STR_FMT ": " STR_FMT,
				   STR_ARG(tls_level_name(level)), STR_ARG(w.text));
	}
	c->to->found(c->to->arg, &f);
}

static struct answer tls_ask_anchors(struct tls_check *c, struct str file)
{
	struct answer answer = { .status = ANSWER_FAILED };
	struct error e = { 0 };
	size_t n;

	if (tls_trust_anchors_count(file, &n, &e)) {
		answer.status = ANSWER_FOUND;
		answer.value = arena_fmt(c->to->arena, "%zu", n);
		return answer;
	}
	answer.failure = arena_str(c->to->arena, error_text(&e));
	tls_say(c, TLS_LEVEL_VERIFY,
		(struct tls_words){ CONF_ERROR, STR("trust-anchor"),
				    arena_fmt(c->to->arena,
					      "the trust anchors cannot be used: " STR_FMT,
					      STR_ARG(answer.failure)) });
	return answer;
}

static bool tls_is_policy_table(struct str table)
{
	return str_eq(table, conf_name(CONF_smtp_tls_per_site)) ||
	       str_eq(table, conf_name(CONF_smtp_tls_policy_maps));
}

/* The decision for a destination whose entry in the table is this; STR_NONE: no entry. */
static struct policy_decision tls_decide(struct tls_check *c, struct str keyword)
{
	struct policy_subject subject = { .nexthop = STR("hopseal.invalid"),
					  .host = STR("mx.hopseal.invalid"),
					  .port = 25 };
	struct fact_list *facts = fact_list_new(c->to->arena);
	struct policy_step step;

	for (;;) {
		step = policy_step(c->to->arena, c->cfg, &subject, fact_list_set(facts));
		if (step.kind == POLICY_DECIDED)
			return step.u.decided;
		if (step.u.ask.kind == QUESTION_TRUST_ANCHORS) {
			struct answer anchors = tls_ask_anchors(c, step.u.ask.name);
			fact_list_add(facts, &step.u.ask, &anchors);
			continue;
		}
		bool is_it = keyword.p && str_eq(step.u.ask.name, subject.nexthop) &&
			     tls_is_policy_table(step.u.ask.table);
		struct answer answer = { .status = is_it ? ANSWER_FOUND : ANSWER_NONE,
					 .value = is_it ? keyword : STR_NONE };
		fact_list_add(facts, &step.u.ask, &answer);
	}
}

/* Warnings about TLS that the decision itself makes. */
static void tls_check_trace(struct tls_check *c, const struct policy_decision *d)
{
	for (size_t i = 0; i < d->n_trace; i++) {
		const struct trace_step *s = &d->trace[i];
		bool is_fatal = !d->is_usable || d->never_matches;
		if (s->kind == TRACE_WARNING && str_has_prefix(s->code, STR("tls-")))
			tls_say(c, d->level,
				(struct tls_words){ is_fatal ? CONF_ERROR : CONF_WARNING, s->code,
						    trace_text(c->to->arena, s) });
	}
}

/* Why the entry has no usable decision; what does not parse is no business of ours. */
static void tls_check_error(struct tls_check *c, const struct policy_decision *d)
{
	const struct trace_step *last = &d->trace[d->n_trace - 1];

	if (c->entry && d->error.status.class != 0 && last->kind == TRACE_RULE &&
	    !str_has_prefix(last->code, STR("policy-")) &&
	    !str_eq(last->code, STR("trust-anchor"))) /* said when it was asked for */
		tls_say(c, d->level,
			(struct tls_words){ CONF_ERROR, last->code,
					    trace_text(c->to->arena, last) });
}

/* What only the TLS library knows, such as a cipher list that it finds empty. */
static void tls_check_library(struct tls_check *c, const struct policy_decision *d)
{
	struct tls_demand demand = deliver_tls_demand(d);
	struct error e = { 0 };
	struct tls_session *s = tls_client_session(c->tls, &demand, &e);

	if (!s)
		tls_say(c, d->level,
			(struct tls_words){ CONF_ERROR, STR("tls-settings"),
					    arena_fmt(c->to->arena, "TLS cannot start: " STR_FMT,
						      STR_ARG(error_text(&e))) });
	tls_session_free(s);
}

static void tls_check_keyword(struct tls_check *c, struct str keyword)
{
	struct policy_decision d = tls_decide(c, keyword);

	tls_check_error(c, &d);
	if (d.refusal.status.class != 0 && !d.is_mx_forbidden)
		tls_say(c, d.level,
			(struct tls_words){ CONF_ERROR, STR("tls-wrappermode"),
					    STR("smtp_tls_wrappermode = yes needs encrypt or more: "
						"mail is deferred (4.7.5)") });
	if (d.level < TLS_LEVEL_MAY)
		return;
	tls_check_trace(c, &d);
	if (d.is_usable)
		tls_check_library(c, &d);
}

static bool tls_has_entry(const struct policy_lint_entry *entries, size_t n, struct str keyword)
{
	for (size_t i = 0; i < n; i++)
		if (str_ieq_ascii(entries[i].value, keyword))
			return true;
	return false;
}

void cmd_check_tls(const struct check_to *to, const struct conf *conf,
		   const struct policy_config *cfg, struct tls_client *tls,
		   const struct check_entries *per_site, const struct check_entries *maps)
{
	static const struct str keywords[] = { STR_INIT("MAY"), STR_INIT("MUST_NOPEERMATCH"),
					       STR_INIT("MUST") };
	struct tls_check c = { .to = to, .conf = conf, .cfg = cfg, .tls = tls };

	tls_check_keyword(&c, STR_NONE);
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
		if (tls_has_entry(per_site->v, per_site->n, keywords[i]))
			tls_check_keyword(&c, keywords[i]);
	for (size_t i = 0; i < maps->n && i < CHECK_ENTRIES_MAX; i++) {
		c.entry = &maps->v[i];
		tls_check_keyword(&c, maps->v[i].value);
	}
}
