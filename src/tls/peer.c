/* What the peer showed, as plain data. */

#include "tls/room.h"

#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

static struct str copy_hex(struct arena *a, const unsigned char *octets, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *out = arena_alloc(a, 2 * n + 1);

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[octets[i] >> 4];
		out[2 * i + 1] = digits[octets[i] & 15];
	}
	return str_span(out, 2 * n);
}

/* Takes `der`, which OpenSSL allocated; n < 0 when it could not. */
static struct str digest_of_der(struct arena *a, const EVP_MD *md, unsigned char *der, int n)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;

	if (n < 0 || !EVP_Digest(der, (size_t)n, digest, &length, md, NULL))
		length = 0;
	OPENSSL_free(der);
	return copy_hex(a, digest, length);
}

static struct str digest_of_cert(struct arena *a, const EVP_MD *md, const X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);

	return digest_of_der(a, md, der, n);
}

static struct str digest_of_spki(struct arena *a, const EVP_MD *md, const X509 *x)
{
	unsigned char *der = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

	return digest_of_der(a, md, der, n);
}

/* RFC 2253 form escapes control characters and all octets above 127. */
static struct str copy_dn(struct arena *a, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str text = STR("");
	char *p;
	long n;

	CHECK(bio);
	if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0) {
		n = BIO_get_mem_data(bio, &p);
		text = arena_str(a, str_span(p, n > 0 ? (size_t)n : 0));
	}
	BIO_free(bio);
	return text;
}

int64_t tls_utc_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) ? (int64_t)timegm(&tm) : 0;
}

static struct peer_certificate certificate_of(struct arena *a, const X509 *x)
{
	return (struct peer_certificate){
		.subject = copy_dn(a, X509_get_subject_name(x)),
		.issuer = copy_dn(a, X509_get_issuer_name(x)),
		.sha256 = digest_of_cert(a, EVP_sha256(), x),
		.spki_sha256 = digest_of_spki(a, EVP_sha256(), x),
		.not_before = tls_utc_of(X509_get0_notBefore(x)),
		.not_after = tls_utc_of(X509_get0_notAfter(x)),
	};
}

/* The leaf and what came with it; a client's list has the leaf, a server's has not. */
static void peer_add_chain(const struct tls_session *s, struct arena *a, struct tls_peer *p)
{
	X509 *leaf = SSL_get0_peer_certificate(s->ssl);
	STACK_OF(X509) *stack = SSL_get_peer_cert_chain(s->ssl);
	int n = stack ? sk_X509_num(stack) : 0, first = s->is_server ? 0 : 1;
	struct peer_certificate *v;

	if (!leaf)
		return;
	v = ARENA_ARRAY(a, n < TLS_CHAIN_MAX ? n + 1 : TLS_CHAIN_MAX, struct peer_certificate);
	v[p->n_chain++] = certificate_of(a, leaf);
	for (int i = first; i < n && p->n_chain < TLS_CHAIN_MAX; i++)
		v[p->n_chain++] = certificate_of(a, sk_X509_value(stack, i));
	p->chain = v;
}

/* Octets that a name cannot have make it "", which matches nothing; trailing NULs are forgiven, as
 * Postfix does. */
static struct str copy_name(struct arena *a, const unsigned char *octets, int length, bool is_ascii)
{
	size_t n = length > 0 ? (size_t)length : 0;

	while (n > 0 && octets[n - 1] == '\0')
		n--;
	for (size_t i = 0; i < n; i++)
		if (octets[i] < ' ' || octets[i] == 127 || (is_ascii && octets[i] > 127))
			return STR("");
	return arena_str(a, str_span((const char *)octets, n));
}

static struct str copy_ip(struct arena *a, const ASN1_OCTET_STRING *octets)
{
	int n = ASN1_STRING_length(octets);
	struct address address = { .family = n == 16 ? ADDRESS_V6 : ADDRESS_V4 };

	if (n != 4 && n != 16)
		return STR("");
	memcpy(address.octets, ASN1_STRING_get0_data(octets), (size_t)n);
	return address_text(a, &address);
}

static bool name_of(struct arena *a, const GENERAL_NAME *g, struct peer_name *out)
{
	if (g->type == GEN_DNS) {
		out->kind = PEER_NAME_DNS;
		out->text = copy_name(a, ASN1_STRING_get0_data(g->d.dNSName),
				      ASN1_STRING_length(g->d.dNSName), true);
		return true;
	}
	if (g->type != GEN_IPADD)
		return false;
	out->kind = PEER_NAME_IP;
	out->text = copy_ip(a, g->d.iPAddress);
	return out->text.n > 0;
}

static bool common_name_of(struct arena *a, const X509 *x, struct peer_name *out)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *utf8 = NULL;
	int n;

	if (at < 0)
		return false;
	n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (n < 0)
		return false;
	out->kind = PEER_NAME_CN;
	out->text = copy_name(a, utf8, n, false);
	OPENSSL_free(utf8);
	return out->text.n > 0;
}

/* Names that cannot be read, or an extension that stands there twice: nothing matches, and the CN
 * stays hidden, because nobody knows whether there is a DNS name. RFC 6125 section 6.4.4. */
static bool peer_add_alternative_names(struct arena *a, const X509 *leaf, struct tls_peer *p,
				       struct peer_name **names)
{
	int found = -1; /* -1: no such extension; else a list was read, or it cannot be read */
	GENERAL_NAMES *list = X509_get_ext_d2i(leaf, NID_subject_alt_name, &found, NULL);
	int n = list ? sk_GENERAL_NAME_num(list) : 0, i;
	struct peer_name *v =
		ARENA_ARRAY(a, (n < TLS_NAMES_MAX ? n : TLS_NAMES_MAX) + 2, struct peer_name);

	*names = v; /* with room for "" and a CN */
	for (i = 0; i < n && p->n_names < TLS_NAMES_MAX; i++)
		p->n_names += name_of(a, sk_GENERAL_NAME_value(list, i), &v[p->n_names]);
	if (!list && found != -1)
		v[p->n_names++] = (struct peer_name){ PEER_NAME_DNS, STR("") };
	GENERAL_NAMES_free(list);
	return i == n;
}

static void peer_add_names(const struct tls_session *s, struct arena *a, struct tls_peer *p)
{
	X509 *leaf = SSL_get0_peer_certificate(s->ssl);
	struct peer_name *v;

	if (!leaf)
		return;
	if (peer_add_alternative_names(a, leaf, p, &v))
		p->n_names += common_name_of(a, leaf, &v[p->n_names]);
	p->names = v;
}

static void peer_add_fingerprint(const struct tls_session *s, struct arena *a, struct tls_peer *p)
{
	X509 *leaf = SSL_get0_peer_certificate(s->ssl);

	if (!leaf || !s->digest)
		return;
	p->fingerprint = (struct peer_fingerprint){
		.digest = arena_str(a, str_of(s->digest_name)),
		.certificate = digest_of_cert(a, s->digest, leaf),
		.public_key = digest_of_spki(a, s->digest, leaf),
	};
}

static void peer_add_fault(const struct tls_session *s, struct arena *a, struct tls_peer *p)
{
	const struct tls_fault *f = &s->fault;

	p->fault = p->n_chain ? f->kind : CHAIN_NO_CERTIFICATE;
	if (p->fault != CHAIN_OK && p->fault != CHAIN_NO_CERTIFICATE)
		p->fault_text = arena_fmt(a, "%s at depth %d",
					  X509_verify_cert_error_string(f->x509_error), f->depth);
}

static void peer_add_suite(const struct tls_session *s, struct arena *a, struct tls_peer *p)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(s->ssl);

	p->is_tls = true;
	p->protocol = arena_str(a, str_of(SSL_get_version(s->ssl)));
	p->cipher = arena_str(a, str_of(SSL_CIPHER_get_name(cipher)));
	p->cipher_bits = (unsigned)SSL_CIPHER_get_bits(cipher, NULL);
	p->is_resumed = SSL_session_reused(s->ssl) == 1;
}

struct tls_peer tls_session_peer(const struct tls_session *s, struct arena *a)
{
	struct tls_peer p = { 0 };

	ERR_clear_error();
	peer_add_chain(s, a, &p);
	peer_add_names(s, a, &p);
	peer_add_fingerprint(s, a, &p);
	peer_add_fault(s, a, &p);
	if (s->was_up)
		peer_add_suite(s, a, &p);
	else
		p.handshake_error = arena_str(a, tls_session_error(s));
	if (!s->is_server)
		p.sni_sent = arena_str(a, tls_session_sni(s));
	ERR_clear_error();
	return p;
}
