/* The canonical JSON of facts: docs/reference/facts.md. */

#include "fact/fact.h"

static void fact_put_text(struct json *j, const char *key, struct str s)
{
	if (s.n)
		json_put_str(j, key, s);
}

static void fact_put_origin(struct json *j, enum dnssec_status dnssec, uint32_t ttl)
{
	if (dnssec != DNSSEC_UNCHECKED)
		json_put_str(j, "dnssec", dnssec_status_name(dnssec));
	if (ttl)
		json_put_int(j, "ttl", ttl);
}

static void fact_put_failure(struct json *j, enum answer_status status, struct str failure)
{
	if (status == ANSWER_FAILED)
		fact_put_text(j, "failure", failure);
}

static void fact_put_question(struct json *j, const struct question *q)
{
	json_key(j, "question");
	json_object(j);
	json_put_str(j, "kind", question_kind_name(q->kind));
	if (q->kind == QUESTION_TABLE)
		json_put_str(j, "table", q->table);
	json_put_str(j, "name", q->name);
	if (q->is_partial)
		json_put_bool(j, "partial", true);
	json_object_end(j);
}

static void fact_put_table(struct json *j, const struct answer *answer)
{
	if (answer->status == ANSWER_FOUND)
		json_put_str(j, "value", answer->value);
	fact_put_text(j, "source", answer->source);
	fact_put_text(j, "file", answer->file);
	if (answer->line)
		json_put_int(j, "line", answer->line);
}

static void fact_put_canonical(struct json *j, const struct fact *f)
{
	if (!str_eq(f->answer.canonical, f->question.name))
		fact_put_text(j, "canonical", f->answer.canonical);
}

static void fact_put_mx(struct json *j, const struct fact *f)
{
	const struct answer *answer = &f->answer;

	fact_put_canonical(j, f);
	if (answer->status != ANSWER_FOUND)
		return;
	json_key(j, "mx");
	json_array(j);
	for (size_t i = 0; i < answer->n_mx; i++) {
		json_object(j);
		json_put_int(j, "preference", answer->mx[i].preference);
		json_put_str(j, "host", answer->mx[i].host);
		json_object_end(j);
	}
	json_array_end(j);
}

static void fact_put_addresses(struct json *j, const struct answer *answer)
{
	struct arena *a = arena_new();

	json_key(j, "addresses");
	json_array(j);
	for (size_t i = 0; i < answer->n_addresses; i++)
		json_str(j, address_text(a, &answer->addresses[i]));
	json_array_end(j);
	arena_free(a);
}

static void fact_put_family(struct json *j, const char *key, const struct address_answer *family)
{
	if (!family->is_asked)
		return;
	json_key(j, key);
	json_object(j);
	json_put_str(j, "status", answer_status_name(family->status));
	fact_put_origin(j, family->dnssec, family->ttl);
	fact_put_failure(j, family->status, family->failure);
	json_object_end(j);
}

static void fact_put_host(struct json *j, const struct fact *f)
{
	const struct answer *answer = &f->answer;

	fact_put_canonical(j, f);
	if (answer->status == ANSWER_FOUND)
		fact_put_addresses(j, answer);
	fact_put_family(j, "ipv4", &answer->family[ADDRESS_V4]);
	fact_put_family(j, "ipv6", &answer->family[ADDRESS_V6]);
}

static void fact_put_answer(struct json *j, const struct fact *f)
{
	const struct answer *answer = &f->answer;

	json_key(j, "answer");
	json_object(j);
	json_put_str(j, "status", answer_status_name(answer->status));
	fact_put_origin(j, answer->dnssec, answer->ttl);
	if (answer->is_nxdomain)
		json_put_bool(j, "nxdomain", true);
	fact_put_failure(j, answer->status, answer->failure);
	switch (f->question.kind) {
	case QUESTION_TABLE:
		fact_put_table(j, answer);
		break;
	case QUESTION_TRUST_ANCHORS:
		fact_put_table(j, answer);
		break;
	case QUESTION_MX:
		fact_put_mx(j, f);
		break;
	case QUESTION_ADDRESS:
	case QUESTION_NATIVE:
		fact_put_host(j, f);
		break;
	case QUESTION_POINTER:
		break;
	}
	json_object_end(j);
}

void fact_json(struct json *j, const struct fact *f)
{
	json_object(j);
	fact_put_question(j, &f->question);
	fact_put_answer(j, f);
	json_object_end(j);
}

void fact_set_json(struct json *j, struct fact_set set)
{
	json_array(j);
	for (size_t i = 0; i < set.n; i++)
		fact_json(j, &set.v[i]);
	json_array_end(j);
}
