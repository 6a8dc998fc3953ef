/* The MX hosts of a domain: RFC 5321 section 5.1, RFC 7505. */

#include "mail/domain.h"
#include "route/order.h"
#include "route/search.h"

static struct str route_mx_text(struct arena *a, const struct answer *answer)
{
	struct str text = STR("");

	for (size_t i = 0; i < answer->n_mx && i < ROUTE_SAID_MAX; i++)
		text = arena_fmt(a, STR_FMT "%s%u " STR_FMT, STR_ARG(text), i ? ", " : "",
				 answer->mx[i].preference,
				 STR_ARG(answer->mx[i].host.n ? answer->mx[i].host : STR(".")));
	return route_said_more(a, text, answer->n_mx);
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

enum route_progress route_walk_mx(struct route_search *s)
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
