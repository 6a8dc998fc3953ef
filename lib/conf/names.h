/* Every name with a value, by hash: the parameters, the other names of Postfix, and what the file
 * defines for itself. Filled once, then read. */

#ifndef HOPSEAL_CONF_NAMES_H
#define HOPSEAL_CONF_NAMES_H

#include "conf/table.h"

enum conf_kind { CONF_KIND_PARAM, CONF_KIND_KNOWN, CONF_KIND_SERVICE, CONF_KIND_USER };

/* How far the expansion of a value has come. */
enum conf_progress { CONF_TO_DO, CONF_BUSY, CONF_DONE, CONF_FAILED };

struct conf_slot {
	struct str name;
	struct str raw;      /* as set, or else the default */
	struct str expanded; /* when CONF_DONE */
	struct str problem;  /* when CONF_FAILED: one line */
	struct str file;
	unsigned line;
	unsigned source; /* index of the conf_source that set it */
	size_t blame;    /* CONF_FAILED: the slot whose own text is at fault */
	enum conf_kind kind;
	enum conf_effect effect;
	enum conf_progress progress;
	bool is_set;
	bool is_referred; /* some value has $name */
	bool is_fatal;    /* a parameter with a type cannot be had without it */
};

/* The first CONF_COUNT slots are the parameters, in the order of enum conf_id. */
struct conf_names {
	struct conf_slot *slot;
	size_t n, size;
	uint32_t *bucket; /* slot index + 1; 0: empty */
	size_t mask;
};

#define CONF_NO_SLOT SIZE_MAX

/* Room for all known names and `extra` more. */
void conf_names_init(struct conf_names *t, struct arena *a, size_t extra);
size_t conf_names_find(const struct conf_names *t, struct str name);
/* The slot of `name`, made when there is none. */
size_t conf_names_add(struct conf_names *t, struct str name);

#endif
