#include "policy/policy_test.h"

#define SHA "aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899"

static const struct str reference[] = { STR_INIT("mx1.example.com") };
static const struct str fingerprints[] = { STR_INIT(SHA) };

static const struct peer_name good_name[] = {
	{ PEER_NAME_DNS, STR_INIT("mx1.example.com") },
	{ PEER_NAME_CN, STR_INIT("other.example") },
};
static const struct peer_name wrong_name[] = {
	{ PEER_NAME_DNS, STR_INIT("wrong.example") },
	{ PEER_NAME_CN, STR_INIT("mx1.example.com") },
};

static const struct peer_certificate leaf[] = {
	{ .sha256 = STR_INIT("00"), .spki_sha256 = STR_INIT(SHA) },
};

/* What a receiver may be like. */
enum peer {
	NO_STARTTLS,
	REFUSED,
	HANDSHAKE_FAILED,
	SELF_SIGNED,
	UNKNOWN_CA,
	EXPIRED,
	NOT_YET_VALID,
	WRONG_NAME,
	EXPIRED_WRONG_NAME,
	ANONYMOUS,
	VALID,
};

static struct tls_peer peer_of(enum peer kind)
{
	struct tls_peer p = { .is_offered = true,
			      .is_tls = true,
			      .protocol = STR("TLSv1.3"),
			      .names = good_name,
			      .n_names = ARRAY_LEN(good_name),
			      .chain = leaf,
			      .n_chain = 1 };

	switch (kind) {
	case NO_STARTTLS:
		return (struct tls_peer){ .is_offered = false };
	case REFUSED:
		return (struct tls_peer){ .is_offered = true,
					  .starttls_refusal = STR("454 4.7.0 no") };
	case HANDSHAKE_FAILED:
		return (struct tls_peer){ .is_offered = true, .handshake_error = STR("no cipher") };
	case SELF_SIGNED:
		p.fault = CHAIN_SELF_SIGNED;
		break;
	case UNKNOWN_CA:
		p.fault = CHAIN_UNKNOWN_CA;
		break;
	case EXPIRED_WRONG_NAME:
		p.names = wrong_name;
		p.fault = CHAIN_EXPIRED;
		break;
	case EXPIRED:
		p.fault = CHAIN_EXPIRED;
		break;
	case NOT_YET_VALID:
		p.fault = CHAIN_NOT_YET_VALID;
		break;
	case WRONG_NAME:
		p.names = wrong_name;
		break;
	case ANONYMOUS:
		p.fault = CHAIN_NO_CERTIFICATE;
		p.n_names = p.n_chain = 0;
		break;
	case VALID:
		break;
	}
	return p;
}

static struct policy_decision decision_of(enum tls_level level)
{
	struct policy_decision d = { .level = level,
				     .host = STR("mx1.example.com"),
				     .protocols = STR(">=TLSv1.2"),
				     .versions = 0x0c,
				     .is_usable = true };

	if (level == TLS_LEVEL_VERIFY || level == TLS_LEVEL_SECURE) {
		d.names = reference;
		d.n_names = 1;
	}
	if (level == TLS_LEVEL_FINGERPRINT) {
		d.fingerprints = fingerprints;
		d.n_fingerprints = 1;
		d.fingerprint_digest = STR("sha256");
	}
	return d;
}

#define NONE TLS_RESULT_NONE
#define NO_TLS TLS_RESULT_STARTTLS_NOT_SUPPORTED
#define MISMATCH TLS_RESULT_CERTIFICATE_HOST_MISMATCH
#define UNTRUSTED TLS_RESULT_CERTIFICATE_NOT_TRUSTED
#define OUTDATED TLS_RESULT_CERTIFICATE_EXPIRED
#define FAILURE TLS_RESULT_VALIDATION_FAILURE

static const struct {
	enum tls_level level;
	enum peer peer;
	bool is_acceptable;
	enum tls_security reached;
	enum tls_result result;
	unsigned detail; /* of 4.7.x */
} cases[] = {
	{ TLS_LEVEL_NONE, NO_STARTTLS, true, TLS_CLEARTEXT, NONE, 0 },
	{ TLS_LEVEL_NONE, REFUSED, true, TLS_CLEARTEXT, NONE, 0 },
	{ TLS_LEVEL_MAY, NO_STARTTLS, true, TLS_CLEARTEXT, NO_TLS, 0 },
	{ TLS_LEVEL_MAY, REFUSED, true, TLS_CLEARTEXT, NO_TLS, 0 },
	{ TLS_LEVEL_MAY, HANDSHAKE_FAILED, false, TLS_CLEARTEXT, FAILURE, 5 },
	{ TLS_LEVEL_MAY, SELF_SIGNED, true, TLS_ENCRYPTED, NONE, 0 },
	{ TLS_LEVEL_MAY, EXPIRED_WRONG_NAME, true, TLS_ENCRYPTED, NONE, 0 },
	{ TLS_LEVEL_MAY, ANONYMOUS, true, TLS_ENCRYPTED, NONE, 0 },
	{ TLS_LEVEL_MAY, VALID, true, TLS_TRUSTED, NONE, 0 },
	{ TLS_LEVEL_ENCRYPT, NO_STARTTLS, false, TLS_CLEARTEXT, NO_TLS, 4 },
	{ TLS_LEVEL_ENCRYPT, REFUSED, false, TLS_CLEARTEXT, NO_TLS, 4 },
	{ TLS_LEVEL_ENCRYPT, HANDSHAKE_FAILED, false, TLS_CLEARTEXT, FAILURE, 5 },
	{ TLS_LEVEL_ENCRYPT, SELF_SIGNED, true, TLS_ENCRYPTED, NONE, 0 },
	{ TLS_LEVEL_ENCRYPT, UNKNOWN_CA, true, TLS_ENCRYPTED, NONE, 0 },
	{ TLS_LEVEL_ENCRYPT, WRONG_NAME, true, TLS_TRUSTED, NONE, 0 },
	{ TLS_LEVEL_ENCRYPT, EXPIRED, true, TLS_ENCRYPTED, NONE, 0 },
	{ TLS_LEVEL_ENCRYPT, VALID, true, TLS_TRUSTED, NONE, 0 },
	{ TLS_LEVEL_VERIFY, NO_STARTTLS, false, TLS_CLEARTEXT, NO_TLS, 4 },
	{ TLS_LEVEL_VERIFY, REFUSED, false, TLS_CLEARTEXT, NO_TLS, 4 },
	{ TLS_LEVEL_VERIFY, HANDSHAKE_FAILED, false, TLS_CLEARTEXT, FAILURE, 5 },
	{ TLS_LEVEL_VERIFY, SELF_SIGNED, false, TLS_ENCRYPTED, UNTRUSTED, 5 },
	{ TLS_LEVEL_VERIFY, UNKNOWN_CA, false, TLS_ENCRYPTED, UNTRUSTED, 5 },
	{ TLS_LEVEL_VERIFY, EXPIRED, false, TLS_ENCRYPTED, OUTDATED, 5 },
	{ TLS_LEVEL_VERIFY, NOT_YET_VALID, false, TLS_ENCRYPTED, OUTDATED, 5 },
	{ TLS_LEVEL_VERIFY, WRONG_NAME, false, TLS_TRUSTED, MISMATCH, 5 },
	{ TLS_LEVEL_VERIFY, EXPIRED_WRONG_NAME, false, TLS_ENCRYPTED, OUTDATED, 5 },
	{ TLS_LEVEL_VERIFY, ANONYMOUS, false, TLS_ENCRYPTED, UNTRUSTED, 5 },
	{ TLS_LEVEL_VERIFY, VALID, true, TLS_VERIFIED, NONE, 0 },
	{ TLS_LEVEL_SECURE, WRONG_NAME, false, TLS_TRUSTED, MISMATCH, 5 },
	{ TLS_LEVEL_SECURE, VALID, true, TLS_VERIFIED, NONE, 0 },
	{ TLS_LEVEL_FINGERPRINT, SELF_SIGNED, true, TLS_VERIFIED, NONE, 0 },
	{ TLS_LEVEL_FINGERPRINT, ANONYMOUS, false, TLS_ENCRYPTED, UNTRUSTED, 5 },
	{ TLS_LEVEL_FINGERPRINT, NO_STARTTLS, false, TLS_CLEARTEXT, NO_TLS, 4 },
	{ TLS_LEVEL_DANE, VALID, false, TLS_TRUSTED, FAILURE, 5 },
	{ TLS_LEVEL_INVALID, VALID, false, TLS_TRUSTED, FAILURE, 5 },
};

TEST(every_level_against_every_peer)
{
	struct arena *a = arena_new();

	FOR_EACH(c, cases) {
		struct policy_decision d = decision_of(c->level);
		struct tls_peer p = peer_of(c->peer);
		struct policy_judgement g = policy_judge(a, &d, &p);
		char rule[64];

		snprintf(rule, sizeof(rule), STR_FMT ", peer %d", STR_ARG(tls_level_name(c->level)),
			 c->peer);
		ok(g.is_acceptable == c->is_acceptable, rule);
		ok(g.reached == c->reached, rule);
		ok(g.result == c->result, rule);
		ok(g.status.detail == c->detail && (g.status.class == 4) == !c->is_acceptable,
		   rule);
		ok((g.reason.n == 0) == c->is_acceptable, rule);
	}
	arena_free(a);
}

static struct policy_judgement
judge_names(struct arena *a, const struct peer_name *names, size_t n, struct str want)
{
	struct policy_decision d = decision_of(TLS_LEVEL_VERIFY);
	struct tls_peer p = peer_of(VALID);

	d.names = &want;
	p.names = names;
	p.n_names = n;
	return policy_judge(a, &d, &p);
}

TEST(common_name_only_without_a_dns_name)
{
	static const struct peer_name cn[] = { { PEER_NAME_CN, STR_INIT("mx1.example.com") } };
	static const struct peer_name cn_and_ip[] = { { PEER_NAME_IP, STR_INIT("192.0.2.1") },
						      { PEER_NAME_CN,
							STR_INIT("mx1.example.com") } };
	struct arena *a = arena_new();
	struct str host = STR("mx1.example.com");

	ok(judge_names(a, cn, 1, host).is_acceptable, "CN alone");
	ok(judge_names(a, cn_and_ip, 2, host).is_acceptable, "an address is no DNS-ID");
	ok(!judge_names(a, wrong_name, 2, host).is_acceptable, "CN beside a DNS-ID");
	ok_str(judge_names(a, cn, 1, host).matched_name, host, "which");
	arena_free(a);
}

TEST(a_star_stands_for_as_many_labels_as_the_decision_says)
{
	static const struct peer_name star[] = { { PEER_NAME_DNS, STR_INIT("*.example.com") } };
	struct arena *a = arena_new();
	struct policy_decision d = decision_of(TLS_LEVEL_SECURE);
	struct tls_peer p = peer_of(VALID);
	struct str host = STR("a.mx1.example.com");

	d.names = &host;
	p.names = star;
	p.n_names = 1;
	d.wildcard = POLICY_WILDCARD_MANY_LABELS;
	ok(policy_judge(a, &d, &p).is_acceptable, "many labels");
	d.wildcard = POLICY_WILDCARD_ONE_LABEL;
	ok(policy_judge(a, &d, &p).result == MISMATCH, "one label");
	arena_free(a);
}

TEST(address_matches_ip_names_alone)
{
	static const struct peer_name ip[] = { { PEER_NAME_IP, STR_INIT("2001:db8:0:0:0:0:0:1") } };
	static const struct peer_name dns[] = { { PEER_NAME_DNS, STR_INIT("192.0.2.1") },
						{ PEER_NAME_CN, STR_INIT("192.0.2.1") } };
	static const struct peer_name cn[] = { { PEER_NAME_CN, STR_INIT("192.0.2.1") } };
	struct arena *a = arena_new();

	ok(judge_names(a, ip, 1, STR("2001:DB8::1")).is_acceptable, "spelling does not matter");
	ok(!judge_names(a, ip, 1, STR("2001:db8::2")).is_acceptable, "another address");
	ok(!judge_names(a, dns, 2, STR("192.0.2.1")).is_acceptable, "a DNS-ID is no address");
	ok(!judge_names(a, cn, 1, STR("192.0.2.1")).is_acceptable, "nor is a CN");
	ok_str(judge_names(a, cn, 1, STR("192.0.2.1")).reason,
	       STR("certificate of host mx1.example.com names 192.0.2.1, not the address "
		   "192.0.2.1"),
	       "and the reason says so");
	arena_free(a);
}

TEST(reasons_say_what_was_wrong)
{
	struct arena *a = arena_new();
	struct policy_decision d = decision_of(TLS_LEVEL_VERIFY);
	struct tls_peer none = peer_of(NO_STARTTLS), wrong = peer_of(WRONG_NAME);
	struct tls_peer expired = peer_of(EXPIRED), failed = peer_of(HANDSHAKE_FAILED);

	expired.fault_text = STR("certificate has expired (depth 0)");
	ok_str(policy_judge(a, &d, &none).reason,
	       STR("TLS is required, but was not offered by host mx1.example.com"), "no STARTTLS");
	ok_str(policy_judge(a, &d, &wrong).reason,
	       STR("certificate of host mx1.example.com names wrong.example, not mx1.example.com"),
	       "wrong name");
	ok_str(policy_judge(a, &d, &expired).reason,
	       STR("certificate of host mx1.example.com has expired: certificate has expired "
		   "(depth 0)"),
	       "expired");
	d.is_usable = false;
	d.problem = STR("\"foo\" is no cipher grade");
	ok_str(policy_judge(a, &d, &failed).reason,
	       STR("TLS cannot start with the settings for host mx1.example.com: \"foo\" is no "
		   "cipher grade"),
	       "our settings, not the host");
	arena_free(a);
}

TEST(a_version_that_was_not_allowed_is_refused)
{
	static const enum tls_level levels[] = { TLS_LEVEL_MAY, TLS_LEVEL_ENCRYPT,
						 TLS_LEVEL_VERIFY };
	struct arena *a = arena_new();

	FOR_EACH(level, levels) {
		struct policy_decision d = decision_of(*level);
		struct tls_peer p = peer_of(VALID);

		p.protocol = STR("TLSv1.1");
		ok(policy_judge(a, &d, &p).result == FAILURE, "TLSv1.1 under >=TLSv1.2");
		p.protocol = STR("TLSv1.2");
		ok(policy_judge(a, &d, &p).is_acceptable, "TLSv1.2");
		p.protocol = STR("SSLv3");
		ok(!policy_judge(a, &d, &p).is_acceptable, "unknown");
	}
	arena_free(a);
}

TEST(an_error_or_refusal_stands_whatever_was_seen)
{
	struct arena *a = arena_new();
	struct policy_decision d = decision_of(TLS_LEVEL_MAY);
	struct tls_peer p = peer_of(VALID);

	d.refusal = (struct policy_error){ STATUS(4, 7, 5), STR("wrapper") };
	ok_str(policy_judge(a, &d, &p).reason, STR("wrapper"), "refusal");
	d.error = (struct policy_error){ STATUS(4, 3, 0), STR("lookup") };
	ok_str(policy_judge(a, &d, &p).reason, STR("lookup"), "error");
	ok(policy_judge(a, &d, &p).status.subject == 3, "its status");
	ok(!policy_decision_allows_host(&d), "not allowed");
	arena_free(a);
}

TEST(a_digest_that_cannot_be_compared_never_matches)
{
	struct arena *a = arena_new();
	struct policy_decision d = decision_of(TLS_LEVEL_FINGERPRINT);
	struct tls_peer p = peer_of(VALID);

	d.fingerprint_digest = STR("md5");
	ok(!policy_judge(a, &d, &p).is_acceptable, "md5");
	p.fingerprint = (struct peer_fingerprint){ STR("sha1"), STR(SHA), STR(SHA) };
	ok(!policy_judge(a, &d, &p).is_acceptable, "md5 against sha1");
	p.fingerprint.digest = d.fingerprint_digest = STR("");
	ok(!policy_judge(a, &d, &p).is_acceptable, "a digest without a name is none");
	arena_free(a);
}

TEST(fingerprints_in_the_digest_asked_for)
{
	static const struct str md5[] = { STR_INIT("00112233445566778899aabbccddeeff") };
	struct arena *a = arena_new();
	struct policy_decision d = decision_of(TLS_LEVEL_FINGERPRINT);
	struct tls_peer p = peer_of(SELF_SIGNED);

	d.fingerprint_digest = STR("MD5");
	d.fingerprints = md5;
	p.fingerprint = (struct peer_fingerprint){ STR("md5"), md5[0], STR("11") };
	ok(policy_judge(a, &d, &p).reached == TLS_VERIFIED, "of the certificate");
	p.fingerprint = (struct peer_fingerprint){ STR("md5"), STR("11"), md5[0] };
	ok_str(policy_judge(a, &d, &p).matched_by, md5[0], "of the public key");
	p.fingerprint.public_key = STR("22");
	ok(policy_judge(a, &d, &p).result == UNTRUSTED, "of neither");
	arena_free(a);
}

TEST_MAIN(RUN(every_level_against_every_peer), RUN(common_name_only_without_a_dns_name),
	  RUN(a_star_stands_for_as_many_labels_as_the_decision_says),
	  RUN(address_matches_ip_names_alone), RUN(reasons_say_what_was_wrong),
	  RUN(a_version_that_was_not_allowed_is_refused),
	  RUN(an_error_or_refusal_stands_whatever_was_seen),
	  RUN(fingerprints_in_the_digest_asked_for),
	  RUN(a_digest_that_cannot_be_compared_never_matches))
