/* One line of a pattern table: regexp_table(5), pcre_table(5), cidr_table(5). Pure. */

#ifndef HOPSEAL_TABLE_RULE_TEXT_H
#define HOPSEAL_TABLE_RULE_TEXT_H

#include "base/error.h"

enum rule_op { RULE_MATCH, RULE_IF, RULE_ENDIF };

struct rule_pattern {
	bool is_negated;
	struct str text;  /* without delimiters */
	struct str flags; /* letters after the delimiter */
};

struct rule_text {
	enum rule_op op;
	struct rule_pattern pattern;
	struct rule_pattern second; /* of "/one/!/two/"; text.p is NULL when there is none */
	struct str value;           /* RULE_MATCH; may be "" */
	struct str extra;           /* text that is ignored */
};

/* `line` is a logical line without white space at its ends, and not empty. The parts are borrowed
 * from it. False: *why says what is wrong with the line, which has no effect. */
MUST_USE bool rule_text_regexp(struct str line, struct rule_text *r, struct error *why);
MUST_USE bool rule_text_pcre(struct str line, struct rule_text *r, struct error *why);
MUST_USE bool rule_text_cidr(struct str line, struct rule_text *r, struct error *why);

#endif
