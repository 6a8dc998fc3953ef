/* socketmap and tcp tables against a server with sockets, which does as the key says. */

#include "base/test.h"
#include "net/net.h"
#include "os/os.h"
#include "proto/socketmap.h"
#include "proto/tcp_table.h"
#include "table/type.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- the server ---- */

enum { SERVER_CONNECTIONS_MAX = 64 };

enum then {
	THEN_NOTHING,
	THEN_CLOSE,
	THEN_OCTETS, /* the reply goes out octet by octet */
};

/* What is sent for a key; for any other key the key itself is its value. */
struct script {
	struct str key, sent;
	enum then then;
};

struct server {
	bool is_tcp_table;
	const struct script *script;
	size_t n_script;
	int fd;
	uint16_t port;
	char path[64];
	pthread_t thread;
	atomic_bool is_stopped;
	atomic_uint n_accepted, n_asked;
};

struct serving {
	struct server *server;
	int fd;
	pthread_t thread;
	char map[64];
};

static bool take_request(struct serving *c, struct str in, struct str *key, size_t *used)
{
	struct socketmap_request r;
	struct str text;

	if (c->server->is_tcp_table)
		return tcp_table_take(in, &text, used) == TCP_TABLE_PARSE_OK &&
		       tcp_table_request_parse(text, key);
	if (socketmap_take(in, SOCKETMAP_REQUEST_MAX, &text, used) != SOCKETMAP_PARSE_OK ||
	    !socketmap_request_parse(text, &r))
		return false;
	*key = r.key;
	return str_eq(r.map, STR("map"));
}

static struct str octets_for(struct serving *c, struct str key, struct buf *b, enum then *then)
{
	struct socketmap_reply echo = { SOCKETMAP_FOUND, key };
	struct tcp_table_reply tcp_echo = { TCP_TABLE_FOUND, key };
	const struct server *s = c->server;

	for (size_t i = 0; i < s->n_script; i++) {
		if (str_eq(s->script[i].key, key)) {
			*then = s->script[i].then;
			return s->script[i].sent;
		}
	}
	*then = THEN_NOTHING;
	bool fits =
		s->is_tcp_table ? tcp_table_reply_add(b, &tcp_echo) : socketmap_reply_add(b, &echo);
	return fits ? buf_str(b) : STR("");
}

static void send_all(int fd, struct str octets, size_t step)
{
	while (octets.n > 0) {
		struct str piece = str_first(octets, step);
		ssize_t n = send(fd, piece.p, piece.n, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		octets = str_from(octets, (size_t)n);
	}
}

/* False: the connection is over. */
static bool serve_one(struct serving *c, struct buf *in)
{
	struct str key, octets;
	struct buf out;
	enum then then;
	size_t used;

	while (!take_request(c, buf_str(in), &key, &used)) {
		char *p = buf_reserve(in, 1);
		if (p == NULL || recv(c->fd, p, 1, 0) <= 0)
			return false;
		buf_filled(in, 1);
	}
	c->server->n_asked++;
	buf_init(&out, 128 * 1024);
	octets = octets_for(c, key, &out, &then);
	send_all(c->fd, octets, then == THEN_OCTETS ? 1 : octets.n);
	buf_fini(&out);
	buf_consume(in, used);
	return then != THEN_CLOSE;
}

static void *serve(void *arg)
{
	struct serving *c = arg;
	struct buf in;

	buf_init(&in, 64 * 1024);
	while (serve_one(c, &in))
		continue;
	shutdown(c->fd, SHUT_RDWR);
	buf_fini(&in);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct serving all[SERVER_CONNECTIONS_MAX];
	struct server *s = arg;
	size_t n = 0;

	for (;;) {
		struct pollfd readable = { .fd = s->fd, .events = POLLIN };
		if (poll(&readable, 1, 5) > 0 && n < SERVER_CONNECTIONS_MAX) {
			all[n] = (struct serving){ .server = s, .fd = accept(s->fd, NULL, NULL) };
			ok(all[n].fd >= 0, "accept");
			s->n_accepted++;
			ok(pthread_create(&all[n].thread, NULL, serve, &all[n]) == 0, "thread");
			n++;
		} else if (s->is_stopped) {
			break;
		}
	}
	for (size_t i = 0; i < n; i++) {
		shutdown(all[i].fd, SHUT_RDWR);
		pthread_join(all[i].thread, NULL);
		close(all[i].fd);
	}
	return NULL;
}

static void server_listen(struct server *s)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(in);

	if (s->path[0]) {
		s->fd = socket(AF_UNIX, SOCK_STREAM, 0);
		memcpy(un.sun_path, s->path, sizeof(s->path));
		ok(bind(s->fd, (struct sockaddr *)&un, sizeof(un)) == 0, "bind");
	} else {
		s->fd = socket(AF_INET, SOCK_STREAM, 0);
		in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		ok(bind(s->fd, (struct sockaddr *)&in, sizeof(in)) == 0, "bind");
		ok(getsockname(s->fd, (struct sockaddr *)&in, &size) == 0, "name");
		s->port = ntohs(in.sin_port);
	}
	ok(listen(s->fd, 1) == 0, "listen"); /* a short queue is full soon */
}

static void server_start(struct server *s)
{
	server_listen(s);
	ok(pthread_create(&s->thread, NULL, accept_all, s) == 0, "thread");
}

static void server_stop(struct server *s)
{
	s->is_stopped = true;
	pthread_join(s->thread, NULL);
	close(s->fd);
	if (s->path[0])
		unlink(s->path);
}

/* ---- the client ---- */

struct lab {
	struct net_loop *loop;
	struct arena *arena;
	struct table_set *set;
	size_t n_answered, n_found;
	struct answer answer;
};

static struct lab lab_new(struct server *s)
{
	struct lab lab = { .loop = net_loop_new(), .arena = arena_new() };
	struct table_options o = { .is_utf8 = true, .loop = lab.loop };
	struct str list;

	if (s->path[0])
		list = arena_fmt(lab.arena, "socketmap:unix:%s:map", s->path);
	else if (s->is_tcp_table)
		list = arena_fmt(lab.arena, "tcp:127.0.0.1:%u", s->port);
	else
		list = arena_fmt(lab.arena, "socketmap:inet:[127.0.0.1]:%u:map", s->port);
	lab.set = table_set_new(STR("smtp_tls_policy_maps"), list, &o, 0);
	return lab;
}

static void lab_free(struct lab *lab)
{
	table_set_free(lab->set);
	net_loop_free(lab->loop);
	arena_free(lab->arena);
}

static void on_answer(void *arg, const struct answer *answer)
{
	struct lab *lab = arg;

	lab->n_answered++;
	lab->n_found += answer->status == ANSWER_FOUND;
	lab->answer = answer_copy(lab->arena, answer);
}

static struct table_lookup *ask(struct lab *lab, struct str key)
{
	struct table_query q = {
		.arena = lab->arena, .key = key, .answered = on_answer, .arg = lab
	};

	return table_set_lookup(lab->set, &q, &lab->answer);
}

/* "=value", "-" for none, "!failure" without the table's name */
static struct str asked(struct lab *lab, struct str key)
{
	if (ask(lab, key) != NULL)
		net_loop_run(lab->loop);
	switch (lab->answer.status) {
	case ANSWER_FOUND:
		return arena_fmt(lab->arena, "=" STR_FMT, STR_ARG(lab->answer.value));
	case ANSWER_NONE:
		return STR("-");
	case ANSWER_FAILED:
		break;
	}
	struct str why = lab->answer.failure;
	if (str_has_prefix(why, lab->answer.source))
		why = str_from(why, lab->answer.source.n + 2);
	return arena_fmt(lab->arena, "!" STR_FMT, STR_ARG(why));
}

/* ---- cases ---- */

#define NO_PROTOCOL "!the server does not speak the protocol"
#define UNASKED "!the server sent what it was not asked for"
#define CLOSED "!the server closed the connection without an answer"

struct reply_case {
	struct script script;
	struct str want;
};

static const struct reply_case socketmap_cases[] = {
	{ { STR_INIT("found"), STR_INIT("6:OK a b,") }, STR_INIT("=a b") },
	{ { STR_INIT("octets"), STR_INIT("4:OK v,"), THEN_OCTETS }, STR_INIT("=v") },
	{ { STR_INIT("empty"), STR_INIT("3:OK ,") }, STR_INIT("!the value is empty") },
	{ { STR_INIT("none"), STR_INIT("9:NOTFOUND ,") }, STR_INIT("-") },
	{ { STR_INIT("temp"), STR_INIT("10:TEMP later,") },
	  STR_INIT("!the server says TEMP: later") },
	{ { STR_INIT("timeout"), STR_INIT("8:TIMEOUT ,") }, STR_INIT("!the server says TIMEOUT") },
	{ { STR_INIT("perm"), STR_INIT("8:PERM \033[m,") },
	  STR_INIT("!the server says PERM: ?[m") },
	{ { STR_INIT("no-blank"), STR_INIT("8:NOTFOUND,") }, STR_INIT("-") },
	{ { STR_INIT("words"), STR_INIT("3:may,") }, STR_INIT("!this is no answer: \"may\"") },
	{ { STR_INIT("line"), STR_INIT("200 may\n") }, STR_INIT(NO_PROTOCOL) },
	{ { STR_INIT("long"), STR_INIT("100001:") }, STR_INIT(NO_PROTOCOL) },
	{ { STR_INIT("nul"), STR_INIT("5:OK a\0,"), THEN_NOTHING },
	  STR_INIT("!the value has a NUL") },
	{ { STR_INIT("twice"), STR_INIT("4:OK v,9:NOTFOUND ,") }, STR_INIT(UNASKED) },
	{ { STR_INIT("close"), STR_INIT(""), THEN_CLOSE }, STR_INIT(CLOSED) },
	{ { STR_INIT("half"), STR_INIT("9:NOTFO"), THEN_CLOSE }, STR_INIT(CLOSED) },
	{ { STR_INIT("last"), STR_INIT("4:OK v,"), THEN_CLOSE }, STR_INIT("=v") },
};

static const struct reply_case tcp_cases[] = {
	{ { STR_INIT("found"), STR_INIT("200 a%20b\n") }, STR_INIT("=a b") },
	{ { STR_INIT("raw"), STR_INIT("200 a b\n") }, STR_INIT("=a b") },
	{ { STR_INIT("octets"), STR_INIT("200 v\n"), THEN_OCTETS }, STR_INIT("=v") },
	{ { STR_INIT("none"), STR_INIT("500 no\n") }, STR_INIT("-") },
	{ { STR_INIT("temp"), STR_INIT("400 come%0Alater\n") },
	  STR_INIT("!the server says 400: come?later") },
	{ { STR_INIT("code"), STR_INIT("350 no\n") }, STR_INIT("!this is no answer: \"350 no\"") },
	{ { STR_INIT("hex"), STR_INIT("200 %zz\n") }, STR_INIT("!this is no answer: \"200 %zz\"") },
	{ { STR_INIT("nul"), STR_INIT("200 a\0b\n") }, STR_INIT(NO_PROTOCOL) },
	{ { STR_INIT("twice"), STR_INIT("200 v\n500 no\n") }, STR_INIT(UNASKED) },
	{ { STR_INIT("close"), STR_INIT(""), THEN_CLOSE }, STR_INIT(CLOSED) },
	{ { STR_INIT("half"), STR_INIT("500 no"), THEN_CLOSE }, STR_INIT(CLOSED) },
	{ { STR_INIT("last"), STR_INIT("200 v\n"), THEN_CLOSE }, STR_INIT("=v") },
};

static void run_cases(struct server *s, const struct reply_case *cases, size_t n)
{
	struct script script[32];

	ok(n <= ARRAY_LEN(script), "room");
	for (size_t i = 0; i < n; i++)
		script[i] = cases[i].script;
	s->script = script;
	s->n_script = n;
	server_start(s);
	struct lab lab = lab_new(s);
	for (size_t i = 0; i < n; i++) {
		ok_str(asked(&lab, cases[i].script.key), cases[i].want, cases[i].script.key.p);
		ok_str(asked(&lab, STR("Any.Key")), STR("=Any.Key"), "the next one is in step");
	}
	lab_free(&lab);
	server_stop(s);
}

TEST(socketmap_replies)
{
	struct server s = { 0 };

	run_cases(&s, socketmap_cases, ARRAY_LEN(socketmap_cases));
}

TEST(socketmap_unix)
{
	struct server s = { 0 };

	(void)snprintf(s.path, sizeof(s.path), "/tmp/hopseal-socketmap-%ld", (long)getpid());
	unlink(s.path);
	run_cases(&s, socketmap_cases, ARRAY_LEN(socketmap_cases));
}

TEST(tcp_replies)
{
	struct server s = { .is_tcp_table = true };

	run_cases(&s, tcp_cases, ARRAY_LEN(tcp_cases));
}

TEST(cut_keys_are_not_shown)
{
	struct server s = { .is_tcp_table = true };
	struct answer answer;

	server_start(&s);
	struct lab lab = lab_new(&s);
	struct table_query q = { .arena = lab.arena, .key = STR(".example"), .is_partial = true };
	ok(table_set_lookup(lab.set, &q, &answer) == NULL, "at once");
	ok(answer.status == ANSWER_NONE && s.n_accepted == 0, "nobody is asked");
	ok(table_set_has_patterns(lab.set), "nor through a table of tables");
	lab_free(&lab);
	server_stop(&s);
}

TEST(many_in_flight)
{
	struct server s = { 0 };
	char key[32];

	(void)snprintf(s.path, sizeof(s.path), "/tmp/hopseal-socketmap-%ld", (long)getpid());
	unlink(s.path);
	server_start(&s);
	struct lab lab = lab_new(&s);
	for (unsigned i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "%u.example", i);
		ok(ask(&lab, arena_str(lab.arena, str_of(key))) != NULL, "later");
	}
	net_loop_run(lab.loop);
	ok(lab.n_answered == 1000 && lab.n_found == 1000, "all");
	ok(s.n_accepted <= TABLE_REMOTE_CONNECTIONS_MAX, "on a few connections");
	lab_free(&lab);
	server_stop(&s);
}

TEST(keys_that_are_too_long)
{
	struct server s = { 0 }, t = { .is_tcp_table = true };
	char key[SOCKETMAP_REQUEST_MAX];

	memset(key, 'x', sizeof(key));
	server_start(&s);
	struct lab lab = lab_new(&s);
	ok_str(asked(&lab, str_span(key, sizeof(key))), STR("!the key is too long"), "socketmap");
	lab_free(&lab);
	server_stop(&s);

	server_start(&t);
	lab = lab_new(&t);
	ok_str(asked(&lab, str_span(key, TCP_TABLE_LINE_MAX)), STR("!the key is too long"), "tcp");
	lab_free(&lab);
	server_stop(&t);
}

static const struct {
	const char *rule;
	struct str spec;
	const char *want; /* a part of the failure */
} name_cases[] = {
	{ "nobody listens", STR_INIT("tcp:127.0.0.1:1"), "Connection refused" },
	{ "no such socket", STR_INIT("socketmap:unix:/nonexistent/s:m"), "No such file" },
	{ "no such service", STR_INIT("tcp:127.0.0.1:no-such-service"), "no-such-service" },
	{ "no map", STR_INIT("socketmap:unix:/s:"), "not of the form" },
	{ "no map and no colon", STR_INIT("socketmap:inet"), "not of the form" },
	{ "no port", STR_INIT("socketmap:inet:host:m"), "not of the form host:port" },
	{ "no port in tcp", STR_INIT("tcp:host"), "not of the form host:port" },
	{ "an empty port", STR_INIT("tcp:host:"), "not of the form host:port" },
	{ "an address without brackets", STR_INIT("tcp:::1:25"), "not of the form" },
	{ "open brackets", STR_INIT("tcp:[::1:25"), "not of the form" },
	{ "nothing in brackets", STR_INIT("tcp:[]:25"), "not of the form" },
	{ "text behind brackets", STR_INIT("tcp:[::1]x:25"), "not of the form" },
	{ "no scheme", STR_INIT("socketmap:host:25:m"), "inet:host:port or unix:/path" },
	{ "a relative path", STR_INIT("socketmap:unix:private/s:m"), "does not begin with" },
};

TEST(names_of_servers)
{
	FOR_EACH(c, name_cases) {
		struct lab lab = { .loop = net_loop_new(), .arena = arena_new() };
		struct table_options o = { .is_utf8 = true, .loop = lab.loop };

		lab.set = table_set_new(STR("transport_maps"), c->spec, &o, 0);
		struct str told = asked(&lab, STR("k"));
		ok(told.p[0] == '!' && str_search(told, str_of(c->want), &(size_t){ 0 }), c->rule);
		lab_free(&lab);
	}
}

TEST_MAIN(RUN(socketmap_replies), RUN(socketmap_unix), RUN(tcp_replies),
	  RUN(cut_keys_are_not_shown), RUN(many_in_flight), RUN(keys_that_are_too_long),
	  RUN(names_of_servers))
