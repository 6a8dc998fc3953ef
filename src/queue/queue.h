/* The runner: what is due is routed, scheduled, delivered and recorded, and its senders are told.
 *
 * A team has a queue in each worker's loop. Every destination belongs to one of them, chosen by its
 * name, which alone knows its window, its back-off and what of it is under way; mail for another
 * member's destination goes to it by a note. Nothing here is the truth: the store is, and a
 * queue that is gone is made again from it.
 *
 * Thread: a queue belongs to its loop's thread; the calls of queue_team may come from any. */

#ifndef HOPSEAL_QUEUE_QUEUE_H
#define HOPSEAL_QUEUE_QUEUE_H

#include "deliver/deliver.h"
#include "log/counters.h"
#include "route/route.h"
#include "sched/sched.h"
#include "store/store.h"

struct os_log;
struct queue;
struct queue_team;

/* What the configuration says about the queue, read once. */
struct queue_settings;
MUST_USE const struct queue_settings *
queue_settings_new(struct arena *a, const struct conf *conf, struct error *e);

/* One configuration on one loop, shared by count: attempts go on under the one they began with. */
struct queue_site {
	struct deliver_site *deliver;
	const struct queue_settings *settings;
	unsigned refs;
	void (*gone)(struct queue_site *s); /* the last reference was given back */
};

void queue_site_ref(struct queue_site *s);
void queue_site_unref(struct queue_site *s);

/* ---- the team ---- */

MUST_USE struct queue_team *queue_team_new(unsigned n_members);
void queue_team_free(struct queue_team *t); /* after its queues */

/* An operator begins to change what the store holds, and ends: between the two what is in memory
 * of it is looked at again before it is relied on. */
void queue_team_changing(struct queue_team *t, bool has_begun);
/* What was changed, before the end: what is in memory of it is read again. */
void queue_team_changed(struct queue_team *t, const struct store_selection *which);

/* ---- a queue ---- */

struct queue_options {
	struct queue_team *team;
	unsigned member; /* below n_members; each once */
	struct net_loop *loop;
	struct store *store;
	struct queue_site *site; /* taken */
	struct os_log *log;
	struct log_counters *counters;
};

/* NULL: the store cannot be read. */
MUST_USE struct queue *queue_new(const struct queue_options *o, struct error *e);
/* Reads what is due and begins. When all members of the team were made. False: the store could not
 * be read; that is tried again. */
MUST_USE bool queue_start(struct queue *q, struct error *e);
/* A reload: for what begins from now on. */
void queue_set_site(struct queue *q, struct queue_site *site); /* taken */
/* No more attempts at once than that, whatever hopseal_delivery_limit is: files may be short. */
void queue_set_most(struct queue *q, unsigned attempts);
/* Begins no more attempts, but takes what is brought: before a stop. */
void queue_rest(struct queue *q);
/* Begins no more; `stopped` is called once all that is under way is recorded. What is left after
 * `limit_ms` is cut off, and stays due. */
void queue_stop(struct queue *q, uint64_t limit_ms, void (*stopped)(void *arg), void *arg);
/* After that: what is left is cut off now. */
void queue_hurry(struct queue *q);
/* After `stopped`, or before queue_start. */
void queue_free(struct queue *q);

struct store_client *queue_store(struct queue *q);

/* ---- intake ---- */

/* Where mail for a recipient would go: `done` is called once, from the loop, with the route
 * (borrowed), or with NULL and why it could not be found out. */
struct queue_route;
MUST_USE struct queue_route *
queue_route_new(struct queue *q, struct str recipient,
		void (*done)(void *arg, const struct route *r, const struct error *e), void *arg);
void queue_route_free(struct queue_route *r); /* cancels; also inside `done`; NULL is fine */

/* The name of a client; as ask_peer_name_new. */
struct queue_peer_name;
MUST_USE struct queue_peer_name *
queue_peer_name_new(struct queue *q, const struct address *client,
		    void (*done)(void *arg, struct str name, bool is_in_doubt), void *arg);
void queue_peer_name_free(struct queue_peer_name *p); /* cancels; inside `done` too */

/* The destination of a route, for store_rcpt: in the arena. */
struct str queue_destination(struct arena *a, const struct route *r);

/* Stores a message and puts it up for delivery; `done` as for store_accept. Recipients have their
 * destinations. The content is borrowed for the call. */
void queue_accept(struct queue *q, const struct store_message *m, struct store_content *content,
		  enum store_accept_how how, store_done *done, void *arg);

/* ---- what is going on ---- */

void queue_each_destination(struct queue *q,
			    void (*each)(void *arg, const struct sched_dest_view *v), void *arg);
struct sched_totals queue_totals(const struct queue *q);

#endif
