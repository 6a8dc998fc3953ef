/* What the files of the lint share. Inside lib/policy/lint*.c only. */

#ifndef HOPSEAL_POLICY_LINT_INSIDE_H
#define HOPSEAL_POLICY_LINT_INSIDE_H

#include "base/map.h"
#include "mail/domain.h"
#include "mail/nexthop.h"
#include "policy/entry.h"
#include "policy/lint.h"

/* Findings of one code: how many there are, and where the last that was kept stands. */
struct lint_count {
	struct str code;
	size_t n;
	struct conf_finding last;
};

struct lint {
	struct arena *arena;
	const struct policy_lint_site *site;
	struct str param;
	const struct policy_lint_entry *entries;
	size_t n;
	struct map keys; /* folded -> the first entry that has it */
	size_t at;       /* the entry that is looked at */

	struct policy_lint_finding *found;
	size_t n_found, room;
	struct lint_count counts[64];
	size_t n_counts;
};

struct lint_words {
	enum conf_severity severity;
	struct str code, text, remedy;
};

void policy_lint_init(struct lint *l, struct arena *a, struct str param,
		      const struct policy_lint_entry *entries, size_t n,
		      const struct policy_lint_site *site);
/* Counts what was left out, and gives the findings. */
struct policy_lint_findings policy_lint_end(struct lint *l);

/* False: there are enough of this code, and the words need not be found. */
bool policy_lint_wants(struct lint *l, struct str code);
/* About the entry at hand; after policy_lint_wants. */
void policy_lint_say(struct lint *l, struct lint_words w);

static inline const struct policy_lint_entry *lint_entry(const struct lint *l)
{
	return &l->entries[l->at];
}

/* A key of a form that is never looked up, in either of the tables; said. */
bool policy_lint_impossible(struct lint *l, bool has_parents);
/* A key that an earlier table has, too; said. */
bool policy_lint_again(struct lint *l);

/* "[host]", "host:port" and the like. */
bool policy_lint_is_route_key(struct str key, const struct nexthop *n);
/* False: no next-hop is like that; said. */
bool policy_lint_route_key(struct lint *l, const struct nexthop *n);

bool policy_lint_is_produced(const struct lint *l, struct str key);
/* A next-hop of the routing with this host or domain, written another way; "" when there is none.
 */
struct str policy_lint_sibling(const struct lint *l, struct str domain);
/* A next-hop that is a domain, or an own domain of a recipient, lies below ".example.com". */
bool policy_lint_has_below(const struct policy_lint_routes *r, struct str parent);
bool policy_lint_is_unlisted(const struct policy_lint_routes *r);
bool policy_lint_is_nexthop(const struct policy_lint_routes *r, struct str folded);
/* The next-hops that have parents, folded; and ".example.com" where domains below are next-hops. */
size_t policy_lint_n_domains(const struct policy_lint_routes *r);
struct str policy_lint_domain_at(const struct policy_lint_routes *r, size_t i);

/* The next key that is asked after this one: ".example.com" after "mail.example.com". */
bool policy_lint_parent(struct str *key);

/* The entry that would count in place of the one at hand; false: none. */
MUST_USE bool policy_lint_find_parent(const struct lint *l, uint32_t *at);
struct str policy_lint_place(struct arena *a, const struct policy_lint_entry *e); /* " (x:1)" */

/* It demands less, at the least: whatever DNS and the server say. */
bool policy_lint_is_weaker(enum tls_level level, enum tls_level than);

/* Fingerprints of an entry that can never match; said. */
void policy_lint_entry_fingerprints(struct lint *l, const struct policy_entry *e);

/* A parent entry that no known next-hop comes to; said. */
void policy_lint_shadowed(struct lint *l);

#endif
