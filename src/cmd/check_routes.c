/* What the router makes of transport_maps, relayhost and the like. */

#include "cmd/check_inside.h"

#include "base/map.h"

#define CHECK_FINDINGS_MAX 100 /* of entries */

struct routes_check {
	const struct check_to *to;
	const struct conf *conf;
	const struct route_config *cfg;
	struct arena *scratch; /* of one value */
	struct arena *kept;
	struct map values; /* of entries that are good */
	size_t n_found;
	struct str rcpt; /* whose mail goes wherever the value under test says */
};

/* Where a value is written. */
struct routes_place {
	struct str param, file;
	unsigned line;
};

static void routes_say(struct routes_check *c, const struct routes_place *at, struct str code,
		       struct str text, struct str remedy)
{
	struct conf_finding f = {
		.severity = CONF_ERROR,
		.code = code,
		.param = at->param,
		.file = arena_str(c->to->arena, at->file),
		.line = at->line,
		.text = text,
		.remedy = remedy,
	};

	if (++c->n_found <= CHECK_FINDINGS_MAX)
		c->to->found(c->to->arg, &f);
}

/* The route that an entry of transport_maps with this value makes; STR_NONE: without any entry.
 * All other tables say "none". */
static struct route routes_walk(const struct routes_check *c, struct str value)
{
	struct arena *a = c->scratch;
	struct fact_list *facts = fact_list_new(a);
	struct route_step step;

	for (;;) {
		step = route_recipient_step(a, c->cfg, c->rcpt, fact_list_set(facts));
		if (step.kind == ROUTE_DONE)
			return step.u.done;
		for (size_t i = 0; i < step.u.ask.n; i++) {
			const struct question *q = &step.u.ask.v[i];
			bool is_it = value.p && str_eq(q->table, conf_name(CONF_transport_maps)) &&
				     str_eq(q->name, c->rcpt);
			struct answer answer = { .status = is_it ? ANSWER_FOUND : ANSWER_NONE,
						 .value = is_it ? value : STR_NONE };
			fact_list_add(facts, q, &answer);
		}
	}
}

/* What the syntax of a next-hop alone makes impossible comes out before anything is asked. */
static void routes_check_nexthop(struct routes_check *c, const struct routes_place *at,
				 enum route_protocol protocol, struct str nexthop)
{
	struct fact_set nothing = { NULL, 0 };
	struct route_hosts_step step =
		route_hosts_step(c->scratch, c->cfg, protocol, nexthop, 0, nothing);
	const struct outcome *o = &step.u.done.failure;

	if (step.kind != ROUTE_HOSTS_DONE || step.u.done.n > 0 || o->status.class != 4 ||
	    o->status.subject != 3 || o->status.detail != 5)
		return;
	routes_say(c, at, STR("nexthop-syntax"),
		   arena_fmt(c->to->arena, STR_FMT ": mail that goes there is deferred (4.3.5)",
			     STR_ARG(o->reason)),
		   STR("write domain, domain:port, [host] or [host]:port"));
}

static bool routes_has(const struct route *r, struct str code)
{
	for (size_t i = 0; i < r->trace.n; i++)
		if (str_eq(r->trace.v[i].code, code))
			return true;
	return false;
}

static void
routes_check_route(struct routes_check *c, const struct routes_place *at, struct route r)
{
	const struct str *each;

	if (routes_has(&r, STR("transport-unsupported")))
		routes_say(c, at, STR("transport-unsupported"),
			   arena_fmt(c->to->arena,
				     "transport \"" STR_FMT
				     "\" is not supported: mail for it is deferred (4.3.5)",
				     STR_ARG(r.transport)),
			   STR("use smtp, relay, lmtp, discard, error or retry, or leave this mail "
			       "to Postfix"));
	if (r.kind != ROUTE_DELIVER)
		return;
	size_t n = route_nexthops(c->scratch, r.nexthop, &each);
	for (size_t i = 0; i < n; i++)
		routes_check_nexthop(c, at, r.protocol, each[i]);
}

static void routes_check_entry(void *arg, const struct table_entry *e)
{
	struct routes_check *c = arg;
	size_t n_found = c->n_found;
	struct routes_place at = {
		.param = conf_name(CONF_transport_maps),
		.file = e->file,
		.line = e->line,
	};

	if (map_has(&c->values, e->value))
		return;
	arena_reset(c->scratch);
	routes_check_route(c, &at, routes_walk(c, e->value));
	if (c->n_found == n_found)
		map_put(&c->values, arena_str(c->kept, e->value), 0);
}

static struct routes_place routes_place_of(const struct routes_check *c, enum conf_id id)
{
	return (struct routes_place){
		.param = conf_name(id),
		.file = conf_file(c->conf, id),
		.line = conf_line(c->conf, id),
	};
}

/* All other mail: relayhost or default_transport, whichever the route names. */
static void routes_check_default(struct routes_check *c)
{
	bool is_relayhost = conf_str(c->conf, CONF_relayhost).n > 0;
	struct routes_place at =
		routes_place_of(c, is_relayhost ? CONF_relayhost : CONF_default_transport);

	routes_check_route(c, &at, routes_walk(c, STR_NONE));
}

/* relay_transport, by the first of relay_domains that is a name. */
static void routes_check_relay(struct routes_check *c)
{
	struct str domains = conf_str(c->conf, CONF_relay_domains), domain;
	struct routes_place at = routes_place_of(c, CONF_relay_transport);

	while (str_token_braced(&domains, STR(", \t\r\n"), &domain)) {
		if (str_contains(domain, ':') || str_contains(domain, '/') || domain.p[0] == '!' ||
		    domain.p[0] == '.')
			continue;
		c->rcpt = arena_fmt(c->kept, "check@" STR_FMT, STR_ARG(domain));
		struct route r = routes_walk(c, STR_NONE);
		if (routes_has(&r, STR("relay_transport")))
			routes_check_route(c, &at, r);
		return;
	}
}

void check_routes(const struct check_to *to, const struct conf *conf,
		  const struct route_config *cfg, const struct table_set *transport_maps)
{
	struct routes_check c = {
		.to = to,
		.conf = conf,
		.cfg = cfg,
		.scratch = arena_new(),
		.kept = arena_new(),
		.rcpt = STR("check@hopseal.invalid"),
	};

	map_init(&c.values);
	routes_check_default(&c);
	if (transport_maps)
		table_set_each(transport_maps, routes_check_entry, &c);
	arena_reset(c.scratch);
	routes_check_relay(&c);
	map_fini(&c.values);
	arena_free(c.kept);
	arena_free(c.scratch);
}
