/* Loops, timers, streams, listeners: the room that owns libuv. Nothing here knows SMTP or TLS.
 *
 * Thread: a loop and all that is made on it belong to the one thread that runs it; only
 * net_chan_post may be called from elsewhere. Calls come from inside net_loop_run and never from
 * inside the function that caused them, so a stream, timer, watch or listener may be freed in any
 * call, its own included; after its free function no call of it comes. What libuv still needs of
 * the memory is kept and given back inside this room. Times are monotonic ms. */

#ifndef HOPSEAL_NET_NET_H
#define HOPSEAL_NET_NET_H

#include "base/error.h"
#include "base/str.h"
#include "mail/address.h"

#define NET_TEXT_MAX 256

enum net_fault {
	NET_FAULT_REFUSED,     /* nobody listens */
	NET_FAULT_TIMEOUT,     /* the kernel gave up; a caller's own deadline never comes here */
	NET_FAULT_UNREACHABLE, /* no route to host or network, family not available */
	NET_FAULT_RESET,       /* the peer broke an established connection */
	NET_FAULT_LOCAL,       /* our side: address in use, permission, bad path */
	NET_FAULT_SHORTAGE, /* no descriptor or memory is left for it; says nothing of the peer */
	NET_FAULT_OTHER,
};

struct net_failure {
	enum net_fault fault;
	char text[NET_TEXT_MAX]; /* "connection refused", the system's words */
};

struct net_endpoint {
	struct address address;
	uint16_t port;
};

/* "192.0.2.1:25", "[2001:db8::1]:25"; the text lives in `out`, which is returned as a span. */
#define NET_ENDPOINT_TEXT_MAX 64
struct str net_endpoint_text(const struct net_endpoint *e, char out[NET_ENDPOINT_TEXT_MAX]);
/* Takes that text, with a port of 0 too; an address without port is refused. */
MUST_USE bool net_endpoint_parse(struct str text, struct net_endpoint *out);

/* Of all interfaces that are up, loopback included; in the arena. */
MUST_USE bool
net_own_addresses(struct arena *a, const struct address **out, size_t *n, struct error *e);

/* The same with the prefix of each address's network; 32 or 128 when the system knows none. */
struct net_network {
	struct address address;
	unsigned prefix; /* bits */
};
MUST_USE bool
net_own_networks(struct arena *a, const struct net_network **out, size_t *n, struct error *e);

/* A loop. The first one made sets SIGPIPE to be ignored in the whole process. */
struct net_loop;

MUST_USE struct net_loop *net_loop_new(void);
void net_loop_free(struct net_loop *l); /* all made on it must have been freed: a CHECK */
void net_loop_run(struct net_loop *l);  /* until net_loop_stop, or nothing is left to wait for */
/* Runs on until what net_stream_finish still carries is gone, or its time is over. */
void net_loop_drain(struct net_loop *l);
void net_loop_stop(struct net_loop *l);    /* the run ends after the present call */
uint64_t net_loop_now(struct net_loop *l); /* the clock of timers */

/* Runs `work` on a thread of the pool, then `done` on the loop's thread. For calls that block
 * (getaddrinfo, files on slow disks). It cannot be cancelled: `arg` must live until `done`. */
void net_loop_work(struct net_loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* A channel: notes from any threads to the one of the loop, in the order of posting. A note is a
 * member of what it carries, which belongs to the channel from post to `received`. */
struct net_note {
	struct net_note *next; /* the channel's */
};

struct net_chan;
MUST_USE struct net_chan *
net_chan_new(struct net_loop *l, void (*received)(void *arg, struct net_note *n), void *arg);
/* Nobody may post any more, and nothing may be left to take: a CHECK. */
void net_chan_free(struct net_chan *c);
void net_chan_post(struct net_chan *c, struct net_note *n); /* from any thread */
/* The oldest note that was not received yet, or NULL: for those that are left at the end. */
MUST_USE struct net_note *net_chan_take(struct net_chan *c);
/* An open channel keeps the loop running only while it is held. */
void net_chan_hold(struct net_chan *c);
void net_chan_release(struct net_chan *c);

struct net_timer;
MUST_USE struct net_timer *net_timer_new(struct net_loop *l, void (*expired)(void *arg), void *arg);
void net_timer_free(struct net_timer *t); /* NULL is fine, here and in all _free of this room */
/* Once, at `at` (in the past: at once); replaces an earlier time. UINT64_MAX stops it, so that an
 * engine's deadline can be passed as it is. */
void net_timer_set(struct net_timer *t, uint64_t at);
void net_timer_stop(struct net_timer *t);

/* What becomes of a stream. Members may be NULL when the caller does not care. */
struct net_stream_calls {
	void (*connected)(void *arg);               /* not for accepted streams */
	void (*read)(void *arg, struct str octets); /* borrowed for the call; never empty */
	void (*ended)(void *arg);   /* the peer closed its side; ours may still be written */
	void (*drained)(void *arg); /* net_stream_queued went to 0 after having been above */
	void (*failed)(void *arg, const struct net_failure *why); /* the last call: free it */
};

struct net_stream;

/* Starts to connect, from `source` if not NULL (its port may be 0). Trouble, also at once, is told
 * by `failed` from the loop. A deadline is the caller's timer and net_stream_free. */
MUST_USE struct net_stream *net_stream_connect(struct net_loop *l, const struct net_endpoint *to,
					       const struct net_endpoint *source,
					       const struct net_stream_calls *calls, void *arg);
/* The same to a UNIX-domain socket. */
MUST_USE struct net_stream *net_stream_connect_unix(struct net_loop *l, struct str path,
						    const struct net_stream_calls *calls,
						    void *arg);
void net_stream_free(struct net_stream *s); /* closes at once; what is queued is lost */
/* Frees, and the peer sees a broken connection (TCP RST) instead of an end. */
void net_stream_reset(struct net_stream *s);

/* Frees, but what is queued goes out first; then our side is shut down and the peer's octets are
 * thrown away until it closes too, `linger_ms` at most. No calls come. */
void net_stream_finish(struct net_stream *s, uint64_t linger_ms);

/* Other calls from now on; `calls` must live as long as the stream. */
void net_stream_set_calls(struct net_stream *s, const struct net_stream_calls *calls, void *arg);

/* Copies what the kernel does not take at once. The caller bounds it by net_stream_queued and
 * `drained`. Not before `connected`. Ignored after `failed`. */
void net_stream_write(struct net_stream *s, struct str octets);
size_t net_stream_queued(const struct net_stream *s);
void net_stream_shutdown(struct net_stream *s); /* our side ends after what is queued */

void net_stream_pause(struct net_stream *s); /* no `read` or `ended` until resumed */
void net_stream_resume(struct net_stream *s);

/* Who is at the other end of an accepted UNIX-domain socket; false for others. */
struct net_user {
	unsigned uid, gid;
};
MUST_USE bool net_stream_user(const struct net_stream *s, struct net_user *out);

/* False for UNIX-domain sockets and when not connected. */
MUST_USE bool net_stream_peer(const struct net_stream *s, struct net_endpoint *out);
MUST_USE bool net_stream_local(const struct net_stream *s, struct net_endpoint *out);

/* Each accepted stream is the callee's: it reads nothing before net_stream_set_calls. */
struct net_listener;
MUST_USE struct net_listener *net_listener_new(struct net_loop *l, const struct net_endpoint *at,
					       void (*accepted)(void *arg, struct net_stream *s),
					       void *arg, struct error *e);
/* On a UNIX-domain socket, which must not exist and is removed by net_listener_free. */
MUST_USE struct net_listener *
net_listener_new_unix(struct net_loop *l, struct str path,
		      void (*accepted)(void *arg, struct net_stream *s), void *arg,
		      struct error *e);
/* A socket that is bound and listens, before there are loops and while the process may still take
 * such a port; -1 with *e, and errno. A UNIX-domain socket that nobody listens on any more is
 * replaced, and anybody may connect to the new one: its folder says who can. */
MUST_USE int net_bind(const struct net_endpoint *at, struct error *e);
MUST_USE int net_bind_unix(struct str path, struct error *e);
/* On a duplicate of that descriptor: it stays the caller's, and several loops may share it. */
MUST_USE struct net_listener *net_listener_open(struct net_loop *l, int fd,
						void (*accepted)(void *arg, struct net_stream *s),
						void *arg, struct error *e);
/* When no descriptor or memory is left for another connection, clients wait in the kernel's queue
 * for a moment, over and over: told each time. With the same `arg`. */
void net_listener_on_pause(struct net_listener *n, void (*paused)(void *arg, struct str why));
/* It may have descriptors that are kept back from connections (os/files.h). */
void net_listener_use_all(struct net_listener *n);
void net_listener_free(struct net_listener *n);
/* With the port chosen; all zero for a UNIX-domain socket. */
struct net_endpoint net_listener_endpoint(const struct net_listener *n);

/* Calls when the foreign descriptor is readable (level triggered). It stays the caller's: free the
 * watch before closing it. */
struct net_watch;
MUST_USE struct net_watch *
net_watch_new(struct net_loop *l, int fd, void (*readable)(void *arg), void *arg, struct error *e);
void net_watch_free(struct net_watch *w);

/* SIGINT, SIGTERM, SIGHUP ... It does not keep the loop running. */
struct net_signal;
MUST_USE struct net_signal *
net_signal_new(struct net_loop *l, int signum, void (*caught)(void *arg, int signum), void *arg);
void net_signal_free(struct net_signal *s);

#endif
