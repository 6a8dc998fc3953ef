/* What the files of this room share. Nobody else includes it. */

#ifndef HOPSEAL_SASL_ROOM_H
#define HOPSEAL_SASL_ROOM_H

#include <gsasl.h>

#include "base/arena.h"
#include "sasl/sasl.h"

enum sasl_entry_kind { SASL_ENTRY_NONE, SASL_ENTRY_PLAIN, SASL_ENTRY_SCRAM };

/* What is known of a user. Texts are C strings in the arena that they were parsed into. */
struct sasl_entry {
	enum sasl_entry_kind kind;
	struct str password;
	Gsasl_hash hash;
	unsigned iterations;
	struct str salt;                                /* octets */
	struct str salt_text, stored_text, server_text; /* as in the entry */
	struct str stored;                              /* octets */
};

/* False: it has no form of those in sasl.h. */
MUST_USE bool sasl_entry_parse(struct arena *a, struct str text, struct sasl_entry *out);
/* Whether `password` (a C string) is the one of the entry, in a time that does not depend on it. */
bool sasl_entry_matches(const struct sasl_entry *e, struct str password);

Gsasl *sasl_context(struct sasl *g);
/* Of a C string, with a secret that lives as long as the process: base 64. */
struct str sasl_secret_hash(struct arena *a, const char *text);

#endif
