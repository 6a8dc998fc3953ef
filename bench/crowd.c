/* Many sessions for bench/sessions, which starts this:
 *
 *	crowd idle ADDRESS:PORT N [tls]            clients that say EHLO and fall silent
 *	crowd hold ADDRESS:PORT COUNT [CERT.pem]   a receiver on so many addresses in a row, with
 *	                                           STARTTLS if there is a certificate and its key
 *
 * idle prints "idle K refused R" once all have come so far, and stays until its input ends. hold
 * prints "listening", and replies to no end of data before it reads "release"; to "count" it says
 * how many messages wait and how many were taken; at the end of its input it prints whom the
 * messages were for, each once for each time that it was taken. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/net.h"
#include "tls/tls.h"

enum { AT_ONCE = 64, LINE_LIMIT = 256 * 1024 };

struct peer {
	struct net_stream *stream;
	struct tls_session *tls;
	struct buf in;
	char rcpt[128];
	bool has_greeted, is_settled;        /* idle */
	bool wants_tls, is_in_data, is_held; /* hold */
	struct peer *next_held;
};

static struct net_loop *loop;
static struct net_watch *input;
static struct tls_client *tls_client;
static struct tls_server *tls_server;
static struct net_endpoint to;
static size_t n_wanted, n_begun, n_idle, n_refused;
static size_t n_sessions, n_held, n_taken;
static struct peer *held;
static struct buf taken;
static bool is_released;

static void die(const struct error *e)
{
	fprintf(stderr, "crowd: %s\n", e->text);
	exit(1);
}

/* ---- octets ---- */

static void flush(struct peer *p)
{
	struct str out = tls_session_network_out(p->tls);

	net_stream_write(p->stream, out);
	tls_session_network_sent(p->tls, out.n);
}

static void say(struct peer *p, struct str octets)
{
	if (!p->tls) {
		net_stream_write(p->stream, octets);
		return;
	}
	(void)!tls_session_application_in(p->tls, octets); /* or the peer has gone */
	flush(p);
}

static void take_octets(struct peer *p, struct str octets)
{
	if (!p->tls) {
		CHECK(buf_add(&p->in, octets));
		return;
	}
	tls_session_network_in(p->tls, octets);
	tls_session_step(p->tls);
	flush(p);
	struct str clear = tls_session_application_out(p->tls);
	CHECK(buf_add(&p->in, clear));
	tls_session_application_used(p->tls, clear.n);
}

/* A whole line without its end, or false. */
static bool next_line(struct peer *p, char *line, size_t size)
{
	struct str in = buf_str(&p->in), first, rest;

	if (!str_cut(in, '\n', &first, &rest))
		return false;
	size_t n = first.n > 0 && first.p[first.n - 1] == '\r' ? first.n - 1 : first.n;
	snprintf(line, size, "%.*s", (int)n, first.p);
	buf_consume(&p->in, first.n + 1);
	if (buf_len(&p->in) == 0)
		buf_fini(&p->in);
	return true;
}

static void peer_free(struct peer *p)
{
	net_stream_free(p->stream);
	tls_session_free(p->tls);
	buf_fini(&p->in);
	free(p);
}

/* ---- idle ---- */

static void open_more(void);

static void settle(struct peer *p, size_t *n)
{
	if (p->is_settled)
		return;
	p->is_settled = true;
	++*n;
	if (n_idle + n_refused == n_wanted) {
		printf("idle %zu refused %zu\n", n_idle, n_refused);
		fflush(stdout);
	}
	open_more();
}

static void idle_line(struct peer *p, const char *line)
{
	if (line[0] == '4' && !p->is_settled) {
		settle(p, &n_refused);
	} else if (line[3] == ' ' && !p->has_greeted) {
		p->has_greeted = true;
		say(p, STR("EHLO client.example\r\n"));
	} else if (line[3] == ' ') {
		settle(p, &n_idle);
	}
}

static void idle_connected(void *arg)
{
	struct peer *p = arg;
	struct tls_demand d = { .versions = TLS_VERSIONS_ALL, .cipher_list = STR("HIGH") };
	struct error e;

	if (!tls_client)
		return;
	p->tls = tls_client_session(tls_client, &d, &e);
	tls_session_step(p->tls);
	flush(p);
}

static void idle_read(void *arg, struct str octets)
{
	struct peer *p = arg;
	char line[1024];

	take_octets(p, octets);
	while (next_line(p, line, sizeof(line)))
		idle_line(p, line);
}

static void idle_failed(void *arg, const struct net_failure *why)
{
	struct peer *p = arg;

	(void)why;
	settle(p, &n_refused);
	peer_free(p);
}

static const struct net_stream_calls idle_calls = { .connected = idle_connected,
						    .read = idle_read,
						    .failed = idle_failed };

static void open_more(void)
{
	while (n_begun < n_wanted && n_begun - n_idle - n_refused < AT_ONCE) {
		struct peer *p = calloc(1, sizeof(*p));

		n_begun++;
		buf_init(&p->in, LINE_LIMIT);
		p->stream = net_stream_connect(loop, &to, NULL, &idle_calls, p);
	}
}

/* ---- hold ---- */

static void count_taken(struct peer *p)
{
	n_taken++;
	CHECK(buf_fmt(&taken, "%s\n", p->rcpt));
	say(p, STR("250 2.0.0 Ok: taken\r\n"));
}

static void release(void)
{
	is_released = true;
	while (held) {
		struct peer *p = held;

		held = p->next_held;
		p->is_held = false;
		n_held--;
		count_taken(p);
	}
}

static void hold_end_of_data(struct peer *p)
{
	p->is_in_data = false;
	if (is_released) {
		count_taken(p);
		return;
	}
	p->is_held = true;
	p->next_held = held;
	held = p;
	n_held++;
}

static void hold_command(struct peer *p, const char *line)
{
	if (strncmp(line, "EHLO", 4) == 0) {
		say(p, tls_server && !p->tls ? STR("250-sink.example\r\n250-PIPELINING\r\n"
						   "250-8BITMIME\r\n250 STARTTLS\r\n")
					     : STR("250-sink.example\r\n250-PIPELINING\r\n"
						   "250 8BITMIME\r\n"));
	} else if (strcmp(line, "STARTTLS") == 0) {
		say(p, STR("220 2.0.0 Go ahead\r\n"));
		p->tls = tls_server_session(tls_server);
	} else if (strncmp(line, "RCPT TO:<", 9) == 0) {
		snprintf(p->rcpt, sizeof(p->rcpt), "%.*s", (int)strcspn(line + 9, ">"), line + 9);
		say(p, STR("250 2.1.5 Ok\r\n"));
	} else if (strcmp(line, "DATA") == 0) {
		p->is_in_data = true;
		say(p, STR("354 Go on\r\n"));
	} else if (strcmp(line, "QUIT") == 0) {
		say(p, STR("221 2.0.0 Bye\r\n"));
	} else {
		say(p, STR("250 2.0.0 Ok\r\n"));
	}
}

static void hold_read(void *arg, struct str octets)
{
	struct peer *p = arg;
	char line[1024];

	take_octets(p, octets);
	while (!p->is_held && next_line(p, line, sizeof(line))) {
		if (!p->is_in_data)
			hold_command(p, line);
		else if (strcmp(line, ".") == 0)
			hold_end_of_data(p);
	}
}

static void hold_gone(struct peer *p)
{
	for (struct peer **at = &held; *at; at = &(*at)->next_held)
		if (*at == p) {
			*at = p->next_held;
			n_held--;
			break;
		}
	n_sessions--;
	peer_free(p);
}

static void hold_ended(void *arg)
{
	hold_gone(arg);
}

static void hold_failed(void *arg, const struct net_failure *why)
{
	(void)why;
	hold_gone(arg);
}

static const struct net_stream_calls hold_calls = { .read = hold_read,
						    .ended = hold_ended,
						    .failed = hold_failed };

static void hold_accepted(void *arg, struct net_stream *s)
{
	struct peer *p = calloc(1, sizeof(*p));

	(void)arg;
	n_sessions++;
	buf_init(&p->in, LINE_LIMIT);
	p->stream = s;
	net_stream_set_calls(s, &hold_calls, p);
	say(p, STR("220 sink.example ESMTP\r\n"));
}

/* ---- the driver ---- */

static void on_input(void *arg)
{
	char text[256];
	ssize_t n = read(STDIN_FILENO, text, sizeof(text) - 1);

	(void)arg;
	if (n <= 0) {
		net_loop_stop(loop);
		return;
	}
	text[n] = '\0';
	if (strcmp(text, "release\n") == 0)
		release();
	printf("sessions %zu held %zu taken %zu\n", n_sessions, n_held, n_taken);
	fflush(stdout);
}

static void begin_idle(bool is_tls)
{
	struct tls_client_options o = { .verify_depth = 9 };
	struct error e;

	if (is_tls && !(tls_client = tls_client_new(&o, &e)))
		die(&e);
	open_more();
}

static void begin_hold(size_t n, const char *cert)
{
	struct tls_server_options o = { .cert_file = str_of(cert),
					.key_file = str_of(cert),
					.versions = TLS_VERSIONS_ALL };
	struct error e;

	if (cert && !(tls_server = tls_server_new(&o, &e)))
		die(&e);
	buf_init(&taken, 64 * 1024 * 1024);
	for (size_t i = 0; i < n; i++, to.address.octets[3]++)
		if (!net_listener_new(loop, &to, hold_accepted, NULL, &e))
			die(&e);
	printf("listening\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	struct error e;

	if (argc < 4 || !net_endpoint_parse(str_of(argv[2]), &to)) {
		fputs("usage: crowd idle|hold ADDRESS:PORT N [tls|CERT.pem]\n", stderr);
		return 64;
	}
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	loop = net_loop_new();
	input = net_watch_new(loop, STDIN_FILENO, on_input, NULL, &e);
	if (!input)
		die(&e);
	n_wanted = strtoul(argv[3], NULL, 10);
	if (strcmp(argv[1], "idle") == 0)
		begin_idle(argc > 4);
	else
		begin_hold(n_wanted, argc > 4 ? argv[4] : NULL);
	net_loop_run(loop);
	if (taken.mem)
		fwrite(buf_str(&taken).p, 1, buf_len(&taken), stdout);
	return 0;
}
