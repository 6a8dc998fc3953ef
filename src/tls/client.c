/* The client's side: whom we trust, who we are, and a context for each distinct demand. */

#include "tls/room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>

/* One distinct demand. */
struct context {
	SSL_CTX *ctx;
	char *ciphers;
	tls_versions versions;
	bool needs_authentication;
};

struct tls_client {
	X509_STORE *store;
	struct tls_identities identities;
	struct tls_cache *cache; /* NULL: no session is resumed */
	char digest[2 * 32 + 1]; /* of whom we trust and who we are */
	unsigned verify_depth;
	struct context contexts[TLS_CONTEXTS_MAX];
	size_t n_contexts, next_out; /* next_out: the place a new one takes when all are used */
	char warning[512];
};

static bool client_load_ca_file(struct tls_client *c, struct str ca_file, struct error *e)
{
	char path[TLS_PATH_MAX];

	if (!tls_path(ca_file, path, e))
		return false;
	if (!tls_file_is_readable(path, e))
		return error_prefix(e, "CA file");
	return X509_STORE_load_file(c->store, path) == 1 ||
	       tls_error_set(e, ERROR_DATA, "CA file: %s", path);
}

/* A folder that is missing trusts nobody, which is safe; but nobody finds out by himself. */
static bool client_add_ca_path(struct tls_client *c, struct str ca_path, struct error *e)
{
	char path[TLS_PATH_MAX];
	struct stat st;

	if (!tls_path(ca_path, path, e))
		return false;
	if (X509_STORE_load_path(c->store, path) != 1)
		return tls_error_set(e, ERROR_CONFIG, "CA path: %s", path);
	if (stat(path, &st) != 0)
		snprintf(c->warning, sizeof(c->warning), "CA path: %.300s: %s", path,
			 strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		snprintf(c->warning, sizeof(c->warning), "CA path: %.300s: not a directory", path);
	return true;
}

static bool
client_load_trust(struct tls_client *c, const struct tls_client_options *o, struct error *e)
{
	if (o->ca_file.n && !client_load_ca_file(c, o->ca_file, e))
		return false;
	if (o->ca_path.n && !client_add_ca_path(c, o->ca_path, e))
		return false;
	if (o->appends_default_ca && (o->ca_file.n || o->ca_path.n) &&
	    X509_STORE_set_default_paths(c->store) != 1)
		return tls_error_set(e, ERROR_CONFIG, "the system's own CA certificates");
	ERR_clear_error();
	return true;
}

static bool
client_load_identities(struct tls_client *c, const struct tls_client_options *o, struct error *e)
{
	struct tls_identities *ids = &c->identities;
	bool is_ok;

	if (o->chain_files.n)
		is_ok = tls_identities_load_chains(ids, o->chain_files, e);
	else
		is_ok = (!o->cert_file.n ||
			 tls_identities_load_pair(ids, o->cert_file, o->key_file, e)) &&
			(!o->dcert_file.n ||
			 tls_identities_load_pair(ids, o->dcert_file, o->dkey_file, e)) &&
			(!o->eccert_file.n ||
			 tls_identities_load_pair(ids, o->eccert_file, o->eckey_file, e));
	return is_ok || error_prefix(e, "client certificate");
}

static SSL_CTX *client_context_new(struct tls_client *c, tls_versions mask, struct error *e)
{
	SSL_CTX *ctx = tls_context_new(TLS_client_method(), mask);

	SSL_CTX_set1_cert_store(ctx, c->store);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, tls_verify_collect);
	SSL_CTX_set_cert_verify_callback(ctx, tls_verify_chain, NULL);
	/* One more than allowed, so that "too long" can be told from "no issuer found". */
	SSL_CTX_set_verify_depth(ctx, (int)c->verify_depth + 1);
	if (c->cache)
		tls_resume_set_up(ctx);
	if (tls_identities_install(&c->identities, ctx, e))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* Tries out once what every later context needs. */
static bool client_is_usable(struct tls_client *c, struct error *e)
{
	SSL_CTX *ctx = client_context_new(c, TLS_VERSIONS_ALL, e);

	SSL_CTX_free(ctx);
	return ctx != NULL || error_prefix(e, "client certificate");
}

/* ---- what it is that sessions are judged by ---- */

static void digest_cert(EVP_MD_CTX *md, const X509 *x)
{
	unsigned char one[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	CHECK(X509_digest(x, EVP_sha256(), one, &n) && EVP_DigestUpdate(md, one, n));
}

static void digest_text(EVP_MD_CTX *md, struct str s)
{
	CHECK(EVP_DigestUpdate(md, &s.n, sizeof(s.n)) && EVP_DigestUpdate(md, s.p, s.n));
}

/* Which version of a file or folder it is, as far as can be told without reading it. */
static struct str path_stamp(struct arena *a, struct str path)
{
	struct error e;
	char name[TLS_PATH_MAX];
	struct stat st;

	if (path.n == 0 || !tls_path(path, name, &e) || stat(name, &st) != 0)
		return STR("-");
	return arena_fmt(a, "%llu.%llu.%lld.%lld.%ld", (unsigned long long)st.st_dev,
			 (unsigned long long)st.st_ino, (long long)st.st_size,
			 (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void digest_store(EVP_MD_CTX *md, X509_STORE *store)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		if (x)
			digest_cert(md, x);
	}
}

/* Folders are read when they are needed: their own stamps stand for what is in them. */
static void digest_options(EVP_MD_CTX *md, const struct tls_client_options *o)
{
	struct arena *a = arena_new();

	digest_text(md, arena_fmt(a, "%u %d", o->verify_depth, o->appends_default_ca));
	digest_text(md, o->ca_path);
	digest_text(md, path_stamp(a, o->ca_path));
	digest_text(md, path_stamp(a, str_of(X509_get_default_cert_dir())));
	arena_free(a);
}

static void client_digest(struct tls_client *c, const struct tls_client_options *o)
{
	unsigned char octets[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned n = 0;

	CHECK(md && EVP_DigestInit_ex(md, EVP_sha256(), NULL));
	digest_options(md, o);
	digest_store(md, c->store);
	for (size_t i = 0; i < c->identities.n; i++)
		digest_cert(md, c->identities.v[i].cert);
	CHECK(EVP_DigestFinal_ex(md, octets, &n) && n == 32);
	for (size_t i = 0; i < n; i++)
		snprintf(c->digest + 2 * i, 3, "%02x", octets[i]);
	EVP_MD_CTX_free(md);
}

struct str tls_client_terms(const struct tls_client *c, struct arena *a, const struct tls_demand *d)
{
	struct str t = arena_fmt(a, "%s %u %d %zu:" STR_FMT " %zu:" STR_FMT " %zu:" STR_FMT,
				 c->digest, d->versions, d->needs_authentication, d->cipher_list.n,
				 STR_ARG(d->cipher_list), d->sni.n, STR_ARG(d->sni), d->digest.n,
				 STR_ARG(d->digest));

	for (size_t i = 0; i < d->n_trust_files; i++)
		t = arena_fmt(a, STR_FMT " %zu:" STR_FMT " " STR_FMT, STR_ARG(t),
			      d->trust_files[i].n, STR_ARG(d->trust_files[i]),
			      STR_ARG(path_stamp(a, d->trust_files[i])));
	return t;
}

struct tls_client *tls_client_new(const struct tls_client_options *o, struct error *e)
{
	struct tls_client *c = base_alloc(sizeof(*c));

	ERR_clear_error();
	c->store = X509_STORE_new();
	CHECK(c->store);
	c->verify_depth = o->verify_depth < 100 ? o->verify_depth : 100;
	if (o->session_lifetime_s > 0)
		c->cache = tls_cache_new(o->session_lifetime_s);
	if (client_load_trust(c, o, e) && client_load_identities(c, o, e) &&
	    client_is_usable(c, e)) {
		client_digest(c, o);
		return c;
	}
	tls_client_free(c);
	return NULL;
}

static void context_clear(struct context *x)
{
	SSL_CTX_free(x->ctx);
	free(x->ciphers);
	*x = (struct context){ 0 };
}

void tls_client_free(struct tls_client *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_contexts; i++)
		context_clear(&c->contexts[i]);
	tls_identities_free(&c->identities);
	tls_cache_unref(c->cache);
	X509_STORE_free(c->store);
	free(c);
}

struct str tls_client_warning(const struct tls_client *c)
{
	return str_of(c->warning);
}

/* As a C string, freed by the caller; NULL: a NUL inside. */
static char *cipher_text(struct str list)
{
	char *text;

	if (str_contains(list, '\0'))
		return NULL;
	text = base_alloc(list.n + 1);
	if (list.n)
		memcpy(text, list.p, list.n);
	return text;
}

static struct context *
client_find(struct tls_client *c, const struct tls_demand *d, const char *ciphers)
{
	for (size_t i = 0; i < c->n_contexts; i++) {
		struct context *x = &c->contexts[i];

		if (x->versions == d->versions && strcmp(x->ciphers, ciphers) == 0 &&
		    x->needs_authentication == d->needs_authentication)
			return x;
	}
	return NULL;
}

static SSL_CTX *
client_make(struct tls_client *c, const struct tls_demand *d, const char *ciphers, struct error *e)
{
	SSL_CTX *ctx = client_context_new(c, d->versions, e);

	if (!ctx)
		return NULL;
	if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1) {
		tls_error_set(e, ERROR_CONFIG, "cipher list \"%.300s\"", ciphers);
		SSL_CTX_free(ctx);
		return NULL;
	}
	if (d->needs_authentication)
		SSL_CTX_set_security_level(ctx, 1);
	return ctx;
}

/* Takes `ciphers`. */
static struct context *
client_keep(struct tls_client *c, const struct tls_demand *d, char *ciphers, SSL_CTX *ctx)
{
	struct context *x;

	if (c->n_contexts < TLS_CONTEXTS_MAX) {
		x = &c->contexts[c->n_contexts++];
	} else {
		x = &c->contexts[c->next_out++ % TLS_CONTEXTS_MAX];
		context_clear(x); /* its sessions hold a reference */
	}
	*x = (struct context){ .ctx = ctx,
			       .ciphers = ciphers,
			       .versions = d->versions,
			       .needs_authentication = d->needs_authentication };
	return x;
}

static struct context *
client_context(struct tls_client *c, const struct tls_demand *d, struct error *e)
{
	char *ciphers = cipher_text(d->cipher_list);
	struct context *x;
	SSL_CTX *ctx;

	if (!ciphers) {
		error_set(e, ERROR_CONFIG, "cipher list with a NUL octet");
		return NULL;
	}
	x = client_find(c, d, ciphers);
	if (x) {
		free(ciphers);
		return x;
	}
	ctx = client_make(c, d, ciphers, e);
	if (!ctx) {
		free(ciphers);
		return NULL;
	}
	return client_keep(c, d, ciphers, ctx);
}

static bool session_set_sni(struct tls_session *s, struct str sni, struct error *e)
{
	if (sni.n == 0)
		return true;
	if (sni.n >= sizeof(s->sni) || str_contains(sni, '\0'))
		return error_set(e, ERROR_CONFIG, "server name \"" STR_FMT "\" cannot be sent",
				 STR_ARG(str_first(sni, 100)));
	memcpy(s->sni, sni.p, sni.n);
	return SSL_set_tlsext_host_name(s->ssl, s->sni) == 1 ||
	       tls_error_set(e, ERROR_CONFIG, "server name \"%s\"", s->sni);
}

/* One that gives no octets, or as many as one likes, is no fingerprint. */
static bool session_set_digest(struct tls_session *s, struct str name, struct error *e)
{
	if (name.n == 0)
		return true;
	if (name.n < sizeof(s->digest_name) && !str_contains(name, '\0')) {
		memcpy(s->digest_name, name.p, name.n);
		s->digest = EVP_MD_fetch(NULL, s->digest_name, NULL);
	}
	ERR_clear_error();
	return (s->digest && EVP_MD_get_size(s->digest) > 0 &&
		!(EVP_MD_get_flags(s->digest) & EVP_MD_FLAG_XOF)) ||
	       error_set(e, ERROR_CONFIG, "no digest \"" STR_FMT "\" for fingerprints",
			 STR_ARG(str_first(name, 100)));
}

static bool session_load_anchors(struct tls_session *s, const struct tls_demand *d, struct error *e)
{
	for (size_t i = 0; i < d->n_trust_files; i++)
		if (!tls_anchors_load(&s->anchors, d->trust_files[i], e))
			return error_prefix(e, "trust anchors");
	return true;
}

struct tls_session *
tls_client_session(struct tls_client *c, const struct tls_demand *d, struct error *e)
{
	struct context *x;
	struct tls_session *s;

	ERR_clear_error();
	if (!(d->versions & TLS_VERSIONS_ALL)) {
		error_set(e, ERROR_CONFIG, "no TLS protocol is left to use");
		return NULL;
	}
	x = client_context(c, d, e);
	if (!x)
		return NULL;
	s = tls_session_new(x->ctx, false);
	s->depth_max = c->verify_depth;
	tls_resume_begin(s, c->cache, d->session_key);
	if (session_set_sni(s, d->sni, e) && session_load_anchors(s, d, e) &&
	    session_set_digest(s, d->digest, e))
		return s;
	tls_session_free(s);
	return NULL;
}
