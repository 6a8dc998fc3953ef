/* What configurations come to: certificate files without a session that needs them, and sessions
 * without a peer. */

#include "tls/room.h"

#include <dirent.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>

static int64_t utc_of(const ASN1_TIME *t)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static struct str subject_of(struct arena *a, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str text;
	char *p;

	CHECK(bio);
	/* commas between, UTF-8 as it is, control characters escaped: RFC 2253 */
	X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0,
			   XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	long n = BIO_get_mem_data(bio, &p);
	text = arena_str(a, str_span(p, n > 0 ? (size_t)n : 0));
	BIO_free(bio);
	return text;
}

struct reading {
	struct arena *a;
	struct tls_file *out;
	struct tls_file_cert *certs;
	size_t room;
};

static void reading_add(struct reading *r, X509 *cert)
{
	if (r->out->n_certs == r->room) {
		r->room = r->room ? 2 * r->room : 8;
		struct tls_file_cert *more = ARENA_ARRAY(r->a, r->room, struct tls_file_cert);
		if (r->out->n_certs)
			memcpy(more, r->certs, r->out->n_certs * sizeof(*more));
		r->certs = more;
	}
	r->certs[r->out->n_certs++] = (struct tls_file_cert){
		.subject = subject_of(r->a, cert),
		.begins_at = utc_of(X509_get0_notBefore(cert)),
		.ends_at = utc_of(X509_get0_notAfter(cert)),
	};
}

static void reading_part(struct reading *r, const char *name, const unsigned char *der, long n)
{
	struct str label = str_of(name);
	X509 *cert;

	r->out->n_keys += str_eq(label, STR(PEM_STRING_PUBLIC));
	if (!str_eq(label, STR(PEM_STRING_X509)) && !str_eq(label, STR(PEM_STRING_X509_OLD)) &&
	    !str_eq(label, STR(PEM_STRING_X509_TRUSTED)))
		return;
	cert = d2i_X509_AUX(NULL, &der, n);
	if (cert)
		reading_add(r, cert);
	X509_free(cert);
}

static bool reading_all(struct reading *r, BIO *bio, const char *path, struct error *e)
{
	char *name, *header;
	unsigned char *der;
	long n;

	while (r->out->n_certs < TLS_ANCHORS_MAX && PEM_read_bio(bio, &name, &header, &der, &n)) {
		reading_part(r, name, der, n);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)n);
	}
	r->out->certs = r->certs;
	return ERR_peek_last_error() == 0 ||
	       ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ||
	       tls_error_set(e, ERROR_DATA, "%s: malformed PEM", path);
}

bool tls_file_read(struct arena *a, struct str path, struct tls_file *out, struct error *e)
{
	struct reading r = { .a = a, .out = out };
	char name[TLS_PATH_MAX];
	BIO *bio;

	*out = (struct tls_file){ 0 };
	ERR_clear_error();
	if (!tls_path(path, name, e) || !tls_file_is_readable(name, e))
		return false;
	bio = BIO_new_file(name, "r");
	if (!bio)
		return tls_error_set(e, ERROR_NO_INPUT, "%s", name);
	bool is_read = reading_all(&r, bio, name, e);
	BIO_free(bio);
	ERR_clear_error();
	return is_read;
}

bool tls_ca_file_check(struct str path, struct error *e)
{
	struct tls_client *c = tls_client_new(&(struct tls_client_options){ .ca_file = path }, e);

	tls_client_free(c);
	return c != NULL;
}

/* "0123abcd.0": X509_LOOKUP_hash_dir(3) opens no other names. */
static bool is_hash_name(struct str name)
{
	struct str hash, number;
	uint64_t n;

	if (!str_cut(name, '.', &hash, &number) || hash.n != 8 || !str_to_u64(number, &n))
		return false;
	for (size_t i = 0; i < hash.n; i++)
		if (!ascii_is_digit(hash.p[i]) && (hash.p[i] < 'a' || hash.p[i] > 'f'))
			return false;
	return true;
}

size_t tls_ca_path_files(struct arena *a, struct str path, const struct str **files)
{
	struct str *v = ARENA_ARRAY(a, TLS_ANCHORS_MAX, struct str);
	char name[TLS_PATH_MAX];
	struct dirent *d;
	struct error e;
	size_t n = 0;

	*files = v;
	if (!tls_path(path, name, &e))
		return 0;
	DIR *dir = opendir(name);
	if (!dir)
		return 0;
	while (n < TLS_ANCHORS_MAX && (d = readdir(dir)))
		if (is_hash_name(str_of(d->d_name)))
			v[n++] = arena_fmt(a, "%s/%s", name, d->d_name);
	closedir(dir);
	return n;
}

bool tls_identity_check(struct str cert_file, struct str key_file, struct error *e)
{
	struct tls_client_options o = { .cert_file = cert_file, .key_file = key_file };
	struct tls_client *c = tls_client_new(&o, e);

	tls_client_free(c);
	return c != NULL;
}

bool tls_chain_files_check(struct str files, struct error *e)
{
	struct tls_client *c =
		tls_client_new(&(struct tls_client_options){ .chain_files = files }, e);

	tls_client_free(c);
	return c != NULL;
}

size_t tls_digest_octets(struct str name)
{
	char text[64];
	EVP_MD *md;
	int n;

	if (!name.n || name.n >= sizeof(text) || str_contains(name, '\0'))
		return 0;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	md = EVP_MD_fetch(NULL, text, NULL);
	n = md ? EVP_MD_get_size(md) : 0;
	EVP_MD_free(md);
	ERR_clear_error();
	return n > 0 ? (size_t)n : 0;
}

bool tls_session_check(struct tls_session *s, struct error *e)
{
	STACK_OF(SSL_CIPHER) *ciphers = SSL_get1_supported_ciphers(s->ssl);
	int n = ciphers ? sk_SSL_CIPHER_num(ciphers) : 0;

	sk_SSL_CIPHER_free(ciphers);
	ERR_clear_error();
	return n > 0 || error_set(e, ERROR_CONFIG,
				  "OpenSSL has no cipher for these versions at its security level "
				  "%d",
				  SSL_get_security_level(s->ssl));
}
