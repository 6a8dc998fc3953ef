/* What a configuration means beyond the form of its values: names nobody knows, parameters that are
 * deprecated or not honoured, values outside their set, pairs that contradict each other. */

#ifndef HOPSEAL_CONF_CHECK_H
#define HOPSEAL_CONF_CHECK_H

#include "conf/findings.h"

void conf_check(struct conf_collector *c, const struct conf_names *t);

/* The known name nearest to `name` in single-octet changes, or STR_NONE when none is near. */
struct str conf_nearest(const struct conf_names *t, struct str name);

#endif
