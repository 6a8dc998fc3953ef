/* From a recipient to a transport with its next-hop: the class of its domain gives a default, the
 * transport tables may override it. transport(5), postconf(5). */

#include "mail/domain.h"
#include "mail/mailbox.h"
#include "mail/nexthop.h"
#include "route/local_part.h"
#include "route/walk.h"

struct route_recipient {
	struct str local;  /* without quotes and backslashes: how tables know it */
	struct str domain; /* as written, without a final dot */
	struct str folded; /* the domain for comparison with lists */
};

static enum route_progress
route_refuse(struct route *r, enum outcome_kind kind, struct status status, struct str reason)
{
	r->kind = ROUTE_REFUSE;
	r->outcome = route_outcome(kind, status, reason);
	return ROUTE_OVER;
}

static enum route_progress
route_refuse_syntax(struct route_walk *w, struct route *r, const char *problem)
{
	return route_refuse(r, OUTCOME_BOUNCED, STATUS(5, 1, 3),
			    arena_fmt(w->a, "bad recipient address syntax: %s", problem));
}

static enum route_progress
route_refuse_lookup(struct route_walk *w, struct route *r, enum conf_id id)
{
	return route_refuse(r, OUTCOME_DEFERRED, STATUS(4, 3, 0),
			    arena_fmt(w->a, "the lookup in " STR_FMT " failed: " STR_FMT,
				      STR_ARG(conf_name(id)),
				      STR_ARG(trace_text(w->a, &w->trace[w->n_trace - 1]))));
}

static enum route_progress
route_complete(struct route_walk *w, struct str local, struct route *r, struct str *domain)
{
	struct str origin = w->cfg->origin;

	if (!conf_bool(w->cfg->conf, CONF_append_at_myorigin))
		return route_refuse_syntax(w, r, "no domain, and append_at_myorigin = no");
	if (!origin.n)
		return route_refuse(
			r, OUTCOME_DEFERRED, STATUS(4, 3, 5),
			STR("no domain, and the file that myorigin names was not read"));
	route_note_param(w, STR("myorigin"), CONF_myorigin,
			 "the address has no domain: " STR_FMT " is taken", STR_ARG(origin));
	r->recipient = arena_fmt(w->a, STR_FMT "@" STR_FMT, STR_ARG(local), STR_ARG(origin));
	*domain = origin;
	return ROUTE_GO_ON;
}

static void
route_complete_host(struct route_walk *w, struct str local, struct route *r, struct str *domain)
{
	struct str mydomain = conf_str(w->cfg->conf, CONF_mydomain);

	if (str_contains(*domain, '.') || str_contains(*domain, '[') ||
	    !conf_bool(w->cfg->conf, CONF_append_dot_mydomain))
		return;
	*domain = arena_fmt(w->a, STR_FMT "." STR_FMT, STR_ARG(*domain), STR_ARG(mydomain));
	r->recipient = arena_fmt(w->a, STR_FMT "@" STR_FMT, STR_ARG(local), STR_ARG(*domain));
	route_note_param(w, STR("mydomain"), CONF_mydomain,
			 "the domain has no dot: " STR_FMT " is taken", STR_ARG(*domain));
}

static bool route_is_domain(const struct route_walk *w, struct str domain)
{
	struct nexthop nh;

	if (str_has_prefix(domain, STR("[")))
		return nexthop_parse(domain, 25, w->cfg->is_utf8, &nh) == NEXTHOP_OK &&
		       nh.is_address && !nh.service.n;
	return domain_is_hostname_utf8(domain, w->cfg->is_utf8);
}

static enum route_progress
route_read(struct route_walk *w, struct route_recipient *rcpt, struct route *r)
{
	struct mailbox box;

	if (!mailbox_parse(r->recipient, &box) || !box.local.n)
		return route_refuse_syntax(w, r, "not a mailbox");
	struct str domain = box.domain;
	if (!domain.n && route_complete(w, box.local, r, &domain) == ROUTE_OVER)
		return ROUTE_OVER;
	if (str_has_suffix(domain, STR(".")))
		domain.n--;
	route_complete_host(w, box.local, r, &domain);
	r->domain = domain;
	if (!route_is_domain(w, domain))
		return route_refuse_syntax(w, r,
					   "the domain is not a host name or address literal");
	*rcpt = (struct route_recipient){
		.local = mailbox_dequote(w->a, box.local),
		.domain = domain,
		.folded = domain_fold(w->a, domain),
	};
	return ROUTE_GO_ON;
}

/* "transport" or "transport:nexthop", from a parameter. */
static void route_take_param(struct route_walk *w, struct route *r, enum conf_id id)
{
	struct str value = conf_str(w->cfg->conf, id);
	struct str transport = value, nexthop = STR_NONE;

	if (str_cut(value, ':', &transport, &nexthop) && nexthop.n) {
		r->nexthop = nexthop;
		route_note_param(w, conf_name(id), id, "the next-hop is that of " STR_FMT,
				 STR_ARG(conf_name(id)));
		route_decided(w);
	}
	r->transport = transport;
}

static void route_take_default(struct route_walk *w, struct route *r, enum conf_id id)
{
	struct str relayhost = conf_str(w->cfg->conf, CONF_relayhost);

	route_note_param(w, conf_name(id), id, "transport " STR_FMT,
			 STR_ARG(conf_str(w->cfg->conf, id)));
	route_decided(w);
	r->nexthop = relayhost.n ? relayhost : r->domain;
	if (relayhost.n) {
		route_note_param(w, STR("relayhost"), CONF_relayhost, "next-hop " STR_FMT,
				 STR_ARG(relayhost));
		route_decided(w);
	}
	route_take_param(w, r, id);
}

static bool route_is_own_literal(const struct route_walk *w, struct str domain)
{
	struct nexthop nh;
	struct address addr;

	if (nexthop_parse(domain, 25, false, &nh) != NEXTHOP_OK || !nh.is_bracketed ||
	    !nh.is_address || !address_parse(nh.domain, &addr))
		return false;
	for (size_t i = 0; i < w->cfg->n_own; i++)
		if (address_eq(&w->cfg->own[i], &addr))
			return true;
	return false;
}

static enum route_match route_is_local(struct route_walk *w, struct str domain, struct str folded)
{
	if (route_is_own_literal(w, domain))
		return ROUTE_MATCH_YES;
	return route_list_match(w, &w->cfg->local_domains, folded);
}

struct route_own_step route_own_step(struct arena *a, const struct route_config *cfg,
				     struct str domain, struct fact_set facts)
{
	struct route_walk w = route_walk_new(a, cfg, facts);
	struct route_own_step step = { .kind = ROUTE_OWN_YES };
	struct str folded = domain_fold(a, domain);

	if (str_eq(folded, domain_fold(a, cfg->origin)))
		return step;
	switch (route_is_local(&w, domain, folded)) {
	case ROUTE_MATCH_NO:
		step.kind = ROUTE_OWN_NO;
		break;
	case ROUTE_MATCH_YES:
		break;
	case ROUTE_MATCH_WAIT:
		step.kind = ROUTE_OWN_ASK;
		step.ask = route_walk_asks(&w);
		break;
	case ROUTE_MATCH_FAILED:
		step.kind = ROUTE_OWN_FAILED;
		break;
	}
	return step;
}

static void route_take_local(struct route_walk *w, struct route *r)
{
	route_note_param(w, STR("mydestination"), CONF_mydestination,
			 STR_FMT " is a domain of this machine: local_transport applies",
			 STR_ARG(r->domain));
	route_decided(w);
	r->nexthop = r->domain;
	route_take_param(w, r, CONF_local_transport);
}

/* By the class of the domain: local, relayed, other. */
static enum route_progress
route_by_class(struct route_walk *w, const struct route_recipient *rcpt, struct route *r)
{
	enum route_match m = route_is_local(w, rcpt->domain, rcpt->folded);

	if (m == ROUTE_MATCH_YES) {
		route_take_local(w, r);
		return ROUTE_GO_ON;
	}
	if (m == ROUTE_MATCH_FAILED)
		return route_refuse_lookup(w, r, CONF_mydestination);
	if (m == ROUTE_MATCH_NO)
		m = route_list_match(w, &w->cfg->relay_domains, rcpt->folded);
	if (m == ROUTE_MATCH_FAILED)
		return route_refuse_lookup(w, r, CONF_relay_domains);
	if (m == ROUTE_MATCH_WAIT)
		return ROUTE_WAIT;
	route_take_default(w, r,
			   m == ROUTE_MATCH_YES ? CONF_relay_transport : CONF_default_transport);
	return ROUTE_GO_ON;
}

/* What a table entry says; transport(5), RESULT FORMAT. ":" alone changes nothing, and a
 * transport without next-hop takes the recipient's domain back, also over a relayhost. */
static void route_take_entry(struct route *r, struct str value)
{
	struct str transport, nexthop;

	if (!str_cut(value, ':', &transport, &nexthop)) {
		transport = value;
		nexthop = STR_NONE;
	}
	if (transport.n) {
		r->transport = transport;
		r->nexthop = r->domain;
		if (str_eq(transport, STR("error")) || str_eq(transport, STR("retry")))
			r->nexthop = STR("the address is undeliverable");
	}
	if (nexthop.n)
		r->nexthop = nexthop;
}

static enum route_progress route_try_key(struct route_walk *w, struct route *r, struct str key,
					 bool is_partial, bool *is_found)
{
	struct question q = { QUESTION_TABLE, conf_name(CONF_transport_maps), key, is_partial };
	const struct answer *answer = route_know(w, &q);

	*is_found = false;
	if (!answer)
		return ROUTE_WAIT;
	route_note_table(w, STR("transport-maps"), &q, answer);
	if (answer->status == ANSWER_FAILED)
		return route_refuse_lookup(w, r, CONF_transport_maps);
	if (answer->status == ANSWER_FOUND) {
		*is_found = true;
		route_decided(w);
		route_take_entry(r, answer->value);
	}
	return ROUTE_GO_ON;
}

/* Both ways to write a local part: quoted where it must be, and bare as older tables have it. */
static enum route_progress route_try_local(struct route_walk *w, struct route *r,
					   const struct route_recipient *rcpt, struct str local,
					   bool *is_found)
{
	struct str forms[] = { route_quote(w->a, local), local };
	bool is_partial = local.n < rcpt->local.n;
	enum route_progress p = ROUTE_GO_ON;

	*is_found = false;
	for (size_t i = 0; i < 2 && p == ROUTE_GO_ON && !*is_found; i++) {
		if (i == 1 && str_eq(forms[0], forms[1]))
			break;
		p = route_try_key(w, r,
				  arena_fmt(w->a, STR_FMT "@" STR_FMT, STR_ARG(forms[i]),
					    STR_ARG(rcpt->domain)),
				  is_partial, is_found);
	}
	return p;
}

static enum route_progress route_try_address(struct route_walk *w, struct route *r,
					     const struct route_recipient *rcpt, bool *is_found)
{
	struct str delimiters = conf_str(w->cfg->conf, CONF_recipient_delimiter), base;
	enum route_progress p = route_try_local(w, r, rcpt, rcpt->local, is_found);

	if (p != ROUTE_GO_ON || *is_found ||
	    !mailbox_strip_extension(rcpt->local, delimiters, &base))
		return p;
	return route_try_local(w, r, rcpt, base, is_found);
}

/* The domain, then each parent: ".example.com", or "example.com" when transport_maps is listed in
 * parent_domain_matches_subdomains. */
static enum route_progress
route_try_domains(struct route_walk *w, struct route *r, struct str key, bool *is_found)
{
	size_t dot;

	for (;;) {
		enum route_progress p = route_try_key(w, r, key, true, is_found);
		if (p != ROUTE_GO_ON || *is_found || !str_find(str_from(key, 1), '.', &dot))
			return p;
		key = str_from(key, dot + 1 + (w->cfg->is_transport_parent ? 1 : 0));
	}
}

static enum route_progress
route_by_table(struct route_walk *w, const struct route_recipient *rcpt, struct route *r)
{
	bool is_found;

	if (!w->cfg->has_transport_maps)
		return ROUTE_GO_ON;
	enum route_progress p = route_try_address(w, r, rcpt, &is_found);
	if (p == ROUTE_GO_ON && !is_found)
		p = route_try_domains(w, r, rcpt->domain, &is_found);
	if (p == ROUTE_GO_ON && !is_found)
		p = route_try_key(w, r, STR("*"), false, &is_found);
	return p;
}

/* "error:5.1.1 text", "retry:4.3.0 text": the status may be left out. error(8). */
static void route_take_error(struct route *r, enum outcome_kind kind, uint8_t class)
{
	struct str text = r->nexthop;
	struct status status = STATUS(class, 0, 0);
	int first = text.n && ascii_is_digit(text.p[0]) ? text.p[0] - '0' : 0;

	if (str_eq(text, r->domain)) /* a parameter that names no next-hop */
		text = STR("");
	if (!status_parse(text, first * 100, &status, &text))
		text = str_trim(text);
	status.class = class;
	route_refuse(r, kind, status, text.n ? text : STR("the address is undeliverable"));
}

static void route_refuse_transport(struct route_walk *w, struct route *r)
{
	const struct trace_step *by = &w->trace[w->deciding];
	struct str at = by->file.n && by->line
				? arena_fmt(w->a, " (" STR_FMT ":%u)", STR_ARG(by->file), by->line)
				: STR("");

	route_note(w, TRACE_WARNING, STR("transport-unsupported"),
		   "Hopseal delivers by smtp, relay and lmtp, and knows discard, error and retry");
	route_refuse(r, OUTCOME_DEFERRED, STATUS(4, 3, 5),
		     arena_fmt(w->a, "transport \"" STR_FMT "\" is not supported; " STR_FMT STR_FMT,
			       STR_ARG(r->transport), STR_ARG(trace_text(w->a, by)), STR_ARG(at)));
}

/* What the transport's name makes of the next-hop. */
static void route_finish(struct route_walk *w, struct route *r)
{
	struct str t = r->transport;

	if (str_eq(t, STR("smtp")) || str_eq(t, STR("relay"))) {
		r->kind = ROUTE_DELIVER;
	} else if (str_eq(t, STR("lmtp"))) {
		r->kind = ROUTE_DELIVER;
		r->protocol = ROUTE_LMTP;
	} else if (str_eq(t, STR("discard"))) {
		r->kind = ROUTE_DISCARD;
		r->outcome = route_outcome(OUTCOME_DELIVERED, STATUS(2, 0, 0),
					   STR("discarded, as the configuration says"));
	} else if (str_eq(t, STR("error"))) {
		route_take_error(r, OUTCOME_BOUNCED, 5);
	} else if (str_eq(t, STR("retry"))) {
		route_take_error(r, OUTCOME_DEFERRED, 4);
	} else {
		route_refuse_transport(w, r);
	}
}

static enum route_progress route_walk_recipient(struct route_walk *w, struct route *r)
{
	struct route_recipient rcpt;
	enum route_progress p = route_read(w, &rcpt, r);

	if (p == ROUTE_GO_ON)
		p = route_by_class(w, &rcpt, r);
	if (p == ROUTE_GO_ON)
		p = route_by_table(w, &rcpt, r);
	if (p == ROUTE_GO_ON)
		route_finish(w, r);
	return p;
}

struct route_step route_recipient_step(struct arena *a, const struct route_config *cfg,
				       struct str recipient, struct fact_set facts)
{
	struct route_walk w = route_walk_new(a, cfg, facts);
	struct route r = { .recipient = recipient };
	struct route_step step = { .kind = ROUTE_DONE };

	if (route_walk_recipient(&w, &r) == ROUTE_WAIT) {
		step.kind = ROUTE_ASK;
		step.u.ask = route_walk_asks(&w);
		return step;
	}
	r.trace = route_walk_trace(&w);
	step.u.done = r;
	return step;
}

size_t route_nexthops(struct arena *a, struct str nexthop, const struct str **out)
{
	struct str *v = ARENA_ARRAY(a, nexthop.n / 2 + 1, struct str);
	struct str rest = nexthop;
	size_t n = 0;

	while (str_token(&rest, STR(", \t\r\n"), &v[n]))
		n++;
	if (n == 0)
		v[n++] = nexthop;
	*out = v;
	return n;
}
