/* What the files of this room share. Nobody else includes it. */

#ifndef HOPSEAL_TLS_ROOM_H
#define HOPSEAL_TLS_ROOM_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "mail/address.h"
#include "tls/tls.h"

/* Takes the whole error queue and says its first entry in words: "no shared cipher". The first is
 * the cause; what follows is what became of it on the way up. */
void tls_queue_text(char *out, size_t size);
/* As error_set with ": " and the queue's words behind it. */
bool tls_error_set(struct error *e, enum error_kind kind, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define TLS_PATH_MAX 4096
/* A C string of a path; false with *e when it is too long or has a NUL inside. */
MUST_USE bool tls_path(struct str path, char out[TLS_PATH_MAX], struct error *e);
/* False with *e when it is not a file that can be read. */
MUST_USE bool tls_file_is_readable(const char *path, struct error *e);

/* Certificates with their keys: at most one of each key type. */
#define TLS_IDENTITIES_MAX 8
struct tls_identity {
	X509 *cert;
	EVP_PKEY *key;
	STACK_OF(X509) * chain;
};
struct tls_identities {
	struct tls_identity v[TLS_IDENTITIES_MAX];
	size_t n;
};

void tls_identities_free(struct tls_identities *ids);
/* The first key of key_file (cert_file if "") with the certificates of cert_file, leaf first. */
MUST_USE bool tls_identities_load_pair(struct tls_identities *ids, struct str cert_file,
				       struct str key_file, struct error *e);
/* Files in a row, each key before its chain: smtp_tls_chain_files. */
MUST_USE bool
tls_identities_load_chains(struct tls_identities *ids, struct str files, struct error *e);
MUST_USE bool
tls_identities_install(const struct tls_identities *ids, SSL_CTX *ctx, struct error *e);

/* A context with what holds for both sides: versions, options, modes, callbacks, level 0. */
MUST_USE SSL_CTX *tls_context_new(const SSL_METHOD *method, tls_versions versions);

/* Worst fault of a verification and where it was found. */
struct tls_fault {
	enum chain_fault kind;
	int depth, x509_error;
};

/* What alone is trusted, when it is not empty. */
struct tls_anchors {
	STACK_OF(X509) * certs;
	EVP_PKEY **keys;
	size_t n_keys, n; /* n: both, as they stand in the files */
};

/* Adds what the file holds; false with *e when it is not whole, or holds nothing. */
MUST_USE bool tls_anchors_load(struct tls_anchors *t, struct str file, struct error *e);
void tls_anchors_free(struct tls_anchors *t);

/* A session of an earlier handshake, and what the full one proved. */
struct tls_resumable {
	SSL_SESSION *session;
	struct tls_fault fault;
	int64_t proved_at, not_after; /* UTC seconds; the first certificate's end */
};

/* Of one client; it lives as long as a session that may still hand in tickets. */
struct tls_cache;
MUST_USE struct tls_cache *tls_cache_new(unsigned lifetime_s);
struct tls_cache *tls_cache_ref(struct tls_cache *c);
void tls_cache_unref(struct tls_cache *c);
/* Takes a reference of its own. */
void tls_cache_keep(struct tls_cache *c, struct str key, const struct tls_resumable *r);
/* With a reference for the caller; one of TLS 1.3 is taken out. */
MUST_USE bool tls_cache_take(struct tls_cache *c, struct str key, struct tls_resumable *out);
void tls_cache_forget(struct tls_cache *c, struct str key);

struct tls_session {
	SSL *ssl;
	enum tls_state state;
	struct buf network_in, network_out, application_out;
	bool is_server, has_network_ended;
	bool is_close_wanted, is_close_sent;
	bool was_up;        /* the handshake was completed, whatever came later */
	int alert_sent;     /* -1: none */
	unsigned depth_max; /* client: smtp_tls_scert_verifydepth */
	struct tls_fault fault;
	struct tls_anchors anchors; /* client */
	EVP_MD *digest;             /* client; NULL: no fingerprint is wanted */
	struct tls_cache *cache;    /* client; NULL: nothing is resumed or kept */
	struct arena *cache_arena;
	struct str cache_key;
	struct tls_resumable offered, proof; /* .session of the proof is not held */
	SSL_SESSION *waiting[4];             /* until tls_session_keep */
	size_t n_waiting;
	bool is_kept;
	char digest_name[64];
	char error[512];
	char sni[256];
};

MUST_USE struct tls_session *tls_session_new(SSL_CTX *ctx, bool is_server);
/* The session an SSL belongs to. */
struct tls_session *tls_session_of(const SSL *ssl);

/* A context whose sessions can be resumed, and each session's part in it. */
void tls_resume_set_up(SSL_CTX *ctx);
void tls_resume_begin(struct tls_session *s, struct tls_cache *c, struct str key);
void tls_resume_proved(struct tls_session *s);
void tls_resume_failed(struct tls_session *s);
void tls_resume_end(struct tls_session *s);

int64_t tls_utc_of(const ASN1_TIME *t);

/* Verifies against the session's anchors, or the CAs when it has none. For
 * SSL_CTX_set_cert_verify_callback. */
int tls_verify_chain(X509_STORE_CTX *store, void *arg);

/* Never refuses: it notes the worst fault in the session. For SSL_CTX_set_verify. */
int tls_verify_collect(int is_ok, X509_STORE_CTX *store);

#endif
