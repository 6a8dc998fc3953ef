/* Which recipients are under way, for all members of a team: a row that an operator has routed anew
 * belongs to another member, and waits until the attempt under the old route has ended. */

#include <pthread.h>
#include <stdlib.h>

#include "queue/inside.h"

enum { CLAIM_BUCKETS = 1024 };

struct queue_claims {
	pthread_mutex_t lock;
	struct list bucket[CLAIM_BUCKETS];
};

struct queue_claims *queue_claims_new(void)
{
	struct queue_claims *c = base_alloc(sizeof(*c));

	pthread_mutex_init(&c->lock, NULL);
	for (size_t i = 0; i < CLAIM_BUCKETS; i++)
		list_init(&c->bucket[i]);
	return c;
}

void queue_claims_free(struct queue_claims *c)
{
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct list *bucket_of(struct queue_claims *c, uint64_t message)
{
	return &c->bucket[(message ^ message >> 32) % CLAIM_BUCKETS];
}

void queue_claim_take(struct queue_claims *c, struct queue_claim *claim)
{
	pthread_mutex_lock(&c->lock);
	list_add(bucket_of(c, claim->message), &claim->link);
	pthread_mutex_unlock(&c->lock);
}

bool queue_claim_give_back(struct queue_claims *c, struct queue_claim *claim)
{
	pthread_mutex_lock(&c->lock);
	list_remove(&claim->link);
	bool is_wanted = claim->is_wanted;
	pthread_mutex_unlock(&c->lock);
	return is_wanted;
}

static bool claim_has(const struct queue_claim *claim, uint64_t message, uint32_t index)
{
	if (claim->message != message)
		return false;
	for (size_t i = 0; i < claim->n; i++)
		if (claim->rcpts[i].index == index)
			return true;
	return false;
}

bool queue_claims_want(struct queue_claims *c, uint64_t message, uint32_t index)
{
	struct list *bucket = bucket_of(c, message);
	bool is_claimed = false;

	pthread_mutex_lock(&c->lock);
	for (struct list *l = bucket->next; l != bucket && !is_claimed; l = l->next) {
		struct queue_claim *claim = LIST_OF(l, struct queue_claim, link);
		is_claimed = claim_has(claim, message, index);
		claim->is_wanted |= is_claimed;
	}
	pthread_mutex_unlock(&c->lock);
	return is_claimed;
}
