/* The next-hops that a configuration can produce: keys of policy tables are held against them. */

#ifndef HOPSEAL_CMD_ROUTES_H
#define HOPSEAL_CMD_ROUTES_H

#include "conf/conf.h"
#include "table/table.h"

/* What the routing says, in the order in which it counts. Texts are borrowed for the call. */
struct cmd_routes_reader {
	/* Some mail goes there, verbatim. */
	void (*nexthop)(void *arg, struct str nexthop);
	/* Mail for a domain, those below ".domain", or all others, "*"; "": to the domain. */
	void (*domain)(void *arg, struct str domain, struct str nexthop);
	/* transport_maps has tables that cannot list their entries. */
	void (*unlisted)(void *arg);
	void *arg;
};

/* `transport_maps` may be NULL. */
void cmd_routes_read(const struct conf *conf, const struct table_set *transport_maps,
		     const struct cmd_routes_reader *reader);

struct cmd_routes {
	struct arena *arena;
	struct str *nexthops; /* verbatim */
	size_t n, room;
	bool has_unlisted;
	bool has_any_domain; /* some mail goes to the recipient's own domain, whatever it is */
};

/* `transport_maps` may be NULL. */
void cmd_routes_init(struct cmd_routes *r, const struct conf *conf,
		     const struct table_set *transport_maps);
void cmd_routes_fini(struct cmd_routes *r);

#endif
