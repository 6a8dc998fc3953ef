/* Values of options that ask for delivery status notifications: RFC 3461. */

#ifndef HOPSEAL_CMD_DSN_H
#define HOPSEAL_CMD_DSN_H

#include "base/str.h"

/* Section 4.1: NEVER alone, or any of the other three. */
MUST_USE bool dsn_is_notify(struct str value);
MUST_USE bool dsn_is_ret(struct str value);
/* Section 4.4: printable octets, 100 at most, of which none needs to be encoded as xtext. */
MUST_USE bool dsn_is_envid(struct str value);

#endif
