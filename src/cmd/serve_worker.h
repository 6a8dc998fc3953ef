/* One worker of the daemon: a thread with its loop, its part of the queue and its configuration. */

#ifndef HOPSEAL_CMD_SERVE_WORKER_H
#define HOPSEAL_CMD_SERVE_WORKER_H

#include "cmd/serve_generation.h"
#include "cmd/site.h"
#include "console/console.h"
#include "queue/queue.h"

struct serve_worker;

struct serve_worker_options {
	unsigned member;
	struct queue_team *team;
	struct store *store;
	struct os_log *log;
	struct listen_clients *clients;
	struct serve_generation *generation; /* a reference of its own is taken */
	struct net_chan *ended;              /* gets a note when the thread's work is done */
};

/* Makes everything; no thread yet. NULL: *e. */
MUST_USE struct serve_worker *
serve_worker_new(const struct serve_worker_options *o, struct error *e);
void serve_worker_free(struct serve_worker *w); /* after serve_worker_join, or without a start */

/* When all workers were made. */
MUST_USE bool serve_worker_start(struct serve_worker *w, struct error *e);
void serve_worker_join(struct serve_worker *w);

/* From the main thread, by note. The configuration has been tried out already. */
void serve_worker_reload(struct serve_worker *w, struct serve_generation *g);
void serve_worker_stop(struct serve_worker *w, uint64_t limit_ms);
void serve_worker_hurry(struct serve_worker *w); /* after that: what is left is cut off now */
/* No more sessions with servers at once than that: files may be short. Also before the start. */
void serve_worker_set_most(struct serve_worker *w, unsigned sessions);

/* What a worker is at: an answer, posted to a channel. */
struct serve_view {
	struct net_note note;
	unsigned member;
	void *tag;
	struct arena *arena;
	struct sched_totals totals;
	struct console_sessions sessions;
	struct console_destination *v;
	size_t n;
	bool is_cut;
	size_t n_blocked; /* LOOK_BLOCKED: all of them */
};

void serve_worker_look(struct serve_worker *w, enum console_look_how how, struct net_chan *to,
		       void *tag);
void serve_view_free(struct serve_view *v); /* NULL is fine */

const struct log_counters *serve_worker_counters(const struct serve_worker *w);

#endif
