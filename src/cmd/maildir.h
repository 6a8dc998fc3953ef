/* A maildir that messages are written into: whole under new/ or not at all. Nothing is made
 * durable: this is for receivers that try things out. */

#ifndef HOPSEAL_CMD_MAILDIR_H
#define HOPSEAL_CMD_MAILDIR_H

#include "base/error.h"
#include "base/str.h"

struct cmd_maildir;

/* Makes `path` and tmp, new and cur in it where they are missing. */
MUST_USE struct cmd_maildir *cmd_maildir_open(const char *path, struct error *e);
void cmd_maildir_close(struct cmd_maildir *m);

struct cmd_maildir_message;

MUST_USE struct cmd_maildir_message *cmd_maildir_begin(struct cmd_maildir *m, struct error *e);
/* CRLF becomes LF, in any split. Trouble is told by _commit. */
void cmd_maildir_write(struct cmd_maildir_message *msg, struct str octets);
/* Both free the message; _drop takes NULL. */
MUST_USE bool cmd_maildir_commit(struct cmd_maildir_message *msg, struct error *e);
void cmd_maildir_drop(struct cmd_maildir_message *msg);

#endif
