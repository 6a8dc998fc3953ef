/* Idle sessions of one loop, kept for further mail. A session is handed out again only for the key
 * it was kept under, which tells all that it was judged by (deliver/reuse.h). What happens to an
 * idle session, a word of the peer or its end, is the end of it. */

#ifndef HOPSEAL_DELIVER_POOL_H
#define HOPSEAL_DELIVER_POOL_H

#include "deliver/session.h"

struct deliver_pool;

MUST_USE struct deliver_pool *deliver_pool_new(struct net_loop *loop);
/* Says QUIT to all; net_loop_run or net_loop_drain carries that. NULL is fine. */
void deliver_pool_free(struct deliver_pool *p);

/* Which session it is: whom it is connected to, and that together with all else that must be equal.
 * Texts of any octets. */
struct deliver_pool_key {
	struct str place, whole;
};

/* Takes the idle session; `idle_ms` from now it is given up. When there are too many, the one that
 * would go first goes. */
void deliver_pool_put(struct deliver_pool *p, const struct deliver_pool_key *key,
		      struct session *session, uint64_t idle_ms);
/* No more than so many sessions at once, idle or in use; 0: any number. */
void deliver_pool_set_most(struct deliver_pool *p, size_t most);
/* Before a session is begun: idle ones go if there would be too many. The counter is for the new
 * session's options. */
MUST_USE size_t *deliver_pool_make_room(struct deliver_pool *p);
/* The session that was kept last; the caller's, to be adopted. NULL: there is none. */
MUST_USE struct session *
deliver_pool_take(struct deliver_pool *p, const struct deliver_pool_key *key);
/* One is connected there, under whatever terms. */
bool deliver_pool_has(const struct deliver_pool *p, struct str place);
size_t deliver_pool_count(const struct deliver_pool *p);
size_t deliver_pool_open(const struct deliver_pool *p); /* those in use, too */

#endif
