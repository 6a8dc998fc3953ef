/* TLS without sockets: the room that owns OpenSSL. A session has four ports, octets in and out on
 * the network's side and on the application's; who carries them is somebody else's business.
 * Nothing is judged here: the verification only collects what the peer showed.
 *
 * Thread: a tls_client or tls_server and all its sessions belong to one thread; make one per
 * worker. Sessions may outlive what they were made from. OpenSSL's error queue is empty before and
 * after every call. Files are read in _new (blocking); a CApath is read during handshakes. */

#ifndef HOPSEAL_TLS_TLS_H
#define HOPSEAL_TLS_TLS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/limits.h"
#include "policy/peer.h"

/* From now on OpenSSL ends the process when there is no memory, as all of the house does: whatever
 * else it makes of that, in the middle of a handshake or a verification, nobody has to think of.
 * A program calls it before anything else. */
void tls_take_memory(void);

/* Whom we trust and who we are: one per configuration, because a CA bundle costs 20 ms to load.
 * "" means not set. */
struct tls_client_options {
	struct str ca_file, ca_path; /* smtp_tls_CAfile, smtp_tls_CApath */
	bool appends_default_ca;     /* tls_append_default_CA; only beside a CAfile or CApath */
	unsigned verify_depth;       /* smtp_tls_scert_verifydepth: 0 allows the leaf alone */
	struct str chain_files;      /* smtp_tls_chain_files; overrides the six below */
	struct str cert_file, key_file, dcert_file, dkey_file, eccert_file, eckey_file;
	unsigned session_lifetime_s; /* smtp_tls_session_cache_timeout; 0: none is resumed */
};

struct tls_client;

/* NULL with *e naming the file: missing, unreadable, no PEM inside, a key that does not belong to
 * its certificate. `o` and its texts are not kept. */
MUST_USE struct tls_client *tls_client_new(const struct tls_client_options *o, struct error *e);
void tls_client_free(struct tls_client *c); /* NULL is fine, here and in all _free of this room */

/* One line about what is odd but can be used, such as a CApath that does not exist; "" if nothing
 * is. Lives as long as the client. */
struct str tls_client_warning(const struct tls_client *c);

/* What a decision demands of a handshake. */
struct tls_demand {
	tls_versions versions;  /* of policy_decision; above a hole OpenSSL offers nothing */
	struct str cipher_list; /* OpenSSL list for TLS 1.2 and below */
	struct str sni;         /* "" : none sent */
	/* Files of certificates and public keys that are trusted instead of the CAs; read anew for
	 * each session. */
	const struct str *trust_files;
	size_t n_trust_files;
	struct str digest; /* of the leaf's fingerprint, as OpenSSL names it; "": none is taken */
	bool needs_authentication; /* fingerprint and above: OpenSSL's security level 1, else 0 */
	/* What a session is kept and resumed under: the server, and all that it is judged by. "":
	 * neither is done. */
	struct str session_key;
};

struct tls_session;

/* All that a handshake under this demand depends on, beside the server: whom this client trusts and
 * who it is, the demand without its key, and the present versions of its trust files. */
struct str
tls_client_terms(const struct tls_client *c, struct arena *a, const struct tls_demand *d);

/* NULL with *e (ERROR_CONFIG) when no protocol or no cipher is left, the list
 * is malformed, or the digest unknown; with
 * other kinds when a trust file cannot be used. Contexts are kept for every distinct demand of
 * versions, ciphers and authentication. */
MUST_USE struct tls_session *
tls_client_session(struct tls_client *c, const struct tls_demand *d, struct error *e);

/* Whether OpenSSL has a cipher for any of the session's versions at its security level; false with
 * *e (ERROR_CONFIG): no handshake can begin. */
MUST_USE bool tls_session_check(struct tls_session *s, struct error *e);

/* How many certificates and public keys a trust file holds; false with *e when it is missing, holds
 * none, or anything that is neither. */
MUST_USE bool tls_trust_anchors_count(struct str file, size_t *n, struct error *e);

/* ---- what files hold, for those who look before mail does ---- */

struct tls_file_cert {
	struct str subject;
	int64_t begins_at, ends_at; /* UTC seconds */
};

struct tls_file {
	const struct tls_file_cert *certs;
	size_t n_certs;
	size_t n_keys; /* public keys by themselves */
};

/* The certificates of a PEM file, at most TLS_ANCHORS_MAX of them, and its public keys; private
 * ones are passed over. Everything lives in `a`. False with *e: it is missing, or no PEM. */
MUST_USE bool
tls_file_read(struct arena *a, struct str path, struct tls_file *out, struct error *e);
/* The file can serve as smtp_tls_CAfile. */
MUST_USE bool tls_ca_file_check(struct str path, struct error *e);
/* The files of a folder that can serve as smtp_tls_CApath: those that have names of a hash. */
size_t tls_ca_path_files(struct arena *a, struct str path, const struct str **files);
/* The key belongs to the certificate; key_file "": both are in one file. */
MUST_USE bool tls_identity_check(struct str cert_file, struct str key_file, struct error *e);
MUST_USE bool tls_chain_files_check(struct str files, struct error *e);
/* Octets of a fingerprint by that digest, 0: OpenSSL has none of the name. */
size_t tls_digest_octets(struct str name);

/* The server's side, for receivers. */
struct tls_server_options {
	struct str cert_file, key_file; /* chain, leaf first; both "" for anonymous suites only */
	struct str eccert_file, eckey_file; /* a second pair */
	struct str chain_files;             /* overrides the four above: smtpd_tls_chain_files */
	tls_versions versions;
	struct str cipher_list;   /* "": OpenSSL's default. Security level 0 in either case */
	bool prefers_own_ciphers; /* tls_preempt_cipherlist */
	bool asks_certificate;    /* takes any, verifies none */
	bool gives_tickets;       /* sessions can be resumed */
};

struct tls_server;

MUST_USE struct tls_server *tls_server_new(const struct tls_server_options *o, struct error *e);
void tls_server_free(struct tls_server *s);
MUST_USE struct tls_session *tls_server_session(struct tls_server *s);

/* After FAILED nothing more is read or written, but our alert may wait at the network's port. */
enum tls_state {
	TLS_STATE_HANDSHAKING,
	TLS_STATE_UP,
	TLS_STATE_CLOSED,    /* the peer said close_notify: all it sent has arrived */
	TLS_STATE_TRUNCATED, /* its octets ended without: what it sent may be cut */
	TLS_STATE_FAILED,    /* tls_session_error says why */
};

void tls_session_free(struct tls_session *s);
enum tls_state tls_session_state(const struct tls_session *s);
/* The handshake was completed, whatever came later, also within the same step. */
bool tls_session_was_up(const struct tls_session *s);
struct str tls_session_state_name(enum tls_state state); /* "handshaking", "up" ... */
/* One line: the alert's name if there is one, OpenSSL's words; "" unless FAILED or TRUNCATED. */
struct str tls_session_error(const struct tls_session *s);

/* Moves everything that can move: handshake, records, alerts. Call it once to start a client, and
 * after each change at a port; the order does not matter. */
enum tls_state tls_session_step(struct tls_session *s);

/* From the network: takes all of `in`, which is at most TLS_READ_MAX octets. While the application
 * does not take its octets the ports fill up: pause the socket as long as is_full. */
void tls_session_network_in(struct tls_session *s, struct str in);
bool tls_session_is_full(const struct tls_session *s);
void tls_session_network_end(struct tls_session *s); /* the peer closed its side */

/* To the network: borrowed until the next call; then how many octets were taken. */
struct str tls_session_network_out(const struct tls_session *s);
void tls_session_network_sent(struct tls_session *s, size_t n);

/* From the application: how many octets were taken; less than in.n, also 0, before UP, after the
 * end and while the network's port is full. */
MUST_USE size_t tls_session_application_in(struct tls_session *s, struct str in);
void tls_session_close(
	struct tls_session *s); /* sends close_notify; nothing may be written after */

/* To the application. Octets that arrived whole stay readable after CLOSED, TRUNCATED, FAILED. */
struct str tls_session_application_out(const struct tls_session *s);
void tls_session_application_used(struct tls_session *s, size_t n);

/* A client's session was found good: it may be resumed under its key. The peer of a resumed session
 * is that of the handshake which was complete. */
void tls_session_keep(struct tls_session *s);
/* An earlier session was offered to be resumed, whatever came of it. */
bool tls_session_was_offered(const struct tls_session *s);

/* What the handshake showed, copied into `a`. If it was not completed: is_tls is false and
 * handshake_error is set, with the chain if it got that far. `is_offered` is left to the caller. */
struct tls_peer tls_session_peer(const struct tls_session *s, struct arena *a);

/* A value that only the two ends of this connection know, for channel binding: RFC 9266. False
 * before the handshake is complete. */
#define TLS_EXPORTER_SIZE 32
MUST_USE bool tls_session_exporter(const struct tls_session *s, char out[TLS_EXPORTER_SIZE]);

/* The server name a client asked for, "" if none; borrowed from the session. */
struct str tls_session_sni(const struct tls_session *s);

#endif
