#include "route/walk.h"

#include <string.h>

struct route_walk
route_walk_new(struct arena *a, const struct route_config *cfg, struct fact_set facts)
{
	return (struct route_walk){ .a = a, .cfg = cfg, .facts = facts };
}

void *route_grow(struct arena *a, void *v, size_t n, size_t *size, size_t octets)
{
	if (n < *size)
		return v;
	*size = *size ? *size * 2 : 8;
	void *bigger = arena_array(a, *size, octets);
	if (n)
		memcpy(bigger, v, n * octets);
	return bigger;
}

static bool route_is_asked(const struct route_walk *w, const struct question *q)
{
	for (size_t i = 0; i < w->n_asks; i++)
		if (question_eq(&w->asks[i], q))
			return true;
	return false;
}

const struct answer *route_know(struct route_walk *w, const struct question *q)
{
	const struct answer *answer = fact_find(w->facts, q);

	if (answer)
		return answer;
	if (!route_is_asked(w, q) && w->n_asks < ROUTE_ASKS_MAX) {
		w->asks = route_grow(w->a, w->asks, w->n_asks, &w->size_asks, sizeof(*w->asks));
		w->asks[w->n_asks++] = *q;
	}
	return NULL;
}

static struct trace_step *route_add(struct route_walk *w, enum trace_kind kind, struct str code)
{
	w->trace = route_grow(w->a, w->trace, w->n_trace, &w->size_trace, sizeof(*w->trace));
	struct trace_step *s = &w->trace[w->n_trace++];
	*s = (struct trace_step){ .kind = kind, .code = code };
	return s;
}

struct trace_step *
route_note(struct route_walk *w, enum trace_kind kind, struct str code, const char *fmt, ...)
{
	struct trace_step *s = route_add(w, kind, code);
	va_list ap;

	va_start(ap, fmt);
	struct str text = arena_vfmt(w->a, fmt, ap);
	va_end(ap);
	trace_say(w->a, s, &text, 1);
	return s;
}

struct trace_step *
route_note_param(struct route_walk *w, struct str code, enum conf_id id, const char *fmt, ...)
{
	struct trace_step *s = route_add(w, TRACE_RULE, code);
	va_list ap;

	va_start(ap, fmt);
	struct str text = arena_vfmt(w->a, fmt, ap);
	va_end(ap);
	trace_say(w->a, s, &text, 1);
	s->key = conf_name(id);
	s->value = conf_text(w->cfg->conf, id);
	s->file = conf_file(w->cfg->conf, id);
	s->line = conf_line(w->cfg->conf, id);
	return s;
}

static struct str
route_table_text(struct arena *a, const struct question *q, const struct answer *answer)
{
	switch (answer->status) {
	case ANSWER_FOUND:
		return arena_fmt(a, STR_FMT " has \"" STR_FMT "\": " STR_FMT, STR_ARG(q->table),
				 STR_ARG(q->name), STR_ARG(answer->value));
	case ANSWER_NONE:
		return arena_fmt(a, STR_FMT " has no \"" STR_FMT "\"", STR_ARG(q->table),
				 STR_ARG(q->name));
	case ANSWER_FAILED:
		return arena_fmt(a, "the lookup of \"" STR_FMT "\" in " STR_FMT " failed: " STR_FMT,
				 STR_ARG(q->name), STR_ARG(q->table), STR_ARG(answer->failure));
	}
	CHECK(!"answer status");
	return STR_NONE;
}

struct trace_step *route_note_table(struct route_walk *w, struct str code, const struct question *q,
				    const struct answer *answer)
{
	struct trace_step *s = route_add(w, TRACE_QUESTION, code);

	struct str text = route_table_text(w->a, q, answer);

	trace_say(w->a, s, &text, 1);
	s->source = answer->source.n ? answer->source : q->table;
	s->key = q->name;
	s->value = answer->value;
	s->file = answer->file;
	s->line = answer->line;
	s->answer = answer->status;
	return s;
}

void route_decided(struct route_walk *w)
{
	CHECK(w->n_trace > 0);
	w->deciding = w->n_trace - 1;
}

struct route_asks route_walk_asks(const struct route_walk *w)
{
	return (struct route_asks){ w->asks, w->n_asks };
}

struct route_trace route_walk_trace(const struct route_walk *w)
{
	return (struct route_trace){ w->trace, w->n_trace, w->deciding };
}

struct outcome route_outcome(enum outcome_kind kind, struct status status, struct str reason)
{
	return (struct outcome){ .kind = kind, .status = status, .reason = reason };
}
