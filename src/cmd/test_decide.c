/* What a configuration makes of a case: the steppers of delivery, answered from the facts of the
 * case and the tables of the configuration, and by nobody else. */

#include "base/limits.h"
#include "cmd/test_inside.h"
#include "json/facts.h"
#include "mail/nexthop.h"
#include "tls/tls.h"

struct decider {
	struct arena *arena;
	struct test_setup *setup;
	const struct test_case *c;
	struct fact_list *facts;
	size_t n_asked;
	enum route_protocol protocol;
	struct test_results results;
	size_t room;
};

static void decider_fail(struct decider *d, struct str why)
{
	if (d->results.error.n == 0)
		d->results.error = why;
}

static struct test_result *decider_add(struct decider *d)
{
	if (d->results.n == d->room) {
		size_t room = d->room ? d->room * 2 : 4;
		struct test_result *v = ARENA_ARRAY(d->arena, room, struct test_result);
		for (size_t i = 0; i < d->results.n; i++)
			v[i] = d->results.v[i];
		d->results.v = v;
		d->room = room;
	}
	struct test_result *r = &d->results.v[d->results.n++];
	*r = (struct test_result){ .fatal = STR(""), .because = STR(""), .file = STR("") };
	return r;
}

static void refuse(struct decider *d, const char *fatal, struct str nexthop, struct str why)
{
	struct test_result *r = decider_add(d);

	r->fatal = str_of(fatal);
	r->nexthop = nexthop;
	r->because = why;
}

static void take_step(struct decider *d, struct test_result *r, const struct trace_step *s)
{
	r->because = trace_text(d->arena, s);
	r->file = s->file;
	r->line = s->line;
}

static void not_routed(struct decider *d, struct str nexthop, const struct outcome *o,
		       const struct route_trace *t)
{
	struct test_result *r = decider_add(d);

	r->nexthop = nexthop;
	r->status = o->status;
	if (t->deciding < t->n)
		take_step(d, r, &t->v[t->deciding]);
	if (o->reason.n > 0)
		r->because = o->reason;
}

/* ---- questions ---- */

static void decider_lack(struct decider *d, const struct question *q)
{
	struct str kind = q->kind == QUESTION_TABLE ? q->table : question_kind_name(q->kind);

	decider_fail(d, arena_fmt(d->arena, "no fact answers: " STR_FMT " of \"" STR_FMT "\"",
				  STR_ARG(kind), STR_ARG(q->name)));
}

static bool decider_ask_table(struct decider *d, const struct question *q)
{
	/* at time 0 a table never looks whether its file has changed */
	struct table_query query = {
		.arena = d->arena,
		.key = q->name,
		.is_partial = q->is_partial,
	};
	struct answer answer;
	struct table_lookup *l = tables_lookup(d->setup->tables, q->table, &query, &answer);

	if (l) { /* it is in the network */
		table_lookup_cancel(l);
		return false;
	}
	fact_list_add(d->facts, q, &answer);
	return true;
}

/* A file of this machine, as tables are. */
static bool decider_ask_anchors(struct decider *d, const struct question *q)
{
	struct answer answer = { .status = ANSWER_FAILED };
	struct error e = { 0 };
	size_t n;

	if (tls_trust_anchors_count(q->name, &n, &e)) {
		answer.status = ANSWER_FOUND;
		answer.value = arena_fmt(d->arena, "%zu", n);
	} else {
		answer.failure = arena_str(d->arena, error_text(&e));
	}
	fact_list_add(d->facts, q, &answer);
	return true;
}

/* False: only facts could tell. */
static bool decider_ask_one(struct decider *d, const struct question *q)
{
	switch (q->kind) {
	case QUESTION_TABLE:
		return decider_ask_table(d, q);
	case QUESTION_TRUST_ANCHORS:
		return decider_ask_anchors(d, q);
	case QUESTION_MX:
	case QUESTION_ADDRESS:
	case QUESTION_NATIVE:
	case QUESTION_POINTER:
		return false;
	}
	CHECK(!"question kind");
}

static bool decider_ask(struct decider *d, const struct question *q, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (d->n_asked++ == ASK_RUN_MAX) {
			decider_fail(d, STR("there is no end of questions"));
			return false;
		}
		if (!decider_ask_one(d, &q[i])) {
			decider_lack(d, &q[i]);
			return false;
		}
	}
	return true;
}

/* ---- steps ---- */

static void decide_host(struct decider *d, struct str nexthop, struct str host, uint16_t port)
{
	const struct policy_subject subject = {
		.nexthop = route_table_key(d->protocol, nexthop),
		.host = host,
		.port = port,
		.has_tls_required_no = d->c->has_tls_required_no,
		.has_requiretls = d->c->has_requiretls,
		.is_lmtp = d->protocol == ROUTE_LMTP,
	};
	const struct policy_config *policy =
		subject.is_lmtp ? d->setup->lmtp_policy : d->setup->policy;
	struct policy_step step;

	do {
		step = policy_step(d->arena, policy, &subject, fact_list_set(d->facts));
		if (step.kind == POLICY_ASK && !decider_ask(d, &step.u.ask, 1))
			return;
	} while (step.kind == POLICY_ASK);

	struct policy_decision *kept = ARENA_NEW(d->arena, struct policy_decision);
	*kept = step.u.decided;
	struct test_result *r = decider_add(d);
	r->decision = kept;
	r->nexthop = nexthop;
	r->port = port;
	if (kept->deciding < kept->n_trace)
		take_step(d, r, &kept->trace[kept->deciding]);
}

static void decide_named_host(struct decider *d, struct str nexthop)
{
	bool is_utf8 = conf_bool(d->setup->conf, CONF_smtputf8_enable);
	struct nexthop n;

	if (nexthop_parse(route_table_key(d->protocol, nexthop), 25, is_utf8, &n) == NEXTHOP_OK)
		decide_host(d, nexthop, d->c->host, d->c->port ? d->c->port : n.port);
	else
		refuse(d, "nexthop", nexthop,
		       arena_fmt(d->arena, "next-hop \"" STR_FMT "\": " STR_FMT, STR_ARG(nexthop),
				 STR_ARG(n.problem)));
}

static bool is_known(const struct route_hosts *h, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (str_ieq_ascii(h->v[k].host, h->v[i].host) && h->v[k].port == h->v[i].port)
			return true;
	return false;
}

static void decide_hosts(struct decider *d, struct str nexthop)
{
	struct route_hosts_step step;

	do {
		step = route_hosts_step(d->arena, d->setup->route, d->protocol, nexthop, 0,
					fact_list_set(d->facts));
		if (step.kind == ROUTE_HOSTS_ASK && !decider_ask(d, step.u.ask.v, step.u.ask.n))
			return;
	} while (step.kind == ROUTE_HOSTS_ASK);

	const struct route_hosts *h = &step.u.done;
	if (h->n == 0)
		not_routed(d, nexthop, &h->failure, &h->trace);
	for (size_t i = 0; i < h->n; i++) /* a host with several addresses counts once */
		if (!is_known(h, i))
			decide_host(d, nexthop, h->v[i].host, h->v[i].port);
}

static void decide_nexthop(struct decider *d, struct str text)
{
	const struct str *each;
	struct error e = { 0 };
	size_t n;

	if (d->c->host.n > 0 || text.n == 0) {
		decide_named_host(d, text);
		return;
	}
	if (!test_setup_route(d->setup, &e)) {
		decider_fail(d, arena_str(d->arena, error_text(&e)));
		return;
	}
	n = route_nexthops(d->arena, text, &each);
	for (size_t i = 0; i < n && d->results.error.n == 0; i++)
		decide_hosts(d, each[i]);
}

static void decide_address(struct decider *d)
{
	struct error e = { 0 };
	struct route_step step;

	if (!test_setup_route(d->setup, &e)) {
		decider_fail(d, arena_str(d->arena, error_text(&e)));
		return;
	}
	do {
		step = route_recipient_step(d->arena, d->setup->route, d->c->address,
					    fact_list_set(d->facts));
		if (step.kind == ROUTE_ASK && !decider_ask(d, step.u.ask.v, step.u.ask.n))
			return;
	} while (step.kind == ROUTE_ASK);

	const struct route *r = &step.u.done;
	d->protocol = r->protocol;
	if (r->kind == ROUTE_DELIVER)
		decide_nexthop(d, r->nexthop);
	else
		not_routed(d, r->nexthop, &r->outcome, &r->trace);
}

struct test_results test_decide(struct arena *a, struct test_setup *s, const struct test_case *c)
{
	struct decider d = {
		.arena = a,
		.setup = s,
		.c = c,
		.facts = fact_list_new(a),
		.protocol = ROUTE_SMTP,
		.results = { .error = STR("") },
	};
	struct error e = { 0 };

	if (c->facts && !facts_read_array(c->facts, d.facts, &e))
		decider_fail(&d, arena_fmt(a, "facts%s", e.text));
	else if (s->refusal.n > 0)
		refuse(&d, "startup", STR(""), s->refusal);
	else if (c->address.n > 0)
		decide_address(&d);
	else
		decide_nexthop(&d, c->nexthop);
	return d.results;
}
