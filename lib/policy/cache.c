/* A table of sets: a subject's hash says in which few places it may be, and the one that was not
 * used for longest makes room. */

#include "policy/cache.h"

#include <stdlib.h>

#define WAYS 4
#define SETS (POLICY_CACHE_MAX / WAYS)

struct policy_cache {
	const struct policy_config *cfg;
	uint64_t version;
	/* the places of a set in the order of their last use */
	struct policy_kept *sets[SETS][WAYS];
};

/* ---- what is kept ---- */

struct policy_kept *policy_kept_ref(struct policy_kept *k)
{
	k->refs++;
	return k;
}

void policy_kept_unref(struct policy_kept *k)
{
	if (k && --k->refs == 0)
		arena_free(k->arena);
}

static struct policy_kept *kept_new(const struct policy_subject *s)
{
	struct arena *a = arena_new();
	struct policy_kept *k = ARENA_NEW(a, struct policy_kept);

	k->refs = 1;
	k->arena = a;
	k->subject = *s;
	k->subject.nexthop = arena_str(a, s->nexthop);
	k->subject.host = arena_str(a, s->host);
	k->facts = fact_list_new(a);
	return k;
}

static bool is_lasting(const struct question *q, const struct answer *answer)
{
	return q->kind == QUESTION_TABLE && answer->status != ANSWER_FAILED;
}

/* False: this decision is not for keeping. */
static bool decide(struct policy_kept *k, const struct policy_config *cfg, struct fact_set facts)
{
	for (;;) {
		struct policy_step step =
			policy_step(k->arena, cfg, &k->subject, fact_list_set(k->facts));
		const struct answer *answer;

		if (step.kind == POLICY_DECIDED) {
			k->decision = step.u.decided;
			return arena_used(k->arena) <= POLICY_CACHE_ENTRY_MAX;
		}
		answer = fact_find(facts, &step.u.ask);
		if (!answer || !is_lasting(&step.u.ask, answer))
			return false;
		fact_list_add(k->facts, &step.u.ask, answer);
	}
}

/* ---- the places ---- */

static bool subject_eq(const struct policy_subject *a, const struct policy_subject *b)
{
	return a->port == b->port && a->has_tls_required_no == b->has_tls_required_no &&
	       str_eq(a->host, b->host) && str_eq(a->nexthop, b->nexthop);
}

static struct policy_kept **set_of(struct policy_cache *c, const struct policy_subject *s)
{
	uint64_t h = str_hash(s->nexthop) * 31 + str_hash(s->host);

	return c->sets[(h ^ h >> 32) % SETS];
}

/* The place at `i` becomes the first one of its set. */
static void use(struct policy_kept **set, size_t i)
{
	struct policy_kept *k = set[i];

	for (; i > 0; i--)
		set[i] = set[i - 1];
	set[0] = k;
}

static struct policy_kept *find(struct policy_kept **set, const struct policy_subject *s)
{
	for (size_t i = 0; i < WAYS && set[i]; i++) {
		if (subject_eq(&set[i]->subject, s)) {
			use(set, i);
			return set[0];
		}
	}
	return NULL;
}

static void empty(struct policy_cache *c)
{
	for (size_t i = 0; i < SETS; i++) {
		for (size_t j = 0; j < WAYS; j++) {
			policy_kept_unref(c->sets[i][j]);
			c->sets[i][j] = NULL;
		}
	}
}

static void expect(struct policy_cache *c, uint64_t version)
{
	if (c->version != version)
		empty(c);
	c->version = version;
}

/* What REQUIRETLS asks for are tables of its own, which the version says nothing about. */
static bool is_for_keeping(const struct policy_subject *s)
{
	return !s->has_requiretls;
}

/* ---- from outside ---- */

struct policy_cache *policy_cache_new(const struct policy_config *cfg)
{
	struct policy_cache *c = base_alloc(sizeof(*c));

	c->cfg = cfg;
	return c;
}

void policy_cache_free(struct policy_cache *c)
{
	if (!c)
		return;
	empty(c);
	free(c);
}

struct policy_kept *
policy_cache_find(struct policy_cache *c, const struct policy_subject *s, uint64_t version)
{
	expect(c, version);
	return is_for_keeping(s) ? find(set_of(c, s), s) : NULL;
}

void policy_cache_add(struct policy_cache *c, const struct policy_subject *s, struct fact_set facts,
		      uint64_t version)
{
	struct policy_kept **set = set_of(c, s), *k;

	expect(c, version);
	if (!is_for_keeping(s) || find(set, s))
		return;
	k = kept_new(s);
	if (!decide(k, c->cfg, facts)) {
		policy_kept_unref(k);
		return;
	}
	policy_kept_unref(set[WAYS - 1]);
	set[WAYS - 1] = k;
	use(set, WAYS - 1);
}
