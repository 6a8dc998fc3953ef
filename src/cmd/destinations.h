/* The destinations that configurations name: keys of their policy tables and next-hops of their
 * routing, each once. */

#ifndef HOPSEAL_CMD_DESTINATIONS_H
#define HOPSEAL_CMD_DESTINATIONS_H

#include "base/arena.h"
#include "cmd/site.h"

/* What no table is expected to name: stands for everything that no table names. */
#define CMD_NEUTRAL_NEXTHOP STR("nexthop.hopseal.invalid")
#define CMD_NEUTRAL_HOST STR("host.hopseal.invalid")
/* Under a parent domain that a table names. */
#define CMD_NEUTRAL_LABEL "hopseal-any"

struct cmd_destination {
	struct str nexthop; /* or an address, when it has an "@" */
	struct str host;    /* n == 0: the next-hop's own with brackets, else CMD_NEUTRAL_HOST */
};

struct cmd_destinations {
	struct arena *arena;
	struct cmd_destination *v;
	size_t n, room;
	bool has_unlisted; /* there are tables that cannot list their keys */
};

void cmd_destinations_init(struct cmd_destinations *d);
void cmd_destinations_fini(struct cmd_destinations *d);

/* Copies. */
void cmd_destinations_add(struct cmd_destinations *d, struct str nexthop, struct str host);
/* The neutral one, what the routing of `conf` names, and all keys of its policy tables that a
 * lookup can make: of smtp_tls_per_site as next-hop and, where they can be one, as host. */
void cmd_destinations_add_site(struct cmd_destinations *d, const struct conf *conf,
			       const struct tables *tables);
/* Takes away what is there twice; the order is then that of the texts. */
void cmd_destinations_sort(struct cmd_destinations *d);

/* The host to decide for. Borrows from both arguments. */
struct str cmd_destination_host(const struct cmd_destination *d);
/* A next-hop of the routing as table key: LMTP's may begin with "inet:". */
struct str cmd_route_key(struct str nexthop);
/* A key that the name of a server can equal: no brackets, no port. */
bool cmd_key_is_host(struct str key, bool is_utf8_ok);
/* A text that can be a next-hop. */
bool cmd_key_is_nexthop(struct str key, bool is_utf8_ok);

#endif
