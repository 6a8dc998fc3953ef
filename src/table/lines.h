/* Logical lines of a table's text: a line that begins with white space continues the one before
 * it; blank lines and lines whose first octet other than white space is "#" count for nothing,
 * inside an entry too. Pure. */

#ifndef HOPSEAL_TABLE_LINES_H
#define HOPSEAL_TABLE_LINES_H

#include "base/buf.h"

struct table_lines {
	struct str rest;
	unsigned line;     /* taken so far */
	bool is_too_long;  /* the last one was longer than TABLE_VALUE_MAX, and was cut */
	struct buf joined; /* a logical line of several */
};

/* `text` must outlive it. */
void table_lines_init(struct table_lines *l, struct str text);
void table_lines_fini(struct table_lines *l);

/* *logical is borrowed until the next call; *first is the number of its first line, from 1. One
 * that begins with white space continues nothing. False at the end. */
MUST_USE bool table_lines_next(struct table_lines *l, struct str *logical, unsigned *first);

#endif
