/* Lookups in a socketmap table on loopback, with a server of ours that answers at once:
 * remote_bench [LOOKUPS]. Prints the time of one lookup after the other, and how many there are
 * in a second with 1,000 in flight. */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "net/net.h"
#include "proto/socketmap.h"
#include "table/table.h"

enum { LOOKUPS = 200000, IN_FLIGHT = 1000 };

/* ---- the server: a thread for each connection ---- */

static bool serve_all(int fd, struct buf *in)
{
	struct socketmap_request request;
	struct str payload;
	size_t used;
	struct buf out;
	bool is_fine = true;

	buf_init(&out, SOCKETMAP_REQUEST_MAX);
	while (is_fine && socketmap_take(buf_str(in), SOCKETMAP_REQUEST_MAX, &payload, &used) ==
				  SOCKETMAP_PARSE_OK) {
		struct socketmap_reply reply = { SOCKETMAP_FOUND, STR_INIT("encrypt") };
		is_fine = socketmap_request_parse(payload, &request) &&
			  socketmap_reply_add(&out, &reply);
		buf_consume(in, used);
	}
	is_fine = is_fine && send(fd, buf_str(&out).p, buf_len(&out), MSG_NOSIGNAL) >= 0;
	buf_fini(&out);
	return is_fine;
}

static void *serve(void *arg)
{
	int fd = *(int *)arg, one = 1;
	struct buf in;
	char *p;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	buf_init(&in, SOCKETMAP_REQUEST_MAX);
	while ((p = buf_reserve(&in, 4096)) != NULL) {
		ssize_t n = recv(fd, p, 4096, 0);
		if (n <= 0)
			break;
		buf_filled(&in, (size_t)n);
		if (!serve_all(fd, &in))
			break;
	}
	buf_fini(&in);
	return NULL;
}

static void *accept_all(void *arg)
{
	static int fds[64];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		pthread_t thread;
		fds[i] = accept(*(int *)arg, NULL, NULL);
		CHECK(fds[i] >= 0 && pthread_create(&thread, NULL, serve, &fds[i]) == 0);
		pthread_detach(thread);
	}
	return NULL;
}

static uint16_t listen_somewhere(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t size = sizeof(at);
	static int fd;
	pthread_t thread;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 64) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
	CHECK(pthread_create(&thread, NULL, accept_all, &fd) == 0);
	pthread_detach(thread);
	return ntohs(at.sin_port);
}

/* ---- the lookups ---- */

struct bench {
	struct net_loop *loop;
	struct table_set *set;
	size_t n_left, n_open, n_found;
};

struct one {
	struct bench *bench;
	struct arena *arena;
};

static void ask(struct bench *b);

static void answered(void *arg, const struct answer *answer)
{
	struct one *o = arg;
	struct bench *b = o->bench;

	b->n_found += answer->status == ANSWER_FOUND;
	b->n_open--;
	arena_free(o->arena);
	if (b->n_left > 0)
		ask(b);
}

static void ask(struct bench *b)
{
	struct arena *a = arena_new();
	struct one *o = ARENA_NEW(a, struct one);
	struct table_query q = { .arena = a, .key = STR("example.com"), .answered = answered };
	struct answer answer;

	*o = (struct one){ b, a };
	q.arg = o;
	b->n_left--;
	b->n_open++;
	CHECK(table_set_lookup(b->set, &q, &answer) != NULL);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds for so many lookups, `width` of them at a time. */
static double run(struct bench *b, size_t lookups, size_t width)
{
	double began = now_s();

	b->n_left = lookups;
	b->n_found = 0;
	while (b->n_left > 0 && b->n_open < width)
		ask(b);
	net_loop_run(b->loop);
	CHECK(b->n_found == lookups);
	return now_s() - began;
}

int main(int argc, char **argv)
{
	size_t lookups = argc > 1 ? strtoul(argv[1], NULL, 10) : LOOKUPS;
	struct bench b = { .loop = net_loop_new() };
	struct table_options o = { .loop = b.loop };
	char spec[64];
	double alone, crowd;

	(void)snprintf(spec, sizeof(spec), "socketmap:inet:127.0.0.1:%u:map", listen_somewhere());
	b.set = table_set_new(STR("bench"), str_of(spec), &o, 0);
	(void)run(&b, 1000, 1);
	alone = run(&b, lookups / 4, 1);
	crowd = run(&b, lookups, IN_FLIGHT);
	printf("socketmap on loopback: %.1f us a lookup, one after the other; %.0f a second with "
	       "%d in "
	       "flight\n",
	       alone * 1e6 / ((double)lookups / 4), (double)lookups / crowd, IN_FLIGHT);
	table_set_free(b.set);
	net_loop_free(b.loop);
	return 0;
}
