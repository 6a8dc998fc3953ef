#include "cmd/explain.h"

#include "policy/compare.h"

static void put_login(struct json *j, const struct explain_host *h)
{
	const struct explain_login *l = &h->login;

	json_object(j);
	json_put_str(j, "host", h->subject.host);
	json_put_int(j, "port", h->subject.port);
	json_key(j, "key");
	json_str_or_null(j, l->key.n ? l->key : STR_NONE);
	json_key(j, "source");
	json_str_or_null(j, l->key.n ? l->source : STR_NONE);
	json_key(j, "file");
	json_str_or_null(j, l->file.n ? l->file : STR_NONE);
	json_put_int(j, "line", l->line);
	json_key(j, "error");
	json_str_or_null(j, l->error.n ? l->error : STR_NONE);
	json_object_end(j);
}

static void
put_destination(struct json *j, const struct explain *x, const struct explain_destination *d)
{
	json_object(j);
	json_put_str(j, "nexthop", d->nexthop);
	json_key(j, "lookup");
	if (d->is_looked_up && d->error.n == 0)
		route_hosts_json(j, &d->hosts);
	else
		json_null(j);
	json_key(j, "error");
	json_str_or_null(j, d->error.n ? d->error : STR_NONE);
	json_key(j, "decisions");
	json_array(j);
	for (size_t i = 0; i < d->n_hosts; i++) {
		const struct explain_host *h = &d->host[i];
		if (h->is_decided) {
			policy_decision_json(j, &h->decision);
			continue;
		}
		json_object(j);
		json_put_str(j, "host", h->subject.host);
		json_put_int(j, "port", h->subject.port);
		json_put_str(j, "not_decided", h->error);
		json_object_end(j);
	}
	json_array_end(j);
	json_key(j, "logins");
	json_array(j);
	for (size_t i = 0; i < d->n_hosts && x->asks_logins; i++)
		put_login(j, &d->host[i]);
	json_array_end(j);
	json_object_end(j);
}

/* What the decisions come to, over all destinations. */
struct summary {
	size_t hosts, usable;
	bool has_level[TLS_LEVEL_SECURE + 1]; /* of the usable ones */
};

static struct summary summary_of(const struct explain *x)
{
	struct summary s = { 0 };

	for (size_t i = 0; i < x->n_destinations; i++) {
		const struct explain_destination *d = &x->destinations[i];
		s.hosts += d->n_hosts;
		for (size_t k = 0; k < d->n_hosts; k++) {
			const struct explain_host *h = &d->host[k];
			if (!h->is_decided || !policy_decision_can_be_met(&h->decision))
				continue;
			s.usable++;
			s.has_level[h->decision.level] = true;
		}
	}
	return s;
}

static void put_result(struct json *j, const struct explain *x)
{
	struct summary s = summary_of(x);

	json_key(j, "result");
	json_object(j);
	json_put_int(j, "hosts", (int64_t)s.hosts);
	json_put_int(j, "usable", (int64_t)s.usable);
	json_key(j, "levels");
	json_array(j);
	for (size_t i = 0; i < ARRAY_LEN(s.has_level); i++)
		if (s.has_level[i])
			json_str(j, tls_level_name((enum tls_level)i));
	json_array_end(j);
	json_object_end(j);
}

void explain_json(struct json *j, const struct explain *x, int status)
{
	const struct explain_options *o = x->options;

	json_object(j);
	json_put_str(j, "schema", STR("hopseal.explain"));
	json_put_int(j, "version", 1);
	json_key(j, "input");
	json_object(j);
	json_key(j, "address");
	json_str_or_null(j, x->is_address ? o->subject : STR_NONE);
	json_key(j, "nexthop");
	json_str_or_null(j, x->is_address ? STR_NONE : o->subject);
	json_key(j, "host");
	json_str_or_null(j, str_of(o->host));
	json_put_bool(j, "lmtp", o->is_lmtp);
	json_put_bool(j, "tls_required_no", o->has_tls_required_no);
	json_put_bool(j, "requiretls", o->has_requiretls);
	json_object_end(j);
	json_put_str(j, "configuration", conf_fingerprint(x->site.conf));
	json_key(j, "route");
	if (x->is_address)
		route_json(j, &x->recipient.u.done);
	else
		json_null(j);
	json_key(j, "destinations");
	json_array(j);
	for (size_t i = 0; i < x->n_destinations; i++)
		put_destination(j, x, &x->destinations[i]);
	json_array_end(j);
	put_result(j, x);
	json_key(j, "facts");
	fact_set_json(j, fact_list_set(x->facts));
	json_put_int(j, "exit", status);
	json_object_end(j);
}

/* ---- for people ---- */

/* Where it goes, and room to put a line together in. */
struct report {
	struct page *page;
	struct buf line;
};

static bool put_line(struct report *r, size_t indent, enum page_style style)
{
	return page_words(r->page, STR(""), indent, indent + 2, style, buf_str(&r->line));
}

/* "(/etc/hopseal/transport:4)" after a trace's deciding line, when it stands in a file. */
static bool add_where(struct buf *out, const struct route_trace *t)
{
	if (t->deciding >= t->n)
		return true;
	const struct trace_step *s = &t->v[t->deciding];
	if (s->file.n > 0)
		return buf_fmt(out, " (" STR_FMT ":%u)", STR_ARG(s->file), s->line);
	return buf_add(out, STR(" (")) && trace_text_add(out, s) && buf_add_char(out, ')');
}

static bool put_route(struct report *p, const struct route *r)
{
	bool goes = r->kind == ROUTE_DELIVER;
	struct status s = r->outcome.status;
	bool fits;

	buf_reset(&p->line);
	if (goes)
		fits = buf_fmt(&p->line, STR_FMT " goes by " STR_FMT " to " STR_FMT,
			       STR_ARG(r->recipient), STR_ARG(r->transport), STR_ARG(r->nexthop));
	else
		fits = buf_fmt(&p->line, STR_FMT " is %s %u.%u.%u: " STR_FMT, STR_ARG(r->recipient),
			       r->kind == ROUTE_DISCARD ? "discarded"
							: outcome_kind_name(r->outcome.kind).p,
			       s.class, s.subject, s.detail, STR_ARG(r->outcome.reason));
	return fits && add_where(&p->line, &r->trace) &&
	       put_line(p, 0, r->kind == ROUTE_REFUSE ? PAGE_BAD : PAGE_PLAIN);
}

static bool put_candidate(struct report *r, const struct route_host *c)
{
	char text[NET_ENDPOINT_TEXT_MAX];
	struct net_endpoint to = { c->address, c->port };

	buf_reset(&r->line);
	return (!c->is_mx || buf_fmt(&r->line, "MX %u ", c->preference)) &&
	       buf_fmt(&r->line, STR_FMT " at " STR_FMT ", " STR_FMT, STR_ARG(c->host),
		       STR_ARG(net_endpoint_text(&to, text)),
		       STR_ARG(c->is_native ? STR("not from DNS")
					    : dnssec_status_name(c->dnssec))) &&
	       put_line(r, 2, PAGE_PLAIN);
}

static bool put_trouble(struct report *r, const char *what, struct str why)
{
	buf_reset(&r->line);
	return buf_fmt(&r->line, "%s: " STR_FMT, what, STR_ARG(why)) && put_line(r, 2, PAGE_BAD);
}

static bool put_lookup(struct report *r, const struct explain_destination *d)
{
	if (!d->is_looked_up) /* the decision names the next-hop */
		return true;
	buf_reset(&r->line);
	if (!buf_fmt(&r->line, "next-hop " STR_FMT, STR_ARG(d->nexthop)) ||
	    !put_line(r, 0, PAGE_STRONG))
		return false;
	if (d->error.n > 0)
		return put_trouble(r, "not looked up", d->error);
	if (d->hosts.n == 0)
		return put_trouble(r, "no host", d->hosts.failure.reason);
	for (size_t i = 0; i < d->hosts.n; i++)
		if (!put_candidate(r, &d->hosts.v[i]))
			return false;
	return true;
}

/* "1 of 2 hosts may be used, at level verify"; of one host its own lines say as much. */
static bool put_summary(struct report *r, const struct explain *x)
{
	struct summary s = summary_of(x);
	bool fits, is_first = true;

	if (s.hosts < 2)
		return true;
	buf_reset(&r->line);
	fits = buf_fmt(&r->line, "%zu of %zu hosts may be used", s.usable, s.hosts);
	for (size_t i = 0; i < ARRAY_LEN(s.has_level) && fits; i++) {
		if (!s.has_level[i])
			continue;
		fits = buf_fmt(&r->line, "%s" STR_FMT, is_first ? ", at level " : ", ",
			       STR_ARG(tls_level_name((enum tls_level)i)));
		is_first = false;
	}
	return fits && put_line(r, 0, s.usable == 0 ? PAGE_BAD : PAGE_PLAIN);
}

static bool put_host(struct report *r, const struct explain_host *h)
{
	if (h->is_decided)
		return policy_decision_text(r->page, &h->decision, &h->subject);
	buf_reset(&r->line);
	return buf_fmt(&r->line, STR_FMT ": not decided: " STR_FMT, STR_ARG(h->subject.host),
		       STR_ARG(h->error)) &&
	       put_line(r, 0, PAGE_BAD);
}

/* "login: [relay.example]:587 (/etc/hopseal/logins:3)" */
static bool put_login_text(struct report *r, const struct explain_login *l)
{
	bool fits;

	buf_reset(&r->line);
	if (l->error.n > 0)
		fits = buf_fmt(&r->line, "login: mail is deferred: " STR_FMT, STR_ARG(l->error));
	else if (l->key.n == 0)
		fits = buf_fmt(&r->line, "login: none");
	else if (l->file.n > 0 && l->line > 0)
		fits = buf_fmt(&r->line, "login: " STR_FMT " (" STR_FMT ":%u)", STR_ARG(l->key),
			       STR_ARG(l->file), l->line);
	else
		fits = buf_fmt(&r->line, "login: " STR_FMT " in " STR_FMT, STR_ARG(l->key),
			       STR_ARG(l->source));
	return fits && put_line(r, 2, l->error.n > 0 ? PAGE_BAD : PAGE_PLAIN);
}

static bool
put_text_of(struct report *r, const struct explain *x, const struct explain_destination *d)
{
	bool fits = put_lookup(r, d);

	for (size_t i = 0; i < d->n_hosts && fits; i++)
		fits = (buf_len(r->page->out) == 0 || buf_add_char(r->page->out, '\n')) &&
		       put_host(r, &d->host[i]) &&
		       (!x->asks_logins || put_login_text(r, &d->host[i].login));
	return fits;
}

bool explain_text(struct page *page, const struct explain *x)
{
	struct report r = { .page = page };
	bool fits;

	buf_init(&r.line, buf_room(page->out));
	fits = !x->is_address || put_route(&r, &x->recipient.u.done);
	fits = fits && put_summary(&r, x);
	for (size_t i = 0; i < x->n_destinations && fits; i++)
		fits = put_text_of(&r, x, &x->destinations[i]);
	buf_fini(&r.line);
	return fits;
}
