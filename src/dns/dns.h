/* DNS with DNSSEC validation: the room that owns libunbound. Every answer says whether it is
 * secure (RFC 4035 section 4.3); what cannot be resolved or validated in time is FAILED, with the
 * resolver's words, and never a missing record.
 *
 * Thread: a resolver belongs to the thread of its loop; libunbound works on a thread of its own. */

#ifndef HOPSEAL_DNS_DNS_H
#define HOPSEAL_DNS_DNS_H

#include "base/arena.h"
#include "base/error.h"
#include "fact/fact.h"
#include "net/net.h"

struct dns_options {
	/* Recursive resolvers, "192.0.2.1" or "192.0.2.1@5353": their answers are validated here
	 * all the same. None: recursion from the root. */
	const struct str *servers;
	size_t n_servers;
	/* Name servers that stand in for those of the root, for private trees and tests. */
	const struct str *root_servers;
	size_t n_root_servers;
	struct str trust_anchor_file; /* DS or DNSKEY in zone-file form; "": nothing is validated */
	uint64_t timeout_ms;          /* of one question */
	bool has_ipv4, has_ipv6;      /* families that ADDRESS questions ask for */
};

struct dns;

/* NULL with *e filled: a bad server address, an anchor file that is missing or holds no anchor. */
MUST_USE struct dns *dns_new(struct net_loop *l, const struct dns_options *o, struct error *e);
void dns_free(struct dns *d); /* questions in flight are cancelled without a call; NULL is fine */

/* MX, ADDRESS, NATIVE or POINTER. `answered` is called once from the loop, never from inside
 * dns_ask; the answer is borrowed for the call. */
struct dns_query;
MUST_USE struct dns_query *dns_ask(struct dns *d, const struct question *q,
				   void (*answered)(void *arg, const struct answer *answer),
				   void *arg);
void dns_cancel(struct dns_query *q); /* no call comes; not after `answered` */

#endif
