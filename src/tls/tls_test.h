/* For this room's tests: certificates of every kind, files with them, and a wire between a client
 * and a server that moves as many octets at a time as a test likes. */

#ifndef HOPSEAL_TLS_TEST_H
#define HOPSEAL_TLS_TEST_H

#include "base/test.h"
#include "tls/room.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define UNUSED __attribute__((unused))
#define DAY (24 * 60 * 60L)

struct made {
	X509 *cert;
	EVP_PKEY *key;
};

struct recipe {
	const char *cn, *sans;     /* sans: "DNS:a.test,IP:192.0.2.1" */
	const struct made *issuer; /* NULL: self-signed */
	long from, to;             /* seconds from now; both 0: from -1 to 30 days */
	const char *constraints;   /* basicConstraints; NULL: a leaf */
	const char *usage;         /* extendedKeyUsage */
	bool is_rsa;
	GENERAL_NAMES *names; /* instead of sans; not taken */
	struct str raw_sans;  /* octets of one more such extension */
};

static void add_extension(X509 *x, const struct made *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer ? issuer->cert : x, x, NULL, NULL, 0);
	ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	CHECK(ext && X509_add_ext(x, ext, -1));
	X509_EXTENSION_free(ext);
}

static void add_raw_extension(X509 *x, int nid, struct str octets)
{
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	CHECK(value &&
	      ASN1_OCTET_STRING_set(value, (const unsigned char *)octets.p, (int)octets.n));
	ext = X509_EXTENSION_create_by_NID(NULL, nid, 0, value);
	CHECK(ext && X509_add_ext(x, ext, -1));
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(value);
}

static UNUSED struct made make(const struct recipe *r)
{
	static long serial = 1;
	struct made m = { X509_new(), r->is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256") };
	X509_NAME *name = X509_NAME_new();
	bool is_dated = r->from || r->to;
	const struct made *by = r->issuer ? r->issuer : &m;

	CHECK(m.cert && m.key && name);
	CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					 (const unsigned char *)(r->cn ? r->cn : "x"), -1, -1, 0));
	X509_set_version(m.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(m.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(m.cert), is_dated ? r->from : -DAY);
	X509_gmtime_adj(X509_getm_notAfter(m.cert), is_dated ? r->to : 30 * DAY);
	X509_set_subject_name(m.cert, name);
	X509_set_issuer_name(m.cert, r->issuer ? X509_get_subject_name(by->cert) : name);
	X509_set_pubkey(m.cert, m.key);
	add_extension(m.cert, r->issuer, NID_basic_constraints,
		      r->constraints ? r->constraints : "critical,CA:FALSE");
	if (r->sans)
		add_extension(m.cert, r->issuer, NID_subject_alt_name, r->sans);
	if (r->usage)
		add_extension(m.cert, r->issuer, NID_ext_key_usage, r->usage);
	if (r->names)
		CHECK(X509_add1_ext_i2d(m.cert, NID_subject_alt_name, r->names, 0, 0) == 1);
	if (r->raw_sans.n)
		add_raw_extension(m.cert, NID_subject_alt_name, r->raw_sans);
	CHECK(X509_sign(m.cert, by->key, EVP_sha256()) > 0);
	X509_NAME_free(name);
	return m;
}

static UNUSED void unmake(struct made *m)
{
	X509_free(m->cert);
	EVP_PKEY_free(m->key);
}

/* A file of this test, removed at the end of the program. */
#define FILES_MAX 64
static char file_names[FILES_MAX][64];
static size_t n_files;

static UNUSED void files_remove(void)
{
	while (n_files > 0)
		unlink(file_names[--n_files]);
}

static UNUSED struct str file_with(const char *text)
{
	char *name = file_names[n_files++];
	FILE *f;

	CHECK(n_files < FILES_MAX);
	snprintf(name, sizeof(file_names[0]), "tls_test.%ld.%zu.pem", (long)getpid(), n_files);
	f = fopen(name, "w");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
	return str_of(name);
}

static UNUSED void file_add_cert(struct str file, const struct made *m)
{
	FILE *f = fopen(file.p, "a");

	CHECK(f && PEM_write_X509(f, m->cert) && fclose(f) == 0);
}

static UNUSED void file_add_key(struct str file, const struct made *m)
{
	FILE *f = fopen(file.p, "a");

	CHECK(f && PEM_write_PrivateKey(f, m->key, NULL, NULL, 0, NULL, NULL) && fclose(f) == 0);
}

/* Key, leaf and at most one more. */
static UNUSED struct str file_of(const struct made *leaf, const struct made *next)
{
	struct str file = file_with("");

	file_add_key(file, leaf);
	file_add_cert(file, leaf);
	if (next)
		file_add_cert(file, next);
	return file;
}

static UNUSED struct str file_of_certs(const struct made *a, const struct made *b)
{
	struct str file = file_with("");

	file_add_cert(file, a);
	if (b)
		file_add_cert(file, b);
	return file;
}

static UNUSED const struct tls_demand any_demand = {
	.versions = TLS_VERSIONS_ALL,
	.cipher_list = STR_INIT("aNULL:-aNULL:HIGH:MEDIUM:@STRENGTH:!eNULL"),
};

static UNUSED struct tls_client *client_of(struct tls_client_options o)
{
	struct error e = { 0 };
	struct tls_client *c;

	if (!o.verify_depth)
		o.verify_depth = 9;
	c = tls_client_new(&o, &e);
	ok(c != NULL, e.text);
	return c;
}

static UNUSED struct tls_server *server_of(struct tls_server_options o)
{
	struct error e = { 0 };
	struct tls_server *s;

	if (!o.versions)
		o.versions = TLS_VERSIONS_ALL;
	s = tls_server_new(&o, &e);
	ok(s != NULL, e.text);
	return s;
}

struct wire {
	struct tls_session *client, *server;
	size_t piece; /* octets moved at a time; 0: all */
};

static bool move_octets(struct tls_session *from, struct tls_session *to, size_t piece)
{
	struct str out = tls_session_network_out(from);
	char *copy;

	if (out.n == 0 || tls_session_is_full(to))
		return false;
	out = str_first(out, piece && piece < TLS_READ_MAX ? piece : TLS_READ_MAX);
	copy = (char *)test_exact(out).p;
	tls_session_network_in(to, str_span(copy, out.n));
	tls_session_network_sent(from, out.n);
	free(copy);
	tls_session_step(to);
	ok(ERR_peek_error() == 0, "the error queue is drained");
	return true;
}

/* Until nothing moves any more. */
static UNUSED void wire_run(struct wire *w)
{
	bool has_moved = true;

	tls_session_step(w->client);
	tls_session_step(w->server);
	while (has_moved) {
		has_moved = move_octets(w->client, w->server, w->piece);
		has_moved |= move_octets(w->server, w->client, w->piece);
	}
}

static UNUSED struct wire
wire_of(struct tls_client *c, const struct tls_demand *d, struct tls_server *s)
{
	struct error e = { 0 };
	struct wire w = { tls_client_session(c, d, &e), tls_server_session(s), 0 };

	ok(w.client != NULL, e.text);
	return w;
}

static UNUSED void wire_close(struct wire *w)
{
	tls_session_free(w->client);
	tls_session_free(w->server);
}

static UNUSED bool says(struct str text, const char *part)
{
	size_t at;

	return str_search(text, str_of(part), &at);
}

#endif
