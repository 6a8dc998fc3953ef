/* hopseal serve: the daemon. */

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/maillog.h"
#include "cmd/serve_console.h"
#include "cmd/serve_worker.h"
#include "os/files.h"
#include "os/log.h"
#include "os/os.h"
#include "os/privileges.h"
#include "os/process.h"
#include "os/service.h"

enum { SERVE_WORKERS_MAX = 64, TRIM_EVERY_MS = 60 * 1000 };

static const struct str serve_help = STR_INIT(
	"usage: hopseal serve [-c DIR] [-o NAME=VALUE]... [-v]\n"
	"\n"
	"Takes mail, keeps it in the queue and delivers it, in the foreground, until SIGTERM or\n"
	"SIGINT. SIGHUP reads the configuration anew.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  -v                print configuration warnings too\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 stopped as told, 64 usage, 65 the queue is damaged, 71 the system "
	"refused,\n"
	"74 the queue could not be read, or the disk lost what was written to it, 75 another\n"
	"daemon has the queue, 78 bad configuration.\n");

struct serve {
	struct cmd_sources *sources;
	bool is_verbose;
	struct conf *conf; /* until there is a generation */
	struct serve_generation *generation;
	struct listen_clients *clients;
	struct os_log *log;
	struct store *store;
	struct queue_team *team;
	struct serve_worker *worker[SERVE_WORKERS_MAX];
	unsigned n_workers;
	struct net_chan *ended; /* notes of workers */
	unsigned n_running;
	bool is_ready, is_stopping, is_hurried, is_draining;
	struct net_loop *loop;
	struct net_signal *signals[3];
	struct net_timer *watchdog, *trim;
	uint64_t watchdog_ms;
	uint64_t files_open; /* when the workers were made */
	struct serve_console *console;
};

static void
serve_log(const struct serve *s, enum log_event_id id, const struct log_value *v, size_t n)
{
	struct log_event e = { .id = id, .values = v, .n_values = n };

	os_log_event(s->log, &e);
}

/* ---- files ---- */

static void
serve_log_files(const struct serve *s, const struct os_files_wish *w, const struct os_files_plan *p)
{
	struct arena *a = arena_new();
	struct log_value v = { .field = FIELD_reason };

	v.text = arena_fmt(
		a,
		"%llu files at most may be open (LimitNOFILE, ulimit -n): %llu inbound connections "
		"in the place of hopseal_connection_limit = %llu, and %llu outbound ones in the "
		"place of %llu (hopseal_delivery_limit in each worker)",
		(unsigned long long)w->limit, (unsigned long long)p->inbound,
		(unsigned long long)w->inbound, (unsigned long long)p->outbound,
		(unsigned long long)w->outbound);
	serve_log(s, EVENT_notice, &v, 1);
	arena_free(a);
}

/* Connections share what the limit of files leaves beside what is open without any. */
static void serve_share_files(struct serve *s)
{
	uint64_t each = (uint64_t)conf_int(s->generation->conf, CONF_hopseal_delivery_limit);
	struct os_files_wish w = {
		.limit = os_files_limit(),
		.open = s->files_open,
		.workers = s->n_workers,
		.inbound = listen_setup_connections_max(s->generation->setup),
		.outbound = each * s->n_workers,
	};
	struct os_files_plan p = os_files_plan(&w);
	unsigned share = (unsigned)(p.outbound / s->n_workers);

	/* Tables and name servers are opened later: what they take is not connections' to count. */
	os_files_keep_back(w.limit, p.kept_back / 2);
	listen_clients_set_most(s->clients, p.inbound);
	for (unsigned i = 0; i < s->n_workers; i++)
		serve_worker_set_most(s->worker[i], share > 0 ? share : 1);
	if (!p.fits)
		serve_log_files(s, &w, &p);
}

/* ---- signals ---- */

static void serve_stop(struct serve *s, const char *reason)
{
	struct log_value v = { .field = FIELD_reason, .text = str_of(reason) };

	s->is_stopping = true;
	serve_log(s, EVENT_stopping, &v, 1);
	os_service_tell(STR("STOPPING=1"));
	net_loop_stop(s->loop);
}

/* Whoever says it twice does not want to wait. */
static void serve_hurry(struct serve *s)
{
	struct log_value v = { .field = FIELD_reason,
			       .text = STR("told so again, what is under way is cut off") };

	if (!s->is_hurried)
		serve_log(s, EVENT_stopping, &v, 1);
	s->is_hurried = true;
	for (unsigned i = 0; i < s->n_workers && s->is_draining; i++)
		serve_worker_hurry(s->worker[i]);
}

static void on_end(void *arg, int signum)
{
	struct serve *s = arg;

	if (s->is_stopping)
		serve_hurry(s);
	else
		serve_stop(s, signum == SIGINT ? "SIGINT" : "SIGTERM");
}

/* Makes all that a worker would make, and throws it away. */
static bool serve_try_out(struct conf *conf, struct error *e)
{
	struct cmd_site site;
	struct cmd_site_options o = { .conf = conf_ref(conf) };
	struct arena *a = arena_new();
	bool is_good = queue_settings_new(a, conf, e) != NULL;

	if (!cmd_site_open(&site, &o, e)) {
		arena_free(a);
		return false;
	}
	is_good = is_good && cmd_site_open_tls(&site, e);
	cmd_site_close(&site);
	arena_free(a);
	return is_good;
}

static void serve_refuse_reload(const struct serve *s, struct str reason)
{
	struct log_value v = { .field = FIELD_reason, .text = reason };

	serve_log(s, EVENT_reload_refused, &v, 1);
}

/* The first thing that is wrong, with its place. */
static struct str
first_error(struct arena *a, const struct conf_findings *found, const struct error *e)
{
	for (size_t i = 0; i < found->n; i++) {
		const struct conf_finding *f = &found->v[i];
		if (f->severity == CONF_ERROR)
			return arena_fmt(a, STR_FMT ":%u: " STR_FMT, STR_ARG(f->file), f->line,
					 STR_ARG(f->text));
	}
	return error_text(e);
}

static void serve_take(struct serve *s, struct serve_generation *g)
{
	struct log_value v = { .field = FIELD_configuration, .text = conf_fingerprint(g->conf) };

	serve_generation_unref(s->generation);
	s->generation = g;
	for (unsigned i = 0; i < s->n_workers; i++)
		serve_worker_reload(s->worker[i], g);
	serve_share_files(s);
	serve_log(s, EVENT_reloaded, &v, 1);
}

/* What the first configuration settled for as long as the daemon runs. */
static void serve_tell_unchanged(const struct serve *s, const struct conf *conf)
{
	static const enum conf_id fixed[] = {
		CONF_hopseal_workers,
		CONF_hopseal_user,
		CONF_hopseal_control_socket,
		CONF_hopseal_control_group,
		CONF_hopseal_metrics_listen,
		CONF_hopseal_log_format,
		CONF_syslog_name,
		CONF_syslog_facility,
		CONF_hopseal_content_inline_limit,
		CONF_hopseal_content_memory_limit,
	};
	struct arena *a = arena_new();

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
		struct log_value v = { .field = FIELD_reason };
		if (str_eq(conf_text(conf, fixed[i]), conf_text(s->conf, fixed[i])))
			continue;
		v.text = arena_fmt(a,
				   STR_FMT " is read at the start only: it stays as it is until "
					   "the daemon is started again",
				   STR_ARG(conf_name(fixed[i])));
		serve_log(s, EVENT_notice, &v, 1);
	}
	arena_free(a);
}

/* Another queue is another daemon's work: what is in this one would be left to nobody. */
static bool serve_keeps_queue(const struct serve *s, const struct conf *conf, struct error *e)
{
	return str_eq(conf_str(conf, CONF_hopseal_queue_directory),
		      conf_str(s->conf, CONF_hopseal_queue_directory)) ||
	       error_set(e, ERROR_CONFIG,
			 "hopseal_queue_directory cannot change while the daemon runs");
}

static void serve_keep_log(const struct serve *s, const struct error *why)
{
	struct log_value v = { .field = FIELD_reason, .text = error_text(why) };

	serve_log(s, EVENT_log_kept, &v, 1);
}

static bool serve_take_conf(struct serve *s, struct conf *conf, struct error *e)
{
	struct serve_generation *g = NULL;
	struct os_log_options log;
	struct error why;

	if (serve_keeps_queue(s, conf, e) && cmd_maillog_options(conf, &log, e) &&
	    serve_try_out(conf, e))
		g = serve_generation_new(conf, s->generation, e);
	else
		conf_unref(conf);
	if (!g) {
		serve_refuse_reload(s, error_text(e));
		return false;
	}
	if (!os_log_move(s->log, log.path, log.mode, &why)) {
		(void)error_prefix(&why, "maillog_file takes a new start");
		serve_keep_log(s, &why);
	}
	serve_take(s, g);
	serve_tell_unchanged(s, g->conf);
	return true;
}

static void serve_open_log_again(const struct serve *s)
{
	struct error e;

	if (!os_log_reopen(s->log, &e))
		serve_keep_log(s, &e);
}

static bool serve_reload(void *arg, struct error *e)
{
	struct serve *s = arg;
	struct arena *a = arena_new();
	struct conf_findings found = { 0 };

	*e = (struct error){ 0 };
	os_service_tell(STR("RELOADING=1"));
	serve_open_log_again(s);
	struct conf *conf = cmd_configure_quietly(s->sources, a, &found, e);
	if (!conf) {
		const struct error why = *e;
		(void)error_set(e, ERROR_CONFIG, STR_FMT, STR_ARG(first_error(a, &found, &why)));
		serve_refuse_reload(s, error_text(e));
	}
	bool is_good = conf && serve_take_conf(s, conf, e);
	os_service_tell(STR("READY=1"));
	arena_free(a);
	return is_good;
}

static void on_reload(void *arg, int signum)
{
	const struct serve *s = arg;
	struct error e;

	(void)signum;
	if (!s->is_stopping)
		(void)!serve_reload(arg, &e);
}

static void on_told_to_stop(void *arg)
{
	serve_stop(arg, "hopseal stop");
}

static void on_trim(void *arg)
{
	struct serve *s = arg;

	os_process_trim();
	net_timer_set(s->trim, net_loop_now(s->loop) + TRIM_EVERY_MS);
}

/* All workers and the store's writer have answered: the first time the daemon is ready. While one
 * does not, the watchdog is not fed. */
static void on_pulse(void *arg)
{
	struct serve *s = arg;

	if (!s->is_ready && !s->is_stopping)
		os_service_tell(STR("READY=1"));
	s->is_ready = true;
	os_service_tell(STR("WATCHDOG=1"));
	net_timer_set(s->watchdog, net_loop_now(s->loop) + s->watchdog_ms / 3);
}

static void on_watchdog(void *arg)
{
	struct serve *s = arg;

	serve_console_pulse(s->console, on_pulse, s);
}

/* ---- the beginning ---- */

static bool serve_open_log(struct serve *s, struct error *e)
{
	struct os_log_options o;

	if (cmd_maillog_options(s->conf, &o, e))
		s->log = os_log_new(&o, e);
	return s->log != NULL;
}

static bool serve_become(struct serve *s, const char *directory, struct error *e)
{
	struct os_user user;

	return os_user_find(conf_str(s->conf, CONF_hopseal_user), &user, e) &&
	       os_user_folder(directory, user, e) && os_log_give(s->log, user.uid, user.gid, e) &&
	       (s->console = serve_console_new(s->conf, e)) && os_become(user, e);
}

/* While the daemon was down, programs put their mail into the queue themselves, one at a time. */
enum { SERVE_LOCK_WAIT_MS = 5000 };

enum { SERVE_LAST_WORDS_S = 2 };

struct last_words {
	struct serve *s;
	const char *why;
};

static void *say_lost(void *arg)
{
	const struct last_words *last = arg;
	struct log_value v = { .field = FIELD_reason, .text = str_of(last->why) };

	(void)dprintf(STDERR_FILENO, "hopseal: %s\n", last->why);
	serve_log(last->s, EVENT_lost, &v, 1);
	os_log_flush(last->s->log);
	return NULL;
}

/* On the writer's thread: the process ends when this returns. The log may be on the disk that
 * fails, and whoever writes there hangs and holds the log's lock: only a thread of its own may wait
 * for that. */
static void on_lost(void *arg, const char *why)
{
	static struct last_words last;
	struct timespec until;
	pthread_t teller;

	last = (struct last_words){ arg, why };
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SERVE_LAST_WORDS_S;
	if (pthread_create(&teller, NULL, say_lost, &last) == 0)
		(void)pthread_clockjoin_np(teller, NULL, CLOCK_MONOTONIC, &until);
}

static bool serve_open_store(struct serve *s, struct error *e)
{
	struct arena *a = arena_new();
	const char *directory = arena_str(a, conf_str(s->conf, CONF_hopseal_queue_directory)).p;
	struct store_options o = {
		.directory = directory,
		.inline_limit = (size_t)conf_int(s->conf, CONF_hopseal_content_inline_limit),
		.content_memory_limit =
			(uint64_t)conf_int(s->conf, CONF_hopseal_content_memory_limit),
		.reserve_octets = STORE_RESERVE_OCTETS,
		.lock_wait_ms = SERVE_LOCK_WAIT_MS,
		.is_checked = true,
		.lost = on_lost,
		.lost_arg = s,
	};

	if (!os_is_root() || serve_become(s, directory, e))
		s->store = store_open(&o, e);
	if (s->store && !s->console)
		s->console = serve_console_new(s->conf, e);
	arena_free(a);
	return s->store && s->console;
}

/* Addresses below 1024 are root's to bind. */
static bool serve_bind(struct serve *s, struct error *e)
{
	s->clients = listen_clients_new();
	s->generation = serve_generation_new(conf_ref(s->conf), NULL, e);
	return s->generation != NULL;
}

static unsigned workers_wanted(const struct conf *conf)
{
	int64_t n = conf_int(conf, CONF_hopseal_workers);

	if (n == 0)
		n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > SERVE_WORKERS_MAX ? SERVE_WORKERS_MAX : (unsigned)n;
}

static bool serve_make_workers(struct serve *s, struct error *e)
{
	unsigned n = workers_wanted(s->conf);

	if (!serve_generation_read(s->generation, e))
		return false;
	s->team = queue_team_new(n);
	for (unsigned i = 0; i < n; i++) {
		struct serve_worker_options o = {
			.member = i,
			.team = s->team,
			.store = s->store,
			.log = s->log,
			.clients = s->clients,
			.generation = s->generation,
			.ended = s->ended,
		};
		s->worker[i] = serve_worker_new(&o, e);
		if (!s->worker[i])
			return false;
		s->n_workers++;
	}
	s->files_open = os_files_open();
	serve_share_files(s);
	return true;
}

static bool serve_start_workers(struct serve *s, struct error *e)
{
	for (; s->n_running < s->n_workers; s->n_running++)
		if (!serve_worker_start(s->worker[s->n_running], e))
			return false;
	return true;
}

static bool serve_start_console(struct serve *s, struct error *e)
{
	struct serve_console_options o = {
		.loop = s->loop,
		.generation = &s->generation,
		.store = s->store,
		.log = s->log,
		.team = s->team,
		.workers = s->worker,
		.n_workers = s->n_workers,
		.reload = serve_reload,
		.stop = on_told_to_stop,
		.arg = s,
	};

	return serve_console_start(s->console, &o, e);
}

/* Signals are for the main thread alone. */
static void block_signals(void)
{
	static const int which[] = { SIGINT, SIGTERM, SIGHUP };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(which); i++)
		sigaddset(&set, which[i]);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void take_signals(struct serve *s)
{
	sigset_t none;

	s->signals[0] = net_signal_new(s->loop, SIGINT, on_end, s);
	s->signals[1] = net_signal_new(s->loop, SIGTERM, on_end, s);
	s->signals[2] = net_signal_new(s->loop, SIGHUP, on_reload, s);
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void serve_tell_trouble(const struct serve *s)
{
	struct arena *a = arena_new();
	struct log_value v = { .field = FIELD_reason, .text = store_trouble(s->store, a) };

	if (v.text.n > 0)
		serve_log(s, EVENT_trouble, &v, 1);
	arena_free(a);
}

/* The timer keeps the loop running, with a watchdog to feed or without. */
static void serve_run(struct serve *s)
{
	struct log_value v[] = {
		{ .field = FIELD_version, .text = STR(HOPSEAL_VERSION) },
		{ .field = FIELD_configuration, .text = conf_fingerprint(s->conf) },
	};

	take_signals(s);
	s->watchdog_ms = os_service_watchdog_ms();
	if (s->watchdog_ms == 0)
		s->watchdog_ms = 60 * 60 * 1000;
	s->watchdog = net_timer_new(s->loop, on_watchdog, s);
	on_watchdog(s);
	s->trim = net_timer_new(s->loop, on_trim, s);
	on_trim(s);
	serve_log(s, EVENT_starting, v, ARRAY_LEN(v));
	serve_tell_trouble(s);
	net_loop_run(s->loop);
	net_timer_free(s->watchdog);
	net_timer_free(s->trim);
}

static void on_worker_ended(void *arg, struct net_note *note)
{
	struct serve *s = arg;

	(void)note;
	if (--s->n_running == 0)
		net_loop_stop(s->loop);
}

/* Signals are heard meanwhile. */
static void serve_drain(struct serve *s)
{
	s->is_draining = true;
	if (s->is_hurried)
		serve_hurry(s);
	net_chan_hold(s->ended);
	while (s->n_running > 0)
		net_loop_run(s->loop);
	net_chan_release(s->ended);
	s->is_draining = false;
}

static void serve_end_workers(struct serve *s)
{
	uint64_t limit = conf_time_s(s->generation->conf, CONF_hopseal_stop_time) * 1000;

	for (unsigned i = 0; i < s->n_workers; i++)
		serve_worker_stop(s->worker[i], limit);
	serve_drain(s);
	for (unsigned i = 0; i < s->n_workers; i++)
		serve_worker_join(s->worker[i]);
	serve_log(s, EVENT_stopped, NULL, 0);
}

static void serve_close(struct serve *s)
{
	for (unsigned i = 0; i < s->n_workers; i++)
		serve_worker_free(s->worker[i]);
	serve_console_free(s->console);
	queue_team_free(s->team);
	store_close(s->store);
	serve_generation_unref(s->generation);
	listen_clients_free(s->clients);
	for (size_t i = 0; i < ARRAY_LEN(s->signals); i++)
		net_signal_free(s->signals[i]);
	if (s->ended)
		net_chan_free(s->ended);
	if (s->loop)
		net_loop_free(s->loop);
	os_log_free(s->log);
	conf_unref(s->conf);
}

static int serve_main(struct serve *s)
{
	struct error e = { 0 };
	bool is_good;

	block_signals();
	(void)os_raise_files_limit();
	s->loop = net_loop_new();
	s->ended = net_chan_new(s->loop, on_worker_ended, s);
	is_good = serve_open_log(s, &e) && serve_bind(s, &e) && serve_open_store(s, &e) &&
		  serve_make_workers(s, &e) && serve_start_workers(s, &e) &&
		  serve_start_console(s, &e);
	if (is_good)
		serve_run(s);
	serve_console_stop(s->console);
	if (s->n_workers > 0 && s->worker[0])
		serve_end_workers(s);
	serve_close(s);
	return is_good ? EX_OK : cmd_fail(&e);
}

/* ---- the command ---- */

static int serve_parse(struct serve *s, int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:o:vh", options, NULL)) != -1) {
		if (cmd_is_bad_option(c))
			return cmd_bad_option("serve", c, argv);
		if (c == 'h')
			return cmd_print(serve_help) ? -1 : EX_IOERR;
		if (c == 'v')
			s->is_verbose = true;
		else
			CHECK(cmd_sources_option(s->sources, c, optarg));
	}
	if (optind < argc)
		return cmd_usage("serve", "%s: too many arguments", argv[optind]);
	return 0;
}

int cmd_serve(int argc, char **argv)
{
	struct cmd_sources sources = { 0 };
	struct serve s = { .sources = &sources };
	int status = serve_parse(&s, argc, argv);

	if (status == 0) {
		s.conf = cmd_configure(&sources, s.is_verbose ? CONF_WARNING : CONF_ERROR, &status);
		if (s.conf)
			status = serve_main(&s);
	}
	cmd_sources_fini(&sources);
	return status < 0 ? EX_OK : status;
}
