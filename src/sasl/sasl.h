/* Both sides of SASL (RFC 4422): the room that owns GNU SASL. Octets in, octets out; who carries
 * them, and where the secrets are looked up, is the caller's business. The client's side is
 * sasl/client.h.
 *
 * Mechanisms: PLAIN (RFC 4616), LOGIN, SCRAM-SHA-1 (RFC 5802), SCRAM-SHA-256 (RFC 7677), and the
 * last two with channel binding by the TLS exporter (RFC 9266).
 *
 * Thread: a `struct sasl` and its sessions belong to one thread. */

#ifndef HOPSEAL_SASL_SASL_H
#define HOPSEAL_SASL_SASL_H

#include "base/arena.h"

#define SASL_USER_MAX 255     /* octets of a user name */
#define SASL_OCTETS_MAX 16384 /* all that a client says in one exchange */

struct sasl;

MUST_USE struct sasl *sasl_new(void);
void sasl_free(struct sasl *g); /* its sessions must be gone; NULL is fine */

/* Whether the name is one of the mechanisms above, in any case. */
bool sasl_is_mechanism(struct str name);
/* Whether the client's password goes over the wire as it is. */
bool sasl_shows_password(struct str mechanism);

struct sasl_options {
	struct str mechanism; /* one that sasl_is_mechanism */
	struct str service;   /* "smtp" */
	struct str hostname;
	struct str binding; /* octets of tls-exporter, "" for none */
};

enum sasl_state {
	SASL_CHALLENGE,   /* send sasl_session_output, then step with what comes */
	SASL_WANTS_ENTRY, /* look up sasl_session_user, then sasl_session_entry */
	SASL_ACCEPTED,    /* sasl_session_user it is */
	SASL_REFUSED,
	SASL_BROKEN, /* the entry is of no use here: nobody's fault but ours */
};

struct sasl_session;

MUST_USE struct sasl_session *sasl_session_new(struct sasl *g, const struct sasl_options *o);
void sasl_session_free(struct sasl_session *s); /* NULL is fine */

/* The first one with the initial response, or with STR_NONE when there was none. */
MUST_USE enum sasl_state sasl_session_step(struct sasl_session *s, struct str response);

/* What the user's entry says; STR_NONE: there is no such user, and the exchange goes on to its
 * refusal as if there were one. An entry is
 *
 *	a password as it is, not beginning with "{"
 *	{PLAIN}a password as it is
 *	{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey     all but the first in base 64
 *	{SCRAM-SHA-1}...
 *
 * The latter two serve PLAIN and LOGIN, too, but no other SCRAM mechanism. */
MUST_USE enum sasl_state sasl_session_entry(struct sasl_session *s, struct str entry);

/* Whether it has one of these forms. */
bool sasl_is_entry(struct str entry);

struct str sasl_session_output(const struct sasl_session *s); /* borrowed until the next call */
struct str sasl_session_user(const struct sasl_session *s);

/* For tests and tools: the stored form of a password. */
MUST_USE bool sasl_scram_entry(struct arena *a, struct str mechanism, struct str password,
			       unsigned iterations, struct str salt, struct str *out);

#endif
