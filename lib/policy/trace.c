#include "policy/trace.h"

#define TRACE_RULES 84 /* more rules and questions than one decision can hold */

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

struct trace_step *policy_trace_words(struct policy_trace *t, enum trace_kind kind, struct str code,
				      const struct str *words, size_t n)
{
	struct trace_step *s = next_step(t, kind, code);

	trace_say(t->a, s, words, n);
	return s;
}

void policy_trace_param(struct trace_step *s, const struct conf *conf, enum conf_id id)
{
	s->key = conf_name_in(conf, id);
	s->file = conf_file(conf, id);
	s->line = conf_line(conf, id);
}

static struct trace_step *add_answer(struct policy_trace *t, const struct policy_lookup *l)
{
	const struct answer *answer = l->answer;

	switch (answer->status) {
	case ANSWER_FOUND:
		return policy_trace_add(t, TRACE_QUESTION, l->code, STR("% \"%\" has the entry %"),
					l->what, l->key, answer->value);
	case ANSWER_NONE:
		return policy_trace_add(t, TRACE_QUESTION, l->code, STR("% \"%\" has no entry"),
					l->what, l->key);
	case ANSWER_FAILED:
		break;
	}
	return policy_trace_add(t, TRACE_QUESTION, l->code,
				STR("% \"%\" could not be looked up: %"), l->what, l->key,
				answer->failure);
}

void policy_trace_lookup(struct policy_trace *t, const struct policy_lookup *l)
{
	struct trace_step *s = add_answer(t, l);

	s->key = l->key;
	s->value = l->answer->value;
	s->source = l->answer->source.n ? l->answer->source : l->table;
	s->file = l->answer->file;
	s->line = l->answer->line;
	s->answer = l->answer->status;
}
