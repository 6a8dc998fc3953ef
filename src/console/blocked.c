/* Of destinations that are left alone, the ones that are so for longest: there may be half a
 * million of them, and nobody reads those. */

#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/limits.h"
#include "console/console.h"

struct place {
	struct heap_entry entry; /* at: for how long */
	struct console_destination d;
};

struct console_blocked {
	struct heap heap; /* the shortest first: it goes for a longer one */
	size_t n;
	struct place v[CONTROL_BLOCKED_MAX];
};

struct console_blocked *console_blocked_new(void)
{
	return base_alloc(sizeof(struct console_blocked));
}

void console_blocked_free(struct console_blocked *b)
{
	if (!b)
		return;
	heap_fini(&b->heap);
	free(b);
}

void console_blocked_add(struct console_blocked *b, const struct console_destination *d)
{
	struct place *to = NULL;

	if (b->n < CONTROL_BLOCKED_MAX)
		to = &b->v[b->n++];
	else if (heap_first(&b->heap)->at < d->blocked_ms)
		to = HEAP_OF(heap_first(&b->heap), struct place, entry);
	if (!to)
		return;
	to->d = *d;
	heap_set(&b->heap, &to->entry, d->blocked_ms);
}

static int longest_first(const void *a, const void *b)
{
	const struct console_destination *x = a, *y = b;

	if (x->blocked_ms != y->blocked_ms)
		return x->blocked_ms > y->blocked_ms ? -1 : 1;
	return str_cmp(x->name, y->name);
}

size_t
console_blocked_take(struct console_blocked *b, struct arena *a, struct console_destination **out)
{
	struct console_destination *v = ARENA_ARRAY(a, b->n + 1, struct console_destination);

	for (size_t i = 0; i < b->n; i++) {
		v[i] = b->v[i].d;
		v[i].name = arena_str(a, v[i].name);
	}
	if (b->n > 0)
		qsort(v, b->n, sizeof(*v), longest_first);
	*out = v;
	return b->n;
}
