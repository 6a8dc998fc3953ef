/* From the level to the settings that come with it. */

#include "policy/decide.h"
#include "policy/fingerprint.h"
#include "policy/names.h"

static const struct str configuration_problem = STR_INIT("client TLS configuration problem");

static void fail_at_param(struct policy_work *w, enum conf_id id, struct str code, struct str text,
			  struct str reason)
{
	struct trace_step *s = policy_trace_param(&w->trace, TRACE_RULE, code, w->cfg->conf, id);

	s->value = conf_str(w->cfg->conf, id);
	s->text = text;
	policy_fail(w, w->trace.n - 1, STATUS(4, 7, 5), reason);
}

/* Without DNSSEC nothing can be proved by TLSA records: dane is opportunistic and falls to may,
 * dane-only has nothing to fall to. RFC 7672 section 2.1. */
static bool settle_dane(struct policy_work *w)
{
	struct str text =
		STR("DANE needs validated TLSA records, which this version does not look up");

	if (w->d.level == TLS_LEVEL_DANE) {
		policy_trace_add(&w->trace, TRACE_WARNING, STR("dane-no-dnssec"),
				 STR_FMT ": dane becomes may", STR_ARG(text));
		w->d.level = TLS_LEVEL_MAY;
	} else if (w->d.level == TLS_LEVEL_DANE_ONLY) {
		fail_at_param(w, CONF_smtp_tls_security_level, STR("dane-no-dnssec"), text,
			      configuration_problem);
		return false;
	}
	return true;
}

static void apply_settings(struct policy_work *w)
{
	const struct policy_settings *s = &w->cfg->settings[policy_class_of(w->d.level)];
	struct policy_decision *d = &w->d;

	d->protocols = s->protocols;
	d->ciphers = s->ciphers;
	d->exclude = s->exclude;
	d->has_versions = s->has_versions;
	d->versions = s->versions;
	d->grade = s->grade;
	d->cipher_list = s->cipher_list;
	d->exclusions = s->exclusions;
	d->is_usable = s->is_usable;
	d->problem = s->problem;
	if (s->limit_warning.n)
		policy_trace_add(&w->trace, TRACE_WARNING, STR("tls-version-limit"), STR_FMT,
				 STR_ARG(s->limit_warning));
	if (!s->is_usable)
		policy_trace_add(&w->trace, TRACE_WARNING, s->problem_code,
				 "TLS cannot start: " STR_FMT, STR_ARG(s->problem));
}

static bool apply_servername(struct policy_work *w)
{
	w->d.servername = conf_str(w->cfg->conf, CONF_smtp_tls_servername);
	if (w->cfg->is_servername_valid)
		return true;
	fail_at_param(w, CONF_smtp_tls_servername, STR("invalid-hostname"),
		      arena_fmt(w->a, "smtp_tls_servername = " STR_FMT " is no valid host name",
				STR_ARG(w->d.servername)),
		      configuration_problem);
	return false;
}

static bool apply_fingerprints(struct policy_work *w)
{
	const struct conf *conf = w->cfg->conf;

	w->d.fingerprint_digest = conf_str(conf, CONF_smtp_tls_fingerprint_digest);
	w->d.fingerprints =
		policy_fingerprint_list(&w->trace,
					conf_str(conf, CONF_smtp_tls_fingerprint_cert_match),
					&w->d.n_fingerprints);
	if (w->d.n_fingerprints)
		return true;
	fail_at_param(w, CONF_smtp_tls_fingerprint_cert_match, STR("fingerprint-none"),
		      STR("the level is fingerprint, and there is no fingerprint to compare with"),
		      configuration_problem);
	return false;
}

/* Trusting the usual authorities instead of the one the operator named would be weaker. */
static bool apply_trust(struct policy_work *w)
{
	if (!conf_str(w->cfg->conf, CONF_smtp_tls_trust_anchor_file).n)
		return true;
	fail_at_param(
		w, CONF_smtp_tls_trust_anchor_file, STR("trust-anchor"),
		STR("this version cannot use smtp_tls_trust_anchor_file, and trusts nobody else "
		    "in its place"),
		STR("smtp_tls_trust_anchor_file is not supported by this version"));
	return false;
}

static void apply_match(struct policy_work *w, enum conf_id id)
{
	w->d.match = policy_match_list(w->a, conf_str(w->cfg->conf, id), &w->d.n_match);
	w->d.wildcard = conf_bool(w->cfg->conf, CONF_tls_wildcard_matches_multiple_labels)
				? POLICY_WILDCARD_MANY_LABELS
				: POLICY_WILDCARD_ONE_LABEL;
	if (w->d.is_usable)
		policy_names_expand(&w->trace, &w->d);
}

static bool apply_authentication(struct policy_work *w)
{
	switch (w->d.level) {
	case TLS_LEVEL_FINGERPRINT:
		return apply_fingerprints(w);
	case TLS_LEVEL_VERIFY:
		if (!apply_trust(w))
			return false;
		apply_match(w, CONF_smtp_tls_verify_cert_match);
		return true;
	case TLS_LEVEL_SECURE:
		if (!apply_trust(w))
			return false;
		apply_match(w, CONF_smtp_tls_secure_cert_match);
		return true;
	case TLS_LEVEL_INVALID:
	case TLS_LEVEL_NONE:
	case TLS_LEVEL_MAY:
	case TLS_LEVEL_ENCRYPT:
	case TLS_LEVEL_DANE:
	case TLS_LEVEL_DANE_ONLY:
		break;
	}
	return true;
}

static void apply_wrappermode(struct policy_work *w)
{
	if (!conf_bool(w->cfg->conf, CONF_smtp_tls_wrappermode) || w->d.level >= TLS_LEVEL_ENCRYPT)
		return;
	policy_trace_param(&w->trace, TRACE_WARNING, STR("wrappermode-needs-encrypt"), w->cfg->conf,
			   CONF_smtp_tls_wrappermode)
		->text = STR("smtp_tls_wrappermode = yes needs level encrypt or more: this host is "
			     "not used");
	w->d.refusal = (struct policy_error){
		STATUS(4, 7, 5),
		STR("smtp_tls_wrappermode needs a TLS level of encrypt or more"),
	};
}

/* An error leaves nothing behind that somebody could take for a policy. */
static void forget_settings(struct policy_decision *d)
{
	*d = (struct policy_decision){
		.level = d->level,
		.error = d->error,
		.host = d->host,
		.domain = d->domain,
		.port = d->port,
		.deciding = d->deciding,
	};
}

static bool apply_tls(struct policy_work *w)
{
	if (!settle_dane(w))
		return false;
	apply_settings(w);
	if (!apply_authentication(w) || !apply_servername(w))
		return false;
	w->d.sni = w->d.is_usable ? policy_sni(w->a, &w->d) : STR("");
	return true;
}

void policy_apply_level(struct policy_work *w)
{
	const struct conf *conf = w->cfg->conf;

	w->d.is_connection_reuse = conf_bool(conf, CONF_smtp_tls_connection_reuse);
	w->d.is_raw_key_enabled = conf_bool(conf, CONF_smtp_tls_enable_rpk);
	w->d.is_usable = true;
	if (w->d.level > TLS_LEVEL_NONE && !apply_tls(w)) {
		forget_settings(&w->d);
		return;
	}
	apply_wrappermode(w);
}
