#include "json/facts.h"

#include "base/limits.h"
#include "json/read.h"

/* What is being read, and where: `path` names the member for messages. */
struct facts_reader {
	struct arena *arena; /* gone when the reading is over */
	struct fact_list *list;
	struct error *e;
};

/* An object, and which of its members have a meaning. */
struct facts_object {
	struct facts_reader *r;
	const struct json_node *node;
	struct str path; /* "[2].answer" */
};

static bool facts_fail(const struct facts_object *o, const char *member, const char *what)
{
	const char *dot = member[0] ? "." : "";

	return error_set(o->r->e, ERROR_DATA, STR_FMT "%s%s: %s", STR_ARG(o->path), dot, member,
			 what);
}

static bool facts_wrong_kind(const struct facts_object *o, const char *member, const char *wanted)
{
	const struct json_node *n = member[0] ? json_member(o->node, str_of(member)) : o->node;
	struct str text = arena_fmt(o->r->arena, "%s is wanted, not %s", wanted,
				    json_kind_name(json_kind_of(n)));

	return facts_fail(o, member, text.p);
}

static bool facts_is_object(const struct facts_object *o)
{
	return json_kind_of(o->node) == JSON_KIND_OBJECT || facts_wrong_kind(o, "", "an object");
}

/* `known` are names separated by blanks. */
static bool facts_knows(struct str known, struct str name)
{
	struct str token;

	while (str_token(&known, STR(" "), &token))
		if (str_eq(token, name))
			return true;
	return false;
}

static bool facts_check_members(const struct facts_object *o, struct str known)
{
	const struct json_node *value;
	struct str name;
	void *at = NULL;

	if (!facts_is_object(o))
		return false;
	while (json_member_next(o->node, &at, &name, &value)) {
		if (facts_knows(known, name))
			continue;
		struct str shown = arena_str(o->r->arena, name);
		return facts_fail(o, shown.p, "there is no such member here");
	}
	return true;
}

static bool facts_has(const struct facts_object *o, const char *member)
{
	return json_member(o->node, str_of(member)) != NULL;
}

/* The readers of members: absent leaves *out as it is, unless it is a must. */

static bool facts_str(const struct facts_object *o, const char *member, struct str *out)
{
	return !facts_has(o, member) || json_get_str(o->node, member, out) ||
	       facts_wrong_kind(o, member, "a string");
}

static bool facts_must_str(const struct facts_object *o, const char *member, struct str *out)
{
	if (!facts_has(o, member))
		return facts_fail(o, member, "missing");
	return facts_str(o, member, out);
}

static bool facts_uint(const struct facts_object *o, const char *member, int64_t max, int64_t *out)
{
	struct str text;

	if (!facts_has(o, member))
		return true;
	if (!json_get_int(o->node, member, out))
		return facts_wrong_kind(o, member, "an integer");
	if (*out >= 0 && *out <= max)
		return true;
	text = arena_fmt(o->r->arena, "outside 0 to %lld", (long long)max);
	return facts_fail(o, member, text.p);
}

static bool facts_bool(const struct facts_object *o, const char *member, bool *out)
{
	return !facts_has(o, member) || json_get_bool(o->node, member, out) ||
	       facts_wrong_kind(o, member, "true or false");
}

static bool
facts_array(const struct facts_object *o, const char *member, const struct json_node **out)
{
	*out = json_member(o->node, str_of(member));
	if (*out == NULL)
		return facts_fail(o, member, "missing");
	return json_kind_of(*out) == JSON_KIND_ARRAY || facts_wrong_kind(o, member, "an array");
}

static bool facts_status(const struct facts_object *o, enum answer_status *out)
{
	struct str text = STR("");

	if (!facts_must_str(o, "status", &text))
		return false;
	return answer_status_from(text, out) ||
	       facts_fail(o, "status", "neither found, none nor failed");
}

/* dnssec, ttl and failure, which an answer and each family of it have. */
static bool facts_origin(const struct facts_object *o, enum answer_status status,
			 enum dnssec_status *dnssec, uint32_t *ttl, struct str *failure)
{
	struct str text = STR("unchecked");
	int64_t seconds = 0;

	if (!facts_str(o, "dnssec", &text) || !facts_uint(o, "ttl", UINT32_MAX, &seconds) ||
	    !facts_str(o, "failure", failure))
		return false;
	*ttl = (uint32_t)seconds;
	if (!dnssec_status_from(text, dnssec))
		return facts_fail(o, "dnssec", "neither unchecked, insecure, secure nor bogus");
	if (status != ANSWER_FAILED && facts_has(o, "failure"))
		return facts_fail(o, "failure", "the status is not failed");
	return true;
}

/* A member that says what was found, where nothing was. */
static bool
facts_check_found(const struct facts_object *o, enum answer_status status, const char *member)
{
	if (status == ANSWER_FOUND || !facts_has(o, member))
		return true;
	return facts_fail(o, member, "the status is not found");
}

static bool facts_table(const struct facts_object *o, struct answer *answer)
{
	int64_t line = 0;

	if (!facts_check_members(
		    o, STR("status dnssec ttl nxdomain failure value source file line")) ||
	    !facts_check_found(o, answer->status, "value") ||
	    !facts_str(o, "source", &answer->source) || !facts_str(o, "file", &answer->file) ||
	    !facts_uint(o, "line", UINT32_MAX, &line))
		return false;
	answer->line = (unsigned)line;
	return answer->status != ANSWER_FOUND || facts_must_str(o, "value", &answer->value);
}

static bool facts_trust_anchors(const struct facts_object *o, struct answer *answer)
{
	uint64_t count;

	if (!facts_check_members(o, STR("status dnssec ttl nxdomain failure value")) ||
	    !facts_check_found(o, answer->status, "value"))
		return false;
	if (answer->status != ANSWER_FOUND)
		return true;
	if (!facts_must_str(o, "value", &answer->value))
		return false;
	return (str_to_u64(answer->value, &count) && count > 0) ||
	       facts_fail(o, "value", "no number of certificates and keys");
}

static struct facts_object facts_item(const struct facts_object *o, const char *member,
				      const struct json_node *array, size_t i)
{
	return (struct facts_object){
		.r = o->r,
		.node = json_item(array, i),
		.path = arena_fmt(o->r->arena, STR_FMT ".%s[%zu]", STR_ARG(o->path), member, i),
	};
}

static bool facts_mx_record(const struct facts_object *o, struct mx_record *out)
{
	int64_t preference = 0;

	if (!facts_check_members(o, STR("preference host")) ||
	    !facts_uint(o, "preference", UINT16_MAX, &preference) ||
	    !facts_must_str(o, "host", &out->host))
		return false;
	out->preference = (uint16_t)preference;
	return facts_has(o, "preference") || facts_fail(o, "preference", "missing");
}

static bool facts_mx(const struct facts_object *o, struct str name, struct answer *answer)
{
	const struct json_node *array;

	answer->canonical = name;
	if (!facts_check_members(o, STR("status dnssec ttl nxdomain failure canonical mx")) ||
	    !facts_str(o, "canonical", &answer->canonical) ||
	    !facts_check_found(o, answer->status, "mx"))
		return false;
	if (answer->status != ANSWER_FOUND)
		return true;
	if (!facts_array(o, "mx", &array))
		return false;

	struct mx_record *v = ARENA_ARRAY(o->r->arena, json_count(array), struct mx_record);
	answer->mx = v;
	answer->n_mx = json_count(array);
	for (size_t i = 0; i < answer->n_mx; i++) {
		struct facts_object item = facts_item(o, "mx", array, i);
		if (!facts_mx_record(&item, &v[i]))
			return false;
	}
	return true;
}

static bool facts_address(const struct facts_object *o, struct address *out)
{
	struct str text;

	if (!json_get_str(o->node, "", &text))
		return facts_wrong_kind(o, "", "a string");
	return address_parse(text, out) || facts_fail(o, "", "this is no IPv4 or IPv6 address");
}

static bool facts_addresses(const struct facts_object *o, struct answer *answer)
{
	const struct json_node *array;

	if (!facts_array(o, "addresses", &array))
		return false;
	struct address *v = ARENA_ARRAY(o->r->arena, json_count(array), struct address);
	answer->addresses = v;
	answer->n_addresses = json_count(array);
	for (size_t i = 0; i < answer->n_addresses; i++) {
		struct facts_object item = facts_item(o, "addresses", array, i);
		if (!facts_address(&item, &v[i]))
			return false;
	}
	return true;
}

static bool
facts_family(const struct facts_object *o, const char *member, struct address_answer *out)
{
	struct facts_object family = {
		.r = o->r,
		.node = json_member(o->node, str_of(member)),
		.path = arena_fmt(o->r->arena, STR_FMT ".%s", STR_ARG(o->path), member),
	};

	if (family.node == NULL)
		return true;
	out->is_asked = true;
	return facts_check_members(&family, STR("status dnssec ttl failure")) &&
	       facts_status(&family, &out->status) &&
	       facts_origin(&family, out->status, &out->dnssec, &out->ttl, &out->failure);
}

static bool facts_host(const struct facts_object *o, struct str name, struct answer *answer)
{
	answer->canonical = name;
	if (!facts_check_members(o, STR("status dnssec ttl nxdomain failure canonical addresses "
					"ipv4 ipv6")) ||
	    !facts_check_found(o, answer->status, "addresses") ||
	    !facts_str(o, "canonical", &answer->canonical) ||
	    !facts_family(o, "ipv4", &answer->family[ADDRESS_V4]) ||
	    !facts_family(o, "ipv6", &answer->family[ADDRESS_V6]))
		return false;
	return answer->status != ANSWER_FOUND || facts_addresses(o, answer);
}

static bool
facts_answer(const struct facts_object *o, const struct question *q, struct answer *answer)
{
	if (!facts_is_object(o) || !facts_status(o, &answer->status) ||
	    !facts_origin(o, answer->status, &answer->dnssec, &answer->ttl, &answer->failure) ||
	    !facts_bool(o, "nxdomain", &answer->is_nxdomain))
		return false;
	if (answer->is_nxdomain && answer->status != ANSWER_NONE)
		return facts_fail(o, "nxdomain", "the status is not none");
	switch (q->kind) {
	case QUESTION_TABLE:
		return facts_table(o, answer);
	case QUESTION_TRUST_ANCHORS:
		return facts_trust_anchors(o, answer);
	case QUESTION_MX:
		return facts_mx(o, q->name, answer);
	case QUESTION_ADDRESS:
	case QUESTION_NATIVE:
		return facts_host(o, q->name, answer);
	case QUESTION_POINTER:
		break;
	}
	CHECK(!"question kind");
	return false;
}

static bool facts_question(const struct facts_object *o, struct question *q)
{
	struct str kind;

	if (!facts_check_members(o, STR("kind table name partial")) ||
	    !facts_must_str(o, "kind", &kind) || !facts_must_str(o, "name", &q->name) ||
	    !facts_bool(o, "partial", &q->is_partial))
		return false;
	if (!question_kind_from(kind, &q->kind))
		return facts_fail(o, "kind",
				  "neither table, mx, address, native nor trust-anchors");
	if (q->kind == QUESTION_TABLE)
		return facts_must_str(o, "table", &q->table);
	if (q->is_partial)
		return facts_fail(o, "partial", "this question asks no table");
	return !facts_has(o, "table") || facts_fail(o, "table", "this question asks no table");
}

static bool
facts_part(const struct facts_object *fact, const char *member, struct facts_object *part)
{
	*part = (struct facts_object){
		.r = fact->r,
		.node = json_member(fact->node, str_of(member)),
		.path = arena_fmt(fact->r->arena, STR_FMT ".%s", STR_ARG(fact->path), member),
	};
	return part->node != NULL || facts_fail(fact, member, "missing");
}

static bool facts_fact(struct facts_reader *r, const struct json_node *node, size_t i)
{
	struct facts_object fact = { .r = r,
				     .node = node,
				     .path = arena_fmt(r->arena, "[%zu]", i) };
	struct facts_object question, answer;
	struct fact f = { .answer = { .failure = STR("") } };

	if (!facts_check_members(&fact, STR("question answer")) ||
	    !facts_part(&fact, "question", &question) || !facts_part(&fact, "answer", &answer) ||
	    !facts_question(&question, &f.question) ||
	    !facts_answer(&answer, &f.question, &f.answer))
		return false;
	if (fact_find(fact_list_set(r->list), &f.question) != NULL)
		return facts_fail(&question, "", "the same question stands before");
	fact_list_add(r->list, &f.question, &f.answer);
	return true;
}

static bool facts_all(struct facts_reader *r, const struct json_node *root)
{
	if (json_kind_of(root) != JSON_KIND_ARRAY)
		return error_set(r->e, ERROR_DATA, "facts are an array, not %s",
				 json_kind_name(json_kind_of(root)));
	for (size_t i = 0; i < json_count(root); i++)
		if (!facts_fact(r, json_item(root, i), i))
			return false;
	return true;
}

bool facts_read_array(const struct json_node *array, struct fact_list *facts, struct error *e)
{
	struct facts_reader r = { .arena = arena_new(), .list = facts, .e = e };
	bool is_read = facts_all(&r, array);

	arena_free(r.arena);
	return is_read;
}

bool facts_read(struct str text, struct fact_list *facts, struct error *e)
{
	if (text.n > FACTS_FILE_MAX)
		return error_set(e, ERROR_LIMIT, "longer than %d octets", FACTS_FILE_MAX);

	struct json_doc *doc = json_doc_new(text, e);
	if (doc == NULL)
		return false;
	bool is_read = facts_read_array(json_doc_root(doc), facts, e);
	json_doc_free(doc);
	return is_read;
}
