#include "table/remote_stream.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/limits.h"
#include "os/os.h"

enum { STREAM_READ = 4096, STREAM_NAP_MS = 5 };

struct remote_stream {
	int fd;
	struct buf in;
};

/* ---- names of servers ---- */

static bool server_split(struct str text, struct str *host, struct str *port)
{
	if (text.n == 0 || text.p[0] != '[')
		return str_cut(text, ':', host, port);
	if (!str_cut(str_from(text, 1), ']', host, port) || !str_has_prefix(*port, STR(":")))
		return false;
	*port = str_from(*port, 1);
	return host->n > 0;
}

/* False: it is too long. */
static bool server_keep(struct str part, char *out, size_t size)
{
	if (part.n >= size)
		return false;
	memcpy(out, part.p, part.n);
	out[part.n] = '\0';
	return true;
}

bool remote_server_parse_inet(struct str text, struct remote_server *out, struct error *e)
{
	struct str host, port;

	*out = (struct remote_server){ 0 };
	if (server_split(text, &host, &port) && port.n > 0 && !str_contains(port, ':') &&
	    server_keep(host, out->host, sizeof(out->host)) &&
	    server_keep(port, out->port, sizeof(out->port)))
		return true;
	return error_set(e, ERROR_CONFIG,
			 "\"" STR_FMT "\" is not of the form host:port or [address]:port",
			 STR_ARG(text));
}

static bool server_parse_path(struct str path, struct remote_server *out, struct error *e)
{
	*out = (struct remote_server){ .is_unix = true };
	if (path.n == 0 || path.p[0] != '/')
		return error_set(e, ERROR_CONFIG,
				 "\"" STR_FMT "\" does not begin with \"/\": the whole path is "
				 "wanted, for there is no queue directory that it could be below",
				 STR_ARG(path));
	return server_keep(path, out->path, sizeof(out->path)) ||
	       error_set(e, ERROR_CONFIG, "the path of the socket is too long");
}

bool remote_server_parse(struct str text, struct remote_server *out, struct error *e)
{
	if (str_has_prefix(text, STR("inet:")))
		return remote_server_parse_inet(str_from(text, 5), out, e);
	if (str_has_prefix(text, STR("unix:")))
		return server_parse_path(str_from(text, 5), out, e);
	return error_set(e, ERROR_CONFIG, "a server is named inet:host:port or unix:/path");
}

/* ---- connecting ---- */

static bool fail_system(struct error *why, const char *what, int error)
{
	return error_set(why, ERROR_NOT_HERE, "%s: %s", what, strerror(error));
}

static bool connect_wait(int fd, const struct remote_call *call, struct error *why)
{
	int error = 0;
	socklen_t n = sizeof(error);

	if (!remote_wait(call, fd, POLLOUT, why))
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		error = errno;
	return error == 0 || fail_system(why, "connect", error);
}

/* The queue of a UNIX-domain socket is full, and nothing tells when it is not. */
static bool connect_nap(const struct remote_call *call)
{
	struct pollfd stop = { .fd = call->stop_fd, .events = POLLIN };

	return poll(&stop, 1, STREAM_NAP_MS) == 0 && remote_left_ms(call) > 0;
}

/* -1: *why says why not. */
static int connect_to(const struct sockaddr *address, socklen_t size,
		      const struct remote_call *call, struct error *why)
{
	int one = 1, fd, error;

	fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		fail_system(why, "socket", errno);
		return -1;
	}
	if (address->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while ((error = connect(fd, address, size) == 0 ? 0 : errno) == EAGAIN)
		if (!connect_nap(call))
			break;
	if (error == 0 || (error == EINPROGRESS && connect_wait(fd, call, why)))
		return fd;
	if (error != EINPROGRESS)
		fail_system(why, "connect", error);
	close(fd);
	return -1;
}

static int connect_unix(const char *path, const struct remote_call *call, struct error *why)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	_Static_assert(sizeof(address.sun_path) == sizeof(((struct remote_server *)NULL)->path),
		       "a path that is kept is one that can be connected to");
	memcpy(address.sun_path, path, sizeof(address.sun_path));
	return connect_to((const struct sockaddr *)&address, sizeof(address), call, why);
}

/* Each address has its share of the time, so that one that is silent leaves some for the next. */
static int
connect_any(const struct addrinfo *list, const struct remote_call *call, struct error *why)
{
	size_t n = 0;
	int fd = -1;

	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
		n++;
	for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next, n--) {
		struct remote_call share = *call;
		share.deadline_ms = os_now_ms() + remote_left_ms(call) / n;
		fd = connect_to(a->ai_addr, a->ai_addrlen, &share, why);
	}
	return fd;
}

static int
connect_inet(const struct remote_server *server, const struct remote_call *call, struct error *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	const char *host = server->host;
	int fd, error;

	error = getaddrinfo(host[0] ? host : NULL, server->port, &hints, &list);
	if (error != 0) {
		error_set(why, ERROR_NOT_HERE, "%s:%s: %s", host, server->port,
			  gai_strerror(error));
		return -1;
	}
	fd = connect_any(list, call, why);
	freeaddrinfo(list);
	return fd;
}

struct remote_stream *remote_stream_open(const struct remote_server *server,
					 const struct remote_call *call, struct error *why)
{
	int fd = server->is_unix ? connect_unix(server->path, call, why)
				 : connect_inet(server, call, why);

	if (fd < 0)
		return NULL;
	struct remote_stream *s = base_alloc(sizeof(*s));
	s->fd = fd;
	return s;
}

void remote_stream_close(struct remote_stream *s)
{
	close(s->fd);
	buf_fini(&s->in);
	free(s);
}

/* ---- asking ---- */

static enum remote_status stream_lost(int error, struct error *why)
{
	error_set(why, ERROR_TEMP, "the server closed the connection%s%s",
		  error != 0 ? ": " : " without an answer", error != 0 ? strerror(error) : "");
	return REMOTE_LOST;
}

#define UNASKED "the server sent what it was not asked for"

/* A server that ends an idle connection is not at fault; but octets that nobody asked for would be
 * taken for the next answer. */
static enum remote_status stream_check(struct remote_stream *s, struct error *why)
{
	char octet;
	ssize_t n = recv(s->fd, &octet, 1, MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return REMOTE_FOUND;
	if (n <= 0)
		return stream_lost(n < 0 ? errno : 0, why);
	error_set(why, ERROR_DATA, UNASKED);
	return REMOTE_LOST;
}

static enum remote_status stream_send(struct remote_stream *s, const struct remote_call *call,
				      struct str request, struct error *why)
{
	while (request.n > 0) {
		ssize_t n = send(s->fd, request.p, request.n, MSG_NOSIGNAL);
		if (n >= 0)
			request = str_from(request, (size_t)n);
		else if (errno == EAGAIN && !remote_wait(call, s->fd, POLLOUT, why))
			return REMOTE_BROKEN;
		else if (errno != EAGAIN && errno != EINTR)
			return stream_lost(errno, why);
	}
	return REMOTE_FOUND;
}

/* One read's worth of octets. */
static enum remote_status
stream_receive(struct remote_stream *s, const struct remote_call *call, struct error *why)
{
	size_t room = buf_room(&s->in) < STREAM_READ ? buf_room(&s->in) : STREAM_READ;
	char *p = buf_reserve(&s->in, room);

	for (;;) {
		ssize_t n = recv(s->fd, p, room, 0);
		if (n > 0) {
			buf_filled(&s->in, (size_t)n);
			return REMOTE_FOUND;
		}
		if (n == 0)
			return stream_lost(0, why);
		if (errno != EAGAIN && errno != EINTR)
			return stream_lost(errno, why);
		if (errno == EAGAIN && !remote_wait(call, s->fd, POLLIN, why))
			return REMOTE_BROKEN;
	}
}

static enum remote_status stream_reply(struct remote_stream *s, const struct remote_call *call,
				       struct remote_exchange *x, struct error *why)
{
	for (;;) {
		size_t used;
		enum remote_take got = x->take(x->arg, buf_str(&s->in), &x->reply, &used);
		if (got == REMOTE_TAKE_OK && used == buf_len(&s->in))
			return REMOTE_FOUND;
		if (got == REMOTE_TAKE_MORE && buf_room(&s->in) > 0) {
			enum remote_status status = stream_receive(s, call, why);
			if (status != REMOTE_FOUND)
				return status;
			continue;
		}
		error_set(why, ERROR_DATA,
			  got == REMOTE_TAKE_OK ? UNASKED
						: "the server does not speak the protocol");
		return REMOTE_BROKEN;
	}
}

enum remote_status remote_stream_ask(struct remote_stream *s, const struct remote_call *call,
				     struct remote_exchange *x, struct error *why)
{
	enum remote_status status;

	if (s->in.limit != x->max) {
		buf_fini(&s->in);
		buf_init(&s->in, x->max);
	}
	buf_reset(&s->in);
	status = stream_check(s, why);
	if (status == REMOTE_FOUND)
		status = stream_send(s, call, x->request, why);
	if (status == REMOTE_FOUND)
		status = stream_reply(s, call, x, why);
	return status;
}
