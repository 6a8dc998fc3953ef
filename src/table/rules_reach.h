/* Which rules of a pattern table are never tried: an earlier one takes every key that they could
 * match. Only what can be told from the texts: equal patterns, patterns that match all, networks
 * inside networks. */

#ifndef HOPSEAL_TABLE_RULES_REACH_H
#define HOPSEAL_TABLE_RULES_REACH_H

#include "base/arena.h"
#include "base/map.h"
#include "mail/address.h"
#include "table/rule_text.h"

struct rules_net {
	struct address address;
	size_t prefix; /* bits */
};

/* The rules between an "if" and its "endif", or all of the table. */
struct rules_block {
	size_t n_keys; /* of the rules around it */
	unsigned all;  /* the line of a rule in it that matches every key; 0: none */
	bool is_told;  /* that rules come after it */
};

struct rules_reach {
	struct arena *arena;
	struct map lines; /* of what a rule matches -> its line; 0: its block is closed */
	struct str *keys; /* those of open blocks, in order */
	size_t n_keys, keys_room;
	struct rules_block *blocks; /* the innermost last */
	size_t n_blocks, blocks_room;
	size_t n_nets[2][129]; /* by family and prefix */
};

void rules_reach_init(struct rules_reach *r);
void rules_reach_fini(struct rules_reach *r);

void rules_reach_enter(struct rules_reach *r); /* after an "if" */
void rules_reach_leave(struct rules_reach *r); /* after its "endif" */

/* Takes a rule note of. `net` is NULL for expressions. The line of the rule before it that leaves
 * nothing for it, else 0. Rules behind one that matches all are told once. */
unsigned rules_reach_add(struct rules_reach *r, const struct rule_text *rule,
			 const struct rules_net *net, unsigned line);

#endif
