/* What an idle inbound session costs in memory: listen_bench SESSIONS [CERT.pem]
 *
 * A child process opens that many sessions, says EHLO in each and falls silent; with a certificate
 * (key and chain in one file) once more inside TLS. Printed is what the heap of the listener's
 * process holds for each. Needs as many descriptors: ulimit -n. */

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "listen/listen.h"
#include "tls/tls.h"

struct idler {
	struct net_stream *stream;
	struct tls_session *tls;
	bool has_greeted;
};

struct crowd {
	struct net_loop *loop;
	struct tls_client *tls;
	struct net_endpoint to;
	struct idler *v;
	size_t n, n_idle;
	int tell;
};

static struct crowd crowd;

static void flush(struct idler *k)
{
	struct str out = tls_session_network_out(k->tls);

	net_stream_write(k->stream, out);
	tls_session_network_sent(k->tls, out.n);
}

static void say(struct idler *k, struct str octets)
{
	if (!k->tls) {
		net_stream_write(k->stream, octets);
		return;
	}
	if (tls_session_application_in(k->tls, octets) != octets.n)
		abort();
	flush(k);
}

static void open_next(void);

static void on_connected(void *arg)
{
	struct idler *k = arg;
	struct tls_demand d = { .versions = TLS_VERSIONS_ALL, .cipher_list = STR("HIGH") };
	struct error e;

	if (!crowd.tls)
		return;
	k->tls = tls_client_session(crowd.tls, &d, &e);
	tls_session_step(k->tls);
	flush(k);
}

static void on_read(void *arg, struct str octets)
{
	struct idler *k = arg;

	if (k->tls) {
		tls_session_network_in(k->tls, octets);
		tls_session_step(k->tls);
		flush(k);
		octets = tls_session_application_out(k->tls);
	}
	size_t n = octets.n;
	bool is_whole = n > 0 && octets.p[n - 1] == '\n';
	if (k->tls)
		tls_session_application_used(k->tls, n);
	if (!is_whole)
		return;
	if (!k->has_greeted) {
		k->has_greeted = true;
		say(k, STR("EHLO client.example\r\n"));
	} else if (++crowd.n_idle == crowd.n) {
		if (write(crowd.tell, "x", 1) != 1)
			abort();
	} else {
		open_next();
	}
}

static const struct net_stream_calls calls = { .connected = on_connected, .read = on_read };

static void open_next(void)
{
	struct idler *k = &crowd.v[crowd.n_idle];

	k->stream = net_stream_connect(crowd.loop, &crowd.to, NULL, &calls, k);
}

static void run_child(const struct net_endpoint *to, size_t n, bool is_tls, int tell)
{
	struct error e = { 0 };
	struct tls_client_options o = { .verify_depth = 9 };

	crowd = (struct crowd){ .loop = net_loop_new(), .to = *to, .n = n, .tell = tell };
	crowd.v = calloc(n, sizeof(*crowd.v));
	if (is_tls)
		crowd.tls = tls_client_new(&o, &e);
	open_next();
	net_loop_run(crowd.loop);
	exit(0);
}

static void no_rcpt(void *arg, struct listen_request *r, const struct listen_admission *a)
{
	(void)arg, (void)a;
	listen_admit(r, STR(""));
}

static bool no_spool(void *arg, struct listen_spool *out, struct error *e)
{
	(void)arg, (void)out;
	return error_set(e, ERROR_LIMIT, "nothing is kept here");
}

static void on_log(void *arg, const struct log_event *e);

static const struct listen_calls no_calls = { .rcpt = no_rcpt,
					      .spool_begin = no_spool,
					      .log = on_log };

/* Stops the loop when the crowd has gone. */
static void on_log(void *arg, const struct log_event *e)
{
	struct net_loop **loop = arg;

	if (*loop && e->id == EVENT_disconnected)
		net_loop_stop(*loop);
}

static void on_told(void *arg)
{
	net_loop_stop(arg);
}

static struct net_loop *watched;

static size_t heap(void)
{
	malloc_trim(0);
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static void measure(struct net_loop *loop, struct listen *l, size_t port, size_t n, bool is_tls)
{
	struct net_endpoint to = listen_endpoint(l, port);
	struct error e = { 0 };
	int told[2];

	if (pipe(told) != 0)
		abort();
	size_t before = heap();
	pid_t child = fork();
	if (child == 0)
		run_child(&to, n, is_tls, told[1]);
	struct net_watch *w = net_watch_new(loop, told[0], on_told, loop, &e);
	net_loop_run(loop);
	net_watch_free(w);
	size_t after = heap();
	printf("%zu idle sessions%s: %zu octets of heap each\n", listen_sessions(l),
	       is_tls ? " in TLS" : "", (after - before) / n);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fflush(stdout);
	for (watched = loop; listen_sessions(l) > 0;)
		net_loop_run(loop);
	watched = NULL;
	close(told[0]);
	close(told[1]);
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	struct rlimit files = { 4 * n + 100, 4 * n + 100 };
	struct arena *a = arena_new();
	struct error e = { 0 };
	struct str text =
		arena_fmt(a,
			  "hopseal_listeners = smtp:127.0.0.1:0 %s\n"
			  "smtpd_client_connection_count_limit = 0\n"
			  "smtpd_tls_cert_file = %s\nhopseal_connection_limit = 1000000\n",
			  argc > 2 ? "smtps:127.0.0.1:0" : "", argc > 2 ? argv[2] : "");
	struct conf_source source = { STR("main.cf"), text };
	struct conf_machine machine = { .hostname = STR("mx.example") };
	struct conf_findings found;

	(void)setrlimit(RLIMIT_NOFILE, &files);
	struct conf *conf = conf_new(&source, 1, &machine, a, &found);
	struct listen_setup *setup = conf ? listen_setup_new(conf, &e) : NULL;
	struct listen_sockets *sockets = setup ? listen_bind(setup, NULL, &e) : NULL;
	struct listen_options o = { .loop = net_loop_new(),
				    .setup = setup,
				    .sockets = sockets,
				    .clients = listen_clients_new(),
				    .calls = &no_calls,
				    .arg = &watched };
	struct listen *l = sockets ? listen_new(&o, &e) : NULL;
	if (!l) {
		fprintf(stderr, "listen_bench: %s\n", e.text);
		return 1;
	}
	measure(o.loop, l, 0, n, false);
	if (argc > 2)
		measure(o.loop, l, 1, n, true);
	return 0;
}
