/* What a client is called, found out with the questions of one configuration. */

#include <stdlib.h>

#include "ask/peer_name.h"
#include "queue/inside.h"

struct queue_peer_name {
	struct queue *queue;
	struct queue_site *site;
	struct ask_peer_name *ask;
};

struct queue_peer_name *
queue_peer_name_new(struct queue *q, const struct address *client,
		    void (*done)(void *arg, struct str name, bool is_in_doubt), void *arg)
{
	struct queue_peer_name *p = base_alloc(sizeof(*p));

	p->queue = q;
	p->site = q->options.site;
	queue_site_ref(p->site);
	queue_busy(q);
	p->ask = ask_peer_name_new(p->site->deliver->ask, client, done, arg);
	return p;
}

void queue_peer_name_free(struct queue_peer_name *p)
{
	if (!p)
		return;
	struct queue *q = p->queue;

	ask_peer_name_free(p->ask);
	queue_site_unref(p->site);
	free(p);
	queue_idle(q);
}
