/* Evidence: all that was asked, decided, shown and said in an attempt. What attempts share, facts,
 * decision, peer and judgement, is one text for all of them, which the store keeps once; an attempt
 * over a connection that was there adds what was said and how long it took. */

#include "deliver/json.h"
#include "queue/attempt.h"

/* Longer ones are left to the store to find again. */
enum { GROUND_KEPT_MAX = 16 * 1024 };

/* The handle that was made for such a text before, when it is still here. */
static struct store_ground *ground_of(struct queue *q, struct str text)
{
	struct store_ground **at = &q->grounds[str_hash(text) % QUEUE_GROUNDS];

	if (*at && str_eq(store_ground_text(*at), text))
		return store_ground_ref(*at);
	struct store_ground *g = store_ground_new(text);
	if (text.n > GROUND_KEPT_MAX)
		return g;
	store_ground_unref(*at);
	*at = store_ground_ref(g);
	return g;
}

void queue_grounds_forget(struct queue *q)
{
	for (size_t i = 0; i < QUEUE_GROUNDS; i++) {
		store_ground_unref(q->grounds[i]);
		q->grounds[i] = NULL;
	}
}

static void put_recipients(struct json *j, const struct queue_attempt *a)
{
	json_key(j, "recipients");
	json_array(j);
	for (unsigned i = 0; i < a->n; i++) {
		if (!a->rcpts[i].has_outcome)
			continue;
		json_object(j);
		json_put_str(j, "recipient", a->rcpts[i].rcpt->address);
		deliver_outcome_json(j, &a->rcpts[i].outcome);
		json_object_end(j);
	}
	json_array_end(j);
}

static void
put_own(struct json *j, const struct queue_attempt *a, const struct deliver_result *result)
{
	json_object(j);
	json_put_str(j, "configuration", conf_fingerprint(a->site->deliver->conf));
	put_recipients(j, a);
	deliver_own_json(j, result);
	json_object_end(j);
}

void queue_attempt_evidence(struct queue_attempt *a, const struct deliver_result *result)
{
	struct buf text;
	struct json j;

	buf_init(&text, EVIDENCE_MAX);
	json_init(&j, &text, false);
	deliver_ground_json(&j, result);
	if (json_end(&j)) {
		a->ground = ground_of(a->queue, buf_str(&text));
		a->record.ground = a->ground;
	}
	buf_reset(&text);
	json_init(&j, &text, false);
	put_own(&j, a, result);
	a->record.evidence = json_end(&j) ? arena_str(a->arena, buf_str(&text)) : STR("");
	buf_fini(&text);
}
