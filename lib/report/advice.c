#include "report/dsn.h"

static struct str required(struct arena *a, const struct policy_decision *d)
{
	switch (d->level) {
	case TLS_LEVEL_ENCRYPT:
		return arena_fmt(a,
				 "Mail to " STR_FMT " may leave here only encrypted (TLS level "
				 "encrypt).",
				 STR_ARG(d->domain));
	case TLS_LEVEL_FINGERPRINT:
		return arena_fmt(a,
				 "Mail to " STR_FMT " may leave here only encrypted, and to a "
				 "server with a certificate that was agreed upon (TLS level "
				 "fingerprint).",
				 STR_ARG(d->domain));
	case TLS_LEVEL_DANE:
	case TLS_LEVEL_DANE_ONLY:
	case TLS_LEVEL_VERIFY:
	case TLS_LEVEL_SECURE:
		return arena_fmt(
			a,
			"Mail to " STR_FMT " may leave here only encrypted, and to a "
			"server that proves with a certificate who it is (TLS level " STR_FMT ").",
			STR_ARG(d->domain), STR_ARG(tls_level_name(d->level)));
	case TLS_LEVEL_INVALID:
	case TLS_LEVEL_NONE:
	case TLS_LEVEL_MAY:
		break;
	}
	return STR("");
}

static const char *who_can_mend(enum tls_result result)
{
	switch (result) {
	case TLS_RESULT_STARTTLS_NOT_SUPPORTED:
		return "The receiving server did not encrypt: its operator can turn STARTTLS on.";
	case TLS_RESULT_CERTIFICATE_HOST_MISMATCH:
		return "The certificate of the receiving server is for another name: its operator "
		       "can "
		       "install one for the right name.";
	case TLS_RESULT_CERTIFICATE_EXPIRED:
		return "The certificate of the receiving server is outside its dates: its operator "
		       "can "
		       "renew it.";
	case TLS_RESULT_CERTIFICATE_NOT_TRUSTED:
		return "The certificate of the receiving server is not one that is trusted here: "
		       "its "
		       "operator and your postmaster can settle which one shall be.";
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
	if (!policy_decision_allows_host(d))
		return STR("The rules for encryption here do not allow this server: your "
			   "postmaster can "
			   "mend them.");
	return arena_fmt(a, STR_FMT "%s%s", STR_ARG(required(a, d)),
			 g->result == TLS_RESULT_NONE ? "" : " ", who_can_mend(g->result));
}
