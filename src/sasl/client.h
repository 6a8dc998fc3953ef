/* The client's side of SASL (RFC 4422): how we log in at a server. Octets in, octets out.
 *
 * Mechanisms: those of sasl/sasl.h, and CRAM-MD5 (RFC 2195). */

#ifndef HOPSEAL_SASL_CLIENT_H
#define HOPSEAL_SASL_CLIENT_H

#include "sasl/sasl.h"

/* What a mechanism keeps up against others, whoever asks for it (smtp_sasl_security_options). */
enum sasl_trait {
	SASL_NO_PLAINTEXT = 1 << 0,  /* what goes over the wire does not hold the password */
	SASL_NO_ACTIVE = 1 << 1,     /* safe from whoever stands in between, who learns nothing */
	SASL_NO_DICTIONARY = 1 << 2, /* and who overheard it cannot try passwords on it */
	SASL_NO_ANONYMOUS = 1 << 3,
	SASL_MUTUAL = 1 << 4, /* the server proves that it knows the password, too */
	SASL_FORWARD_SECRECY = 1 << 5,
};

/* "noplaintext, noanonymous" to bits. False: *bad is no word of it. */
MUST_USE bool sasl_traits_parse(struct str list, unsigned *traits, struct str *bad);

/* Those of a mechanism of sasl/sasl.h, in any case. */
unsigned sasl_traits_of(struct str mechanism);

struct sasl_wish {
	struct str offered; /* names between blanks */
	struct str filter;  /* smtp_sasl_mechanism_filter */
	unsigned traits;    /* wanted */
	bool has_binding;   /* the TLS session has a value for it */
};

/* The best mechanism that is offered, wanted and known here; "" when there is none. */
struct str sasl_choose(const struct sasl_wish *w);
/* False: *bad is an element of the filter that cannot be honoured. */
MUST_USE bool sasl_filter_check(struct str filter, struct str *bad);

struct sasl_login {
	struct str mechanism; /* that sasl_choose gave */
	struct str hostname;
	struct str user, password; /* without NUL */
	struct str binding;        /* octets of tls-exporter; only mechanisms with binding look */
};

struct sasl_client;

MUST_USE struct sasl_client *sasl_client_new(struct sasl *g, const struct sasl_login *o);
void sasl_client_free(struct sasl_client *c); /* NULL is fine */

/* Whether the client speaks first: then its first step, with STR_NONE, is the initial response. */
bool sasl_client_is_first(const struct sasl_client *c);
/* False: the server's words make no sense, or it is an impostor. */
MUST_USE bool sasl_client_step(struct sasl_client *c, struct str challenge);
struct str sasl_client_output(const struct sasl_client *c); /* borrowed until the next call */
/* All has been said, and the server has proved what the mechanism has it prove. */
bool sasl_client_is_complete(const struct sasl_client *c);

/* A text that stands for the login as long as the process lives, and gives nothing away. */
struct str sasl_login_label(struct arena *a, struct str user, struct str password);

#endif
