/* Makes the file of an indexed table from the text form, as postmap(1) does. */

#ifndef HOPSEAL_TABLE_BUILD_H
#define HOPSEAL_TABLE_BUILD_H

#include "base/error.h"
#include "table/table.h"

struct table_build {
	struct str type; /* "cdb", "lmdb", "hash" or "btree" */
	struct str path; /* of the text; the file is made beside it */
	bool is_utf8;    /* smtputf8_enable: keys are folded as Unicode */
	void (*found)(void *arg, const struct table_finding *f); /* may be NULL */
	void *arg;
	size_t n; /* set: entries written */
};

/* The old file stays until the new one is whole and on disk. False: nothing has changed, *e. */
MUST_USE bool table_build(struct table_build *b, struct error *e);

#endif
