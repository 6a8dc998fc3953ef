/* Decisions for the entries of the policy tables, followed to the TLS library. */

#include "cmd/check_inside.h"

#include <stdlib.h>

#include "base/map.h"
#include "deliver/site_options.h"

/* Distinct values of policy tables that are followed to the TLS library, which takes its time. */
#define CHECK_VALUES_MAX 100000
#define CHECK_FINDINGS_MAX 100      /* of entries; in a table of a million one mistake is in many */
#define CHECK_ANCHOR_FILES_MAX 1000 /* whose answers are kept; more are read each time */

struct tls_check {
	const struct check_to *to;
	const struct conf *conf;
	const struct policy_config *cfg;
	struct tls_client *tls;
	struct arena *scratch; /* of one decision */
	struct str said[16];   /* texts, so that each is said once */
	size_t n_said;
	const struct policy_lint_entry *entry; /* of a policy table, when one is at hand */
	size_t n_alike;                        /* how many have its value */
	size_t n_found;                        /* about entries */
	struct map anchors;                    /* of a file -> its answer */
	struct answer answers[CHECK_ANCHOR_FILES_MAX];
	size_t n_answers;
	struct map demands; /* that the library has no objection to */
};

static bool tls_is_said(struct tls_check *c, struct str text)
{
	for (size_t i = 0; i < c->n_said; i++)
		if (str_eq(c->said[i], text))
			return true;
	if (c->n_said < ARRAY_LEN(c->said))
		c->said[c->n_said++] = arena_str(c->to->arena, text);
	return false;
}

struct tls_words {
	enum conf_severity severity;
	struct str code, text;
};

static struct conf_finding tls_entry_place(const struct tls_check *c)
{
	return (struct conf_finding){
		.param = conf_name(CONF_smtp_tls_policy_maps),
		.file = arena_str(c->to->arena, c->entry->file),
		.line = c->entry->line,
	};
}

/* Which parameter a trouble of main.cf is about. */
static enum conf_id tls_param(struct str code, enum tls_level level)
{
	bool is_may = level <= TLS_LEVEL_MAY;
	const struct {
		struct str code;
		enum conf_id id;
	} params[] = {
		{ STR("tls-invalid-protocols"),
		  is_may ? CONF_smtp_tls_protocols : CONF_smtp_tls_mandatory_protocols },
		{ STR("tls-version-limit"),
		  is_may ? CONF_smtp_tls_protocols : CONF_smtp_tls_mandatory_protocols },
		{ STR("tls-version-hole"),
		  is_may ? CONF_smtp_tls_protocols : CONF_smtp_tls_mandatory_protocols },
		{ STR("tls-invalid-grade"),
		  is_may ? CONF_smtp_tls_ciphers : CONF_smtp_tls_mandatory_ciphers },
		{ STR("tls-bad-exclusion"), CONF_smtp_tls_exclude_ciphers },
		{ STR("tls-cipher-empty"), CONF_smtp_tls_exclude_ciphers },
		{ STR("tls-no-match-names"), level == TLS_LEVEL_VERIFY
						     ? CONF_smtp_tls_verify_cert_match
						     : CONF_smtp_tls_secure_cert_match },
		{ STR("tls-bad-match-name"), level == TLS_LEVEL_VERIFY
						     ? CONF_smtp_tls_verify_cert_match
						     : CONF_smtp_tls_secure_cert_match },
		{ STR("tls-wrappermode"), CONF_smtp_tls_wrappermode },
		{ STR("trust-anchor"), CONF_smtp_tls_trust_anchor_file },
		{ STR("fingerprint-none"), CONF_smtp_tls_fingerprint_cert_match },
		{ STR("ca-none"), CONF_smtp_tls_CAfile },
	};

	for (size_t i = 0; i < ARRAY_LEN(params); i++)
		if (str_eq(params[i].code, code))
			return params[i].id;
	return CONF_smtp_tls_security_level;
}

static void tls_say_entry(struct tls_check *c, struct tls_words w)
{
	struct conf_finding f = tls_entry_place(c);
	struct str more = STR("");

	if (++c->n_found > CHECK_FINDINGS_MAX)
		return;
	if (c->n_alike > 1)
		more = arena_fmt(c->to->arena, " (and %zu more with this value)", c->n_alike - 1);
	f.severity = w.severity;
	f.code = arena_str(c->to->arena, w.code);
	f.text = arena_fmt(c->to->arena, "key " STR_FMT STR_FMT ": " STR_FMT,
			   STR_ARG(c->entry->key), STR_ARG(more), STR_ARG(w.text));
	f.remedy = STR("mend the entry, or the parameter that it takes this from");
	c->to->found(c->to->arg, &f);
}

/* `level` is the first that has the trouble; others share it. */
static void tls_say(struct tls_check *c, enum tls_level level, struct tls_words w)
{
	struct conf_finding f = check_param_finding(c->conf, tls_param(w.code, level), w.severity,
						    arena_str(c->to->arena, w.code));

	if (c->entry) {
		tls_say_entry(c, w);
		return;
	}
	if (tls_is_said(c, w.text))
		return;
	f.text = arena_fmt(c->to->arena, "level " STR_FMT ": " STR_FMT,
			   STR_ARG(tls_level_name(level)), STR_ARG(w.text));
	f.remedy = STR("mend the parameter that the level takes this from");
	c->to->found(c->to->arg, &f);
}

/* ---- trust anchors ---- */

static bool tls_is_of_param(const struct tls_check *c, struct str file)
{
	struct str list = conf_str(c->conf, CONF_smtp_tls_trust_anchor_file), path;

	while (str_token(&list, STR(", \t\r\n"), &path))
		if (str_eq(path, file))
			return true;
	return false;
}

static struct answer tls_read_anchors(struct tls_check *c, struct str file)
{
	struct answer answer = { .status = ANSWER_FAILED };
	struct error e = { 0 };
	size_t n;

	if (!tls_trust_anchors_count(file, &n, &e)) {
		answer.failure = arena_str(c->to->arena, error_text(&e));
		return answer;
	}
	answer.status = ANSWER_FOUND;
	answer.value = arena_fmt(c->to->arena, "%zu", n);
	if (c->entry && !tls_is_of_param(c, file)) {
		struct conf_finding place = tls_entry_place(c);
		place.text = arena_fmt(c->to->arena, "key " STR_FMT, STR_ARG(c->entry->key));
		check_anchor_dates(c->to, arena_str(c->to->arena, file), &place);
	}
	return answer;
}

/* A file is read once, however many entries name it. */
static struct answer tls_know_anchors(struct tls_check *c, struct str file)
{
	uint32_t at;

	if (map_get(&c->anchors, file, &at))
		return c->answers[at];
	struct answer answer = tls_read_anchors(c, file);
	if (c->n_answers < ARRAY_LEN(c->answers)) {
		map_put(&c->anchors, arena_str(c->to->arena, file), (uint32_t)c->n_answers);
		c->answers[c->n_answers++] = answer;
	}
	return answer;
}

static struct answer tls_ask_anchors(struct tls_check *c, struct str file)
{
	struct answer answer = tls_know_anchors(c, file);

	if (answer.status == ANSWER_FAILED)
		tls_say(c, TLS_LEVEL_VERIFY,
			(struct tls_words){ CONF_ERROR, STR("trust-anchor"),
					    arena_fmt(c->scratch,
						      "the trust anchors cannot be used: " STR_FMT,
						      STR_ARG(answer.failure)) });
	return answer;
}

/* ---- decisions ---- */

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
	struct fact_list *facts = fact_list_new(c->scratch);
	struct policy_step step;

	for (;;) {
		step = policy_step(c->scratch, c->cfg, &subject, fact_list_set(facts));
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
						    trace_text(c->scratch, s) });
	}
}

/* Said with the entry itself, or when it was asked for. */
static bool tls_is_told(const struct tls_check *c, struct str code)
{
	return str_has_prefix(code, STR("policy-")) || str_eq(code, STR("trust-anchor")) ||
	       (c->entry && str_eq(code, STR("dane-no-dnssec")));
}

/* Why there is no usable decision; what does not parse is no business of ours. */
static void tls_check_error(struct tls_check *c, const struct policy_decision *d)
{
	const struct trace_step *last = &d->trace[d->n_trace - 1];

	if (d->error.status.class != 0 && last->kind == TRACE_RULE && !tls_is_told(c, last->code))
		tls_say(c, d->level,
			(struct tls_words){ CONF_ERROR, last->code, trace_text(c->scratch, last) });
}

/* Without CAs no certificate proves anything. */
static void tls_check_trust(struct tls_check *c, const struct policy_decision *d)
{
	bool is_pkix = d->level == TLS_LEVEL_VERIFY || d->level == TLS_LEVEL_SECURE;

	if (is_pkix && !d->n_trust_files && !conf_str(c->conf, CONF_smtp_tls_CAfile).n &&
	    !conf_str(c->conf, CONF_smtp_tls_CApath).n)
		tls_say(c, d->level,
			(struct tls_words){
				CONF_ERROR, STR("ca-none"),
				STR("no CA is trusted: smtp_tls_CAfile, smtp_tls_CApath "
				    "and trust anchors are missing, mail is deferred "
				    "(4.7.5)") });
}

/* ---- the library ---- */

static bool tls_has_hole(tls_versions v)
{
	tls_versions lowest = v & (~v + 1u);

	return v != 0 && ((v + lowest) & v) != 0;
}

static void tls_say_settings(struct tls_check *c, enum tls_level level, const struct error *e)
{
	tls_say(c, level,
		(struct tls_words){ CONF_ERROR, STR("tls-settings"),
				    arena_fmt(c->scratch, "TLS cannot start: " STR_FMT,
					      STR_ARG(error_text(e))) });
}

static bool tls_try(struct tls_check *c, const struct policy_decision *d)
{
	struct tls_demand demand = deliver_tls_demand(d);
	struct error e = { 0 };
	struct tls_session *s = tls_client_session(c->tls, &demand, &e);
	bool is_good = s && tls_session_check(s, &e);

	if (!is_good)
		tls_say_settings(c, d->level, &e);
	tls_session_free(s);
	if (is_good && tls_has_hole(d->versions)) {
		tls_say(c, d->level,
			(struct tls_words){ CONF_WARNING, STR("tls-version-hole"),
					    STR("the protocols have a hole: OpenSSL offers none of "
						"those above it") });
		return false;
	}
	return is_good;
}

/* What only the TLS library knows, such as a cipher list that it finds empty. Names and SNI make no
 * difference to it. */
static void tls_check_library(struct tls_check *c, const struct policy_decision *d)
{
	struct str key =
		arena_fmt(c->scratch, "%u " STR_FMT "\n" STR_FMT "\n" STR_FMT "\n%d",
			  (unsigned)d->versions, STR_ARG(d->cipher_list), STR_ARG(d->exclusions),
			  STR_ARG(d->fingerprint_digest), d->level >= TLS_LEVEL_FINGERPRINT);

	if (!d->n_trust_files && map_has(&c->demands, key))
		return;
	if (tls_try(c, d) && !d->n_trust_files)
		map_put(&c->demands, arena_str(c->to->arena, key), 0);
}

static void tls_check_keyword(struct tls_check *c, struct str keyword)
{
	arena_reset(c->scratch);
	struct policy_decision d = tls_decide(c, keyword);

	tls_check_error(c, &d);
	if (d.refusal.status.class != 0 && !d.is_mx_forbidden)
		tls_say(c, d.level,
			(struct tls_words){ CONF_ERROR, STR("tls-wrappermode"),
					    STR("smtp_tls_wrappermode = yes needs encrypt or more: "
						"mail is deferred (4.7.5)") });
	if (d.level < TLS_LEVEL_MAY)
		return;
	tls_check_trust(c, &d);
	tls_check_trace(c, &d);
	if (d.is_usable)
		tls_check_library(c, &d);
}

/* ---- all entries ---- */

static bool tls_has_entry(const struct check_entries *entries, struct str keyword)
{
	for (size_t i = 0; i < entries->n; i++)
		if (str_ieq_ascii(entries->v[i].value, keyword))
			return true;
	return false;
}

/* Each value once, by the first entry that has it. */
struct tls_values {
	struct map ids;
	size_t n;
	struct tls_value {
		size_t first, n;
	} v[CHECK_VALUES_MAX];
};

static void tls_take_value(struct tls_values *values, const struct check_entries *e, size_t i)
{
	uint32_t id;

	if (map_get(&values->ids, e->v[i].value, &id)) {
		values->v[id].n++;
	} else if (values->n < ARRAY_LEN(values->v)) {
		map_put(&values->ids, e->v[i].value, (uint32_t)values->n);
		values->v[values->n++] = (struct tls_value){ i, 1 };
	}
}

static void tls_check_maps(struct tls_check *c, const struct check_entries *maps)
{
	struct tls_values *values = base_alloc(sizeof(*values));

	map_init(&values->ids);
	for (size_t i = 0; i < maps->n; i++)
		tls_take_value(values, maps, i);
	for (size_t i = 0; i < values->n; i++) {
		c->entry = &maps->v[values->v[i].first];
		c->n_alike = values->v[i].n;
		tls_check_keyword(c, c->entry->value);
	}
	map_fini(&values->ids);
	free(values);
}

void check_tls(const struct check_to *to, const struct conf *conf, const struct policy_config *cfg,
	       struct tls_client *tls, const struct check_tables *t)
{
	static const struct str keywords[] = { STR_INIT("MAY"), STR_INIT("MUST_NOPEERMATCH"),
					       STR_INIT("MUST") };
	struct tls_check *c = base_alloc(sizeof(*c));

	*c = (struct tls_check){
		.to = to, .conf = conf, .cfg = cfg, .tls = tls, .scratch = arena_new()
	};
	map_init(&c->anchors);
	map_init(&c->demands);
	tls_check_keyword(c, STR_NONE);
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
		if (tls_has_entry(&t->per_site, keywords[i]))
			tls_check_keyword(c, keywords[i]);
	tls_check_maps(c, &t->maps);
	map_fini(&c->anchors);
	map_fini(&c->demands);
	arena_free(c->scratch);
	free(c);
}
