/* Entries of smtp_tls_policy_maps that do not parse, or say more than counts. */

#include "policy/entry.h"
#include "policy/lint.h"

static struct conf_finding
finding_at(const struct policy_lint_entry *e, enum conf_severity severity, struct str code)
{
	return (struct conf_finding){
		.severity = severity,
		.code = code,
		.param = STR("smtp_tls_policy_maps"),
		.file = e->file,
		.line = e->line,
	};
}

static struct str remedy_of(struct str code)
{
	if (str_eq(code, STR("policy-invalid-level")) || str_eq(code, STR("policy-empty")))
		return STR("begin with none, may, encrypt, dane, dane-only, fingerprint, verify or "
			   "secure");
	if (str_eq(code, STR("policy-attr-malformed")))
		return STR("write name=value, or { name = value } when the value has blanks");
	if (str_eq(code, STR("policy-attr-unknown")))
		return STR("use ciphers, protocols, exclude, match, servername, tafile, "
			   "connection_reuse, enable_rpk or the attributes of a policy plug-in");
	if (str_eq(code, STR("policy-attr-wrong-level")))
		return STR("match needs fingerprint, verify or secure, tafile verify or secure");
	return STR("mend or remove the attribute");
}

static struct conf_finding
lint_problem(struct arena *a, const struct policy_lint_entry *e, const struct policy_entry *parsed)
{
	struct conf_finding f = finding_at(e, CONF_ERROR, parsed->problem_code);

	f.text = arena_fmt(a,
			   "key " STR_FMT ": " STR_FMT
			   ": mail that meets this entry is deferred (4.7.5)",
			   STR_ARG(e->key), STR_ARG(parsed->problem));
	f.remedy = remedy_of(parsed->problem_code);
	return f;
}

static struct conf_finding lint_ignored(struct arena *a, const struct policy_lint_entry *e,
					const struct policy_attribute *first)
{
	struct conf_finding f = finding_at(e, CONF_WARNING, STR("policy-attr-ignored"));

	f.text = arena_fmt(a, "key " STR_FMT ": at level none the rest is ignored, from " STR_FMT,
			   STR_ARG(e->key), STR_ARG(str_first(first->value, 100)));
	f.remedy = STR("remove the attributes, or raise the level");
	return f;
}

struct conf_findings
policy_lint_maps(struct arena *a, const struct policy_lint_entry *entries, size_t n)
{
	struct conf_finding *found = ARENA_ARRAY(a, n + 1, struct conf_finding);
	size_t n_found = 0;

	for (size_t i = 0; i < n; i++) {
		struct policy_entry parsed = policy_entry_parse(a, entries[i].value);

		if (parsed.problem.n)
			found[n_found++] = lint_problem(a, &entries[i], &parsed);
		else if (parsed.level == TLS_LEVEL_NONE && parsed.n_attributes)
			found[n_found++] = lint_ignored(a, &entries[i], parsed.attributes);
	}
	return (struct conf_findings){ found, n_found };
}
