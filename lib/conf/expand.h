/* $name, ${name}, ${name?text}, ${{a} == {b} ? {c} : {d}}, ${function{text}}: postconf(5).
 * Each named value is expanded once, so the work is bounded by the size of what comes out. */

#ifndef HOPSEAL_CONF_EXPAND_H
#define HOPSEAL_CONF_EXPAND_H

#include "base/buf.h"
#include "conf/names.h"

struct conf_expander {
	const struct conf_names *names;
	/* Makes slot `i` CONF_DONE or CONF_FAILED; NULL when all of them are. */
	void (*settle)(void *context, size_t i, unsigned depth);
	void *context;
	struct arena *arena; /* of problem */
	struct str problem;  /* why it failed */
	size_t blame;        /* the failed slot behind it; CONF_NO_SLOT: the text itself */
};

/* Appends the expansion of `text`. False with x->problem filled. */
MUST_USE bool
conf_expand_text(struct conf_expander *x, struct str text, struct buf *out, unsigned depth);

/* Takes the next name that `*rest` refers to, in either branch of a condition; false at the end. */
MUST_USE bool conf_expand_scan(struct str *rest, struct str *name);

#endif
