#include "policy/convert.h"
#include "policy/policy_test.h"

static const char *const values[] = { NULL,   "MAY",    "none", "MUST_NOPEERMATCH",
				      "must", "verify", "",     "!" };
static const char *const globals[] = {
	"smtp_tls_security_level =\n",
	"smtp_tls_security_level =\nsmtp_use_tls = yes\n",
	"smtp_tls_security_level =\nsmtp_enforce_tls = yes\nsmtp_tls_enforce_peername = no\n",
	"smtp_tls_security_level =\nsmtp_enforce_tls = yes\n",
	"smtp_tls_security_level = fingerprint\nsmtp_tls_fingerprint_cert_match = AA\n",
	"smtp_tls_security_level = dane\n",
	"smtp_tls_security_level = dane-only\n",
	"smtp_tls_security_level = secure\n",
};

static struct answer answer_of(const char *value)
{
	if (!value)
		return (struct answer){ .status = ANSWER_NONE };
	if (!strcmp(value, "!"))
		return (struct answer){ .status = ANSWER_FAILED };
	return (struct answer){ .status = ANSWER_FOUND, .value = str_of(value) };
}

static const struct policy_subject subject = { .nexthop = STR_INIT("[mx.example.com]:25"),
					       .host = STR_INIT("mx.example.com"),
					       .port = 25 };

static struct fixture with(const char *global, const char *maps)
{
	char text[512];

	snprintf(text, sizeof(text), "%s%s", maps, global);
	return fixture_new(text);
}

/* The new table under a new main.cf, in which only smtp_tls_security_level is left. */
static struct policy_decision convert(struct fixture *after, const struct fixture *before,
				      const char *global, const char *nexthop, const char *host)
{
	struct answer n = answer_of(nexthop), h = answer_of(host);
	struct str value = policy_convert(before->cfg, &n, &h);
	char text[512];

	snprintf(text, sizeof(text), "%ssmtp_tls_policy_maps = x\nsmtp_tls_security_level = %s\n",
		 strstr(global, "fingerprint") ? global : "", policy_global_level(before->cfg).p);
	*after = fixture_new(text);
	struct policy_step step = fixture_step(after, &subject);
	struct answer entry = answer_of(value.n ? value.p : NULL);
	ok(step.kind == POLICY_ASK, "a policy table is asked");
	fact_list_add(after->facts, &step.u.ask, &entry);
	return fixture_step(after, &subject).u.decided;
}

static void check(const char *global, const char *nexthop, const char *host)
{
	struct fixture before = with(global, "smtp_tls_per_site = x\n"), after;
	struct policy_decision one = fixture_decide(&before, &subject, nexthop, host);
	struct policy_decision two = convert(&after, &before, global, nexthop, host);
	char rule[256];

	snprintf(rule, sizeof(rule), "%s and %s under %s", nexthop ? nexthop : "-",
		 host ? host : "-", global);
	ok_str(tls_level_name(two.level), tls_level_name(one.level), rule);
	ok(one.error.status.class == two.error.status.class, rule);
	ok(one.n_match == two.n_match && one.n_fingerprints == two.n_fingerprints, rule);
	ok_str(two.cipher_list, one.cipher_list, rule);
	fixture_free(&before);
	fixture_free(&after);
}

TEST(every_pair_decides_as_before)
{
	FOR_EACH(global, globals)
		FOR_EACH(nexthop, values)
			FOR_EACH(host, values)
				check(*global, *nexthop, *host);
}

TEST(the_host_is_not_always_asked)
{
	struct fixture f = fixture_new("smtp_tls_security_level = encrypt\n");
	struct answer may = answer_of("MAY"), none = answer_of("NONE");

	ok_str(policy_convert(f.cfg, &may, NULL), STR("encrypt"), "MAY yields");
	ok_str(policy_convert(f.cfg, &none, NULL), STR("none"), "NONE does not");
	fixture_free(&f);
}

static const struct {
	struct str one, other, want;
} stronger[] = {
	{ STR_INIT("none"), STR_INIT("may"), STR_INIT("may") },
	{ STR_INIT("none"), STR_INIT(""), STR_INIT("") }, /* the global level: encrypt */
	{ STR_INIT("may"), STR_INIT(""), STR_INIT("") },
	{ STR_INIT("verify"), STR_INIT(""), STR_INIT("verify") },
	{ STR_INIT("verify"), STR_INIT("invalid"), STR_INIT("invalid") },
	{ STR_INIT("encrypt"), STR_INIT(""), STR_INIT("encrypt") },
};

TEST(the_stronger_of_two_values)
{
	struct fixture f = fixture_new("smtp_tls_security_level = encrypt\n");

	FOR_EACH(c, stronger) {
		ok_str(policy_convert_stronger(f.cfg, c->one, c->other), c->want, c->one.p);
		if (c->one.p[0] != 'e')
			ok_str(policy_convert_stronger(f.cfg, c->other, c->one), c->want, c->one.p);
	}
	fixture_free(&f);
}

TEST(classes_of_answers)
{
	static const char *const names[] = { "no entry",         "MAY",   "NONE",
					     "MUST_NOPEERMATCH", "MUST",  "unknown keyword",
					     "failed",           "failed" };

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct answer answer = answer_of(values[i]);

		ok_str(policy_per_site_class(&answer), str_of(names[i]), names[i]);
	}
}

TEST_MAIN(RUN(every_pair_decides_as_before), RUN(the_host_is_not_always_asked),
	  RUN(the_stronger_of_two_values), RUN(classes_of_answers))
