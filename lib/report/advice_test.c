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
	  STR_INIT("Mail to example.com may leave here only encrypted (TLS level encrypt). The "
		   "receiving server did not encrypt: its operator can turn STARTTLS on.") },
	{ "another name", TLS_LEVEL_SECURE, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, false, 0, 0,
	  STR_INIT(
		  "Mail to example.com may leave here only encrypted, and to a server that proves "
		  "with a certificate who it is (TLS level secure). The certificate of the "
		  "receiving "
		  "server is for another name: its operator can install one for the right name.") },
	{ "expired", TLS_LEVEL_VERIFY, TLS_RESULT_CERTIFICATE_EXPIRED, false, 0, 0,
	  STR_INIT("Mail to example.com may leave here only encrypted, and to a server that proves "
		   "with a certificate who it is (TLS level verify). The certificate of the "
		   "receiving "
		   "server is outside its dates: its operator can renew it.") },
	{ "an unknown certificate", TLS_LEVEL_FINGERPRINT, TLS_RESULT_CERTIFICATE_NOT_TRUSTED,
	  false, 0, 0,
	  STR_INIT("Mail to example.com may leave here only encrypted, and to a server with a "
		   "certificate that was agreed upon (TLS level fingerprint). The certificate of "
		   "the "
		   "receiving server is not one that is trusted here: its operator and your "
		   "postmaster can settle which one shall be.") },
	{ "a policy that cannot be used", TLS_LEVEL_INVALID, TLS_RESULT_NONE, false, 4, 0,
	  STR_INIT("The rules for encryption here do not allow this server: your postmaster can "
		   "mend "
		   "them.") },
	{ "a host that the policy forbids", TLS_LEVEL_SECURE, TLS_RESULT_NONE, false, 0, 4,
	  STR_INIT("The rules for encryption here do not allow this server: your postmaster can "
		   "mend "
		   "them.") },
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

TEST_MAIN(RUN(a_sender_is_told_what_was_required_and_who_can_mend_it))
