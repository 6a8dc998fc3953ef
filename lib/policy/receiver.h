/* What main.cf's texts about TLS mean to a server of ours. No decision: a receiver takes what its
 * operator allows. */

#ifndef HOPSEAL_POLICY_RECEIVER_H
#define HOPSEAL_POLICY_RECEIVER_H

#include "base/error.h"
#include "conf/conf.h"
#include "policy/peer.h"

struct policy_receiver {
	tls_versions versions;
	struct str cipher_list; /* OpenSSL's, exclusions included */
};

/* smtpd_tls_protocols and so on, or smtpd_tls_mandatory_protocols and so on. Everything lives in
 * `a`. False: *e names the parameter. */
MUST_USE bool policy_receiver_optional(struct arena *a, const struct conf *conf,
				       struct policy_receiver *out, struct error *e);
MUST_USE bool policy_receiver_mandatory(struct arena *a, const struct conf *conf,
					struct policy_receiver *out, struct error *e);

#endif
