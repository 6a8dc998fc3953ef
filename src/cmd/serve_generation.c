#include "cmd/serve_generation.h"

#include <stdlib.h>

bool serve_generation_read(struct serve_generation *g, struct error *e)
{
	return listen_setup_read(g->setup, e);
}

struct serve_generation *
serve_generation_new(struct conf *conf, struct serve_generation *old, struct error *e)
{
	struct serve_generation *g = base_alloc(sizeof(*g));

	g->refs = 1;
	g->conf = conf;
	g->setup = listen_setup_new(conf, e);
	if (g->setup && listen_setup_try(g->setup, e) && (!old || serve_generation_read(g, e)))
		g->sockets = listen_bind(g->setup, old ? old->sockets : NULL, e);
	if (g->sockets)
		return g;
	serve_generation_unref(g);
	return NULL;
}

struct serve_generation *serve_generation_ref(struct serve_generation *g)
{
	__atomic_add_fetch(&g->refs, 1, __ATOMIC_RELAXED);
	return g;
}

void serve_generation_unref(struct serve_generation *g)
{
	if (!g || __atomic_sub_fetch(&g->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	listen_sockets_free(g->sockets);
	listen_setup_unref(g->setup);
	conf_unref(g->conf);
	free(g);
}
