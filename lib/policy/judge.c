/* What a session showed against what was demanded: RFC 8460 section 4.3 names the faults. */

#include "policy/policy.h"

#include "fact/fact.h"
#include "mail/address.h"
#include "mail/domain.h"

static const struct str versions[] = {
	STR_INIT("TLSv1"),
	STR_INIT("TLSv1.1"),
	STR_INIT("TLSv1.2"),
	STR_INIT("TLSv1.3"),
};

static bool has_dns_name(const struct tls_peer *seen)
{
	for (size_t i = 0; i < seen->n_names; i++)
		if (seen->names[i].kind == PEER_NAME_DNS)
			return true;
	return false;
}

static bool address_matches(struct str presented, struct str reference)
{
	struct address a, b;

	return address_parse(presented, &a) && address_parse(reference, &b) && address_eq(&a, &b);
}

/* RFC 6125 section 6.4.4: the common name is the last resort, when there is no DNS-ID at all. An
 * address matches nothing but an iPAddress. */
static bool name_matches(const struct peer_name *name, bool has_dns, struct str reference,
			 enum policy_wildcard wildcard)
{
	bool is_address = domain_is_address_literal(reference);

	switch (name->kind) {
	case PEER_NAME_IP:
		return is_address && address_matches(name->text, reference);
	case PEER_NAME_CN:
		return !has_dns && !is_address &&
		       policy_name_matches(name->text, reference, wildcard);
	case PEER_NAME_DNS:
		return !is_address && policy_name_matches(name->text, reference, wildcard);
	}
	return false;
}

static bool
find_match(const struct policy_decision *d, const struct tls_peer *seen, struct policy_judgement *g)
{
	bool has_dns = has_dns_name(seen);

	for (size_t i = 0; i < d->n_names; i++) {
		for (size_t j = 0; j < seen->n_names; j++) {
			if (!name_matches(&seen->names[j], has_dns, d->names[i], d->wildcard))
				continue;
			g->matched_name = seen->names[j].text;
			g->matched_by = d->names[i];
			return true;
		}
	}
	return false;
}

/* What the server showed in the digest of the decision. SHA-256 is always at hand; "" matches
 * nothing. */
static struct peer_fingerprint
fingerprint_of(const struct policy_decision *d, const struct tls_peer *seen)
{
	struct peer_fingerprint none = { STR(""), STR(""), STR("") };
	const struct peer_certificate *leaf = seen->chain;

	if (!seen->n_chain || !d->fingerprint_digest.n)
		return none;
	if (str_ieq_ascii(d->fingerprint_digest, seen->fingerprint.digest))
		return seen->fingerprint;
	if (str_ieq_ascii(d->fingerprint_digest, STR("sha256")))
		return (struct peer_fingerprint){ STR("sha256"), leaf->sha256, leaf->spki_sha256 };
	return none;
}

/* The digest of the certificate or of its public key. */
static bool find_fingerprint(const struct policy_decision *d, const struct tls_peer *seen,
			     struct policy_judgement *g)
{
	struct peer_fingerprint shown = fingerprint_of(d, seen);

	for (size_t i = 0; i < d->n_fingerprints; i++) {
		struct str want = d->fingerprints[i];

		if (want.n && (str_eq(want, shown.certificate) || str_eq(want, shown.public_key))) {
			g->matched_name = g->matched_by = want;
			return true;
		}
	}
	return false;
}

static void accept(struct policy_judgement *g)
{
	g->is_acceptable = true;
	g->status = STATUS(0, 0, 0);
	g->reason = STR("");
}

static void
refuse(struct policy_judgement *g, enum tls_result result, struct status status, struct str reason)
{
	g->is_acceptable = false;
	g->result = result;
	g->status = status;
	g->reason = reason;
}

static struct str
no_tls_words(struct arena *a, const struct policy_decision *d, const struct tls_peer *seen)
{
	struct str host = d->host;

	if (seen->starttls_refusal.n)
		return arena_fmt(a,
				 "TLS is required, but host " STR_FMT
				 " refused to start it: " STR_FMT,
				 STR_ARG(host), STR_ARG(seen->starttls_refusal));
	if (seen->is_offered)
		return arena_fmt(a, "TLS is required, but host " STR_FMT " did not start it",
				 STR_ARG(host));
	return arena_fmt(a, "TLS is required, but was not offered by host " STR_FMT "%s",
			 STR_ARG(host),
			 seen->is_garbled ? ": something on the way has overwritten its STARTTLS"
					  : "");
}

/* No handshake took place, or none came to its end. */
static void judge_without_tls(struct arena *a, const struct policy_decision *d,
			      const struct tls_peer *seen, struct policy_judgement *g)
{
	if (seen->handshake_error.n && !d->is_usable) {
		refuse(g, TLS_RESULT_VALIDATION_FAILURE, STATUS(4, 7, 5),
		       arena_fmt(a,
				 "TLS cannot start with the settings for host " STR_FMT
				 ": " STR_FMT,
				 STR_ARG(d->host), STR_ARG(d->problem)));
		return;
	}
	if (seen->handshake_error.n) {
		refuse(g, TLS_RESULT_VALIDATION_FAILURE, STATUS(4, 7, 5),
		       arena_fmt(a, "TLS handshake with host " STR_FMT " failed: " STR_FMT,
				 STR_ARG(d->host), STR_ARG(seen->handshake_error)));
		return;
	}
	g->result = TLS_RESULT_STARTTLS_NOT_SUPPORTED;
	if (d->level == TLS_LEVEL_MAY && d->requiretls < REQUIRETLS_STARTTLS) {
		accept(g);
		return;
	}
	refuse(g, TLS_RESULT_STARTTLS_NOT_SUPPORTED, STATUS(4, 7, 4), no_tls_words(a, d, seen));
}

/* The engine was told which versions may be used; a session that has another one is not what was
 * decided, however it came about. */
static bool is_version_allowed(const struct policy_decision *d, struct str protocol)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (str_ieq_ascii(protocol, versions[i]))
			return d->versions & (1u << i);
	return false;
}

static const char *fault_words(enum chain_fault fault)
{
	switch (fault) {
	case CHAIN_OK:
		return "is in order";
	case CHAIN_NO_CERTIFICATE:
		return "was not shown";
	case CHAIN_SELF_SIGNED:
		return "is self-signed";
	case CHAIN_UNKNOWN_CA:
		return "was not issued by a trusted CA";
	case CHAIN_EXPIRED:
		return "has expired";
	case CHAIN_NOT_YET_VALID:
		return "is not valid yet";
	case CHAIN_TOO_LONG:
		return "has too long a chain";
	case CHAIN_INVALID:
		return "is not valid";
	}
	return "is not valid";
}

static enum tls_result fault_result(enum chain_fault fault)
{
	switch (fault) {
	case CHAIN_OK:
		return TLS_RESULT_NONE;
	case CHAIN_EXPIRED:
	case CHAIN_NOT_YET_VALID:
		return TLS_RESULT_CERTIFICATE_EXPIRED;
	case CHAIN_NO_CERTIFICATE:
	case CHAIN_SELF_SIGNED:
	case CHAIN_UNKNOWN_CA:
	case CHAIN_TOO_LONG:
	case CHAIN_INVALID:
		break;
	}
	return TLS_RESULT_CERTIFICATE_NOT_TRUSTED;
}

/* The first few names of the certificate, for the reason line. */
static struct str presented_names(struct arena *a, const struct tls_peer *seen)
{
	bool has_dns = has_dns_name(seen);
	struct str out = STR("");
	size_t shown = 0;

	for (size_t i = 0; i < seen->n_names && shown < 4; i++) {
		if (seen->names[i].kind == PEER_NAME_CN && has_dns)
			continue;
		out = arena_fmt(a, STR_FMT "%s%.100s", STR_ARG(out), shown ? ", " : "",
				arena_str(a, seen->names[i].text).p);
		shown++;
	}
	return out.n ? out : STR("no name");
}

static struct str first_reference(const struct policy_decision *d)
{
	return d->n_names ? d->names[0] : STR("");
}

static void refuse_name(struct arena *a, const struct policy_decision *d,
			const struct tls_peer *seen, struct policy_judgement *g)
{
	refuse(g, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, STATUS(4, 7, 5),
	       d->n_names == 0
		       ? arena_fmt(a, "no certificate of host " STR_FMT " can match an empty list",
				   STR_ARG(d->host))
		       : arena_fmt(a,
				   "certificate of host " STR_FMT " names " STR_FMT
				   ", not %s" STR_FMT "%s",
				   STR_ARG(d->host), STR_ARG(presented_names(a, seen)),
				   domain_is_address_literal(first_reference(d)) ? "the address "
										 : "",
				   STR_ARG(first_reference(d)),
				   d->n_names > 1 ? " or the like" : ""));
}

/* A chain fault comes before a wrong name: of a certificate that nobody vouches for, the name says
 * nothing. */
static void judge_certificate(struct arena *a, const struct policy_decision *d,
			      const struct tls_peer *seen, struct policy_judgement *g)
{
	if (seen->fault != CHAIN_OK)
		refuse(g, fault_result(seen->fault), STATUS(4, 7, 5),
		       arena_fmt(a, "certificate of host " STR_FMT " %s%s" STR_FMT,
				 STR_ARG(d->host), fault_words(seen->fault),
				 seen->fault_text.n ? ": " : "", STR_ARG(seen->fault_text)));
	else if (g->reached == TLS_VERIFIED)
		accept(g);
	else
		refuse_name(a, d, seen, g);
}

static void judge_fingerprint(struct arena *a, const struct policy_decision *d,
			      const struct tls_peer *seen, struct policy_judgement *g)
{
	if (g->reached == TLS_VERIFIED)
		accept(g);
	else if (seen->n_chain && !fingerprint_of(d, seen).digest.n)
		refuse(g, TLS_RESULT_VALIDATION_FAILURE, STATUS(4, 7, 5),
		       arena_fmt(a,
				 "fingerprints of kind " STR_FMT
				 " were not taken of the certificate",
				 STR_ARG(d->fingerprint_digest)));
	else
		refuse(g, TLS_RESULT_CERTIFICATE_NOT_TRUSTED, STATUS(4, 7, 5),
		       arena_fmt(a,
				 "certificate of host " STR_FMT
				 " has none of the fingerprints listed%s",
				 STR_ARG(d->host), seen->n_chain ? "" : ": it was not shown"));
}

static enum tls_security
reached(const struct policy_decision *d, const struct tls_peer *seen, struct policy_judgement *g)
{
	if (!seen->is_tls)
		return TLS_CLEARTEXT;
	if (d->level == TLS_LEVEL_FINGERPRINT && find_fingerprint(d, seen, g))
		return TLS_VERIFIED;
	if (seen->fault != CHAIN_OK)
		return TLS_ENCRYPTED;
	return find_match(d, seen, g) ? TLS_VERIFIED : TLS_TRUSTED;
}

static void judge_with_tls(struct arena *a, const struct policy_decision *d,
			   const struct tls_peer *seen, struct policy_judgement *g)
{
	if (!is_version_allowed(d, seen->protocol)) {
		refuse(g, TLS_RESULT_VALIDATION_FAILURE, STATUS(4, 7, 5),
		       arena_fmt(a,
				 STR_FMT " with host " STR_FMT " is not what \"" STR_FMT
					 "\" allows",
				 STR_ARG(seen->protocol), STR_ARG(d->host), STR_ARG(d->protocols)));
		return;
	}
	switch (d->level) {
	case TLS_LEVEL_NONE:
	case TLS_LEVEL_MAY:
	case TLS_LEVEL_ENCRYPT:
		accept(g);
		return;
	case TLS_LEVEL_FINGERPRINT:
		judge_fingerprint(a, d, seen, g);
		return;
	case TLS_LEVEL_VERIFY:
	case TLS_LEVEL_SECURE:
		judge_certificate(a, d, seen, g);
		return;
	case TLS_LEVEL_INVALID:
	case TLS_LEVEL_DANE:
	case TLS_LEVEL_DANE_ONLY:
		break; /* no decision of ours ends here: refuse rather than guess */
	}
	refuse(g, TLS_RESULT_VALIDATION_FAILURE, STATUS(4, 7, 5),
	       arena_fmt(a, "a session at level " STR_FMT " cannot be judged",
			 STR_ARG(tls_level_name(d->level))));
}

/* What another attempt would find again: no TLS, or a certificate that is not good enough. A
 * handshake that failed, settings of ours and a 4xx to STARTTLS may be better tomorrow. */
static bool is_lasting(const struct policy_judgement *g, const struct tls_peer *seen)
{
	switch (g->result) {
	case TLS_RESULT_STARTTLS_NOT_SUPPORTED:
		return !seen->starttls_refusal.n || seen->starttls_refusal.p[0] == '5';
	case TLS_RESULT_CERTIFICATE_HOST_MISMATCH:
	case TLS_RESULT_CERTIFICATE_NOT_TRUSTED:
	case TLS_RESULT_CERTIFICATE_EXPIRED:
		return true;
	case TLS_RESULT_NONE:
	case TLS_RESULT_VALIDATION_FAILURE:
		break;
	}
	return false;
}

/* RFC 8689 section 4.2.1: mail that must not go without TLS is returned, not kept. */
static void judge_requirement(struct arena *a, const struct policy_decision *d,
			      const struct tls_peer *seen, struct policy_judgement *g)
{
	if (g->is_acceptable || d->requiretls < REQUIRETLS_STARTTLS || !is_lasting(g, seen))
		return;
	g->status = STATUS(5, 7, 10);
	g->reason = arena_fmt(a, "the sender requires TLS all the way (REQUIRETLS): " STR_FMT,
			      STR_ARG(g->reason));
}

struct policy_judgement
policy_judge(struct arena *a, const struct policy_decision *d, const struct tls_peer *seen)
{
	struct policy_judgement g = { .matched_name = STR(""), .matched_by = STR("") };

	g.reached = reached(d, seen, &g);
	if (d->error.status.class)
		refuse(&g, TLS_RESULT_NONE, d->error.status, d->error.reason);
	else if (d->refusal.status.class)
		refuse(&g, TLS_RESULT_NONE, d->refusal.status, d->refusal.reason);
	else if (d->level == TLS_LEVEL_NONE)
		accept(&g);
	else if (seen->is_tls)
		judge_with_tls(a, d, seen, &g);
	else
		judge_without_tls(a, d, seen, &g);
	judge_requirement(a, d, seen, &g);
	return g;
}

struct policy_judgement
policy_judge_ready(struct arena *a, const struct policy_decision *d, const struct tls_peer *seen)
{
	struct policy_judgement g = policy_judge(a, d, seen);
	bool is_offered = seen->is_tls && seen->is_requiretls_offered;

	if (!g.is_acceptable)
		return g;
	g.is_requiretls_sent = is_offered && d->requiretls >= REQUIRETLS_OPPORTUNISTIC;
	if (d->requiretls == REQUIRETLS_ENFORCE && !is_offered)
		refuse(&g, TLS_RESULT_NONE, STATUS(5, 7, 30),
		       arena_fmt(a,
				 "the sender requires TLS all the way, and host " STR_FMT
				 " does not announce REQUIRETLS",
				 STR_ARG(d->host)));
	return g;
}
