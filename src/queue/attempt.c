/* One attempt at some recipients of a message for a destination: routed once more when the store
 * had them, delivered, recorded. */

#include <stdlib.h>

#include "deliver/json.h"
#include "os/os.h"
#include "queue/inside.h"

struct attempt_rcpt {
	struct queue_attempt *attempt;
	const struct store_rcpt *rcpt; /* of the part */
	struct queue_route *route;
	struct str moved_to; /* another destination; "": none */
	bool has_outcome;
	struct outcome outcome;
	struct str advice;
	struct queue_verdict verdict;
};

struct queue_attempt {
	struct list link; /* in queue.attempts */
	struct queue *queue;
	struct queue_part *part;
	struct queue_site *site;
	struct arena *arena;
	struct attempt_rcpt *rcpts;
	unsigned n, n_routing;
	bool is_counted; /* by sched, as under way */
	int64_t begun_ms;

	struct deliver_message message;
	struct deliver_job job;
	size_t *sent; /* job's recipients in rcpts */
	struct deliver *delivery;
	struct content *content;

	struct store_record record;
	struct store_ground *ground;
	struct net_timer *retry; /* of the record */
	unsigned n_moves;        /* notes of the store that are out */
	bool is_recorded;
};

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
	list_remove(&a->link);
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
	sched_done(q->sched, d, f, now);
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
static void attempt_check_end(struct queue_attempt *a)
{
	struct queue *q = a->queue;

	if (!a->is_recorded || a->n_moves > 0)
		return;
	if (a->is_counted)
		attempt_tell_sched(a, SCHED_NEUTRAL, STR(""));
	attempt_free(a);
	queue_pump(q);
}

/* ---- recording ---- */

static void attempt_settle_rcpt(struct queue_attempt *a, struct attempt_rcpt *r)
{
	const struct queue_verdict *v = &r->verdict;
	struct queue *q = a->queue;

	if (v->is_told) {
		struct queue_told t = {
			.index = r->rcpt->index,
			.kind = v->kind,
			.rcpt = {
				.address = r->rcpt->address,
				.orcpt = r->rcpt->orcpt,
				.outcome = r->outcome,
				.advice = r->advice,
				.is_relayed = v->kind == DSN_SUCCESS,
				.last_attempt_utc = a->record.at_ms / 1000,
			},
		};
		queue_message_tell(a->part->message, &t);
	}
	if (v->record.verdict == STORE_RETRY_AT)
		queue_tell_backlog(q, a->part->destination, v->record.due_ms);
	if (v->is_expired) {
		struct log_value values[] = {
			{ .field = FIELD_queue_id, .text = str_of(a->part->message->id_text) },
			{ .field = FIELD_from, .text = a->part->message->envelope.sender },
		};
		queue_log(q, EVENT_expired, values, ARRAY_LEN(values));
		queue_count(q, COUNTER_recipients_expired, 1);
	}
}

static void attempt_record(void *arg);

static void attempt_recorded(void *arg, const struct store_result *result)
{
	struct queue_attempt *a = arg;

	if (result->fault != STORE_DONE && result->fault != STORE_REFUSED) {
		queue_store_fault(a->queue, "an attempt", result);
		if (!a->retry)
			a->retry = net_timer_new(a->queue->options.loop, attempt_record, a);
		net_timer_set(a->retry,
			      net_loop_now(a->queue->options.loop) + QUEUE_RECORD_RETRY_MS);
		return;
	}
	for (unsigned i = 0; i < a->n; i++)
		if (a->rcpts[i].has_outcome)
			attempt_settle_rcpt(a, &a->rcpts[i]);
	a->is_recorded = true;
	attempt_check_end(a);
}

/* Until it is kept: what was delivered must not be delivered again. */
static void attempt_record(void *arg)
{
	struct queue_attempt *a = arg;

	store_record(a->queue->store, &a->record, attempt_recorded, a);
}

static const struct deliver_try *
try_of(const struct deliver_result *result, const struct deliver_rcpt *r)
{
	return result && r->has_try ? &result->tries[r->try] : NULL;
}

/* "host[address]:port said", or our own word, for the log's parentheses. */
static struct str log_reason(struct arena *a, const struct outcome *o)
{
	const struct smtp_reply *r = &o->reply;

	if (o->kind != OUTCOME_DELIVERED || r->code == 0)
		return o->reason;
	if (r->status.class == 0)
		return arena_fmt(a, "%d " STR_FMT, r->code, STR_ARG(r->text));
	return arena_fmt(a, "%d " STR_FMT " " STR_FMT, r->code, STR_ARG(status_text(a, r->status)),
			 STR_ARG(r->text));
}

static struct str seconds_text(struct arena *a, int64_t ms)
{
	if (ms < 0)
		ms = 0;
	return arena_fmt(a, "%lld.%02lld", (long long)ms / 1000, (long long)ms % 1000 / 10);
}

/* Before the queue, in it, connecting with TLS, sending. */
static struct str delays_text(const struct queue_attempt *a, const struct deliver_try *t)
{
	int64_t before = a->part->message->active_ms - a->part->message->envelope.arrived_ms;
	int64_t inside = a->begun_ms - a->part->message->active_ms;
	int64_t setup = 0, send = a->record.at_ms - a->begun_ms;

	if (t && t->kind == DELIVER_TRY_SESSION) {
		const struct session_times *x = &t->times;
		setup = (int64_t)(x->tls_ms ? x->tls_ms : x->greeting_ms);
		send = (int64_t)x->total_ms > setup ? (int64_t)x->total_ms - setup : 0;
	}
	return arena_fmt(a->arena, STR_FMT "/" STR_FMT "/" STR_FMT "/" STR_FMT,
			 STR_ARG(seconds_text(a->arena, before)),
			 STR_ARG(seconds_text(a->arena, inside)),
			 STR_ARG(seconds_text(a->arena, setup)),
			 STR_ARG(seconds_text(a->arena, send)));
}

static struct str tls_text(const struct queue_attempt *a, const struct deliver_try *t)
{
	if (!t)
		return STR_NONE;
	if (!t->is_judged)
		return tls_level_name(t->decision.level);
	return arena_fmt(a->arena, STR_FMT "/" STR_FMT, STR_ARG(tls_level_name(t->decision.level)),
			 STR_ARG(tls_security_name(t->judgement.reached)));
}

static void attempt_measure(const struct queue_attempt *a, const struct attempt_rcpt *r)
{
	int64_t delay_ms = a->record.at_ms - a->part->message->envelope.arrived_ms;

	if (r->outcome.kind == OUTCOME_DELIVERED)
		histogram_add(a->queue->options.counters, HISTOGRAM_delivery_delay,
			      delay_ms > 0 ? (uint64_t)delay_ms : 0);
}

static void attempt_measure_tls(const struct queue_attempt *a, const struct deliver_result *result)
{
	for (size_t i = 0; i < result->n_tries; i++)
		if (result->tries[i].times.tls_ms > 0)
			histogram_add(a->queue->options.counters, HISTOGRAM_tls_handshake,
				      result->tries[i].times.tls_ms);
}

static void attempt_count_session(struct queue *q, const struct deliver_try *t)
{
	bool is_new = t->kind == DELIVER_TRY_SESSION && !t->is_reused;

	queue_count(q, COUNTER_sessions_made, is_new);
	queue_count(q, COUNTER_sessions_reused, t->is_reused);
	queue_count(q, COUNTER_handshakes_full, is_new && t->peer.is_tls && !t->peer.is_resumed);
	queue_count(q, COUNTER_handshakes_resumed, is_new && t->peer.is_tls && t->peer.is_resumed);
}

static void attempt_log(const struct queue_attempt *a, const struct attempt_rcpt *r,
			const struct deliver_try *t)
{
	static const struct str words[] = { STR_INIT("sent"), STR_INIT("deferred"),
					    STR_INIT("bounced") };
	static const enum log_counter counters[] = { COUNTER_recipients_delivered,
						     COUNTER_recipients_deferred,
						     COUNTER_recipients_bounced };
	const struct outcome *o = &r->outcome;
	const struct queue_message *m = a->part->message;
	struct log_value values[] = {
		{ .field = FIELD_queue_id, .text = str_of(m->id_text) },
		{ .field = FIELD_to, .text = r->rcpt->address },
		{ .field = FIELD_relay,
		  .text = o->remote_host.n > 0 ? o->remote_host : STR("none") },
		{ .field = FIELD_delay,
		  .text = seconds_text(a->arena, a->record.at_ms - m->envelope.arrived_ms) },
		{ .field = FIELD_delays, .text = delays_text(a, t) },
		{ .field = FIELD_tls, .text = tls_text(a, t) },
		{ .field = FIELD_dsn, .text = status_text(a->arena, o->status) },
		{ .field = FIELD_status, .text = words[o->kind] },
		{ .field = FIELD_reason, .text = log_reason(a->arena, o) },
		{ .field = FIELD_conn_use, .number = t ? t->use_count : 0 },
	};
	size_t n = ARRAY_LEN(values) - !(t && t->use_count > 1); /* the first is not told */

	queue_log(a->queue, EVENT_delivery, values, n);
	attempt_measure(a, r);
	queue_count(a->queue, counters[o->kind], 1);
}

/* Evidence: all that was asked, decided, shown and said. */
static void attempt_evidence(struct queue_attempt *a, const struct deliver_result *result)
{
	struct buf text;
	struct json j;

	if (!result)
		return;
	buf_init(&text, EVIDENCE_MAX);
	json_init(&j, &text, false);
	deliver_result_json(&j, result);
	if (json_end(&j)) {
		a->ground = store_ground_new(buf_str(&text));
		a->record.ground = a->ground;
	}
	buf_reset(&text);
	json_init(&j, &text, false);
	json_object(&j);
	json_put_str(&j, "configuration", conf_fingerprint(a->site->deliver->conf));
	json_key(&j, "recipients");
	json_array(&j);
	for (unsigned i = 0; i < a->n; i++) {
		if (!a->rcpts[i].has_outcome)
			continue;
		json_object(&j);
		json_put_str(&j, "recipient", a->rcpts[i].rcpt->address);
		deliver_outcome_json(&j, &a->rcpts[i].outcome);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	a->record.evidence = json_end(&j) ? arena_str(a->arena, buf_str(&text)) : STR("");
	buf_fini(&text);
}

/* All outcomes are known. */
static void attempt_settle(struct queue_attempt *a, const struct deliver_result *result)
{
	struct store_rcpt_record *records = ARENA_ARRAY(a->arena, a->n, struct store_rcpt_record);

	a->record.message = a->part->message->envelope.id;
	a->record.at_ms = queue_now_utc();
	a->record.rcpts = records;
	for (unsigned i = 0; i < a->n; i++) {
		struct attempt_rcpt *r = &a->rcpts[i];
		if (!r->has_outcome)
			continue;
		r->verdict = queue_verdict(a->site->settings, &a->part->message->envelope, r->rcpt,
					   &r->outcome, a->record.at_ms);
		records[a->record.n_rcpts++] = r->verdict.record;
	}
	attempt_evidence(a, result);
	if (a->record.n_rcpts > 0)
		attempt_record(a);
	else
		a->is_recorded = true;
}

/* ---- delivery ---- */

static struct outcome outcome_copy(struct arena *arena, const struct outcome *o)
{
	struct outcome copy = *o;

	copy.reason = arena_str(arena, o->reason);
	copy.remote_host = arena_str(arena, o->remote_host);
	copy.reply.text = arena_str(arena, o->reply.text);
	return copy;
}

static void attempt_take(struct queue_attempt *a, const struct deliver_result *result, size_t i)
{
	const struct deliver_rcpt *from = &result->rcpts[i];
	const struct deliver_try *t = try_of(result, from);
	struct attempt_rcpt *r = &a->rcpts[a->sent[i]];

	r->has_outcome = true;
	r->outcome = outcome_copy(a->arena, &from->outcome);
	if (from->is_fate_unknown) {
		a->record.is_fate_unknown = true;
		queue_count(a->queue, COUNTER_fates_unknown, 1);
	}
	if (t && t->is_judged && !t->judgement.is_acceptable) {
		r->advice = dsn_tls_advice(a->arena, &t->decision, &t->judgement);
		queue_count(a->queue, COUNTER_tls_refused, 1);
	} else if (t && t->kind == DELIVER_TRY_SKIPPED) {
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
	for (size_t i = 0; i < result->n_tries; i++)
		attempt_count_session(a->queue, &result->tries[i]);
	attempt_suspend(a);
	attempt_measure_tls(a, result);
	attempt_settle(a, result);
	for (size_t i = 0; i < result->n_rcpts; i++)
		attempt_log(a, &a->rcpts[a->sent[i]], try_of(result, &result->rcpts[i]));
	attempt_tell_sched(a, f, result->rcpts[0].outcome.reason);
	deliver_free(a->delivery);
	a->delivery = NULL;
	struct queue *q = a->queue;
	attempt_check_end(a);
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
		if (r->has_outcome || r->moved_to.n > 0)
			continue;
		r->has_outcome = true;
		r->outcome = (struct outcome){
			.kind = OUTCOME_DEFERRED,
			.status = STATUS(4, 3, 0),
			.reason = arena_str(a->arena, error_text(e)),
		};
		attempt_log(a, r, NULL);
	}
	attempt_settle(a, NULL);
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

/* Those that are neither settled nor moved. */
static void attempt_deliver(struct queue_attempt *a)
{
	struct smtp_rcpt *rcpts = ARENA_ARRAY(a->arena, a->n, struct smtp_rcpt);
	struct error e;

	a->sent = ARENA_ARRAY(a->arena, a->n, size_t);
	for (unsigned i = 0; i < a->n; i++) {
		const struct attempt_rcpt *r = &a->rcpts[i];
		if (r->has_outcome || r->moved_to.n > 0)
			continue;
		a->sent[a->job.n_rcpts] = i;
		rcpts[a->job.n_rcpts++] = (struct smtp_rcpt){
			.address = r->rcpt->address,
			.notify = r->rcpt->notify,
			.orcpt = r->rcpt->orcpt,
		};
	}
	if (a->job.n_rcpts == 0) {
		attempt_settle(a, NULL);
		attempt_check_end(a);
		return;
	}
	if (!attempt_open_content(a, &e)) {
		attempt_fail(a, &e);
		attempt_check_end(a);
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

struct attempt_move {
	struct queue_attempt *attempt;
	struct str destination;
};

static void attempt_moved(void *arg, const struct store_result *result)
{
	struct attempt_move *v = arg;
	struct queue_attempt *a = v->attempt;

	if (result->fault != STORE_DONE)
		queue_store_fault(a->queue, "a new destination", result);
	/* not moved: it is due where it was, and will be looked at again */
	queue_tell_backlog(a->queue,
			   result->fault == STORE_DONE ? v->destination : a->part->destination,
			   queue_now_utc());
	a->n_moves--;
	attempt_check_end(a);
}

static void attempt_move(struct queue_attempt *a, struct attempt_rcpt *r)
{
	struct attempt_move *v = ARENA_NEW(a->arena, struct attempt_move);
	struct store_move move = { r->rcpt->index, r->moved_to };

	*v = (struct attempt_move){ a, r->moved_to };
	a->n_moves++;
	store_move(a->queue->store, a->part->message->envelope.id, &move, 1, queue_now_utc(),
		   attempt_moved, v);
}

static void attempt_routed_all(struct queue_attempt *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		queue_route_free(a->rcpts[i].route);
		a->rcpts[i].route = NULL;
		if (a->rcpts[i].moved_to.n > 0)
			attempt_move(a, &a->rcpts[i]);
		else if (a->rcpts[i].has_outcome)
			attempt_log(a, &a->rcpts[i], NULL);
	}
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
	a->n_routing = a->n;
	for (unsigned i = 0; i < a->n; i++)
		a->rcpts[i].route = queue_route_new(a->queue, a->rcpts[i].rcpt->address,
						    attempt_routed, &a->rcpts[i]);
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
	a->rcpts = ARENA_ARRAY(a->arena, a->n, struct attempt_rcpt);
	for (unsigned i = 0; i < a->n; i++) {
		a->rcpts[i].attempt = a;
		a->rcpts[i].rcpt = &part->rcpts[start->first + i];
		a->rcpts[i].moved_to = STR("");
		a->rcpts[i].advice = STR("");
	}
	part->n_out += a->n;
	list_add(&q->attempts, &a->link);
	queue_busy(q);
	if (part->is_routed)
		attempt_deliver(a);
	else
		attempt_route(a);
}

/* What hosts are still being tried, or asked for: the mail stays due. */
void queue_attempts_cut(struct queue *q)
{
	for (struct list *l = q->attempts.next, *next; l != &q->attempts; l = next) {
		struct queue_attempt *a = LIST_OF(l, struct queue_attempt, link);
		next = l->next;
		if (a->delivery || a->n_routing > 0)
			attempt_free(a);
	}
}
