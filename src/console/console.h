/* What operators and monitors ask of the running daemon: requests over a UNIX-domain socket
 * (proto/control.h), and figures over HTTP. The only room that sees libmicrohttpd.
 *
 * Thread: the main loop's, which carries no mail, and one of its own that reads the store. */

#ifndef HOPSEAL_CONSOLE_CONSOLE_H
#define HOPSEAL_CONSOLE_CONSOLE_H

#include "base/arena.h"
#include "log/counters.h"
#include "proto/control.h"
#include "sched/sched.h"
#include "store/store.h"

struct os_log;

/* ---- what the workers are at ---- */

struct console_destination {
	struct str name;
	unsigned window; /* 0: dead */
	unsigned attempts, recipients;
	uint64_t blocked_ms; /* left alone for that long; 0: it is not */
};

/* Connections that are open. */
struct console_sessions {
	size_t smtp, smtps, lmtp; /* inbound, by the type of their listener */
	size_t tls;               /* of them inside TLS */
	size_t outbound, idle;    /* idle: of the outbound ones, kept for further mail */
};

enum console_look_how {
	CONSOLE_LOOK_TOTALS,
	CONSOLE_LOOK_BLOCKED, /* and destinations that are dead or suspended */
	CONSOLE_LOOK_ALL,     /* and all destinations in memory */
};

struct console_view {
	unsigned workers;
	struct sched_totals totals;
	struct console_sessions sessions;
	const struct console_destination *v;
	size_t n;
	bool is_cut;      /* there were more than CONTROL_DESTINATIONS_MAX in a worker */
	size_t n_blocked; /* LOOK_BLOCKED: all; v has those that are so for longest */
};

/* Destinations that are left alone: keeps CONTROL_BLOCKED_MAX, those that are so for longest. */
struct console_blocked;
struct console_blocked *console_blocked_new(void);
void console_blocked_free(struct console_blocked *b); /* NULL is fine */
/* The name is borrowed until it is freed. */
void console_blocked_add(struct console_blocked *b, const struct console_destination *d);
/* What is kept, the longest first; gives how many. */
size_t
console_blocked_take(struct console_blocked *b, struct arena *a, struct console_destination **out);

/* What the console needs of the daemon. */
struct console_look;
struct console_daemon {
	void *arg;
	struct store *store;
	const char *directory; /* the store's */
	struct os_log *log;
	int64_t started_at;
	struct str (*configuration)(void *arg); /* its fingerprint */
	/* `done` comes later, from the loop; the view is borrowed for the call. */
	struct console_look *(*look_new)(void *arg, enum console_look_how how,
					 void (*done)(void *done_arg, const struct console_view *v),
					 void *done_arg);
	void (*look_free)(void *arg, struct console_look *l); /* cancels; not inside `done` */
	unsigned (*workers)(void *arg);
	const struct log_counters *(*counters)(void *arg, unsigned worker);
	void (*changing)(void *arg, bool has_begun); /* around what the store is told */
	void (*changed)(void *arg, const struct store_selection *which);
	bool (*reload)(void *arg, struct error *e);
	void (*stop)(void *arg);
};

/* ---- the daemon's side ---- */

/* Sockets that are bound before root's rights are given up. */
struct console_sockets {
	int control, metrics; /* -1: none */
	char path[256];       /* of the control socket; removed at the end */
};

struct console_sockets_options {
	struct str control; /* a path; "": none */
	bool has_group;     /* whose members may use it, beside root and the daemon's user */
	unsigned group;     /* gid */
	bool has_owner;     /* who the socket is given to: root starts the daemon */
	unsigned owner;     /* uid */
	struct str metrics; /* "ADDRESS:PORT"; "": none */
};

/* False: nothing is left open. */
MUST_USE bool
console_bind(struct console_sockets *s, const struct console_sockets_options *o, struct error *e);
void console_unbind(struct console_sockets *s); /* closes, removes; what is -1 is passed over */

struct console;
struct console_options {
	struct net_loop *loop;
	struct console_daemon daemon;
	const struct console_sockets *sockets; /* borrowed; until console_free */
	bool has_group;
	unsigned group;
};

MUST_USE struct console *console_new(const struct console_options *o, struct error *e);
/* `done` once all workers and the store's writer have answered, whatever the writer says; not after
 * console_free. One at a time. */
void console_pulse(struct console *c, void (*done)(void *arg), void *arg);
/* Runs the loop until what was asked of the store and the workers is answered: both still run. */
void console_free(struct console *c); /* NULL is fine */

/* ---- changes, also without a daemon ---- */

struct console_change_result {
	struct error e;   /* kind ERROR_NONE: it is done */
	uint64_t changed; /* recipients */
};

struct console_change_options {
	struct store_client *client;
	const struct control_request *request; /* copied */
	int64_t now_ms;
	/* What was changed, before `done`; may be NULL. */
	void (*changed)(void *arg, const struct store_selection *which);
	/* Once, from the loop. */
	void (*done)(void *arg, const struct console_change_result *r);
	void *arg;
};

/* Does what a request for a change says. It cannot be taken back. */
void console_change(const struct console_change_options *o);

/* ---- what is on disk, also without a daemon ---- */

/* The reply to a request that reads the store (control_is_reading), but for its last line: lines of
 * JSON, docs/reference/control.md. Used by one thread at a time. */
struct console_reading;

enum console_piece { CONSOLE_MORE, CONSOLE_DONE, CONSOLE_FAILED };

MUST_USE struct console_reading *console_reading_new(const struct control_request *r); /* copied */
void console_reading_free(struct console_reading *rd); /* NULL is fine */
/* Appends whole lines to `out`, whose limit is CONTROL_REPLY_MAX; none maybe. FAILED: *e. */
MUST_USE enum console_piece console_reading_piece(struct console_reading *rd,
						  struct store_reader *r, struct buf *out,
						  struct error *e);

struct str console_state_name(enum store_state s); /* "queued" */

/* ---- who may ---- */

/* Who may read the mail itself: root and the daemon's own user. */
bool console_may_cat(unsigned uid);
/* Whether a user may ask: root, the daemon's own, members of the group. */
bool console_may(unsigned uid, unsigned gid, bool has_group, unsigned group);

#endif
