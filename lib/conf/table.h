/* What is known about parameter names before any file is read: the typed rows of params.def, and
 * the names of known.def that Postfix has and Hopseal does not. */

#ifndef HOPSEAL_CONF_TABLE_H
#define HOPSEAL_CONF_TABLE_H

#include "conf/conf.h"

enum conf_type { CONF_TYPE_STR, CONF_TYPE_BOOL, CONF_TYPE_INT, CONF_TYPE_TIME };

enum conf_state { CONF_STATE_USED, CONF_STATE_OLD, CONF_STATE_LATER };

enum conf_effect {
	CONF_EFFECT_NONE,
	CONF_EFFECT_TLS,
	CONF_EFFECT_ROUTING,
	CONF_EFFECT_ACCESS,   /* who may send what */
	CONF_EFFECT_DELIVERY, /* who the mail is from and to, what is in it, whether it is taken */
};

struct conf_param {
	struct str name;
	struct str preset; /* the default, not expanded */
	int64_t low, high; /* high 0: no bound */
	enum conf_type type;
	enum conf_state state;
	enum conf_effect effect;
};

extern const struct conf_param conf_params[CONF_COUNT];

struct conf_known {
	struct str name;
	struct str preset;
	enum conf_effect effect;
};

extern const struct conf_known conf_known_names[];
extern const size_t conf_known_count;

/* True for the names that services make: slow_destination_concurrency_limit and the like. */
bool conf_is_service_name(struct str name);

/* The unit of a number without one: the last octet of the default, or "s". */
char conf_time_unit(enum conf_id id);

/* What stands in the place of a parameter for LMTP, or the parameter itself. */
enum conf_id conf_lmtp_id(enum conf_id id);

#endif
