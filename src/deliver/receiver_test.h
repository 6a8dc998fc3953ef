/* A receiver on the test's own loop, at a port of its own: for tests of what sends. */

#ifndef HOPSEAL_DELIVER_RECEIVER_TEST_H
#define HOPSEAL_DELIVER_RECEIVER_TEST_H

#include "base/buf.h"
#include "net/net.h"

struct receiver;

/* The receiver's end of one connection. */
struct peer {
	struct receiver *receiver;
	struct net_stream *stream;
	struct buf heard;
	bool is_in_data, is_told_to_quit, is_gone;
};

/* The reply to a command, or, with ".", to a message; "": none now. */
typedef struct str receiver_reply(void *arg, struct peer *p, struct str line);

struct receiver {
	struct net_loop *l;
	struct net_listener *n;
	receiver_reply *reply; /* NULL: "250 ..." to all */
	void *arg;
	struct peer **peers;
	size_t n_peers;
};

static inline void peer_say(struct peer *p, struct str text)
{
	net_stream_write(p->stream, text);
}

static inline void peer_line(struct peer *p, struct str line)
{
	bool is_data = !p->is_in_data && str_ieq_ascii(line, STR("DATA"));

	if (p->is_in_data && !str_eq(line, STR(".")))
		return;
	p->is_in_data = is_data;
	p->is_told_to_quit |= str_ieq_ascii(line, STR("QUIT"));
	if (is_data)
		peer_say(p, STR("354 Go on\r\n"));
	else
		peer_say(p, p->receiver->reply ? p->receiver->reply(p->receiver->arg, p, line)
					       : STR("250 2.0.0 Ok\r\n"));
}

static inline void peer_read(void *arg, struct str octets)
{
	struct peer *p = arg;
	size_t at;

	CHECK(buf_add(&p->heard, octets));
	while (str_search(buf_str(&p->heard), STR("\r\n"), &at)) {
		peer_line(p, str_first(buf_str(&p->heard), at));
		buf_consume(&p->heard, at + 2);
	}
}

static inline void peer_ended(void *arg)
{
	struct peer *p = arg;

	p->is_gone = true;
	net_stream_free(p->stream);
	p->stream = NULL;
}

static inline void peer_failed(void *arg, const struct net_failure *why)
{
	(void)why;
	peer_ended(arg);
}

static inline void receiver_accepted(void *arg, struct net_stream *stream)
{
	static const struct net_stream_calls calls = {
		.read = peer_read,
		.ended = peer_ended,
		.failed = peer_failed,
	};
	struct receiver *r = arg;
	struct peer *p = base_alloc(sizeof(*p));

	r->peers = base_realloc(r->peers, (r->n_peers + 1) * sizeof(struct peer *));
	r->peers[r->n_peers++] = p;
	p->receiver = r;
	p->stream = stream;
	buf_init(&p->heard, 100 * 1000);
	net_stream_set_calls(stream, &calls, p);
	peer_say(p, STR("220 mx.example ESMTP\r\n"));
}

static inline void receiver_start(struct receiver *r, struct net_loop *l)
{
	struct net_endpoint at;
	struct error e;

	CHECK(net_endpoint_parse(STR("127.0.0.1:0"), &at));
	*r = (struct receiver){ .l = l };
	r->n = net_listener_new(l, &at, receiver_accepted, r, &e);
	CHECK(r->n);
}

static inline void receiver_stop(struct receiver *r)
{
	net_listener_free(r->n);
	for (size_t i = 0; i < r->n_peers; i++) {
		net_stream_free(r->peers[i]->stream);
		buf_fini(&r->peers[i]->heard);
		free(r->peers[i]);
	}
	free(r->peers);
}

#endif
