/* The earliest of many times: an intrusive binary heap. */

#ifndef HOPSEAL_BASE_HEAP_H
#define HOPSEAL_BASE_HEAP_H

#include "base/base.h"

/* Inside what waits. All zero: it waits for nothing. */
struct heap_entry {
	uint64_t at;
	size_t place; /* from 1; 0: not in a heap */
};

#define HEAP_OF(entry, type, member) ((type *)(void *)((char *)(entry)-offsetof(type, member)))

struct heap {
	struct heap_entry **v;
	size_t n, room;
};

void heap_fini(struct heap *h); /* of an all-zero heap, too; forgets the entries */

/* Puts the entry in, or moves it. UINT64_MAX takes it out. */
void heap_set(struct heap *h, struct heap_entry *e, uint64_t at);
/* NULL when the heap is empty. */
struct heap_entry *heap_first(const struct heap *h);

#endif
