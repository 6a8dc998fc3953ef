/* Two decisions for one destination, held against each other: which of them demands more. Pure.
 *
 * Demands are ordered part by part, and a decision is stronger only if no part of it is weaker:
 *
 * - Levels: none < may < encrypt < proof of who the server is. Of the kinds of proof, dane <
 *   dane-only and verify < secure; fingerprints, DANE and CAs prove different things and have no
 *   order.
 * - Where one side is none or may and the other is not the same, the level says it all: whoever may
 *   send in the clear demands nothing. Between two `may`, settings are no demands: they differ or
 *   they do not.
 * - Versions and names: a subset is stronger. A name that DNS chooses (`hostname`, unless the
 *   next-hop is bracketed or MTA-STS patterns bind it) is weaker than one that the operator chose.
 * - Ciphers: stronger if the list is the other one with words taken away or exclusions added.
 * - Fingerprints and trust anchor files: a subset is stronger; another digest, anchors against CAs,
 *   and other CAs have no order.
 * - REQUIRETLS, for a sender who asks for it: disable < opportunistic < opportunistic+starttls <
 *   enforce.
 *
 * What else differs (SNI, raw public keys, connection reuse, our own certificate, what a plug-in
 * tells of MTA-STS) is no weaker and no stronger, but a difference. */

#ifndef HOPSEAL_POLICY_COMPARE_H
#define HOPSEAL_POLICY_COMPARE_H

#include "policy/policy.h"

enum policy_change {
	POLICY_LOWERED,
	POLICY_RELEASED, /* the host was not used: an error, or a demand that nobody can meet */
	POLICY_CHANGED,  /* neither is stronger */
	POLICY_REFUSED,  /* the host is not used any more */
	POLICY_RAISED,
	POLICY_UNCHANGED,
	POLICY_CHANGE_COUNT,
};

struct str policy_change_name(enum policy_change c); /* "lowered" ... */

enum policy_aspect {
	POLICY_ASPECT_LEVEL,
	POLICY_ASPECT_ERROR, /* error or refusal, or what cannot be met */
	POLICY_ASPECT_REQUIRETLS,
	POLICY_ASPECT_PROTOCOLS,
	POLICY_ASPECT_CIPHERS,
	POLICY_ASPECT_NAMES, /* match, and how wildcards are read */
	POLICY_ASPECT_TRUST, /* trust anchors, CAs, depth */
	POLICY_ASPECT_FINGERPRINTS,
	POLICY_ASPECT_SERVERNAME,
	POLICY_ASPECT_RAW_KEYS,
	POLICY_ASPECT_REUSE,
	POLICY_ASPECT_CLIENT_CERTIFICATE,
	POLICY_ASPECT_STS,
	POLICY_ASPECT_COUNT,
};

struct str policy_aspect_name(enum policy_aspect a); /* "level", "ciphers" ... */

struct policy_comparison {
	enum policy_change change;
	uint32_t aspects; /* 1u << enum policy_aspect: what differs */
};

/* A decision, the configuration that made it, and for which next-hop. */
struct policy_side {
	const struct conf *conf;
	const struct policy_decision *decision;
	struct str nexthop;
};

struct policy_comparison
policy_compare(const struct policy_side *before, const struct policy_side *after);

/* Mail may go to this host, and there are sessions that satisfy the decision: no error, no refusal,
 * and where TLS is demanded it can start and some certificate is good enough. */
bool policy_decision_can_be_met(const struct policy_decision *d);

#endif
