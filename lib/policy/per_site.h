/* The keywords of smtp_tls_per_site. Inside lib/policy only. */

#ifndef HOPSEAL_POLICY_PER_SITE_H
#define HOPSEAL_POLICY_PER_SITE_H

#include "policy/policy.h"

/* In the order in which they outdo each other. */
enum policy_keyword {
	POLICY_NO_ENTRY,
	POLICY_MAY,
	POLICY_NONE,
	POLICY_MUST_NOPEERMATCH,
	POLICY_MUST,
};

/* What an answer of the table comes to. */
enum policy_keyword_answer {
	POLICY_KEYWORD,         /* *out is set; without an entry too */
	POLICY_KEYWORD_UNKNOWN, /* the entry is no keyword */
	POLICY_KEYWORD_FAILED,  /* the lookup failed, or the entry has no text */
};

MUST_USE enum policy_keyword_answer
policy_keyword_of(const struct answer *answer, enum policy_keyword *out);

enum tls_level policy_keyword_level(enum policy_keyword k); /* NO_ENTRY: invalid */
struct str policy_keyword_name(enum policy_keyword k);      /* "MUST" ...; "no entry" */

#endif
