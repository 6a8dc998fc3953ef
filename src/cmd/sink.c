/* hopseal sink: its listeners, and how it ends. */

#include <signal.h>
#include <sysexits.h>

#include "cmd/cmd.h"
#include "cmd/sink_options.h"
#include "cmd/sink_session.h"

#define LAST_SESSIONS_MS 2000 /* for QUIT, after the last message that is wanted */
#define STOP_MS 1000          /* for 421 to be taken */

enum run_phase { RUNNING, ENDING, LAST_SESSIONS, STOPPING };

struct run {
	struct cmd_sink sink;
	struct cmd_sink_options o;
	struct net_listener *listeners[CMD_SINK_LISTENERS_MAX];

	struct net_timer *timer;
	struct net_signal *signals[2];
	enum run_phase phase;
};

static void on_accepted(void *arg, struct net_stream *s)
{
	struct run *r = arg;

	cmd_sink_session_begin(&r->sink, s);
}

static struct net_listener *
open_listener(struct run *r, const struct cmd_sink_place *place, struct error *e)
{
	if (place->path.n > 0)
		return net_listener_new_unix(r->sink.loop, place->path, on_accepted, r, e);
	return net_listener_new(r->sink.loop, &place->at, on_accepted, r, e);
}

static void print_listener(const struct cmd_sink_place *place, const struct net_listener *n)
{
	struct net_endpoint at = net_listener_endpoint(n);
	char text[NET_ENDPOINT_TEXT_MAX];

	if (place->path.n > 0)
		printf("listening on unix:" STR_FMT "\n", STR_ARG(place->path));
	else
		printf("listening on %s\n", net_endpoint_text(&at, text).p);
}

static bool open_listeners(struct run *r, struct error *e)
{
	for (size_t i = 0; i < r->o.n; i++) {
		r->listeners[i] = open_listener(r, &r->o.places[i], e);
		if (!r->listeners[i])
			return false;
	}
	for (size_t i = 0; i < r->o.n; i++)
		print_listener(&r->o.places[i], r->listeners[i]);
	return fflush(stdout) == 0 || error_set(e, ERROR_IO, "writing to standard output");
}

static void close_listeners(struct run *r)
{
	for (size_t i = 0; i < r->o.n; i++) {
		net_listener_free(r->listeners[i]);
		r->listeners[i] = NULL;
	}
}

/* The loop ends by itself when nothing is left to wait for. */
static void end_if_alone(struct run *r)
{
	if (r->phase < LAST_SESSIONS || r->sink.sessions)
		return;
	net_timer_stop(r->timer);
}

static void on_changed(void *arg)
{
	struct run *r = arg;
	bool has_enough = r->o.max_messages && r->sink.n_messages >= r->o.max_messages;

	if (r->phase == RUNNING && has_enough) {
		r->phase = ENDING;
		net_timer_set(r->timer, 0);
	}
	end_if_alone(r);
}

static void go_to(struct run *r, enum run_phase phase, uint64_t ms)
{
	r->phase = phase;
	net_timer_set(r->timer, net_loop_now(r->sink.loop) + ms);
}

static void on_timer(void *arg)
{
	struct run *r = arg;

	switch (r->phase) {
	case RUNNING:
		return;
	case ENDING:
		close_listeners(r);
		go_to(r, LAST_SESSIONS, LAST_SESSIONS_MS);
		break;
	case LAST_SESSIONS:
		go_to(r, STOPPING, STOP_MS);
		cmd_sink_sessions_stop(&r->sink);
		break;
	case STOPPING:
		cmd_sink_sessions_kill(&r->sink);
		break;
	}
	end_if_alone(r);
}

static void on_signal(void *arg, int signum)
{
	struct run *r = arg;
	bool is_again = r->phase == STOPPING;

	(void)signum;
	close_listeners(r);
	go_to(r, STOPPING, STOP_MS);
	if (is_again)
		cmd_sink_sessions_kill(&r->sink);
	else
		cmd_sink_sessions_stop(&r->sink);
	end_if_alone(r);
}

static bool open_tls(struct run *r, struct error *e)
{
	unsigned *extensions = &r->sink.engine.extensions;
	bool has_tls = r->o.tls.cert_file.n || r->o.tls.cipher_list.n;

	if (has_tls) {
		r->sink.tls = tls_server_new(&r->o.tls, e);
		if (!r->sink.tls)
			return false;
	}
	if (!has_tls || r->o.has_no_starttls || r->sink.is_wrapper)
		*extensions &= ~(unsigned)SMTP_EXT_STARTTLS;
	if (cmd_sink_script_strips(r->sink.script)) {
		*extensions &= ~(unsigned)SMTP_EXT_STARTTLS;
		*extensions |= SMTP_EXT_GARBLED;
	}
	return true;
}

static bool open_all(struct run *r, struct error *e)
{
	r->sink = (struct cmd_sink){
		.loop = net_loop_new(),
		.script = r->o.script,
		.engine = r->o.engine,
		.is_wrapper = r->o.is_wrapper,
		.is_quiet = r->o.is_quiet,
		.is_logging = r->o.is_logging,
		.changed = on_changed,
		.arg = r,
	};
	if (!open_tls(r, e))
		return false;
	if (r->o.maildir) {
		r->sink.maildir = cmd_maildir_open(r->o.maildir, e);
		if (!r->sink.maildir)
			return false;
	}
	r->timer = net_timer_new(r->sink.loop, on_timer, r);
	r->signals[0] = net_signal_new(r->sink.loop, SIGTERM, on_signal, r);
	r->signals[1] = net_signal_new(r->sink.loop, SIGINT, on_signal, r);
	return open_listeners(r, e);
}

static void print_count(const struct run *r)
{
	printf("counted %llu messages, %llu octets, %llu sessions\n",
	       (unsigned long long)r->sink.n_messages, (unsigned long long)r->sink.n_octets,
	       (unsigned long long)r->sink.n_sessions);
	fflush(stdout);
}

static void close_all(struct run *r)
{
	r->sink.changed = NULL;
	cmd_sink_sessions_kill(&r->sink);
	close_listeners(r);
	net_timer_free(r->timer);
	net_signal_free(r->signals[0]);
	net_signal_free(r->signals[1]);
	net_loop_free(r->sink.loop);
	tls_server_free(r->sink.tls);
	cmd_maildir_close(r->sink.maildir);
}

static int run(struct run *r)
{
	struct error e = { 0 };
	bool is_open = open_all(r, &e);

	if (is_open) {
		net_loop_run(r->sink.loop);
		if (r->o.counts)
			print_count(r);
	}
	close_all(r);
	return is_open ? EX_OK : cmd_fail(&e);
}

int cmd_sink(int argc, char **argv)
{
	struct run r = { 0 };
	struct error e = { 0 };
	int code;

	cmd_sink_options_init(&r.o);
	if (!cmd_sink_options_take(&r.o, argc, argv, &e))
		code = e.kind == ERROR_USAGE ? cmd_usage("sink", "%s", e.text) : cmd_fail(&e);
	else if (r.o.wants_help)
		code = cmd_print(str_of(cmd_sink_help)) ? EX_OK : EX_IOERR;
	else
		code = run(&r);
	cmd_sink_options_fini(&r.o);
	return code;
}
