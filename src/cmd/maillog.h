/* Where the daemon's log goes: maillog_file, and the parameters beside it. */

#ifndef HOPSEAL_CMD_MAILLOG_H
#define HOPSEAL_CMD_MAILLOG_H

#include "conf/conf.h"
#include "os/log.h"

/* Texts are the configuration's. False: *e names the parameter. */
MUST_USE bool
cmd_maillog_options(const struct conf *conf, struct os_log_options *o, struct error *e);

#endif
