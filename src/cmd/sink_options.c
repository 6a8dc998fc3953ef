/* The options of `hopseal sink`, and its help. */

#include "cmd/sink_options.h"

#include <getopt.h>

#include "cmd/cmd.h"
#include "cmd/sink_versions.h"
#include "os/os.h"

#define SCRIPT_FILE_MAX (4 * 1024 * 1024)

const char cmd_sink_help[] =
	"usage: hopseal sink [options]\n\n"
	"Receives mail and keeps, counts or refuses it as it is told, to try out what\n"
	"senders do. For demonstrations and tests; it relays nothing.\n\n"
	"  --listen ADDRESS:PORT   where to listen, also several times (default 127.0.0.1:0);\n"
	"  --listen unix:PATH      port 0 takes a free one. Each is told as \"listening on\n"
	"                          ADDRESS:PORT\" on standard output\n"
	"  --hostname NAME         in the greeting (default: localhost)\n"
	"  --lmtp                  speak LMTP (RFC 2033) instead of SMTP\n"
	"  --size OCTETS           the largest message; 0: any (default)\n"
	"  --without KEYWORD       do not announce an extension, such as 8BITMIME\n"
	"  --requiretls WHERE      announce REQUIRETLS (RFC 8689): tls, as it should be, only\n"
	"                          inside TLS; clear, only outside, where it is not taken;\n"
	"                          or both\n"
	"  --max-messages N        end after N messages\n"
	"  -h, --help\n"
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
	"  --quiet                 no line \"received ...\" on standard output for each\n"
	"                          message; read them, or a full pipe stops the sink\n"
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
	OPT_REQUIRETLS,
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
	{ "requiretls", required_argument, NULL, OPT_REQUIRETLS },
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

static bool take_listen(struct cmd_sink_options *o, const char *text, struct error *e)
{
	struct str where = str_of(text);
	struct cmd_sink_place *place = &o->places[o->n];

	if (o->n == CMD_SINK_LISTENERS_MAX)
		return error_set(e, ERROR_USAGE, "more than %d times --listen",
				 CMD_SINK_LISTENERS_MAX);
	o->n++;
	if (str_has_prefix(where, STR("unix:")))
		place->path = str_from(where, 5);
	return place->path.n > 0 || net_endpoint_parse(where, &place->at) ||
	       error_set(e, ERROR_USAGE, "--listen %s: say 127.0.0.1:2525, [::1]:0 or unix:PATH",
			 text);
}

static bool take_without(struct cmd_sink_options *o, const char *keyword, struct error *e)
{
	unsigned bit = smtp_extension_of(str_of(keyword));

	o->engine.extensions &= ~bit;
	o->has_no_starttls |= bit == SMTP_EXT_STARTTLS;
	return bit != 0 || error_set(e, ERROR_USAGE, "--without %s: not known here", keyword);
}

static bool take_requiretls(struct cmd_sink_options *o, const char *where, struct error *e)
{
	bool is_both = str_eq(str_of(where), STR("both"));
	bool is_tls = is_both || str_eq(str_of(where), STR("tls"));
	bool is_clear = is_both || str_eq(str_of(where), STR("clear"));

	o->engine.extensions |= is_tls ? SMTP_EXT_REQUIRETLS : 0;
	o->engine.out_of_place |= is_clear ? SMTP_EXT_REQUIRETLS : 0;
	return is_tls || is_clear ||
	       error_set(e, ERROR_USAGE, "--requiretls %s: say tls, clear or both", where);
}

static bool take_number(const char *name, const char *text, uint64_t *out, struct error *e)
{
	return str_to_u64(str_of(text), out) ||
	       error_set(e, ERROR_USAGE, "--%s %s: a number is wanted", name, text);
}

static bool take_script(struct cmd_sink_options *o, const char *path, struct error *e)
{
	struct buf text;
	bool is_ok;

	buf_init(&text, SCRIPT_FILE_MAX);
	is_ok = os_file_read(path, &text, NULL, e);
	if (is_ok && !cmd_sink_script_add_lines(o->script, buf_str(&text), e)) {
		e->kind = ERROR_DATA;
		is_ok = false;
	}
	buf_fini(&text);
	return is_ok || error_prefix(e, "%s", path);
}

static bool take_hostname(struct cmd_sink_options *o, const char *name, struct error *e)
{
	o->engine.hostname = str_of(name);
	for (const char *p = name; *p; p++)
		if (*p <= ' ' || *p == 127)
			return error_set(e, ERROR_USAGE, "--hostname: no blanks, please");
	return *name != '\0' || error_set(e, ERROR_USAGE, "--hostname: a name is wanted");
}

static bool take_option(struct cmd_sink_options *o, int code, const char *arg, struct error *e)
{
	switch (code) {
	case OPT_LISTEN:
		return take_listen(o, arg, e);
	case OPT_HOSTNAME:
		return take_hostname(o, arg, e);
	case OPT_LMTP:
		o->engine.dialect = SMTP_DIALECT_LMTP;
		return true;
	case OPT_SIZE:
		return take_number("size", arg, &o->engine.size_limit, e);
	case OPT_WITHOUT:
		return take_without(o, arg, e);
	case OPT_REQUIRETLS:
		return take_requiretls(o, arg, e);
	case OPT_MAX_MESSAGES:
		return take_number("max-messages", arg, &o->max_messages, e);
	case OPT_CERT:
		o->tls.cert_file = str_of(arg);
		return true;
	case OPT_KEY:
		o->tls.key_file = str_of(arg);
		return true;
	case OPT_NO_STARTTLS:
		o->has_no_starttls = true;
		return true;
	case OPT_WRAPPER:
		o->is_wrapper = true;
		return true;
	case OPT_TLS_PROTOCOLS:
		return cmd_sink_versions_parse(str_of(arg), &o->tls.versions) ||
		       error_set(e, ERROR_USAGE, "--tls-protocols %s: say 1.2 or 1.0-1.2", arg);
	case OPT_TLS_CIPHERS:
		o->tls.cipher_list = str_of(arg);
		return true;
	case OPT_ASK_CERTIFICATE:
		o->tls.asks_certificate = true;
		return true;
	case OPT_MAILDIR:
		o->maildir = arg;
		return true;
	case OPT_COUNT:
		o->counts = true;
		return true;
	case OPT_QUIET:
		o->is_quiet = true;
		return true;
	case OPT_LOG:
		o->is_logging = true;
		return true;
	case OPT_REPLY:
		return cmd_sink_script_add(o->script, str_of(arg), e) || error_prefix(e, "--reply");
	case OPT_SCRIPT:
		return take_script(o, arg, e);
	case 'h':
		o->wants_help = true;
		return true;
	default:
		CHECK(!"an option of no use");
	}
}

bool cmd_sink_options_take(struct cmd_sink_options *o, int argc, char **argv, struct error *e)
{
	int code;

	opterr = 0;
	while ((code = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (cmd_is_bad_option(code))
			return cmd_option_error(code, argv, e);
		if (!take_option(o, code, optarg, e))
			return false;
	}
	if (optind < argc)
		return error_set(e, ERROR_USAGE, "unexpected argument \"%s\"", argv[optind]);
	if (o->is_wrapper && !o->tls.cert_file.n && !o->tls.cipher_list.n)
		return error_set(e, ERROR_USAGE, "--wrapper needs --cert");
	if (o->tls.key_file.n && !o->tls.cert_file.n)
		return error_set(e, ERROR_USAGE, "--key needs --cert");
	if (o->n == 0)
		return take_listen(o, "127.0.0.1:0", e);
	return true;
}

void cmd_sink_options_init(struct cmd_sink_options *o)
{
	*o = (struct cmd_sink_options){
		.engine = { .hostname = STR("localhost"),
			    .extensions = SMTP_EXT_EHLO | SMTP_EXT_PIPELINING | SMTP_EXT_SIZE |
					  SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 |
					  SMTP_EXT_ENHANCEDSTATUSCODES | SMTP_EXT_DSN |
					  SMTP_EXT_STARTTLS,
			    .command_ms = 300 * 1000,
			    .data_ms = 300 * 1000 },
		.tls.versions = TLS_VERSIONS_ALL,
		.script = cmd_sink_script_new(),
	};
}

void cmd_sink_options_fini(struct cmd_sink_options *o)
{
	cmd_sink_script_free(o->script);
}
