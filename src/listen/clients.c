/* What each client does: connections that are open, and events in the time unit that runs. One for
 * all workers, behind a mutex that is held for a few hundred instructions: counters of each worker
 * for itself would let a client have every limit once for each worker. */

#include "listen/room.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 4096       /* a power of two */
#define CLIENTS_MAX 200000 /* more are not counted: 120 octets each */

struct client {
	struct client *next;
	struct address key;
	size_t connections;
	uint64_t until; /* the time unit ends */
	uint32_t events[LISTEN_RATES];
};

struct listen_clients {
	pthread_mutex_t mutex;
	size_t connections, most, n;
	struct client *buckets[BUCKETS];
};

struct listen_clients *listen_clients_new(void)
{
	struct listen_clients *c = base_alloc(sizeof(*c));

	CHECK(pthread_mutex_init(&c->mutex, NULL) == 0);
	c->most = SIZE_MAX;
	return c;
}

void listen_clients_free(struct listen_clients *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct client *k = c->buckets[i], *next; k; k = next) {
			next = k->next;
			free(k);
		}
	pthread_mutex_destroy(&c->mutex);
	free(c);
}

size_t listen_clients_connections(struct listen_clients *c)
{
	pthread_mutex_lock(&c->mutex);
	size_t n = c->connections;
	pthread_mutex_unlock(&c->mutex);
	return n;
}

void listen_clients_set_most(struct listen_clients *c, size_t most)
{
	pthread_mutex_lock(&c->mutex);
	c->most = most;
	pthread_mutex_unlock(&c->mutex);
}

bool listen_clients_enter(struct listen_clients *c, size_t max)
{
	pthread_mutex_lock(&c->mutex);
	bool is_in = c->connections < max && c->connections < c->most;
	c->connections += is_in;
	pthread_mutex_unlock(&c->mutex);
	return is_in;
}

bool listen_clients_are_crowded(struct listen_clients *c, size_t max)
{
	pthread_mutex_lock(&c->mutex);
	size_t most = max < c->most ? max : c->most;
	bool are_crowded = c->connections >= most - most / 10;
	pthread_mutex_unlock(&c->mutex);
	return are_crowded;
}

void listen_clients_leave(struct listen_clients *c)
{
	pthread_mutex_lock(&c->mutex);
	CHECK(c->connections > 0);
	c->connections--;
	pthread_mutex_unlock(&c->mutex);
}

static struct client **bucket_of(struct listen_clients *c, const struct address *key)
{
	uint64_t h = str_hash(str_span((const char *)key->octets, sizeof(key->octets)));

	return &c->buckets[(h ^ h >> 32) & (BUCKETS - 1)];
}

/* The client, made when there is none; what nobody needs any more is thrown away on the way. NULL:
 * there are too many. */
static struct client *find(struct listen_clients *c, const struct address *key, uint64_t now)
{
	struct client **at = bucket_of(c, key), *found = NULL;

	while (*at) {
		struct client *k = *at;

		if (address_eq(&k->key, key))
			found = k;
		else if (k->connections == 0 && now >= k->until) {
			*at = k->next;
			free(k);
			c->n--;
			continue;
		}
		at = &k->next;
	}
	if (found || c->n >= CLIENTS_MAX)
		return found;
	*at = base_alloc(sizeof(**at));
	(*at)->key = *key;
	c->n++;
	return *at;
}

size_t listen_clients_connect(struct listen_clients *c, const struct address *key, uint64_t now)
{
	pthread_mutex_lock(&c->mutex);
	struct client *k = find(c, key, now);
	size_t n = k ? ++k->connections : 0;
	pthread_mutex_unlock(&c->mutex);
	return n;
}

void listen_clients_disconnect(struct listen_clients *c, const struct address *key, uint64_t now)
{
	pthread_mutex_lock(&c->mutex);
	struct client *k = find(c, key, now);
	if (k && k->connections > 0)
		k->connections--;
	pthread_mutex_unlock(&c->mutex);
}

uint64_t listen_clients_count(struct listen_clients *c, const struct address *key,
			      enum listen_rate rate, uint64_t unit_ms, uint64_t now)
{
	uint64_t n = 0;

	pthread_mutex_lock(&c->mutex);
	struct client *k = find(c, key, now);
	if (k && now >= k->until) {
		memset(k->events, 0, sizeof(k->events));
		k->until = now + unit_ms;
	}
	if (k)
		n = ++k->events[rate];
	pthread_mutex_unlock(&c->mutex);
	return n;
}
