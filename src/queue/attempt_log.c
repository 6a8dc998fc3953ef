/* What the log and the figures are told of an attempt. */

#include "queue/attempt.h"

const struct deliver_try *
queue_attempt_try(const struct deliver_result *result, const struct deliver_rcpt *r)
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
	return arena_fmt(a->arena, STR_FMT "/" STR_FMT "%s",
			 STR_ARG(tls_level_name(t->decision.level)),
			 STR_ARG(tls_security_name(t->judgement.reached)),
			 t->judgement.is_requiretls_sent ? "/requiretls" : "");
}

/* Kinds stand in the order of what they are counted by. */
#define SAME_ORDER(first, last, from, to)                                                          \
	_Static_assert((int)KIND_##last - (int)KIND_##first == (int)(to) - (int)(from), #last)
SAME_ORDER(delivered_cleartext, delivered_verified, TLS_CLEARTEXT, TLS_VERIFIED);
SAME_ORDER(tls_starttls_not_supported, tls_validation_failure, TLS_RESULT_STARTTLS_NOT_SUPPORTED,
	   TLS_RESULT_VALIDATION_FAILURE);
SAME_ORDER(deferred_other, deferred_security, 0, 7);
SAME_ORDER(bounced_other, bounced_security, 0, 7);

/* RFC 3463 section 3.2; what is not known there is "other". */
static void count_subject(struct queue *q, enum log_kind first, struct status s)
{
	unsigned subject = s.class > 0 && s.subject <= 7 ? s.subject : 0;

	counter_kind_add(q->options.counters, (enum log_kind)(first + subject), 1);
}

static void count_version(struct queue *q, struct str protocol)
{
	enum log_kind id = KIND_delivered_tls_1_0;

	while (id < KIND_delivered_tls_other && !str_eq(counter_kind_value(id), protocol))
		id++;
	counter_kind_add(q->options.counters, id, 1);
}

static void count_delivered(struct queue *q, const struct deliver_try *t)
{
	enum tls_security reached = t && t->is_judged ? t->judgement.reached : TLS_CLEARTEXT;

	counter_kind_add(q->options.counters, (enum log_kind)(KIND_delivered_cleartext + reached),
			 1);
	if (t && t->peer.is_tls)
		count_version(q, t->peer.protocol);
}

void queue_count_bounced(struct queue *q, struct status s)
{
	queue_count(q, COUNTER_recipients_bounced, 1);
	count_subject(q, KIND_bounced_other, s);
}

static void count_outcome(struct queue *q, enum outcome_kind kind, const struct attempt_rcpt *r)
{
	switch (kind) {
	case OUTCOME_DELIVERED:
		queue_count(q, COUNTER_recipients_delivered, 1);
		count_delivered(q, r->try);
		return;
	case OUTCOME_DEFERRED:
		queue_count(q, COUNTER_recipients_deferred, 1);
		count_subject(q, KIND_deferred_other, r->outcome.status);
		return;
	case OUTCOME_BOUNCED:
		queue_count_bounced(q, r->outcome.status);
		return;
	}
}

static void attempt_measure(const struct queue_attempt *a, const struct attempt_rcpt *r)
{
	int64_t delay_ms = a->record.at_ms - a->part->message->envelope.arrived_ms;

	if (r->outcome.kind == OUTCOME_DELIVERED)
		histogram_add(a->queue->options.counters, HISTOGRAM_delivery_delay,
			      delay_ms > 0 ? (uint64_t)delay_ms : 0);
}

/* One that goes in the clear because the one before failed has told nothing new of TLS. */
static void count_tls_failure(struct queue *q, const struct deliver_try *t)
{
	int type = (int)t->judgement.result - TLS_RESULT_STARTTLS_NOT_SUPPORTED;

	if (t->is_judged && t->judgement.result != TLS_RESULT_NONE && !t->is_plaintext_retry)
		counter_kind_add(q->options.counters,
				 (enum log_kind)(KIND_tls_starttls_not_supported + type), 1);
}

static void attempt_count_session(struct queue *q, const struct deliver_try *t)
{
	bool is_new = t->kind == DELIVER_TRY_SESSION && !t->is_reused;

	if (is_new)
		count_tls_failure(q, t);
	queue_count(q, COUNTER_sessions_made, is_new);
	queue_count(q, COUNTER_sessions_reused, t->is_reused);
	queue_count(q, COUNTER_handshakes_full, is_new && t->peer.is_tls && !t->peer.is_resumed);
	queue_count(q, COUNTER_handshakes_resumed, is_new && t->peer.is_tls && t->peer.is_resumed);
}

/* As Postfix says it: how far the server is known. */
static struct str reached_word(const struct deliver_try *t)
{
	static const struct str words[] = {
		[TLS_CLEARTEXT] = STR_INIT("Untrusted"),
		[TLS_ENCRYPTED] = STR_INIT("Untrusted"),
		[TLS_TRUSTED] = STR_INIT("Trusted"),
		[TLS_VERIFIED] = STR_INIT("Verified"),
	};

	if (t->peer.n_chain == 0 && t->judgement.reached < TLS_TRUSTED)
		return STR("Anonymous");
	return words[t->judgement.reached];
}

/* Once for each connection. */
static void attempt_log_session(const struct queue_attempt *a, const struct deliver_try *t)
{
	bool is_new = t->kind == DELIVER_TRY_SESSION && !t->is_reused;
	struct log_value v[] = {
		{ .field = FIELD_reached, .text = reached_word(t) },
		{ .field = FIELD_relay, .text = deliver_try_name(a->arena, t) },
		{ .field = FIELD_protocol, .text = t->peer.protocol },
		{ .field = FIELD_cipher, .text = t->peer.cipher },
		{ .field = FIELD_bits, .number = t->peer.cipher_bits },
	};

	if (is_new && t->peer.is_tls && t->is_judged)
		queue_log(a->queue, EVENT_server_tls, v, ARRAY_LEN(v));
}

void queue_attempt_count(const struct queue_attempt *a, const struct deliver_result *result)
{
	for (size_t i = 0; i < result->n_tries; i++) {
		const struct deliver_try *t = &result->tries[i];
		attempt_count_session(a->queue, t);
		attempt_log_session(a, t);
		bool is_new = t->kind == DELIVER_TRY_SESSION && !t->is_reused;
		if (is_new && (t->times.connect_ms > 0 || t->greeting.n > 0))
			histogram_add(a->queue->options.counters, HISTOGRAM_connect,
				      t->times.connect_ms);
		if (is_new && (t->times.tls_ms > 0 || t->peer.is_tls))
			histogram_add(a->queue->options.counters, HISTOGRAM_tls_handshake,
				      t->times.tls_ms);
	}
}

void queue_attempt_log(const struct queue_attempt *a, const struct attempt_rcpt *r)
{
	static const struct str words[] = { STR_INIT("sent"), STR_INIT("deferred"),
					    STR_INIT("bounced") };
	const struct outcome *o = &r->outcome;
	const struct deliver_try *t = r->try;
	enum outcome_kind kind = r->verdict.is_soft ? OUTCOME_DEFERRED : o->kind;
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
		{ .field = FIELD_status,
		  .text = r->verdict.is_soft ? STR("SOFTBOUNCE") : words[kind] },
		{ .field = FIELD_reason, .text = log_reason(a->arena, o) },
		{ .field = FIELD_conn_use, .number = t ? t->use_count : 0 },
	};
	size_t n = ARRAY_LEN(values) - !(t && t->use_count > 1); /* the first is not told */

	/* Whoever has read the line finds it in the figures. */
	attempt_measure(a, r);
	count_outcome(a->queue, kind, r);
	queue_log(a->queue, EVENT_delivery, values, n);
}
