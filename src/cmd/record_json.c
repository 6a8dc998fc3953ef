#include "cmd/record.h"

#include "deliver/json.h"

static void put_int_or_null(struct json *j, const char *key, bool has, size_t value)
{
	json_key(j, key);
	if (has)
		json_int(j, (int64_t)value);
	else
		json_null(j);
}

static size_t delivery_index(const struct record *r, const struct deliver_result *d)
{
	size_t i = 0;

	while (r->deliveries[i] != d)
		i++;
	return i;
}

static void put_rcpt(struct json *j, const struct record *r, const struct record_rcpt *p)
{
	const struct deliver_result *d = p->delivery;
	const struct deliver_rcpt *rcpt = d ? &d->rcpts[p->index] : NULL;

	json_object(j);
	json_put_str(j, "recipient", p->route.recipient);
	deliver_outcome_json(j, &p->outcome);
	json_key(j, "route");
	route_json(j, &p->route);
	json_put_bool(j, "fate_unknown", rcpt && rcpt->is_fate_unknown);
	put_int_or_null(j, "delivery", d, d ? delivery_index(r, d) : 0);
	put_int_or_null(j, "try", rcpt && rcpt->has_try, rcpt ? rcpt->try : 0);
	json_key(j, "facts");
	fact_set_json(j, p->facts);
	json_object_end(j);
}

static void put_summary(struct json *j, const struct record *r)
{
	int64_t count[OUTCOME_BOUNCED + 1] = { 0 };

	for (size_t i = 0; i < r->n_rcpts; i++)
		count[r->rcpts[i].outcome.kind]++;
	json_key(j, "summary");
	json_object(j);
	json_put_int(j, "delivered", count[OUTCOME_DELIVERED]);
	json_put_int(j, "deferred", count[OUTCOME_DEFERRED]);
	json_put_int(j, "bounced", count[OUTCOME_BOUNCED]);
	json_object_end(j);
}

void record_json(struct json *j, const struct record *r)
{
	json_object(j);
	json_put_str(j, "schema", STR("hopseal.send"));
	json_put_int(j, "version", 1);
	json_put_str(j, "sender", r->sender);
	json_put_str(j, "configuration", r->conf_fingerprint);
	json_key(j, "recipients");
	json_array(j);
	for (size_t i = 0; i < r->n_rcpts; i++)
		put_rcpt(j, r, &r->rcpts[i]);
	json_array_end(j);
	json_key(j, "deliveries");
	json_array(j);
	for (size_t i = 0; i < r->n_deliveries; i++)
		deliver_result_json(j, r->deliveries[i]);
	json_array_end(j);
	put_summary(j, r);
	json_put_int(j, "exit", r->exit_code);
	json_object_end(j);
}
