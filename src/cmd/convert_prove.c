/* The proof: every (next-hop, host) pair that matters, decided under both configurations.
 *
 * A next-hop with brackets has one host, and so has one of the new routes: these pairs are decided
 * one by one, as is each next-hop without brackets with a host that no table names and with itself
 * as host. What is left is next-hops without brackets times keys as hosts. Both tables are exact in
 * their answers, so that of such a pair only those answers count, and which texts it is made of
 * does not: one pair stands for all of its class. docs/reference/convert.md argues it in full. */

#include <stdlib.h>

#include "cmd/convert_inside.h"
#include "cmd/routes.h"
#include "mail/nexthop.h"

enum { PROVE_LITERAL_PAIRS = 1100000 };

struct prove_nexthop {
	struct str text;
	struct convert_class *class;
};

struct prove {
	struct convert *c;
	struct cmd_decider *after;
	struct convert_proof *proof;
	struct arena *arena; /* of the pair in hand */
	struct error *error;
	struct map seen;

	struct prove_nexthop *open; /* without brackets */
	size_t n_open, open_room;
	struct convert_strs hosts; /* keys that a host can have */
	struct convert_class **host_classes, **nexthop_classes;
	struct convert_class **class_of_host; /* of each of `hosts` */
	size_t n_host_classes, n_nexthop_classes;
};

/* A pair under both; lives until the next. */
struct prove_pair {
	struct str before, after; /* next-hops */
	struct str host;
	bool has_tls_required_no;
	struct policy_decision d[2];
	struct policy_comparison compared;
};

static uint16_t port_of(struct str nexthop)
{
	struct nexthop n;

	return nexthop_parse(nexthop, 25, true, &n) == NEXTHOP_OK ? n.port : 25;
}

static bool decide(struct prove *p, struct prove_pair *pair)
{
	struct cmd_decider *sides[] = { &p->c->before, p->after };
	struct str nexthops[] = { pair->before, pair->after };
	struct policy_side compared[2];

	arena_reset(p->arena);
	for (int i = 0; i < 2; i++) {
		struct policy_subject s = {
			.nexthop = nexthops[i],
			.host = pair->host,
			.port = port_of(nexthops[i]),
			.has_tls_required_no = pair->has_tls_required_no,
		};
		if (!cmd_decide(sides[i], p->arena, &s, &pair->d[i], p->error))
			return false;
		compared[i] = (struct policy_side){ sides[i]->site.conf, &pair->d[i], nexthops[i] };
	}
	pair->compared = policy_compare(&compared[0], &compared[1]);
	p->proof->n_decided++;
	return true;
}

/* ---- why ---- */

static bool is_status(struct status s, unsigned class, unsigned subject, unsigned detail)
{
	return s.class == class && s.subject == subject && s.detail == detail;
}

/* The mail waits on both sides; a policy table says 4.7.5 of a failed lookup, too. */
static bool is_status_alone(const struct prove_pair *p)
{
	return p->compared.aspects == 1u << POLICY_ASPECT_ERROR &&
	       is_status(p->d[0].error.status, 4, 3, 0) && is_status(p->d[1].error.status, 4, 7, 5);
}

static const char *why_single(const struct prove_pair *p)
{
	if (is_status_alone(p))
		return "status";
	if (!str_eq(p->before, p->after) && p->compared.change == POLICY_RAISED)
		return "route-with-brackets";
	return "unexplained";
}

/* Without the entry for the host the pair would be equal: nothing but that entry differs. */
static const char *why_host(const struct prove_pair *p, const struct convert_class *nexthop,
			    const struct convert_class *host)
{
	if (is_status_alone(p))
		return "status";
	return nexthop->is_equal && !str_eq(host->per_site, STR("no entry")) ? "server-entry"
									     : "unexplained";
}

/* ---- differences ---- */

static bool is_alike(const struct convert_difference *d, const struct prove_pair *p,
		     const char *why, const struct convert_class *nexthops,
		     const struct convert_class *hosts)
{
	return d->change == p->compared.change && d->aspects == p->compared.aspects &&
	       str_eq(str_of(d->explanation), str_of(why)) && d->before == p->d[0].level &&
	       d->after == p->d[1].level && d->nexthops == nexthops && d->hosts == hosts;
}

static struct convert_difference *
find_difference(struct prove *x, const struct prove_pair *p, const char *why,
		const struct convert_class *nexthops, const struct convert_class *hosts)
{
	struct convert_proof *proof = x->proof;

	for (size_t i = 0; i < proof->n_differences; i++)
		if (is_alike(&proof->differences[i], p, why, nexthops, hosts))
			return &proof->differences[i];
	if (proof->n_differences == proof->room) {
		proof->room = proof->room ? proof->room * 2 : 16;
		proof->differences =
			base_realloc(proof->differences, proof->room * sizeof(*proof->differences));
	}
	struct convert_difference *d = &proof->differences[proof->n_differences++];
	*d = (struct convert_difference){
		.change = p->compared.change,
		.aspects = p->compared.aspects,
		.explanation = why,
		.before = p->d[0].level,
		.after = p->d[1].level,
		.nexthops = nexthops,
		.hosts = hosts,
	};
	return d;
}

/* `n` pairs of which the one in hand is all that was looked at. */
static struct convert_difference *
count_pairs(struct prove *x, const struct prove_pair *p, const char *why, size_t n,
	    const struct convert_class *nexthops, const struct convert_class *hosts)
{
	struct convert_difference *d;

	x->proof->n_pairs += n;
	if (p->compared.change == POLICY_UNCHANGED) {
		x->proof->n_equal += n;
		return NULL;
	}
	if (str_eq(str_of(why), STR("unexplained")))
		x->proof->n_unexplained += n;
	d = find_difference(x, p, why, nexthops, hosts);
	d->n_pairs += n;
	return d;
}

static void count_single(struct prove *x, const struct prove_pair *p, const char *why)
{
	struct convert_difference *d = count_pairs(x, p, why, 1, NULL, NULL);

	if (!d)
		return;
	convert_strs_add(&d->single_nexthops, arena_str(x->c->arena, p->before));
	convert_strs_add(&d->single_hosts, arena_str(x->c->arena, p->host));
}

static bool prove_single(struct prove *x, struct str before, struct str after, struct str host)
{
	struct prove_pair p = { .before = before, .after = after, .host = host };

	if (!decide(x, &p))
		return false;
	count_single(x, &p, why_single(&p));
	return true;
}

/* ---- classes ---- */

static struct convert_class *
find_class(struct prove *x, struct convert_class ***v, size_t *n, const struct convert_class *like)
{
	for (size_t i = 0; i < *n; i++)
		if (str_eq((*v)[i]->per_site, like->per_site) &&
		    str_eq((*v)[i]->policy, like->policy) && (*v)[i]->is_equal == like->is_equal)
			return (*v)[i];
	struct convert_class *made = ARENA_NEW(x->c->arena, struct convert_class);
	*made = *like;
	made->policy = arena_str(x->c->arena, like->policy);
	*v = base_realloc(*v, (*n + 1) * sizeof(**v));
	(*v)[(*n)++] = made;
	return made;
}

/* The step that decides, without what is special about the key. */
static struct str policy_class(struct prove *x, const struct policy_decision *d)
{
	const struct trace_step *s = &d->trace[d->deciding];

	return arena_fmt(x->arena, STR_FMT " " STR_FMT " %u" STR_FMT, STR_ARG(s->code),
			 STR_ARG(s->value), d->error.status.class, STR_ARG(d->error.reason));
}

static struct convert_class *class_of_nexthop(struct prove *x, const struct prove_pair *neutral)
{
	struct answer n =
		cmd_decider_look(&x->c->before, x->arena, CONF_smtp_tls_per_site, neutral->before);
	struct convert_class like = {
		.per_site = x->c->has_per_site ? policy_per_site_class(&n) : STR("no entry"),
		.policy = policy_class(x, &neutral->d[1]),
		.is_equal =
			neutral->compared.change == POLICY_UNCHANGED || is_status_alone(neutral),
	};

	return find_class(x, &x->nexthop_classes, &x->n_nexthop_classes, &like);
}

static void add_host(struct prove *x, struct str host)
{
	struct answer h = cmd_decider_look(&x->c->before, x->arena, CONF_smtp_tls_per_site, host);
	struct convert_class like = { .per_site = policy_per_site_class(&h), .policy = STR("") };
	struct convert_class *class = find_class(x, &x->host_classes, &x->n_host_classes, &like);

	x->class_of_host =
		base_realloc(x->class_of_host, (x->hosts.n + 1) * sizeof(*x->class_of_host));
	x->class_of_host[x->hosts.n] = class;
	convert_strs_add(&x->hosts, host);
	convert_strs_add(&class->members, host);
}

/* ---- next-hops ---- */

/* The host was not asked, where another one would have been and have had an answer. */
static const char *why_itself(const struct prove_pair *p, const struct convert_class *nexthop)
{
	const char *why = why_single(p);

	return nexthop->is_equal && str_eq(str_of(why), STR("unexplained")) ? "same-name" : why;
}

static bool prove_itself(struct prove *x, struct str nexthop, const struct convert_class *class)
{
	struct prove_pair p = { .before = nexthop, .after = nexthop, .host = nexthop };

	if (!decide(x, &p))
		return false;
	count_single(x, &p, why_itself(&p, class));
	return true;
}

static bool prove_open(struct prove *x, struct str nexthop)
{
	struct prove_pair p = { .before = nexthop, .after = nexthop, .host = CMD_NEUTRAL_HOST };

	if (!decide(x, &p))
		return false;
	count_single(x, &p, why_single(&p));
	if (x->n_open == x->open_room) {
		x->open_room = x->open_room ? x->open_room * 2 : 64;
		x->open = base_realloc(x->open, x->open_room * sizeof(*x->open));
	}
	struct convert_class *class = class_of_nexthop(x, &p);
	x->open[x->n_open++] = (struct prove_nexthop){ nexthop, class };
	convert_strs_add(&class->members, nexthop);
	return !cmd_key_is_host(nexthop, true) || prove_itself(x, nexthop, class);
}

/* Mail that went to this next-hop goes to one of the new routes, all of it. */
static bool is_rerouted(const struct prove *x, struct str nexthop)
{
	if (map_has(&x->c->kept, nexthop))
		return false;
	for (size_t i = 0; i < x->c->n_routes; i++)
		if (str_ieq_ascii(x->c->routes[i].before, nexthop))
			return true;
	return false;
}

/* A next-hop is looked at once, in whatever case it is written. */
static bool prove_nexthop(struct prove *x, struct str nexthop)
{
	struct str key = arena_lower(x->c->arena, nexthop), fixed;

	if (map_has(&x->seen, key) || !cmd_key_is_nexthop(key, true))
		return true;
	map_put(&x->seen, key, 0);
	x->proof->n_nexthops++;
	if (is_rerouted(x, key))
		return true;
	fixed = convert_fixed_host(nexthop);
	return fixed.n > 0 ? prove_single(x, nexthop, nexthop, fixed) : prove_open(x, nexthop);
}

/* What a walk over parent domains could find, and the old table never looked for. */
static bool prove_below(struct prove *x, struct str key)
{
	struct str below = arena_fmt(x->c->arena, CMD_NEUTRAL_LABEL "." STR_FMT, STR_ARG(key));

	if (!domain_is_hostname_utf8(key, true) || !domain_is_hostname_utf8(below, true))
		return true;
	x->proof->n_nexthops++;
	return prove_single(x, below, below, CMD_NEUTRAL_HOST);
}

static bool prove_keys(struct prove *x)
{
	bool is_utf8_ok = conf_bool(x->c->before.site.conf, CONF_smtputf8_enable);

	for (size_t i = 0; i < x->c->keys.n; i++) {
		struct str key = x->c->keys.v[i];
		struct str below = str_from(key, 1);
		if (!prove_nexthop(x, key) ||
		    !prove_below(x, str_has_prefix(key, STR(".")) ? below : key))
			return false;
		if (cmd_key_is_host(key, is_utf8_ok))
			add_host(x, key);
	}
	for (size_t i = 0; i < x->c->n_entries; i++)
		if (!prove_nexthop(x, x->c->entries[i].key))
			return false;
	return true;
}

/* Under TLS-Required: no neither table is asked. */
static bool prove_neutral(struct prove *x)
{
	struct prove_pair p = {
		.before = CMD_NEUTRAL_NEXTHOP,
		.after = CMD_NEUTRAL_NEXTHOP,
		.host = CMD_NEUTRAL_HOST,
		.has_tls_required_no = true,
	};

	if (!decide(x, &p))
		return false;
	count_single(x, &p, why_single(&p));
	return prove_nexthop(x, CMD_NEUTRAL_NEXTHOP);
}

static bool prove_routing(struct prove *x)
{
	struct cmd_routes r;
	bool is_done = true;

	cmd_routes_init(&r, x->c->before.site.conf,
			tables_find(x->c->before.site.tables, conf_name(CONF_transport_maps)));
	for (size_t i = 0; i < r.n && is_done; i++)
		is_done = prove_nexthop(x, arena_str(x->c->arena, cmd_route_key(r.nexthops[i])));
	cmd_routes_fini(&r);
	return is_done;
}

static bool prove_routes(struct prove *x)
{
	for (size_t i = 0; i < x->c->n_routes; i++) {
		const struct convert_route *r = &x->c->routes[i];
		if (!prove_single(x, r->before, r->nexthop, r->host))
			return false;
	}
	return true;
}

/* ---- next-hops times hosts ---- */

static bool prove_cross(struct prove *x, struct str nexthop, struct str host, size_t n,
			const struct convert_class *nexthops, const struct convert_class *hosts)
{
	struct prove_pair p = { .before = nexthop, .after = nexthop, .host = host };

	if (!decide(x, &p))
		return false;
	(void)count_pairs(x, &p, why_host(&p, nexthops, hosts), n, nexthops, hosts);
	return true;
}

static bool prove_every_pair(struct prove *x)
{
	for (size_t i = 0; i < x->n_open; i++)
		for (size_t k = 0; k < x->hosts.n; k++)
			if (!str_ieq_ascii(x->open[i].text, x->hosts.v[k]) &&
			    !prove_cross(x, x->open[i].text, x->hosts.v[k], 1, x->open[i].class,
					 x->class_of_host[k]))
				return false;
	return true;
}

/* Names that are in both: a next-hop with itself as host is not one of these pairs. Hosts are keys,
 * and every key that is a host and a next-hop is among the next-hops. */
static size_t count_same(const struct prove *x, const struct convert_class *nexthops,
			 const struct convert_class *hosts)
{
	struct map names;
	size_t n = 0;

	map_init(&names);
	for (size_t i = 0; i < hosts->members.n; i++)
		map_put(&names, hosts->members.v[i], 0);
	for (size_t i = 0; i < nexthops->members.n; i++)
		n += map_has(&names, arena_lower(x->arena, nexthops->members.v[i]));
	map_fini(&names);
	return n;
}

static bool prove_class_pair(struct prove *x, const struct convert_class *nexthops,
			     const struct convert_class *hosts)
{
	size_t n = nexthops->members.n * hosts->members.n;

	arena_reset(x->arena);
	n -= count_same(x, nexthops, hosts);
	for (size_t i = 0; i < nexthops->members.n && i < 2 && n > 0; i++)
		for (size_t k = 0; k < hosts->members.n && k < 2; k++)
			if (!str_ieq_ascii(nexthops->members.v[i], hosts->members.v[k]))
				return prove_cross(x, nexthops->members.v[i], hosts->members.v[k],
						   n, nexthops, hosts);
	return true;
}

static bool prove_classes(struct prove *x)
{
	for (size_t i = 0; i < x->n_nexthop_classes; i++)
		for (size_t k = 0; k < x->n_host_classes; k++)
			if (!prove_class_pair(x, x->nexthop_classes[i], x->host_classes[k]))
				return false;
	return true;
}

static bool prove_all(struct prove *x, enum convert_pairs pairs)
{
	if (!prove_neutral(x) || !prove_keys(x) || !prove_routing(x) || !prove_routes(x))
		return false;
	x->proof->n_hosts = x->hosts.n + 1;
	x->proof->is_literal = pairs == CONVERT_PAIRS_EVERY ||
			       (pairs == CONVERT_PAIRS_AUTO &&
				(x->hosts.n == 0 || x->n_open <= PROVE_LITERAL_PAIRS / x->hosts.n));
	return x->proof->is_literal ? prove_every_pair(x) : prove_classes(x);
}

/* What demands less comes first. */
static int compare_differences(const void *a, const void *b)
{
	const struct convert_difference *x = a, *y = b;

	if (x->change != y->change)
		return x->change < y->change ? -1 : 1;
	if (x->before != y->before)
		return x->before > y->before ? -1 : 1;
	return (x->after > y->after) - (x->after < y->after);
}

bool convert_prove(struct convert *c, struct cmd_decider *after, enum convert_pairs pairs,
		   struct convert_proof *proof, struct error *e)
{
	struct prove x = { .c = c, .after = after, .proof = proof, .error = e };
	bool is_done;

	*proof = (struct convert_proof){ .n_pairs = 0 };
	x.arena = arena_new();
	map_init(&x.seen);
	is_done = prove_all(&x, pairs);
	if (proof->n_differences > 1)
		qsort(proof->differences, proof->n_differences, sizeof(*proof->differences),
		      compare_differences);
	map_fini(&x.seen);
	free(x.open);
	free(x.hosts.v);
	free(x.class_of_host);
	proof->classes[0] = x.nexthop_classes;
	proof->n_classes[0] = x.n_nexthop_classes;
	proof->classes[1] = x.host_classes;
	proof->n_classes[1] = x.n_host_classes;
	arena_free(x.arena);
	return is_done;
}

void convert_proof_fini(struct convert_proof *proof)
{
	for (size_t i = 0; i < proof->n_differences; i++) {
		free(proof->differences[i].single_nexthops.v);
		free(proof->differences[i].single_hosts.v);
	}
	free(proof->differences);
	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < proof->n_classes[i]; k++)
			free(proof->classes[i][k]->members.v);
		free(proof->classes[i]);
	}
}
