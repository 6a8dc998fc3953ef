/* What the files of the client engine share; nobody else includes this,
 * but the test that looks at their memory.
 *
 *	smtp_client.c          the door: octets, time, events
 *	smtp_client_session.c  greeting, EHLO, STARTTLS, QUIT, and the end of a session
 *	smtp_client_auth.c     AUTH
 *	smtp_client_mail.c     a transaction
 *	smtp_client_refuse.c   what need not be sent to be known to fail
 *	smtp_client_verdict.c  outcomes with their reasons, and the queue of events
 *	smtp_client_wire.c     command lines, the transcript
 */

#ifndef HOPSEAL_PROTO_SMTP_CLIENT_INSIDE_H
#define HOPSEAL_PROTO_SMTP_CLIENT_INSIDE_H

#include "proto/content_out.h"
#include "proto/mime_downgrade.h"
#include "proto/smtp_client.h"
#include "proto/smtp_reply.h"

/* In the order of a session, and of the commands of a transaction. */
enum stage {
	STAGE_GREETING,
	STAGE_EHLO, /* LHLO too */
	STAGE_HELO,
	STAGE_STARTTLS,
	STAGE_TLS,  /* the wire belongs to TLS */
	STAGE_AUTH, /* AUTH was sent, or a response of it */
	STAGE_IDLE, /* READY, AUTH or DONE was said */
	STAGE_RSET,
	STAGE_MAIL,
	STAGE_RCPT,
	STAGE_DATA,
	STAGE_CONTENT,
	STAGE_DOT,
	STAGE_QUIT,
	STAGE_OVER,
};

/* An outcome before it is known whose it is. */
struct verdict {
	struct outcome outcome;
	enum smtp_client_cause cause;
	bool may_try_next_host, is_fate_unknown;
};

/* What is known of a recipient, as bits. */
enum rcpt_state {
	RCPT_SENT = 1 << 0,
	RCPT_ACCEPTED = 1 << 1,
	RCPT_SETTLED = 1 << 2, /* its event is on the way */
};

struct event_node {
	struct event_node *next;
	enum smtp_client_event_kind kind;
	bool is_rest; /* RCPT: for every recipient from `index` on that has no outcome yet */
	size_t index;
	struct str octets; /* CHALLENGE */
	struct verdict verdict;
};

/* AUTH under way. Texts in base 64, as on the wire, in the session's arena. */
struct auth_exchange {
	struct str mechanism;
	struct str waiting; /* the initial response, too long to go with the command; STR_NONE */
	struct str sent[SMTP_AUTH_ROUNDS_MAX + 1]; /* not to be seen anywhere */
	size_t n_sent;
	unsigned n_rounds;
	bool is_asked;         /* CHALLENGE was said */
	struct str cancelled;  /* why; STR_NONE: it was not */
	bool is_authenticated; /* the server took it */
};

/* A place in the row of commands of a transaction. */
struct place {
	enum stage stage;
	size_t rcpt; /* STAGE_RCPT and, in LMTP, STAGE_DOT */
};

struct transaction {
	struct smtp_mail mail;
	unsigned char *rcpts; /* rcpt_state bits of each */
	size_t n_accepted;
	struct place send, await; /* the next command, the next reply; equal: none is under way */
	size_t ahead_octets;      /* sent since none was under way */
	bool is_refused;          /* every recipient has an outcome or will get one without DATA */
	bool is_void; /* a lone dot ends a DATA that nobody wanted; RFC 2920 section 3.1 */
	bool has_content_end;
	bool is_heard; /* MAIL has its reply */
};

struct smtp_client {
	struct smtp_client_options o;
	struct arena *own;    /* as long as the session */
	struct arena *events; /* spans of events; reset when octets come and none is waiting */
	struct event_node *first, **last;

	enum stage stage; /* in a transaction: of the reply that is awaited */
	uint64_t deadline;
	uint64_t content_since, content_written; /* of the present message */
	struct smtp_reply_reader reader;
	struct buf output, transcript, converted;
	struct buf mechanisms; /* of the last EHLO, between blanks */
	bool is_transcript_full;

	bool is_tls, was_starttls_offered, needs_rset;
	unsigned extensions;
	uint64_t size_limit;
	struct str greeting, hello_name;
	struct smtp_reply starttls_reply;

	struct auth_exchange auth;

	struct verdict end; /* STAGE_OVER by failure: why */

	struct transaction t;
	struct content_out content;
	struct mime_downgrade *downgrade; /* NULL: the message goes as it is */
};

/* smtp_client_session.c */
void smtp_session_reply(struct smtp_client *c, struct smtp_reply r, uint64_t now);
void smtp_session_hello(struct smtp_client *c, uint64_t now);
/* Settles the open recipients, tells FAILED, ends the session. */
void smtp_session_fail(struct smtp_client *c, struct verdict v);
void smtp_session_close(struct smtp_client *c);
enum stage smtp_session_awaits(const struct smtp_client *c); /* what a reply now would answer */
void smtp_session_wait(struct smtp_client *c, enum stage stage, uint64_t now);
struct str smtp_session_stage_name(enum stage s, enum smtp_dialect d);

/* smtp_client_auth.c */
void smtp_auth_reply(struct smtp_client *c, struct smtp_reply r, uint64_t now);
/* The text of a reply, or other words for one that repeats what we said in AUTH. */
struct str smtp_auth_discreet(const struct smtp_client *c, struct str text);

/* smtp_client_mail.c */
bool smtp_transaction_is_open(const struct smtp_client *c);
/* The message is out to its last octet, and may have been taken. */
bool smtp_transaction_is_sent(const struct smtp_client *c);
/* The session is over already: every recipient gets its end. */
void smtp_transaction_stillborn(struct smtp_client *c, const struct smtp_mail *m);
void smtp_transaction_begin(struct smtp_client *c, const struct smtp_mail *m, uint64_t now);
void smtp_transaction_reply(struct smtp_client *c, struct smtp_reply r, uint64_t now);
/* 421 came: what it means for the recipients that are still open. */
struct verdict smtp_transaction_bye(struct smtp_client *c, struct verdict v);
void smtp_transaction_settle_rest(struct smtp_client *c, struct verdict v);
void smtp_transaction_content(struct smtp_client *c, struct str in, uint64_t now);
void smtp_transaction_content_end(struct smtp_client *c, uint64_t now);

/* smtp_client_refuse.c */
/* True: every recipient of the transaction has its outcome, without a command. */
bool smtp_transaction_refuse(struct smtp_client *c);
bool smtp_transaction_must_downgrade(const struct smtp_client *c);

/* smtp_client_verdict.c */
struct verdict smtp_verdict_reply(struct smtp_client *c, struct smtp_reply r);
struct verdict smtp_verdict_soften(struct verdict v); /* a bounce becomes a deferral */
struct verdict smtp_verdict_timeout(struct smtp_client *c);
struct verdict smtp_verdict_lost(struct smtp_client *c, struct str why);
struct verdict smtp_verdict_protocol(struct smtp_client *c, struct str what);
struct verdict smtp_verdict_out_of_step(struct smtp_client *c); /* octets while none were due */
struct verdict smtp_verdict_injection(struct smtp_client *c);
struct verdict smtp_verdict_local(struct status s, struct str reason);
struct verdict smtp_verdict_inconvertible(struct smtp_client *c, enum mime_downgrade_fault f);
struct verdict smtp_verdict_unreadable(struct smtp_client *c, struct str why);
void smtp_event_add(struct smtp_client *c, struct event_node n);
struct smtp_client_event smtp_event_take(struct smtp_client *c);
void smtp_event_forget(struct smtp_client *c); /* those that wait */

/* smtp_client_wire.c */
/* Whether it can stand between "<" and ">", or behind "=", and nowhere else: no text that came in
 * with a message may become a parameter or a command. */
bool smtp_wire_is_path(struct str address);
bool smtp_wire_is_value(struct str s);
void smtp_wire_command(struct smtp_client *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* `shown` is what the transcript has of it. */
void smtp_wire_secret(struct smtp_client *c, struct str line, struct str shown);
void smtp_wire_note_reply(struct smtp_client *c, int code, struct str text);
void smtp_wire_note(struct smtp_client *c, struct str mark, struct str what);

#endif
