#include "policy/policy_test.h"

static const struct {
	const char *rule, *main_cf;
	enum tls_level want;
} levels[] = {
	{ "default of 3.11", "", TLS_LEVEL_MAY },
	{ "default before 3.11", "compatibility_level = 3.9\n", TLS_LEVEL_NONE },
	{ "any case", "smtp_tls_security_level = SeCuRe\n", TLS_LEVEL_SECURE },
	{ "the level has the whole say", "smtp_tls_security_level = may\nsmtp_enforce_tls = yes\n",
	  TLS_LEVEL_MAY },
	{ "enforce", "smtp_tls_security_level =\nsmtp_enforce_tls = yes\n", TLS_LEVEL_VERIFY },
	{ "enforce without names",
	  "smtp_tls_security_level =\nsmtp_enforce_tls = yes\nsmtp_tls_enforce_peername = no\n",
	  TLS_LEVEL_ENCRYPT },
	{ "use", "smtp_tls_security_level =\nsmtp_use_tls = yes\n", TLS_LEVEL_MAY },
	{ "enforce_peername alone", "smtp_tls_security_level =\nsmtp_tls_enforce_peername = yes\n",
	  TLS_LEVEL_NONE },
	{ "nothing", "smtp_tls_security_level =\n", TLS_LEVEL_NONE },
};

static const struct policy_subject subject = { .nexthop = STR_INIT("example.com"),
					       .host = STR_INIT("mx1.example.com"),
					       .port = 25 };

TEST(global_level)
{
	FOR_EACH(c, levels) {
		struct fixture f = fixture_new(c->main_cf);
		struct policy_step step;

		ok(f.cfg, c->rule);
		step = fixture_step(&f, &subject);
		ok(step.kind == POLICY_DECIDED && step.u.decided.level == c->want, c->rule);
		ok_str(step.u.decided.trace[step.u.decided.deciding].code, STR("global-level"),
		       c->rule);
		fixture_free(&f);
	}
}

static const struct {
	const char *rule, *main_cf;
} fatal[] = {
	{ "halfdane is no level", "smtp_tls_security_level = halfdane\n" },
	{ "two words", "smtp_tls_security_level = may encrypt\n" },
	{ "also when a table would decide",
	  "smtp_tls_security_level = must\nsmtp_tls_per_site = static:MUST\n" },
	{ "no boolean", "smtp_use_tls = true\n" },
	{ "empty grade", "smtp_tls_ciphers =\n" },
	{ "empty mandatory grade", "smtp_tls_mandatory_ciphers =\n" },
	{ "empty verify match", "smtp_tls_verify_cert_match =\n" },
	{ "empty secure match", "smtp_tls_secure_cert_match =\n" },
	{ "empty digest", "smtp_tls_fingerprint_digest =\n" },
	{ "insecure MX policy", "smtp_tls_dane_insecure_mx_policy = secure\n" },
	{ "DNS support level", "smtp_dns_support_level = bogus\n" },
};

TEST(fatal_at_start)
{
	FOR_EACH(c, fatal) {
		struct fixture f = fixture_new(c->main_cf);

		ok(!f.cfg, c->rule);
		fixture_free(&f);
	}
}

/* The same engine under LMTP's names and values. */
TEST(lmtp_is_decided_by_its_own_parameters)
{
	struct fixture f = fixture_new("smtp_tls_security_level = encrypt\n"
				       "smtp_tls_policy_maps = texthash:/x\n"
				       "lmtp_use_tls = yes\n"
				       "lmtp_tls_per_site = texthash:/y\n");
	struct policy_subject s = {
		.nexthop = STR("a.example"), .host = STR("h.example"), .port = 24, .is_lmtp = true
	};
	struct policy_step step;

	f.cfg = policy_config_new(f.a, conf_lmtp(f.conf), &f.e);
	ok(f.cfg, f.e.text);
	ok_str(policy_config_tables(f.cfg), STR("lmtp_tls_per_site"), "its tables");
	while ((step = fixture_step(&f, &s)).kind == POLICY_ASK) {
		struct answer none = { .status = ANSWER_NONE };
		ok_str(step.u.ask.table, STR("lmtp_tls_per_site"), "asked");
		fact_list_add(f.facts, &step.u.ask, &none);
	}
	ok(step.u.decided.level == TLS_LEVEL_MAY, "its level");
	ok_str(trace_text(f.a, &step.u.decided.trace[0]),
	       STR("the global level is may: lmtp_use_tls = yes"), "its name");
	ok_str(step.u.decided.trace[0].key, STR("lmtp_use_tls"), "the key");
	fixture_free(&f);
}

TEST_MAIN(RUN(global_level), RUN(fatal_at_start), RUN(lmtp_is_decided_by_its_own_parameters))
