#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/test.h"
#include "console/room.h"
#include "os/os.h"

/* A daemon of two workers that are not there. */
struct daemon {
	struct log_counters counters[2];
};

static struct str configuration(void *arg)
{
	(void)arg;
	return STR("abc");
}

static unsigned workers(void *arg)
{
	(void)arg;
	return 2;
}

static const struct log_counters *counters(void *arg, unsigned worker)
{
	struct daemon *d = arg;

	return &d->counters[worker];
}

static struct console *console_of(struct daemon *d)
{
	struct console *c = base_alloc(sizeof(*c));

	c->options.daemon = (struct console_daemon){
		.arg = d,
		.started_at = 1000,
		.configuration = configuration,
		.workers = workers,
		.counters = counters,
	};
	return c;
}

static bool has_line(struct str text, const char *want)
{
	struct str line;

	while (str_cut(text, '\n', &line, &text))
		if (str_eq(line, str_of(want)))
			return true;
	return false;
}

TEST(metrics_are_sums_over_the_workers)
{
	struct daemon d = { 0 };
	struct console *c = console_of(&d);
	struct console_view v = {
		.workers = 2,
		.totals = { .n_dests = 5, .n_dead = 1 },
		.sessions = { .smtp = 9, .smtps = 2, .tls = 4, .outbound = 8, .idle = 3 }
	};
	struct console_figures f = { .view = &v, .totals = { .queued = 7, .held = 2 } };
	struct buf b;

	counter_add(&d.counters[0], COUNTER_attempts, 3);
	counter_add(&d.counters[1], COUNTER_attempts, 4);
	counter_kind_add(&d.counters[0], KIND_refused_relay, 1);
	counter_kind_add(&d.counters[1], KIND_refused_relay, 2);
	histogram_add(&d.counters[0], HISTOGRAM_tls_handshake, 2);
	histogram_add(&d.counters[1], HISTOGRAM_tls_handshake, 5);
	buf_init(&b, METRICS_TEXT_MAX);
	ok(metrics_page(&b, c, &f), "it fits");
	static const char *const lines[] = {
		"hopseal_attempts_total 7",
		"# TYPE hopseal_attempts_total counter",
		"# TYPE hopseal_refusals_total counter",
		"hopseal_refusals_total{reason=\"relay\"} 3",
		"hopseal_refusals_total{reason=\"limit\"} 0",
		"hopseal_queue_recipients{state=\"queued\"} 7",
		"hopseal_queue_recipients{state=\"held\"} 2",
		"hopseal_active_destinations 5",
		"hopseal_dead_destinations 1",
		"hopseal_inbound_sessions{listener=\"smtp\"} 9",
		"hopseal_inbound_sessions{listener=\"lmtp\"} 0",
		"hopseal_inbound_tls_sessions 4",
		"hopseal_outbound_sessions{state=\"in_use\"} 5",
		"hopseal_outbound_sessions{state=\"idle\"} 3",
		"hopseal_tls_handshake_seconds_bucket{le=\"0.001\"} 0",
		"hopseal_tls_handshake_seconds_bucket{le=\"0.003\"} 1",
		"hopseal_tls_handshake_seconds_bucket{le=\"0.01\"} 2",
		"hopseal_tls_handshake_seconds_bucket{le=\"+Inf\"} 2",
		"hopseal_tls_handshake_seconds_sum 0.007",
		"hopseal_tls_handshake_seconds_count 2",
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		ok(has_line(buf_str(&b), lines[i]), lines[i]);
	buf_fini(&b);
	free(c);
}

static uint64_t told_age(int64_t oldest_ms)
{
	struct daemon d = { 0 };
	struct console *c = console_of(&d);
	struct console_view v = { .workers = 2 };
	struct console_figures f = { .view = &v, .totals = { .oldest_ms = oldest_ms } };
	struct str line, text, name, value;
	uint64_t age = UINT64_MAX;
	struct buf b;

	buf_init(&b, METRICS_TEXT_MAX);
	ok(metrics_page(&b, c, &f), "it fits");
	text = buf_str(&b);
	while (str_cut(text, '\n', &line, &text))
		if (str_cut(line, ' ', &name, &value) &&
		    str_eq(name, STR("hopseal_queue_oldest_seconds")))
			ok(str_to_u64(value, &age), "a number");
	buf_fini(&b);
	free(c);
	return age;
}

TEST(the_age_of_the_oldest)
{
	int64_t now_ms = os_utc_s() * 1000;
	uint64_t age = told_age(now_ms - 100000);

	ok(age >= 100 && age < 1000, "in seconds");
	ok(told_age(0) == 0, "of nothing");
	ok(told_age(now_ms + 9000000) == 0, "by a clock that was wrong");
}

TEST(a_page_that_is_too_long_is_told)
{
	struct daemon d = { 0 };
	struct console *c = console_of(&d);
	struct console_view v = { .workers = 2 };
	struct console_figures f = { .view = &v };

	for (size_t limit = 0; limit < 2000; limit += 37) {
		struct buf b;
		buf_init(&b, limit);
		ok(!metrics_page(&b, c, &f), "the limit");
		buf_fini(&b);
	}
	free(c);
}

TEST(who_may_ask)
{
	ok(console_may(0, 0, false, 0), "root");
	ok(console_may(geteuid(), 1, false, 0), "the daemon's user");
	ok(!console_may(4711, 4712, false, 0), "nobody else");
	ok(console_may(4711, 4712, true, 4712), "the group");
	ok(!console_may(4711, 4713, true, 4712), "another one");
}

/* ---- changes ---- */

struct asked {
	struct net_loop *loop;
	struct console_change_result result;
	unsigned n_done, n_changed;
};

static void changed(void *arg, const struct store_selection *which)
{
	struct asked *a = arg;

	(void)which;
	a->n_changed++;
}

static void done(void *arg, const struct console_change_result *r)
{
	struct asked *a = arg;

	a->result = *r;
	a->n_done++;
	net_loop_stop(a->loop);
}

TEST(a_change_of_what_is_not_there)
{
	static const struct {
		const char *rule;
		struct control_request r;
		enum error_kind want;
		unsigned told;
	} cases[] = {
		{ "all of nothing", { CONTROL_HOLD, CONTROL_ALL }, ERROR_NONE, 1 },
		{ "no such destination",
		  { CONTROL_FLUSH, CONTROL_OF_DESTINATION, STR_INIT("smtp:x") },
		  ERROR_NONE,
		  1 },
		{ "no queue id",
		  { CONTROL_DELETE, CONTROL_OF_MESSAGE, STR_INIT(""), STR_INIT("?") },
		  ERROR_DATA,
		  0 },
		{ "no message",
		  { CONTROL_DELETE, CONTROL_OF_MESSAGE, STR_INIT(""), STR_INIT("00000000001") },
		  ERROR_NO_INPUT,
		  0 },
	};
	char directory[] = "/tmp/hopseal-console-XXXXXX";
	struct error e = { 0 };

	ok(mkdtemp(directory) != NULL, "a folder");
	struct store_options o = { .directory = directory };
	struct store *s = store_open(&o, &e);
	ok(s != NULL, e.text);
	struct asked a = { .loop = net_loop_new() };
	struct store_client *client = store_client_new(s, a.loop, &e);
	ok(client != NULL, e.text);
	FOR_EACH(c, cases) {
		struct console_change_options change = {
			.client = client,
			.request = &c->r,
			.now_ms = 1,
			.changed = changed,
			.done = done,
			.arg = &a,
		};
		a.n_done = a.n_changed = 0;
		console_change(&change);
		ok(a.n_done == 0, "not from inside the call");
		net_loop_run(a.loop);
		ok(a.n_done == 1 && a.result.changed == 0, c->rule);
		ok(a.result.e.kind == c->want && a.n_changed == c->told, c->rule);
	}
	store_client_free(client);
	net_loop_free(a.loop);
	store_close(s);
	char command[64];
	(void)snprintf(command, sizeof(command), "rm -rf %s", directory);
	ok(system(command) == 0, "removed");
}

/* ---- the control socket ---- */

static bool was_answered; /* the name led to somebody when it was removed */

int unlink(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	was_answered = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
	close(fd);
	return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

/* A name that leads to nobody is another daemon's to take, which is being started already. */
TEST(the_name_goes_before_the_socket)
{
	char folder[] = "/tmp/hopseal-console-XXXXXX", path[64];
	struct console_sockets s;
	struct error e = { 0 };

	ok(mkdtemp(folder) != NULL, "a folder");
	(void)snprintf(path, sizeof(path), "%s/control", folder);
	struct console_sockets_options o = { .control = str_of(path) };
	ok(console_bind(&s, &o, &e), e.text);
	was_answered = false;
	console_unbind(&s);
	ok(was_answered, "not its socket");
	ok(rmdir(folder) == 0, "removed");
}

/* ---- monitors ---- */

static void stop_loop(void *arg)
{
	net_loop_stop(arg);
}

static void run_for(struct net_loop *l, uint64_t ms)
{
	struct net_timer *t = net_timer_new(l, stop_loop, l);

	net_timer_set(t, net_loop_now(l) + ms);
	net_loop_run(l);
	net_timer_free(t);
}

static void say(int fd, const char *text)
{
	ok(write(fd, text, strlen(text)) == (ssize_t)strlen(text), text);
}

static int monitor(int listening)
{
	struct sockaddr_in at;
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ok(getsockname(listening, (struct sockaddr *)&at, &n) == 0, "where");
	ok(connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "connected");
	return fd;
}

/* A suspended request would not survive the end of the library, nor the daemon. */
TEST(a_request_that_is_whole_only_at_the_end)
{
	static const char *const pages[] = { "/healthz", "/readyz", "/metrics", "/" };
	char directory[] = "/tmp/hopseal-console-XXXXXX", first[64];
	struct error e = { 0 };
	struct net_endpoint at;

	ok(mkdtemp(directory) != NULL, "a folder");
	struct store_options so = { .directory = directory };
	struct store *s = store_open(&so, &e);
	ok(s != NULL, e.text);
	ok(net_endpoint_parse(STR("127.0.0.1:0"), &at), "an address");
	FOR_EACH(page, pages) {
		struct console_sockets sockets = { .control = -1, .metrics = net_bind(&at, &e) };
		ok(sockets.metrics >= 0, e.text);
		struct console_options o = {
			.loop = net_loop_new(),
			.daemon = { .store = s, .directory = directory },
			.sockets = &sockets,
		};
		struct console *c = console_new(&o, &e);
		ok(c != NULL, e.text);
		int fd = monitor(sockets.metrics);
		(void)snprintf(first, sizeof(first), "GET %s HTTP/1.1\r\nHost: x\r\n", *page);
		say(fd, first);
		run_for(o.loop, 50);
		say(fd, "\r\n");
		console_free(c);
		console_unbind(&sockets);
		net_loop_free(o.loop);
		close(fd);
	}
	store_close(s);
	char command[64];
	(void)snprintf(command, sizeof(command), "rm -rf %s", directory);
	ok(system(command) == 0, "removed");
}

TEST_MAIN(RUN(metrics_are_sums_over_the_workers), RUN(the_age_of_the_oldest),
	  RUN(a_page_that_is_too_long_is_told), RUN(who_may_ask),
	  RUN(a_change_of_what_is_not_there), RUN(the_name_goes_before_the_socket),
	  RUN(a_request_that_is_whole_only_at_the_end))
