#include "report/dsn.h"

/* What must be so, in words of people who do not run servers. */
static struct str required(struct arena *a, const struct policy_decision *d)
{
	const char *to_whom = "";

	switch (d->level) {
	case TLS_LEVEL_ENCRYPT:
		break;
	case TLS_LEVEL_FINGERPRINT:
		to_whom = " to a server with a certificate that was agreed upon";
		break;
	case TLS_LEVEL_DANE:
	case TLS_LEVEL_DANE_ONLY:
	case TLS_LEVEL_VERIFY:
	case TLS_LEVEL_SECURE:
		to_whom = " to a server that proves with a certificate who it is";
		break;
	case TLS_LEVEL_INVALID:
	case TLS_LEVEL_NONE:
	case TLS_LEVEL_MAY:
		return d->requiretls == REQUIRETLS_NOT_ASKED
			       ? STR("")
			       : STR("This message was sent with the demand that it travel only "
				     "over protected connections (REQUIRETLS). ");
	}
	return arena_fmt(a,
			 "Mail to " STR_FMT " leaves here only over an encrypted connection%s "
			 "(TLS level " STR_FMT "). ",
			 STR_ARG(d->domain), to_whom, STR_ARG(tls_level_name(d->level)));
}

static const char *who_can_mend(const struct policy_decision *d, enum tls_result result)
{
	switch (result) {
	case TLS_RESULT_STARTTLS_NOT_SUPPORTED:
		return "The receiving server did not offer that, or refused it: its operator can "
		       "turn it on (STARTTLS).";
	case TLS_RESULT_CERTIFICATE_HOST_MISMATCH:
		return "The certificate of the receiving server is for another name: its operator "
		       "can install one for the right name.";
	case TLS_RESULT_CERTIFICATE_EXPIRED:
		return "The certificate of the receiving server has expired, or is not valid yet: "
		       "its operator can renew it.";
	case TLS_RESULT_CERTIFICATE_NOT_TRUSTED:
		return d->level == TLS_LEVEL_FINGERPRINT
			       ? "The certificate of the receiving server is another one, perhaps "
				 "a new one: its operator and your postmaster can agree on it."
			       : "The certificate of the receiving server is not from an issuer "
				 "that is trusted here: its operator can install one that is, or "
				 "agree with your postmaster on this one.";
	case TLS_RESULT_VALIDATION_FAILURE:
		return "The two servers could not agree on how to encrypt: your postmaster and the "
		       "operator of the receiving server can find out why.";
	case TLS_RESULT_NONE:
		break;
	}
	return "";
}

struct str
dsn_tls_advice(struct arena *a, const struct policy_decision *d, const struct policy_judgement *g)
{
	if (g->is_acceptable)
		return STR("");
	if (d->refusal.status.class > 0)
		return STR("The rules for encrypted mail do not allow this server: your postmaster "
			   "can find out whose rules they are, and who can change them.");
	if (!policy_decision_allows_host(d))
		return STR("The rules for encrypted mail could not be found or applied here: your "
			   "postmaster can mend that.");
	return str_trim(
		arena_fmt(a, STR_FMT "%s", STR_ARG(required(a, d)), who_can_mend(d, g->result)));
}
