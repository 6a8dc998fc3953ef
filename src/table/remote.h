/* Tables that ask a server. A few threads, each with a connection of its own, run an engine that
 * blocks; the answers come back to the thread of the loop. Here are the deadline of a lookup, the
 * second try when a kept connection turns out to be closed, the short memory that a source is
 * down, and the end of connections that are idle. An engine knows its protocol and nothing of
 * threads.
 *
 * A type of table calls remote_new in its `open`, remote_lookup in `lookup`, and so on. */

#ifndef HOPSEAL_TABLE_REMOTE_H
#define HOPSEAL_TABLE_REMOTE_H

#include "base/buf.h"
#include "base/error.h"
#include "table/type.h"

/* ---- for engines: on a thread of the pool ---- */

enum remote_status {
	REMOTE_FOUND,  /* the value is filled; an empty one is the set's business */
	REMOTE_NONE,   /* the source knows no such key */
	REMOTE_FAILED, /* the source answered with an error; the connection is good for more */
	REMOTE_BROKEN, /* no answer in time, or nonsense: the connection is closed */
	REMOTE_LOST,   /* closed by the source: one that was kept from earlier is opened again, and
	                * the same is asked once more */
};

/* How long a call of an engine may take. */
struct remote_call {
	uint64_t deadline_ms; /* os_now_ms; of the lookup as a whole, opening included */
	int stop_fd;          /* readable: the table is being closed */
};

struct remote_engine {
	/* NULL: the source cannot be reached, or refuses; *why says so. */
	void *(*open)(const void *config, const struct remote_call *call, struct error *why);
	/* Appends to `value`, which is empty and limited to TABLE_VALUE_MAX. FAILED, BROKEN and
	 * LOST fill *why; octets from the source only through remote_quote. */
	enum remote_status (*lookup)(void *connection, const struct remote_call *call,
				     struct str key, struct buf *value, struct error *why);
	void (*close)(void *connection); /* does not wait */
};

/* Waits until `fd` has one of `events` (poll). False: the deadline has passed or the table is being
 * closed; *why says which. Every wait of an engine goes through this, or is bounded by
 * remote_left_ms where a library waits by itself. */
MUST_USE bool remote_wait(const struct remote_call *call, int fd, short events, struct error *why);
uint64_t remote_left_ms(const struct remote_call *call); /* 0: the deadline has passed */

/* What a source said, for people: one line of at most 200 octets without what a terminal obeys. In
 * `out`, which is returned as a C string. */
#define REMOTE_QUOTE_MAX 201
const char *remote_quote(struct str said, char out[REMOTE_QUOTE_MAX]);

/* ---- for types of tables: on the thread of the loop ---- */

struct remote_options {
	const struct remote_engine *engine;
	/* The engine's; several threads read it side by side, so it does not change. It may
	 * outlive the table and borrows nothing of it. Given back by config_free (may be NULL),
	 * which is called on any thread, once nobody uses it. */
	void *config;
	void (*config_free)(void *config);
	/* NULL, or told of each answer before the set is, on the loop's thread. False: the type
	 * goes on by itself, and calls table_lookup_answered later. */
	bool (*answered)(void *table, struct table_lookup *l);
	void *table;
	/* 0 is the default of each. */
	uint64_t timeout_ms;    /* of a lookup as a whole: hopseal_table_timeout */
	uint64_t idle_ms;       /* an unused connection is closed: 10 s */
	uint64_t age_ms;        /* a connection is not used any more: 100 s */
	unsigned n_connections; /* TABLE_REMOTE_CONNECTIONS_MAX, and no more than that */
};

struct remote;

/* Asks nobody yet: threads and connections come with lookups. `c` must outlive it. */
MUST_USE struct remote *remote_new(const struct table_context *c, const struct remote_options *o);
/* The `lookup` of a type, with the key as the engine is to see it (copied): the key, or a whole
 * request. True: it failed at once, or the key cannot be in any table, for it has a NUL or should
 * be UTF-8 and is not. A value with such a fault is an error. */
MUST_USE bool remote_lookup(struct remote *r, struct table_lookup *l, struct str key);
/* Fills l->answer: FAILED, with the table's name before the words. */
void remote_fail(const struct remote *r, struct table_lookup *l, struct str why);
/* The `has_patterns` of a type whose server is shown whole keys only. */
bool remote_wants_whole_keys(const void *table);
void remote_cancel(struct remote *r, struct table_lookup *l); /* the type's `cancel` */
/* Waits a second at most for threads whose engine does not notice that it shall stop; later they
 * end by themselves. */
void remote_free(struct remote *r);

#endif
