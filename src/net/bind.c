/* Sockets that are bound and listen before any loop runs. */

#include "net/room.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/privileges.h"

static int bind_failed(int fd, struct str what, struct error *e)
{
	int why = errno;

	error_set(e, ERROR_NOT_HERE, "cannot listen on " STR_FMT ": %s",
		  STR_ARG(str_first(what, 200)), strerror(why));
	if (fd >= 0)
		close(fd);
	errno = why;
	return -1;
}

static bool set_on(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

static socklen_t length_of(const union net_sockaddr *sa)
{
	return sa->any.sa_family == AF_INET6 ? sizeof(sa->v6) : sizeof(sa->v4);
}

int net_bind(const struct net_endpoint *at, struct error *e)
{
	char text[NET_ENDPOINT_TEXT_MAX];
	union net_sockaddr sa;

	net_sockaddr_of(at, &sa);
	int fd = socket(sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || !set_on(fd, SOL_SOCKET, SO_REUSEADDR) ||
	    (sa.any.sa_family == AF_INET6 && !set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY)) ||
	    bind(fd, &sa.any, length_of(&sa)) != 0 || listen(fd, NET_BACKLOG) != 0)
		return bind_failed(fd, net_endpoint_text(at, text), e);
	return fd;
}

/* A socket file whose listener is gone refuses connections. */
static bool is_stale(const struct sockaddr_un *sa)
{
	struct stat st;

	if (lstat(sa->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_refused = fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0 &&
			  errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return is_refused;
}

static int bind_unix(struct str path, const struct sockaddr_un *sa, struct error *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) != 0 ||
	    listen(fd, NET_BACKLOG) != 0)
		return bind_failed(fd, path, e);
	return fd;
}

int net_bind_new_unix(struct str path, struct error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	errno = ENAMETOOLONG;
	return net_socket_path(path, sa.sun_path) ? bind_unix(path, &sa, e)
						  : bind_failed(-1, path, e);
}

int net_bind_unix(struct str path, struct error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd;

	errno = ENAMETOOLONG;
	if (!net_socket_path(path, sa.sun_path))
		return bind_failed(-1, path, e);
	if (is_stale(&sa))
		unlink(sa.sun_path);
	fd = bind_unix(path, &sa, e);
	if (fd < 0 || os_socket_give(sa.sun_path, 0666, (struct os_user){ OS_KEEP, OS_KEEP }, e))
		return fd;
	close(fd);
	return -1;
}
