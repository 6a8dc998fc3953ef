/* The next-hops that a configuration can produce: keys of policy tables are held against them. */

#ifndef HOPSEAL_CMD_ROUTES_H
#define HOPSEAL_CMD_ROUTES_H

#include "conf/conf.h"
#include "table/table.h"

struct cmd_routes {
	struct arena *arena;
	struct str *nexthops; /* verbatim */
	size_t n, room;
	bool has_unlisted;   /* transport_maps has tables that cannot list their entries */
	bool has_any_domain; /* some mail goes to the recipient's own domain, whatever it is */
};

/* `transport_maps` may be NULL. */
void cmd_routes_init(struct cmd_routes *r, const struct conf *conf,
		     const struct table_set *transport_maps);
void cmd_routes_fini(struct cmd_routes *r);

#endif
