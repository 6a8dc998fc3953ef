/* Content files of notes whose commit failed. What was written to the log then may be believed by
 * who opens it next, when this process is killed before it writes there again: the message would be
 * back, and its file gone. So the file is held until a later commit has written over what failed;
 * when none comes, the next start sees whether there is a message. The writer's thread. */

#include <stdlib.h>

#include "store/room.h"

static void add(struct store *s, struct store_content *c)
{
	if (s->n_doubts == s->size_doubts) {
		s->size_doubts = s->size_doubts ? 2 * s->size_doubts : 16;
		s->doubts =
			base_realloc(s->doubts, s->size_doubts * sizeof(struct store_content *));
	}
	s->doubts[s->n_doubts++] = store_content_ref(c);
}

void store_doubt_add(struct store *s, const struct note *first)
{
	for (const struct note *n = first; n; n = note_next(n))
		if (n->content && n->content->path)
			add(s, n->content);
}

void store_doubt_clear(struct store *s)
{
	while (s->n_doubts > 0)
		store_content_unref(s->doubts[--s->n_doubts]);
}

void store_doubt_fini(struct store *s)
{
	for (size_t i = 0; i < s->n_doubts; i++)
		s->doubts[i]->is_kept = true;
	store_doubt_clear(s);
	free(s->doubts);
}
