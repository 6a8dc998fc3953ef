/* main.cf as lines: logical lines out of physical ones, a name and a value out of a logical one.
 * postconf(5). */

#ifndef HOPSEAL_CONF_LINES_H
#define HOPSEAL_CONF_LINES_H

#include "base/arena.h"

struct conf_lines {
	struct str rest;
	unsigned line; /* physical lines taken so far */
};

struct conf_logical {
	struct str text;  /* continuation lines joined, without line ends; lives in the arena */
	unsigned line;    /* physical line of its first octet, from 1 */
	bool is_indented; /* begins with white space: it continues nothing */
};

/* The next logical line that is neither blank nor a comment; false at the end. */
MUST_USE bool conf_lines_next(struct conf_lines *l, struct arena *a, struct conf_logical *out);

enum conf_split { CONF_SPLIT_OK, CONF_SPLIT_NO_NAME, CONF_SPLIT_NO_EQUALS };

/* Splits "name = value"; both are trimmed and point into `text`. */
MUST_USE enum conf_split conf_split(struct str text, struct str *name, struct str *value);

#endif
