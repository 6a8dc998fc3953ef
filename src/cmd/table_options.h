/* What the commands about single tables share. */

#ifndef HOPSEAL_CMD_TABLE_OPTIONS_H
#define HOPSEAL_CMD_TABLE_OPTIONS_H

#include "cmd/cmd.h"
#include "table/table.h"

/* smtputf8_enable of main.cf and -o. Without -c, main.cf may be missing. False: it was said. */
MUST_USE bool cmd_table_is_utf8(const struct cmd_sources *s, bool *is_utf8, int *exit_code);

/* table_options.found: one line on standard error for what is wrong. */
void cmd_table_say(void *arg, const struct table_finding *f);

#endif
