/* One session of `hopseal sink`: a stream, perhaps TLS, our server engine and the script. */

#ifndef HOPSEAL_CMD_SINK_SESSION_H
#define HOPSEAL_CMD_SINK_SESSION_H

#include "cmd/maildir.h"
#include "cmd/sink_script.h"
#include "net/net.h"
#include "proto/smtp_server.h"
#include "tls/tls.h"

struct cmd_sink_session;

/* What all sessions share. */
struct cmd_sink {
	struct net_loop *loop;
	struct cmd_sink_script *script;
	struct tls_server *tls;      /* NULL: no certificate, no TLS */
	struct cmd_maildir *maildir; /* NULL: messages are counted and thrown away */
	struct smtp_server_options engine;
	bool is_wrapper; /* TLS from the first octet */
	bool is_quiet, is_logging;

	struct cmd_sink_session *sessions; /* those that are open */
	uint64_t n_sessions, n_messages;   /* so far */
	uint64_t n_octets;                 /* of the messages, with CRLF */

	/* A message was accepted, or a session is gone. It must leave the sessions alone. */
	void (*changed)(void *arg);
	void *arg;
};

/* Takes the stream. */
void cmd_sink_session_begin(struct cmd_sink *sink, struct net_stream *stream);
/* 421 for all that are open, as soon as they can take it. */
void cmd_sink_sessions_stop(struct cmd_sink *sink);
void cmd_sink_sessions_kill(struct cmd_sink *sink);

#endif
