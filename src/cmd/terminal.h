/* What standard output is: how wide, and whether it takes colour. */

#ifndef HOPSEAL_CMD_TERMINAL_H
#define HOPSEAL_CMD_TERMINAL_H

#include "base/page.h"

enum cmd_color { CMD_COLOR_AUTO, CMD_COLOR_ALWAYS, CMD_COLOR_NEVER };

/* "auto", "always", "never". */
MUST_USE bool cmd_color_parse(const char *text, enum cmd_color *out);

/* As wide as the terminal, else PAGE_COLUMNS. CMD_COLOR_AUTO: colour on a terminal that is not
 * "dumb", unless the environment has a NO_COLOR that is not empty. */
struct page cmd_terminal_page(struct buf *out, enum cmd_color color);

#endif
