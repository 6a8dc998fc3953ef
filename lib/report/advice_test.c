#include "report/dsn.h"

#include "base/test.h"

static const struct {
	const char *rule;
	enum tls_level level;
	enum tls_result result;
	bool is_acceptable;
	uint8_t error_class, refusal_class;
	struct str want;
} cases[] = {
	{ "nothing when TLS is in order", TLS_LEVEL_ENCRYPT, TLS_RESULT_NONE, true, 0, 0,
	  STR_INIT("") },
	{ "no STARTTLS", TLS_LEVEL_ENCRYPT, TLS_RESULT_STARTTLS_NOT_SUPPORTED, false, 0, 0,
	  STR_INIT("Mail to example.com leaves here only over an encrypted connection (TLS level "
		   "encrypt). The receiving server did not offer that, or refused it: its operator "
		   "can turn it on (STARTTLS).") },
	{ "another name", TLS_LEVEL_SECURE, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, false, 0, 0,
	  STR_INIT("Mail to example.com leaves here only over an encrypted connection to a server "
		   "that proves with a certificate who it is (TLS level secure). The certificate "
		   "of the receiving server is for another name: its operator can install one for "
		   "the right name.") },
	{ "expired", TLS_LEVEL_VERIFY, TLS_RESULT_CERTIFICATE_EXPIRED, false, 0, 0,
	  STR_INIT("Mail to example.com leaves here only over an encrypted connection to a server "
		   "that proves with a certificate who it is (TLS level verify). The certificate "
		   "of the receiving server has expired, or is not valid yet: its operator can "
		   "renew it.") },
	{ "another certificate", TLS_LEVEL_FINGERPRINT, TLS_RESULT_CERTIFICATE_NOT_TRUSTED, false,
	  0, 0,
	  STR_INIT("Mail to example.com leaves here only over an encrypted connection to a server "
		   "with a certificate that was agreed upon (TLS level fingerprint). The "
		   "certificate of the receiving server is another one, perhaps a new one: its "
		   "operator and your postmaster can agree on it.") },
	{ "another issuer", TLS_LEVEL_DANE, TLS_RESULT_CERTIFICATE_NOT_TRUSTED, false, 0, 0,
	  STR_INIT("Mail to example.com leaves here only over an encrypted connection to a server "
		   "that proves with a certificate who it is (TLS level dane). The certificate of "
		   "the receiving server is not from an issuer that is trusted here: its operator "
		   "can install one that is, or agree with your postmaster on this one.") },
	{ "no agreement", TLS_LEVEL_ENCRYPT, TLS_RESULT_VALIDATION_FAILURE, false, 0, 0,
	  STR_INIT("Mail to example.com leaves here only over an encrypted connection (TLS level "
		   "encrypt). The two servers could not agree on how to encrypt: your postmaster "
		   "and the operator of the receiving server can find out why.") },
	{ "a policy that cannot be used", TLS_LEVEL_INVALID, TLS_RESULT_NONE, false, 4, 0,
	  STR_INIT("The rules for encrypted mail could not be found or applied here: your "
		   "postmaster can mend that.") },
	{ "a host that the policy forbids", TLS_LEVEL_SECURE, TLS_RESULT_NONE, false, 0, 4,
	  STR_INIT("The rules for encrypted mail do not allow this server: your postmaster can "
		   "find out whose rules they are, and who can change them.") },
};

TEST(a_sender_is_told_what_was_required_and_who_can_mend_it)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct policy_decision d = { .level = c->level, .domain = STR("example.com") };
		struct policy_judgement g = { .is_acceptable = c->is_acceptable,
					      .result = c->result };
		d.error.status.class = c->error_class;
		d.refusal.status.class = c->refusal_class;
		ok_str(dsn_tls_advice(a, &d, &g), c->want, c->rule);
		arena_free(a);
	}
}

TEST(a_sender_is_told_of_a_demand_of_his_own)
{
	struct arena *a = arena_new();
	struct policy_decision d = { .level = TLS_LEVEL_MAY,
				     .domain = STR("example.com"),
				     .requiretls = REQUIRETLS_STARTTLS };
	struct policy_judgement g = { .result = TLS_RESULT_STARTTLS_NOT_SUPPORTED };

	ok_str(dsn_tls_advice(a, &d, &g),
	       STR("This message was sent with the demand that it travel only over protected "
		   "connections (REQUIRETLS). The receiving server did not offer that, or refused "
		   "it: its operator can turn it on (STARTTLS)."),
	       "RFC 8689");
	arena_free(a);
}

TEST_MAIN(RUN(a_sender_is_told_of_a_demand_of_his_own),
	  RUN(a_sender_is_told_what_was_required_and_who_can_mend_it))
