#include "cmd/destinations.h"

#include <stdlib.h>

#include "cmd/routes.h"
#include "mail/nexthop.h"

/* One set of tables that is being listed. */
struct destinations_listing {
	struct cmd_destinations *to;
	bool is_utf8_ok;
};

void cmd_destinations_init(struct cmd_destinations *d)
{
	*d = (struct cmd_destinations){ .arena = arena_new() };
}

void cmd_destinations_fini(struct cmd_destinations *d)
{
	free(d->v);
	arena_free(d->arena);
}

void cmd_destinations_add(struct cmd_destinations *d, struct str nexthop, struct str host)
{
	if (d->n == d->room) {
		d->room = d->room ? d->room * 2 : 256;
		d->v = base_realloc(d->v, d->room * sizeof(*d->v));
	}
	d->v[d->n++] = (struct cmd_destination){
		.nexthop = arena_str(d->arena, nexthop),
		.host = host.n > 0 ? arena_str(d->arena, host) : STR(""),
	};
}

/* "inet:25" is a host and a port of SMTP's. */
struct str cmd_route_key(struct str nexthop)
{
	struct nexthop n;

	return nexthop_parse(nexthop, 25, true, &n) == NEXTHOP_OK
		       ? nexthop
		       : route_table_key(ROUTE_LMTP, nexthop);
}

bool cmd_key_is_host(struct str key, bool is_utf8_ok)
{
	return domain_is_hostname_utf8(key, is_utf8_ok) || domain_is_address_literal(key);
}

bool cmd_key_is_nexthop(struct str key, bool is_utf8_ok)
{
	struct nexthop n;

	return nexthop_parse(key, 25, is_utf8_ok, &n) != NEXTHOP_BAD_SYNTAX;
}

static void add_per_site(void *arg, const struct table_entry *e)
{
	struct destinations_listing *l = arg;

	if (cmd_key_is_nexthop(e->key, l->is_utf8_ok))
		cmd_destinations_add(l->to, e->key, STR(""));
	if (cmd_key_is_host(e->key, l->is_utf8_ok))
		cmd_destinations_add(l->to, CMD_NEUTRAL_NEXTHOP, e->key);
}

/* A key with a leading dot stands for all domains below. */
static void add_policy(void *arg, const struct table_entry *e)
{
	struct destinations_listing *l = arg;
	struct str nexthop = e->key;

	if (str_has_prefix(nexthop, STR(".")))
		nexthop = arena_fmt(l->to->arena, CMD_NEUTRAL_LABEL STR_FMT, STR_ARG(nexthop));
	if (cmd_key_is_nexthop(nexthop, l->is_utf8_ok))
		cmd_destinations_add(l->to, nexthop, STR(""));
}

static void add_tables(struct destinations_listing *l, const struct tables *tables, enum conf_id id,
		       void (*entry)(void *arg, const struct table_entry *e))
{
	const struct table_set *set = tables_find(tables, conf_name(id));

	if (set && !table_set_each(set, entry, l))
		l->to->has_unlisted = true;
}

void cmd_destinations_add_site(struct cmd_destinations *d, const struct conf *conf,
			       const struct tables *tables)
{
	struct destinations_listing l = { d, conf_bool(conf, CONF_smtputf8_enable) };
	struct cmd_routes routes;

	cmd_destinations_add(d, CMD_NEUTRAL_NEXTHOP, STR(""));
	add_tables(&l, tables, CONF_smtp_tls_per_site, add_per_site);
	add_tables(&l, tables, CONF_smtp_tls_policy_maps, add_policy);
	cmd_routes_init(&routes, conf, tables_find(tables, conf_name(CONF_transport_maps)));
	for (size_t i = 0; i < routes.n; i++) {
		struct str key = cmd_route_key(routes.nexthops[i]);
		if (cmd_key_is_nexthop(key, l.is_utf8_ok))
			cmd_destinations_add(d, key, STR(""));
	}
	d->has_unlisted |= routes.has_unlisted;
	cmd_routes_fini(&routes);
}

static int compare_destinations(const void *a, const void *b)
{
	const struct cmd_destination *x = a, *y = b;
	int order = str_cmp(x->nexthop, y->nexthop);

	return order ? order : str_cmp(x->host, y->host);
}

void cmd_destinations_sort(struct cmd_destinations *d)
{
	size_t n = 0;

	if (d->n == 0)
		return;
	qsort(d->v, d->n, sizeof(*d->v), compare_destinations);
	for (size_t i = 1; i < d->n; i++)
		if (compare_destinations(&d->v[n], &d->v[i]) != 0)
			d->v[++n] = d->v[i];
	d->n = n + 1;
}

struct str cmd_destination_host(const struct cmd_destination *d)
{
	struct nexthop n;

	if (d->host.n > 0)
		return d->host;
	if (nexthop_parse(d->nexthop, 25, true, &n) != NEXTHOP_BAD_SYNTAX &&
	    (n.is_bracketed || n.is_address))
		return n.domain;
	return CMD_NEUTRAL_HOST;
}
