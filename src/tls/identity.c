/* Certificate chains and private keys from PEM files. The parts are read in the order they stand
 * in, because smtp_tls_chain_files gives that order a meaning. */

#include "tls/room.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

enum part_kind { PART_END, PART_KEY, PART_CERT, PART_OTHER, PART_BAD };

struct part {
	enum part_kind kind;
	EVP_PKEY *key; /* the caller's */
	X509 *cert;    /* the caller's */
};

struct reader {
	const char *path;
	BIO *bio;
	unsigned n; /* parts so far */
};

static bool reader_open(struct reader *r, const char *path, struct error *e)
{
	*r = (struct reader){ .path = path };
	if (!tls_file_is_readable(path, e))
		return false;
	r->bio = BIO_new_file(path, "r");
	return r->bio != NULL || tls_error_set(e, ERROR_NO_INPUT, "%s", path);
}

static struct part part_bad(const struct reader *r, const char *what, struct error *e)
{
	tls_error_set(e, ERROR_DATA, "%s: part %u is not a usable %s", r->path, r->n, what);
	return (struct part){ .kind = PART_BAD };
}

static struct part
part_of(const struct reader *r, const char *name, const unsigned char *der, long n, struct error *e)
{
	struct str label = str_of(name);
	struct part p = { .kind = PART_OTHER };

	if (str_eq(label, STR(PEM_STRING_X509)) || str_eq(label, STR(PEM_STRING_X509_OLD)) ||
	    str_eq(label, STR(PEM_STRING_X509_TRUSTED))) {
		p.kind = PART_CERT;
		p.cert = d2i_X509_AUX(NULL, &der, n);
		return p.cert ? p : part_bad(r, "certificate", e);
	}
	if (str_eq(label, STR("ENCRYPTED PRIVATE KEY"))) {
		error_set(e, ERROR_CONFIG, "%s: the private key is encrypted", r->path);
		return (struct part){ .kind = PART_BAD };
	}
	if (str_has_suffix(label, STR("PRIVATE KEY"))) {
		p.kind = PART_KEY;
		p.key = d2i_AutoPrivateKey(NULL, &der, n);
		return p.key ? p : part_bad(r, "private key", e);
	}
	return p;
}

static struct part reader_next(struct reader *r, struct error *e)
{
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long n = 0;
	struct part p = { .kind = PART_END };

	r->n++;
	if (PEM_read_bio(r->bio, &name, &header, &der, &n)) {
		if (strstr(header, "ENCRYPTED")) {
			error_set(e, ERROR_CONFIG, "%s: the private key is encrypted", r->path);
			p.kind = PART_BAD;
		} else {
			p = part_of(r, name, der, n, e);
		}
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)n);
	} else if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		p = part_bad(r, "PEM part", e);
	}
	ERR_clear_error();
	return p;
}

static void identity_clear(struct tls_identity *id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
	sk_X509_pop_free(id->chain, X509_free);
	*id = (struct tls_identity){ 0 };
}

void tls_identities_free(struct tls_identities *ids)
{
	while (ids->n > 0)
		identity_clear(&ids->v[--ids->n]);
}

/* The first is the leaf, the others its chain. */
static void identity_add_cert(struct tls_identity *id, X509 *cert)
{
	if (!id->cert) {
		id->cert = cert;
		return;
	}
	if (!id->chain)
		id->chain = sk_X509_new_null();
	CHECK(id->chain && sk_X509_push(id->chain, cert) > 0);
}

/* Moves *id to the end of the list. */
static bool identities_take(struct tls_identities *ids, struct tls_identity *id, struct error *e)
{
	if (ids->n == TLS_IDENTITIES_MAX)
		return error_set(e, ERROR_CONFIG, "more than %d certificates with keys",
				 TLS_IDENTITIES_MAX);
	ids->v[ids->n++] = *id;
	*id = (struct tls_identity){ 0 };
	return true;
}

/* Keeps what is wanted of one file: the certificates, the first key, or both. */
static bool read_file(struct tls_identity *id, const char *path, bool with_certs, bool with_key,
		      struct error *e)
{
	struct reader r;
	struct part p;

	if (!reader_open(&r, path, e))
		return false;
	while ((p = reader_next(&r, e)).kind == PART_KEY || p.kind == PART_CERT ||
	       p.kind == PART_OTHER) {
		if (p.cert && with_certs)
			identity_add_cert(id, p.cert);
		else
			X509_free(p.cert);
		if (p.key && with_key && !id->key)
			id->key = p.key;
		else
			EVP_PKEY_free(p.key);
	}
	BIO_free(r.bio);
	if (p.kind == PART_BAD)
		return false;
	if (with_certs && !id->cert)
		return error_set(e, ERROR_DATA, "%s: no certificate in it", path);
	if (with_key && !id->key)
		return error_set(e, ERROR_DATA, "%s: no private key in it", path);
	return true;
}

static bool identity_matches(const struct tls_identity *id, const char *key_file,
			     const char *cert_file, struct error *e)
{
	bool is_match = X509_check_private_key(id->cert, id->key) == 1;

	ERR_clear_error();
	return is_match || error_set(e, ERROR_CONFIG,
				     "the private key in %s does not belong to the certificate in "
				     "%s",
				     key_file, cert_file);
}

bool tls_identities_load_pair(struct tls_identities *ids, struct str cert_file, struct str key_file,
			      struct error *e)
{
	char cert[TLS_PATH_MAX], key[TLS_PATH_MAX];
	struct tls_identity id = { 0 };
	bool is_one_file = key_file.n == 0 || str_eq(cert_file, key_file);
	bool is_ok;

	if (!tls_path(cert_file, cert, e) || !tls_path(is_one_file ? cert_file : key_file, key, e))
		return false;
	is_ok = read_file(&id, cert, true, is_one_file, e) &&
		(is_one_file || read_file(&id, key, false, true, e)) &&
		identity_matches(&id, key, cert, e) && identities_take(ids, &id, e);
	identity_clear(&id);
	return is_ok;
}

/* The walk through smtp_tls_chain_files: a key, its certificate, the chain, the next key ... */
struct walk {
	struct tls_identities *ids;
	struct tls_identity id; /* being put together */
	char key_file[TLS_PATH_MAX];
};

static bool walk_end_identity(struct walk *w, const char *path, struct error *e)
{
	if (!w->id.key)
		return true;
	if (!w->id.cert)
		return error_set(e, ERROR_CONFIG, "%s: no certificate follows the private key",
				 w->key_file);
	return identity_matches(&w->id, w->key_file, path, e) && identities_take(w->ids, &w->id, e);
}

static bool walk_part(struct walk *w, const char *path, struct part p, struct error *e)
{
	switch (p.kind) {
	case PART_KEY:
		if (!walk_end_identity(w, path, e)) {
			EVP_PKEY_free(p.key);
			return false;
		}
		w->id.key = p.key;
		memcpy(w->key_file, path, strlen(path) + 1);
		return true;
	case PART_CERT:
		if (!w->id.key) {
			X509_free(p.cert);
			return error_set(e, ERROR_CONFIG,
					 "%s: a certificate comes before its private key", path);
		}
		identity_add_cert(&w->id, p.cert);
		return true;
	case PART_OTHER: /* EC PARAMETERS and the like */
	case PART_END:
		return true;
	case PART_BAD:
		return false;
	}
	return false;
}

static bool walk_file(struct walk *w, const char *path, struct error *e)
{
	struct reader r;
	struct part p;
	bool is_ok, has_any = false;

	if (!reader_open(&r, path, e))
		return false;
	do {
		p = reader_next(&r, e);
		is_ok = walk_part(w, path, p, e);
		has_any |= p.kind == PART_KEY || p.kind == PART_CERT;
	} while (is_ok && p.kind != PART_END);
	BIO_free(r.bio);
	if (is_ok && !has_any)
		return error_set(e, ERROR_DATA, "%s: no private key and no certificate in it",
				 path);
	return is_ok;
}

bool tls_identities_load_chains(struct tls_identities *ids, struct str files, struct error *e)
{
	struct walk w = { .ids = ids };
	char path[TLS_PATH_MAX] = "";
	struct str file;
	bool is_ok = true;

	while (is_ok && str_token(&files, STR(", \t\r\n"), &file))
		is_ok = tls_path(file, path, e) && walk_file(&w, path, e);
	is_ok = is_ok && walk_end_identity(&w, path, e);
	identity_clear(&w.id);
	return is_ok;
}

bool tls_identities_install(const struct tls_identities *ids, SSL_CTX *ctx, struct error *e)
{
	for (size_t i = 0; i < ids->n; i++) {
		const struct tls_identity *id = &ids->v[i];
		char subject[256] = "";

		if (SSL_CTX_use_cert_and_key(ctx, id->cert, id->key, id->chain, 0) == 1)
			continue;
		X509_NAME_oneline(X509_get_subject_name(id->cert), subject, sizeof(subject));
		return tls_error_set(e, ERROR_CONFIG, "certificate %s cannot be used", subject);
	}
	return true;
}
