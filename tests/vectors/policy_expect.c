#include "policy_expect.h"

#include <stdarg.h>
#include <stdlib.h>

void run_differ(struct run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!buf_add(&r->differences, STR("#   ")) || !buf_vfmt(&r->differences, fmt, ap) ||
	    !buf_add_char(&r->differences, '\n'))
		abort();
	va_end(ap);
}

struct str run_str(const struct json_node *n, const char *path)
{
	struct str s = STR("");

	return json_get_str(n, path, &s) ? s : STR("");
}

/* Comparisons: absent, null and "" are told apart. */

static void expect_str(struct run *r, const char *path, bool is_null, struct str got)
{
	struct str want;

	if (!json_get_str(r->c, path, &want)) {
		if (!is_null)
			run_differ(r, "%s: got \"" STR_FMT "\", want null", path, STR_ARG(got));
	} else if (is_null || !str_eq(want, got)) {
		run_differ(r, "%s: got \"" STR_FMT "\"%s, want \"" STR_FMT "\"", path, STR_ARG(got),
			   is_null ? " (null)" : "", STR_ARG(want));
	}
}

static void expect_bool(struct run *r, const char *path, bool is_null, bool got)
{
	bool want;

	if (!json_get_bool(r->c, path, &want)) {
		if (!is_null)
			run_differ(r, "%s: got %d, want null", path, got);
	} else if (is_null || want != got) {
		run_differ(r, "%s: got %s, want %d", path,
			   is_null ? "null"
			   : got   ? "1"
				   : "0",
			   want);
	}
}

static void expect_list(struct run *r, const char *path, const struct str *v, size_t n)
{
	const struct json_node *want = json_at(r->c, path);

	if (!want || json_kind_of(want) != JSON_KIND_ARRAY) {
		if (v)
			run_differ(r, "%s: got a list of %zu, want null", path, n);
		return;
	}
	if (!v || json_count(want) != n) {
		run_differ(r, "%s: got a list of %zu, want one of %zu", path, v ? n : 0,
			   json_count(want));
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct str item = run_str(json_item(want, i), "");

		if (!str_eq(item, v[i]))
			run_differ(r, "%s[%zu]: got \"" STR_FMT "\", want \"" STR_FMT "\"", path, i,
				   STR_ARG(v[i]), STR_ARG(item));
	}
}

static void compare_versions(struct run *r)
{
	static const struct str names[] = { STR_INIT("TLSv1"), STR_INIT("TLSv1.1"),
					    STR_INIT("TLSv1.2"), STR_INIT("TLSv1.3") };
	struct str got[ARRAY_LEN(names)];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (r->d.versions & (1u << i))
			got[n++] = names[i];
	expect_list(r, "expect.tls.versions", r->d.has_versions ? got : NULL, n);
}

static void compare_exclusions(struct run *r)
{
	struct str rest = r->d.exclusions, token;
	struct str *v = ARENA_ARRAY(r->a, rest.n + 1, struct str);
	size_t n = 0;

	while (str_token(&rest, STR(":"), &token))
		v[n++] = token;
	expect_list(r, "expect.tls.excl", r->d.grade == TLS_GRADE_BAD ? NULL : v, n);
}

/* The trace's warnings with the codes that the recording uses, adjacent repeats folded. */
static void compare_problems(struct run *r)
{
	static const struct str codes[] = {
		STR_INIT("tls-invalid-protocols"), STR_INIT("tls-version-limit"),
		STR_INIT("tls-invalid-grade"),     STR_INIT("tls-bad-exclusion"),
		STR_INIT("tls-cipher-empty"),      STR_INIT("tls-bad-match-name"),
		STR_INIT("tls-no-match-names"),    STR_INIT("tls-sni-too-long"),
	};
	struct str got[POLICY_TRACE_MAX];
	size_t n = 0;

	for (size_t i = 0; i < r->d.n_trace; i++)
		for (size_t k = 0; k < ARRAY_LEN(codes); k++)
			if (str_eq(r->d.trace[i].code, codes[k]) &&
			    (!n || !str_eq(got[n - 1], codes[k])))
				got[n++] = codes[k];
	expect_list(r, "expect.tls.problems", got, n);
}

static void compare_tls(struct run *r)
{
	static const struct str grades[] = {
		[TLS_GRADE_BAD] = STR_INIT(""),
		[TLS_GRADE_NULL] = STR_INIT("null"),
		[TLS_GRADE_MEDIUM] = STR_INIT("medium"),
		[TLS_GRADE_HIGH] = STR_INIT("high"),
	};
	const struct policy_decision *d = &r->d;
	bool has_names = d->level == TLS_LEVEL_VERIFY || d->level == TLS_LEVEL_SECURE;

	if (!json_at(r->c, "expect.tls")) {
		if (d->level >= TLS_LEVEL_MAY && !d->error.status.class)
			run_differ(r, "expect.tls: got one, want none");
		return;
	}
	compare_versions(r);
	expect_str(r, "expect.tls.grade", d->grade == TLS_GRADE_BAD, grades[d->grade]);
	compare_exclusions(r);
	expect_str(r, "expect.tls.sni", !d->sni.n, d->sni);
	expect_bool(r, "expect.tls.usable", false, d->is_usable);
	if (has_names)
		expect_list(r, "expect.tls.names", d->names ? d->names : &d->host, d->n_names);
	expect_bool(r, "expect.tls.never_matches", !has_names, d->never_matches);
	compare_problems(r);
}

static void compare_trust(struct run *r)
{
	int64_t want = 0;

	if (!json_get_int(r->c, "expect.trust_anchors", &want))
		want = 0;
	if (want != (int64_t)r->d.n_trust_anchors)
		run_differ(r, "expect.trust_anchors: got %zu, want %d", r->d.n_trust_anchors,
			   (int)want);
}

/* Members of "ext" are there only when they were told. */
static void compare_sts(struct run *r)
{
	const struct policy_sts *s = &r->d.sts;
	int64_t ttl = -1;

	expect_bool(r, "expect.mx_authorized", r->d.level == TLS_LEVEL_INVALID,
		    !r->d.is_mx_forbidden);
	expect_str(r, "expect.ext.policy_type", !s->type.n, s->type);
	expect_str(r, "expect.ext.policy_domain", !s->domain.p, s->domain);
	expect_str(r, "expect.ext.policy_failure", !s->failure.p, s->failure);
	expect_list(r, "expect.ext.policy_string", s->strings, s->n_strings);
	expect_list(r, "expect.ext.mx_host_pattern", s->mx_patterns, s->n_mx_patterns);
	if (!json_get_int(r->c, "expect.ext.policy_ttl", &ttl))
		ttl = -1;
	if (s->type.n && ttl != s->ttl_s)
		run_differ(r, "expect.ext.policy_ttl: got %d, want %d", (int)s->ttl_s, (int)ttl);
}

/* The other codes of the recording: reasons that a trace must name, too. */
static void compare_reasons(struct run *r)
{
	static const struct str codes[] = {
		STR_INIT("per-site-unknown-keyword"), STR_INIT("per-site-lookup-error"),
		STR_INIT("invalid-hostname"),         STR_INIT("dane-no-dnssec"),
		STR_INIT("fingerprint-malformed"),    STR_INIT("fingerprint-none"),
		STR_INIT("policy-lookup-error"),      STR_INIT("policy-empty"),
		STR_INIT("policy-invalid-level"),     STR_INIT("policy-attr-ignored"),
		STR_INIT("policy-attr-malformed"),    STR_INIT("policy-attr-empty"),
		STR_INIT("policy-attr-duplicate"),    STR_INIT("policy-attr-wrong-level"),
		STR_INIT("policy-attr-bad-value"),    STR_INIT("policy-attr-malformed-value"),
		STR_INIT("policy-attr-unknown"),      STR_INIT("policy-attr-unexpected-value"),
		STR_INIT("policy-ext-without-type"),  STR_INIT("mx-not-authorized"),
	};

	for (size_t k = 0; k < ARRAY_LEN(codes); k++) {
		const struct json_node *diag = json_at(r->c, "expect.diag");
		bool has = false, wants = false;

		for (size_t i = 0; i < r->d.n_trace; i++)
			has = has || str_eq(r->d.trace[i].code, codes[k]);
		for (size_t i = 0; i < json_count(diag); i++)
			wants = wants || str_eq(run_str(json_item(diag, i), ""), codes[k]);
		if (has != wants)
			run_differ(r, "trace: " STR_FMT " is %s", STR_ARG(codes[k]),
				   has ? "there" : "missing");
	}
}

void run_compare(struct run *r)
{
	const struct policy_decision *d = &r->d;
	bool is_error = d->error.status.class != 0, is_off = d->level < TLS_LEVEL_MAY || is_error;
	int64_t port = -1;

	expect_str(r, "expect.level", false, tls_level_name(d->level));
	expect_str(r, "expect.error.dsn", !is_error, status_text(r->a, d->error.status));
	expect_str(r, "expect.protocols", is_off, d->protocols);
	expect_str(r, "expect.ciphers", is_off, d->ciphers);
	expect_str(r, "expect.exclude", is_off, d->exclude);
	expect_str(r, "expect.servername", is_off, d->servername);
	expect_list(r, "expect.match", d->match, d->n_match);
	expect_bool(r, "expect.connection_reuse", is_error, d->is_connection_reuse);
	expect_bool(r, "expect.enable_rpk", is_error, d->is_raw_key_enabled);
	expect_list(r, "expect.fingerprints", d->fingerprints, d->n_fingerprints);
	expect_str(r, "expect.requiretls_action", !d->requiretls,
		   policy_requiretls_name(d->requiretls));
	expect_str(r, "expect.domain", false, d->domain);
	if (json_get_int(r->c, "expect.port", &port) && port != r->nexthop.port)
		run_differ(r, "expect.port: got %u, want %d", r->nexthop.port, (int)port);
	compare_tls(r);
	compare_trust(r);
	compare_sts(r);
	compare_reasons(r);
	if (d->deciding >= d->n_trace)
		run_differ(r, "no step of the trace decided");
}

/* The entry of the first table of the list decided: what comes after it was never asked. */
static bool is_first_table(const struct run *r)
{
	const struct trace_step *s = &r->d.trace[r->d.deciding];

	return s->kind == TRACE_QUESTION && s->answer == ANSWER_FOUND &&
	       (str_has_prefix(conf_str(r->conf, CONF_smtp_tls_policy_maps), s->source) ||
		str_has_prefix(conf_str(r->conf, CONF_smtp_tls_per_site), s->source));
}

/* Faults of the recorded snapshot that we do not copy: a table name without a type must not make
 * its table vanish, a malformed fingerprint is malformed, and a setting may name any other. */
void run_compare_quirk(struct run *r, struct str quirk)
{
	enum tls_level level = r->policy ? r->d.level : TLS_LEVEL_INVALID;

	if (str_eq(quirk, STR("fail-open")) && level != TLS_LEVEL_INVALID && !is_first_table(r))
		run_differ(r, "a table that cannot be opened was left out");
	if (str_eq(quirk, STR("panic")) && level != TLS_LEVEL_INVALID &&
	    level != TLS_LEVEL_FINGERPRINT)
		run_differ(r, "level " STR_FMT " from malformed fingerprints",
			   STR_ARG(tls_level_name(level)));
	if (str_eq(quirk, STR("load-order")) && (level != TLS_LEVEL_ENCRYPT || !r->d.is_usable))
		run_differ(r, "the setting named was not found");
}
