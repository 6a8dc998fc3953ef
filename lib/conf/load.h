/* From sources to a table of names whose values are expanded: what conf_new does before types and
 * meaning are looked at. */

#ifndef HOPSEAL_CONF_LOAD_H
#define HOPSEAL_CONF_LOAD_H

#include "conf/findings.h"

/* One "name = value", in the order of the text. */
struct conf_definition {
	struct conf_definition *next;
	struct str name, value;
	struct conf_place at;
};

struct conf_loader {
	struct arena *arena; /* of the snapshot */
	struct conf_collector findings;
	struct conf_definition *head, **tail;
	size_t n;
	struct conf_names *names;
	size_t expanded_octets;
};

/* Fills l->names with what the sources and the machine say. */
void conf_read(struct conf_loader *l, const struct conf_source *sources, size_t n,
	       const struct conf_machine *machine);

/* Makes every slot CONF_DONE or CONF_FAILED, and reports what stands in the way of a parameter. */
void conf_settle(struct conf_loader *l);

#endif
