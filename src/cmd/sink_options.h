/* The options of `hopseal sink`. Texts are argv's. */

#ifndef HOPSEAL_CMD_SINK_OPTIONS_H
#define HOPSEAL_CMD_SINK_OPTIONS_H

#include "cmd/sink_script.h"
#include "net/net.h"
#include "proto/smtp_server.h"
#include "tls/tls.h"

#define CMD_SINK_LISTENERS_MAX 32

struct cmd_sink_options {
	struct cmd_sink_place {
		struct str path; /* of a UNIX-domain socket; "": none, then `at` */
		struct net_endpoint at;
	} places[CMD_SINK_LISTENERS_MAX];
	size_t n;
	struct smtp_server_options engine;
	struct tls_server_options tls;
	struct cmd_sink_script *script;
	bool has_no_starttls, is_wrapper;
	bool counts, is_quiet, is_logging;
	bool wants_help;
	const char *maildir;   /* NULL: none */
	uint64_t max_messages; /* 0: any number */
};

extern const char cmd_sink_help[];

void cmd_sink_options_init(struct cmd_sink_options *o);
void cmd_sink_options_fini(struct cmd_sink_options *o);
MUST_USE bool
cmd_sink_options_take(struct cmd_sink_options *o, int argc, char **argv, struct error *e);

#endif
