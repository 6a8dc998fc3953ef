/* What is bound: once for all workers, and over again only where a new setup has new addresses. */

#include "listen/room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/os.h"

static struct str where_of(const struct listen_setting *s, size_t i)
{
	char text[NET_ENDPOINT_TEXT_MAX];
	struct str where = s->path.n ? s->path : net_endpoint_text(&s->at[i], text);
	char *p = base_alloc(where.n + 1);

	memcpy(p, where.p, where.n);
	return str_span(p, where.n);
}

static const struct socket *find(const struct listen_sockets *s, struct str where)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (str_eq(s->v[i].where, where))
			return &s->v[i];
	return NULL;
}

/* Once: an address that is there twice is refused as at a start. */
static int take_over(const struct listen_sockets *to, const struct socket *old, struct str where)
{
	return old && old->fd >= 0 && !find(to, where) ? dup(old->fd) : -1;
}

static bool is_without_family(int error)
{
	return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

static bool bind_one(struct listen_sockets *to, size_t setting, const struct listen_setting *s,
		     size_t i, const struct listen_sockets *from, struct error *e)
{
	struct socket k = { setting, where_of(s, i), -1 };
	const struct socket *old = find(from, k.where);

	k.fd = take_over(to, old, k.where);
	if (k.fd < 0)
		k.fd = s->path.n ? net_bind_unix(s->path, e) : net_bind(&s->at[i], e);
	/* "*": a machine may be without IPv6. Later there may be some, and root's rights gone. */
	bool may_miss = i > 0 && (is_without_family(errno) || (old && old->fd < 0));
	to->v[to->n++] = k;
	return k.fd >= 0 || may_miss;
}

struct listen_sockets *
listen_bind(const struct listen_setup *s, struct listen_sockets *old, struct error *e)
{
	struct listen_sockets *to = base_alloc(sizeof(*to));

	to->v = base_alloc((2 * s->n + 1) * sizeof(*to->v));
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->v[i].n_at; k++)
			if (!bind_one(to, i, &s->v[i], k, old, e)) {
				listen_sockets_free(to);
				return NULL;
			}
	return to;
}

void listen_sockets_free(struct listen_sockets *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].fd >= 0)
			close(s->v[i].fd);
		free((char *)(uintptr_t)s->v[i].where.p);
	}
	free(s->v);
	free(s);
}
