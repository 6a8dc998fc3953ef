/* One entry for each question that is in flight or whose answer is still good. Queries wait at
 * their entry; what is known is told from the loop's timer, so that nobody is called back while
 * asking. */

#include "ask/ask.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "table/table.h"
#include "tls/tls.h"

enum {
	ASK_BUCKETS = 1024,
	ASK_FAILURE_MS = 5000, /* a failure is not asked again at once */
	ASK_TTL_MAX_S = 24 * 60 * 60,
};

struct ask_query {
	struct entry *entry;
	struct ask_query *next, **link;
	void (*answered)(void *arg, const struct answer *answer);
	void *arg;
};

struct entry {
	struct ask *ask;
	struct entry *next;       /* in its bucket */
	struct entry *next_ready; /* in ask.ready */
	struct arena *arena;
	struct question question;
	struct answer answer;
	struct ask_query *waiting;
	struct dns_query *dns; /* in flight, one of the two */
	struct table_lookup *table;
	uint64_t known_at, expires; /* monotonic ms; count when known */
	bool is_known, is_missing;  /* missing: offline, and not among the facts */
	bool is_ready;              /* listed to be told */
};

struct ask {
	struct net_loop *loop;
	struct tables *tables;
	struct dns *dns;
	struct fact_set facts; /* offline */
	bool is_offline;
	struct net_timer *timer;
	struct entry *bucket[ASK_BUCKETS];
	size_t n_entries;
	struct entry *ready;
};

static struct entry **ask_bucket(struct ask *k, const struct question *q)
{
	return &k->bucket[(str_hash(q->name) + (uint64_t)q->kind) % ASK_BUCKETS];
}

/* ---- entries ---- */

static void entry_free(struct entry *e)
{
	if (e->dns)
		dns_cancel(e->dns);
	if (e->table)
		table_lookup_cancel(e->table);
	arena_free(e->arena);
	free(e);
}

static bool entry_is_idle(const struct entry *e)
{
	return e->is_known && !e->waiting && !e->is_ready;
}

static void ask_forget(struct ask *k, struct entry *e)
{
	struct entry **at = ask_bucket(k, &e->question);

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	k->n_entries--;
	entry_free(e);
}

/* Room for more: what has expired goes, and of what nobody waits for so much that the next
 * questions find room as well. */
static void ask_make_room(struct ask *k, uint64_t now)
{
	for (size_t i = 0; i < ASK_BUCKETS; i++) {
		for (struct entry *e = k->bucket[i], *next; e; e = next) {
			next = e->next;
			if (entry_is_idle(e) &&
			    (e->expires <= now || k->n_entries > ASK_ENTRIES_MAX / 4 * 3))
				ask_forget(k, e);
		}
	}
}

static struct entry *entry_new(struct ask *k, const struct question *q)
{
	struct entry *e = base_alloc(sizeof(*e));
	struct entry **at = ask_bucket(k, q);

	e->ask = k;
	e->arena = arena_new();
	e->question = *q;
	e->question.table = arena_str(e->arena, q->table);
	e->question.name = arena_str(e->arena, q->name);
	e->next = *at;
	*at = e;
	k->n_entries++;
	return e;
}

static void entry_set_ready(struct entry *e)
{
	struct ask *k = e->ask;

	if (e->is_ready)
		return;
	e->is_ready = true;
	e->next_ready = k->ready;
	k->ready = e;
	net_timer_set(k->timer, 0);
}

static uint64_t answer_lifetime_ms(const struct entry *e)
{
	if (e->question.kind == QUESTION_TABLE)
		return 0; /* tables are as near as a cache, and may change */
	if (e->answer.status == ANSWER_FAILED)
		return ASK_FAILURE_MS;
	uint64_t ttl = e->answer.ttl < ASK_TTL_MAX_S ? e->answer.ttl : ASK_TTL_MAX_S;
	return ttl * 1000;
}

static void entry_set_known(struct entry *e)
{
	e->is_known = true;
	e->dns = NULL;
	e->table = NULL;
	e->known_at = net_loop_now(e->ask->loop);
	e->expires = e->known_at + answer_lifetime_ms(e);
	entry_set_ready(e);
}

static void entry_answered(void *arg, const struct answer *answer)
{
	struct entry *e = arg;

	e->answer = answer_copy(e->arena, answer);
	entry_set_known(e);
}

/* ---- asking ---- */

static void entry_ask_facts(struct entry *e)
{
	const struct answer *found = fact_find(e->ask->facts, &e->question);

	if (found)
		e->answer = answer_copy(e->arena, found);
	e->is_missing = !found;
	entry_set_known(e);
}

static void entry_ask_tables(struct entry *e)
{
	struct table_query *q = ARENA_NEW(e->arena, struct table_query);

	*q = (struct table_query){
		.arena = e->arena,
		.key = e->question.name,
		.is_partial = e->question.is_partial,
		.now_ms = net_loop_now(e->ask->loop),
		.answered = entry_answered,
		.arg = e,
	};
	e->table = tables_lookup(e->ask->tables, e->question.table, q, &e->answer);
	if (!e->table)
		entry_set_known(e);
}

/* A small file of the operator's: read at once. */
static void entry_ask_trust_anchors(struct entry *e)
{
	struct error why;
	size_t n;

	if (tls_trust_anchors_count(e->question.name, &n, &why)) {
		e->answer.status = ANSWER_FOUND;
		e->answer.value = arena_fmt(e->arena, "%zu", n);
	} else {
		e->answer.status = ANSWER_FAILED;
		e->answer.failure = arena_str(e->arena, error_text(&why));
	}
	entry_set_known(e);
}

static void entry_ask(struct entry *e)
{
	if (e->ask->is_offline) {
		entry_ask_facts(e);
		return;
	}
	switch (e->question.kind) {
	case QUESTION_TABLE:
		entry_ask_tables(e);
		return;
	case QUESTION_TRUST_ANCHORS:
		entry_ask_trust_anchors(e);
		return;
	case QUESTION_MX:
	case QUESTION_ADDRESS:
	case QUESTION_NATIVE:
	case QUESTION_POINTER:
		e->dns = dns_ask(e->ask->dns, &e->question, entry_answered, e);
		return;
	}
}

/* The entry that a new query may wait at: in flight, or known and still good. */
static struct entry *ask_find(struct ask *k, const struct question *q, uint64_t now)
{
	for (struct entry *e = *ask_bucket(k, q); e; e = e->next) {
		bool is_good = !e->is_known || e->is_ready || e->expires > now;
		if (is_good && question_eq(&e->question, q))
			return e;
	}
	return NULL;
}

struct ask_query *ask_question(struct ask *k, const struct question *q,
			       void (*answered)(void *arg, const struct answer *answer), void *arg)
{
	uint64_t now = net_loop_now(k->loop);
	struct ask_query *w = base_alloc(sizeof(*w));
	struct entry *e = ask_find(k, q, now);
	bool is_new = !e;

	if (is_new) {
		if (k->n_entries >= ASK_ENTRIES_MAX)
			ask_make_room(k, now);
		e = entry_new(k, q);
	}
	w->entry = e;
	w->answered = answered;
	w->arg = arg;
	w->link = &e->waiting;
	while (*w->link) /* in the order of asking */
		w->link = &(*w->link)->next;
	*w->link = w;
	if (is_new)
		entry_ask(e);
	else if (e->is_known)
		entry_set_ready(e);
	return w;
}

static void query_unlink(struct ask_query *w)
{
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
}

void ask_cancel(struct ask_query *w)
{
	query_unlink(w);
	free(w);
}

/* ---- telling ---- */

static uint32_t ttl_left(uint32_t ttl, uint64_t age_s)
{
	return ttl > age_s ? ttl - (uint32_t)age_s : 0;
}

/* The answer as it is by now: its TTL has run since it came. */
static struct answer entry_answer(const struct entry *e)
{
	uint64_t age_s = (net_loop_now(e->ask->loop) - e->known_at) / 1000;
	struct answer answer = e->answer;

	answer.ttl = ttl_left(answer.ttl, age_s);
	for (size_t i = 0; i < ARRAY_LEN(answer.family); i++)
		answer.family[i].ttl = ttl_left(answer.family[i].ttl, age_s);
	return answer;
}

static void entry_tell(struct entry *e)
{
	struct answer answer = entry_answer(e);

	while (e->waiting) {
		struct ask_query w = *e->waiting;
		ask_cancel(e->waiting);
		w.answered(w.arg, e->is_missing ? NULL : &answer);
	}
}

static void ask_tell(void *arg)
{
	struct ask *k = arg;
	struct entry *ready = k->ready, *oldest = NULL;

	/* the list is newest first */
	k->ready = NULL;
	while (ready) {
		struct entry *next = ready->next_ready;
		ready->next_ready = oldest;
		oldest = ready;
		ready = next;
	}
	while (oldest) {
		struct entry *e = oldest;
		oldest = e->next_ready;
		entry_tell(e);
		e->is_ready = false;
		if (e->expires <= net_loop_now(k->loop))
			ask_forget(k, e);
	}
}

/* ---- from outside ---- */

static struct ask *ask_make(struct net_loop *l)
{
	struct ask *k = base_alloc(sizeof(*k));

	k->loop = l;
	k->timer = net_timer_new(l, ask_tell, k);
	return k;
}

struct ask *ask_new(struct net_loop *l, struct tables *tables, struct dns *dns)
{
	struct ask *k = ask_make(l);

	k->tables = tables;
	k->dns = dns;
	return k;
}

struct ask *ask_new_offline(struct net_loop *l, struct fact_set facts)
{
	struct ask *k = ask_make(l);

	k->is_offline = true;
	k->facts = facts;
	return k;
}

bool ask_tables_version(struct ask *k, struct str param, uint64_t *version)
{
	return !k->is_offline && tables_version(k->tables, param, net_loop_now(k->loop), version);
}

struct net_loop *ask_loop(const struct ask *k)
{
	return k->loop;
}

void ask_free(struct ask *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < ASK_BUCKETS; i++) {
		for (struct entry *e = k->bucket[i], *next; e; e = next) {
			next = e->next;
			CHECK(!e->waiting);
			entry_free(e);
		}
	}
	net_timer_free(k->timer);
	free(k);
}
