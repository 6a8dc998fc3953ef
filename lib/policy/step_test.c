#include "base/buf.h"
#include "policy/policy_test.h"

static const struct policy_subject subject = { .nexthop = STR_INIT("[mail.example.com]:465"),
					       .host = STR_INIT("mail.example.com"),
					       .port = 465 };

static struct str json_of(struct arena *a, const struct policy_decision *d)
{
	struct buf out;
	struct json j;
	struct str text;

	buf_init(&out, 64 * 1024);
	json_init(&j, &out, false);
	policy_decision_json(&j, d);
	ok(json_end(&j), "fits");
	text = arena_str(a, buf_str(&out));
	buf_fini(&out);
	return text;
}

TEST(equal_arguments_give_equal_steps)
{
	struct fixture f = fixture_new("smtp_tls_per_site = static:x\n");
	struct policy_decision d = fixture_decide(&f, &subject, "MUST", "MAY");
	struct policy_step again = fixture_step(&f, &subject);

	ok_str(json_of(f.a, &again.u.decided), json_of(f.a, &d), "the same octets");
	fixture_free(&f);
}

TEST(other_facts_play_no_part)
{
	struct fixture f = fixture_new("smtp_tls_per_site = static:x\n");
	struct fixture g = fixture_new("smtp_tls_per_site = static:x\n");
	struct policy_decision d = fixture_decide(&f, &subject, "MUST", "MAY"), e;

	fixture_answer(&g, STR("example.net"), "!");
	fixture_answer(&g, STR("mail.example.com:465"), "NONE");
	e = fixture_decide(&g, &subject, "MUST", "MAY");
	ok_str(json_of(f.a, &e), json_of(f.a, &d), "the same decision");
	fixture_free(&f);
	fixture_free(&g);
}

static const struct {
	const char *rule, *main_cf;
	enum tls_level want;
	bool is_lowered;
} required_no[] = {
	{ "lowers to may", "smtp_tls_security_level = secure\n", TLS_LEVEL_MAY, true },
	{ "never raises", "smtp_tls_security_level = none\n", TLS_LEVEL_NONE, false },
	{ "no table is asked", "smtp_tls_per_site = static:MUST\n", TLS_LEVEL_MAY, false },
	{ "at most encrypt in wrapper mode",
	  "smtp_tls_security_level = verify\nsmtp_tls_wrappermode = yes\n", TLS_LEVEL_ENCRYPT,
	  true },
	{ "dane-only becomes may", "smtp_tls_security_level = dane-only\n", TLS_LEVEL_MAY, true },
	{ "switched off", "smtp_tls_security_level = secure\ntls_required_enable = no\n",
	  TLS_LEVEL_SECURE, false },
	{ "a login for LMTP is none for SMTP",
	  "smtp_tls_security_level = secure\nlmtp_sasl_auth_enable = yes\n", TLS_LEVEL_MAY, true },
};

TEST(tls_required_no)
{
	struct policy_subject s = subject;

	s.has_tls_required_no = true;
	FOR_EACH(c, required_no) {
		struct fixture f = fixture_new(c->main_cf);
		struct policy_decision d = fixture_decide(&f, &s, "MUST", "MUST");

		ok(d.level == c->want && f.asked == 0, c->rule);
		ok(str_eq(d.trace[d.deciding].code, STR("tls-required-no")) == c->is_lowered,
		   c->rule);
		fixture_free(&f);
	}
}

TEST(a_login_is_not_given_up_with_the_message)
{
	struct policy_subject s = subject;

	s.has_tls_required_no = true;
	for (int is_lmtp = 0; is_lmtp < 2; is_lmtp++) {
		struct fixture f = fixture_new("smtp_tls_security_level = secure\n"
					       "lmtp_tls_security_level = secure\n"
					       "smtp_sasl_auth_enable = yes\n"
					       "lmtp_sasl_auth_enable = yes\n");
		s.is_lmtp = is_lmtp == 1;
		if (s.is_lmtp)
			f.cfg = policy_config_new(f.a, conf_lmtp(f.conf), &f.e);
		struct policy_decision d = fixture_decide(&f, &s, NULL, NULL);

		ok(d.level == TLS_LEVEL_SECURE, "what main.cf says");
		ok(fixture_has_step(&d, "login-over-header"), "and why");
		ok(!fixture_has_step(&d, "tls-required-no"), "nothing was lowered");
		fixture_free(&f);
	}
	struct fixture f = fixture_new("smtp_tls_per_site = static:MUST\n"
				       "smtp_sasl_auth_enable = yes\n");
	s.is_lmtp = false;
	struct policy_decision d = fixture_decide(&f, &s, "MUST", "MUST");
	ok(d.level == TLS_LEVEL_VERIFY && f.asked > 0, "tables are asked");
	fixture_free(&f);
}

static const struct {
	const char *rule, *main_cf, *code;
} invalid[] = {
	{ "dane-only without DNSSEC", "smtp_tls_security_level = dane-only\n", "dane-no-dnssec" },
	{ "no fingerprint", "smtp_tls_security_level = fingerprint\n", "fingerprint-none" },
	{ "server name", "smtp_tls_servername = a..b\n", "invalid-hostname" },
	{ "server name outside ASCII", "smtp_tls_servername = bücher.example\n",
	  "invalid-hostname" },
};

TEST(what_cannot_be_decided_is_invalid_and_never_weaker)
{
	FOR_EACH(c, invalid) {
		struct fixture f = fixture_new(c->main_cf);
		struct policy_decision d;

		if (!f.cfg) { /* refused at start-up: stricter still */
			fixture_free(&f);
			continue;
		}
		d = fixture_decide(&f, &subject, NULL, NULL);
		ok(d.level == TLS_LEVEL_INVALID && d.error.status.detail == 5, c->rule);
		ok_str(d.trace[d.deciding].code, str_of(c->code), c->rule);
		ok(!d.protocols.p && !d.names && !d.cipher_list.p, "nothing is left to be used");
		fixture_free(&f);
	}
}

TEST(a_bad_server_name_does_not_matter_without_tls)
{
	struct fixture f =
		fixture_new("smtp_tls_security_level = none\nsmtp_tls_servername = a..b\n");

	ok(fixture_decide(&f, &subject, NULL, NULL).level == TLS_LEVEL_NONE, "none");
	fixture_free(&f);
}

TEST(wrapper_mode_needs_encrypt)
{
	struct fixture f =
		fixture_new("smtp_tls_security_level = may\nsmtp_tls_wrappermode = yes\n");
	struct fixture g =
		fixture_new("smtp_tls_security_level = encrypt\nsmtp_tls_wrappermode = yes\n");
	struct policy_decision d = fixture_decide(&f, &subject, NULL, NULL);

	ok(d.level == TLS_LEVEL_MAY && !policy_decision_allows_host(&d), "may: not this host");
	ok(fixture_has_step(&d, "wrappermode-needs-encrypt"), "named");
	d = fixture_decide(&g, &subject, NULL, NULL);
	ok(policy_decision_allows_host(&d), "encrypt");
	fixture_free(&f);
	fixture_free(&g);
}

TEST(a_malformed_nexthop_asks_nothing)
{
	struct policy_subject s = { .nexthop = STR_INIT("example.com."), .host = STR_INIT("x") };
	struct fixture f = fixture_new("smtp_tls_per_site = static:MUST\n");
	struct policy_decision d = fixture_decide(&f, &s, NULL, NULL);

	ok(f.asked == 0 && d.level == TLS_LEVEL_INVALID, "invalid");
	ok_str(d.trace[d.deciding].code, STR("nexthop-syntax"), "why");
	fixture_free(&f);
}

TEST(unusable_settings_are_named)
{
	struct fixture f = fixture_new(
		"smtp_tls_security_level = verify\nsmtp_tls_mandatory_protocols = foo\n");
	struct policy_decision d = fixture_decide(&f, &subject, NULL, NULL);

	ok(d.level == TLS_LEVEL_VERIFY && !d.is_usable && d.n_names == 0, "level stands");
	ok_str(d.problem, STR("\"foo\" in the protocol list is no TLS version"), "problem");
	ok(fixture_has_step(&d, "tls-invalid-protocols"), "named");
	fixture_free(&f);
}

/* Random walk over everything that decides: what comes out is never weaker than the operator's own
 * words, a failed lookup never gives a level, and no decision is without a reason. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

#define PICK(seed, list) (list)[next_random(seed) % ARRAY_LEN(list)]

TEST(random_walk)
{
	static const char *const globals[] = { "none", "may",       "encrypt", "fingerprint",
					       "dane", "dane-only", "verify",  "secure" };
	static const char *const values[] = { NULL,   "MAY", "NONE", "MUST_NOPEERMATCH",
					      "MUST", "x",   "!" };
	static const char *const hosts[] = { "mx1.example.com", "example.com", "192.0.2.1",
					     "b\xc3\xbc" };
	static const char *const more[] = { "", "smtp_tls_wrappermode = yes\n",
					    "smtp_tls_mandatory_ciphers = null\n",
					    "smtp_tls_verify_cert_match = .,\n" };
	uint32_t seed = 7;

	for (int i = 0; i < 2000; i++) {
		struct policy_subject s = { .nexthop = STR_INIT("example.com"), .port = 25 };
		const char *of_nexthop = PICK(&seed, values), *of_host = PICK(&seed, values);
		char text[300];
		struct fixture f;
		struct policy_decision d;

		s.host = str_of(PICK(&seed, hosts));
		snprintf(text, sizeof(text),
			 "smtp_tls_per_site = static:x\nsmtp_tls_security_level = %s\n%s",
			 PICK(&seed, globals), PICK(&seed, more));
		f = fixture_new(text);
		d = fixture_decide(&f, &s, of_nexthop, of_host);
		ok(d.n_trace > 0 && d.n_trace <= POLICY_TRACE_MAX && d.deciding < d.n_trace, text);
		ok((d.level == TLS_LEVEL_INVALID) == (d.error.status.class != 0), text);
		ok(!of_nexthop || of_nexthop[0] != '!' || d.level == TLS_LEVEL_INVALID, text);
		ok(!of_nexthop || strcmp(of_nexthop, "MUST") || d.level == TLS_LEVEL_VERIFY ||
			   d.level == TLS_LEVEL_INVALID,
		   text);
		fixture_free(&f);
	}
}

TEST(wildcards_as_configured)
{
	static const struct {
		const char *main_cf;
		enum policy_wildcard want;
	} rows[] = {
		{ "smtp_tls_security_level = secure\n", POLICY_WILDCARD_MANY_LABELS },
		{ "smtp_tls_security_level = verify\ntls_wildcard_matches_multiple_labels = yes\n",
		  POLICY_WILDCARD_MANY_LABELS },
		{ "smtp_tls_security_level = verify\ntls_wildcard_matches_multiple_labels = no\n",
		  POLICY_WILDCARD_ONE_LABEL },
	};
	struct policy_subject s = { STR("example.com"), STR("mx.example.com"), 25, false };

	FOR_EACH(row, rows) {
		struct fixture f = fixture_new(row->main_cf);

		ok(fixture_decide(&f, &s, NULL, NULL).wildcard == row->want, row->main_cf);
		fixture_free(&f);
	}
}

TEST_MAIN(RUN(wildcards_as_configured), RUN(equal_arguments_give_equal_steps),
	  RUN(other_facts_play_no_part), RUN(tls_required_no),
	  RUN(a_login_is_not_given_up_with_the_message),
	  RUN(what_cannot_be_decided_is_invalid_and_never_weaker),
	  RUN(a_bad_server_name_does_not_matter_without_tls), RUN(wrapper_mode_needs_encrypt),
	  RUN(a_malformed_nexthop_asks_nothing), RUN(unusable_settings_are_named), RUN(random_walk))
