#include "deliver/pool.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"

enum { POOL_BUCKETS = 256 };

struct idle {
	struct list by_time, in_bucket;
	struct deliver_pool *pool;
	struct session *session;
	struct arena *arena;
	struct deliver_pool_key key;
	uint64_t until;
};

struct deliver_pool {
	struct net_loop *loop;
	struct net_timer *timer;
	uint64_t timer_at; /* UINT64_MAX: not set */
	size_t n;
	size_t n_open, most;              /* sessions, idle or in use; most is 0: any number */
	struct list by_time;              /* the first to go is the first */
	struct list bucket[POOL_BUCKETS]; /* by place; the last one kept is the last */
};

static size_t pool_hash(struct str place)
{
	return str_hash(place) % POOL_BUCKETS;
}

/* The session is no longer the pool's. */
static void idle_free(struct idle *i)
{
	list_remove(&i->by_time);
	list_remove(&i->in_bucket);
	i->pool->n--;
	arena_free(i->arena);
	free(i);
}

static void idle_drop(struct idle *i)
{
	struct session *s = i->session;

	idle_free(i);
	session_leave(s);
}

static void idle_over(void *arg, const struct session_end *end)
{
	struct idle *i = arg;
	struct session *s = i->session;

	(void)end;
	idle_free(i);
	session_free(s);
}

static const struct session_calls idle_calls = { .over = idle_over };

static void pool_set_timer(struct deliver_pool *p)
{
	struct idle *first;

	if (list_is_empty(&p->by_time))
		return; /* a timer for nothing does no harm */
	first = LIST_OF(p->by_time.next, struct idle, by_time);
	if (first->until >= p->timer_at)
		return;
	p->timer_at = first->until;
	net_timer_set(p->timer, first->until);
}

static void pool_on_timer(void *arg)
{
	struct deliver_pool *p = arg;
	uint64_t now = net_loop_now(p->loop);

	p->timer_at = UINT64_MAX;
	while (!list_is_empty(&p->by_time)) {
		struct idle *i = LIST_OF(p->by_time.next, struct idle, by_time);
		if (i->until > now)
			break;
		idle_drop(i);
	}
	pool_set_timer(p);
}

struct deliver_pool *deliver_pool_new(struct net_loop *loop)
{
	struct deliver_pool *p = base_alloc(sizeof(*p));

	p->loop = loop;
	p->timer = net_timer_new(loop, pool_on_timer, p);
	p->timer_at = UINT64_MAX;
	list_init(&p->by_time);
	for (size_t i = 0; i < POOL_BUCKETS; i++)
		list_init(&p->bucket[i]);
	return p;
}

void deliver_pool_free(struct deliver_pool *p)
{
	if (!p)
		return;
	while (!list_is_empty(&p->by_time))
		idle_drop(LIST_OF(p->by_time.next, struct idle, by_time));
	net_timer_free(p->timer);
	free(p);
}

/* All are kept for about as long: its place is at the end, or not far from it. */
static void pool_line_up(struct deliver_pool *p, struct idle *i)
{
	struct list *after = p->by_time.prev;

	while (after != &p->by_time && LIST_OF(after, struct idle, by_time)->until > i->until)
		after = after->prev;
	list_add(after->next, &i->by_time);
}

void deliver_pool_put(struct deliver_pool *p, const struct deliver_pool_key *key,
		      struct session *session, uint64_t idle_ms)
{
	struct idle *i = base_alloc(sizeof(*i));

	CHECK(session_is_idle(session));
	if (p->n == POOL_SESSIONS_MAX)
		idle_drop(LIST_OF(p->by_time.next, struct idle, by_time));
	i->pool = p;
	i->session = session;
	i->arena = arena_new();
	i->key.place = arena_str(i->arena, key->place);
	i->key.whole = arena_str(i->arena, key->whole);
	i->until = net_loop_now(p->loop) + idle_ms;
	p->n++;
	pool_line_up(p, i);
	list_add(&p->bucket[pool_hash(key->place)], &i->in_bucket);
	session_adopt(session, &idle_calls, i);
	pool_set_timer(p);
}

struct session *deliver_pool_take(struct deliver_pool *p, const struct deliver_pool_key *key)
{
	struct list *bucket = &p->bucket[pool_hash(key->place)];

	for (struct list *l = bucket->prev, *next; l != bucket; l = next) {
		struct idle *i = LIST_OF(l, struct idle, in_bucket);
		next = l->prev;
		if (!str_eq(i->key.whole, key->whole))
			continue;
		if (!session_is_idle(i->session)) { /* half a reply lies there: whose? */
			idle_drop(i);
			continue;
		}
		struct session *s = i->session;
		idle_free(i);
		return s;
	}
	return NULL;
}

void deliver_pool_set_most(struct deliver_pool *p, size_t most)
{
	p->most = most;
}

size_t *deliver_pool_make_room(struct deliver_pool *p)
{
	while (p->most > 0 && p->n_open >= p->most && p->n > 0)
		idle_drop(LIST_OF(p->by_time.next, struct idle, by_time));
	return &p->n_open;
}

bool deliver_pool_has(const struct deliver_pool *p, struct str place)
{
	const struct list *bucket = &p->bucket[pool_hash(place)];

	for (const struct list *l = bucket->next; l != bucket; l = l->next)
		if (str_eq(LIST_OF(l, struct idle, in_bucket)->key.place, place))
			return true;
	return false;
}

size_t deliver_pool_count(const struct deliver_pool *p)
{
	return p->n;
}

size_t deliver_pool_open(const struct deliver_pool *p)
{
	return p->n_open;
}
