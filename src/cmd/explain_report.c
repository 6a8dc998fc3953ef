#include "cmd/explain.h"

#include <stdio.h>

static void put_destination(struct json *j, const struct explain_destination *d)
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
		put_destination(j, &x->destinations[i]);
	json_array_end(j);
	json_key(j, "facts");
	fact_set_json(j, fact_list_set(x->facts));
	json_put_int(j, "exit", status);
	json_object_end(j);
}

/* "(/etc/hopseal/transport:4)" after a trace's deciding line, when it stands in a file. */
static bool add_where(struct buf *out, const struct route_trace *t)
{
	if (t->deciding >= t->n)
		return buf_add_char(out, '\n');
	const struct trace_step *s = &t->v[t->deciding];
	if (s->file.n > 0)
		return buf_fmt(out, " (" STR_FMT ":%u)\n", STR_ARG(s->file), s->line);
	return buf_add(out, STR(" (")) && trace_text_add(out, s) && buf_add(out, STR(")\n"));
}

static bool add_route(struct buf *out, const struct route *r)
{
	char status[16];

	if (r->kind == ROUTE_DELIVER)
		return buf_fmt(out, STR_FMT " goes by " STR_FMT " to " STR_FMT,
			       STR_ARG(r->recipient), STR_ARG(r->transport), STR_ARG(r->nexthop)) &&
		       add_where(out, &r->trace);
	(void)snprintf(status, sizeof(status), "%u.%u.%u", r->outcome.status.class,
		       r->outcome.status.subject, r->outcome.status.detail);
	return buf_fmt(out, STR_FMT " is %s %s: " STR_FMT, STR_ARG(r->recipient),
		       r->kind == ROUTE_DISCARD ? "discarded"
						: outcome_kind_name(r->outcome.kind).p,
		       status, STR_ARG(r->outcome.reason)) &&
	       add_where(out, &r->trace);
}

static bool add_candidate(struct buf *out, const struct route_host *c)
{
	char text[NET_ENDPOINT_TEXT_MAX];
	struct net_endpoint to = { c->address, c->port };
	bool fits = buf_add(out, STR("  "));

	if (c->is_mx)
		fits = fits && buf_fmt(out, "MX %u ", c->preference);
	return fits &&
	       buf_fmt(out, STR_FMT " at " STR_FMT ", " STR_FMT "\n", STR_ARG(c->host),
		       STR_ARG(net_endpoint_text(&to, text)),
		       STR_ARG(c->is_native ? STR("not from DNS") : dnssec_status_name(c->dnssec)));
}

static bool add_lookup(struct buf *out, const struct explain_destination *d)
{
	if (!d->is_looked_up) /* the decision names the next-hop */
		return true;
	bool fits = buf_fmt(out, "next-hop " STR_FMT "\n", STR_ARG(d->nexthop));
	if (d->error.n > 0)
		return fits && buf_fmt(out, "  not looked up: " STR_FMT "\n", STR_ARG(d->error));
	if (d->hosts.n == 0)
		return fits &&
		       buf_fmt(out, "  no host: " STR_FMT "\n", STR_ARG(d->hosts.failure.reason));
	for (size_t i = 0; i < d->hosts.n && fits; i++)
		fits = add_candidate(out, &d->hosts.v[i]);
	return fits;
}

static bool add_destination(struct buf *out, const struct explain_destination *d)
{
	bool fits = add_lookup(out, d);

	for (size_t i = 0; i < d->n_hosts && fits; i++) {
		const struct explain_host *h = &d->host[i];
		fits = (buf_str(out).n == 0 || buf_add_char(out, '\n')) &&
		       (h->is_decided ? policy_decision_text(out, &h->decision, &h->subject)
				      : buf_fmt(out, STR_FMT ": not decided: " STR_FMT "\n",
						STR_ARG(h->subject.host), STR_ARG(h->error)));
	}
	return fits;
}

bool explain_text(struct buf *out, const struct explain *x)
{
	bool fits = !x->is_address || add_route(out, &x->recipient.u.done);

	for (size_t i = 0; i < x->n_destinations && fits; i++)
		fits = add_destination(out, &x->destinations[i]);
	return fits;
}
