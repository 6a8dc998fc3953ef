/* The value of a pattern's rule: "$1", "${1}" and "$(1)" stand for what a group matched, "$$" for
 * "$". Pure. */

#ifndef HOPSEAL_TABLE_TEMPLATE_H
#define HOPSEAL_TABLE_TEMPLATE_H

#include "base/buf.h"
#include "base/error.h"

/* *max is the highest group that is named, 0 for none. False: *why says what is wrong. */
MUST_USE bool template_check(struct str text, size_t *max, struct error *why);

/* Of a text that was found good. groups[i] is what group i matched; the named ones must be there.
 * False when the limit of `out` is passed. */
MUST_USE bool template_expand(struct str text, const struct str *groups, struct buf *out);

#endif
