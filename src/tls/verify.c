/* The verify callback: it never refuses, it keeps the fault that says most about the chain. */

#include "tls/room.h"

#include <openssl/x509_vfy.h>

static enum chain_fault fault_of(int x509_error)
{
	switch (x509_error) {
	case X509_V_OK:
		return CHAIN_OK;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		return CHAIN_SELF_SIGNED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_UNTRUSTED:
		return CHAIN_UNKNOWN_CA;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return CHAIN_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return CHAIN_NOT_YET_VALID;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return CHAIN_TOO_LONG;
	default:
		return CHAIN_INVALID;
	}
}

/* The greater says more: a chain that leads nowhere is not made better by new dates. */
static int weight_of(enum chain_fault fault)
{
	switch (fault) {
	case CHAIN_OK:
	case CHAIN_NO_CERTIFICATE:
		return 0;
	case CHAIN_NOT_YET_VALID:
	case CHAIN_EXPIRED:
		return 1;
	case CHAIN_TOO_LONG:
		return 2;
	case CHAIN_INVALID:
		return 3;
	case CHAIN_SELF_SIGNED:
	case CHAIN_UNKNOWN_CA:
		return 4;
	}
	return 0;
}

static void fault_note(struct tls_fault *f, int x509_error, int depth)
{
	enum chain_fault kind = fault_of(x509_error);
	int more = weight_of(kind) - weight_of(f->kind);

	if (more > 0 || (more == 0 && depth < f->depth))
		*f = (struct tls_fault){ .kind = kind, .depth = depth, .x509_error = x509_error };
}

int tls_verify_collect(int is_ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_session *s = tls_session_of(ssl);
	int depth = X509_STORE_CTX_get_error_depth(store);

	if (!is_ok)
		fault_note(&s->fault, X509_STORE_CTX_get_error(store), depth);
	/* OpenSSL's own limit counts otherwise: it leaves out the root. */
	if (!s->is_server && depth >= 0 && (unsigned)depth > s->depth_max)
		fault_note(&s->fault, X509_V_ERR_CERT_CHAIN_TOO_LONG, depth);
	return 1;
}
