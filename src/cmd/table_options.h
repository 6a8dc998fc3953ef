/* What the commands about single tables share. */

#ifndef HOPSEAL_CMD_TABLE_OPTIONS_H
#define HOPSEAL_CMD_TABLE_OPTIONS_H

#include "cmd/cmd.h"
#include "table/table.h"

/* main.cf and -o, of which single tables need little. Without -c, main.cf may be missing: *conf is
 * NULL then. False: it was said. */
MUST_USE bool cmd_table_conf(const struct cmd_sources *s, struct conf **conf, int *exit_code);
/* smtputf8_enable; `conf` may be NULL. */
bool cmd_table_is_utf8(const struct conf *conf);

/* table_options.found: one line on standard error for what is wrong. */
void cmd_table_say(void *arg, const struct table_finding *f);

#endif
