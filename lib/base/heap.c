#include "base/heap.h"

#include <stdlib.h>

static void heap_put(struct heap *h, size_t place, struct heap_entry *e)
{
	h->v[place - 1] = e;
	e->place = place;
}

static void heap_up(struct heap *h, struct heap_entry *e)
{
	size_t place = e->place;

	while (place > 1 && h->v[place / 2 - 1]->at > e->at) {
		heap_put(h, place, h->v[place / 2 - 1]);
		place /= 2;
	}
	heap_put(h, place, e);
}

static void heap_down(struct heap *h, struct heap_entry *e)
{
	size_t place = e->place;

	for (;;) {
		size_t child = place * 2;
		if (child < h->n && h->v[child]->at < h->v[child - 1]->at)
			child++;
		if (child > h->n || h->v[child - 1]->at >= e->at)
			break;
		heap_put(h, place, h->v[child - 1]);
		place = child;
	}
	heap_put(h, place, e);
}

static void heap_add(struct heap *h, struct heap_entry *e)
{
	if (h->n == h->room) {
		h->room = h->room ? h->room * 2 : 64;
		h->v = base_realloc(h->v, h->room * sizeof(struct heap_entry *));
	}
	heap_put(h, ++h->n, e);
}

static void heap_remove(struct heap *h, struct heap_entry *e)
{
	struct heap_entry *last = h->v[--h->n];

	if (last != e) {
		heap_put(h, e->place, last);
		heap_up(h, last);
		heap_down(h, last);
	}
	e->place = 0;
}

void heap_set(struct heap *h, struct heap_entry *e, uint64_t at)
{
	if (at == UINT64_MAX) {
		if (e->place)
			heap_remove(h, e);
		return;
	}
	e->at = at;
	if (!e->place)
		heap_add(h, e);
	heap_up(h, e);
	heap_down(h, e);
}

struct heap_entry *heap_first(const struct heap *h)
{
	return h->n ? h->v[0] : NULL;
}

void heap_fini(struct heap *h)
{
	free(h->v);
	*h = (struct heap){ 0 };
}
