#include "base/test.h"
#include "policy/lint.h"

static const struct mx_record targets[] = { { 10, STR_INIT("mx.example.com") } };
static const struct answer found = { .status = ANSWER_FOUND, .mx = targets, .n_mx = 1 };
static const struct answer none = { .status = ANSWER_NONE };
static const struct answer nxdomain = { .status = ANSWER_NONE, .is_nxdomain = true };

static const struct {
	const char *rule;
	struct str key;
	const struct answer *own, *of_parent;
	struct str asked; /* what is asked once `own` is known */
	struct str code;
} cases[] = {
	{ "a domain with MX records", STR_INIT("example.com"), &found, NULL, STR_INIT(""),
	  STR_INIT("") },
	{ "a domain without", STR_INIT("example.com"), &none, NULL, STR_INIT(""), STR_INIT("") },
	{ "no domain at all", STR_INIT("exmaple.com"), &nxdomain, NULL, STR_INIT(""),
	  STR_INIT("key-no-domain") },
	{ "an MX host", STR_INIT("mx.example.com"), &none, &found, STR_INIT("example.com"),
	  STR_INIT("key-mx-host") },
	{ "another name there", STR_INIT("www.example.com"), &none, &found, STR_INIT("example.com"),
	  STR_INIT("") },
	{ "a parent without MX records", STR_INIT("mx.example.com"), &none, &none,
	  STR_INIT("example.com"), STR_INIT("") },
	{ "an MX host with MX records of its own", STR_INIT("mx.example.com"), &found, NULL,
	  STR_INIT(""), STR_INIT("") },
};

TEST(policy_lint_mx)
{
	struct policy_lint_routes *r = policy_lint_routes_new();
	struct policy_lint_site site = { .routes = r };

	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct policy_lint_entry e = { .key = c->key };
		struct conf_finding f = { .code = STR("") };

		ok_str(policy_lint_mx_question(&e, &site, NULL), c->key, c->rule);
		ok_str(policy_lint_mx_question(&e, &site, c->own), c->asked, c->rule);
		ok(policy_lint_mx(a, &e, c->own, c->of_parent, &f) == (c->code.n > 0), c->rule);
		if (c->code.n)
			ok_str(f.code, c->code, c->rule);
		arena_free(a);
	}
	policy_lint_routes_free(r);
}

TEST(policy_lint_mx_asks_of_domains_only)
{
	static const struct str keys[] = {
		STR_INIT("[mx.example.com]"),  STR_INIT(".example.com"),
		STR_INIT("mx.example.com:25"), STR_INIT("192.0.2.1"),
		STR_INIT("relay.example.net"), STR_INIT("a.sent.example")
	};
	struct policy_lint_routes *r = policy_lint_routes_new();
	struct policy_lint_site site = { .routes = r };

	policy_lint_route_nexthop(r, STR("relay.example.net"));
	policy_lint_route_domain(r, STR(".sent.example"), STR("[x]"));
	FOR_EACH(key, keys) {
		struct policy_lint_entry e = { .key = *key };
		ok(policy_lint_mx_question(&e, &site, NULL).n == 0, key->p);
	}
	policy_lint_routes_free(r);
}

TEST_MAIN(RUN(policy_lint_mx), RUN(policy_lint_mx_asks_of_domains_only))
