#include "fact/trace.h"

struct str trace_kind_name(enum trace_kind k)
{
	switch (k) {
	case TRACE_QUESTION:
		return STR("question");
	case TRACE_RULE:
		return STR("rule");
	case TRACE_WARNING:
		return STR("warning");
	}
	CHECK(!"trace kind");
	return STR_NONE;
}

static void trace_put(struct json *j, const char *key, struct str s)
{
	if (s.n)
		json_put_str(j, key, s);
}

static void trace_step_json(struct json *j, const struct trace_step *s)
{
	json_object(j);
	json_put_str(j, "kind", trace_kind_name(s->kind));
	json_put_str(j, "code", s->code);
	trace_put(j, "text", s->text);
	trace_put(j, "source", s->source);
	trace_put(j, "key", s->key);
	if (s->kind == TRACE_QUESTION)
		json_put_str(j, "answer", answer_status_name(s->answer));
	trace_put(j, "value", s->value);
	trace_put(j, "file", s->file);
	if (s->line)
		json_put_int(j, "line", s->line);
	json_object_end(j);
}

void trace_json(struct json *j, const struct trace_step *v, size_t n)
{
	json_array(j);
	for (size_t i = 0; i < n; i++)
		trace_step_json(j, &v[i]);
	json_array_end(j);
}
