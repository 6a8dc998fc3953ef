/* What an MTA-STS plug-in puts into a policy table: which hosts may serve the domain. */

#include "policy/decide.h"
#include "policy/entry.h"

#include "mail/domain.h"

bool policy_sts_is_enforced(const struct policy_work *w)
{
	const struct policy_entry *e = w->entry;

	return e && conf_bool(w->cfg->conf, CONF_smtp_tls_enforce_sts_mx_patterns) &&
	       str_ieq_ascii(e->policy_type, STR("sts")) && e->mx_host_patterns.n;
}

/* RFC 8461 section 4.1: "*." stands for exactly one label. */
static bool pattern_matches(struct str pattern, struct str host)
{
	struct str label, rest;

	if (str_ieq_ascii(pattern, host))
		return true;
	return str_has_prefix(pattern, STR("*.")) && str_cut(host, '.', &label, &rest) && label.n &&
	       str_ieq_ascii(str_from(pattern, 2), rest);
}

static bool is_host_allowed(const struct policy_work *w)
{
	const struct policy_list *patterns = &w->entry->mx_host_patterns;
	struct str host = w->subject->host, ascii;

	if (domain_to_ascii(w->a, host, &ascii))
		host = ascii;
	for (size_t i = 0; i < patterns->n; i++)
		if (pattern_matches(patterns->v[i], host))
			return true;
	return false;
}

static void forbid(struct policy_work *w)
{
	w->d.is_mx_forbidden = true;
	policy_trace_add(&w->trace, TRACE_WARNING, STR("mx-not-authorized"),
			 STR("no mx_host_pattern of the entry allows \"%\": this host is not used"),
			 w->subject->host);
	w->d.refusal = (struct policy_error){
		STATUS(4, 7, 5),
		arena_fmt(w->a, "host " STR_FMT " is not among those of the MTA-STS policy",
			  STR_ARG(w->subject->host)),
	};
}

/* As Postfix: the patterns count wherever there is a match list, be it main.cf's; at may and
 * encrypt no name is looked at, so no host is forbidden either. */
void policy_sts_apply(struct policy_work *w)
{
	const struct policy_entry *e = w->entry;

	if (!e || !e->policy_type.p)
		return;
	w->d.sts = (struct policy_sts){
		.type = e->policy_type,
		.domain = e->policy_domain,
		.failure = e->policy_failure,
		.ttl_s = e->policy_ttl_s,
		.strings = e->policy_strings.v,
		.n_strings = e->policy_strings.n,
		.mx_patterns = e->mx_host_patterns.v,
		.n_mx_patterns = e->mx_host_patterns.n,
	};
	if (w->d.match && policy_sts_is_enforced(w) && !is_host_allowed(w))
		forbid(w);
}
