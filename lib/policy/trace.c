#include "policy/trace.h"

#define TRACE_RULES 72 /* more rules and questions than one decision can hold */

/* Peers do not choose how many warnings there are, but a list of ten thousand malformed
 * fingerprints in main.cf would. */
static bool is_full(const struct policy_trace *t, enum trace_kind kind)
{
	size_t max = kind == TRACE_WARNING ? POLICY_TRACE_MAX - TRACE_RULES : POLICY_TRACE_MAX;

	return t->n >= max;
}

static void grow(struct policy_trace *t)
{
	struct trace_step *v;
	size_t size = t->size ? t->size * 2 : 8;

	v = ARENA_ARRAY(t->a, size, struct trace_step);
	for (size_t i = 0; i < t->n; i++)
		v[i] = t->v[i];
	t->v = v;
	t->size = size;
}

static struct trace_step *next_step(struct policy_trace *t, enum trace_kind kind, struct str code)
{
	struct trace_step *s;

	if (is_full(t, kind)) {
		CHECK(kind == TRACE_WARNING);
		s = ARENA_NEW(t->a, struct trace_step);
	} else {
		if (t->n == t->size)
			grow(t);
		s = &t->v[t->n++];
	}
	*s = (struct trace_step){ .kind = kind, .code = code };
	return s;
}

struct trace_step *policy_trace_add(struct policy_trace *t, enum trace_kind kind, struct str code,
				    const char *fmt, ...)
{
	struct trace_step *s = next_step(t, kind, code);
	va_list ap;

	va_start(ap, fmt);
	s->text = arena_vfmt(t->a, fmt, ap);
	va_end(ap);
	return s;
}

struct trace_step *policy_trace_param(struct policy_trace *t, enum trace_kind kind, struct str code,
				      const struct conf *conf, enum conf_id id)
{
	struct trace_step *s = next_step(t, kind, code);

	s->key = conf_name(id);
	s->file = conf_file(conf, id);
	s->line = conf_line(conf, id);
	return s;
}

struct str policy_trace_answer_words(struct arena *a, const struct answer *answer)
{
	switch (answer->status) {
	case ANSWER_FOUND:
		return arena_fmt(a, "has the entry " STR_FMT, STR_ARG(answer->value));
	case ANSWER_NONE:
		return STR("has no entry");
	case ANSWER_FAILED:
		break;
	}
	return arena_fmt(a, "could not be looked up: " STR_FMT, STR_ARG(answer->failure));
}
