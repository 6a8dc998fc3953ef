/* Who is accepted when descriptors run out. */

#include "base/test.h"
#include "net/net.h"
#include "os/files.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CLIENTS = 6,
	ROOM = 2,
	OF_LIBUV = 1, /* it opens one with the first stream of a loop */
};

struct crowd {
	struct net_loop *loop;
	struct net_listener *listener;
	struct net_stream *served[CLIENTS];
	unsigned n_served, n_pauses, n_at_pause;
	int client[CLIENTS];
};

static void on_accepted(void *arg, struct net_stream *s)
{
	struct crowd *c = arg;

	c->served[c->n_served++] = s;
	if (c->n_served == CLIENTS)
		net_loop_stop(c->loop);
}

static void on_paused(void *arg, struct str why)
{
	struct crowd *c = arg;

	(void)why;
	if (c->n_pauses++ == 0)
		c->n_at_pause = c->n_served;
	os_files_keep_back(UINT64_MAX, 0);
}

static int next_descriptor(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static void crowd_wait(struct crowd *c)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons(net_listener_endpoint(c->listener).port);
	for (int i = 0; i < CLIENTS; i++) {
		c->client[i] = socket(AF_INET, SOCK_STREAM, 0);
		ok(connect(c->client[i], (struct sockaddr *)&sa, sizeof(sa)) == 0, "it waits");
	}
}

TEST(a_crowd_takes_no_descriptor_that_is_kept_back)
{
	struct crowd c = { .loop = net_loop_new() };
	struct net_endpoint at;
	struct error e = { 0 };

	CHECK(net_endpoint_parse(STR("127.0.0.1:0"), &at));
	c.listener = net_listener_new(c.loop, &at, on_accepted, &c, &e);
	ok(c.listener != NULL, e.text);
	net_listener_on_pause(c.listener, on_paused);
	crowd_wait(&c);
	os_files_keep_back((uint64_t)next_descriptor() + ROOM + OF_LIBUV + 1, 1);
	net_loop_run(c.loop);
	ok(c.n_at_pause == ROOM, "as many as there is room for, in one turn of the loop");
	ok(c.n_pauses == 1 && c.n_served == CLIENTS, "the others when there is room for them");
	for (int i = 0; i < CLIENTS; i++) {
		net_stream_free(c.served[i]);
		close(c.client[i]);
	}
	net_listener_free(c.listener);
	net_loop_run(c.loop);
	net_loop_free(c.loop);
}

TEST_MAIN(RUN(a_crowd_takes_no_descriptor_that_is_kept_back))
