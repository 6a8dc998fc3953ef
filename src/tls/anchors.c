/* Private trust anchors: certificates and bare public keys, good both as an issuer and as what the
 * server itself shows. No CA is trusted beside them. */

#include "tls/room.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>

static bool anchors_bad(const char *path, size_t part, const char *what, struct error *e)
{
	return tls_error_set(e, ERROR_DATA, "%s: part %zu is no usable %s", path, part, what);
}

static bool anchors_add_cert(struct tls_anchors *t, const unsigned char *der, long n)
{
	const unsigned char *at = der;
	X509 *cert = d2i_X509(NULL, &at, n);

	if (!cert || at - der != n) {
		X509_free(cert);
		return false;
	}
	if (!t->certs)
		t->certs = sk_X509_new_null();
	CHECK(t->certs && sk_X509_push(t->certs, cert) > 0);
	return true;
}

static bool anchors_add_key(struct tls_anchors *t, const unsigned char *der, long n)
{
	const unsigned char *at = der;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, n);

	if (!key || at - der != n) {
		EVP_PKEY_free(key);
		return false;
	}
	t->keys = base_realloc(t->keys, (t->n_keys + 1) * sizeof(*t->keys));
	t->keys[t->n_keys++] = key;
	return true;
}

static bool anchors_add(struct tls_anchors *t, const char *path, const char *name,
			const unsigned char *der, long n, struct error *e)
{
	struct str label = str_of(name);

	if (++t->n > TLS_ANCHORS_MAX)
		return error_set(e, ERROR_LIMIT, "%s: more than %d trust anchors", path,
				 TLS_ANCHORS_MAX);
	if (str_eq(label, STR(PEM_STRING_X509)) || str_eq(label, STR(PEM_STRING_X509_OLD)))
		return anchors_add_cert(t, der, n) || anchors_bad(path, t->n, "certificate", e);
	if (str_eq(label, STR(PEM_STRING_PUBLIC)))
		return anchors_add_key(t, der, n) || anchors_bad(path, t->n, "public key", e);
	return error_set(e, ERROR_DATA, "%s: part %zu is neither a certificate nor a public key",
			 path, t->n);
}

static bool anchors_read(struct tls_anchors *t, BIO *bio, const char *path, struct error *e)
{
	size_t before = t->n;
	bool is_good = true;

	while (is_good) {
		char *name = NULL, *header = NULL;
		unsigned char *der = NULL;
		long n = 0;

		if (!PEM_read_bio(bio, &name, &header, &der, &n))
			break;
		is_good = anchors_add(t, path, name, der, n, e);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	if (!is_good)
		return false;
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return tls_error_set(e, ERROR_DATA, "%s: malformed PEM", path);
	return t->n > before ||
	       error_set(e, ERROR_DATA, "%s: no certificate and no public key inside", path);
}

bool tls_anchors_load(struct tls_anchors *t, struct str file, struct error *e)
{
	char path[TLS_PATH_MAX];
	bool is_read;
	BIO *bio;

	ERR_clear_error();
	if (!tls_path(file, path, e) || !tls_file_is_readable(path, e))
		return false;
	bio = BIO_new_file(path, "r");
	if (!bio)
		return tls_error_set(e, ERROR_NO_INPUT, "%s", path);
	is_read = anchors_read(t, bio, path, e);
	BIO_free(bio);
	ERR_clear_error();
	return is_read;
}

void tls_anchors_free(struct tls_anchors *t)
{
	sk_X509_pop_free(t->certs, X509_free);
	for (size_t i = 0; i < t->n_keys; i++)
		EVP_PKEY_free(t->keys[i]);
	free(t->keys);
	*t = (struct tls_anchors){ 0 };
}

bool tls_trust_anchors_count(struct str file, size_t *n, struct error *e)
{
	struct tls_anchors t = { 0 };
	bool is_loaded = tls_anchors_load(&t, file, e);

	*n = t.n;
	tls_anchors_free(&t);
	return is_loaded;
}

/* The key is its own, or signed it. */
static bool is_vouched_for(const struct tls_anchors *t, X509 *cert)
{
	EVP_PKEY *own = X509_get0_pubkey(cert);
	bool is_good = false;

	for (size_t i = 0; i < t->n_keys && own && !is_good; i++)
		is_good = EVP_PKEY_eq(own, t->keys[i]) == 1 || X509_verify(cert, t->keys[i]) == 1;
	ERR_clear_error();
	return is_good;
}

/* What a bare key says about the certificates shown: those that it vouches for are trusted. */
static void
anchors_add_shown(const struct tls_anchors *t, X509_STORE_CTX *store, STACK_OF(X509) * trusted)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(store);
	STACK_OF(X509) *shown = X509_STORE_CTX_get0_untrusted(store);
	int n = shown ? sk_X509_num(shown) : 0;

	if (leaf && is_vouched_for(t, leaf))
		CHECK(sk_X509_push(trusted, leaf) > 0);
	for (int i = 0; i < n && i < TLS_CHAIN_MAX; i++)
		if (is_vouched_for(t, sk_X509_value(shown, i)))
			CHECK(sk_X509_push(trusted, sk_X509_value(shown, i)) > 0);
}

/* A chain may end at any anchor, root or not, also at the server's own certificate. */
int tls_verify_chain(X509_STORE_CTX *store, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	const struct tls_anchors *t = &tls_session_of(ssl)->anchors;
	STACK_OF(X509) * trusted;
	int result;

	(void)arg;
	if (!t->n)
		return X509_verify_cert(store);
	trusted = t->certs ? sk_X509_dup(t->certs) : sk_X509_new_null();
	CHECK(trusted);
	anchors_add_shown(t, store, trusted);
	X509_STORE_CTX_set0_trusted_stack(store, trusted);
	X509_STORE_CTX_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	result = X509_verify_cert(store);
	sk_X509_free(trusted);
	return result;
}
