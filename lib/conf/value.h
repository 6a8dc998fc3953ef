/* Texts of typed values. Every function is pure and knows no locale. */

#ifndef HOPSEAL_CONF_VALUE_H
#define HOPSEAL_CONF_VALUE_H

#include "base/str.h"

/* yes or no, in any case. */
MUST_USE bool conf_value_bool(struct str s, int64_t *out);
/* A sign and decimal digits, in 32 bits. */
MUST_USE bool conf_value_int(struct str s, int64_t *out);
/* Digits and one of s m h d w, or digits alone in `unit`; seconds, in 31 bits. */
MUST_USE bool conf_value_time(struct str s, char unit, int64_t *out);

/* A compatibility level: N, N.N or N.N.N. */
struct conf_level {
	unsigned part[3];
};

MUST_USE bool conf_value_level(struct str s, struct conf_level *out);
int conf_level_cmp(struct conf_level a, struct conf_level b);

#endif
