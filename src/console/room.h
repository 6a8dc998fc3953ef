/* What the files of this room share. */

#ifndef HOPSEAL_CONSOLE_ROOM_H
#define HOPSEAL_CONSOLE_ROOM_H

#include "base/json.h"
#include "base/list.h"
#include "console/console.h"

struct console {
	struct net_loop *loop;
	struct console_options options;
	struct store_client *client;
	struct list sessions;
	unsigned n_sessions;
	struct net_listener *listener;
	struct metrics *metrics;
	struct console_reader *reader;
	struct gather *pulse;
	void (*pulse_done)(void *arg);
	void *pulse_arg;
	unsigned n_out; /* gathers and changes that are under way */
	bool is_closing;
};

/* ---- reading the store ---- */

/* A member of what it is about. `work` is called on the reader's thread; false: *e says why. Then
 * `done`, on the loop. */
struct reader_job {
	struct net_note note;
	struct reader_job *next;
	bool (*work)(struct reader_job *j, struct store_reader *r);
	void (*done)(struct reader_job *j);
	bool is_good;
	struct error e;
};

struct console_reader;
MUST_USE struct console_reader *
console_reader_new(struct net_loop *l, const char *directory, struct error *e);
void console_reader_free(struct console_reader *r); /* when nothing is out; NULL is fine */
void console_reader_ask(struct console_reader *r, struct reader_job *j);

/* ---- gathering figures ---- */

enum gather_part {
	GATHER_TOTALS = 1, /* reads the store, and how much room it has */
	GATHER_LOOK = 2,   /* asks the workers */
	GATHER_WRITE = 4,  /* whether the store's writer answers */
	GATHER_PROBE = 8,  /* whether it can write: it does. Not with GATHER_WRITE */
};

struct console_totals {
	uint64_t queued, held, finished, destinations;
	int64_t oldest_ms; /* when the oldest message came; 0: there is none */
};

struct console_figures {
	struct console_totals totals;
	const struct console_view *view; /* borrowed for the call; NULL: not asked for */
	struct store_space space;        /* with the totals */
	enum store_fault write;
	struct error e; /* the first thing that failed */
};

struct gather;
struct gather *gather_new(struct console *c, unsigned parts, enum console_look_how how,
			  void (*done)(void *arg, const struct console_figures *f), void *arg);
unsigned gather_owed(const struct gather *g); /* parts that were not answered yet */
void gather_forget(struct gather *g);         /* `done` does not come; NULL is fine */

/* Something that was out is back. */
void console_back(struct console *c);

/* ---- replies and pages ---- */

void console_status_json(struct json *j, const struct console *c, const struct console_figures *f);
void console_destination_json(struct json *j, const struct console_destination *d);
MUST_USE bool
metrics_page(struct buf *out, const struct console *c, const struct console_figures *f);

/* ---- servers ---- */

void console_accepted(void *arg, struct net_stream *s);
void console_drop_all(struct console *c);

MUST_USE struct metrics *metrics_new(struct console *c, int fd, struct error *e);
void metrics_free(struct metrics *m); /* NULL is fine */

#endif
