/* One configuration of the daemon with its bound sockets, shared by count between threads. */

#ifndef HOPSEAL_CMD_SERVE_GENERATION_H
#define HOPSEAL_CMD_SERVE_GENERATION_H

#include "listen/listen.h"

struct serve_generation {
	unsigned refs;
	struct conf *conf;
	struct listen_setup *setup;
	struct listen_sockets *sockets;
};

/* Takes `conf`, on failure too. Sockets that `old` (NULL: none) has bound are taken over. With an
 * old one it has read its files, too; the first is made before root's rights are given up. */
MUST_USE struct serve_generation *
serve_generation_new(struct conf *conf, struct serve_generation *old, struct error *e);
/* Of the first: reads its files, with the rights that a reload will have. */
MUST_USE bool serve_generation_read(struct serve_generation *g, struct error *e);
struct serve_generation *serve_generation_ref(struct serve_generation *g);
void serve_generation_unref(struct serve_generation *g); /* NULL is fine */

#endif
