/* From a next-hop to the hosts to connect to, in their order. */

#include "mail/domain.h"
#include "route/order.h"
#include "route/search.h"

#define ROUTE_LOOP_PORT 25 /* on other ports, a host of ours is somebody else */

/* The rules at the edge: what is not understood is kept, never returned. */
static enum route_progress route_fail_syntax(struct route_search *s)
{
	return route_fail(s, OUTCOME_DEFERRED, STATUS(4, 3, 5),
			  arena_fmt(s->w.a, "next-hop \"" STR_FMT "\" cannot be used: " STR_FMT,
				    STR_ARG(s->nh.text), STR_ARG(s->nh.problem)));
}

static enum route_progress route_walk_literal(struct route_search *s)
{
	struct route_host h = {
		.host = s->nh.domain,
		.name = s->nh.domain,
		.canonical = s->nh.domain,
		.port = s->nh.port,
		.is_literal = true,
	};

	CHECK(address_parse(s->nh.domain, &h.address));
	route_note(&s->w, TRACE_RULE, STR("literal"), "the next-hop is an address");
	if (!s->w.cfg->has_family[h.address.family])
		return route_fail(s, OUTCOME_DEFERRED, STATUS(4, 4, 4),
				  arena_fmt(s->w.a,
					    "inet_protocols leaves out the family of " STR_FMT,
					    STR_ARG(s->nh.domain)));
	route_search_add(s, &h);
	return s->detects_loops && route_is_self(s, &h.address) ? route_fail_loop(s) : ROUTE_GO_ON;
}

static void route_order(struct route_search *s)
{
	const struct conf *conf = s->w.cfg->conf;
	struct route_order o = {
		.seed = s->seed,
		.is_random = conf_bool(conf, CONF_smtp_randomize_addresses),
		.preference = s->w.cfg->preference,
		.limit = (size_t)conf_int(conf, CONF_smtp_mx_address_limit),
		.is_balanced = conf_bool(conf, CONF_smtp_balance_inet_protocols),
	};
	size_t n = s->n;

	s->n = route_order_hosts(s->v, s->n, &o);
	if (s->n < n)
		route_note_param(&s->w, STR("address-limit"), CONF_smtp_mx_address_limit,
				 "%zu of %zu addresses are tried", s->n, n);
}

/* A relay of the operator's that does not resolve, or is this machine, is a mistake to be mended:
 * the mail waits. */
static void route_spare_relayhost(struct route_search *s)
{
	struct str rest = conf_str(s->w.cfg->conf, CONF_relayhost);
	struct str site;

	if (s->protocol != ROUTE_SMTP || s->trouble.kind != OUTCOME_BOUNCED)
		return;
	while (str_token(&rest, STR(", \t\r\n"), &site)) {
		if (!str_eq(site, s->nh.text))
			continue;
		route_note_param(&s->w, STR("relayhost-trouble"), CONF_relayhost,
				 "the relayhost cannot be used; the mail is kept");
		s->trouble.kind = OUTCOME_DEFERRED;
		s->trouble.status = STATUS(4, 3, 5);
		return;
	}
}

static enum route_progress route_walk_socket(struct route_search *s, struct str path)
{
	struct route_host h = { .host = s->nh.text, .name = s->nh.text, .canonical = s->nh.text };

	h.socket = path;
	if (!str_has_prefix(path, STR("/")))
		return route_fail(s, OUTCOME_DEFERRED, STATUS(4, 3, 5),
				  arena_fmt(s->w.a,
					    "next-hop \"" STR_FMT
					    "\": want unix:/path from the root",
					    STR_ARG(s->nh.text)));
	route_note(&s->w, TRACE_RULE, STR("socket"), "the next-hop is a UNIX-domain socket");
	route_search_add(s, &h);
	return ROUTE_GO_ON;
}

static enum route_progress route_read_nexthop(struct route_search *s, struct str text)
{
	const struct route_config *cfg = s->w.cfg;
	struct str given = s->nh.text;
	uint16_t port = s->protocol == ROUTE_SMTP ? cfg->smtp_port : cfg->lmtp_port;
	enum nexthop_parse parse = nexthop_parse(text, port, cfg->is_utf8, &s->nh);

	s->nh.text = given;
	if (parse == NEXTHOP_BAD_SERVICE &&
	    route_service_port(cfg->conf, s->nh.service, &s->nh.port))
		parse = NEXTHOP_OK;
	if (parse != NEXTHOP_OK)
		return route_fail_syntax(s);
	if (!s->nh.is_address && !domain_to_ascii(s->w.a, s->nh.domain, &s->name)) {
		s->nh.problem = STR("the name has no ASCII form");
		return route_fail_syntax(s);
	}
	s->name = arena_lower(s->w.a, s->name);
	s->detects_loops = s->protocol == ROUTE_SMTP && s->nh.port == ROUTE_LOOP_PORT;
	return ROUTE_GO_ON;
}

struct str route_table_key(enum route_protocol protocol, struct str nexthop)
{
	if (protocol == ROUTE_LMTP && str_has_prefix(nexthop, STR("inet:")))
		return str_from(nexthop, 5);
	return nexthop;
}

static enum route_progress route_walk_hosts(struct route_search *s)
{
	struct str text = s->nh.text;

	if (s->protocol == ROUTE_LMTP && str_has_prefix(text, STR("unix:")))
		return route_walk_socket(s, str_from(text, 5));
	if (route_read_nexthop(s, route_table_key(s->protocol, text)) == ROUTE_OVER)
		return ROUTE_OVER;
	if (s->nh.is_address)
		return route_walk_literal(s);
	if (s->protocol == ROUTE_LMTP || s->nh.is_bracketed || !s->w.cfg->is_dns)
		return route_walk_host(s);
	return route_walk_mx(s);
}

static struct route_hosts_step route_ask_more(struct route_search *s)
{
	struct route_hosts_step step = { .kind = ROUTE_HOSTS_ASK };

	step.u.ask = route_walk_asks(&s->w);
	return step;
}

static struct route_hosts_step route_finish(struct route_search *s)
{
	struct route_hosts_step step = { .kind = ROUTE_HOSTS_DONE };

	if (s->n == 0 && !s->trouble.reason.n)
		route_fail(s, OUTCOME_DEFERRED, STATUS(4, 4, 4),
			   arena_fmt(s->w.a, "no address of " STR_FMT " is in inet_protocols",
				     STR_ARG(s->nh.domain)));
	if (s->n)
		route_order(s);
	else
		route_spare_relayhost(s);
	s->out->v = s->v;
	s->out->n = s->n;
	if (s->n == 0)
		s->out->failure = s->trouble;
	s->out->domain = s->nh.domain;
	s->out->port = s->nh.port;
	s->out->session_limit = (unsigned)conf_int(s->w.cfg->conf, CONF_smtp_mx_session_limit);
	s->out->trace = route_walk_trace(&s->w);
	step.u.done = *s->out;
	return step;
}

struct route_hosts_step route_hosts_step(struct arena *a, const struct route_config *cfg,
					 enum route_protocol protocol, struct str nexthop,
					 uint64_t seed, struct fact_set facts)
{
	struct route_hosts out = { 0 };
	struct route_search s = {
		.w = route_walk_new(a, cfg, facts),
		.protocol = protocol,
		.seed = seed,
		.nh = { .text = nexthop },
		.out = &out,
	};

	if (route_walk_hosts(&s) == ROUTE_WAIT)
		return route_ask_more(&s);
	return route_finish(&s);
}
