/* Inside src/dns only. */

#ifndef HOPSEAL_DNS_ROOM_H
#define HOPSEAL_DNS_ROOM_H

#include <unbound.h>

#include "dns/dns.h"

#define DNS_TYPE_A 1
#define DNS_TYPE_PTR 12
#define DNS_TYPE_MX 15
#define DNS_TYPE_AAAA 28
#define DNS_CLASS_IN 1

/* A context with all options set and tried, or NULL with *e. */
MUST_USE struct ub_ctx *dns_context_new(const struct dns_options *o, struct error *e);
void dns_context_free(struct ub_ctx *u);

/* The file can be read and holds at least one DS or DNSKEY record. */
MUST_USE bool dns_anchor_check(struct str path, struct error *e);

/* What libunbound said, as an answer; all of it lives in the arena. `is_validated`: an anchor is
 * configured. */
struct answer dns_read_mx(struct arena *a, const struct ub_result *r, bool is_validated);
struct answer dns_read_pointer(struct arena *a, const struct ub_result *r, bool is_validated);
/* "1.2.0.192.in-addr.arpa": RFC 1035 section 3.5, RFC 3596 section 2.5. */
struct str dns_reverse_name(struct arena *a, const struct address *address);
/* One address family: adds to `v`, which has room for DNS_RECORDS_MAX more. */
struct address_answer dns_read_family(struct arena *a, const struct ub_result *r,
				      enum address_family family, bool is_validated,
				      struct address *v, size_t *n);
/* Puts the families together; addresses and canonical are filled by the caller. */
void dns_join_families(struct arena *a, struct answer *answer);

bool dns_is_nxdomain(const struct ub_result *r);
struct str dns_canonical(struct arena *a, const struct ub_result *r, struct str name);

/* A name in wire form at the front of `wire`, lower-cased, without the final dot. What is no plain
 * octet of a host name comes as "\DDD". False on a malformed or compressed name. */
MUST_USE bool dns_read_name(struct arena *a, struct str wire, struct str *out);

/* The system's name service, on a thread of the loop's pool. */
struct dns_native;
struct dns_native *dns_native_new(struct net_loop *l, struct str name, const bool has_family[2],
				  void (*done)(void *arg, const struct answer *answer), void *arg);
void dns_native_cancel(struct dns_native *n); /* no call comes; not after `done` */

#endif
