/* Text for people: labels, and words that go on under each other in lines of a width, with the few
 * styles that a terminal has. What comes from outside does not get to drive the terminal: "?"
 * stands for what it would obey. */

#ifndef HOPSEAL_BASE_PAGE_H
#define HOPSEAL_BASE_PAGE_H

#include "base/buf.h"

#define PAGE_COLUMNS 80 /* where nobody says how wide it is */

enum page_style {
	PAGE_PLAIN,
	PAGE_STRONG,
	PAGE_GOOD,
	PAGE_WARNING,
	PAGE_BAD,
};

struct page {
	struct buf *out;
	size_t columns;
	bool has_color; /* styles become the escape sequences of ECMA-48 */
};

/* All are false when the buffer's limit was reached. */

/* `label` as it is, blanks up to column `indent`, then `text` word by word: what does not fit into
 * the line goes on in the next one under `hang`. A word that is longer than a line stands alone.
 * Text without words leaves the label alone. */
MUST_USE bool page_words(struct page *p, struct str label, size_t indent, size_t hang,
			 enum page_style style, struct str text);

/* A label in the first column, the text beside it. */
MUST_USE bool page_row(struct page *p, const char *label, enum page_style style, struct str text);

/* A line of its own, after an empty one. */
MUST_USE bool page_heading(struct page *p, const char *text);

#endif
