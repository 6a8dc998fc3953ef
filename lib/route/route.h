/* Where mail goes: from a recipient to a transport with its next-hop, and from a next-hop to the
 * ordered hosts to connect to. Two pure functions from the configuration and recorded facts to
 * questions or a result with its trace; nothing here looks anything up. transport(5), RFC 5321
 * section 5.1. */

#ifndef HOPSEAL_ROUTE_ROUTE_H
#define HOPSEAL_ROUTE_ROUTE_H

#include "base/arena.h"
#include "base/json.h"
#include "base/limits.h"
#include "conf/conf.h"
#include "fact/fact.h"
#include "fact/trace.h"
#include "mail/outcome.h"

/* The parts of the configuration that route, checked once. Immutable; lives in its arena. */
struct route_config;

/* What the configuration cannot know. Borrowed like `conf`. */
struct route_machine {
	const struct address *own; /* of all interfaces that are up */
	size_t n_own;
	struct str origin; /* first line of the file that myorigin names, "" when it names none */
};

/* NULL with *e filled when a value cannot be used. Borrows from `conf`, which must outlive it. */
MUST_USE const struct route_config *route_config_new(struct arena *a, const struct conf *conf,
						     const struct route_machine *machine,
						     struct error *e);

/* The tables that stand as elements in mydestination and relay_domains, each once: their questions
 * have the text of the table, such as "texthash:/etc/relays", in place of a parameter. */
size_t route_listed_tables(struct arena *a, const struct conf *conf, const struct str **out);

/* What is still to be asked, all at once: never what `facts` answers already, and no question
 * twice. The answers may be added in any order; then the same call again, from the top. */
struct route_asks {
	const struct question *v;
	size_t n; /* 1..ROUTE_ASKS_MAX */
};

struct route_trace {
	const struct trace_step *v;
	size_t n;
	size_t deciding; /* index of the step with the line that decided */
};

enum route_kind {
	ROUTE_DELIVER, /* go on with route_hosts_step for each of the next-hops */
	ROUTE_DISCARD, /* transport discard: accepted and thrown away; `outcome` says delivered */
	ROUTE_REFUSE,  /* `outcome` is final for this attempt: deferred or bounced */
};

enum route_protocol { ROUTE_SMTP, ROUTE_LMTP };

struct route {
	enum route_kind kind;
	struct str recipient; /* with its domain completed, otherwise as given */
	struct str domain;    /* of the recipient, as written */
	struct str
		transport;  /* "smtp", "relay", "lmtp", "discard", "error" ... also when refused */
	struct str nexthop; /* verbatim: the text after the transport, or the recipient's domain */
	enum route_protocol protocol; /* DELIVER only */
	struct outcome outcome;       /* DISCARD and REFUSE only */
	struct route_trace trace;
};

struct route_step {
	enum { ROUTE_ASK, ROUTE_DONE } kind;
	union {
		struct route_asks ask;
		struct route done;
	} u;
};

/* `recipient`: a mailbox without angle brackets. Equal arguments give equal steps. What is handed
 * out lives in `a`; spans may borrow from the arguments. */
struct route_step route_recipient_step(struct arena *a, const struct route_config *cfg,
				       struct str recipient, struct fact_set facts);

/* A next-hop text may name several destinations, separated by commas or blanks: each is tried in
 * turn and is the table key of its hosts. At least one; spans borrow from `nexthop`. */
size_t route_nexthops(struct arena *a, struct str nexthop, const struct str **out);

/* One of them as a table key: as it is, without the "inet:" that LMTP may put in front. */
struct str route_table_key(enum route_protocol protocol, struct str nexthop);

/* Whether a domain, as an address has it, is this machine's: $myorigin, in mydestination, or an
 * address of its own. FAILED: a table of mydestination could not say. */
struct route_own_step {
	enum { ROUTE_OWN_ASK, ROUTE_OWN_NO, ROUTE_OWN_YES, ROUTE_OWN_FAILED } kind;
	struct route_asks ask;
};
struct route_own_step route_own_step(struct arena *a, const struct route_config *cfg,
				     struct str domain, struct fact_set facts);

/* One address to connect to. */
struct route_host {
	struct str host; /* the server's name in policy, TLS and logs; a bare address for one */
	struct str name; /* what was looked up: the MX host, or the next-hop's own domain */
	struct str canonical; /* the end of its alias chain; equals `name` when there is none */
	struct address address;
	struct str socket; /* path of a UNIX-domain socket (LMTP); "": TCP to `address` */
	uint16_t port;
	uint16_t preference; /* of the MX record; 0 without MX */
	bool is_mx;          /* from an MX record; false: from the next-hop's address records */
	bool is_literal;     /* the next-hop is an address: nothing was looked up */
	bool is_native;      /* address from the system's own name service, not from DNS */
	enum dnssec_status dnssec; /* of this address, with the alias chain */
};

/* One destination's candidates in the order to try, or why there are none. */
struct route_hosts {
	const struct route_host *v;
	size_t n;               /* 0: see failure; smtp_mx_address_limit is applied */
	struct outcome failure; /* n == 0 only: deferred or bounced */
	bool is_last;           /* we are an MX host of it, or it loops: try no next-hop after it */
	bool is_mx_asked;       /* an MX question stands behind it */
	enum dnssec_status mx_dnssec; /* of the MX answer; UNCHECKED when none was asked */
	struct str domain;            /* the next-hop without brackets and port */
	uint16_t port;
	unsigned session_limit; /* smtp_mx_session_limit: those with mail; 0: none */
	struct route_trace trace;
};

struct route_hosts_step {
	enum { ROUTE_HOSTS_ASK, ROUTE_HOSTS_DONE } kind;
	union {
		struct route_asks ask;
		struct route_hosts done;
	} u;
};

/* `nexthop`: one of route_nexthops. `seed` alone decides the order among equals, so that a recorded
 * seed repeats it. */
struct route_hosts_step route_hosts_step(struct arena *a, const struct route_config *cfg,
					 enum route_protocol protocol, struct str nexthop,
					 uint64_t seed, struct fact_set facts);

/* One object each, with their traces. */
void route_json(struct json *j, const struct route *r);
void route_hosts_json(struct json *j, const struct route_hosts *h);

#endif
