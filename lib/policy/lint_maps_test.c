#include "base/test.h"
#include "policy/lint.h"

static const struct {
	const char *rule;
	struct str value;
	struct str code; /* "" : nothing is found */
	enum conf_severity severity;
} cases[] = {
	{ "a level", STR_INIT("encrypt"), STR_INIT(""), CONF_NOTE },
	{ "with attributes", STR_INIT("secure match=a:b { exclude = x y }"), STR_INIT(""),
	  CONF_NOTE },
	{ "an unknown level", STR_INIT("MUST"), STR_INIT("policy-invalid-level"), CONF_ERROR },
	{ "an unknown attribute", STR_INIT("may cipher=high"), STR_INIT("policy-attr-unknown"),
	  CONF_ERROR },
	{ "no value", STR_INIT("may ciphers"), STR_INIT("policy-attr-malformed"), CONF_ERROR },
	{ "the wrong level", STR_INIT("encrypt match=a"), STR_INIT("policy-attr-wrong-level"),
	  CONF_ERROR },
	{ "nothing but commas", STR_INIT(" , "), STR_INIT("policy-empty"), CONF_ERROR },
	{ "attributes without TLS", STR_INIT("none ciphers=high x"),
	  STR_INIT("policy-attr-ignored"), CONF_WARNING },
};

TEST(policy_lint_maps)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct policy_lint_entry e = { STR("example.com"), c->value, STR("tls_policy"), 7 };
		struct conf_findings f = policy_lint_maps(a, &e, 1);

		ok(f.n == (c->code.n > 0), c->rule);
		if (f.n > 0) {
			ok_str(f.v[0].code, c->code, c->rule);
			ok(f.v[0].severity == c->severity && f.v[0].line == 7, c->rule);
			ok_str(f.v[0].file, STR("tls_policy"), c->rule);
			ok(f.v[0].text.n && f.v[0].remedy.n, c->rule);
		}
		arena_free(a);
	}
}

TEST_MAIN(RUN(policy_lint_maps))
