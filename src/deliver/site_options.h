/* What the configuration says of every session: main.cf parameters to engine and TLS options. */

#ifndef HOPSEAL_DELIVER_SITE_OPTIONS_H
#define HOPSEAL_DELIVER_SITE_OPTIONS_H

#include "deliver/session.h"
#include "policy/policy.h"
#include "route/route.h"

/* Everything but what the decision and the candidate say. `conf` is as the client of the protocol
 * reads it, here and below. */
struct session_options
deliver_session_options(const struct conf *conf, enum route_protocol protocol);

/* What a decision demands of a handshake; borrows from it. */
struct tls_demand deliver_tls_demand(const struct policy_decision *d);

/* The trusted CAs and our own certificates. NULL with *e naming parameter and file. */
MUST_USE struct tls_client *deliver_tls_new(const struct conf *conf, struct error *e);

/* smtp_bind_address or smtp_bind_address6 for the family. False when none is set. */
MUST_USE bool deliver_source_address(const struct conf *conf, enum address_family family,
				     struct net_endpoint *out);

#endif
