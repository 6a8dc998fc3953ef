#include "base/test.h"
#include "policy/lint.h"

#define DAY_S 86400
#define NOW 1795305600 /* 2026-11-22 */

static const struct {
	const char *rule;
	enum policy_lint_file kind;
	int begins_day, ends_day;
	size_t n_good, n_keys; /* beside it */
	enum conf_severity severity;
	struct str code, text;
} cases[] = {
	{ "good for long", POLICY_LINT_CA, -10, 40, 0, 0, CONF_NOTE, STR_INIT(""), STR_INIT("") },
	{ "until the very end of the time", POLICY_LINT_CA, -10, 14, 0, 0, CONF_NOTE, STR_INIT(""),
	  STR_INIT("") },
	{ "expiring", POLICY_LINT_CA, -10, 13, 0, 0, CONF_WARNING, STR_INIT("ca-expiring"),
	  STR_INIT("ca.pem: the certificate of CN=x expires on 2026-12-05, in 13 days") },
	{ "expired", POLICY_LINT_CA, -20, -10, 0, 0, CONF_ERROR, STR_INIT("ca-expired"),
	  STR_INIT("ca.pem: the certificate of CN=x expired on 2026-11-12: no server is trusted "
		   "by this file") },
	{ "expired, beside a good one", POLICY_LINT_CA, -20, -10, 1, 0, CONF_WARNING,
	  STR_INIT("ca-expired"),
	  STR_INIT("ca.pem: the certificate of CN=x expired on 2026-11-12: servers that it signed "
		   "are not trusted") },
	{ "expired, one of a bundle", POLICY_LINT_CA, -20, -10, 20, 0, CONF_NOTE, STR_INIT(""),
	  STR_INIT("") },
	{ "not yet valid", POLICY_LINT_CA, 10, 40, 0, 0, CONF_ERROR, STR_INIT("ca-not-yet-valid"),
	  STR_INIT("ca.pem: the certificate of CN=x is valid from 2026-12-02: no server is trusted "
		   "by this file") },
	{ "an anchor", POLICY_LINT_ANCHORS, -20, -10, 0, 0, CONF_ERROR,
	  STR_INIT("trust-anchor-expired"),
	  STR_INIT("ca.pem: the certificate of CN=x expired on 2026-11-12: no server is trusted "
		   "by this file") },
	{ "an anchor beside a key, which stays", POLICY_LINT_ANCHORS, -20, -10, 0, 1, CONF_WARNING,
	  STR_INIT("trust-anchor-expired"),
	  STR_INIT("ca.pem: the certificate of CN=x expired on 2026-11-12: servers that it signed "
		   "are not trusted") },
	{ "our own", POLICY_LINT_CLIENT, -20, -10, 0, 0, CONF_WARNING,
	  STR_INIT("client-certificate-expired"),
	  STR_INIT("ca.pem: the certificate of CN=x expired on 2026-11-12: servers that ask for it "
		   "may refuse the mail") },
	{ "our own, soon", POLICY_LINT_CLIENT, -20, 1, 0, 0, CONF_WARNING,
	  STR_INIT("client-certificate-expiring"),
	  STR_INIT("ca.pem: the certificate of CN=x expires on 2026-11-23, in 1 days") },
};

TEST(policy_lint_certs)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct policy_lint_cert v[32] = { { STR("CN=x"), NOW + c->begins_day * DAY_S,
						    NOW + c->ends_day * DAY_S } };
		struct policy_lint_certs certs = { c->kind, STR("ca.pem"), v, 1 + c->n_good,
						   c->n_keys };

		for (size_t i = 1; i <= c->n_good; i++)
			v[i] = (struct policy_lint_cert){ STR("CN=y"), 0, NOW + 4000 * DAY_S };
		struct conf_findings f = policy_lint_certs(a, &certs, NOW, 14 * DAY_S);
		ok(f.n == (c->code.n > 0), c->rule);
		if (f.n) {
			ok_str(f.v[0].code, c->code, c->rule);
			ok_str(f.v[0].text, c->text, c->rule);
			ok(f.v[0].severity == c->severity && f.v[0].remedy.n, c->rule);
		}
		arena_free(a);
	}
}

TEST(policy_lint_certs_of_an_empty_file)
{
	struct arena *a = arena_new();
	struct policy_lint_certs none = { .path = STR("x") };

	ok(policy_lint_certs(a, &none, NOW, 0).n == 0, "nothing is told");
	arena_free(a);
}

TEST_MAIN(RUN(policy_lint_certs), RUN(policy_lint_certs_of_an_empty_file))
