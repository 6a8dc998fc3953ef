#include "cmd/routes.h"

#include <stdio.h>
#include <stdlib.h>

#include "route/route.h"

struct routes_reading {
	const struct conf *conf;
	const struct cmd_routes_reader *reader;
	struct arena *scratch;
	struct str usual;          /* where mail goes that no table names; "": to its own domain */
	bool has_all, has_parents; /* transport_maps: an entry "*"; "domain" is for those below */
};

/* The next-hop part of "transport:nexthop"; "" when there is none. */
static struct str nexthop_part(struct str value)
{
	struct str transport, nexthop;

	return str_cut(value, ':', &transport, &nexthop) ? str_trim(nexthop) : STR_NONE;
}

/* Next-hops are tried in turn; the first stands for all in what is said of the domain. */
static void routes_say(const struct routes_reading *r, struct str domain, struct str nexthops)
{
	const struct cmd_routes_reader *to = r->reader;
	const struct str *each;

	if (nexthops.n == 0) {
		to->domain(to->arg, domain, STR(""));
		return;
	}
	arena_reset(r->scratch);
	size_t n = route_nexthops(r->scratch, nexthops, &each);
	for (size_t i = 0; i < n; i++)
		to->nexthop(to->arg, each[i]);
	to->domain(to->arg, domain, each[0]);
}

static void
routes_say_with_parents(const struct routes_reading *r, struct str domain, struct str nexthops)
{
	char below[1024];

	routes_say(r, domain, nexthops);
	if (domain.n + 1 >= sizeof(below) || str_has_prefix(domain, STR(".")))
		return;
	int n = snprintf(below, sizeof(below), "." STR_FMT, STR_ARG(domain));
	routes_say(r, str_span(below, (size_t)n), nexthops);
}

static void
routes_say_address(const struct routes_reading *r, struct str domain, struct str nexthops)
{
	const struct cmd_routes_reader *to = r->reader;
	const struct str *each;

	if (nexthops.n == 0)
		nexthops = domain;
	arena_reset(r->scratch);
	size_t n = route_nexthops(r->scratch, nexthops, &each);
	for (size_t i = 0; i < n; i++)
		to->nexthop(to->arg, each[i]);
}

/* An entry without a next-hop sends mail to the recipient's own domain, ":" wherever it would go
 * without the entry. */
static void routes_entry(void *arg, const struct table_entry *e)
{
	struct routes_reading *r = arg;
	struct str nexthops = nexthop_part(e->value), local, domain;

	if (nexthops.n == 0 && str_has_prefix(str_trim(e->value), STR(":")))
		nexthops = r->usual;
	r->has_all = r->has_all || str_eq(e->key, STR("*"));
	if (str_rcut(e->key, '@', &local, &domain))
		routes_say_address(r, domain, nexthops);
	else if (r->has_parents && !str_eq(e->key, STR("*")))
		routes_say_with_parents(r, e->key, nexthops);
	else
		routes_say(r, e->key, nexthops);
}

static bool has_word(struct str list, struct str word)
{
	struct str w;

	while (str_token(&list, STR(", \t\r\n"), &w))
		if (str_eq(w, word))
			return true;
	return false;
}

/* Those of relay_domains that are names; of a table or a file is known only that it is there. */
static void routes_relay(const struct routes_reading *r)
{
	struct str own = nexthop_part(conf_str(r->conf, CONF_relay_transport));
	struct str nexthops = own.n > 0 ? own : str_trim(conf_str(r->conf, CONF_relayhost));
	struct str domains = conf_str(r->conf, CONF_relay_domains), domain;
	bool has_parents = has_word(conf_str(r->conf, CONF_parent_domain_matches_subdomains),
				    conf_name(CONF_relay_domains));

	if (nexthops.n > 0)
		routes_say_address(r, STR(""), nexthops);
	while (str_token_braced(&domains, STR(", \t\r\n"), &domain)) {
		if (str_has_prefix(domain, STR("!")))
			continue;
		if (str_contains(domain, ':') || str_contains(domain, '/')) {
			if (nexthops.n == 0 && r->usual.n > 0)
				r->reader->unlisted(r->reader->arg);
			continue;
		}
		if (has_parents)
			routes_say_with_parents(r, domain, nexthops);
		else
			routes_say(r, domain, nexthops);
	}
}

void cmd_routes_read(const struct conf *conf, const struct table_set *transport_maps,
		     const struct cmd_routes_reader *reader)
{
	struct str usual = nexthop_part(conf_str(conf, CONF_default_transport));
	struct routes_reading r = {
		.conf = conf,
		.reader = reader,
		.scratch = arena_new(),
		.usual = usual.n > 0 ? usual : str_trim(conf_str(conf, CONF_relayhost)),
		.has_parents = has_word(conf_str(conf, CONF_parent_domain_matches_subdomains),
					conf_name(CONF_transport_maps)),
	};

	if (transport_maps && !table_set_each(transport_maps, routes_entry, &r))
		reader->unlisted(reader->arg);
	if (!r.has_all) {
		routes_relay(&r);
		routes_say(&r, STR("*"), r.usual);
	}
	arena_free(r.scratch);
}

/* ---- as a list ---- */

static void routes_add(void *arg, struct str nexthop)
{
	struct cmd_routes *r = arg;

	if (r->n == r->room) {
		r->room = r->room ? r->room * 2 : 64;
		r->nexthops = base_realloc(r->nexthops, r->room * sizeof(*r->nexthops));
	}
	r->nexthops[r->n++] = arena_str(r->arena, nexthop);
}

static void routes_add_domain(void *arg, struct str domain, struct str nexthop)
{
	struct cmd_routes *r = arg;

	if (nexthop.n > 0)
		return;
	if (str_eq(domain, STR("*")) || str_has_prefix(domain, STR(".")))
		r->has_any_domain = true;
	else
		routes_add(r, domain);
}

static void routes_note_unlisted(void *arg)
{
	((struct cmd_routes *)arg)->has_unlisted = true;
}

void cmd_routes_init(struct cmd_routes *r, const struct conf *conf,
		     const struct table_set *transport_maps)
{
	struct cmd_routes_reader reader = { routes_add, routes_add_domain, routes_note_unlisted,
					    r };

	*r = (struct cmd_routes){ .arena = arena_new() };
	cmd_routes_read(conf, transport_maps, &reader);
}

void cmd_routes_fini(struct cmd_routes *r)
{
	free(r->nexthops);
	arena_free(r->arena);
}
