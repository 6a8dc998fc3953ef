/* What probes are told. Strangers may ask for them, so a probe costs the disk a write only when
 * nothing that was written of late says the same. The writer's thread. */

#include "os/os.h"
#include "store/room.h"

enum { PROBE_AGE_MS = 1000 };

/* Other notes may have found nothing to write, or have gone into the room that is kept back for
 * them. */
static bool is_proof(const struct note *n)
{
	return n->kind == NOTE_ACCEPT || n->kind == NOTE_PROBE;
}

bool store_has_proof(const struct note *first)
{
	while (first && !is_proof(first))
		first = note_next(first);
	return first != NULL;
}

void store_probe_learn(struct store *s, const struct note *first, enum store_fault fault,
		       const struct error *e, uint64_t since)
{
	struct store_proof *p = &s->proof;

	if (fault == STORE_BUSY || fault == STORE_REFUSED ||
	    (fault == STORE_DONE && !store_has_proof(first)))
		return;
	p->is_known = true;
	p->since = since;
	p->fault = fault;
	if (fault != STORE_DONE)
		p->e = *e;
}

static bool is_fresh(const struct store *s)
{
	uint64_t age = s->probe_age_ms > 0 ? s->probe_age_ms : PROBE_AGE_MS;

	return s->proof.is_known && os_now_ms() - s->proof.since < age;
}

static void answer(const struct store *s, struct note *n)
{
	if (s->proof.fault == STORE_DONE)
		note_return(n);
	else
		note_fail(n, s->proof.fault, error_text(&s->proof.e));
}

struct note *store_probe_answer(struct store *s, struct note *first)
{
	struct net_note *left = NULL, **last = &left;
	struct note *next;

	if (!is_fresh(s))
		return first;
	for (struct note *n = first; n; n = next) {
		next = note_next(n);
		n->link.next = NULL;
		if (n->kind == NOTE_PROBE) {
			answer(s, n);
		} else {
			*last = &n->link;
			last = &n->link.next;
		}
	}
	return left ? note_of(left) : NULL;
}
