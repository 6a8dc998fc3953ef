/* What was in the queue too long without being tried, because its destination is dead, is given up
 * here; any other mail has its attempt first, however old it is. And evidence that has expired
 * goes. */

#include <stdlib.h>

#include "queue/inside.h"

struct sweep_rcpt {
	struct queue *queue;
	struct queue_message *message;
	struct queue_part *part; /* so that no probe takes it meanwhile */
	struct store_rcpt rcpt;
	struct queue_verdict verdict;
	struct store_rcpt_record record;
};

static void sweep_free(struct sweep_rcpt *s)
{
	struct queue *q = s->queue;

	s->part->n_out--;
	queue_part_check(s->part);
	queue_message_unref(s->message);
	free(s);
	queue_idle(q);
}

static void sweep_recorded(void *arg, const struct store_result *result)
{
	struct sweep_rcpt *s = arg;
	const struct store_rcpt *r = &s->part->rcpts[0];

	if (result->fault != STORE_DONE) {
		queue_store_fault(s->queue, "what was in the queue too long", result);
		s->part->is_taken_back = true;
		queue_tell_backlog(s->queue, STR(""), queue_now_utc()); /* should it be there now */
		sweep_free(s);
		return;
	}
	struct log_value v[] = {
		{ .field = FIELD_queue_id, .text = str_of(s->message->id_text) },
		{ .field = FIELD_from, .text = s->message->envelope.sender },
	};

	queue_log(s->queue, EVENT_expired, v, ARRAY_LEN(v));
	queue_log_removed(s->queue, s->message, result);
	if (s->verdict.is_told) {
		struct queue_told t = {
			.index = r->index,
			.kind = s->verdict.kind,
			.rcpt = { .address = r->address,
				  .orcpt = r->orcpt,
				  .is_expired = true,
				  .outcome = s->verdict.record.outcome },
		};
		queue_message_tell(s->message, &t);
	}
	sweep_free(s);
}

static struct outcome last_outcome(struct arena *a, const struct store_rcpt *r)
{
	struct outcome o = r->last;

	if (o.reason.n == 0)
		o = (struct outcome){
			.status = STATUS(4, 4, 7),
			.reason = STR("no server of its destination could be reached in time")
		};
	o.kind = OUTCOME_DEFERRED;
	o.reason = arena_str(a, o.reason);
	o.remote_host = arena_str(a, o.remote_host);
	o.reply.text = arena_str(a, o.reply.text);
	return o;
}

static void sweep_start(struct queue *q, const struct store_message *m)
{
	struct sweep_rcpt *s = base_alloc(sizeof(*s));
	int64_t now_ms = queue_now_utc();

	s->queue = q;
	s->message = queue_message_get(q, m);
	s->part = queue_part_out(s->message, &m->rcpts[0]);
	struct outcome o = last_outcome(s->part->arena, &m->rcpts[0]);
	struct store_message believed = *m;
	believed.arrived_ms = queue_arrived(q, m->arrived_ms);
	s->verdict =
		queue_verdict(q->options.site->settings, &believed, &s->part->rcpts[0], &o, now_ms);
	s->record = s->verdict.record;
	queue_busy(q);
	struct store_record record = {
		.message = m->id, .at_ms = now_ms, .rcpts = &s->record, .n_rcpts = 1
	};
	store_record(q->store, &record, sweep_recorded, s);
	queue_count(q, COUNTER_recipients_expired, 1);
	queue_count_bounced(q, o.status);
}

/* And no probe is up for it. */
static bool is_dead(const struct queue *q, struct str destination)
{
	struct sched_dest *d = sched_dest_find(q->sched, destination);

	if (!d)
		return false;
	struct sched_dest_view v = sched_view(d, net_loop_now(q->options.loop));
	return v.window == 0 && v.blocked_until > 0;
}

struct sweep {
	struct queue *queue;
	int64_t now_ms;
	size_t n;
};

static enum store_go_on sweep_look(void *arg, const struct store_message *m)
{
	struct sweep *s = arg;
	struct queue *q = s->queue;
	const struct queue_settings *settings = q->options.site->settings;
	const struct queue_message *here = queue_message_find(q, m->id);
	int64_t lifetime = m->sender.n == 0 ? settings->bounce_lifetime_ms : settings->lifetime_ms;

	if (queue_arrived(q, m->arrived_ms) + lifetime > s->now_ms ||
	    !is_dead(q, m->rcpts[0].destination) ||
	    (here && queue_message_has(here, m->rcpts[0].index)))
		return STORE_GO_ON;
	sweep_start(q, m);
	return ++s->n < QUEUE_SWEEP_MAX ? STORE_GO_ON : STORE_STOP;
}

static void evidence_expired(void *arg, const struct store_result *result)
{
	struct queue *q = arg;

	if (result->fault != STORE_DONE)
		queue_store_fault(q, "the end of evidence", result);
	queue_idle(q);
}

static void sweep_evidence(struct queue *q, int64_t now_ms)
{
	uint64_t now = net_loop_now(q->options.loop);

	if (q->options.member != 0 || now < q->evidence_next || queue_clock_is_in_doubt(q))
		return;
	q->evidence_next = now + QUEUE_EVIDENCE_MS;
	queue_busy(q);
	store_expire(q->store, now_ms - q->options.site->settings->evidence_ms, evidence_expired,
		     q);
}

static void sweep_dead(struct queue *q, int64_t now_ms)
{
	const struct queue_settings *settings = q->options.site->settings;
	struct sweep s = { q, now_ms, 0 };
	int64_t least = settings->lifetime_ms < settings->bounce_lifetime_ms
				? settings->lifetime_ms
				: settings->bounce_lifetime_ms;
	struct store_filter f = { .arrived_before_ms = s.now_ms - least + 1,
				  .states = 1u << STORE_QUEUED };
	struct error e;

	if (!store_list(store_client_reader(q->store), &f, sweep_look, &s, &e))
		queue_log_trouble(q, &e);
}

void queue_sweep(struct queue *q)
{
	int64_t now_ms = queue_now_utc();

	queue_clock_look(q);
	if (sched_totals(q->sched).n_dead > 0)
		sweep_dead(q, now_ms);
	sweep_evidence(q, now_ms);
}
