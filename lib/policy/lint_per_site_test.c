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

/* A configuration whose other mail goes to the recipient's domain, or all to one relay. */
static struct policy_lint_routes *routes_of(bool has_any_domain)
{
	struct policy_lint_routes *r = policy_lint_routes_new();

	FOR_EACH(n, nexthops)
		policy_lint_route_nexthop(r, *n);
	policy_lint_route_domain(r, STR("*"), has_any_domain ? STR("") : nexthops[0]);
	return r;
}

TEST(policy_lint_per_site)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct policy_lint_entry e = { c->key, c->value, STR("texthash:tls_per_site"),
					       STR("tls_per_site"), 7 };
		struct policy_lint_routes *r = routes_of(c->has_any_domain);
		struct policy_lint_site site = { .routes = r, .is_utf8 = true };
		struct policy_lint_findings f = policy_lint_per_site(a, &e, 1, &site);
		ok(f.n == (c->code.n > 0), c->rule);
		if (f.n > 0) {
			ok_str(f.v[0].f.code, c->code, c->rule);
			ok_str(f.v[0].f.remedy, c->remedy, c->rule);
			ok(f.v[0].f.line == 7 && f.v[0].entry == 0, c->rule);
		}
		policy_lint_routes_free(r);
		arena_free(a);
	}
}

TEST(policy_lint_of_next_hops_that_nobody_can_list)
{
	static const struct str keys[] = { STR_INIT("[gw.example.com]"),
					   STR_INIT("gw.example.com:26"), STR_INIT("example.com") };
	struct policy_lint_routes *r = routes_of(false);
	struct policy_lint_site site = { .routes = r };

	policy_lint_route_unlisted(r);
	FOR_EACH(key, keys) {
		struct arena *a = arena_new();
		struct policy_lint_entry e = { *key, STR("MUST"), STR("texthash:tls_per_site"),
					       STR("tls_per_site"), 7 };
		ok(policy_lint_per_site(a, &e, 1, &site).n == 0, key->p);
		arena_free(a);
	}
	policy_lint_routes_free(r);
}

static const struct {
	const char *rule;
	struct str value;
	enum tls_level global;
	struct str code;
} levels[] = {
	{ "as strong as the global level", STR_INIT("MUST"), TLS_LEVEL_VERIFY, STR_INIT("") },
	{ "stronger", STR_INIT("MUST"), TLS_LEVEL_MAY, STR_INIT("") },
	{ "an exception", STR_INIT("NONE"), TLS_LEVEL_ENCRYPT,
	  STR_INIT("entry-weaker-than-global") },
	{ "a name that need not match", STR_INIT("MUST_NOPEERMATCH"), TLS_LEVEL_SECURE,
	  STR_INIT("entry-weaker-than-global") },
	{ "a wish that nobody hears", STR_INIT("MAY"), TLS_LEVEL_ENCRYPT,
	  STR_INIT("entry-without-effect") },
	{ "proofs of another kind", STR_INIT("MUST"), TLS_LEVEL_FINGERPRINT, STR_INIT("") },
};

TEST(policy_lint_against_the_global_level)
{
	struct policy_lint_routes *r = routes_of(true);

	FOR_EACH(c, levels) {
		struct arena *a = arena_new();
		struct policy_lint_entry e = { STR("example.com"), c->value, STR("x"), STR("x"),
					       1 };
		struct policy_lint_site site = { .routes = r, .global = c->global };
		struct policy_lint_findings f = policy_lint_per_site(a, &e, 1, &site);
		ok(f.n == (c->code.n > 0), c->rule);
		if (f.n > 0) {
			ok_str(f.v[0].f.code, c->code, c->rule);
			ok(f.v[0].f.severity == CONF_NOTE, c->rule);
		}
		arena_free(a);
	}
	policy_lint_routes_free(r);
}

TEST_MAIN(RUN(policy_lint_per_site), RUN(policy_lint_of_next_hops_that_nobody_can_list),
	  RUN(policy_lint_against_the_global_level))
