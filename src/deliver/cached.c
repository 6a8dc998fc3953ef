#include "deliver/cached.h"

/* A decision that the attempt may still look at. */
struct deliver_cached_use {
	struct policy_kept *kept;
	struct deliver_cached_use *next;
};

static bool deliver_tables_version(const struct deliver_cached *c, uint64_t *version)
{
	struct str tables = policy_config_tables(c->client->policy);

	*version = 0;
	return tables.n == 0 || ask_tables_version(c->ask, tables, version);
}

static bool deliver_is_cache_good(const struct deliver_cached *c)
{
	uint64_t now;

	return c->can_tell && deliver_tables_version(c, &now) && now == c->version;
}

void deliver_cached_begin(struct deliver_cached *c, struct ask *ask,
			  const struct deliver_client *client, struct arena *a,
			  struct fact_list *facts)
{
	*c = (struct deliver_cached){ .ask = ask, .client = client, .arena = a, .facts = facts };
	c->can_tell = deliver_tables_version(c, &c->version);
}

void deliver_cached_end(struct deliver_cached *c)
{
	for (struct deliver_cached_use *u = c->uses; u; u = u->next)
		policy_kept_unref(u->kept);
}

static void deliver_take_facts(struct deliver_cached *c, struct fact_set set)
{
	for (size_t i = 0; i < set.n; i++)
		if (!fact_find(fact_list_set(c->facts), &set.v[i].question))
			fact_list_add(c->facts, &set.v[i].question, &set.v[i].answer);
}

const struct policy_decision *
deliver_cached_find(struct deliver_cached *c, const struct policy_subject *s)
{
	struct deliver_cached_use *u;
	struct policy_kept *k = NULL;

	if (deliver_is_cache_good(c))
		k = policy_cache_find(c->client->decisions, s, c->version);
	if (!k)
		return NULL;
	u = ARENA_NEW(c->arena, struct deliver_cached_use);
	*u = (struct deliver_cached_use){ .kept = policy_kept_ref(k), .next = c->uses };
	c->uses = u;
	deliver_take_facts(c, fact_list_set(k->facts));
	return &k->decision;
}

void deliver_cached_add(struct deliver_cached *c, const struct policy_subject *s)
{
	if (deliver_is_cache_good(c))
		policy_cache_add(c->client->decisions, s, fact_list_set(c->facts), c->version);
}
