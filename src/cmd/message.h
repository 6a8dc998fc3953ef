/* The message on standard input: spooled to an unlinked file and scanned on the way. */

#ifndef HOPSEAL_CMD_MESSAGE_H
#define HOPSEAL_CMD_MESSAGE_H

#include "base/error.h"
#include "deliver/content.h"
#include "mail/message_scan.h"

struct cmd_message {
	struct content *content;  /* content_free */
	struct message_scan scan; /* ended */
};

/* Reads `fd` to its end. `limit_octets` is message_size_limit, 0 for none. */
MUST_USE bool
cmd_message_read(int fd, uint64_t limit_octets, struct cmd_message *out, struct error *e);

/* An unlinked file in $TMPDIR, and writing all of `s` to it. -1, false: *e. */
MUST_USE int cmd_spool_open(struct error *e);
MUST_USE bool cmd_spool_write(int fd, struct str s, struct error *e);

#endif
