#include "base/test.h"
#include "policy/lint.h"

static const struct str nexthops[] = { STR_INIT("[gw.example.net]:587"),
				       STR_INIT("hub.example.org"),
				       STR_INIT("[plain.example.net]") };

static const struct {
	const char *rule;
	struct str key, value;
	bool has_any_domain;
	struct str code; /* "" : nothing is found */
	struct str remedy;
} cases[] = {
	{ "a next-hop to the letter", STR_INIT("[gw.example.net]:587"), STR_INIT("MUST"), true,
	  STR_INIT(""), STR_INIT("") },
	{ "a next-hop without brackets", STR_INIT("hub.example.org"), STR_INIT("must"), false,
	  STR_INIT(""), STR_INIT("") },
	{ "a recipient domain", STR_INIT("example.com"), STR_INIT("MAY"), true, STR_INIT(""),
	  STR_INIT("") },
	{ "unknown keyword", STR_INIT("example.com"), STR_INIT("secure"), true,
	  STR_INIT("per-site-unknown-keyword"),
	  STR_INIT("use NONE, MAY, MUST_NOPEERMATCH or MUST") },
	{ "a star", STR_INIT("*.example.com"), STR_INIT("MUST"), true, STR_INIT("key-wildcard"),
	  STR_INIT("write an entry for each next-hop") },
	{ "a parent domain", STR_INIT(".example.com"), STR_INIT("MUST"), true,
	  STR_INIT("key-wildcard"), STR_INIT("write an entry for each next-hop") },
	{ "an address", STR_INIT("user@example.com"), STR_INIT("MUST"), true,
	  STR_INIT("key-address"), STR_INIT("use the next-hop that the address is sent to") },
	{ "a trailing dot", STR_INIT("example.com."), STR_INIT("MUST"), true,
	  STR_INIT("key-trailing-dot"), STR_INIT("remove the dot") },
	{ "brackets but another port", STR_INIT("[gw.example.net]:25"), STR_INIT("MUST"), true,
	  STR_INIT("key-no-nexthop"),
	  STR_INIT("mail goes to [gw.example.net]:587: use that as the key") },
	{ "brackets without port", STR_INIT("[gw.example.net]"), STR_INIT("MUST"), true,
	  STR_INIT("key-no-nexthop"),
	  STR_INIT("mail goes to [gw.example.net]:587: use that as the key") },
	{ "brackets that nothing makes", STR_INIT("[other.example.net]"), STR_INIT("MUST"), true,
	  STR_INIT("key-no-nexthop"),
	  STR_INIT("use a next-hop to the letter, brackets and port included") },
	{ "a recipient's own address literal", STR_INIT("[192.0.2.1]"), STR_INIT("MUST"), true,
	  STR_INIT(""), STR_INIT("") },
	{ "a bare name behind brackets", STR_INIT("gw.example.net"), STR_INIT("MUST"), true,
	  STR_INIT("key-bare-host"), STR_INIT("use [gw.example.net]:587 as the key") },
	{ "any bare name when all mail goes to a relay", STR_INIT("example.com"), STR_INIT("MUST"),
	  false, STR_INIT("key-bare-host"),
	  STR_INIT("use the next-hop of that mail as the key, with brackets and port") },
	{ "a name that servers have", STR_INIT("mx2.example.com"), STR_INIT("MUST"), true,
	  STR_INIT("key-bare-host"),
	  STR_INIT("use the next-hop of that mail as the key, with brackets and port") },
	{ "mail.com is a domain", STR_INIT("mail.com"), STR_INIT("MUST"), true, STR_INIT(""),
	  STR_INIT("") },
	{ "not a name at all", STR_INIT("exa mple"), STR_INIT("MUST"), true, STR_INIT("key-syntax"),
	  STR_INIT("write domain, domain:port, [host] or [host]:port") },
};

TEST(policy_lint_per_site)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct policy_lint_entry e = { c->key, c->value, STR("tls_per_site"), 7 };
		struct policy_lint_routes r = { nexthops, ARRAY_LEN(nexthops), c->has_any_domain };
		struct conf_findings f = policy_lint_per_site(a, &e, 1, &r);
		ok(f.n == (c->code.n > 0), c->rule);
		if (f.n > 0) {
			ok_str(f.v[0].code, c->code, c->rule);
			ok_str(f.v[0].remedy, c->remedy, c->rule);
			ok(f.v[0].line == 7, c->rule);
		}
		arena_free(a);
	}
}

TEST(policy_lint_of_next_hops_that_nobody_can_list)
{
	static const struct str keys[] = { STR_INIT("[gw.example.com]"),
					   STR_INIT("gw.example.com:26"), STR_INIT("example.com") };
	struct policy_lint_routes r = { nexthops, ARRAY_LEN(nexthops), false, .has_more = true };

	FOR_EACH(key, keys) {
		struct arena *a = arena_new();
		struct policy_lint_entry e = { *key, STR("MUST"), STR("tls_per_site"), 7 };
		ok(policy_lint_per_site(a, &e, 1, &r).n == 0, key->p);
		arena_free(a);
	}
}

TEST_MAIN(RUN(policy_lint_per_site), RUN(policy_lint_of_next_hops_that_nobody_can_list))
