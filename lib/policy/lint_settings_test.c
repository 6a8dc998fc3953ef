#include "policy/lint.h"
#include "policy/policy_test.h"

/* What an entry beside its parent entry asks for; told "" or the aspects that are lower. */
static const struct {
	const char *rule, *parent, *value, *lower;
} cases[] = {
	{ "the same", "secure ciphers=high", "secure ciphers=high", "" },
	{ "attributes are not taken over", "secure ciphers=high", "secure", ": ciphers" },
	{ "more", "secure", "secure ciphers=high", "" },
	{ "older versions", "secure protocols=TLSv1.3", "secure", ": protocols" },
	{ "one more name", "secure match=nexthop", "secure match=nexthop:.provider.example",
	  ": names" },
	{ "another name, which is neither", "secure match=a.example", "secure match=b.example",
	  "" },
	{ "another level is told elsewhere", "secure ciphers=high", "may", "" },
	{ "a stronger level", "encrypt ciphers=high", "secure", "" },
	{ "wishes are no demands", "may ciphers=high", "may", "" },
	{ "a parent that does not parse", "secure x=y", "secure", "" },
	{ "anchors are taken to be there", "secure tafile=/x ciphers=high", "secure tafile=/x",
	  ": ciphers" },
};

TEST(policy_lint_settings)
{
	FOR_EACH(c, cases) {
		struct fixture f = fixture_new("smtp_tls_policy_maps = hash:x\n");
		struct policy_lint_routes *r = policy_lint_routes_new();
		struct policy_lint_site site = { .routes = r };
		struct policy_lint_entry v[] = {
			{ .key = STR(".example.com"), .value = str_of(c->parent), .line = 1 },
			{ .key = STR("a.example.com"), .value = str_of(c->value), .line = 2 },
			{ .key = STR("a.example.net"), .value = str_of(c->value), .line = 3 },
		};
		struct policy_lint_findings found =
			policy_lint_settings(f.a, v, ARRAY_LEN(v), &site, f.conf, f.cfg);

		ok(found.n == (*c->lower ? 1 : 0), c->rule);
		if (found.n) {
			ok(found.v[0].f.line == 2 && found.v[0].f.severity == CONF_NOTE, c->rule);
			ok_str(found.v[0].f.code, STR("entry-weaker-than-parent"), c->rule);
			ok(str_has_suffix(found.v[0].f.text, str_of(c->lower)), c->rule);
		}
		policy_lint_routes_free(r);
		fixture_free(&f);
	}
}

TEST_MAIN(RUN(policy_lint_settings))
