/* hopseal sendmail: puts a message into the queue, as sendmail(1) does. */

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/message.h"
#include "mail/domain.h"
#include "mail/mailbox.h"
#include "os/os.h"
#include "store/store.h"

static const struct str sendmail_help = STR_INIT(
	"usage: hopseal sendmail [-c DIR] [-o NAME=VALUE]... [-f SENDER] RECIPIENT... < MESSAGE\n"
	"\n"
	"Puts the message on standard input into the queue.\n"
	"\n"
	"  -c DIR            read DIR/main.cf ($MAIL_CONFIG, else /etc/hopseal)\n"
	"  -o NAME=VALUE     a parameter that overrides main.cf; may be repeated\n"
	"  -f SENDER         envelope sender, \"\" for the null sender; default $USER@$myorigin\n"
	"  -h, --help\n"
	"\n"
	"Exit status: 0 the message is in the queue, 64 usage, 65 bad message, 75 it could not be\n"
	"kept now, 78 bad configuration.\n");

struct sendmail {
	struct cmd_sources sources;
	struct conf *conf;
	const char *sender;
	char *const *rcpts;
	size_t n_rcpts;
	struct arena *arena;
	struct cmd_message message;
	struct net_loop *loop;
	struct store *store;
	struct store_client *client;
	struct store_content *content;
	struct error e;
	bool is_kept;
};

static bool address_check(struct str address, const char *what, struct error *e)
{
	struct mailbox m;

	if (address.n == 0 || !mailbox_parse(address, &m))
		return error_set(e, ERROR_USAGE, "%s <" STR_FMT ">: not a mail address", what,
				 STR_ARG(address));
	return true;
}

static bool sendmail_spool(struct sendmail *s, uint64_t id)
{
	struct store_spool *spool = store_spool_new(s->client, id);
	struct str piece;
	uint64_t at = 0;

	while (content_read(s->message.content, at, &piece, &s->e)) {
		if (piece.n == 0) {
			s->content = store_spool_finish(spool, &s->e);
			return s->content != NULL;
		}
		at += piece.n;
		if (!store_spool_add(spool, piece, &s->e))
			break;
	}
	store_spool_free(spool);
	return false;
}

static void sendmail_kept(void *arg, const struct store_result *r)
{
	struct sendmail *s = arg;

	s->is_kept = r->fault == STORE_DONE;
	if (!s->is_kept)
		(void)error_set(&s->e, ERROR_TEMP, "the queue could not keep it: " STR_FMT,
				STR_ARG(r->text));
}

static unsigned message_flags(const struct sendmail *s)
{
	const struct message_scan *scan = &s->message.scan;
	unsigned flags = 0;

	if (scan->is_8bit)
		flags |= STORE_8BIT;
	if (scan->has_8bit_header)
		flags |= STORE_8BIT_HEADER;
	if (scan->has_8bit_header && scan->is_header_utf8)
		flags |= STORE_SMTPUTF8;
	if (scan->has_tls_required_no)
		flags |= STORE_TLS_REQUIRED_NO;
	return flags;
}

static bool sendmail_queue(struct sendmail *s)
{
	struct store_message m = {
		.id = store_client_id(s->client),
		.arrived_ms = os_utc_ns() / 1000000,
		.flags = message_flags(s),
		.sender = s->sender ? str_of(s->sender)
				    : arena_fmt(s->arena, "%s@" STR_FMT,
						getenv("USER") ? getenv("USER") : "postmaster",
						STR_ARG(conf_str(s->conf, CONF_myorigin)))
	};
	struct store_rcpt *rcpts = ARENA_ARRAY(s->arena, s->n_rcpts, struct store_rcpt);

	for (size_t i = 0; i < s->n_rcpts; i++) {
		rcpts[i].address = str_of(s->rcpts[i]);
		if (!address_check(rcpts[i].address, "recipient", &s->e))
			return false;
	}
	if (m.sender.n > 0 && !address_check(m.sender, "sender", &s->e))
		return false;
	if (!sendmail_spool(s, m.id))
		return false;
	m.rcpts = rcpts;
	m.n_rcpts = s->n_rcpts;
	store_accept(s->client, &m, s->content, STORE_ACCEPT_QUEUED, sendmail_kept, s);
	net_loop_run(s->loop);
	return s->is_kept;
}

static bool sendmail_run(struct sendmail *s)
{
	uint64_t limit = (uint64_t)conf_int(s->conf, CONF_message_size_limit);
	struct store_options o = {
		.directory = arena_str(s->arena, conf_str(s->conf, CONF_hopseal_queue_directory)).p,
		.inline_limit = (size_t)conf_int(s->conf, CONF_hopseal_content_inline_limit),
	};

	if (!cmd_message_read(STDIN_FILENO, limit, &s->message, &s->e))
		return false;
	s->loop = net_loop_new();
	s->store = store_open(&o, &s->e);
	if (s->store)
		s->client = store_client_new(s->store, s->loop, &s->e);
	return s->client && sendmail_queue(s);
}

static void sendmail_close(struct sendmail *s)
{
	store_content_unref(s->content);
	store_client_free(s->client);
	store_close(s->store);
	if (s->loop)
		net_loop_free(s->loop);
	content_free(s->message.content);
	arena_free(s->arena);
	conf_unref(s->conf);
}

static int sendmail_parse(struct sendmail *s, int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:o:f:h", options, NULL)) != -1) {
		if (cmd_is_bad_option(c))
			return cmd_bad_option("sendmail", c, argv);
		if (c == 'h')
			return cmd_print(sendmail_help) ? -1 : EX_IOERR;
		if (c == 'f')
			s->sender = optarg;
		else
			CHECK(cmd_sources_option(&s->sources, c, optarg));
	}
	s->rcpts = argv + optind;
	s->n_rcpts = (size_t)(argc - optind);
	if (s->n_rcpts == 0)
		return cmd_usage("sendmail", "a recipient is missing");
	return 0;
}

int cmd_sendmail(int argc, char **argv)
{
	struct sendmail s = { .arena = arena_new() };
	int status = sendmail_parse(&s, argc, argv);

	if (status == 0)
		s.conf = cmd_configure(&s.sources, CONF_ERROR, &status);
	if (s.conf && !sendmail_run(&s))
		status = cmd_fail(&s.e);
	sendmail_close(&s);
	cmd_sources_fini(&s.sources);
	return status < 0 ? EX_OK : status;
}
