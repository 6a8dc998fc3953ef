/* Sockets bound before there is a loop, over loopback. */

#include "base/test.h"
#include "net/net.h"
#include "os/files.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct net_endpoint any_port = { { ADDRESS_V4, { 127, 0, 0, 1 } }, 0 };

struct counter {
	struct net_loop *loop;
	unsigned n, n_paused;
};

static void on_accepted(void *arg, struct net_stream *s)
{
	struct counter *c = arg;

	c->n++;
	net_stream_free(s);
	net_loop_stop(c->loop);
}

static const struct net_stream_calls quiet;

/* Whoever may write in the folder of a socket is quick: it is a link before anybody listens. */
static struct {
	const char *path, *to; /* NULL: nobody is there */
} intruder;

int listen(int fd, int backlog)
{
	if (intruder.path)
		ok(unlink(intruder.path) == 0 && symlink(intruder.to, intruder.path) == 0,
		   "a link");
	return (int)syscall(SYS_listen, fd, backlog);
}

static void connect_and_run(struct counter *c, const struct net_endpoint *to, struct str path)
{
	struct net_stream *s = path.n ? net_stream_connect_unix(c->loop, path, &quiet, NULL)
				      : net_stream_connect(c->loop, to, NULL, &quiet, NULL);

	net_loop_run(c->loop);
	net_stream_free(s);
}

TEST(several_listeners_share_a_socket)
{
	struct counter c = { .loop = net_loop_new() };
	struct error e;
	int fd = net_bind(&any_port, &e);

	ok(fd >= 0, "bound");
	struct net_listener *first = net_listener_open(c.loop, fd, on_accepted, &c, &e);
	struct net_listener *second = net_listener_open(c.loop, fd, on_accepted, &c, &e);
	ok(first && second, "opened twice");
	close(fd);
	struct net_endpoint at = net_listener_endpoint(first);
	ok(at.port != 0 && at.port == net_listener_endpoint(second).port, "the same port");
	connect_and_run(&c, &at, STR_NONE);
	ok(c.n == 1, "one of them accepts");
	net_listener_free(first);
	connect_and_run(&c, &at, STR_NONE);
	ok(c.n == 2, "the other goes on alone");
	net_listener_free(second);
	net_loop_free(c.loop);
}

TEST(an_address_in_use)
{
	struct net_endpoint at;
	struct net_loop *l = net_loop_new();
	struct error e;
	int fd = net_bind(&any_port, &e);
	struct net_listener *n = net_listener_open(l, fd, on_accepted, NULL, &e);

	ok(n != NULL, "opened");
	at = net_listener_endpoint(n);
	ok(net_bind(&at, &e) == -1 && e.kind == ERROR_NOT_HERE, "taken");
	net_listener_free(n);
	close(fd);
	ok(net_listener_open(l, fd, on_accepted, NULL, &e) == NULL, "no descriptor");
	net_loop_free(l);
}

TEST(unix_sockets)
{
	struct counter c = { .loop = net_loop_new() };
	char folder[] = "/tmp/hopseal-bind-XXXXXX", path[64];
	struct error e;

	ok(mkdtemp(folder) != NULL, "a folder");
	snprintf(path, sizeof(path), "%s/socket", folder);
	int fd = net_bind_unix(str_of(path), &e);
	ok(fd >= 0, "bound");
	ok(net_bind_unix(str_of(path), &e) == -1, "taken");
	close(fd);
	fd = net_bind_unix(str_of(path), &e);
	ok(fd >= 0, "one that nobody listens on is replaced");
	struct net_listener *n = net_listener_open(c.loop, fd, on_accepted, &c, &e);
	ok(n != NULL, "opened");
	connect_and_run(&c, NULL, str_of(path));
	ok(c.n == 1, "accepts");
	net_listener_free(n);
	close(fd);
	ok(net_bind_unix(str_of(folder), &e) == -1, "a folder is no socket");
	unlink(path);
	rmdir(folder);
	net_loop_free(c.loop);
}

/* The daemon binds as root, in folders of the user that it becomes. */
TEST(what_stands_in_a_sockets_place_keeps_its_mode)
{
	char folder[] = "/tmp/hopseal-bind-XXXXXX", path[64], victim[64];
	struct error e = { 0 };
	struct stat s;

	ok(mkdtemp(folder) != NULL, "a folder");
	snprintf(path, sizeof(path), "%s/socket", folder);
	snprintf(victim, sizeof(victim), "%s/victim", folder);
	ok(mknod(victim, S_IFREG | 0600, 0) == 0, "a file of root's");
	intruder.path = path;
	intruder.to = victim;
	ok(net_bind_unix(str_of(path), &e) == -1 && e.kind == ERROR_SYSTEM, "it is no socket");
	intruder.path = NULL;
	ok(stat(victim, &s) == 0 && (s.st_mode & 0777) == 0600, "the file is as it was");
	unlink(path);
	unlink(victim);
	rmdir(folder);
}

TEST(own_networks)
{
	struct arena *a = arena_new();
	const struct net_network *v;
	size_t n = 0, loopback = 0;
	struct error e;

	ok(net_own_networks(a, &v, &n, &e), "listed");
	for (size_t i = 0; i < n; i++)
		if (v[i].address.family == ADDRESS_V4 && v[i].address.octets[0] == 127)
			loopback = v[i].prefix;
	ok(loopback == 8, "127.0.0.1/8");
	arena_free(a);
}

static void on_paused(void *arg, struct str why)
{
	struct counter *c = arg;

	c->n_paused++;
	ok_str(why, STR("Too many open files"), "why");
	if (c->n_paused == 2) /* it asks again by itself */
		os_files_keep_back(UINT64_MAX, 0);
}

static int client_of(const struct net_endpoint *at)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(at->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&sa.sin_addr, at->address.octets, 4);
	ok(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0, "the kernel takes it");
	return fd;
}

TEST(clients_wait_while_there_is_no_descriptor)
{
	struct counter c = { .loop = net_loop_new() };
	struct error e;
	struct net_listener *n = net_listener_new(c.loop, &any_port, on_accepted, &c, &e);
	struct net_endpoint at = net_listener_endpoint(n);

	net_listener_on_pause(n, on_paused);
	os_files_keep_back(3, 3);
	int client = client_of(&at);
	net_loop_run(c.loop);
	ok(c.n_paused == 2 && c.n == 1, "not before there is one again");
	close(client);

	net_listener_use_all(n);
	os_files_keep_back(3, 3);
	client = client_of(&at);
	net_loop_run(c.loop);
	ok(c.n_paused == 2 && c.n == 2, "a listener that may have them");
	os_files_keep_back(UINT64_MAX, 0);
	close(client);
	net_listener_free(n);
	net_loop_free(c.loop);
}

static void on_failed(void *arg, const struct net_failure *why)
{
	struct counter *c = arg;

	ok(why->fault == NET_FAULT_SHORTAGE, "says nothing of the peer");
	ok_str(str_of(why->text), STR("too many open files"), "words");
	net_loop_stop(c->loop);
}

TEST(connections_leave_what_is_kept_back)
{
	static const struct net_stream_calls failing = { .failed = on_failed };
	struct counter c = { .loop = net_loop_new() };

	os_files_keep_back(3, 3);
	struct net_stream *s = net_stream_connect(c.loop, &any_port, NULL, &failing, &c);
	net_loop_run(c.loop);
	os_files_keep_back(UINT64_MAX, 0);
	net_stream_free(s);
	net_loop_free(c.loop);
}

TEST_MAIN(RUN(several_listeners_share_a_socket), RUN(an_address_in_use), RUN(unix_sockets),
	  RUN(what_stands_in_a_sockets_place_keeps_its_mode), RUN(own_networks),
	  RUN(clients_wait_while_there_is_no_descriptor), RUN(connections_leave_what_is_kept_back))
