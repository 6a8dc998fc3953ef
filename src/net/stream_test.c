/* Streams against each other and against plain sockets, over loopback. */

#include "base/buf.h"
#include "base/test.h"
#include "net/net.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BIG (4 * 1024 * 1024)

/* One side of a connection: what it is to do and what happened. */
struct side {
	struct net_stream *s;
	struct str says; /* as soon as it is connected */
	bool finishes;   /* after that */
	bool resets;     /* or that */
	bool echoes;
	char free_in; /* c, r, e, d: frees itself in that call */
	bool pauses;  /* after the first read, until the timer */

	struct buf got;
	size_t n_reads;
	bool was_connected, has_ended, was_drained, has_failed;
	struct net_failure failure;
};

struct pair {
	struct net_loop *l;
	struct net_listener *n;
	struct net_timer *t;
	struct side client, server;
	struct net_endpoint peer;
};

static void side_free(struct side *d)
{
	net_stream_free(d->s);
	d->s = NULL;
}

static void side_begin(struct side *d)
{
	if (d->says.n)
		net_stream_write(d->s, d->says);
	if (d->resets) {
		net_stream_reset(d->s);
		d->s = NULL;
	} else if (d->finishes) {
		net_stream_finish(d->s, 5000);
		d->s = NULL;
	}
}

static void on_connected(void *arg)
{
	struct side *d = arg;

	d->was_connected = true;
	if (d->free_in == 'c')
		side_free(d);
	else
		side_begin(d);
}

static void on_read(void *arg, struct str octets)
{
	struct side *d = arg;

	CHECK(buf_add(&d->got, octets));
	d->n_reads++;
	if (d->free_in == 'r') {
		side_free(d);
		return;
	}
	if (d->echoes)
		net_stream_write(d->s, octets);
	if (d->pauses)
		net_stream_pause(d->s);
}

static void on_ended(void *arg)
{
	struct side *d = arg;

	d->has_ended = true;
	if (d->free_in == 'e')
		side_free(d);
	else
		net_stream_finish(d->s, 5000), d->s = NULL;
}

static void on_drained(void *arg)
{
	struct side *d = arg;

	d->was_drained = true;
	if (d->free_in == 'd')
		side_free(d);
}

static void on_failed(void *arg, const struct net_failure *why)
{
	struct side *d = arg;

	d->has_failed = true;
	d->failure = *why;
	side_free(d);
}

static const struct net_stream_calls side_calls = {
	.connected = on_connected,
	.read = on_read,
	.ended = on_ended,
	.drained = on_drained,
	.failed = on_failed,
};

static void on_accepted(void *arg, struct net_stream *s)
{
	struct pair *p = arg;

	ok(net_stream_peer(s, &p->peer), "peer is known");
	p->server.s = s;
	net_stream_set_calls(s, &side_calls, &p->server);
	net_listener_free(p->n);
	p->n = NULL;
	side_begin(&p->server);
}

static struct net_endpoint loopback(void)
{
	struct net_endpoint e;

	CHECK(net_endpoint_parse(STR("127.0.0.1:0"), &e));
	return e;
}

static void pair_connect(struct pair *p, const struct net_endpoint *source)
{
	struct net_endpoint at = net_listener_endpoint(p->n);

	p->client.s = net_stream_connect(p->l, &at, source, &side_calls, &p->client);
}

static void pair_listen(struct pair *p)
{
	struct net_endpoint at = loopback();
	struct error e = { 0 };

	p->l = net_loop_new();
	p->n = net_listener_new(p->l, &at, on_accepted, p, &e);
	ok(p->n != NULL, e.text);
	at = net_listener_endpoint(p->n);
	ok(at.port != 0, "the port chosen is told");
	buf_init(&p->client.got, 2 * BIG);
	buf_init(&p->server.got, 2 * BIG);
}

static void pair_open(struct pair *p)
{
	pair_listen(p);
	pair_connect(p, NULL);
}

static void pair_close(struct pair *p)
{
	side_free(&p->client);
	side_free(&p->server);
	net_listener_free(p->n);
	net_timer_free(p->t);
	net_loop_free(p->l);
	buf_fini(&p->client.got);
	buf_fini(&p->server.got);
}

TEST(hello_and_goodbye)
{
	struct pair p = { .server = { .says = STR_INIT("220 hello\r\n"), .finishes = true } };

	pair_open(&p);
	net_loop_run(p.l);
	ok(p.client.was_connected && p.client.has_ended && !p.client.has_failed, "in order");
	ok_str(buf_str(&p.client.got), STR("220 hello\r\n"), "what was queued before finish came");
	pair_close(&p);
}

static struct str big(void)
{
	char *p = malloc(BIG);

	for (size_t i = 0; i < BIG; i++)
		p[i] = (char)(i * 31 + (i >> 12));
	return str_span(p, BIG);
}

TEST(more_than_the_kernel_takes)
{
	struct str all = big();
	struct pair p = { .server = { .says = all, .finishes = true } };

	pair_open(&p);
	net_loop_run(p.l);
	ok(str_eq(buf_str(&p.client.got), all), "all of it, in order, though finish came at once");
	pair_close(&p);
	free((void *)all.p);
}

TEST(drained_is_told)
{
	struct str all = big();
	struct pair p = { .client = { .says = all, .free_in = 'd' } };

	pair_open(&p);
	net_loop_run(p.l);
	ok(p.client.was_drained, "after all was taken");
	ok(p.server.got.end - p.server.got.start == BIG, "and nothing lost by the free");
	pair_close(&p);
	free((void *)all.p);
}

static void resume(void *arg)
{
	struct pair *p = arg;

	ok(p->client.n_reads == 1, "nothing is read while paused");
	p->client.pauses = false;
	net_stream_resume(p->client.s);
}

TEST(pause_and_resume)
{
	struct str all = big();
	struct pair p = { .server = { .says = all, .finishes = true }, .client.pauses = true };

	pair_open(&p);
	p.t = net_timer_new(p.l, resume, &p);
	net_timer_set(p.t, net_loop_now(p.l) + 50);
	net_loop_run(p.l);
	ok(str_eq(buf_str(&p.client.got), all), "nothing is lost by a pause");
	pair_close(&p);
	free((void *)all.p);
}

TEST(freed_in_every_call)
{
	for (const char *c = "cred"; *c; c++) {
		struct pair p = { .client = { .free_in = *c, .says = STR_INIT("EHLO x\r\n") },
				  .server = { .says = STR_INIT("220\r\n"), .finishes = true } };

		pair_open(&p);
		net_loop_run(p.l);
		ok(p.client.was_connected && !p.client.has_failed, "no call after free");
		pair_close(&p);
	}
}

TEST(refused)
{
	struct pair p = { 0 };
	struct net_endpoint at;

	pair_listen(&p);
	at = net_listener_endpoint(p.n);
	net_listener_free(p.n);
	p.n = NULL;
	net_loop_run(p.l);
	p.client.s = net_stream_connect(p.l, &at, NULL, &side_calls, &p.client);
	ok(!p.client.has_failed, "told from the loop only");
	net_loop_run(p.l);
	ok(p.client.has_failed && p.client.failure.fault == NET_FAULT_REFUSED, "refused");
	ok_str(str_of(p.client.failure.text), STR("connection refused"), "words");
	pair_close(&p);
}

TEST(source_address)
{
	struct pair p = { .server = { .says = STR_INIT("x"), .finishes = true } };
	struct net_endpoint source = loopback();

	pair_listen(&p);
	source.address.octets[3] = 7;
	pair_connect(&p, &source);
	net_loop_run(p.l);
	ok(p.peer.address.octets[3] == 7, "the connection comes from 127.0.0.7");
	pair_close(&p);
}

TEST(source_address_of_somebody_else)
{
	struct pair p = { 0 };
	struct net_endpoint source = loopback();

	pair_listen(&p);
	memcpy(source.address.octets, (uint8_t[]){ 203, 0, 113, 1 }, 4); /* TEST-NET-3 */
	pair_connect(&p, &source);
	net_listener_free(p.n);
	p.n = NULL;
	net_loop_run(p.l);
	ok(p.client.has_failed && p.client.failure.fault == NET_FAULT_UNREACHABLE, "told");
	pair_close(&p);
}

TEST(address_in_use)
{
	struct pair p = { 0 };
	struct net_endpoint at;
	struct error e = { 0 };

	pair_open(&p);
	at = net_listener_endpoint(p.n);
	ok(net_listener_new(p.l, &at, on_accepted, &p, &e) == NULL, "taken");
	ok(e.kind == ERROR_NOT_HERE && str_search(error_text(&e), STR("in use"), &(size_t){ 0 }),
	   e.text);
	pair_close(&p);
}

/* The peer speaks, does not read, and resets: its last words must reach us. */
TEST(last_words_before_a_reset)
{
	struct pair p = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), peer;
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t n = sizeof(sa);
	struct net_endpoint at = loopback();
	struct str all = big();

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ok(bind(fd, (struct sockaddr *)&sa, n) == 0 && listen(fd, 1) == 0 &&
		   getsockname(fd, (struct sockaddr *)&sa, &n) == 0,
	   "listening");
	at.port = ntohs(sa.sin_port);
	p.l = net_loop_new();
	buf_init(&p.client.got, BIG);
	buf_init(&p.server.got, BIG);
	p.client.says = all;
	p.client.s = net_stream_connect(p.l, &at, NULL, &side_calls, &p.client);
	peer = accept(fd, NULL, NULL);
	ok(peer >= 0 && write(peer, "421 busy\r\n", 10) == 10, "accepted");
	close(peer); /* with octets unread the kernel sends a reset */
	net_loop_run(p.l);
	ok_str(buf_str(&p.client.got), STR("421 busy\r\n"), "the reply is read");
	ok(p.client.has_failed || p.client.has_ended, "and the end is told");
	close(fd);
	pair_close(&p);
	free((void *)all.p);
}

TEST(reset)
{
	struct pair p = { .server.resets = true };

	pair_open(&p);
	net_loop_run(p.l);
	ok(p.client.has_failed && !p.client.has_ended, "told as a failure and not as an end");
	ok(p.client.failure.fault == NET_FAULT_RESET, "reset by the peer");
	pair_close(&p);
}

static void on_accepted_unix(void *arg, struct net_stream *s)
{
	struct pair *p = arg;
	struct net_endpoint none;

	ok(!net_stream_peer(s, &none), "no endpoint");
	p->server.s = s;
	net_stream_set_calls(s, &side_calls, &p->server);
	net_listener_free(p->n);
	p->n = NULL;
	side_begin(&p->server);
}

TEST(unix_listener)
{
	struct pair p = { .server = { .says = STR_INIT("220 x\r\n"), .finishes = true } };
	char path[64], too_long[200];
	struct error e = { 0 };

	memset(too_long, 'x', sizeof(too_long));
	snprintf(path, sizeof(path), "net_listen.%ld", (long)getpid());
	p.l = net_loop_new();
	buf_init(&p.client.got, BIG);
	buf_init(&p.server.got, BIG);
	p.n = net_listener_new_unix(p.l, str_of(path), on_accepted_unix, &p, &e);
	ok(p.n != NULL, e.text);
	ok(!net_listener_new_unix(p.l, str_of(path), on_accepted_unix, &p, &e), "taken");
	ok(str_search(error_text(&e), str_of(path), &(size_t){ 0 }), e.text);
	ok(!net_listener_new_unix(p.l, str_span(too_long, 200), on_accepted_unix, &p, &e),
	   "a path that no socket can have");
	p.client.s = net_stream_connect_unix(p.l, str_of(path), &side_calls, &p.client);
	net_loop_run(p.l);
	ok_str(buf_str(&p.client.got), STR("220 x\r\n"), "read");
	ok(access(path, F_OK) != 0, "the socket is removed");
	pair_close(&p);
}

TEST(unix_socket)
{
	struct pair p = { .client = { .says = STR_INIT("LHLO x\r\n") } };
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), peer;
	struct net_endpoint at;
	char got[8], too_long[200];

	memset(too_long, 'x', sizeof(too_long));
	snprintf(sa.sun_path, sizeof(sa.sun_path), "net_test.%ld", (long)getpid());
	unlink(sa.sun_path);
	ok(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 1) == 0, "listening");
	p.l = net_loop_new();
	buf_init(&p.client.got, BIG);
	buf_init(&p.server.got, BIG);
	p.client.s = net_stream_connect_unix(p.l, str_of(sa.sun_path), &side_calls, &p.client);
	peer = accept(fd, NULL, NULL);
	ok(write(peer, "220 x\r\n", 7) == 7, "accepted");
	shutdown(peer, SHUT_WR);
	net_loop_run(p.l);
	ok_str(buf_str(&p.client.got), STR("220 x\r\n"), "read");
	ok(read(peer, got, sizeof(got)) == 8 && memcmp(got, "LHLO x\r\n", 8) == 0, "written");
	close(peer);
	close(fd);
	unlink(sa.sun_path);

	p.client.s = net_stream_connect_unix(p.l, str_of(sa.sun_path), &side_calls, &p.client);
	ok(!net_stream_peer(p.client.s, &at), "no endpoint");
	net_loop_run(p.l);
	ok(p.client.has_failed && p.client.failure.fault == NET_FAULT_LOCAL, "no such socket");
	p.client.s = net_stream_connect_unix(p.l, str_span(too_long, sizeof(too_long)), &side_calls,
					     &p.client);
	net_loop_run(p.l);
	ok(p.client.failure.fault == NET_FAULT_LOCAL, "a path that no socket can have");
	pair_close(&p);
}

static void on_accepted_and_finished(void *arg, struct net_stream *s)
{
	struct pair *p = arg;

	net_listener_free(p->n);
	p->n = NULL;
	net_stream_write(s, STR("221 bye\r\n"));
	net_stream_finish(s, 30);
}

/* A peer that never closes does not keep a finished stream for ever. */
TEST(linger_ends)
{
	struct pair p = { .l = net_loop_new() };
	struct net_endpoint at = loopback();
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct error e = { 0 };
	char got[9];

	p.n = net_listener_new(p.l, &at, on_accepted_and_finished, &p, &e);
	ok(p.n != NULL, e.text);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons(net_listener_endpoint(p.n).port);
	ok(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0, "connected");
	net_loop_run(p.l); /* returns only when the linger time has run out */
	ok(read(fd, got, sizeof(got)) == 9, "what was queued is there");
	close(fd);
	net_loop_free(p.l);
}

TEST_MAIN(RUN(hello_and_goodbye), RUN(more_than_the_kernel_takes), RUN(drained_is_told),
	  RUN(pause_and_resume), RUN(freed_in_every_call), RUN(refused), RUN(source_address),
	  RUN(source_address_of_somebody_else), RUN(address_in_use), RUN(last_words_before_a_reset),
	  RUN(reset), RUN(unix_listener), RUN(unix_socket), RUN(linger_ends))
