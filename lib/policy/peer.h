/* What a handshake showed, as plain data: src/tls fills it and never judges. */

#ifndef HOPSEAL_POLICY_PEER_H
#define HOPSEAL_POLICY_PEER_H

#include "base/arena.h"

/* Bit i set: TLSv1 (0), TLSv1.1 (1), TLSv1.2 (2), TLSv1.3 (3) may be used. */
typedef uint8_t tls_versions;
#define TLS_VERSIONS_ALL 0x0f

enum chain_fault {
	CHAIN_OK,
	CHAIN_NO_CERTIFICATE, /* anonymous suite */
	CHAIN_SELF_SIGNED,    /* the leaf itself, no CA behind it */
	CHAIN_UNKNOWN_CA,     /* no path to a trusted CA */
	CHAIN_EXPIRED,
	CHAIN_NOT_YET_VALID,
	CHAIN_TOO_LONG, /* smtp_tls_scert_verifydepth */
	CHAIN_INVALID,  /* constraints, signature, purpose: see fault_text */
};

enum peer_name_kind { PEER_NAME_DNS, PEER_NAME_CN, PEER_NAME_IP };

struct peer_name {
	enum peer_name_kind kind;
	/* DNS, CN: octets as presented. A DNS name with octets that no name can have (NUL, control
	 * characters, above 127) is "": it matches nothing, but the CN stays hidden behind it. IP:
	 * in its usual form. */
	struct str text;
};

struct peer_certificate {
	struct str subject, issuer;    /* one line each, RFC 2253 */
	struct str sha256;             /* of the DER certificate, lower-case hex */
	struct str spki_sha256;        /* of the DER SubjectPublicKeyInfo */
	int64_t not_before, not_after; /* UTC seconds */
};

/* Of the leaf, in the digest that was asked for; lower-case hex. */
struct peer_fingerprint {
	struct str digest; /* its name as asked for; "": none was */
	struct str certificate, public_key;
};

struct tls_peer {
	bool is_offered;             /* EHLO announced STARTTLS */
	bool is_garbled;             /* EHLO announced XXXXXXXA: a box on the way strips STARTTLS */
	bool is_tls;                 /* handshake complete */
	bool is_requiretls_offered;  /* the EHLO inside TLS announced REQUIRETLS */
	struct str starttls_refusal; /* the reply to STARTTLS when it was refused; "" otherwise */
	struct str handshake_error;  /* it was tried and failed; "" otherwise */
	struct str protocol;         /* "TLSv1.3" */
	struct str cipher;           /* "TLS_AES_256_GCM_SHA384" */
	unsigned cipher_bits;
	struct str sni_sent;
	bool is_resumed;

	enum chain_fault fault; /* of the verification against the trusted CAs, dates included */
	struct str fault_text;  /* OpenSSL's words and depth */

	const struct peer_certificate *chain; /* as presented, leaf first */
	size_t n_chain;
	struct peer_fingerprint fingerprint;
	const struct peer_name *names; /* of the leaf: DNS and IP subjectAltNames, then the CN */
	size_t n_names;
};

/* Whole, in the arena. */
struct tls_peer tls_peer_copy(struct arena *a, const struct tls_peer *p);

#endif
