/* The text of a texthash table: logical lines of key, white space, value. Pure. */

#ifndef HOPSEAL_TABLE_TEXTHASH_PARSE_H
#define HOPSEAL_TABLE_TEXTHASH_PARSE_H

#include "table/lines.h"

enum texthash_event {
	TEXTHASH_ENTRY,    /* a key and its value; a code that is not "" goes with it */
	TEXTHASH_DROPPED,  /* a line that has no effect */
	TEXTHASH_UNUSABLE, /* the text as a whole cannot be trusted; reading on is fine */
	TEXTHASH_END,
};

struct texthash_item {
	unsigned line;                 /* where the logical line begins, from 1 */
	struct str key, value;         /* as written; borrowed until the next call */
	struct str code, text, remedy; /* of a finding, see struct table_finding; constants */
};

struct texthash_parser {
	struct table_lines lines;
	bool is_utf8;
};

/* `text` must outlive the parser. is_utf8: lines that are not UTF-8 have no effect. */
void texthash_parser_init(struct texthash_parser *p, struct str text, bool is_utf8);
void texthash_parser_fini(struct texthash_parser *p);

MUST_USE enum texthash_event texthash_next(struct texthash_parser *p, struct texthash_item *item);

#endif
