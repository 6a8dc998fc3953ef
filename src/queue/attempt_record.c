/* An attempt's outcomes and evidence become the store's. */

#include "os/files.h"
#include "queue/attempt.h"

/* Nobody after this server would tell more. */
static bool attempt_is_final(const struct queue_attempt *a)
{
	return a->job.protocol == ROUTE_LMTP && a->site->settings->is_lmtp_final;
}

void queue_attempt_tell_backlog(const struct queue_attempt *a, int64_t due_ms)
{
	queue_tell_backlog(a->queue, a->part->destination, due_ms);
	if (queue_changed_since(a->queue, a->begun_at))
		queue_tell_backlog(a->queue, STR(""), due_ms);
}

static void attempt_settle_rcpt(struct queue_attempt *a, struct attempt_rcpt *r)
{
	const struct queue_verdict *v = &r->verdict;
	struct queue *q = a->queue;

	queue_part_settle(a->part, r->rcpt);
	if (r->is_left) {
		queue_tell_backlog(q, STR(""), queue_now_utc());
		return;
	}
	if (v->is_told) {
		struct queue_told t = {
			.index = r->rcpt->index,
			.kind = v->kind,
			.rcpt = {
				.address = r->rcpt->address,
				.orcpt = r->rcpt->orcpt,
				.outcome = r->outcome,
				.advice = r->advice,
				.is_relayed = !attempt_is_final(a),
				.is_expired = v->is_expired,
				.last_attempt_utc = a->record.at_ms / 1000,
			},
		};
		queue_message_tell(a->part->message, &t);
	}
	if (v->record.verdict == STORE_RETRY_AT)
		queue_attempt_tell_backlog(a, v->record.due_ms);
	if (v->is_expired) {
		struct log_value values[] = {
			{ .field = FIELD_queue_id, .text = str_of(a->part->message->id_text) },
			{ .field = FIELD_from, .text = a->part->message->envelope.sender },
		};
		queue_log(q, EVENT_expired, values, ARRAY_LEN(values));
		queue_count(q, COUNTER_recipients_expired, 1);
	}
}

static void attempt_settle_rcpts(struct queue_attempt *a)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->rcpts[i].has_outcome)
			attempt_settle_rcpt(a, &a->rcpts[i]);
}

static void attempt_record(void *arg);

static void attempt_recorded(void *arg, const struct store_result *result)
{
	struct queue_attempt *a = arg;

	if (result->fault != STORE_DONE && result->fault != STORE_REFUSED) {
		queue_store_fault(a->queue, "an attempt", result);
		if (a->queue->is_cut) {
			queue_attempt_forget(a);
			return;
		}
		a->is_waiting = true;
		a->queue->n_unkept += !a->is_unkept;
		a->is_unkept = true;
		if (!a->retry)
			a->retry = net_timer_new(a->queue->options.loop, attempt_record, a);
		net_timer_set(a->retry,
			      net_loop_now(a->queue->options.loop) + QUEUE_RECORD_RETRY_MS);
		return;
	}
	attempt_settle_rcpts(a);
	queue_log_removed(a->queue, a->part->message, result);
	a->is_recorded = true;
	queue_attempt_check_end(a);
}

/* The end, and the store is still in trouble. */
void queue_attempt_forget(struct queue_attempt *a)
{
	struct error e;

	for (unsigned i = 0; i < a->n; i++) {
		const struct attempt_rcpt *r = &a->rcpts[i];
		if (!r->has_outcome || r->outcome.kind != OUTCOME_DELIVERED)
			continue;
		(void)error_set(&e, ERROR_IO,
				"%s: to=<" STR_FMT ">: delivered, but the queue could not keep "
				"that: it will be delivered again",
				a->part->message->id_text, STR_ARG(r->rcpt->address));
		queue_log_trouble(a->queue, &e);
	}
	a->is_waiting = false;
	a->is_recorded = true;
	queue_attempt_check_end(a);
}

/* Until it is kept: what was delivered must not be delivered again. */
static void attempt_record(void *arg)
{
	struct queue_attempt *a = arg;

	a->is_waiting = false;
	store_record(a->queue->store, &a->record, attempt_recorded, a);
}

/* Nobody is told, and the log has it as something that does not last. */
static void verdict_leave(struct queue_verdict *v)
{
	v->is_told = v->is_expired = false;
	v->is_soft = v->record.outcome.kind == OUTCOME_BOUNCED;
}

/* All outcomes are known. */
void queue_attempt_settle(struct queue_attempt *a, const struct deliver_result *result)
{
	struct store_rcpt_record *records = ARENA_ARRAY(a->arena, a->n, struct store_rcpt_record);
	struct store_message m = a->part->message->envelope;

	queue_clock_look(a->queue);
	m.arrived_ms = queue_arrived(a->queue, m.arrived_ms);

	a->record.message = a->part->message->envelope.id;
	a->record.at_ms = queue_now_utc();
	a->record.rcpts = records;
	queue_attempt_leave(a);
	for (unsigned i = 0; i < a->n; i++) {
		struct attempt_rcpt *r = &a->rcpts[i];
		if (!r->has_outcome)
			continue;
		r->verdict =
			queue_verdict(a->site->settings, &m, r->rcpt, &r->outcome, a->record.at_ms);
		if (r->is_handed_on)
			queue_verdict_hand_on(&r->verdict);
		if (r->is_untried || (r->verdict.is_expired && os_files_are_short()))
			queue_verdict_keep(&r->verdict, a->site->settings, &m, r->rcpt,
					   a->record.at_ms);
		if (r->is_left)
			verdict_leave(&r->verdict);
		else
			records[a->record.n_rcpts++] = r->verdict.record;
		queue_attempt_log(a, r);
		r->try = NULL;
	}
	if (result)
		queue_attempt_evidence(a, result);
	if (a->record.n_rcpts > 0 || a->record.ground) {
		attempt_record(a);
	} else {
		attempt_settle_rcpts(a);
		a->is_recorded = true;
	}
}
