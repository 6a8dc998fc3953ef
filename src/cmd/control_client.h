/* Asks the running daemon, over its control socket. */

#ifndef HOPSEAL_CMD_CONTROL_CLIENT_H
#define HOPSEAL_CMD_CONTROL_CLIENT_H

#include "conf/conf.h"
#include "json/read.h"
#include "proto/control.h"

enum cmd_control {
	CMD_CONTROL_DONE,
	CMD_CONTROL_DOWN,   /* no daemon listens */
	CMD_CONTROL_FAILED, /* *e; also what the daemon refused */
};

/* Called for each line of the reply, the last one included, with its text and its JSON, both
 * borrowed. False: enough; it counts as done. */
typedef bool cmd_control_line(void *arg, struct str text, const struct json_node *node);

MUST_USE enum cmd_control cmd_control_ask(const struct conf *conf, const struct control_request *r,
					  cmd_control_line *line, void *arg, struct error *e);

#endif
