/* Listening sockets. Those made here belong to one loop; src/net/bind.c makes them for many. */

#include "net/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct net_listener {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
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

static struct net_listener *
listener_new(struct net_loop *l, void (*accepted)(void *arg, struct net_stream *s), void *arg)
{
	struct net_listener *n = base_alloc(sizeof(*n));

	n->loop = l;
	n->accepted = accepted;
	n->arg = arg;
	l->n_owned++;
	return n;
}

static int tcp_listen(struct net_listener *n)
{
	union net_sockaddr sa;
	int length = sizeof(sa);
	int r = uv_listen(&n->uv.stream, NET_BACKLOG, on_connection);

	if (r == 0)
		r = uv_tcp_getsockname(&n->uv.tcp, &sa.any, &length);
	if (r == 0)
		CHECK(net_endpoint_of(&sa, &n->at));
	return r;
}

static int listener_open(struct net_listener *n, const struct net_endpoint *at)
{
	union net_sockaddr sa;
	int r;

	net_sockaddr_of(at, &sa);
	r = uv_tcp_bind(&n->uv.tcp, &sa.any, sa.any.sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
	return r == 0 ? tcp_listen(n) : r;
}

struct net_listener *net_listener_new(struct net_loop *l, const struct net_endpoint *at,
				      void (*accepted)(void *arg, struct net_stream *s), void *arg,
				      struct error *e)
{
	struct net_listener *n = listener_new(l, accepted, arg);
	char text[NET_ENDPOINT_TEXT_MAX];
	int r;

	CHECK(uv_tcp_init(&l->uv, &n->uv.tcp) == 0);
	r = listener_open(n, at);
	if (r == 0)
		return n;
	net_endpoint_text(at, text);
	error_set(e, ERROR_NOT_HERE, "cannot listen on %s: %s", text, uv_strerror(r));
	net_listener_free(n);
	return NULL;
}

struct net_listener *net_listener_new_unix(struct net_loop *l, struct str path,
					   void (*accepted)(void *arg, struct net_stream *s),
					   void *arg, struct error *e)
{
	struct net_listener *n = listener_new(l, accepted, arg);
	char z[NET_PATH_MAX];
	int r = net_socket_path(path, z) ? 0 : UV_ENAMETOOLONG;

	CHECK(uv_pipe_init(&l->uv, &n->uv.pipe, 0) == 0);
	if (r == 0)
		r = uv_pipe_bind(&n->uv.pipe, z);
	if (r == 0)
		r = uv_listen(&n->uv.stream, NET_BACKLOG, on_connection);
	if (r == 0)
		return n;
	error_set(e, ERROR_NOT_HERE, "cannot listen on " STR_FMT ": %s",
		  STR_ARG(str_first(path, 200)), uv_strerror(r));
	net_listener_free(n);
	return NULL;
}

static bool is_tcp(int fd)
{
	union net_sockaddr sa;
	socklen_t length = sizeof(sa);

	return getsockname(fd, &sa.any, &length) == 0 &&
	       (sa.any.sa_family == AF_INET || sa.any.sa_family == AF_INET6);
}

/* Takes `fd` when it succeeds. */
static int listener_adopt(struct net_listener *n, int fd)
{
	int r = uv_tcp_open(&n->uv.tcp, fd);

	return r == 0 ? tcp_listen(n) : r;
}

static int listener_adopt_unix(struct net_listener *n, int fd)
{
	int r = uv_pipe_open(&n->uv.pipe, fd);

	return r == 0 ? uv_listen(&n->uv.stream, NET_BACKLOG, on_connection) : r;
}

struct net_listener *net_listener_open(struct net_loop *l, int fd,
				       void (*accepted)(void *arg, struct net_stream *s), void *arg,
				       struct error *e)
{
	int mine = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int r = mine < 0 ? -errno : 0;

	if (r != 0) {
		error_set(e, ERROR_SYSTEM, "listening on a socket that is bound: %s",
			  uv_strerror(r));
		return NULL;
	}
	struct net_listener *n = listener_new(l, accepted, arg);
	if (is_tcp(mine)) {
		CHECK(uv_tcp_init(&l->uv, &n->uv.tcp) == 0);
		r = listener_adopt(n, mine);
	} else {
		CHECK(uv_pipe_init(&l->uv, &n->uv.pipe, 0) == 0);
		r = listener_adopt_unix(n, mine);
	}
	if (r == 0)
		return n;
	error_set(e, ERROR_SYSTEM, "listening on a socket that is bound: %s", uv_strerror(r));
	net_listener_free(n);
	return NULL;
}

void net_listener_free(struct net_listener *n)
{
	if (!n)
		return;
	n->loop->n_owned--;
	uv_close(&n->uv.handle, on_closed);
}

struct net_endpoint net_listener_endpoint(const struct net_listener *n)
{
	return n->at;
}
