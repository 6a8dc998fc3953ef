/* Where mail can go, so that a key is held against it by one look. */

#include "policy/lint_inside.h"

#include <stdlib.h>

#define OWN UINT32_MAX /* a domain's mail goes to the domain itself */

struct policy_lint_routes {
	struct arena *arena;
	struct str *nexthops; /* verbatim */
	size_t n, room;
	struct str *below; /* folded: those that are domains, and ".x" of own domains */
	size_t n_below, below_room;
	struct map produced; /* folded next-hop -> index */
	struct map siblings; /* its host or domain alone -> index */
	struct map above;    /* the parents of those that are domains */
	struct map domains;  /* of recipients -> index, or OWN */
	bool is_unlisted;
};

struct policy_lint_routes *policy_lint_routes_new(void)
{
	struct policy_lint_routes *r = base_alloc(sizeof(*r));

	*r = (struct policy_lint_routes){ .arena = arena_new() };
	map_init(&r->produced);
	map_init(&r->siblings);
	map_init(&r->above);
	map_init(&r->domains);
	return r;
}

void policy_lint_routes_free(struct policy_lint_routes *r)
{
	if (!r)
		return;
	map_fini(&r->produced);
	map_fini(&r->siblings);
	map_fini(&r->above);
	map_fini(&r->domains);
	free(r->nexthops);
	free(r->below);
	arena_free(r->arena);
	free(r);
}

bool policy_lint_parent(struct str *key)
{
	for (size_t i = 1; i < key->n; i++) {
		if (key->p[i] == '.') {
			*key = str_from(*key, i);
			return true;
		}
	}
	return false;
}

static void put_first(struct map *m, struct str key, uint32_t value)
{
	if (!map_has(m, key))
		map_put(m, key, value);
}

static void add_domain(struct policy_lint_routes *r, struct str domain)
{
	if (r->n_below == r->below_room) {
		r->below_room = r->below_room ? 2 * r->below_room : 64;
		r->below = base_realloc(r->below, r->below_room * sizeof(*r->below));
	}
	r->below[r->n_below++] = domain;
	if (str_has_prefix(domain, STR(".")))
		put_first(&r->above, domain, 0);
	while (policy_lint_parent(&domain))
		put_first(&r->above, domain, 0);
}

static uint32_t add_nexthop(struct policy_lint_routes *r, struct str nexthop)
{
	struct str folded = domain_fold(r->arena, nexthop);
	struct nexthop parsed;
	uint32_t i;

	if (map_get(&r->produced, folded, &i))
		return i;
	if (r->n == r->room) {
		r->room = r->room ? 2 * r->room : 64;
		r->nexthops = base_realloc(r->nexthops, r->room * sizeof(*r->nexthops));
	}
	CHECK(r->n < OWN);
	i = (uint32_t)r->n;
	r->nexthops[r->n++] = arena_str(r->arena, nexthop);
	folded = arena_str(r->arena, folded);
	map_put(&r->produced, folded, i);
	if (nexthop_parse(folded, 25, true, &parsed) != NEXTHOP_BAD_SYNTAX)
		put_first(&r->siblings, parsed.domain, i);
	if (domain_is_hostname_utf8(folded, true))
		add_domain(r, folded);
	return i;
}

void policy_lint_route_nexthop(struct policy_lint_routes *r, struct str nexthop)
{
	(void)add_nexthop(r, nexthop);
}

void policy_lint_route_domain(struct policy_lint_routes *r, struct str domain, struct str nexthop)
{
	struct str folded = arena_str(r->arena, domain_fold(r->arena, domain));
	bool is_name = !str_eq(folded, STR("*")) && !str_has_prefix(folded, STR("."));

	if (nexthop.n)
		put_first(&r->domains, folded, add_nexthop(r, nexthop));
	else
		put_first(&r->domains, folded, OWN);
	if (!nexthop.n && is_name)
		(void)add_nexthop(r, domain);
	if (!nexthop.n && str_has_prefix(folded, STR(".")))
		add_domain(r, folded);
}

void policy_lint_route_unlisted(struct policy_lint_routes *r)
{
	r->is_unlisted = true;
}

static uint32_t find_domain(const struct policy_lint_routes *r, struct str domain)
{
	uint32_t i;

	do {
		if (map_get(&r->domains, domain, &i))
			return i;
	} while (policy_lint_parent(&domain));
	return map_get(&r->domains, STR("*"), &i) ? i : OWN;
}

bool policy_lint_is_own(const struct policy_lint_routes *r, struct str domain, struct str *nexthop)
{
	uint32_t i = find_domain(r, domain);

	if (i == OWN)
		return true;
	*nexthop = r->nexthops[i];
	return r->is_unlisted;
}

bool policy_lint_is_unlisted(const struct policy_lint_routes *r)
{
	return r->is_unlisted;
}

bool policy_lint_has_below(const struct policy_lint_routes *r, struct str parent)
{
	return map_has(&r->above, parent);
}

size_t policy_lint_n_domains(const struct policy_lint_routes *r)
{
	return r->n_below;
}

struct str policy_lint_domain_at(const struct policy_lint_routes *r, size_t i)
{
	return r->below[i];
}

bool policy_lint_is_nexthop(const struct policy_lint_routes *r, struct str folded)
{
	return map_has(&r->produced, folded);
}

bool policy_lint_is_produced(const struct lint *l, struct str key)
{
	return policy_lint_is_nexthop(l->site->routes, key);
}

struct str policy_lint_sibling(const struct lint *l, struct str domain)
{
	uint32_t i;

	return map_get(&l->site->routes->siblings, domain, &i) ? l->site->routes->nexthops[i]
							       : STR_NONE;
}
