#include "fact/fact.h"

#include <string.h>

bool question_eq(const struct question *a, const struct question *b)
{
	return a->kind == b->kind && str_eq(a->name, b->name) &&
	       (a->kind != QUESTION_TABLE ||
		(str_eq(a->table, b->table) && a->is_partial == b->is_partial));
}

const struct answer *fact_find(struct fact_set set, const struct question *q)
{
	for (size_t i = 0; i < set.n; i++)
		if (question_eq(&set.v[i].question, q))
			return &set.v[i].answer;
	return NULL;
}

static const struct mx_record *answer_copy_mx(struct arena *a, const struct answer *from)
{
	struct mx_record *v = ARENA_ARRAY(a, from->n_mx, struct mx_record);

	for (size_t i = 0; i < from->n_mx; i++)
		v[i] = (struct mx_record){ from->mx[i].preference, arena_str(a, from->mx[i].host) };
	return v;
}

static const struct address *answer_copy_addresses(struct arena *a, const struct answer *from)
{
	struct address *v = ARENA_ARRAY(a, from->n_addresses, struct address);

	for (size_t i = 0; i < from->n_addresses; i++)
		v[i] = from->addresses[i];
	return v;
}

struct answer answer_copy(struct arena *a, const struct answer *from)
{
	struct answer to = *from;

	to.failure = arena_str(a, from->failure);
	to.value = arena_str(a, from->value);
	to.source = arena_str(a, from->source);
	to.file = arena_str(a, from->file);
	to.canonical = arena_str(a, from->canonical);
	to.mx = answer_copy_mx(a, from);
	to.addresses = answer_copy_addresses(a, from);
	for (size_t i = 0; i < ARRAY_LEN(to.family); i++)
		to.family[i].failure = arena_str(a, from->family[i].failure);
	return to;
}

struct fact_list {
	struct arena *arena;
	struct fact *v;
	size_t n, size;
};

struct fact_list *fact_list_new(struct arena *a)
{
	struct fact_list *l = ARENA_NEW(a, struct fact_list);

	l->arena = a;
	return l;
}

static void fact_list_grow(struct fact_list *l)
{
	size_t size = l->size ? l->size * 2 : 8;
	struct fact *v = ARENA_ARRAY(l->arena, size, struct fact);

	if (l->n)
		memcpy(v, l->v, l->n * sizeof(*v));
	l->v = v;
	l->size = size;
}

void fact_list_add(struct fact_list *l, const struct question *q, const struct answer *answer)
{
	if (l->n == l->size)
		fact_list_grow(l);
	l->v[l->n++] = (struct fact){
		.question = { q->kind, arena_str(l->arena, q->table), arena_str(l->arena, q->name),
			      q->is_partial },
		.answer = answer_copy(l->arena, answer),
	};
}

struct fact_set fact_list_set(const struct fact_list *l)
{
	return (struct fact_set){ l->v, l->n };
}
