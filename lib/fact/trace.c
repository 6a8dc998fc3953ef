#include "fact/trace.h"

#include <string.h>

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

void trace_say(struct arena *a, struct trace_step *s, const struct str *words, size_t n)
{
	struct str *copy = ARENA_ARRAY(a, n, struct str);

	for (size_t i = 0; i < n; i++)
		copy[i] = words[i];
	s->words = copy;
	s->n_words = n;
}

/* The words in their places. Returns the length; `out` may be NULL. */
static size_t trace_fill(const struct trace_step *s, char *out)
{
	struct str form = s->words[0];
	size_t n = 0, word = 1;

	for (size_t i = 0; i < form.n; i++) {
		struct str piece = { form.p + i, 1 };
		if (*piece.p == '%') {
			CHECK(word < s->n_words);
			piece = s->words[word++];
		}
		if (out && piece.n)
			memcpy(out + n, piece.p, piece.n);
		n += piece.n;
	}
	CHECK(word == s->n_words);
	return n;
}

struct str trace_text(struct arena *a, const struct trace_step *s)
{
	if (s->n_words < 2)
		return s->n_words ? s->words[0] : STR("");

	char *text = arena_alloc(a, trace_fill(s, NULL));
	return str_span(text, trace_fill(s, text));
}

bool trace_text_add(struct buf *out, const struct trace_step *s)
{
	if (s->n_words < 2)
		return !s->n_words || buf_add(out, s->words[0]);

	size_t n = trace_fill(s, NULL);
	char *text = buf_reserve(out, n);
	if (!text)
		return false;
	buf_filled(out, trace_fill(s, text));
	return true;
}

static void trace_put(struct json *j, const char *key, struct str s)
{
	if (s.n)
		json_put_str(j, key, s);
}

static void trace_step_json(struct json *j, struct arena *a, const struct trace_step *s)
{
	json_object(j);
	json_put_str(j, "kind", trace_kind_name(s->kind));
	json_put_str(j, "code", s->code);
	trace_put(j, "text", trace_text(a, s));
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
	struct arena *a = arena_new();

	json_array(j);
	for (size_t i = 0; i < n; i++)
		trace_step_json(j, a, &v[i]);
	json_array_end(j);
	arena_free(a);
}
