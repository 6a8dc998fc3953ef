/* The client side of SMTP (RFC 5321) and LMTP (RFC 2033) without I/O: octets and time in,
 * octets and events out, pulled and never called back. One session, any number of
 * transactions. Times are monotonic ms. */

#ifndef HOPSEAL_PROTO_SMTP_CLIENT_H
#define HOPSEAL_PROTO_SMTP_CLIENT_H

#include "base/arena.h"
#include "base/limits.h"
#include "mail/outcome.h"
#include "proto/smtp_extension.h"

enum smtp_starttls {
	SMTP_STARTTLS_NEVER,      /* not even asked for (level none, or TLS is up already) */
	SMTP_STARTTLS_IF_OFFERED, /* whether that is enough is judged at READY, not here */
};

/* Deadlines, each for one wait. Parameter names: smtp_helo_timeout and so on. */
struct smtp_client_timeouts {
	uint64_t greeting_ms, helo_ms, starttls_ms, mail_ms, rcpt_ms;
	uint64_t data_init_ms, data_xfer_ms, data_done_ms, rset_ms, quit_ms;
};

struct smtp_client_options {
	enum smtp_dialect dialect;
	struct str helo_name; /* smtp_helo_name, copied */
	enum smtp_starttls starttls;
	bool is_tls_already;        /* smtp_tls_wrappermode: the session begins inside TLS */
	bool helo_only;             /* smtp_never_send_ehlo */
	bool ehlo_only_if_esmtp;    /* not smtp_always_send_ehlo: the greeting must say ESMTP */
	bool greeting_5xx_defers;   /* smtp_skip_5xx_greeting */
	bool quits_without_waiting; /* smtp_skip_quit_response */
	unsigned discarded;         /* smtp_discard_ehlo_keywords, as smtp_extension bits */
	size_t line_length_limit;   /* smtp_line_length_limit; 0: none */
	bool no_downgrade;          /* disable_mime_output_conversion */
	unsigned data_rate_min; /* octets a second of content that the peer must take, all in all
	                             * (smtp_min_data_rate, with smtp_per_request_deadline); 0: any
	                             * progress counts */
	struct smtp_client_timeouts timeouts;
};

/* A transaction. All spans must live until SMTP_CLIENT_DONE or a failure. */
struct smtp_rcpt {
	struct str address; /* without angle brackets */
	struct str notify;  /* DSN NOTIFY= value, "" for none (RFC 3461 section 4.1) */
	struct str orcpt;   /* ORCPT= value in xtext, "" for none */
};

struct smtp_mail {
	struct str sender;     /* "" is the null reverse-path */
	uint64_t size_octets;  /* of the content, for SIZE=; 0: unknown */
	bool is_8bit;          /* the content has octets above 127 */
	bool has_8bit_header;  /* its header section has: without 8BITMIME that is refused early */
	bool is_smtputf8;      /* an address or the header section needs SMTPUTF8 (RFC 6531) */
	bool is_requiretls;    /* MAIL gets REQUIRETLS (RFC 8689); only inside TLS where offered */
	bool has_dummy_auth;   /* MAIL gets AUTH=<> (RFC 4954 section 5), where AUTH is offered */
	struct str ret, envid; /* DSN RET= and ENVID=, "" for none */
	const struct smtp_rcpt *rcpts;
	size_t n_rcpts;
};

enum smtp_client_event_kind {
	/* Feed octets or time. */
	SMTP_CLIENT_NOTHING,
	/* The 220 is taken and nothing is left in the buffer: hand the wire to TLS, then call
	 * smtp_client_tls_up; the engine writes nothing until then. */
	SMTP_CLIENT_START_TLS,
	/* The session is set up: judge TLS, then _auth, _mail or _quit. Extensions: of the last
	 * EHLO. */
	SMTP_CLIENT_READY,
	/* 334 came: `octets` are the server's challenge. _auth_response or _auth_cancel. */
	SMTP_CLIENT_CHALLENGE,
	/* AUTH is over: `outcome` is delivered when the server took it, else it says why not. The
	 * session can be used as after READY. */
	SMTP_CLIENT_AUTH,
	/* Wants octets of the message: smtp_client_content, then _content_end. */
	SMTP_CLIENT_CONTENT,
	/* The final outcome of recipient `index`; exactly one for each recipient. */
	SMTP_CLIENT_RCPT,
	/* The transaction is over, the session usable for another _mail (or _quit). */
	SMTP_CLIENT_DONE,
	/* The session is over before QUIT; `outcome` says why. Recipients without an outcome so
	 * far have got their RCPT events before this one. What smtp_client_output still has may
	 * be written, if that can be done at once; then close the wire. */
	SMTP_CLIENT_FAILED,
	/* QUIT is done: close the wire. */
	SMTP_CLIENT_CLOSED,
};

/* Who or what an outcome comes from; the reason reads on from the words given here. */
enum smtp_client_cause {
	SMTP_CAUSE_REPLY,     /* "host H said: " + "550 5.1.1 no (in reply to RCPT TO)" */
	SMTP_CAUSE_TIMEOUT,   /* "conversation with H " + "timed out while sending RCPT TO" */
	SMTP_CAUSE_LOST,      /* "conversation with H " + "was lost while sending RCPT TO" */
	SMTP_CAUSE_PROTOCOL,  /* "host H " + "broke the protocol: a reply line of ..." */
	SMTP_CAUSE_INJECTION, /* "host H " + "sent octets between ..." */
	SMTP_CAUSE_LOCAL, /* ours: the message does not fit the server; the reason stands alone */
};

struct smtp_client_event {
	enum smtp_client_event_kind kind;
	size_t index;           /* RCPT */
	struct outcome outcome; /* AUTH, RCPT, FAILED; spans live until octets are taken again */
	struct str octets;      /* CHALLENGE; as long */
	enum smtp_client_cause cause;
	/* FAILED and RCPT: a deferral that another MX host may do better. Postfix goes on to the
	 * next host after every 4xx, to RCPT too, after a time-out and a lost connection. */
	bool may_try_next_host;
	bool is_fate_unknown; /* RCPT: the final dot was sent and no reply came (at-least-once) */
};

struct smtp_client;

MUST_USE struct smtp_client *smtp_client_new(const struct smtp_client_options *o, uint64_t now);
void smtp_client_free(struct smtp_client *c);

struct str smtp_client_output(const struct smtp_client *c); /* borrowed until the next call */
void smtp_client_wrote(struct smtp_client *c, size_t n, uint64_t now);
void smtp_client_read(struct smtp_client *c, struct str in, uint64_t now);  /* takes all of `in` */
void smtp_client_read_end(struct smtp_client *c, uint64_t now);             /* the peer closed */
void smtp_client_lost(struct smtp_client *c, struct str why, uint64_t now); /* the wire broke */
void smtp_client_tick(struct smtp_client *c, uint64_t now);

/* UINT64_MAX: none. RFC 5321 section 4.5.3.2. */
uint64_t smtp_client_deadline(const struct smtp_client *c);

/* After START_TLS: the handshake is complete. Everything learnt before is forgotten and
 * EHLO is sent anew (RFC 3207 section 4.2). */
void smtp_client_tls_up(struct smtp_client *c, uint64_t now);

/* READY or DONE was said, and the peer has said nothing since. */
bool smtp_client_is_idle(const struct smtp_client *c);
/* The session ended before MAIL of this transaction had its reply, so that nothing was said of it:
 * a session that was kept for further mail may have been given up by its peer meanwhile. */
bool smtp_client_is_stale(const struct smtp_client *c);
/* The transcript begins anew: a kept session has a new user. */
void smtp_client_forget(struct smtp_client *c);

/* ---- AUTH: RFC 4954 ----
 *
 * Once in a session, after READY. What it means is the caller's business, who runs the mechanism:
 * base 64, the length of lines and the number of rounds are seen to here. No octet of it is in the
 * transcript, and a reply that repeats one of ours, or a part of it, is not quoted. */

/* The mechanisms of the last EHLO, between blanks; "" when AUTH is not offered. */
struct str smtp_client_mechanisms(const struct smtp_client *c);
/* `initial`: STR_NONE when the server is to speak first. It goes along with the command if that has
 * room for it, and behind an empty challenge if not. */
void smtp_client_auth(struct smtp_client *c, struct str mechanism, struct str initial,
		      uint64_t now);
/* After CHALLENGE. */
void smtp_client_auth_response(struct smtp_client *c, struct str octets, uint64_t now);
void smtp_client_auth_cancel(struct smtp_client *c, struct str why, uint64_t now);
/* By which the server took us; "" when it did not. */
struct str smtp_client_auth_mechanism(const struct smtp_client *c);

/* Allowed after READY, AUTH or DONE. */
void smtp_client_mail(struct smtp_client *c, const struct smtp_mail *m, uint64_t now);
/* Also in the place of smtp_client_tls_up, when the handshake showed what is not acceptable. */
void smtp_client_quit(struct smtp_client *c, uint64_t now);

/* Octets of the message with LF or CRLF line ends, in any split; takes all of `in` (bounded
 * by the caller: 64 KiB pieces). CRLF, dot-stuffing, line length and, where the peer lacks
 * 8BITMIME, the conversion to 7 bit happen here. Call only after CONTENT and while
 * smtp_client_wants_content. */
void smtp_client_content(struct smtp_client *c, struct str in, uint64_t now);
void smtp_client_content_end(struct smtp_client *c, uint64_t now);
/* The message cannot be read on: the session ends, the recipients are deferred with 4.3.0. */
void smtp_client_content_failed(struct smtp_client *c, struct str why, uint64_t now);
/* False: not asked for, or enough output is waiting. */
bool smtp_client_wants_content(const struct smtp_client *c);

struct smtp_client_event smtp_client_next(struct smtp_client *c);

/* What the peer said, for records. */
struct str smtp_client_greeting(const struct smtp_client *c); /* text of the 220 */
/* The name that the reply to EHLO or HELO begins with: ours, when mail loops back. */
struct str smtp_client_hello_name(const struct smtp_client *c);
unsigned smtp_client_extensions(const struct smtp_client *c); /* smtp_extension bits */

/* By the EHLO before TLS. */
bool smtp_client_was_starttls_offered(const struct smtp_client *c);

/* Code 0: STARTTLS was not asked for. */
struct smtp_reply smtp_client_starttls_reply(const struct smtp_client *c);

/* The session so far: "C: EHLO ..." and "S: 250 ..." lines in order, content left out, cut
 * to a limit. */
struct str smtp_client_transcript(const struct smtp_client *c);

#endif
