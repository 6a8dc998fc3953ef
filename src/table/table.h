/* Lookup tables: the lists that parameters such as smtp_tls_per_site name, in Postfix's syntax
 * ("texthash:/etc/hopseal/tls_per_site, static:NONE"). docs/reference/tables.md has the types.
 *
 * A table that cannot be used is never left out of its list: it fails every lookup that comes to
 * it, and is a finding. Thread: everything here belongs to the thread that made it. Times are
 * monotonic ms (os_now_ms). */

#ifndef HOPSEAL_TABLE_TABLE_H
#define HOPSEAL_TABLE_TABLE_H

#include "base/arena.h"
#include "fact/fact.h"

/* What there is to say about a table, for `hopseal check` and the log. Told once for each version
 * of a file. */
struct table_finding {
	bool is_error; /* this table, or this version of it, cannot be used */
	bool is_news;  /* nothing to mend: a version was taken over */
	/* Stable. Of a list: "bad-spec", "unknown-type", "bad-body". Of entries: "duplicate-key",
	 * "empty-value", "key-not-folded", "line-format", "line-quote", "line-colon",
	 * "line-leading-space", "line-utf8", "line-nul", "line-length", "more". Of patterns:
	 * "pattern-syntax", "pattern-extra", "pattern-no-endif", "pattern-unreachable". Of files:
	 * "open", "kept-old", "reloaded", "older". Of tables with parameters: "parameter-syntax",
	 * "parameter-unknown", "parameter-again", "readable-by-all", "query-bare",
	 * "query-constant", "query-columns", "query-refused". */
	struct str code;
	struct str param;  /* the parameter that names the table */
	struct str source; /* "texthash:/etc/hopseal/tls_per_site" */
	struct str file;   /* "" when the table is no file */
	unsigned line;     /* 0: the table as a whole */
	struct str text;   /* what it does now */
	struct str remedy; /* what to do, may be "" */
};

struct net_loop;   /* net/net.h */
struct table_type; /* table/type.h */
struct conf;       /* conf/conf.h */

struct table_options {
	bool is_utf8; /* smtputf8_enable: keys are folded as Unicode, and must be UTF-8 */
	/* Told while opening, and later from lookups and refreshes; borrowed for the call. May be
	 * NULL. */
	void (*found)(void *arg, const struct table_finding *f);
	void *arg;
	/* Where answers of servers come in; it must outlive the tables. NULL: tables that ask a
	 * server fail every lookup. */
	struct net_loop *loop;
	/* Where parameters of tables are looked up that stand in main.cf ("pgsql:name"). NULL: such
	 * tables cannot be used. It must outlive the tables. */
	const struct conf *conf;
	/* Asked for before the built-in ones; must outlive the tables. */
	const struct table_type *const *types;
	size_t n_types;
};

/* One lookup. Everything must live until it is answered or cancelled. */
struct table_query {
	struct arena *arena; /* where the answer lives */
	struct str key;      /* verbatim; folded as the table wants it */
	bool is_partial;     /* cut from a longer key: pattern tables do not know it */
	uint64_t now_ms;
	void (*answered)(void *arg, const struct answer *answer); /* borrowed for the call */
	void *arg;
};

struct table_lookup; /* one that is under way */

/* The tables of one parameter, asked in order: the first result ends a lookup, an error ends it as
 * FAILED, "no such entry" goes on. An empty value is an error too. */
struct table_set;

/* Splits `list` at commas and white space outside braces and opens each table. Never fails. */
MUST_USE struct table_set *
table_set_new(struct str param, struct str list, const struct table_options *o, uint64_t now_ms);
void table_set_free(struct table_set *s); /* no lookup may be under way; NULL is fine */

/* NULL: *answer is filled, and `answered` is not called. Else `answered` is called once,
 * later and not from inside this call: that is how tables that ask a server answer. */
MUST_USE struct table_lookup *
table_set_lookup(struct table_set *s, const struct table_query *q, struct answer *answer);
void table_lookup_cancel(struct table_lookup *l); /* no call comes; not after `answered` */

/* Looks whether files have changed, once a second at most; a lookup does the same for the tables
 * that it asks. */
void table_set_refresh(struct table_set *s, uint64_t now_ms);

/* Refreshes, and sets *version to a number that only grows, and grows whenever an answer may have
 * become another one: what was made of answers is good while it stays. False: a table of the list
 * cannot tell (randmap, and whatever asks somebody else). */
MUST_USE bool table_set_version(struct table_set *s, uint64_t now_ms, uint64_t *version);

/* All entries of the tables that can list theirs, in the order of list and file. Keys as stored:
 * A-Z lowered. False: there are tables that cannot. */
struct table_entry {
	struct str source, file;
	unsigned line;
	struct str key, value;
};
bool table_set_each(const struct table_set *s,
		    void (*entry)(void *arg, const struct table_entry *e), void *arg);

/* The sets of a whole configuration, by the name of their parameter. */
struct tables;

MUST_USE struct tables *tables_new(const struct table_options *o);
void tables_free(struct tables *t); /* with its sets; NULL is fine */
/* Once for each parameter. An empty list is a set that knows nothing. */
void tables_open(struct tables *t, struct str param, struct str list, uint64_t now_ms);
struct table_set *tables_find(const struct tables *t, struct str param); /* NULL: not opened */
/* As table_set_lookup. A `param` with a ":" is a table by itself, "texthash:/etc/x" inside a list
 * of names; it is opened when it is first asked. FAILED when a parameter was not opened. */
MUST_USE struct table_lookup *tables_lookup(struct tables *t, struct str param,
					    const struct table_query *q, struct answer *answer);
void tables_refresh(struct tables *t, uint64_t now_ms);
/* As table_set_version. False, too, when the parameter was not opened. */
MUST_USE bool
tables_version(struct tables *t, struct str param, uint64_t now_ms, uint64_t *version);

#endif
