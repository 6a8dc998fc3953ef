/* What the files of the server engine share; nobody else includes this.
 *
 *	smtp_server.c          the door: octets, time, events, answers
 *	smtp_server_command.c  what each command asks, and what its acceptance changes
 *	smtp_server_auth.c     AUTH and what follows it
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
	SERVER_CHUNK,   /* what BDAT has announced */
	SERVER_AUTH,    /* after 334 */
	SERVER_TLS,     /* the wire belongs to TLS */
	SERVER_OVER,
};

struct smtp_server {
	struct smtp_server_options o;
	/* Each NULL while it is not needed: thousands of sessions are idle at a time. */
	struct arena *transaction; /* spans of MAIL */
	struct arena *line;        /* the command that is asked about */
	char *own;                 /* the texts of `o` */

	enum server_state state;
	uint64_t now, deadline;
	uint64_t ends_at; /* the session */
	bool is_held;     /* replies wait until then */
	uint64_t held_until;
	struct buf input, output, content;

	struct smtp_server_event question; /* kind NOTHING: none is open */
	bool is_told;                      /* smtp_server_next has given it */
	bool owes_drop, owes_auth_drop, owes_start_tls, owes_closed;
	struct str why_closed;

	bool is_tls, is_refused, is_ended, is_stopping, is_authenticated;
	size_t n_errors, n_junk;
	uint64_t refusals[SMTP_REFUSAL_COUNT]; /* our own */
	enum smtp_verb hello;                  /* UNKNOWN: none yet */
	char *helo_mem;
	struct str helo_name;

	bool has_mail;
	struct smtp_command_mail mail;
	size_t n_rcpts;

	struct content_in in;
	uint64_t content_octets;
	bool is_too_big;

	bool is_chunking;       /* a chunk was taken, and not the last */
	bool has_failed_chunks; /* the transaction is gone, but more of its chunks may come */
	bool skips_chunk;       /* it was answered already */
	struct smtp_command_bdat chunk; /* size_octets: what is left of it */
};

/* smtp_server_auth.c */
void smtp_server_take_auth(struct smtp_server *s, struct smtp_command c);
void smtp_server_take_response(struct smtp_server *s, struct str line);
struct str smtp_server_mechanisms(const struct smtp_server *s); /* that are announced now */

/* smtp_server_command.c */
/* `line` lies in s->line. */
void smtp_server_take_line(struct smtp_server *s, struct str line);
void smtp_server_answered(struct smtp_server *s, int code);
void smtp_server_forget_transaction(struct smtp_server *s);
unsigned smtp_server_announced(const struct smtp_server *s);
struct smtp_reply smtp_server_usual_reply(struct smtp_server *s);
void smtp_server_bad_sequence(struct smtp_server *s, struct str what);
void smtp_server_bad_argument(struct smtp_server *s, struct str what);

/* smtp_server_reply.c */
void smtp_server_say(struct smtp_server *s, int code, struct status status, struct str text);
void smtp_server_say_error(struct smtp_server *s, int code, struct status status, struct str text);
void smtp_server_count_error(struct smtp_server *s);

/* smtp_server_content.c */
void smtp_server_begin_content(struct smtp_server *s);
void smtp_server_take_bdat(struct smtp_server *s, struct smtp_command c);
/* The first chunk was accepted, or answered otherwise. */
void smtp_server_begin_chunks(struct smtp_server *s);
void smtp_server_refuse_chunks(struct smtp_server *s);
/* As take_content. */
bool smtp_server_take_chunk(struct smtp_server *s);
/* True: s->content has octets for the application, or a question or reply came of it. */
bool smtp_server_take_content(struct smtp_server *s);

/* smtp_server.c */
void smtp_server_ask(struct smtp_server *s, struct smtp_server_event question);
void smtp_server_close(struct smtp_server *s, struct str why);
void smtp_server_rearm(struct smtp_server *s);
struct arena *smtp_server_line_arena(struct smtp_server *s);

#endif
