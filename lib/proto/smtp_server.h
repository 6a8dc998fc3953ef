/* The server side of SMTP (RFC 5321) and LMTP (RFC 2033) without I/O: octets and time in,
 * octets and events out, pulled and never called back. One session. Times are monotonic ms.
 *
 * Many events are questions: the engine takes no further command until it is answered by
 * smtp_server_accept (the usual positive reply) or smtp_server_answer (any other). An answer
 * may come at once or much later; what the peer sends meanwhile waits in a bounded buffer.
 *
 * The driver's loop: feed at most smtp_server_room octets; pull events until NOTHING and
 * answer the questions; write smtp_server_output; wait for octets or for the deadline. */

#ifndef HOPSEAL_PROTO_SMTP_SERVER_H
#define HOPSEAL_PROTO_SMTP_SERVER_H

#include "base/limits.h"
#include "mail/outcome.h"
#include "proto/smtp_command.h"
#include "proto/smtp_extension.h"

/* What a CR or LF that stands alone means. Whatever is chosen, data ends at CRLF "." CRLF and
 * nowhere else, so that no two servers can disagree about it (SMTP smuggling, CVE-2023-51764). */
enum smtp_bare_newline {
	SMTP_BARE_REFUSE,    /* a message with one gets 550 5.6.0, a command line 521 and the end */
	SMTP_BARE_NORMALISE, /* LF is a line end, CR a blank */
};

/* Why a client did not get what it asked for. */
enum smtp_refusal {
	SMTP_REFUSAL_RELAY,  /* it may not send this */
	SMTP_REFUSAL_LIMIT,  /* too many, too much, too big */
	SMTP_REFUSAL_ROOM,   /* none for mail */
	SMTP_REFUSAL_TLS,    /* STARTTLS comes first */
	SMTP_REFUSAL_SYNTAX, /* and commands out of order, or not known */
	SMTP_REFUSAL_AUTH,   /* it could not authenticate */
	SMTP_REFUSAL_OTHER,
	SMTP_REFUSAL_COUNT
};

struct smtp_server_options {
	enum smtp_dialect dialect;
	struct str hostname; /* in the greeting and the EHLO reply, copied */
	unsigned extensions; /* smtp_extension bits to announce; STARTTLS only before TLS */
	/* announced in the clear all the same, and refused there: to see what clients make of it */
	unsigned out_of_place;
	bool is_tls_already;   /* the session begins inside TLS */
	uint64_t size_limit;   /* octets of a message; 0: none */
	size_t recipients_max; /* of a transaction; 0: SMTP_RECIPIENTS_MAX */
	size_t errors_max;     /* bad commands before 421; 0: 20. A message kept clears the count */
	bool counts_refusals;  /* negative answers count as errors, too */
	size_t errors_soft_max; /* more, and each reply waits for error_delay_ms */
	uint64_t error_delay_ms;
	/* So many NOOP, VRFY, RSET, HELP, EHLO and AUTH are free; 0: any number. More
	 * count as errors. */
	size_t junk_max;
	enum smtp_bare_newline bare_newline;
	bool takes_bare_names; /* paths without a domain */
	bool is_helo_optional; /* MAIL may come first */
	bool needs_tls;        /* before MAIL and AUTH; RFC 3207 section 4 */
	bool forbids_early;    /* octets behind a command that must end its group end the session:
	                          * RFC 2920 section 3.1 */
	/* Words, with blanks between, copied: a command that begins with one ends the session. Its
	 * sender speaks another protocol, and may not know what it carries. */
	struct str forbidden;
	bool forbids_nonletters;        /* the same for one that does not begin with a letter */
	struct str mechanisms;          /* of AUTH, with blanks between, inside TLS; copied */
	struct str mechanisms_in_clear; /* before it; copied. "": no AUTH there */

	/* From the reply to the last octet of the next command, 0: for ever; RFC 5321 section
	 * 4.5.3.2.7. Octets that make no whole line buy no time. */
	uint64_t command_ms;
	/* Between octets of a message, 0: for ever. With data_rate_min, octets a second, a piece
	 * buys only the time that it is worth. */
	uint64_t data_ms, data_rate_min;
	uint64_t session_ms; /* of the whole session, 0: for ever */
};

enum smtp_server_event_kind {
	/* Feed octets or time, or answer the question. */
	SMTP_SERVER_NOTHING,

	/* Questions. */
	SMTP_SERVER_GREET,    /* the session begins */
	SMTP_SERVER_HELO,     /* argument: the name; verb: HELO, EHLO or LHLO */
	SMTP_SERVER_STARTTLS, /* accepting leads to START_TLS */
	SMTP_SERVER_MAIL,     /* mail */
	SMTP_SERVER_RCPT,     /* rcpt, index */
	SMTP_SERVER_DATA,    /* accepting gives 354, then CONTENT. verb: DATA, or BDAT for the first
	                       * chunk, to which accepting says nothing yet */
	SMTP_SERVER_MESSAGE, /* all content was given: 250 means that it is kept. LMTP: asked for
	                       * each accepted recipient, by index. No DROP follows the answer */
	SMTP_SERVER_RSET,
	SMTP_SERVER_NOOP,
	SMTP_SERVER_VRFY, /* argument; the usual reply is 252 */
	SMTP_SERVER_HELP,
	SMTP_SERVER_QUIT,
	/* RFC 4954. Accepting means that the peer is whom it says, a negative answer ends the
	 * exchange, and smtp_server_challenge goes on with it. */
	SMTP_SERVER_AUTH,          /* argument: the mechanism; has_response, response */
	SMTP_SERVER_AUTH_RESPONSE, /* response */

	/* Facts. */
	SMTP_SERVER_CONTENT,   /* content: octets of the message with CRLF line ends, unstuffed */
	SMTP_SERVER_DROP,      /* forget the transaction that MAIL began: RSET, another HELO, a
	                        * message that the engine refused, the end of the session */
	SMTP_SERVER_AUTH_DROP, /* the exchange was given up, by the peer or for a bad line */
	SMTP_SERVER_START_TLS, /* write the output, hand the wire to TLS, then smtp_server_tls_up */
	SMTP_SERVER_CLOSED,    /* write the output and close the wire; argument: why */
};

struct smtp_server_event {
	enum smtp_server_event_kind kind;
	enum smtp_verb verb;
	/* Spans live until the question is answered; content until the next smtp_server_next. */
	struct str argument;
	struct smtp_command_mail mail;
	struct smtp_command_rcpt rcpt;
	size_t index; /* of a recipient, counting accepted ones from 0 */
	struct str content;
	struct str response; /* decoded */
	bool has_response;   /* an initial one, perhaps empty */
};

struct smtp_server;

MUST_USE struct smtp_server *smtp_server_new(const struct smtp_server_options *o, uint64_t now);
void smtp_server_free(struct smtp_server *s);

/* How many octets smtp_server_read takes now. 0: the peer is to be slowed down until there are
 * events, or TLS has the wire, or the session is over. */
size_t smtp_server_room(const struct smtp_server *s);
void smtp_server_read(struct smtp_server *s, struct str in, uint64_t now); /* in.n <= room */
/* The peer closed, or the wire broke. What came before is still worked off. */
void smtp_server_read_end(struct smtp_server *s, uint64_t now);
void smtp_server_tick(struct smtp_server *s, uint64_t now);
/* Negative replies that nobody was asked about, so far; 421, which ends the session, apart. */
uint64_t smtp_server_refusals(const struct smtp_server *s, enum smtp_refusal why);
uint64_t smtp_server_deadline(const struct smtp_server *s); /* UINT64_MAX: none */

struct str smtp_server_output(const struct smtp_server *s); /* borrowed until the next call */
void smtp_server_wrote(struct smtp_server *s, size_t n);

/* While a reply is held back (errors_soft_max) there is no output, and no event but facts; the
 * deadline says until when. With much output waiting this is NOTHING until some was written: pull
 * again then. */
struct smtp_server_event smtp_server_next(struct smtp_server *s);

/* Answers the question that smtp_server_next gave last. */
void smtp_server_accept(struct smtp_server *s, uint64_t now);
/* The reply's text may have several lines, joined by LF; a status of class 0 is left out. A code
 * of 421 or 521 ends the session. A 2xx (DATA: 3xx) counts as accepting. */
void smtp_server_answer(struct smtp_server *s, struct smtp_reply r, uint64_t now);
/* Answers AUTH and AUTH_RESPONSE by 334; octets as they are. */
void smtp_server_challenge(struct smtp_server *s, struct str octets, uint64_t now);
/* For receivers that try clients out: these octets instead of a reply, however wrong. `code`
 * says what the engine shall believe that it answered. */
void smtp_server_answer_raw(struct smtp_server *s, int code, struct str octets, uint64_t now);

/* After START_TLS: the handshake is complete. All that was learnt before is forgotten
 * (RFC 3207 section 4.2) and the peer begins with EHLO again. */
void smtp_server_tls_up(struct smtp_server *s, uint64_t now);

/* Other mechanisms than the options say: which ones there are can depend on the handshake. Before
 * EHLO; `mechanisms` must live as long as the session. */
void smtp_server_set_mechanisms(struct smtp_server *s, struct str mechanisms);

/* This peer's line ends are made whole, whatever the options say. */
void smtp_server_normalise(struct smtp_server *s);

/* The session ends with 421 as soon as no question is open: for a shutdown. */
void smtp_server_stop(struct smtp_server *s, uint64_t now);

bool smtp_server_is_tls(const struct smtp_server *s);
struct str smtp_server_helo_name(const struct smtp_server *s); /* "" before HELO */
bool smtp_server_is_esmtp(const struct smtp_server *s);        /* EHLO or LHLO */
bool smtp_server_is_authenticated(const struct smtp_server *s);

#endif
