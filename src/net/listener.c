/* Listening sockets. They are accepted from by ourselves, and not by libuv: when descriptors run
 * out it would take what waits and hang up. Here clients stay in the kernel's queue, nothing is
 * asked for a moment, and then it goes on. */

#include "net/room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/files.h"

#define ACCEPT_MAX 16       /* of one listener in one turn of the loop */
#define ACCEPT_PAUSE_MS 100 /* when there is no descriptor or memory for another one */

struct net_listener {
	uv_poll_t uv;
	struct net_loop *loop;
	struct net_timer *again; /* NULL: it was never needed */
	int fd;
	bool is_tcp, is_freed, uses_all;
	char path[NET_PATH_MAX]; /* removed at the end; "": none */
	void (*accepted)(void *arg, struct net_stream *s);
	void (*paused)(void *arg, struct str why);
	void *arg;
	struct net_endpoint at;
};

static void on_readable(uv_poll_t *uv, int status, int events);

static void on_closed(uv_handle_t *h)
{
	free(h);
}

static void listener_watch(void *arg)
{
	struct net_listener *n = arg;

	CHECK(uv_poll_start(&n->uv, UV_READABLE, on_readable) == 0);
}

static void listener_pause(struct net_listener *n, int error)
{
	uv_poll_stop(&n->uv);
	if (!n->again)
		n->again = net_timer_new(n->loop, listener_watch, n);
	net_timer_set(n->again, net_loop_now(n->loop) + ACCEPT_PAUSE_MS);
	if (n->paused)
		n->paused(n->arg, str_of(strerror(error)));
}

/* The connection itself is gone, or the network has trouble that it tells in this way: accept(2).
 */
static bool is_of_one(int error)
{
	switch (error) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM:
	case ENETDOWN:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
		return true;
	default:
		return false;
	}
}

/* The number that the next connection would get. */
static bool has_descriptor(const struct net_listener *n)
{
	int probe;

	if (n->uses_all)
		return true;
	probe = fcntl(n->fd, F_DUPFD_CLOEXEC, 0);
	if (probe >= 0)
		close(probe);
	errno = EMFILE;
	return probe >= 0 && !os_files_is_kept_back(probe);
}

/* False: none waits, or none can be had. */
static bool listener_accept(struct net_listener *n)
{
	int fd = accept4(n->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		n->accepted(n->arg, net_stream_accept(n->loop, fd, n->is_tcp));
		return !n->is_freed;
	}
	if (is_of_one(errno))
		return true;
	if (errno != EAGAIN)
		listener_pause(n, errno);
	return false;
}

static void on_readable(uv_poll_t *uv, int status, int events)
{
	struct net_listener *n = (struct net_listener *)uv;
	unsigned i = 0;
	bool goes_on = true;

	(void)status, (void)events; /* accept says what it is */
	while (goes_on && i < ACCEPT_MAX && has_descriptor(n)) {
		goes_on = listener_accept(n);
		i++;
	}
	if (i == 0) /* else nobody may be waiting any more: it is asked again when somebody is */
		listener_pause(n, errno);
}

/* Takes `fd`, and closes it when it fails. */
static struct net_listener *listener_new(struct net_loop *l, int fd,
					 void (*accepted)(void *arg, struct net_stream *s),
					 void *arg, struct error *e)
{
	struct net_listener *n = base_alloc(sizeof(*n));
	union net_sockaddr sa;
	socklen_t length = sizeof(sa);
	int r = uv_poll_init(&l->uv, &n->uv, fd);

	if (r != 0) {
		error_set(e, ERROR_SYSTEM, "watching a socket: %s", uv_strerror(r));
		close(fd);
		free(n);
		return NULL;
	}
	n->loop = l;
	n->fd = fd;
	n->accepted = accepted;
	n->arg = arg;
	n->is_tcp = getsockname(fd, &sa.any, &length) == 0 && sa.any.sa_family != AF_UNIX;
	if (n->is_tcp)
		CHECK(net_endpoint_of(&sa, &n->at));
	l->n_owned++;
	listener_watch(n);
	return n;
}

struct net_listener *net_listener_new(struct net_loop *l, const struct net_endpoint *at,
				      void (*accepted)(void *arg, struct net_stream *s), void *arg,
				      struct error *e)
{
	int fd = net_bind(at, e);

	return fd < 0 ? NULL : listener_new(l, fd, accepted, arg, e);
}

struct net_listener *net_listener_new_unix(struct net_loop *l, struct str path,
					   void (*accepted)(void *arg, struct net_stream *s),
					   void *arg, struct error *e)
{
	int fd = net_bind_new_unix(path, e);
	struct net_listener *n = fd < 0 ? NULL : listener_new(l, fd, accepted, arg, e);

	if (n)
		CHECK(net_socket_path(path, n->path));
	return n;
}

struct net_listener *net_listener_open(struct net_loop *l, int fd,
				       void (*accepted)(void *arg, struct net_stream *s), void *arg,
				       struct error *e)
{
	int mine = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (mine >= 0)
		return listener_new(l, mine, accepted, arg, e);
	error_set(e, ERROR_SYSTEM, "listening on a socket that is bound: %s", strerror(errno));
	return NULL;
}

void net_listener_on_pause(struct net_listener *n, void (*paused)(void *arg, struct str why))
{
	n->paused = paused;
}

void net_listener_use_all(struct net_listener *n)
{
	n->uses_all = true;
}

void net_listener_free(struct net_listener *n)
{
	if (!n)
		return;
	n->is_freed = true;
	n->loop->n_owned--;
	net_timer_free(n->again);
	uv_close((uv_handle_t *)&n->uv, on_closed);
	close(n->fd);
	if (n->path[0])
		unlink(n->path);
}

struct net_endpoint net_listener_endpoint(const struct net_listener *n)
{
	return n->at;
}
