/* Listening sockets. */

#include "net/room.h"

#include <stdlib.h>

#define BACKLOG 511

struct net_listener {
	uv_tcp_t uv;
	struct net_loop *loop;
	void (*accepted)(void *arg, struct net_stream *s);
	void *arg;
	struct net_endpoint at;
};

static void on_closed(uv_handle_t *h)
{
	free(h);
}

static void on_connection(uv_stream_t *uv, int status)
{
	struct net_listener *n = (struct net_listener *)uv;
	struct net_stream *s = status == 0 ? net_stream_accept(n->loop, uv) : NULL;

	if (s)
		n->accepted(n->arg, s);
}

static int listener_open(struct net_listener *n, const struct net_endpoint *at)
{
	union net_sockaddr sa;
	int length = sizeof(sa);
	int r;

	net_sockaddr_of(at, &sa);
	r = uv_tcp_bind(&n->uv, &sa.any, sa.any.sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&n->uv, BACKLOG, on_connection);
	if (r == 0)
		r = uv_tcp_getsockname(&n->uv, &sa.any, &length);
	if (r == 0)
		CHECK(net_endpoint_of(&sa, &n->at));
	return r;
}

struct net_listener *net_listener_new(struct net_loop *l, const struct net_endpoint *at,
				      void (*accepted)(void *arg, struct net_stream *s), void *arg,
				      struct error *e)
{
	struct net_listener *n = base_alloc(sizeof(*n));
	char text[NET_ENDPOINT_TEXT_MAX];
	int r;

	n->loop = l;
	n->accepted = accepted;
	n->arg = arg;
	CHECK(uv_tcp_init(&l->uv, &n->uv) == 0);
	l->n_owned++;
	r = listener_open(n, at);
	if (r == 0)
		return n;
	net_endpoint_text(at, text);
	error_set(e, ERROR_NOT_HERE, "cannot listen on %s: %s", text, uv_strerror(r));
	net_listener_free(n);
	return NULL;
}

void net_listener_free(struct net_listener *n)
{
	if (!n)
		return;
	n->loop->n_owned--;
	uv_close((uv_handle_t *)&n->uv, on_closed);
}

struct net_endpoint net_listener_endpoint(const struct net_listener *n)
{
	return n->at;
}
