/* One attempt at some recipients of a message for a destination: routed once more when the store
 * had them, delivered, recorded. */

#include <stdlib.h>

#include "os/os.h"
#include "queue/attempt.h"

/* ---- the end ---- */

static void attempt_free(struct queue_attempt *a)
{
	struct queue *q = a->queue;
	struct queue_part *part = a->part;

	for (unsigned i = 0; i < a->n; i++)
		queue_route_free(a->rcpts[i].route);
	deliver_free(a->delivery);
	content_free(a->content);
	store_ground_unref(a->ground);
	net_timer_free(a->retry);
	if (a->claim.n > 0 && queue_claim_give_back(queue_claims(q), &a->claim))
		queue_tell_backlog(q, STR(""), queue_now_utc());
	list_remove(&a->link);
	q->n_unkept -= a->is_unkept;
	queue_site_unref(a->site);
	part->n_out -= a->n;
	arena_free(a->arena);
	free(a);
	queue_part_check(part);
	queue_idle(q);
}

/* What waits of a dead destination is the store's again. */
static void dest_take_back(struct queue *q, struct sched_dest *d, uint64_t now)
{
	struct sched_part *p;

	sched_backlog(q->sched, d, now, now);
	while ((p = sched_take_back(q->sched, d, now))) {
		struct queue_part *part = (struct queue_part *)(void *)p;
		part->is_taken_back = true;
		queue_part_check(part);
	}
}

static void attempt_tell_sched(struct queue_attempt *a, enum sched_feedback f, struct str reason)
{
	struct queue *q = a->queue;
	struct sched_dest *d = a->part->sched.dest;
	uint64_t now = net_loop_now(q->options.loop);
	bool was_dead = sched_view(d, now).window == 0;

	a->is_counted = false;
	sched_done(q->sched, d, a->part->sched.who, f, now);
	struct sched_dest_view v = sched_view(d, now);
	if (f != SCHED_TROUBLE || v.window > 0 || v.blocked_until == 0)
		return;
	if (!was_dead) {
		struct log_value values[] = {
			{ .field = FIELD_destination, .text = v.name },
			{ .field = FIELD_seconds,
			  .number = (int64_t)(v.blocked_until - now) / 1000 },
			{ .field = FIELD_reason, .text = reason },
		};
		queue_log(q, EVENT_dead, values, ARRAY_LEN(values));
		queue_count(q, COUNTER_destinations_dead, 1);
	}
	dest_take_back(q, d, now);
}

/* Everything that was out is in the store. */
void queue_attempt_check_end(struct queue_attempt *a)
{
	struct queue *q = a->queue;

	if (!a->is_recorded || a->is_moving)
		return;
	if (a->is_counted)
		attempt_tell_sched(a, SCHED_NEUTRAL, STR(""));
	attempt_free(a);
	queue_pump(q);
}

/* Nothing is known of it yet, and it is ours. */
static bool is_open(const struct attempt_rcpt *r)
{
	return !r->has_outcome && r->moved_to.n == 0 && !r->is_left;
}

/* ---- delivery ---- */

static void attempt_take(struct queue_attempt *a, const struct deliver_result *result, size_t i)
{
	const struct deliver_rcpt *from = &result->rcpts[i];
	const struct deliver_try *t = queue_attempt_try(result, from);
	struct attempt_rcpt *r = &a->rcpts[a->sent[i]];

	r->has_outcome = true;
	r->outcome = outcome_copy(a->arena, &from->outcome);
	r->try = t;
	r->is_handed_on = t && (t->extensions & SMTP_EXT_DSN);
	r->is_untried = queue_is_short(result);
	if (from->is_fate_unknown) {
		a->record.is_fate_unknown = true;
		queue_count(a->queue, COUNTER_fates_unknown, 1);
	}
	if (t && t->is_judged && !t->judgement.is_acceptable) {
		r->advice = dsn_tls_advice(a->arena, &t->decision, &t->judgement);
		queue_count(a->queue, COUNTER_tls_refused, 1);
	} else if (t && !policy_decision_allows_host(&t->decision)) {
		r->advice = dsn_tls_advice(a->arena, &t->decision, &t->judgement);
	}
}

static void attempt_suspend(struct queue_attempt *a)
{
	struct queue *q = a->queue;
	struct sched_dest *d = a->part->sched.dest;
	uint64_t now = net_loop_now(q->options.loop);

	for (unsigned i = 0; i < a->n; i++) {
		const struct attempt_rcpt *r = &a->rcpts[i];
		if (!r->has_outcome || !queue_is_suspension(a->site->settings, &r->outcome))
			continue;
		struct log_value values[] = {
			{ .field = FIELD_destination, .text = a->part->destination },
			{ .field = FIELD_seconds, .number = a->site->settings->suspend_ms / 1000 },
			{ .field = FIELD_reason, .text = r->outcome.reason },
		};
		if (sched_view(d, now).blocked_until == 0)
			queue_log(q, EVENT_suspended, values, ARRAY_LEN(values));
		sched_suspend(q->sched, d, now + (uint64_t)a->site->settings->suspend_ms, now);
		return;
	}
}

static void attempt_delivered(void *arg, const struct deliver_result *result)
{
	struct queue_attempt *a = arg;
	enum sched_feedback f = queue_feedback(result);

	for (size_t i = 0; i < result->n_rcpts; i++)
		attempt_take(a, result, i);
	attempt_suspend(a);
	queue_attempt_count(a, result);
	queue_attempt_settle(a, result);
	attempt_tell_sched(a, f, result->rcpts[0].outcome.reason);
	deliver_free(a->delivery);
	a->delivery = NULL;
	struct queue *q = a->queue;
	queue_attempt_check_end(a);
	queue_pump(q);
}

static bool attempt_open_content(struct queue_attempt *a, struct error *e)
{
	struct queue_message *m = a->part->message;

	if (!m->content && !store_content_open(store_client_reader(a->queue->store), m->envelope.id,
					       &m->content, e))
		return false;
	if (!m->content)
		return error_set(e, ERROR_NO_INPUT, "the message is gone");
	if (store_content_is_file(m->content)) {
		int fd = store_content_descriptor(m->content, e);
		if (fd < 0)
			return false;
		a->content = content_of_fd(fd);
	} else {
		a->content = content_of_memory(store_content_memory(m->content));
	}
	return true;
}

static void attempt_fail(struct queue_attempt *a, const struct error *e)
{
	for (unsigned i = 0; i < a->n; i++) {
		struct attempt_rcpt *r = &a->rcpts[i];
		if (!is_open(r))
			continue;
		r->has_outcome = true;
		r->outcome = (struct outcome){
			.kind = OUTCOME_DEFERRED,
			.status = STATUS(4, 3, 0),
			.reason = arena_str(a->arena, error_text(e)),
		};
		r->is_untried = e->kind == ERROR_LIMIT;
	}
	queue_attempt_settle(a, NULL);
}

static void attempt_fill_message(struct queue_attempt *a)
{
	const struct store_message *m = &a->part->message->envelope;

	a->message = (struct deliver_message){
		.sender = m->sender,
		.ret = m->ret,
		.envid = m->envid,
		.content = a->content,
		.is_8bit = m->flags & STORE_8BIT,
		.has_8bit_header = m->flags & STORE_8BIT_HEADER,
		.has_tls_required_no = m->flags & STORE_TLS_REQUIRED_NO,
		.has_requiretls = m->flags & STORE_REQUIRETLS,
		.is_smtputf8 = m->flags & STORE_SMTPUTF8,
		.size_octets = m->size,
		.age_s = a->begun_ms > m->arrived_ms
				 ? (uint64_t)(a->begun_ms - m->arrived_ms) / 1000
				 : 0,
	};
}

/* Those of a transport that is not used but when an operator asks for it. */
static void attempt_defer(struct queue_attempt *a)
{
	if (!queue_is_deferred(a->site->settings, a->part->destination))
		return;
	for (unsigned i = 0; i < a->n; i++) {
		struct attempt_rcpt *r = &a->rcpts[i];
		if (!is_open(r) || r->rcpt->is_asked_for)
			continue;
		r->has_outcome = true;
		r->outcome = (struct outcome){
			.kind = OUTCOME_DEFERRED,
			.status = STATUS(4, 3, 2),
			.reason = STR("its transport waits for an operator (defer_transports)"),
		};
	}
}

/* Those that are open. */
static void attempt_deliver(struct queue_attempt *a)
{
	struct smtp_rcpt *rcpts = ARENA_ARRAY(a->arena, a->n, struct smtp_rcpt);
	struct error e;

	attempt_defer(a);
	a->sent = ARENA_ARRAY(a->arena, a->n, size_t);
	for (unsigned i = 0; i < a->n; i++) {
		const struct attempt_rcpt *r = &a->rcpts[i];
		if (!is_open(r))
			continue;
		a->sent[a->job.n_rcpts] = i;
		rcpts[a->job.n_rcpts++] = (struct smtp_rcpt){
			.address = r->rcpt->address,
			.notify = r->rcpt->notify,
			.orcpt = r->rcpt->orcpt,
		};
	}
	if (a->job.n_rcpts == 0) {
		queue_attempt_settle(a, NULL);
		queue_attempt_check_end(a);
		return;
	}
	if (!attempt_open_content(a, &e)) {
		attempt_fail(a, &e);
		queue_attempt_check_end(a);
		return;
	}
	attempt_fill_message(a);
	a->job.rcpts = rcpts;
	queue_destination_cut(a->part->destination, &a->job.transport, &a->job.nexthop);
	a->job.protocol = str_eq(a->job.transport, STR("lmtp")) ? ROUTE_LMTP : ROUTE_SMTP;
	os_random(&a->job.seed, sizeof(a->job.seed));
	queue_count(a->queue, COUNTER_attempts, 1);
	a->delivery = deliver_start(a->site->deliver, &a->message, &a->job, attempt_delivered, a);
}

/* ---- routing ---- */

/* Those that are not moved are due where they were, and will be looked at again; not at once, for
 * the store is in trouble. */
static void attempt_moved(void *arg, const struct store_result *result)
{
	struct queue_attempt *a = arg;
	bool is_good = result->fault == STORE_DONE;
	int64_t due_ms = queue_now_utc() + (is_good ? 0 : QUEUE_RECORD_RETRY_MS);

	if (!is_good)
		queue_store_fault(a->queue, "a new destination", result);
	for (unsigned i = 0; i < a->n; i++)
		if (a->rcpts[i].moved_to.n > 0)
			queue_part_settle(a->part, a->rcpts[i].rcpt);
	if (!is_good)
		queue_attempt_tell_backlog(a, due_ms);
	for (unsigned i = 0; is_good && i < a->n; i++)
		if (a->rcpts[i].moved_to.n > 0)
			queue_tell_backlog(a->queue, a->rcpts[i].moved_to, due_ms);
	a->is_moving = false;
	queue_attempt_check_end(a);
}

/* Together, so that they go on together. */
static void attempt_move(struct queue_attempt *a)
{
	struct store_move *v = ARENA_ARRAY(a->arena, a->n, struct store_move);
	size_t n = 0;

	for (unsigned i = 0; i < a->n; i++)
		if (a->rcpts[i].moved_to.n > 0)
			v[n++] = (struct store_move){ a->rcpts[i].rcpt->index,
						      a->rcpts[i].moved_to };
	if (n == 0)
		return;
	a->is_moving = true;
	store_move(a->queue->store, a->part->message->envelope.id, v, n, queue_now_utc(),
		   attempt_moved, a);
}

static void attempt_routed_all(struct queue_attempt *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		queue_route_free(a->rcpts[i].route);
		a->rcpts[i].route = NULL;
	}
	attempt_move(a);
	attempt_deliver(a);
}

static void attempt_routed(void *arg, const struct route *route, const struct error *e)
{
	struct attempt_rcpt *r = arg;
	struct queue_attempt *a = r->attempt;
	struct str destination;

	if (e) {
		r->has_outcome = true;
		r->outcome = (struct outcome){
			.kind = OUTCOME_DEFERRED,
			.status = STATUS(4, 3, 0),
			.reason = arena_str(a->arena, error_text(e)),
		};
	} else if (route->kind != ROUTE_DELIVER) {
		r->has_outcome = true;
		r->outcome = outcome_copy(a->arena, &route->outcome);
	} else {
		destination = queue_destination(a->arena, route);
		if (!str_eq(destination, a->part->destination))
			r->moved_to = destination;
	}
	if (--a->n_routing == 0)
		attempt_routed_all(a);
}

static void attempt_route(struct queue_attempt *a)
{
	for (unsigned i = 0; i < a->n; i++)
		a->n_routing += !a->rcpts[i].is_left;
	for (unsigned i = 0; i < a->n; i++) {
		struct attempt_rcpt *r = &a->rcpts[i];
		if (!r->is_left)
			r->route = queue_route_new(a->queue, r->rcpt->address, attempt_routed, r);
	}
}

/* ---- the beginning ---- */

void queue_attempt_start(struct queue *q, const struct sched_start *start)
{
	struct queue_part *part = (struct queue_part *)(void *)start->part;
	struct queue_attempt *a = base_alloc(sizeof(*a));

	a->queue = q;
	a->part = part;
	a->site = q->options.site;
	queue_site_ref(a->site);
	a->arena = arena_new();
	a->n = start->n;
	a->is_counted = true;
	a->begun_ms = queue_now_utc();
	a->begun_at = net_loop_now(q->options.loop);
	a->rcpts = ARENA_ARRAY(a->arena, a->n, struct attempt_rcpt);
	for (unsigned i = 0; i < a->n; i++) {
		a->rcpts[i].attempt = a;
		a->rcpts[i].rcpt = &part->rcpts[start->first + i];
		a->rcpts[i].moved_to = STR("");
		a->rcpts[i].advice = STR("");
	}
	part->n_out += a->n;
	queue_part_given_out(part);
	list_add(&q->attempts, &a->link);
	queue_busy(q);
	if (!queue_attempt_claim(a)) {
		attempt_tell_sched(a, SCHED_NEUTRAL, STR(""));
		attempt_free(a);
	} else if (part->is_routed)
		attempt_deliver(a);
	else
		attempt_route(a);
}

static void attempt_cut(struct queue_attempt *a)
{
	if (!a->is_moving) {
		attempt_free(a);
		return;
	}
	deliver_free(a->delivery); /* the store still has an answer for it */
	a->delivery = NULL;
	a->is_recorded = true;
}

/* What hosts are still being tried, or asked for: the mail stays due. */
void queue_attempts_cut(struct queue *q)
{
	for (struct list *l = q->attempts.next, *next; l != &q->attempts; l = next) {
		struct queue_attempt *a = LIST_OF(l, struct queue_attempt, link);
		next = l->next;
		if (a->is_waiting)
			queue_attempt_forget(a);
		else if (a->delivery || a->n_routing > 0)
			attempt_cut(a);
	}
}
