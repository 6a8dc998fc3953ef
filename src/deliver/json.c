#include "deliver/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which members of a try. */
enum { SHARED = 1, OWN = 2, ALL = SHARED | OWN };

static void put_status(struct json *j, struct status s)
{
	char text[16];
	struct str t = STR_NONE;

	if (s.class != 0) {
		int n = snprintf(text, sizeof(text), "%u.%u.%u", s.class, s.subject, s.detail);
		t = str_span(text, (size_t)n);
	}
	json_key(j, "status");
	json_str_or_null(j, t);
}

static void put_str_or_null(struct json *j, const char *key, struct str s)
{
	json_key(j, key);
	json_str_or_null(j, s.n > 0 ? s : STR_NONE);
}

static void put_reply(struct json *j, const struct smtp_reply *r)
{
	json_key(j, "reply");
	if (r->code == 0) {
		json_null(j);
		return;
	}
	json_object(j);
	json_put_int(j, "code", r->code);
	put_status(j, r->status);
	json_put_str(j, "text", r->text);
	json_object_end(j);
}

void deliver_outcome_json(struct json *j, const struct outcome *o)
{
	json_put_str(j, "outcome", outcome_kind_name(o->kind));
	put_status(j, o->status);
	json_put_str(j, "reason", o->reason);
	put_str_or_null(j, "remote_host", o->remote_host);
	put_reply(j, &o->reply);
}

static void put_extensions(struct json *j, unsigned bits)
{
	json_key(j, "extensions");
	json_array(j);
	for (unsigned bit = 1; bit <= SMTP_EXT_GARBLED; bit <<= 1)
		if (bits & bit && bit != SMTP_EXT_EHLO) /* all others come with it */
			json_str(j, smtp_extension_name((enum smtp_extension)bit));
	json_array_end(j);
}

static void put_transcript(struct json *j, struct str transcript)
{
	struct str line;

	json_key(j, "transcript");
	json_array(j);
	while (str_token(&transcript, STR("\n"), &line))
		json_str(j, line);
	json_array_end(j);
}

static void put_times(struct json *j, const struct session_times *t)
{
	json_key(j, "timings_ms");
	json_object(j);
	json_put_int(j, "connect", (int64_t)t->connect_ms);
	json_put_int(j, "greeting", (int64_t)t->greeting_ms);
	json_put_int(j, "tls", (int64_t)t->tls_ms);
	json_put_int(j, "total", (int64_t)t->total_ms);
	json_object_end(j);
}

static struct str try_kind_name(enum deliver_try_kind kind)
{
	switch (kind) {
	case DELIVER_TRY_SKIPPED:
		return STR("skipped");
	case DELIVER_TRY_CONNECT:
		return STR("not-connected");
	case DELIVER_TRY_SESSION:
		return STR("session");
	}
	CHECK(!"a try of no kind");
}

static void put_int_or_null(struct json *j, const char *key, bool has, size_t value)
{
	json_key(j, key);
	if (has)
		json_int(j, (int64_t)value);
	else
		json_null(j);
}

static void put_candidate(struct json *j, const struct route_host *c)
{
	char text[NET_ENDPOINT_TEXT_MAX];
	struct net_endpoint to = { c->address, c->port };

	json_put_str(j, "host", c->host);
	json_put_str(j, "endpoint", net_endpoint_text(&to, text));
	put_int_or_null(j, "preference", c->is_mx, c->preference);
	json_put_str(j, "dnssec", dnssec_status_name(c->dnssec));
}

static void put_login(struct json *j, const struct deliver_login *l)
{
	json_key(j, "login");
	if (l->key.n == 0) {
		json_null(j);
		return;
	}
	json_object(j);
	json_put_str(j, "key", l->key);
	json_put_str(j, "source", l->source);
	put_str_or_null(j, "file", l->file);
	json_put_int(j, "line", l->line);
	put_str_or_null(j, "mechanism", l->mechanism);
	json_object_end(j);
}

static void put_session(struct json *j, const struct deliver_try *t)
{
	put_login(j, &t->login);
	json_put_bool(j, "reused", t->is_reused);
	json_put_int(j, "use_count", t->use_count);
	put_transcript(j, t->transcript);
	put_times(j, &t->times);
}

static void put_judged(struct json *j, const struct deliver_try *t)
{
	json_put_bool(j, "plaintext_retry", t->is_plaintext_retry);
	json_key(j, "decision");
	policy_decision_json(j, &t->decision);
	if (t->kind != DELIVER_TRY_SESSION)
		return;
	put_str_or_null(j, "greeting", t->greeting);
	put_extensions(j, t->extensions);
	json_key(j, "peer");
	tls_peer_json(j, &t->peer);
	json_key(j, "judgement");
	if (t->is_judged)
		policy_judgement_json(j, &t->judgement);
	else
		json_null(j);
}

static void put_trouble(struct json *j, const struct deliver_try *t)
{
	json_key(j, "trouble");
	if (t->trouble.reason.n > 0) {
		json_object(j);
		deliver_outcome_json(j, &t->trouble);
		json_object_end(j);
	} else {
		json_null(j);
	}
}

static void put_try(struct json *j, const struct deliver_try *t, unsigned members)
{
	json_object(j);
	if (members & SHARED) {
		json_put_str(j, "kind", try_kind_name(t->kind));
		json_put_str(j, "nexthop", t->nexthop);
		put_candidate(j, &t->candidate);
	}
	if (members & OWN)
		json_put_bool(j, "fate_unknown", t->is_fate_unknown);
	if (members & SHARED)
		put_judged(j, t);
	if (members & OWN && t->kind == DELIVER_TRY_SESSION)
		put_session(j, t);
	if (members & OWN)
		put_trouble(j, t);
	json_object_end(j);
}

static void put_tries(struct json *j, const struct deliver_result *d, unsigned members)
{
	json_key(j, "tries");
	json_array(j);
	for (size_t i = 0; i < d->n_tries; i++)
		put_try(j, &d->tries[i], members);
	json_array_end(j);
}

static void put_job(struct json *j, const struct deliver_result *d)
{
	json_put_str(j, "transport", d->transport);
	json_put_str(j, "nexthop", d->nexthop);
	json_put_str(j, "protocol", d->protocol == ROUTE_LMTP ? STR("lmtp") : STR("smtp"));
}

void deliver_result_json(struct json *j, const struct deliver_result *d)
{
	json_object(j);
	put_job(j, d);
	json_key(j, "hosts");
	json_array(j);
	for (size_t i = 0; i < d->n_hosts; i++)
		route_hosts_json(j, &d->hosts[i].hosts);
	json_array_end(j);
	put_tries(j, d, ALL);
	json_key(j, "facts");
	fact_set_json(j, d->facts);
	json_object_end(j);
}

/* ---- in two ---- */

static int by_place(const void *a, const void *b)
{
	const struct route_host *x = a, *y = b;
	int order = x->preference - y->preference;

	if (order == 0)
		order = str_cmp(x->host, y->host);
	if (order == 0)
		order = (int)x->address.family - (int)y->address.family;
	if (order == 0)
		order = memcmp(x->address.octets, y->address.octets, sizeof(x->address.octets));
	return order;
}

/* The tries show in which order equals were taken. */
static void put_hosts_sorted(struct json *j, const struct route_hosts *h)
{
	struct route_hosts sorted = *h;
	struct route_host *v = base_alloc((h->n + 1) * sizeof(*v));

	for (size_t i = 0; i < h->n; i++)
		v[i] = h->v[i];
	qsort(v, h->n, sizeof(*v), by_place);
	sorted.v = v;
	route_hosts_json(j, &sorted);
	free(v);
}

static void put_lasting_fact(struct json *j, const struct fact *f)
{
	struct fact lasting = *f;

	lasting.answer.ttl = 0;
	for (size_t i = 0; i < ARRAY_LEN(lasting.answer.family); i++)
		lasting.answer.family[i].ttl = 0;
	fact_json(j, &lasting);
}

void deliver_ground_json(struct json *j, const struct deliver_result *d)
{
	json_object(j);
	put_job(j, d);
	json_key(j, "hosts");
	json_array(j);
	for (size_t i = 0; i < d->n_hosts; i++)
		put_hosts_sorted(j, &d->hosts[i].hosts);
	json_array_end(j);
	put_tries(j, d, SHARED);
	json_key(j, "facts");
	json_array(j);
	for (size_t i = 0; i < d->facts.n; i++)
		put_lasting_fact(j, &d->facts.v[i]);
	json_array_end(j);
	json_object_end(j);
}

void deliver_own_json(struct json *j, const struct deliver_result *d)
{
	put_tries(j, d, OWN);
}
