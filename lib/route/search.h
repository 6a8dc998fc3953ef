/* The walk from a next-hop to its hosts. Inside lib/route only. */

#ifndef HOPSEAL_ROUTE_SEARCH_H
#define HOPSEAL_ROUTE_SEARCH_H

#include "mail/nexthop.h"
#include "route/walk.h"

struct route_search {
	struct route_walk w;
	enum route_protocol protocol;
	uint64_t seed;
	struct nexthop nh;
	struct str name;   /* of nh, as DNS wants it: A-labels, lower case */
	bool is_name_gone; /* DNS says that the name does not exist: asking for addresses is idle */
	bool detects_loops;

	struct route_host *v;
	size_t n, size;
	struct outcome trouble; /* the worst so far: a temporary one outweighs permanent ones */
	struct route_hosts *out;
};

/* What stood behind an address: DNS or the native service. */
struct route_look {
	const struct answer *answer; /* FOUND; NULL otherwise */
	bool is_native;
};

/* No host after all; OVER. */
enum route_progress
route_fail(struct route_search *s, enum outcome_kind kind, struct status status, struct str reason);
/* A host that cannot be used; it matters when no other is left. */
void route_note_trouble(struct route_search *s, bool is_temporary, struct status status,
			struct str reason);

/* A question to DNS or the native service in the trace, with what it said in words. */
void route_note_answer(struct route_search *s, const struct question *q,
		       const struct answer *answer, struct str said);
#define ROUTE_SAID_MAX 16 /* records spelled out in one line; the fact has them all */
/* ... " and 3 more" when there are more than that. */
struct str route_said_more(struct arena *a, struct str text, size_t n);
struct str route_said(struct route_search *s, const struct answer *answer, struct str found);

/* The addresses of one host: DNS, then the native service for what DNS does not have. GO_ON without
 * an answer: there is none; OVER: the lookup failed. */
enum route_progress route_look_up(struct route_search *s, struct str name, struct route_look *look);

void route_search_add(struct route_search *s, const struct route_host *h);
/* One candidate for each address of the families in use. `like` has what is common to them. */
void route_add_addresses(struct route_search *s, const struct route_look *look,
			 const struct route_host *like);

bool route_is_self(const struct route_search *s, const struct address *addr);
enum route_progress route_fail_loop(struct route_search *s);

/* A host without MX records: the next-hop itself. */
enum route_progress route_walk_host(struct route_search *s);
enum route_progress route_walk_mx(struct route_search *s);

#endif
