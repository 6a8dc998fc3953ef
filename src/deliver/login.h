/* What the configuration says of logging in at servers. */

#ifndef HOPSEAL_DELIVER_LOGIN_H
#define HOPSEAL_DELIVER_LOGIN_H

#include "base/error.h"
#include "conf/conf.h"

/* Whether what it says can be done. False: *blamed is at fault; *e begins with its name. */
MUST_USE bool deliver_login_check(const struct conf *conf, enum conf_id *blamed, struct error *e);

#endif
