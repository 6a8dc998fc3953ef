/* Streams over TCP and UNIX-domain sockets.
 *
 *	CONNECTING -> OPEN -> BROKEN -> FAILED        the caller owns it; `failed` is told in FAILED
 *	               `----> FINISHING               nobody owns it but the loop
 *	any of them --------> CLOSING                 the memory waits for libuv
 *
 * BROKEN: a write failed. What the peer said before it hung up may still be unread ("421 too
 * busy"), and it explains more than our error: reading goes on for a moment. */

#include "net/room.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "os/files.h"

#define LAST_WORDS_MS 100

enum stream_state { CONNECTING, OPEN, BROKEN, FAILED, FINISHING, CLOSING };

struct net_stream {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	uv_timer_t later; /* failures to tell, last words, lingering */
	uv_connect_t connect;
	uv_shutdown_t shutdown;

	struct net_loop *loop;
	const struct net_stream_calls *calls;
	void *arg;
	enum stream_state state;
	bool is_paused, has_ended; /* ended: the peer's side */
	bool is_shutting, is_shut; /* our side */
	unsigned n_open;           /* of the two handles */
	size_t queued;
	struct net_failure failure;
	struct net_stream *next, *prev; /* in loop->finishing */
};

struct write {
	uv_write_t uv;
	size_t n;
	char mem[];
};

static const struct net_stream_calls no_calls;

static void on_later(uv_timer_t *t);

static void on_closed(uv_handle_t *h)
{
	struct net_stream *s = h->data;

	if (--s->n_open == 0)
		free(s);
}

static void stream_close(struct net_stream *s)
{
	s->state = CLOSING;
	s->calls = &no_calls;
	uv_close(&s->uv.handle, on_closed);
	uv_close((uv_handle_t *)&s->later, on_closed);
}

void net_stream_abandon(struct net_stream *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		s->loop->finishing = s->next;
	if (s->next)
		s->next->prev = s->prev;
	stream_close(s);
}

static struct net_stream *
stream_new(struct net_loop *l, const struct net_stream_calls *calls, void *arg)
{
	struct net_stream *s = base_alloc(sizeof(*s));

	CHECK(uv_timer_init(&l->uv, &s->later) == 0);
	s->later.data = s;
	s->loop = l;
	s->calls = calls;
	s->arg = arg;
	s->n_open = 2;
	l->n_owned++;
	return s;
}

/* Tells it from the loop and never from inside the caller's own call. */
static void stream_fail_after(struct net_stream *s, int uv_error, uint64_t delay_ms)
{
	if (s->state == CLOSING || s->state == FAILED)
		return;
	if (s->state == FINISHING) {
		net_stream_abandon(s);
		return;
	}
	if (s->state != BROKEN)
		net_failure_set(&s->failure, uv_error);
	s->state = delay_ms ? BROKEN : FAILED;
	if (s->state == FAILED)
		uv_read_stop(&s->uv.stream);
	uv_timer_start(&s->later, on_later, delay_ms, 0);
}

static void stream_fail(struct net_stream *s, int uv_error)
{
	stream_fail_after(s, uv_error, 0);
}

static void on_later(uv_timer_t *t)
{
	struct net_stream *s = t->data;

	if (s->state == FINISHING) {
		net_stream_abandon(s);
		return;
	}
	s->state = FAILED;
	uv_read_stop(&s->uv.stream);
	if (s->calls->failed)
		s->calls->failed(s->arg, &s->failure);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
	struct net_stream *s = h->data;

	(void)suggested;
	*out = uv_buf_init(s->loop->read_mem, sizeof(s->loop->read_mem));
}

static void stream_ended(struct net_stream *s)
{
	uv_read_stop(&s->uv.stream);
	s->has_ended = true;
	if (s->state == BROKEN)
		stream_fail(s, 0);
	else if (s->state == FINISHING && s->is_shut)
		net_stream_abandon(s);
	else if (s->calls->ended)
		s->calls->ended(s->arg);
}

static void on_read(uv_stream_t *uv, ssize_t n, const uv_buf_t *mem)
{
	struct net_stream *s = uv->data;

	if (n == UV_EOF)
		stream_ended(s);
	else if (n < 0)
		stream_fail(s, (int)n);
	else if (n > 0 && s->calls->read)
		s->calls->read(s->arg, str_span(mem->base, (size_t)n));
}

static void stream_read(struct net_stream *s)
{
	bool is_wanted = s->calls != &no_calls && (s->state == OPEN || s->state == BROKEN);

	if ((is_wanted || s->state == FINISHING) && !s->is_paused && !s->has_ended)
		uv_read_start(&s->uv.stream, on_alloc, on_read);
}

static void on_connect(uv_connect_t *req, int status)
{
	struct net_stream *s = req->data;

	if (s->state != CONNECTING)
		return;
	if (status != 0) {
		stream_fail(s, status);
		return;
	}
	s->state = OPEN;
	stream_read(s);
	if (s->calls->connected)
		s->calls->connected(s->arg);
}

static bool is_too_many(const struct net_stream *s)
{
	uv_os_fd_t fd;

	return uv_fileno(&s->uv.handle, &fd) == 0 && os_files_is_kept_back(fd);
}

static int
tcp_connect(struct net_stream *s, const struct net_endpoint *to, const struct net_endpoint *source)
{
	union net_sockaddr sa;
	int r;

	net_sockaddr_of(to, &sa);
	r = uv_tcp_init_ex(&s->loop->uv, &s->uv.tcp, sa.any.sa_family);
	s->uv.handle.data = s;
	if (r != 0) {
		/* No socket of this family: the handle must exist all the same, to be closed. */
		CHECK(uv_tcp_init(&s->loop->uv, &s->uv.tcp) == 0);
		s->uv.handle.data = s;
		return r;
	}
	if (is_too_many(s))
		return UV_EMFILE;
	uv_tcp_nodelay(&s->uv.tcp, 1);
	if (source) {
		union net_sockaddr from;

		net_sockaddr_of(source, &from);
		r = uv_tcp_bind(&s->uv.tcp, &from.any, 0);
	}
	return r != 0 ? r : uv_tcp_connect(&s->connect, &s->uv.tcp, &sa.any, on_connect);
}

struct net_stream *net_stream_connect(struct net_loop *l, const struct net_endpoint *to,
				      const struct net_endpoint *source,
				      const struct net_stream_calls *calls, void *arg)
{
	struct net_stream *s = stream_new(l, calls, arg);
	int r;

	s->connect.data = s;
	r = tcp_connect(s, to, source);
	if (r != 0)
		stream_fail(s, r);
	return s;
}

struct net_stream *net_stream_connect_unix(struct net_loop *l, struct str path,
					   const struct net_stream_calls *calls, void *arg)
{
	struct net_stream *s = stream_new(l, calls, arg);
	char z[NET_PATH_MAX];

	s->connect.data = s;
	CHECK(uv_pipe_init(&l->uv, &s->uv.pipe, 0) == 0);
	s->uv.handle.data = s;
	if (!net_socket_path(path, z)) {
		stream_fail(s, UV_ENAMETOOLONG);
		return s;
	}
	uv_pipe_connect(&s->connect, &s->uv.pipe, z, on_connect);
	return s;
}

struct net_stream *net_stream_accept(struct net_loop *l, int fd, bool is_tcp)
{
	struct net_stream *s = stream_new(l, &no_calls, NULL);

	CHECK((is_tcp ? uv_tcp_init(&l->uv, &s->uv.tcp) : uv_pipe_init(&l->uv, &s->uv.pipe, 0)) ==
	      0);
	s->uv.handle.data = s;
	CHECK((is_tcp ? uv_tcp_open(&s->uv.tcp, fd) : uv_pipe_open(&s->uv.pipe, fd)) == 0);
	if (is_tcp)
		uv_tcp_nodelay(&s->uv.tcp, 1);
	s->state = OPEN;
	return s;
}

void net_stream_free(struct net_stream *s)
{
	if (!s)
		return;
	s->loop->n_owned--;
	stream_close(s);
}

void net_stream_reset(struct net_stream *s)
{
	bool is_tcp = s->uv.handle.type == UV_TCP;

	s->loop->n_owned--;
	s->state = CLOSING;
	s->calls = &no_calls;
	if (!is_tcp || uv_tcp_close_reset(&s->uv.tcp, on_closed) != 0)
		uv_close(&s->uv.handle, on_closed);
	uv_close((uv_handle_t *)&s->later, on_closed);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
	struct net_stream *s = req->data;

	if (s->state == CLOSING)
		return;
	s->is_shut = true;
	if (s->state == FINISHING && (s->has_ended || status != 0))
		net_stream_abandon(s);
}

void net_stream_shutdown(struct net_stream *s)
{
	bool is_up = s->state == OPEN || s->state == FINISHING;

	if (!is_up || s->is_shutting)
		return;
	s->is_shutting = true;
	s->shutdown.data = s;
	if (uv_shutdown(&s->shutdown, &s->uv.stream, on_shutdown) != 0)
		s->is_shut = true; /* the peer is gone already */
}

void net_stream_finish(struct net_stream *s, uint64_t linger_ms)
{
	if (!s)
		return;
	if (s->state != OPEN || (s->is_shut && s->has_ended)) {
		net_stream_free(s);
		return;
	}
	s->loop->n_owned--;
	s->state = FINISHING;
	s->calls = &no_calls;
	s->is_paused = false;
	s->next = s->loop->finishing;
	if (s->next)
		s->next->prev = s;
	s->loop->finishing = s;
	uv_timer_start(&s->later, on_later, linger_ms, 0);
	net_stream_shutdown(s);
	stream_read(s);
}

void net_stream_set_calls(struct net_stream *s, const struct net_stream_calls *calls, void *arg)
{
	s->calls = calls;
	s->arg = arg;
	stream_read(s);
}

static void on_write(uv_write_t *req, int status)
{
	struct write *w = (struct write *)req;
	struct net_stream *s = req->handle->data;

	s->queued -= w->n;
	free(w);
	if (status != 0)
		stream_fail_after(s, status, LAST_WORDS_MS);
	else if (s->queued == 0 && s->state == OPEN && s->calls->drained)
		s->calls->drained(s->arg);
}

static void stream_queue(struct net_stream *s, struct str octets)
{
	struct write *w = base_alloc(sizeof(*w) + octets.n);
	uv_buf_t mem = uv_buf_init(w->mem, (unsigned)octets.n);
	int r;

	w->n = octets.n;
	memcpy(w->mem, octets.p, octets.n);
	r = uv_write(&w->uv, &s->uv.stream, &mem, 1, on_write);
	if (r == 0) {
		s->queued += w->n;
		return;
	}
	free(w);
	stream_fail_after(s, r, LAST_WORDS_MS);
}

void net_stream_write(struct net_stream *s, struct str octets)
{
	int r = UV_EAGAIN;

	CHECK(s->state != CONNECTING && !s->is_shutting && octets.n <= INT32_MAX);
	if (s->state != OPEN || octets.n == 0)
		return;
	if (s->queued == 0) {
		uv_buf_t mem = uv_buf_init((char *)octets.p, (unsigned)octets.n);

		r = uv_try_write(&s->uv.stream, &mem, 1);
	}
	if (r >= 0)
		octets = str_from(octets, (size_t)r);
	else if (r != UV_EAGAIN)
		stream_fail_after(s, r, LAST_WORDS_MS);
	if (octets.n && s->state == OPEN)
		stream_queue(s, octets);
}

size_t net_stream_queued(const struct net_stream *s)
{
	return s->queued;
}

void net_stream_pause(struct net_stream *s)
{
	s->is_paused = true;
	if (s->state != CLOSING)
		uv_read_stop(&s->uv.stream);
}

void net_stream_resume(struct net_stream *s)
{
	s->is_paused = false;
	stream_read(s);
}

typedef int (*name_of)(const uv_tcp_t *tcp, struct sockaddr *sa, int *length);

static bool stream_name(const struct net_stream *s, name_of get, struct net_endpoint *out)
{
	union net_sockaddr sa;
	int length = sizeof(sa);

	return s->uv.handle.type == UV_TCP && get(&s->uv.tcp, &sa.any, &length) == 0 &&
	       net_endpoint_of(&sa, out);
}

bool net_stream_peer(const struct net_stream *s, struct net_endpoint *out)
{
	return stream_name(s, uv_tcp_getpeername, out);
}

bool net_stream_local(const struct net_stream *s, struct net_endpoint *out)
{
	return stream_name(s, uv_tcp_getsockname, out);
}

bool net_stream_user(const struct net_stream *s, struct net_user *out)
{
	struct ucred who;
	socklen_t length = sizeof(who);
	uv_os_fd_t fd;

	if (s->uv.handle.type != UV_NAMED_PIPE || uv_fileno(&s->uv.handle, &fd) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0)
		return false;
	*out = (struct net_user){ who.uid, who.gid };
	return true;
}
