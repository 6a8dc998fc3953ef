/* From the level to the settings that come with it. */

#include "policy/decide.h"
#include "policy/entry.h"
#include "policy/fingerprint.h"
#include "policy/names.h"

static const struct str configuration_problem = STR_INIT("client TLS configuration problem");

static void fail_at_param(struct policy_work *w, enum conf_id id, struct str code, struct str text,
			  struct str reason)
{
	struct trace_step *s = policy_trace_add(&w->trace, TRACE_RULE, code, text);

	policy_trace_param(s, w->cfg->conf, id);
	s->value = conf_str(w->cfg->conf, id);
	policy_fail(w, w->trace.n - 1, STATUS(4, 7, 5), reason);
}

/* The level is at fault, and with it the entry or the parameter that it is from. */
static void fail_at_level(struct policy_work *w, struct str code, struct str text)
{
	if (!w->entry) {
		fail_at_param(w, CONF_smtp_tls_security_level, code, text, configuration_problem);
		return;
	}
	policy_trace_add(&w->trace, TRACE_RULE, code, text);
	policy_fail(w, w->d.deciding, STATUS(4, 7, 5), configuration_problem);
}

/* Without DNSSEC nothing can be proved by TLSA records: dane is opportunistic and falls to may,
 * dane-only has nothing to fall to. RFC 7672 section 2.1. */
static bool settle_dane(struct policy_work *w)
{
	struct str text =
		STR("DANE needs validated TLSA records, which this version does not look up");

	if (w->d.level == TLS_LEVEL_DANE) {
		policy_trace_add(&w->trace, TRACE_WARNING, STR("dane-no-dnssec"),
				 STR("%: dane becomes may"), text);
		w->d.level = TLS_LEVEL_MAY;
	} else if (w->d.level == TLS_LEVEL_DANE_ONLY) {
		fail_at_level(w, STR("dane-no-dnssec"), text);
		return false;
	}
	return true;
}

/* Main.cf's texts for the level, with those that the entry has in their place. */
static struct policy_settings settings_of(struct policy_work *w)
{
	enum policy_class class = policy_class_of(w->d.level);
	struct policy_settings s = w->cfg->settings[class];
	const struct policy_entry *e = w->entry;

	if (!e || !(e->protocols.p || e->ciphers.p || e->exclude.p))
		return s;
	if (e->protocols.p)
		s.protocols = e->protocols;
	if (e->ciphers.p)
		s.ciphers = e->ciphers;
	if (e->exclude.p)
		s.exclude = policy_exclusions(w->a, e->exclude, class);
	policy_settings_work_out(w->a, &w->cfg->lists, &s);
	return s;
}

static void apply_settings(struct policy_work *w)
{
	struct policy_settings s = settings_of(w);
	struct policy_decision *d = &w->d;

	d->protocols = s.protocols;
	d->ciphers = s.ciphers;
	d->exclude = s.exclude;
	d->has_versions = s.has_versions;
	d->versions = s.versions;
	d->grade = s.grade;
	d->cipher_list = s.cipher_list;
	d->exclusions = s.exclusions;
	d->is_usable = s.is_usable;
	d->problem = s.problem;
	if (s.limit_warning.n)
		policy_trace_add(&w->trace, TRACE_WARNING, STR("tls-version-limit"),
				 s.limit_warning);
	if (!s.is_usable)
		policy_trace_add(&w->trace, TRACE_WARNING, s.problem_code,
				 STR("TLS cannot start: %"), s.problem);
}

/* That of the entry has been checked as it was read. */
static bool apply_servername(struct policy_work *w)
{
	bool has_own = w->entry && w->entry->servername.p;

	w->d.servername =
		has_own ? w->entry->servername : conf_str(w->cfg->conf, CONF_smtp_tls_servername);
	if (has_own || w->cfg->is_servername_valid)
		return true;
	fail_at_param(w, CONF_smtp_tls_servername, STR("invalid-hostname"),
		      arena_fmt(w->a, STR_FMT " = " STR_FMT " is no valid host name",
				STR_ARG(conf_name_in(w->cfg->conf, CONF_smtp_tls_servername)),
				STR_ARG(w->d.servername)),
		      configuration_problem);
	return false;
}

static const struct str hostname_alone[] = { STR_INIT("hostname") };

/* Where MX patterns are enforced, they say which hosts may serve the domain, and each has to prove
 * its own name: RFC 8461 section 4.2. */
static void take_match(struct policy_work *w)
{
	if (policy_sts_is_enforced(w)) {
		policy_trace_add(&w->trace, TRACE_RULE, STR("sts-match-hostname"),
				 STR("mx_host_pattern is enforced: the match list becomes "
				     "hostname"));
		w->d.match = hostname_alone;
		w->d.n_match = 1;
		return;
	}
	w->d.match = w->entry->match.v;
	w->d.n_match = w->entry->match.n;
}

static bool has_match(const struct policy_work *w)
{
	return w->entry && w->entry->match.v;
}

static void find_fingerprints(struct policy_work *w)
{
	struct str text = conf_str(w->cfg->conf, CONF_smtp_tls_fingerprint_cert_match);

	if (!has_match(w)) {
		w->d.fingerprints = policy_fingerprint_list(&w->trace, text, &w->d.n_fingerprints);
		return;
	}
	take_match(w);
	w->d.fingerprints =
		policy_fingerprints(&w->trace, w->d.match, w->d.n_match, &w->d.n_fingerprints);
}

static bool apply_fingerprints(struct policy_work *w)
{
	w->d.fingerprint_digest = conf_str(w->cfg->conf, CONF_smtp_tls_fingerprint_digest);
	find_fingerprints(w);
	if (w->d.n_fingerprints)
		return true;
	fail_at_param(w, CONF_smtp_tls_fingerprint_cert_match, STR("fingerprint-none"),
		      STR("the level is fingerprint, and there is no fingerprint to compare with"),
		      configuration_problem);
	return false;
}

static void apply_match(struct policy_work *w)
{
	bool is_verify = w->d.level == TLS_LEVEL_VERIFY;

	if (has_match(w)) {
		take_match(w);
	} else {
		w->d.match = is_verify ? w->cfg->match_verify : w->cfg->match_secure;
		w->d.n_match = is_verify ? w->cfg->n_match_verify : w->cfg->n_match_secure;
	}
	w->d.wildcard = conf_bool(w->cfg->conf, CONF_tls_wildcard_matches_multiple_labels)
				? POLICY_WILDCARD_MANY_LABELS
				: POLICY_WILDCARD_ONE_LABEL;
	if (w->d.is_usable)
		policy_names_expand(&w->trace, &w->d);
}

static enum policy_source apply_authentication(struct policy_work *w)
{
	enum policy_source source;

	switch (w->d.level) {
	case TLS_LEVEL_FINGERPRINT:
		return apply_fingerprints(w) ? SOURCE_LEVEL : SOURCE_ERROR;
	case TLS_LEVEL_VERIFY:
	case TLS_LEVEL_SECURE:
		source = policy_trust(w);
		if (source == SOURCE_LEVEL)
			apply_match(w);
		return source;
	case TLS_LEVEL_INVALID:
	case TLS_LEVEL_NONE:
	case TLS_LEVEL_MAY:
	case TLS_LEVEL_ENCRYPT:
	case TLS_LEVEL_DANE:
	case TLS_LEVEL_DANE_ONLY:
		break;
	}
	return SOURCE_LEVEL;
}

static void apply_wrappermode(struct policy_work *w)
{
	struct str name = conf_name_in(w->cfg->conf, CONF_smtp_tls_wrappermode);

	if (!conf_bool(w->cfg->conf, CONF_smtp_tls_wrappermode) || w->d.level >= TLS_LEVEL_ENCRYPT)
		return;
	policy_trace_param(policy_trace_add(&w->trace, TRACE_WARNING,
					    STR("wrappermode-needs-encrypt"),
					    STR("% = yes needs level encrypt or more: this host is "
						"not used"),
					    name),
			   w->cfg->conf, CONF_smtp_tls_wrappermode);
	w->d.refusal = (struct policy_error){
		STATUS(4, 7, 5),
		arena_fmt(w->a, STR_FMT " needs a TLS level of encrypt or more", STR_ARG(name)),
	};
}

/* An error leaves nothing behind that somebody could take for a policy. */
static void forget_settings(struct policy_decision *d)
{
	*d = (struct policy_decision){
		.level = d->level,
		.requiretls = d->requiretls,
		.error = d->error,
		.host = d->host,
		.domain = d->domain,
		.port = d->port,
		.deciding = d->deciding,
	};
}

static enum policy_source apply_tls(struct policy_work *w)
{
	enum policy_source source;

	if (!settle_dane(w))
		return SOURCE_ERROR;
	apply_settings(w);
	source = apply_authentication(w);
	if (source != SOURCE_LEVEL)
		return source;
	if (!apply_servername(w))
		return SOURCE_ERROR;
	w->d.sni = w->d.is_usable ? policy_sni(w->a, &w->d) : STR("");
	policy_sts_apply(w);
	return SOURCE_LEVEL;
}

static void note_without_effect(struct policy_work *w)
{
	if (w->d.is_raw_key_enabled && w->d.level > TLS_LEVEL_NONE)
		policy_trace_add(&w->trace, TRACE_WARNING, STR("enable-rpk-no-effect"),
				 STR(POLICY_RPK_TEXT));
}

static bool choose(const struct policy_work *w, enum policy_choice choice, enum conf_id id)
{
	return choice == POLICY_CHOICE_UNSET ? conf_bool(w->cfg->conf, id)
					     : choice == POLICY_CHOICE_YES;
}

enum policy_source policy_apply_level(struct policy_work *w)
{
	const struct policy_entry *e = w->entry;
	enum policy_source source = SOURCE_LEVEL;

	w->d.is_connection_reuse = choose(w, e ? e->connection_reuse : POLICY_CHOICE_UNSET,
					  CONF_smtp_tls_connection_reuse);
	w->d.is_reuse_chosen = (e && e->connection_reuse != POLICY_CHOICE_UNSET) ||
			       conf_is_set(w->cfg->conf, CONF_smtp_tls_connection_reuse);
	w->d.is_raw_key_enabled =
		choose(w, e ? e->enable_rpk : POLICY_CHOICE_UNSET, CONF_smtp_tls_enable_rpk);
	w->d.is_wrappermode = conf_bool(w->cfg->conf, CONF_smtp_tls_wrappermode);
	w->d.is_usable = true;
	if (w->d.level > TLS_LEVEL_NONE)
		source = apply_tls(w);
	if (source == SOURCE_LEVEL)
		source = policy_requiretls_apply(w);
	if (source == SOURCE_LEVEL) {
		note_without_effect(w);
		apply_wrappermode(w);
	} else if (source == SOURCE_ERROR)
		forget_settings(&w->d);
	return source;
}
