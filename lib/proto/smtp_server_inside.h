/* What the files of the server engine share; nobody else includes this.
 *
 *	smtp_server.c          the door: octets, time, events, answers
 *	smtp_server_command.c  what each command asks, and what its acceptance changes
 *	smtp_server_reply.c    replies out
 *	smtp_server_content.c  the message */

#ifndef HOPSEAL_PROTO_SMTP_SERVER_INSIDE_H
#define HOPSEAL_PROTO_SMTP_SERVER_INSIDE_H

#include "base/buf.h"
#include "proto/content_in.h"
#include "proto/smtp_server.h"

enum server_state {
	SERVER_COMMANDS,
	SERVER_SKIPS,   /* the rest of a line that is too long */
	SERVER_CONTENT, /* between 354 and the end of data */
	SERVER_TLS,     /* the wire belongs to TLS */
	SERVER_OVER,
};

struct smtp_server {
	struct smtp_server_options o;
	struct arena *own;         /* as long as the session */
	struct arena *transaction; /* spans of MAIL and RCPT */
	struct arena *helo;        /* the peer's name */
	struct arena *line;        /* the command that is asked about */

	enum server_state state;
	uint64_t now, deadline;
	struct buf input, output, content;

	struct smtp_server_event question; /* kind NOTHING: none is open */
	bool is_told;                      /* smtp_server_next has given it */
	bool owes_drop, owes_start_tls, owes_closed;
	struct str why_closed;

	bool is_tls, is_refused, is_ended, is_stopping;
	size_t n_errors;
	enum smtp_verb hello; /* UNKNOWN: none yet */
	struct str helo_name;

	bool has_mail;
	struct smtp_command_mail mail;
	size_t n_rcpts;

	struct content_in in;
	uint64_t content_octets;
	bool is_too_big;
};

/* smtp_server_command.c */
/* `line` lies in s->line. */
void smtp_server_take_line(struct smtp_server *s, struct str line);
void smtp_server_answered(struct smtp_server *s, int code);
void smtp_server_forget_transaction(struct smtp_server *s);
unsigned smtp_server_announced(const struct smtp_server *s);
struct smtp_reply smtp_server_usual_reply(struct smtp_server *s);

/* smtp_server_reply.c */
void smtp_server_say(struct smtp_server *s, int code, struct status status, struct str text);
void smtp_server_say_error(struct smtp_server *s, int code, struct status status, struct str text);

/* smtp_server_content.c */
void smtp_server_begin_content(struct smtp_server *s);
/* True: s->content has octets for the application, or a question or reply came of it. */
bool smtp_server_take_content(struct smtp_server *s);

/* smtp_server.c */
void smtp_server_ask(struct smtp_server *s, struct smtp_server_event question);
void smtp_server_close(struct smtp_server *s, struct str why);

#endif
