/* The daemon's console: what src/console needs, from the workers. */

#ifndef HOPSEAL_CMD_SERVE_CONSOLE_H
#define HOPSEAL_CMD_SERVE_CONSOLE_H

#include "cmd/serve_generation.h"
#include "cmd/serve_worker.h"
#include "console/console.h"

struct serve_console;

struct serve_console_options {
	struct net_loop *loop;
	struct serve_generation *const *generation; /* the one in force */
	struct store *store;
	struct os_log *log;
	struct queue_team *team;
	struct serve_worker *const *workers;
	unsigned n_workers;
	bool (*reload)(void *arg, struct error *e);
	void (*stop)(void *arg);
	void *arg;
};

/* Binds the sockets that the configuration names. As root before its rights are given up, for the
 * user that it will be. */
MUST_USE struct serve_console *serve_console_new(const struct conf *conf, struct error *e);
/* When the workers are running. */
MUST_USE bool serve_console_start(struct serve_console *c, const struct serve_console_options *o,
				  struct error *e);
/* `done` when all workers and the store's writer have answered; not after serve_console_stop. */
void serve_console_pulse(struct serve_console *c, void (*done)(void *arg), void *arg);
/* While the workers still run. */
void serve_console_stop(struct serve_console *c); /* NULL is fine */
/* When they do not. */
void serve_console_free(struct serve_console *c); /* NULL is fine */

#endif
