/* From a next-hop to the hosts to connect to: RFC 5321 section 5.1, RFC 7505. What DNS could not
 * say is never taken for "there is none". */

#include "mail/domain.h"
#include "mail/nexthop.h"
#include "route/order.h"
#include "route/walk.h"

#define ROUTE_LOOP_PORT 25 /* on other ports, a host of ours is somebody else */

struct route_search {
	struct route_walk w;
	enum route_protocol protocol;
	uint64_t seed;
	struct nexthop nh;
	struct str name;   /* of nh, as DNS wants it: A-labels, lower case */
	bool is_name_gone; /* DNS says that the name does not exist: asking for addresses is idle */
	bool detects_loops;

	struct route_host *v;
	size_t n, size;
	struct outcome trouble; /* the worst so far: a temporary one outweighs permanent ones */
	struct route_hosts *out;
};

static enum route_progress
route_fail(struct route_search *s, enum outcome_kind kind, struct status status, struct str reason)
{
	s->n = 0;
	s->trouble = route_outcome(kind, status, reason);
	return ROUTE_OVER;
}

/* The rules at the edge: what is not understood is kept, never returned. */
static enum route_progress route_fail_syntax(struct route_search *s)
{
	return route_fail(s, OUTCOME_DEFERRED, STATUS(4, 3, 5),
			  arena_fmt(s->w.a, "next-hop \"" STR_FMT "\" cannot be used: " STR_FMT,
				    STR_ARG(s->nh.text), STR_ARG(s->nh.problem)));
}

static void route_note_trouble(struct route_search *s, bool is_temporary, struct status status,
			       struct str reason)
{
	bool was_temporary = s->trouble.reason.n && s->trouble.kind == OUTCOME_DEFERRED;

	if (was_temporary)
		return;
	s->trouble =
		route_outcome(is_temporary ? OUTCOME_DEFERRED : OUTCOME_BOUNCED, status, reason);
}

/* A question to DNS or the native service, with what it said in words. */
static void route_note_answer(struct route_search *s, const struct question *q,
			      const struct answer *answer, struct str said)
{
	struct trace_step *t =
		route_note(&s->w, TRACE_QUESTION, question_kind_name(q->kind),
			   STR_FMT " of " STR_FMT ": " STR_FMT " (" STR_FMT ")",
			   STR_ARG(question_kind_name(q->kind)), STR_ARG(q->name), STR_ARG(said),
			   STR_ARG(dnssec_status_name(answer->dnssec)));

	t->source = q->kind == QUESTION_NATIVE ? STR("native") : STR("dns");
	t->key = q->name;
	t->value = answer->status == ANSWER_FOUND ? said : STR("");
	t->answer = answer->status;
}

static struct str route_said(struct route_search *s, const struct answer *answer, struct str found)
{
	switch (answer->status) {
	case ANSWER_FOUND:
		return found;
	case ANSWER_NONE:
		return answer->is_nxdomain ? STR("no such name") : STR("no such record");
	case ANSWER_FAILED:
		return answer->failure.n ? answer->failure : STR("failed");
	}
	CHECK(!"answer status");
	return arena_str(s->w.a, found);
}

static struct str route_mx_text(struct arena *a, const struct answer *answer)
{
	struct str text = STR("");

	for (size_t i = 0; i < answer->n_mx; i++)
		text = arena_fmt(a, STR_FMT "%s%u " STR_FMT, STR_ARG(text), i ? ", " : "",
				 answer->mx[i].preference,
				 STR_ARG(answer->mx[i].host.n ? answer->mx[i].host : STR(".")));
	return text;
}

static struct str route_addresses_text(struct arena *a, const struct answer *answer)
{
	struct str text = STR("");

	for (size_t i = 0; i < answer->n_addresses; i++)
		text = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? ", " : "",
				 STR_ARG(address_text(a, &answer->addresses[i])));
	return text;
}

/* What stood behind an address: DNS or the native service. */
struct route_look {
	const struct answer *answer; /* FOUND; NULL otherwise */
	bool is_native;
};

static enum route_progress
route_look_dns(struct route_search *s, struct str name, struct route_look *look)
{
	struct question q = { .kind = QUESTION_ADDRESS, .name = name };
	const struct answer *answer = route_know(&s->w, &q);

	if (!answer)
		return ROUTE_WAIT;
	struct str said = route_said(s, answer, route_addresses_text(s->w.a, answer));
	route_note_answer(s, &q, answer, said);
	if (answer->status == ANSWER_FOUND)
		look->answer = answer;
	if (answer->status == ANSWER_FAILED) {
		route_note_trouble(s, true, STATUS(4, 4, 3),
				   arena_fmt(s->w.a,
					     "address lookup of " STR_FMT " failed: " STR_FMT,
					     STR_ARG(name), STR_ARG(said)));
		return ROUTE_OVER;
	}
	return ROUTE_GO_ON;
}

static enum route_progress
route_look_native(struct route_search *s, struct str name, struct route_look *look)
{
	struct question q = { .kind = QUESTION_NATIVE, .name = name };
	const struct answer *answer = route_know(&s->w, &q);

	if (!answer)
		return ROUTE_WAIT;
	struct str said = route_said(s, answer, route_addresses_text(s->w.a, answer));
	route_note_answer(s, &q, answer, said);
	if (answer->status == ANSWER_FOUND)
		*look = (struct route_look){ answer, true };
	if (answer->status == ANSWER_FAILED) {
		route_note_trouble(s, true, STATUS(4, 4, 4),
				   arena_fmt(s->w.a,
					     "native lookup of " STR_FMT " failed: " STR_FMT,
					     STR_ARG(name), STR_ARG(said)));
		return ROUTE_OVER;
	}
	return ROUTE_GO_ON;
}

/* The addresses of one host: DNS, then the native service for what DNS does not have. GO_ON without
 * an answer: there is none; OVER: the lookup failed. */
static enum route_progress
route_look_up(struct route_search *s, struct str name, struct route_look *look)
{
	enum route_progress p = ROUTE_GO_ON;

	*look = (struct route_look){ 0 };
	if (s->w.cfg->is_dns_hosts && !s->is_name_gone)
		p = route_look_dns(s, name, look);
	if (p == ROUTE_GO_ON && !look->answer && s->w.cfg->is_native_hosts)
		p = route_look_native(s, name, look);
	if (p == ROUTE_GO_ON && !look->answer)
		route_note_trouble(s, false, STATUS(5, 4, 4),
				   arena_fmt(s->w.a,
					     "Host or domain name not found: " STR_FMT
					     " has no address",
					     STR_ARG(name)));
	return p;
}

static void route_add(struct route_search *s, const struct route_host *h)
{
	if (s->n == ROUTE_ADDRESSES_MAX)
		return;
	s->v = route_grow(s->w.a, s->v, s->n, &s->size, sizeof(*s->v));
	s->v[s->n++] = *h;
}

/* One candidate for each address of the families in use. `like` has what is common to them. */
static void route_add_addresses(struct route_search *s, const struct route_look *look,
				const struct route_host *like)
{
	const struct answer *answer = look->answer;
	struct route_host h = *like;

	h.canonical = answer->canonical.n ? answer->canonical : h.name;
	h.host = conf_bool(s->w.cfg->conf, CONF_smtp_cname_overrides_servername) ? h.canonical
										 : h.name;
	h.port = s->nh.port;
	h.is_native = look->is_native;
	for (size_t i = 0; i < answer->n_addresses; i++) {
		h.address = answer->addresses[i];
		if (!s->w.cfg->has_family[h.address.family])
			continue;
		h.dnssec = look->is_native ? DNSSEC_UNCHECKED
					   : answer->family[h.address.family].dnssec;
		route_add(s, &h);
	}
}

static bool route_is_self(const struct route_search *s, const struct address *addr)
{
	for (size_t i = 0; i < s->w.cfg->n_own; i++)
		if (address_eq(&s->w.cfg->own[i], addr))
			return true;
	return false;
}

static enum route_progress route_fail_loop(struct route_search *s)
{
	s->out->is_last = true;
	route_note(&s->w, TRACE_RULE, STR("loop"), "this machine is the best host of " STR_FMT,
		   STR_ARG(s->nh.domain));
	return route_fail(s, OUTCOME_BOUNCED, STATUS(5, 4, 6),
			  arena_fmt(s->w.a, "mail for " STR_FMT " loops back to myself",
				    STR_ARG(s->nh.domain)));
}

/* A host without MX records: the next-hop itself. */
static enum route_progress route_walk_host(struct route_search *s)
{
	struct route_host like = { .name = s->name };
	struct route_look look;
	enum route_progress p = route_look_up(s, s->name, &look);

	if (p == ROUTE_WAIT)
		return ROUTE_WAIT;
	if (p == ROUTE_OVER || !look.answer)
		return ROUTE_OVER;
	route_add_addresses(s, &look, &like);
	for (size_t i = 0; s->detects_loops && i < s->n; i++)
		if (route_is_self(s, &s->v[i].address))
			return route_fail_loop(s);
	return ROUTE_GO_ON;
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
	route_add(s, &h);
	return s->detects_loops && route_is_self(s, &h.address) ? route_fail_loop(s) : ROUTE_GO_ON;
}

/* What an MX record may not name: RFC 5321 section 5.1 wants a domain with addresses. */
static bool route_is_mx_usable(struct route_search *s, const struct mx_record *mx)
{
	if (domain_is_hostname(mx->host))
		return true;
	const char *what = domain_is_address_literal(mx->host) ? "an address" : "not a host name";
	route_note(&s->w, TRACE_WARNING, STR("mx-skipped"),
		   "the MX record %u \"" STR_FMT "\" is %s and is skipped", mx->preference,
		   STR_ARG(mx->host), what);
	route_note_trouble(s, false, STATUS(5, 4, 4),
			   arena_fmt(s->w.a,
				     "the MX record of " STR_FMT " names %s: \"" STR_FMT "\"",
				     STR_ARG(s->name), what, STR_ARG(mx->host)));
	return false;
}

static enum route_progress
route_walk_mx_hosts(struct route_search *s, const struct mx_record *v, size_t n)
{
	bool is_waiting = false;

	for (size_t i = 0; i < n; i++) {
		struct route_look look;
		if (!route_is_mx_usable(s, &v[i]))
			continue;
		is_waiting |= route_look_up(s, v[i].host, &look) == ROUTE_WAIT;
		if (!look.answer)
			continue;
		struct route_host like = {
			.name = v[i].host,
			.preference = v[i].preference,
			.is_mx = true,
		};
		route_add_addresses(s, &look, &like);
	}
	return is_waiting ? ROUTE_WAIT : ROUTE_GO_ON;
}

/* The preference at which this machine is an MX host; false when it is none. Names count as well,
 * for a machine behind address translation: RFC 5321 section 5.1. */
static bool route_find_self(const struct route_search *s, const struct mx_record *v, size_t n,
			    uint16_t *preference)
{
	struct str myhostname = conf_str(s->w.cfg->conf, CONF_myhostname);
	bool is_found = false;

	for (size_t i = 0; i < s->n && !is_found; i++) {
		is_found = route_is_self(s, &s->v[i].address);
		*preference = s->v[i].preference;
	}
	for (size_t i = 0; i < n; i++) {
		if (!str_ieq_ascii(v[i].host, myhostname) ||
		    (is_found && *preference <= v[i].preference))
			continue;
		is_found = true;
		*preference = v[i].preference;
	}
	return is_found;
}

/* Drops this machine and the hosts that are no better. `v` is sorted, and so are the candidates. */
static enum route_progress
route_drop_self(struct route_search *s, const struct mx_record *v, size_t n)
{
	uint16_t own, best_found;

	if (!s->detects_loops || !route_find_self(s, v, n, &own))
		return ROUTE_GO_ON;
	s->out->is_last = true;
	best_found = s->n && s->v[0].preference < own ? s->v[0].preference : own;
	while (s->n && s->v[s->n - 1].preference >= own)
		s->n--;
	route_note(
		&s->w, TRACE_RULE, STR("self"),
		"this machine is an MX host of preference %u: it and those not better are left out",
		own);
	if (s->n)
		return ROUTE_GO_ON;
	if (v[0].preference == best_found)
		return route_fail_loop(s);
	return route_fail(s, OUTCOME_DEFERRED, STATUS(4, 4, 4),
			  arena_fmt(s->w.a,
				    "no MX host of " STR_FMT " better than this one can be found",
				    STR_ARG(s->nh.domain)));
}

static enum route_progress route_fail_no_address(struct route_search *s)
{
	if (s->trouble.kind == OUTCOME_BOUNCED &&
	    conf_bool(s->w.cfg->conf, CONF_smtp_defer_if_no_mx_address_found)) {
		s->trouble.kind = OUTCOME_DEFERRED;
		s->trouble.status.class = 4;
	}
	route_note(&s->w, TRACE_RULE, STR("no-mx-address"),
		   "no MX host of " STR_FMT " has a usable address", STR_ARG(s->name));
	return ROUTE_OVER;
}

static enum route_progress route_walk_mx_found(struct route_search *s, const struct answer *answer)
{
	size_t n = answer->n_mx < ROUTE_MX_HOSTS_MAX ? answer->n_mx : ROUTE_MX_HOSTS_MAX;
	struct mx_record *v = ARENA_ARRAY(s->w.a, answer->n_mx, struct mx_record);

	if (answer->n_mx == 1 && answer->mx[0].host.n == 0)
		return route_fail(s, OUTCOME_BOUNCED, STATUS(5, 1, 10),
				  arena_fmt(s->w.a, "domain " STR_FMT " accepts no mail (null MX)",
					    STR_ARG(s->name)));
	for (size_t i = 0; i < answer->n_mx; i++)
		v[i] = answer->mx[i];
	route_sort_by_preference(v, answer->n_mx);
	enum route_progress p = route_walk_mx_hosts(s, v, n);
	if (p == ROUTE_GO_ON)
		p = route_drop_self(s, v, n);
	if (p == ROUTE_GO_ON && s->n == 0)
		p = route_fail_no_address(s);
	return p;
}

static enum route_progress route_walk_mx_failed(struct route_search *s, struct str said)
{
	if (conf_bool(s->w.cfg->conf, CONF_ignore_mx_lookup_error)) {
		route_note_param(&s->w, STR("ignore-mx-lookup-error"), CONF_ignore_mx_lookup_error,
				 "the failure is ignored: the domain is taken for a host");
		return route_walk_host(s);
	}
	return route_fail(s, OUTCOME_DEFERRED, STATUS(4, 4, 3),
			  arena_fmt(s->w.a, "MX lookup of " STR_FMT " failed: " STR_FMT,
				    STR_ARG(s->name), STR_ARG(said)));
}

static enum route_progress route_walk_mx_none(struct route_search *s, const struct answer *answer)
{
	s->is_name_gone = answer->is_nxdomain;
	if (!s->is_name_gone || s->w.cfg->is_native_hosts) {
		route_note(&s->w, TRACE_RULE, STR("implicit-mx"),
			   "no MX record: the domain is its own host");
		return route_walk_host(s);
	}
	return route_fail(s, OUTCOME_BOUNCED, STATUS(5, 4, 4),
			  arena_fmt(s->w.a,
				    "Host or domain name not found: there is no domain " STR_FMT,
				    STR_ARG(s->name)));
}

static enum route_progress route_walk_mx(struct route_search *s)
{
	struct question q = { .kind = QUESTION_MX, .name = s->name };
	const struct answer *answer = route_know(&s->w, &q);

	if (!answer)
		return ROUTE_WAIT;
	struct str said = route_said(s, answer, route_mx_text(s->w.a, answer));
	route_note_answer(s, &q, answer, said);
	s->out->is_mx_asked = true;
	s->out->mx_dnssec = answer->dnssec;
	switch (answer->status) {
	case ANSWER_FOUND:
		return route_walk_mx_found(s, answer);
	case ANSWER_NONE:
		return route_walk_mx_none(s, answer);
	case ANSWER_FAILED:
		return route_walk_mx_failed(s, said);
	}
	CHECK(!"answer status");
	return ROUTE_OVER;
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
	route_add(s, &h);
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

static enum route_progress route_walk_hosts(struct route_search *s)
{
	struct str text = s->nh.text;

	if (s->protocol == ROUTE_LMTP && str_has_prefix(text, STR("unix:")))
		return route_walk_socket(s, str_from(text, 5));
	if (s->protocol == ROUTE_LMTP && str_has_prefix(text, STR("inet:")))
		text = str_from(text, 5);
	if (route_read_nexthop(s, text) == ROUTE_OVER)
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
