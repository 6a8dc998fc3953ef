/* Routes as JSON, for `explain` and evidence. */

#include "route/route.h"

static void route_put(struct json *j, const char *key, struct str s)
{
	if (s.n)
		json_put_str(j, key, s);
}

static void route_put_outcome(struct json *j, const char *key, const struct outcome *o)
{
	struct arena *a = arena_new();

	json_key(j, key);
	json_object(j);
	json_put_str(j, "outcome", outcome_kind_name(o->kind));
	json_put_str(j, "status", status_text(a, o->status));
	json_put_str(j, "reason", o->reason);
	json_object_end(j);
	arena_free(a);
}

static void route_put_trace(struct json *j, const struct route_trace *t)
{
	json_key(j, "trace");
	trace_json(j, t->v, t->n);
}

static struct str route_kind_name(enum route_kind k)
{
	switch (k) {
	case ROUTE_DELIVER:
		return STR("deliver");
	case ROUTE_DISCARD:
		return STR("discard");
	case ROUTE_REFUSE:
		return STR("refuse");
	}
	CHECK(!"route kind");
	return STR_NONE;
}

void route_json(struct json *j, const struct route *r)
{
	json_object(j);
	json_put_str(j, "kind", route_kind_name(r->kind));
	json_put_str(j, "recipient", r->recipient);
	route_put(j, "domain", r->domain);
	route_put(j, "transport", r->transport);
	route_put(j, "nexthop", r->nexthop);
	if (r->kind != ROUTE_DELIVER)
		route_put_outcome(j, "result", &r->outcome);
	if (r->trace.n)
		json_put_int(j, "deciding", (int64_t)r->trace.deciding);
	route_put_trace(j, &r->trace);
	json_object_end(j);
}

static void route_put_host(struct json *j, const struct route_host *h)
{
	struct arena *a = arena_new();

	json_object(j);
	json_put_str(j, "host", h->host);
	if (!str_eq(h->name, h->host))
		json_put_str(j, "name", h->name);
	if (!str_eq(h->canonical, h->name))
		json_put_str(j, "canonical", h->canonical);
	if (h->socket.n)
		json_put_str(j, "socket", h->socket);
	else
		json_put_str(j, "address", address_text(a, &h->address));
	if (!h->socket.n)
		json_put_int(j, "port", h->port);
	if (h->is_mx)
		json_put_int(j, "preference", h->preference);
	if (h->is_native)
		json_put_bool(j, "native", true);
	json_put_str(j, "dnssec", dnssec_status_name(h->dnssec));
	json_object_end(j);
	arena_free(a);
}

void route_hosts_json(struct json *j, const struct route_hosts *h)
{
	json_object(j);
	route_put(j, "domain", h->domain);
	if (h->port)
		json_put_int(j, "port", h->port);
	if (h->is_mx_asked)
		json_put_str(j, "mx_dnssec", dnssec_status_name(h->mx_dnssec));
	if (h->n == 0)
		route_put_outcome(j, "failure", &h->failure);
	json_key(j, "hosts");
	json_array(j);
	for (size_t i = 0; i < h->n; i++)
		route_put_host(j, &h->v[i]);
	json_array_end(j);
	route_put_trace(j, &h->trace);
	json_object_end(j);
}
