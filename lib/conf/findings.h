/* Findings on their way to the caller: collected in any order, handed out in that of the text. */

#ifndef HOPSEAL_CONF_FINDINGS_H
#define HOPSEAL_CONF_FINDINGS_H

#include "conf/names.h"

struct conf_finding_item;

struct conf_collector {
	struct arena *arena;
	struct conf_finding_item *head, **tail;
	size_t n;
	bool has_error;
};

/* Where a finding stands: file and line, and the number of the source for the order. */
struct conf_place {
	struct str file;
	unsigned line;
	unsigned source;
};

struct conf_place conf_place_of(const struct conf_slot *s);

void conf_collector_init(struct conf_collector *c, struct arena *a);
/* `what` has the stable parts: severity, code, param, remedy. */
void conf_collect(struct conf_collector *c, struct conf_place at, const struct conf_finding *what,
		  const char *fmt, ...) PRINTF_LIKE(4, 5);
struct conf_findings conf_collected(struct conf_collector *c);

#endif
