/* hopseal sink: options, listeners, and the end. */

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/cmd.h"
#include "cmd/sink_session.h"
#include "cmd/sink_versions.h"
#include "os/os.h"

#define LISTENERS_MAX 32
#define SCRIPT_FILE_MAX (4 * 1024 * 1024)
#define LAST_SESSIONS_MS 2000 /* for QUIT, after the last message that is wanted */
#define STOP_MS 1000          /* for 421 to be taken */

static const char help[] =
	"usage: hopseal sink [options]\n\n"
	"Receives mail and keeps, counts or refuses it as it is told, to try out what\n"
	"senders do. For demonstrations and tests; it relays nothing.\n\n"
	"  --listen ADDRESS:PORT   where to listen, also several times; port 0 takes a free\n"
	"                          one. Each is told as \"listening on ADDRESS:PORT\" on\n"
	"                          standard output. Default: 127.0.0.1:0\n"
	"  --hostname NAME         in the greeting (default: localhost)\n"
	"  --lmtp                  speak LMTP (RFC 2033) instead of SMTP\n"
	"  --size OCTETS           the largest message; 0: any (default)\n"
	"  --without KEYWORD       do not announce an extension, such as 8BITMIME\n"
	"  --max-messages N        end after N messages\n"
	"\nTLS\n"
	"  --cert FILE             certificate chain in PEM, leaf first; without it no TLS\n"
	"  --key FILE              its private key (default: in the same file)\n"
	"  --no-starttls           do not offer STARTTLS\n"
	"  --wrapper               TLS from the first octet\n"
	"  --tls-protocols LIST    such as 1.2, 1.0-1.2 or 1.1,1.3 (default: 1.0-1.3)\n"
	"  --tls-ciphers LIST      OpenSSL cipher list for TLS 1.2 and below\n"
	"  --ask-certificate       ask for a client certificate, and take any\n"
	"\nWhat becomes of messages\n"
	"  --maildir DIR           each becomes a file in DIR/new\n"
	"  --count                 only the number is told, at the end\n"
	"  --quiet                 no line \"received ...\" for each message\n"
	"  --log                   each step of each session on standard error\n"
	"\nTrouble to order\n"
	"  --reply RULE            one rule, also several times\n"
	"  --script FILE           rules, one a line; \"#\" begins a comment line\n"
	"\n"
	"  RULE is [tls:|clear:]STAGE[@N][/TEXT]=[delay TIME] DEED. The first rule that\n"
	"  fits decides. tls: or clear: only inside or outside TLS; @N the N-th time that\n"
	"  the stage is reached, in all sessions together, @N+ from then on; /TEXT only\n"
	"  when TEXT is in the argument: an address, a name. TIME is 500ms or 2s.\n\n"
	"  stages  greet ehlo helo starttls handshake tls mail rcpt data content message\n"
	"          rset noop vrfy quit. handshake: the 220 to STARTTLS is out; tls: the\n"
	"          handshake is complete; content: the first octets of a message; message:\n"
	"          the end of it, in LMTP for each recipient\n"
	"  deeds   accept          the usual\n"
	"          CODE [X.Y.Z] TEXT   this reply, \\n between lines\n"
	"          drop, reset     end the connection, or break it\n"
	"          silence         say nothing more until the peer leaves\n"
	"          raw OCTETS      with \\r \\n \\t \\0 \\\\ \\xHH, whatever they are\n"
	"          long N          a reply line of N octets\n"
	"          inject OCTETS   at starttls: in the clear right after the 220\n"
	"          strip           at ehlo: XXXXXXXA in the place of STARTTLS\n\n"
	"  --reply 'rcpt/bob@=550 5.1.1 No such user' --reply 'greet@1=421 4.3.2 Busy'\n"
	"\nEnds on SIGINT and SIGTERM, with 421 for open sessions. Exit codes: sysexits.\n";

enum option_code {
	OPT_LISTEN = 256,
	OPT_HOSTNAME,
	OPT_LMTP,
	OPT_SIZE,
	OPT_WITHOUT,
	OPT_MAX_MESSAGES,
	OPT_CERT,
	OPT_KEY,
	OPT_NO_STARTTLS,
	OPT_WRAPPER,
	OPT_TLS_PROTOCOLS,
	OPT_TLS_CIPHERS,
	OPT_ASK_CERTIFICATE,
	OPT_MAILDIR,
	OPT_COUNT,
	OPT_QUIET,
	OPT_LOG,
	OPT_REPLY,
	OPT_SCRIPT,
};

static const struct option options[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "hostname", required_argument, NULL, OPT_HOSTNAME },
	{ "lmtp", no_argument, NULL, OPT_LMTP },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "without", required_argument, NULL, OPT_WITHOUT },
	{ "max-messages", required_argument, NULL, OPT_MAX_MESSAGES },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "no-starttls", no_argument, NULL, OPT_NO_STARTTLS },
	{ "wrapper", no_argument, NULL, OPT_WRAPPER },
	{ "tls-protocols", required_argument, NULL, OPT_TLS_PROTOCOLS },
	{ "tls-ciphers", required_argument, NULL, OPT_TLS_CIPHERS },
	{ "ask-certificate", no_argument, NULL, OPT_ASK_CERTIFICATE },
	{ "maildir", required_argument, NULL, OPT_MAILDIR },
	{ "count", no_argument, NULL, OPT_COUNT },
	{ "quiet", no_argument, NULL, OPT_QUIET },
	{ "log", no_argument, NULL, OPT_LOG },
	{ "reply", required_argument, NULL, OPT_REPLY },
	{ "script", required_argument, NULL, OPT_SCRIPT },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

enum run_phase { RUNNING, ENDING, LAST_SESSIONS, STOPPING };

struct run {
	struct cmd_sink sink;
	struct net_endpoint at[LISTENERS_MAX];
	struct net_listener *listeners[LISTENERS_MAX];
	size_t n;
	struct tls_server_options tls;
	bool has_no_starttls, counts, wants_help;
	const char *maildir;
	uint64_t max_messages; /* 0: any number */

	struct net_timer *timer;
	struct net_signal *signals[2];
	enum run_phase phase;
};

static bool take_listen(struct run *r, const char *text, struct error *e)
{
	if (r->n == LISTENERS_MAX)
		return error_set(e, ERROR_USAGE, "more than %d times --listen", LISTENERS_MAX);
	return net_endpoint_parse(str_of(text), &r->at[r->n++]) ||
	       error_set(e, ERROR_USAGE,
			 "--listen %s: say 127.0.0.1:2525 or [::1]:0, an address and a port", text);
}

static bool take_without(struct run *r, const char *keyword, struct error *e)
{
	unsigned bit = smtp_extension_of(str_of(keyword));

	r->sink.engine.extensions &= ~bit;
	r->has_no_starttls |= bit == SMTP_EXT_STARTTLS;
	return bit != 0 || error_set(e, ERROR_USAGE, "--without %s: not known here", keyword);
}

static bool take_number(const char *name, const char *text, uint64_t *out, struct error *e)
{
	return str_to_u64(str_of(text), out) ||
	       error_set(e, ERROR_USAGE, "--%s %s: a number is wanted", name, text);
}

static bool take_script(struct run *r, const char *path, struct error *e)
{
	struct buf text;
	bool is_ok;

	buf_init(&text, SCRIPT_FILE_MAX);
	is_ok = os_file_read(path, &text, NULL, e) &&
		cmd_sink_script_add_lines(r->sink.script, buf_str(&text), e);
	buf_fini(&text);
	return is_ok || error_prefix(e, "%s", path);
}

static bool take_hostname(struct run *r, const char *name, struct error *e)
{
	r->sink.engine.hostname = str_of(name);
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p == 127)
			return error_set(e, ERROR_USAGE, "--hostname: no blanks, please");
	return *name != '\0' || error_set(e, ERROR_USAGE, "--hostname: a name is wanted");
}

static bool take_option(struct run *r, int code, const char *arg, struct error *e)
{
	switch (code) {
	case OPT_LISTEN:
		return take_listen(r, arg, e);
	case OPT_HOSTNAME:
		return take_hostname(r, arg, e);
	case OPT_LMTP:
		r->sink.engine.dialect = SMTP_DIALECT_LMTP;
		return true;
	case OPT_SIZE:
		return take_number("size", arg, &r->sink.engine.size_limit, e);
	case OPT_WITHOUT:
		return take_without(r, arg, e);
	case OPT_MAX_MESSAGES:
		return take_number("max-messages", arg, &r->max_messages, e);
	case OPT_CERT:
		r->tls.cert_file = str_of(arg);
		return true;
	case OPT_KEY:
		r->tls.key_file = str_of(arg);
		return true;
	case OPT_NO_STARTTLS:
		r->has_no_starttls = true;
		return true;
	case OPT_WRAPPER:
		r->sink.is_wrapper = true;
		return true;
	case OPT_TLS_PROTOCOLS:
		return cmd_sink_versions_parse(str_of(arg), &r->tls.versions) ||
		       error_set(e, ERROR_USAGE, "--tls-protocols %s: say 1.2 or 1.0-1.2", arg);
	case OPT_TLS_CIPHERS:
		r->tls.cipher_list = str_of(arg);
		return true;
	case OPT_ASK_CERTIFICATE:
		r->tls.asks_certificate = true;
		return true;
	case OPT_MAILDIR:
		r->maildir = arg;
		return true;
	case OPT_COUNT:
		r->counts = true;
		return true;
	case OPT_QUIET:
		r->sink.is_quiet = true;
		return true;
	case OPT_LOG:
		r->sink.is_logging = true;
		return true;
	case OPT_REPLY:
		return cmd_sink_script_add(r->sink.script, str_of(arg), e) ||
		       error_prefix(e, "--reply");
	case OPT_SCRIPT:
		return take_script(r, arg, e);
	case 'h':
		r->wants_help = true;
		return true;
	default:
		CHECK(!"an option of no use");
	}
}

static bool take_options(struct run *r, int argc, char **argv, struct error *e)
{
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (code == ':')
			return error_set(e, ERROR_USAGE, "%s needs a value", argv[optind - 1]);
		if (code == '?')
			return error_set(e, ERROR_USAGE, "no option %s", argv[optind - 1]);
		if (!take_option(r, code, optarg, e))
			return false;
	}
	if (optind < argc)
		return error_set(e, ERROR_USAGE, "unexpected argument \"%s\"", argv[optind]);
	if (r->sink.is_wrapper && !r->tls.cert_file.n && !r->tls.cipher_list.n)
		return error_set(e, ERROR_USAGE, "--wrapper needs --cert");
	if (r->tls.key_file.n && !r->tls.cert_file.n)
		return error_set(e, ERROR_USAGE, "--key needs --cert");
	if (r->n == 0)
		return take_listen(r, "127.0.0.1:0", e);
	return true;
}

static void on_accepted(void *arg, struct net_stream *s)
{
	struct run *r = arg;

	cmd_sink_session_begin(&r->sink, s);
}

static bool open_listeners(struct run *r, struct error *e)
{
	char text[NET_ENDPOINT_TEXT_MAX];
	struct net_endpoint at;

	for (size_t i = 0; i < r->n; i++) {
		r->listeners[i] = net_listener_new(r->sink.loop, &r->at[i], on_accepted, r, e);
		if (!r->listeners[i])
			return false;
	}
	for (size_t i = 0; i < r->n; i++) {
		at = net_listener_endpoint(r->listeners[i]);
		printf("listening on %s\n", net_endpoint_text(&at, text).p);
	}
	return fflush(stdout) == 0 || error_set(e, ERROR_IO, "writing to standard output");
}

static void close_listeners(struct run *r)
{
	for (size_t i = 0; i < r->n; i++)
		net_listener_free(r->listeners[i]);
	r->n = 0;
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
	bool has_enough = r->max_messages && r->sink.n_messages >= r->max_messages;

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
	bool has_tls = r->tls.cert_file.n || r->tls.cipher_list.n;

	if (has_tls) {
		r->sink.tls = tls_server_new(&r->tls, e);
		if (!r->sink.tls)
			return false;
	}
	if (!has_tls || r->has_no_starttls || r->sink.is_wrapper)
		*extensions &= ~(unsigned)SMTP_EXT_STARTTLS;
	if (cmd_sink_script_strips(r->sink.script)) {
		*extensions &= ~(unsigned)SMTP_EXT_STARTTLS;
		*extensions |= SMTP_EXT_GARBLED;
	}
	return true;
}

static bool open_all(struct run *r, struct error *e)
{
	if (!open_tls(r, e))
		return false;
	if (r->maildir) {
		r->sink.maildir = cmd_maildir_open(r->maildir, e);
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
	cmd_sink_sessions_kill(&r->sink);
	close_listeners(r);
	net_timer_free(r->timer);
	net_signal_free(r->signals[0]);
	net_signal_free(r->signals[1]);
	net_loop_free(r->sink.loop);
	tls_server_free(r->sink.tls);
	cmd_maildir_close(r->sink.maildir);
	cmd_sink_script_free(r->sink.script);
}

int cmd_sink(int argc, char **argv)
{
	struct run r = {
		.sink.engine = { .hostname = STR("localhost"),
				 .extensions = SMTP_EXT_EHLO | SMTP_EXT_PIPELINING | SMTP_EXT_SIZE |
					       SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |
					       SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN |
					       SMTP_EXT_STARTTLS,
				 .command_ms = 300 * 1000,
				 .data_ms = 300 * 1000 },
		.tls.versions = TLS_VERSIONS_ALL,
	};
	struct error e = { 0 };
	int code = EX_OK;

	r.sink.script = cmd_sink_script_new();
	r.sink.loop = net_loop_new();
	r.sink.changed = on_changed;
	r.sink.arg = &r;
	if (!take_options(&r, argc, argv, &e)) {
		code = e.kind == ERROR_USAGE ? cmd_usage("sink", "%s", e.text) : cmd_fail(&e);
	} else if (r.wants_help) {
		code = cmd_print(str_of(help)) ? EX_OK : EX_IOERR;
	} else if (!open_all(&r, &e)) {
		code = cmd_fail(&e);
	} else {
		net_loop_run(r.sink.loop);
		if (r.counts)
			print_count(&r);
	}
	r.sink.changed = NULL;
	close_all(&r);
	return code;
}
