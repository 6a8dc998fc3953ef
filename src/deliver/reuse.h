/* When a session may carry further mail, and for whom. */

#ifndef HOPSEAL_DELIVER_REUSE_H
#define HOPSEAL_DELIVER_REUSE_H

#include "deliver/deliver.h"
#include "deliver/pool.h"

/* Whom a host is connected to as. In the arena. */
struct str
deliver_reuse_place(struct arena *a, enum route_protocol protocol, const struct route_host *h);

/* That, how the session was begun, whom it is logged in as (`login`), and all of the decision and
 * its configuration that it was judged by: a session with an equal key would be judged the same. In
 * the arena. */
struct deliver_pool_key deliver_reuse_key(struct arena *a, const struct deliver_client *client,
					  const struct session_options *o,
					  enum route_protocol protocol, const struct route_host *h,
					  const struct policy_decision *d, struct str login);

/* A session that was used for this try may be kept when it carried so many mails for so long. */
bool deliver_reuse_is_wanted(const struct conf *conf, const struct policy_decision *d, bool is_tls);
bool deliver_reuse_is_within_limits(const struct conf *conf, const struct session *s);
uint64_t deliver_reuse_idle_ms(const struct conf *conf);

#endif
