#include "cmd/routes.h"

#include <stdlib.h>

#include "route/route.h"

static void routes_add(struct cmd_routes *r, struct str nexthop)
{
	if (r->n == r->room) {
		r->room = r->room ? r->room * 2 : 64;
		r->nexthops = base_realloc(r->nexthops, r->room * sizeof(*r->nexthops));
	}
	r->nexthops[r->n++] = arena_str(r->arena, nexthop);
}

static void routes_add_list(struct cmd_routes *r, struct str list)
{
	const struct str *each;
	size_t n = route_nexthops(r->arena, list, &each);

	for (size_t i = 0; i < n; i++)
		routes_add(r, each[i]);
}

/* The next-hop part of "transport:nexthop"; "" when there is none. */
static struct str nexthop_part(struct str value)
{
	struct str transport, nexthop;

	return str_cut(value, ':', &transport, &nexthop) ? str_trim(nexthop) : STR_NONE;
}

/* An entry without a next-hop sends mail to the recipient's own domain: the key says which. */
static void routes_add_key(struct cmd_routes *r, struct str key)
{
	struct str local, domain;

	if (!str_rcut(key, '@', &local, &domain))
		domain = key;
	if (str_eq(domain, STR("*")) || str_has_prefix(domain, STR(".")))
		r->has_any_domain = true;
	else
		routes_add(r, domain);
}

static void routes_entry(void *arg, const struct table_entry *e)
{
	struct cmd_routes *r = arg;
	struct str nexthop = nexthop_part(e->value);

	if (nexthop.n > 0)
		routes_add_list(r, nexthop);
	else
		routes_add_key(r, e->key);
}

/* Mail that no table names: relayhost, or what default_transport says, or its own domain. */
static void routes_default(struct cmd_routes *r, const struct conf *conf)
{
	struct str relayhost = str_trim(conf_str(conf, CONF_relayhost));
	struct str nexthop = nexthop_part(conf_str(conf, CONF_default_transport));

	if (nexthop.n > 0)
		routes_add_list(r, nexthop);
	else if (relayhost.n > 0)
		routes_add_list(r, relayhost);
	else
		r->has_any_domain = true;
}

static void routes_relay(struct cmd_routes *r, const struct conf *conf)
{
	struct str nexthop = nexthop_part(conf_str(conf, CONF_relay_transport));
	struct str domains = conf_str(conf, CONF_relay_domains), domain;

	if (nexthop.n > 0) {
		routes_add_list(r, nexthop);
		return;
	}
	while (str_token_braced(&domains, STR(", \t\r\n"), &domain)) {
		/* a table or a file of names: they are not listed here */
		if (str_contains(domain, ':') || str_contains(domain, '/'))
			r->has_any_domain = true;
		else
			routes_add(r, domain);
	}
}

void cmd_routes_init(struct cmd_routes *r, const struct conf *conf,
		     const struct table_set *transport_maps)
{
	*r = (struct cmd_routes){ .arena = arena_new() };
	routes_default(r, conf);
	routes_relay(r, conf);
	if (transport_maps)
		r->has_unlisted = !table_set_each(transport_maps, routes_entry, r);
}

void cmd_routes_fini(struct cmd_routes *r)
{
	free(r->nexthops);
	arena_free(r->arena);
}
