/* The walk over destinations, hosts and tries. As in Postfix, a host that cannot be used, or that
 * defers, hands what is left to the next one; the last word on each recipient stands when no host
 * is left. */

#include <stdlib.h>
#include <string.h>

#include "deliver/inside.h"
#include "deliver/reuse.h"

static void deliver_next_nexthop(struct deliver *d);

static void deliver_finish(struct deliver *d)
{
	d->result.facts = fact_list_set(d->facts);
	d->done(d->arg, &d->result); /* may free d */
}

void deliver_add_try(struct deliver *d, const struct route_host *c)
{
	if (d->result.n_tries == d->tries_room) {
		size_t room = d->tries_room ? d->tries_room * 2 : 1;
		struct deliver_try *more = ARENA_ARRAY(d->arena, room, struct deliver_try);
		if (d->result.n_tries > 0)
			memcpy(more, d->result.tries, d->result.n_tries * sizeof(*more));
		d->result.tries = more;
		d->tries_room = room;
	}
	d->try = &d->result.tries[d->result.n_tries++];
	*d->try = (struct deliver_try){
		.candidate = *c,
		.nexthop = d->nexthops[d->nexthop - 1],
		.subject = {
			.nexthop = route_table_key(d->result.protocol,
						   d->nexthops[d->nexthop - 1]),
			.host = c->host,
			.port = c->port,
			.has_tls_required_no = d->message.has_tls_required_no,
			.has_requiretls = d->message.has_requiretls,
			.has_null_sender = d->message.sender.n == 0,
			.is_lmtp = d->result.protocol == ROUTE_LMTP,
		},
	};
}

/* ---- the policy of a host ---- */

static size_t deliver_policy_step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct deliver *d = arg;

	d->policy = policy_step(d->arena, d->client->policy, &d->try->subject, facts);
	*asks = &d->policy.u.ask;
	return d->policy.kind == POLICY_ASK ? 1 : 0;
}

static void deliver_decided(struct deliver *d, const struct policy_decision *decision)
{
	struct deliver_try *t = d->try;

	t->decision = *decision;
	if (policy_decision_allows_host(&t->decision)) {
		deliver_find_login(d);
		return;
	}
	const struct policy_error *why =
		t->decision.error.status.class ? &t->decision.error : &t->decision.refusal;
	t->kind = DELIVER_TRY_SKIPPED;
	deliver_host_refused(d, why->status, why->reason);
	deliver_next_host(d);
}

static void deliver_policy_done(void *arg, const struct error *e)
{
	struct deliver *d = arg;
	struct deliver_try *t = d->try;

	ask_run_free(d->run);
	d->run = NULL;
	if (e) {
		t->kind = DELIVER_TRY_SKIPPED;
		deliver_host_trouble(d, OUTCOME_DEFERRED, STATUS(4, 3, 0),
				     arena_str(d->arena, error_text(e)));
		deliver_next_host(d);
		return;
	}
	deliver_cached_add(&d->cached, &t->subject);
	deliver_decided(d, &d->policy.u.decided);
}

/* Without asking when it was decided before; that is, with the tables as they are. */
static void deliver_decide(struct deliver *d)
{
	const struct policy_decision *known = deliver_cached_find(&d->cached, &d->try->subject);
	struct ask_stepper stepper = { deliver_policy_step, deliver_policy_done, d };

	if (known)
		deliver_decided(d, known);
	else
		d->run = ask_run_new(d->site->ask, &stepper, d->facts);
}

/* ---- hosts and destinations ---- */

static bool deliver_is_host_left(const struct deliver *d)
{
	bool is_limit_reached =
		d->hosts->session_limit > 0 && d->n_sessions >= d->hosts->session_limit;

	return d->candidate < d->hosts->n && !is_limit_reached;
}

/* Hosts that are as good as each other. */
static bool deliver_are_equal(const struct route_host *a, const struct route_host *b)
{
	return a->is_mx == b->is_mx && a->preference == b->preference;
}

/* The next in order; among equals one that there is a session with. */
static const struct route_host *deliver_pick(struct deliver *d)
{
	const struct route_host *v = d->hosts->v;
	size_t *order = d->order + d->candidate, first = order[0];
	size_t n = d->hosts->n - d->candidate;

	d->candidate++;
	if (!d->site->pool || deliver_pool_count(d->site->pool) == 0)
		return &v[first];
	for (size_t i = 0; i < n && deliver_are_equal(&v[order[i]], &v[first]); i++) {
		struct str place = deliver_reuse_place(d->arena, d->result.protocol, &v[order[i]]);
		if (!deliver_pool_has(d->site->pool, place))
			continue;
		order[0] = order[i];
		order[i] = first;
		break;
	}
	return &v[order[0]];
}

void deliver_next_host(struct deliver *d)
{
	if (deliver_n_pending(d) == 0) {
		deliver_finish(d);
		return;
	}
	if (!deliver_is_host_left(d)) {
		deliver_next_nexthop(d);
		return;
	}
	d->is_stale = false;
	deliver_add_try(d, deliver_pick(d));
	deliver_decide(d);
}

static size_t deliver_route_step(void *arg, struct fact_set facts, const struct question **asks)
{
	struct deliver *d = arg;

	d->route = route_hosts_step(d->arena, d->site->route, d->result.protocol,
				    d->nexthops[d->nexthop - 1], d->seed, facts);
	if (d->route.kind == ROUTE_HOSTS_DONE)
		return 0;
	*asks = d->route.u.ask.v;
	return d->route.u.ask.n;
}

static void deliver_route_done(void *arg, const struct error *e)
{
	struct deliver *d = arg;

	ask_run_free(d->run);
	d->run = NULL;
	d->try = NULL;
	if (e) {
		struct outcome o = {
			.kind = OUTCOME_DEFERRED,
			.status = STATUS(4, 3, 0),
			.reason = arena_str(d->arena, error_text(e)),
		};
		deliver_settle_unmet(d, &o);
		deliver_next_nexthop(d);
		return;
	}
	struct deliver_hosts *h = &d->result.hosts[d->result.n_hosts++];
	h->nexthop = d->nexthops[d->nexthop - 1];
	h->hosts = d->route.u.done;
	d->hosts = &h->hosts;
	d->candidate = 0;
	d->n_sessions = 0;
	d->order = ARENA_ARRAY(d->arena, h->hosts.n, size_t);
	for (size_t i = 0; i < h->hosts.n; i++)
		d->order[i] = i;
	if (h->hosts.is_last)
		d->n_nexthops = d->nexthop;
	if (h->hosts.n == 0 && h->hosts.failure.kind == OUTCOME_DEFERRED)
		deliver_settle_unmet(d, &h->hosts.failure);
	else if (h->hosts.n == 0)
		/* a bounce is the last word only at the last destination */
		deliver_settle_all(d, &h->hosts.failure,
				   h->hosts.failure.kind == OUTCOME_BOUNCED &&
					   d->nexthop == d->n_nexthops);
	deliver_next_host(d);
}

static void deliver_next_nexthop(struct deliver *d)
{
	if (d->nexthop == d->n_nexthops) {
		deliver_finish(d);
		return;
	}
	d->nexthop++;
	struct ask_stepper stepper = { deliver_route_step, deliver_route_done, d };
	d->run = ask_run_new(d->site->ask, &stepper, d->facts);
}

/* ---- from outside ---- */

const struct deliver_client *
deliver_client_of(const struct deliver_site *site, enum route_protocol protocol)
{
	return protocol == ROUTE_LMTP ? &site->lmtp : &site->smtp;
}

struct deliver *deliver_start(const struct deliver_site *site,
			      const struct deliver_message *message, const struct deliver_job *job,
			      deliver_done *done, void *arg)
{
	struct deliver *d = base_alloc(sizeof(*d));

	CHECK(job->n_rcpts > 0);
	d->site = site;
	d->client = deliver_client_of(site, job->protocol);
	d->message = *message;
	d->done = done;
	d->arg = arg;
	d->seed = job->seed;
	d->arena = arena_new();
	d->facts = fact_list_new(d->arena);
	deliver_cached_begin(&d->cached, site->ask, d->client, d->arena, d->facts);
	d->result.transport = job->transport;
	d->result.nexthop = job->nexthop;
	d->result.protocol = job->protocol;
	d->result.n_rcpts = job->n_rcpts;
	d->result.rcpts = ARENA_ARRAY(d->arena, job->n_rcpts, struct deliver_rcpt);
	d->pending = ARENA_ARRAY(d->arena, job->n_rcpts, struct pending);
	d->sent = ARENA_ARRAY(d->arena, job->n_rcpts, struct smtp_rcpt);
	d->sent_index = ARENA_ARRAY(d->arena, job->n_rcpts, size_t);
	for (size_t i = 0; i < job->n_rcpts; i++)
		d->result.rcpts[i].rcpt = job->rcpts[i];
	d->n_nexthops = route_nexthops(d->arena, job->nexthop, &d->nexthops);
	d->result.hosts = ARENA_ARRAY(d->arena, d->n_nexthops, struct deliver_hosts);
	deliver_next_nexthop(d);
	return d;
}

void deliver_free(struct deliver *d)
{
	if (!d)
		return;
	ask_run_free(d->run);
	session_free(d->session);
	deliver_forget_login(d);
	deliver_cached_end(&d->cached);
	arena_free(d->arena);
	free(d);
}
