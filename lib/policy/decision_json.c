/* Decisions and judgements as JSON: docs/reference/decision.md. Members come in this order, and all
 * of them every time. */

#include <stdio.h>

#include "policy/policy.h"

static const char *const version_names[] = { "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };

static void put_status(struct json *j, const char *key, struct status s)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%u.%u.%u", s.class, s.subject, s.detail);

	json_key(j, key);
	json_str_or_null(j, s.class ? str_span(text, (size_t)n) : STR_NONE);
}

static void put_error(struct json *j, const char *key, const struct policy_error *e)
{
	json_key(j, key);
	if (!e->status.class) {
		json_null(j);
		return;
	}
	json_object(j);
	put_status(j, "status", e->status);
	json_put_str(j, "reason", e->reason);
	json_object_end(j);
}

static void put_list(struct json *j, const char *key, const struct str *v, size_t n)
{
	json_key(j, key);
	if (!v) {
		json_null(j);
		return;
	}
	json_array(j);
	for (size_t i = 0; i < n; i++)
		json_str(j, v[i]);
	json_array_end(j);
}

static void put_or_null(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	json_str_or_null(j, s);
}

static void put_versions(struct json *j, const struct policy_decision *d)
{
	json_key(j, "versions");
	if (!d->has_versions) {
		json_null(j);
		return;
	}
	json_array(j);
	for (size_t i = 0; i < ARRAY_LEN(version_names); i++)
		if (d->versions & (1u << i))
			json_str(j, str_of(version_names[i]));
	json_array_end(j);
}

static void put_exclusions(struct json *j, const struct policy_decision *d)
{
	struct str rest = d->exclusions, token;

	json_key(j, "exclusions");
	json_array(j);
	while (str_token(&rest, STR(":"), &token))
		json_str(j, token);
	json_array_end(j);
}

static void put_grade(struct json *j, enum tls_grade grade)
{
	static const struct str names[] = {
		[TLS_GRADE_BAD] = { NULL, 0 },
		[TLS_GRADE_NULL] = STR_INIT("null"),
		[TLS_GRADE_MEDIUM] = STR_INIT("medium"),
		[TLS_GRADE_HIGH] = STR_INIT("high"),
	};

	put_or_null(j, "grade", names[grade]);
}

static void put_tls(struct json *j, const struct policy_decision *d)
{
	json_key(j, "tls");
	if (d->level < TLS_LEVEL_MAY) {
		json_null(j);
		return;
	}
	json_object(j);
	json_put_bool(j, "usable", d->is_usable);
	put_or_null(j, "problem", d->is_usable ? STR_NONE : d->problem);
	put_versions(j, d);
	put_grade(j, d->grade);
	put_or_null(j, "cipher_list", d->is_usable ? d->cipher_list : STR_NONE);
	put_exclusions(j, d);
	put_or_null(j, "sni", d->sni.n ? d->sni : STR_NONE);
	put_list(j, "names", d->names, d->n_names);
	json_put_bool(j, "never_matches", d->never_matches);
	json_put_bool(j, "wildcard_multiple_labels", d->wildcard == POLICY_WILDCARD_MANY_LABELS);
	json_object_end(j);
}

static void put_sts(struct json *j, const struct policy_decision *d)
{
	json_key(j, "mta_sts");
	if (!d->sts.type.n) {
		json_null(j);
		return;
	}
	json_object(j);
	json_put_str(j, "type", d->sts.type);
	put_or_null(j, "domain", d->sts.domain);
	put_or_null(j, "failure", d->sts.failure);
	json_key(j, "ttl");
	if (d->sts.ttl_s < 0)
		json_null(j);
	else
		json_int(j, d->sts.ttl_s);
	put_list(j, "strings", d->sts.strings, d->sts.n_strings);
	put_list(j, "mx_patterns", d->sts.mx_patterns, d->sts.n_mx_patterns);
	json_put_bool(j, "mx_authorized", !d->is_mx_forbidden);
	json_object_end(j);
}

void policy_decision_json(struct json *j, const struct policy_decision *d)
{
	json_object(j);
	json_put_str(j, "level", tls_level_name(d->level));
	put_error(j, "error", &d->error);
	put_error(j, "refusal", &d->refusal);
	json_put_str(j, "host", d->host);
	json_put_str(j, "domain", d->domain);
	json_put_int(j, "port", d->port);
	put_or_null(j, "protocols", d->protocols);
	put_or_null(j, "ciphers", d->ciphers);
	put_or_null(j, "exclude", d->exclude);
	put_or_null(j, "servername", d->servername);
	put_list(j, "match", d->match, d->n_match);
	put_list(j, "fingerprints", d->fingerprints, d->n_fingerprints);
	put_or_null(j, "fingerprint_digest", d->fingerprints ? d->fingerprint_digest : STR_NONE);
	json_put_bool(j, "connection_reuse", d->is_connection_reuse);
	json_put_bool(j, "enable_rpk", d->is_raw_key_enabled);
	json_put_bool(j, "wrappermode", d->is_wrappermode);
	put_or_null(j, "requiretls",
		    d->requiretls ? policy_requiretls_name(d->requiretls) : STR_NONE);
	put_list(j, "trust_files", d->trust_files, d->n_trust_files);
	put_sts(j, d);
	put_tls(j, d);
	json_put_int(j, "deciding", (int64_t)d->deciding);
	json_key(j, "trace");
	trace_json(j, d->trace, d->n_trace);
	json_object_end(j);
}

void policy_judgement_json(struct json *j, const struct policy_judgement *g)
{
	json_object(j);
	json_put_bool(j, "acceptable", g->is_acceptable);
	json_put_str(j, "reached", tls_security_name(g->reached));
	json_put_str(j, "result", tls_result_name(g->result));
	put_status(j, "status", g->status);
	put_or_null(j, "reason", g->reason.n ? g->reason : STR_NONE);
	put_or_null(j, "matched_name", g->matched_name.n ? g->matched_name : STR_NONE);
	put_or_null(j, "matched_by", g->matched_by.n ? g->matched_by : STR_NONE);
	json_put_bool(j, "requiretls", g->is_requiretls_sent);
	json_object_end(j);
}
