#include "policy/names.h"
#include "base/test.h"

static struct str joined(struct arena *a, const struct policy_decision *d)
{
	struct str out = STR("");

	for (size_t i = 0; i < d->n_names; i++)
		out = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "|" : "",
				STR_ARG(d->names[i]));
	return out;
}

static const struct {
	const char *rule, *list, *want, *code;
} expansions[] = {
	{ "host, to A-labels", "hostname", "mx1.xn--bcher-kva.example" },
	{ "strategy words in any case", "NextHop, Dot-NextHop", "Example.COM|.Example.COM" },
	{ "patterns", "a.example .b.example:c.example", "a.example|.b.example|c.example" },
	{ "to A-labels", "bücher.example", "xn--bcher-kva.example" },
	{ "to A-labels below a dot", ".bücher.example", ".xn--bcher-kva.example" },
	{ "ideographic full stop",
	  "\xe3\x80\x82"
	  "example.com",
	  ".example.com" },
	{ "fullwidth full stop",
	  "\xef\xbc\x8e"
	  "example.com",
	  ".example.com" },
	{ "halfwidth full stop",
	  "\xef\xbd\xa1"
	  "example.com",
	  ".example.com" },
	{ "repeats stay", "a.example a.example", "a.example|a.example" },
	{ "two dots", "..", ".." },
	{ "brackets have no meaning", "[a.example]", "[a.example]" },
	{ "a lone dot is dropped", ". a.example", "a.example", "tls-bad-match-name" },
	{ "a lone ideographic dot is dropped", "\xe3\x80\x82", "", "tls-no-match-names" },
	{ "one address", "192.0.2.1", "192.0.2.1" },
	{ "a second address is dropped", "192.0.2.1 192.0.2.2 a.example", "192.0.2.1|a.example",
	  "tls-bad-match-name" },
	{ "nothing", ",", "", "tls-no-match-names" },
};

TEST(expansion)
{
	FOR_EACH(c, expansions) {
		struct policy_trace t = { .a = arena_new() };
		struct policy_decision d = { .host = STR("mx1.bücher.example"),
					     .domain = STR("Example.COM") };

		d.match = policy_match_list(t.a, str_of(c->list), &d.n_match);
		policy_names_expand(&t, &d);
		ok_str(joined(t.a, &d), str_of(c->want), c->rule);
		ok(d.never_matches == (d.n_names == 0), c->rule);
		ok(c->code ? str_eq(t.v[t.n - 1].code, str_of(c->code)) : t.n == 0, c->rule);
		arena_free(t.a);
	}
}

static const struct {
	const char *servername, *want;
} snis[] = {
	{ "", "" },
	{ "hostname", "mx.xn--bcher-kva.example" },
	{ "nexthop", "xn--bcher-kva.example" },
	{ "Hostname", "Hostname" },
	{ "mail.example.com", "mail.example.com" },
};

TEST(server_name)
{
	struct arena *a = arena_new();

	FOR_EACH(c, snis) {
		struct policy_decision d = { .host = STR("mx.bücher.example"),
					     .domain = STR("bücher.example"),
					     .servername = str_of(c->servername) };

		ok_str(policy_sni(a, &d), str_of(c->want), c->servername);
	}
	arena_free(a);
}

static const struct {
	const char *rule, *presented, *reference;
	bool want;      /* tls_wildcard_matches_multiple_labels = no */
	bool want_many; /* = yes */
} matches[] = {
	{ "equal", "mx.example.com", "mx.example.com", true, true },
	{ "case does not matter", "MX.Example.com", "mx.eXample.com", true, true },
	{ "another name", "mx2.example.com", "mx.example.com", false, false },
	{ "a longer name", "a.mx.example.com", "mx.example.com", false, false },
	{ "a trailing dot is another name", "mx.example.com.", "mx.example.com", false, false },
	{ "star is one label", "*.example.com", "mx.example.com", true, true },
	{ "star is one label in any case", "*.EXAMPLE.com", "MX.example.COM", true, true },
	{ "star and two labels", "*.example.com", "a.mx.example.com", false, true },
	{ "star and many labels", "*.example.com", "a.b.c.d.example.com", false, true },
	{ "star and an empty label", "*.example.com", "a..example.com", false, false },
	{ "star and a leading dot is a parent", "*.example.com", ".example.com", true, true },
	{ "two labels, another domain", "*.example.com", "a.b.example.net", false, false },
	{ "two labels and an underscore", "*.example.com", "a_b.c.example.com", false, false },
	{ "two labels behind a one-label parent", "*.com", "a.b.com", false, false },
	{ "star is not none", "*.example.com", "example.com", false, false },
	{ "star needs two labels behind it", "*.com", "example.com", false, false },
	{ "star is the whole label", "m*.example.com", "mx.example.com", false, false },
	{ "star is the first label", "mx.*.example.com", "mx.a.example.com", false, false },
	{ "star alone", "*", "mx", false, false },
	{ "two stars", "*.*.example.com", "a.b.example.com", false, false },
	{ "an empty label behind the star", "*..example.com", "a..example.com", false, false },
	{ "hyphens behind the star", "*.-a.example.com", "b.-a.example.com", false, false },
	{ "star stands for letters, digits, hyphens", "*.example.com", "a_b.example.com", false,
	  false },
	{ "star literally", "*.com", "*.com", true, true },
	{ "below", "mx.example.com", ".example.com", true, true },
	{ "below at any depth", "a.b.example.com", ".example.com", true, true },
	{ "a wildcard lies below", "*.example.com", ".example.com", true, true },
	{ "a deeper wildcard, too", "*.b.example.com", ".example.com", true, true },
	{ "not the name itself", "example.com", ".example.com", false, false },
	{ "not a longer label", "badexample.com", ".example.com", false, false },
	{ "not an empty label", ".example.com", ".example.com", false, false },
	{ "nothing matches nothing", "", "", false, false },
	{ "nothing presented", "", ".example.com", false, false },
};

TEST(policy_name_matches)
{
	FOR_EACH(c, matches) {
		struct str p = test_exact(str_of(c->presented));
		struct str r = test_exact(str_of(c->reference));

		ok(policy_name_matches(p, r, POLICY_WILDCARD_ONE_LABEL) == c->want, c->rule);
		ok(policy_name_matches(p, r, POLICY_WILDCARD_MANY_LABELS) == c->want_many, c->rule);
		free((char *)p.p);
		free((char *)r.p);
	}
}

TEST_MAIN(RUN(expansion), RUN(server_name), RUN(policy_name_matches))
