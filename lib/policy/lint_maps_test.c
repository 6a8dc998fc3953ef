#include "base/test.h"
#include "policy/lint.h"

#define SHA1 "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33"
#define SHA256 SHA1 ":44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"

/* A text of findings: "severity code line" each. */
static struct str told(struct arena *a, const struct policy_lint_finding *v, size_t n)
{
	static const char *const severities[] = {
		[CONF_NOTE] = "note", [CONF_WARNING] = "warning", [CONF_ERROR] = "error"
	};
	struct str all = STR("");

	for (size_t i = 0; i < n; i++)
		all = arena_fmt(a, STR_FMT "%s " STR_FMT " %u;", STR_ARG(all),
				severities[v[i].f.severity], STR_ARG(v[i].f.code), v[i].f.line);
	return all;
}

static const struct {
	const char *rule;
	struct str value;
	struct str findings;
} values[] = {
	{ "a level", STR_INIT("encrypt"), STR_INIT("") },
	{ "with attributes", STR_INIT("secure match=a:b { exclude = x y }"), STR_INIT("") },
	{ "an unknown level", STR_INIT("MUST"), STR_INIT("error policy-invalid-level 7;") },
	{ "an unknown attribute", STR_INIT("may cipher=high"),
	  STR_INIT("error policy-attr-unknown 7;") },
	{ "no value", STR_INIT("may ciphers"), STR_INIT("error policy-attr-malformed 7;") },
	{ "the wrong level", STR_INIT("encrypt match=a"),
	  STR_INIT("error policy-attr-wrong-level 7;") },
	{ "nothing but commas", STR_INIT(" , "), STR_INIT("error policy-empty 7;") },
	{ "attributes without TLS", STR_INIT("none ciphers=high x"),
	  STR_INIT("warning policy-attr-ignored 7;") },
	{ "a fingerprint", STR_INIT("fingerprint match=" SHA256), STR_INIT("") },
	{ "of another digest", STR_INIT("fingerprint match=" SHA1),
	  STR_INIT("error fingerprint-length 7;") },
	{ "of another digest beside a good one", STR_INIT("fingerprint match=" SHA1 "|" SHA256),
	  STR_INIT("warning fingerprint-length 7;") },
	{ "no fingerprint", STR_INIT("fingerprint match=0g|" SHA256),
	  STR_INIT("warning fingerprint-malformed 7;") },
	{ "that of main.cf", STR_INIT("fingerprint"), STR_INIT("") },
	{ "dane without DNSSEC", STR_INIT("dane"), STR_INIT("warning dane-no-dnssec 7;") },
	{ "dane-only without DNSSEC", STR_INIT("dane-only"), STR_INIT("error dane-no-dnssec 7;") },
	{ "raw public keys", STR_INIT("secure enable_rpk=yes"),
	  STR_INIT("warning rpk-unavailable 7;") },
	{ "no raw public keys", STR_INIT("secure enable_rpk=no connection_reuse=no"),
	  STR_INIT("") },
	{ "sessions that are kept", STR_INIT("may connection_reuse=yes"), STR_INIT("") },
	{ "patterns of MTA-STS",
	  STR_INIT("secure match=hostname policy_type=sts mx_host_pattern=a.example"),
	  STR_INIT("") },
	{ "patterns where no name is looked at",
	  STR_INIT("encrypt policy_type=sts mx_host_pattern=a.example"),
	  STR_INIT("warning policy-attr-no-effect 7;") },
	{ "patterns of no policy",
	  STR_INIT("secure policy_type=no-policy-found mx_host_pattern=a.example"),
	  STR_INIT("warning policy-attr-no-effect 7;") },
	{ "a match that patterns outdo",
	  STR_INIT("secure match=nexthop policy_type=sts mx_host_pattern=a.example"),
	  STR_INIT("warning policy-attr-no-effect 7;") },
};

static struct policy_lint_site site_of(const struct policy_lint_routes *r)
{
	return (struct policy_lint_site){
		.routes = r,
		.global = TLS_LEVEL_NONE,
		.dnssec_lack = STR("there is none"),
		.fingerprint_n = 32,
		.fingerprint_digest = STR("sha256"),
		.is_utf8 = true,
		.enforces_sts = true,
	};
}

TEST(policy_lint_values)
{
	struct policy_lint_routes *r = policy_lint_routes_new();
	struct policy_lint_site site = site_of(r);

	FOR_EACH(c, values) {
		struct arena *a = arena_new();
		struct policy_lint_entry e = { STR("example.com"), c->value, STR("texthash:x"),
					       STR("x"), 7 };
		struct policy_lint_findings f = policy_lint_maps(a, &e, 1, &site);

		ok_str(told(a, f.v, f.n), c->findings, c->rule);
		for (size_t i = 0; i < f.n; i++) {
			ok_str(f.v[i].f.file, STR("x"), c->rule);
			ok(f.v[i].f.text.n && f.v[i].f.remedy.n, c->rule);
		}
		arena_free(a);
	}
	policy_lint_routes_free(r);
}

/* Routes are "domain>nexthop" words, "domain>" goes to itself, "nexthop" alone is one more, "?"
 * stands for those that nobody can list. Entries are "key=value", in lines from 1. */
static const struct {
	const char *rule, *routes, *entries;
	struct str findings;
} tables[] = {
	{ "a recipient's domain", "", "example.com=secure", STR_INIT("") },
	{ "a next-hop to the letter", "example.com>[mx.example.com]:587",
	  "[mx.example.com]:587=secure", STR_INIT("") },
	{ "a domain that is sent elsewhere", "example.com>[mx.example.com]:587",
	  "example.com=secure", STR_INIT("warning key-no-nexthop 1;") },
	{ "by an entry for its parent", ".example.com>[mx]", "a.example.com=secure",
	  STR_INIT("warning key-no-nexthop 1;") },
	{ "but for one that is not", ".example.com>[mx] a.example.com>", "a.example.com=secure",
	  STR_INIT("") },
	{ "all mail goes to a relay", "*>[relay.example.net]", "example.com=secure",
	  STR_INIT("warning key-no-nexthop 1;") },
	{ "also below", "*>[relay.example.net]", ".example.com=secure",
	  STR_INIT("warning key-no-nexthop 1;") },
	{ "the relay without its brackets", "*>[relay.example.net]", "relay.example.net=secure",
	  STR_INIT("warning key-no-nexthop 1;") },
	{ "with brackets where there are none", "*>relay.example.net", "[relay.example.net]=secure",
	  STR_INIT("warning key-no-nexthop 1;") },
	{ "with a port where there is none", "*>[relay.example.net]",
	  "[relay.example.net]:25=secure", STR_INIT("warning key-no-nexthop 1;") },
	{ "not to the letter: case does not matter", "*>[Relay.example.net]",
	  "[relay.example.net]=secure", STR_INIT("") },
	{ "next-hops that nobody lists", "*>[relay.example.net] ?",
	  "example.com=secure\n[x]:1=secure\n.example.net=secure", STR_INIT("") },
	{ "a parent of a next-hop", "*>relay.example.net", ".example.net=secure", STR_INIT("") },
	{ "a parent of domains that go to themselves", ".a.example>[mx] .b.a.example>",
	  ".a.example=secure\n.b.a.example=secure", STR_INIT("note key-shadowed 1;") },
	{ "one that is met and one that is not", "*>relay.example.net",
	  ".net=may\n.example.net=secure\nrelay.example.net=secure",
	  STR_INIT("note key-shadowed 1;note key-shadowed 2;") },
	{ "shadowed for some only", "", ".example.com=secure\na.example.com=secure", STR_INIT("") },
	{ "a server of others", "a.example>[mx.b.example]", "mx.b.example=secure",
	  STR_INIT("warning key-near-nexthop 1;") },
	{ "that need not be meant", "a.example>[b.example]", "b.example=secure",
	  STR_INIT("note key-near-nexthop 1;") },
	{ "and is not", "a.example>[b.example]", "b.example=secure\n[b.example]=secure",
	  STR_INIT("") },
	{ "an address literal", "", "[192.0.2.1]=encrypt\n192.0.2.1=encrypt",
	  STR_INIT("warning key-no-nexthop 2;") },

	{ "a star", "", "*.example.com=secure\n*=may",
	  STR_INIT("warning key-wildcard 1;warning "
		   "key-wildcard 2;") },
	{ "an address", "", "a@example.com=secure", STR_INIT("warning key-address 1;") },
	{ "a dot at the end", "", "example.com.=secure", STR_INIT("warning key-trailing-dot 1;") },
	{ "upper case as stored", "", "Example.com=secure", STR_INIT("warning key-upper-case 1;") },
	{ "no name", "", "exa mple=secure\n.[a.example]=secure\n.a.example:25=may",
	  STR_INIT("warning key-syntax 1;warning key-syntax 2;warning key-syntax 3;") },
	{ "letters beyond ASCII alone", "",
	  "b\xc3\xbc"
	  "cher.example=secure",
	  STR_INIT("warning key-u-label 1;") },
	{ "both ways to write it", "",
	  "b\xc3\xbc"
	  "cher.example=secure\nxn--bcher-kva.example=secure",
	  STR_INIT("") },
	{ "twice", "", "a.example=secure\na.example=may", STR_INIT("warning key-duplicate 2;") },

	{ "weaker than the parent", "", ".example.com=secure\nmail.example.com=none",
	  STR_INIT("note entry-weaker-than-parent 2;") },
	{ "the same for a tree", "", ".example.com=secure\n.a.example.com=may",
	  STR_INIT("warning entry-weaker-than-parent 2;") },
	{ "stronger than the parent", "", ".example.com=may\nmail.example.com=secure",
	  STR_INIT("") },
	{ "the nearest parent counts", "",
	  ".example.com=secure\n.a.example.com=may\nb.a.example.com=may",
	  STR_INIT("warning entry-weaker-than-parent 2;") },
	{ "a name that DNS chooses", "", ".example.com=secure\nmail.example.com=verify",
	  STR_INIT("note entry-weaker-than-parent 2;") },
	{ "proofs of another kind", "", ".example.com=secure\nmail.example.com=fingerprint",
	  STR_INIT("") },
	{ "brackets have no parents", "example.com>[mail.example.com]",
	  ".example.com=secure\n[mail.example.com]=none", STR_INIT("") },
};

static struct policy_lint_routes *routes_of(struct str text)
{
	struct policy_lint_routes *r = policy_lint_routes_new();
	struct str word, domain, nexthop;

	while (str_token(&text, STR(" "), &word)) {
		if (str_eq(word, STR("?")))
			policy_lint_route_unlisted(r);
		else if (str_cut(word, '>', &domain, &nexthop))
			policy_lint_route_domain(r, domain, nexthop);
		else
			policy_lint_route_nexthop(r, word);
	}
	return r;
}

static size_t entries_of(struct str text, struct policy_lint_entry *v)
{
	struct str line;
	unsigned n = 0;

	while (str_token(&text, STR("\n"), &line)) {
		v[n] = (struct policy_lint_entry){ .source = STR("texthash:x"),
						   .file = STR("x"),
						   .line = n + 1 };
		CHECK(str_cut(line, '=', &v[n].key, &v[n].value));
		n++;
	}
	return n;
}

TEST(policy_lint_keys)
{
	FOR_EACH(c, tables) {
		struct arena *a = arena_new();
		struct policy_lint_entry v[8];
		size_t n = entries_of(str_of(c->entries), v);
		struct policy_lint_routes *r = routes_of(str_of(c->routes));
		struct policy_lint_site site = site_of(r);
		struct policy_lint_findings f = policy_lint_maps(a, v, n, &site);

		ok_str(told(a, f.v, f.n), c->findings, c->rule);
		policy_lint_routes_free(r);
		arena_free(a);
	}
}

TEST(policy_lint_without_smtputf8)
{
	struct arena *a = arena_new();
	struct policy_lint_routes *r = policy_lint_routes_new();
	struct policy_lint_site site = { .routes = r };
	struct policy_lint_entry e = { .key = STR("b\xc3\xbc"
						  "cher.example"),
				       .value = STR("secure") };
	struct policy_lint_findings f = policy_lint_maps(a, &e, 1, &site);

	ok_str(told(a, f.v, f.n), STR("warning key-not-ascii 0;"), "A-labels");
	ok_str(f.v[0].f.remedy, STR("write xn--bcher-kva.example"), "the remedy");
	policy_lint_routes_free(r);
	arena_free(a);
}

static const struct {
	const char *rule;
	struct str value;
	enum tls_level global;
	struct str findings;
} levels[] = {
	{ "weaker than the global level", STR_INIT("may"), TLS_LEVEL_ENCRYPT,
	  STR_INIT("note entry-weaker-than-global 1;") },
	{ "as strong", STR_INIT("encrypt"), TLS_LEVEL_ENCRYPT, STR_INIT("") },
	{ "none where may is usual", STR_INIT("none"), TLS_LEVEL_MAY,
	  STR_INIT("note entry-weaker-than-global 1;") },
	{ "what is no level is not weak", STR_INIT("x"), TLS_LEVEL_MAY,
	  STR_INIT("error policy-invalid-level 1;") },
};

TEST(policy_lint_against_the_global_level)
{
	struct policy_lint_routes *r = policy_lint_routes_new();

	FOR_EACH(c, levels) {
		struct arena *a = arena_new();
		struct policy_lint_entry e = { .key = STR("a.example"),
					       .value = c->value,
					       .line = 1 };
		struct policy_lint_site site = site_of(r);
		site.global = c->global;
		struct policy_lint_findings f = policy_lint_maps(a, &e, 1, &site);

		ok_str(told(a, f.v, f.n), c->findings, c->rule);
		arena_free(a);
	}
	policy_lint_routes_free(r);
}

TEST(policy_lint_tells_the_first_hundred)
{
	enum { N = 1000 };
	struct arena *a = arena_new();
	struct policy_lint_routes *r = policy_lint_routes_new();
	struct policy_lint_site site = site_of(r);
	struct policy_lint_entry *v = ARENA_ARRAY(a, N, struct policy_lint_entry);

	for (unsigned i = 0; i < N; i++)
		v[i] = (struct policy_lint_entry){ .key = arena_fmt(a, "*.%u.example", i),
						   .value = STR("may"),
						   .line = i + 1 };
	struct policy_lint_findings f = policy_lint_maps(a, v, N, &site);
	ok(f.n == POLICY_LINT_FINDINGS_MAX + 1, "and one for the rest");
	ok_str(f.v[f.n - 1].f.text, STR("and 900 more entries of this kind"), "counted");
	ok(f.v[f.n - 1].f.severity == CONF_WARNING && f.v[f.n - 1].f.line == 0, "as the others");
	policy_lint_routes_free(r);
	arena_free(a);
}

TEST_MAIN(RUN(policy_lint_values), RUN(policy_lint_keys), RUN(policy_lint_without_smtputf8),
	  RUN(policy_lint_against_the_global_level), RUN(policy_lint_tells_the_first_hundred))
