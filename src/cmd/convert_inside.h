/* `hopseal convert`: from smtp_tls_per_site to smtp_tls_policy_maps, in four parts: what the old
 * table comes to, the new main.cf, the proof, the report. */

#ifndef HOPSEAL_CMD_CONVERT_INSIDE_H
#define HOPSEAL_CMD_CONVERT_INSIDE_H

#include "base/map.h"
#include "cmd/cmd.h"
#include "cmd/decide.h"
#include "cmd/destinations.h"
#include "policy/compare.h"
#include "policy/convert.h"

#define CONVERT_TABLE "tls_policy"
#define CONVERT_TRANSPORT "tls_transport"

/* --mx: mail for the domain goes to this server. */
struct convert_mx {
	struct str domain, host;
	uint16_t port;
};

/* A line of the new policy table. */
struct convert_entry {
	struct str key, value;
	struct str why; /* a comment above it, "" for none */
};

/* A line of the new transport table: from then on brackets, and not DNS, name the server. */
struct convert_route {
	struct str key, value;      /* "clinic.example", "smtp:[mx.clinic.example]:25" */
	struct str before, nexthop; /* the next-hop until now, and the one from then on */
	struct str host;
};

/* What the operator has to know: something has no equivalent, or is left out. */
struct convert_note {
	struct str code, text;
	struct str remedy; /* "" when there is nothing to do */
};

struct convert_strs {
	struct str *v;
	size_t n, room;
};

struct convert {
	struct cmd_sources sources;
	const char *output;
	bool is_forced, is_json;
	struct convert_mx *mx;
	size_t n_mx;

	struct arena *arena;
	struct str text; /* of the old main.cf */
	struct cmd_decider before;
	bool has_per_site; /* and it decides: no smtp_tls_policy_maps beside it */

	struct convert_strs keys; /* of smtp_tls_per_site, each once, as stored */
	struct map known;         /* keys that have an entry */
	struct map plain;         /* next-hops of the routing that have none and need none */
	struct map kept;          /* next-hops of the routing that no new route takes away */
	struct map served;        /* hosts of next-hops with brackets in the routing */
	struct convert_entry *entries;
	size_t n_entries, entries_room;
	struct convert_route *routes;
	size_t n_routes, routes_room;
	struct convert_note *notes;
	size_t n_notes, notes_room;
	struct str tail;    /* tables after the new one in smtp_tls_policy_maps: "static:verify" */
	bool is_impossible; /* a note says why nothing can be converted */
	bool has_unlisted;  /* of transport_maps */
};

void convert_strs_add(struct convert_strs *s, struct str text);
void convert_note(struct convert *c, const char *code, struct str text, struct str remedy);
/* The host that a next-hop with brackets or of an address names; STR_NONE: DNS says. */
struct str convert_fixed_host(struct str nexthop);

/* Fills keys, entries, routes, notes and tail. */
void convert_collect(struct convert *c);

/* The texts of the new files; main.cf names the tables in `dir`. False: too large. */
MUST_USE bool convert_table_text(const struct convert *c, struct buf *out);
MUST_USE bool convert_transport_text(const struct convert *c, struct buf *out);
MUST_USE bool convert_main_cf_text(const struct convert *c, struct str dir, struct buf *out);

/* ---- the proof ---- */

/* Next-hops that both tables answer alike; or hosts. */
struct convert_class {
	struct str per_site; /* policy_per_site_class of the old table's answer */
	struct str policy;   /* of next-hops: what decides in the new configuration */
	bool is_equal;       /* of next-hops: unchanged for a host that no table names */
	struct convert_strs members;
};

/* Pairs that differ in the same way. */
struct convert_difference {
	enum policy_change change;
	uint32_t aspects;
	const char *explanation; /* "server-entry" ...; "unexplained" */
	enum tls_level before, after;
	size_t n_pairs;
	/* the pairs are all of these next-hops with all of these hosts, each next-hop without
	 * itself; or single ones, where next-hop i goes with host i */
	const struct convert_class *nexthops, *hosts;
	struct convert_strs single_nexthops, single_hosts;
};

struct convert_proof {
	bool is_literal; /* every pair was decided, not one of each class */
	size_t n_nexthops, n_hosts, n_pairs, n_decided, n_equal, n_unexplained;
	struct convert_difference *differences;
	size_t n_differences, room;
	struct convert_class **classes[2]; /* of next-hops, of hosts */
	size_t n_classes[2];
};

enum convert_pairs { CONVERT_PAIRS_AUTO, CONVERT_PAIRS_EVERY, CONVERT_PAIRS_CLASSES };

/* Decides every pair that matters under c->before and `after`. False with *e: a question could not
 * be asked. Lives in c->arena. */
MUST_USE bool convert_prove(struct convert *c, struct cmd_decider *after, enum convert_pairs pairs,
			    struct convert_proof *proof, struct error *e);
void convert_proof_fini(struct convert_proof *proof);

/* ---- the report ---- */

MUST_USE bool
convert_text(struct buf *out, const struct convert *c, const struct convert_proof *p, int status);
MUST_USE bool
convert_json(struct buf *out, const struct convert *c, const struct convert_proof *p, int status);

#endif
