/* What the files of this room share. Nobody else includes it. */

#ifndef HOPSEAL_NET_ROOM_H
#define HOPSEAL_NET_ROOM_H

#include <sys/un.h>

#include <uv.h>

#include "net/net.h"

#define NET_BACKLOG 511          /* connections that wait to be accepted */
#define NET_READ_MAX (64 * 1024) /* octets of one `read` */

struct net_loop {
	uv_loop_t uv;
	size_t n_owned;               /* handed out and not freed yet */
	struct net_stream *finishing; /* streams that nobody owns any more */
	char read_mem[NET_READ_MAX];  /* of the read going on; one at a time */
};

/* For the owner of a handle that is its first member: closes it, and frees it when libuv lets
 * go. */
void net_handle_free(uv_handle_t *h);

/* For what nothing goes on without: a loop, its wake-up. Ends the process unless it is 0. */
void net_must(int uv_error, const char *what);

/* Fills *f from a libuv error (negative). */
void net_failure_set(struct net_failure *f, int uv_error);

union net_sockaddr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage storage;
};

void net_sockaddr_of(const struct net_endpoint *e, union net_sockaddr *out);
MUST_USE bool net_endpoint_of(const union net_sockaddr *sa, struct net_endpoint *out);

/* A path as the system takes it; false when it cannot be that of a socket. */
#define NET_PATH_MAX sizeof(((struct sockaddr_un *)NULL)->sun_path)
MUST_USE bool net_socket_path(struct str path, char out[NET_PATH_MAX]);

/* As net_bind_unix, but nothing may be there, and the process's mask says who may connect. */
MUST_USE int net_bind_new_unix(struct str path, struct error *e);

/* The stream of an accepted connection, without calls. */
MUST_USE struct net_stream *net_stream_accept(struct net_loop *l, int fd, bool is_tcp);
/* Closes a stream that net_stream_finish has taken over. */
void net_stream_abandon(struct net_stream *s);

#endif
