/* What DNS says of a key that looks like a domain and may be a server: policies are looked up by
 * next-hop, and an MX host is none. */

#include "policy/lint_inside.h"

struct str policy_lint_mx_question(const struct policy_lint_entry *e,
				   const struct policy_lint_site *site, const struct answer *own)
{
	struct str nexthop, key = e->key;
	uint32_t dots = 0;

	for (size_t i = 0; i < key.n; i++)
		dots += key.p[i] == '.';
	if (!domain_is_hostname(key) || domain_is_address_literal(key) ||
	    policy_lint_is_nexthop(site->routes, key) ||
	    !policy_lint_is_own(site->routes, key, &nexthop))
		return STR("");
	if (!own)
		return key;
	if (own->status != ANSWER_NONE || own->is_nxdomain || dots < 2)
		return STR("");
	CHECK(policy_lint_parent(&key));
	return str_from(key, 1);
}

static bool is_target(const struct answer *mx, struct str host)
{
	for (size_t i = 0; i < mx->n_mx; i++)
		if (str_ieq_ascii(mx->mx[i].host, host))
			return true;
	return false;
}

bool policy_lint_mx(struct arena *a, const struct policy_lint_entry *e, const struct answer *own,
		    const struct answer *of_parent, struct conf_finding *f)
{
	struct str domain = e->key;

	*f = (struct conf_finding){
		.severity = CONF_WARNING,
		.param = conf_name(CONF_smtp_tls_policy_maps),
		.file = e->file,
		.line = e->line,
	};
	if (own->status == ANSWER_NONE && own->is_nxdomain) {
		f->code = STR("key-no-domain");
		f->text = arena_fmt(a, "key " STR_FMT ": DNS has no such domain", STR_ARG(e->key));
		f->remedy = STR("correct the name, or remove the entry");
		return true;
	}
	if (!of_parent || of_parent->status != ANSWER_FOUND || !is_target(of_parent, e->key))
		return false;
	CHECK(policy_lint_parent(&domain));
	domain = str_from(domain, 1);
	f->code = STR("key-mx-host");
	f->text = arena_fmt(a,
			    "key " STR_FMT " is the name of a server, an MX host of " STR_FMT
			    " without MX records of its own: policies are looked up by next-hop",
			    STR_ARG(e->key), STR_ARG(domain));
	f->remedy = arena_fmt(a, "use " STR_FMT " as the key", STR_ARG(domain));
	return true;
}
