/* What the files of this room share. Nobody else includes it.
 *
 *	setup.c     hopseal_listeners and the parameters behind it
 *	networks.c  mynetworks and lists like it
 *	match.c     whether a client is in one
 *	sockets.c   what is bound
 *	clients.c   what each client does, over all workers
 *	listen.c    a worker: its listeners and sessions
 *	session.c   octets: stream, TLS, engine, and times
 *	arrive.c    who a client is, and whether it is welcome
 *	command.c   what the engine asks
 *	gate.c      who may send what
 *	message.c   from DATA to 250
 *	auth.c      AUTH */

#ifndef HOPSEAL_LISTEN_ROOM_H
#define HOPSEAL_LISTEN_ROOM_H

#include "base/buf.h"
#include "base/list.h"
#include "conf/restrictions.h"
#include "listen/listen.h"
#include "mail/message_head.h"
#include "proto/smtp_server.h"
#include "sasl/sasl.h"
#include "tls/tls.h"

/* ---- networks.c ---- */

enum listen_pattern_kind {
	LISTEN_PATTERN_NETWORK,
	LISTEN_PATTERN_NAME,
	LISTEN_PATTERN_TABLE,
	LISTEN_PATTERN_FILE, /* a list in a file of its own, not read yet */
};

struct listen_pattern {
	enum listen_pattern_kind kind;
	bool is_negated;
	struct address address; /* NETWORK */
	unsigned prefix;
	struct str text; /* the others: name, table or path */
};

struct listen_networks {
	struct listen_pattern *v;
	size_t n;
	bool has_parents; /* a name stands for its subdomains, too */
};

enum listen_matched {
	LISTEN_NO,
	LISTEN_YES,
	LISTEN_FAILED, /* a lookup did */
	LISTEN_OPEN,   /* not known yet */
};

/* `name` is the parameter's, for *e. */
MUST_USE bool listen_networks_parse(struct arena *a, struct str name, struct str text,
				    struct listen_networks *out, struct error *e);
/* The default by mynetworks_style, of these networks of ours. */
MUST_USE bool listen_networks_default(struct arena *a, struct str style,
				      const struct net_network *own, size_t n,
				      struct listen_networks *out);
/* The same list with its files read: now. */
MUST_USE bool listen_networks_read(struct arena *a, struct str name,
				   const struct listen_networks *in, struct listen_networks *out,
				   struct error *e);
bool listen_networks_have(const struct listen_networks *n, enum listen_pattern_kind kind);
bool listen_pattern_has(const struct listen_pattern *p, const struct address *client);
/* By the address alone. OPEN: a name or a table has a say. */
enum listen_matched
listen_networks_match(const struct listen_networks *n, const struct address *client);
/* The first `prefix` bits, the others zero. */
struct address listen_networks_mask(struct address a, unsigned prefix);

/* ---- match.c ---- */

/* Filled by the caller up to `done`; all of it must live until it is done or dropped. */
struct listen_match {
	const struct listen_networks *networks; /* files read */
	struct tables *tables;
	struct arena *arena;
	const struct address *address;
	struct str name;       /* folded; "": it has none that is sure */
	bool is_name_in_doubt; /* its lookup failed */
	uint64_t now;
	void (*done)(void *arg, enum listen_matched is);
	void *arg;

	/* private */
	size_t at;
	struct str key;
	enum { LISTEN_KEY_NAME, LISTEN_KEY_PARENT, LISTEN_KEY_ADDRESS } key_kind;
	bool is_in_doubt;
	struct table_query query;
	struct table_lookup *lookup;
};

/* OPEN: `done` is called later, never from inside this call. */
MUST_USE enum listen_matched listen_match_begin(struct listen_match *m);
void listen_match_drop(struct listen_match *m);

/* ---- setup.c ---- */

/* The lists of restrictions, in the order in which they are applied. */
enum { LISTEN_RULES = 5 };
struct listen_rules {
	enum conf_restriction *v;
	size_t n;
};

enum listen_tls { LISTEN_TLS_NONE, LISTEN_TLS_MAY, LISTEN_TLS_ENCRYPT };

enum listen_rate {
	LISTEN_RATE_CONNECTIONS,
	LISTEN_RATE_MESSAGES,
	LISTEN_RATE_RECIPIENTS,
	LISTEN_RATE_TLS,
	LISTEN_RATE_AUTH,
	LISTEN_RATES
};

/* One entry of hopseal_listeners. Texts live in the setup's arena and its `conf`. */
struct listen_setting {
	struct str text;
	struct str path;           /* UNIX-domain socket; "": TCP */
	struct net_endpoint at[2]; /* two for "*" */
	size_t n_at;
	struct conf *conf; /* with the entry's own settings */

	struct smtp_server_options engine;
	struct smtp_server_options stressed; /* the same with $stress, when it is crowded */
	struct str banner, product;
	enum listen_tls tls;
	bool is_wrapper;
	struct tls_server_options tls_options;
	bool tells_tls, tells_user; /* in Received: */

	bool has_auth;
	struct str mechanisms, mechanisms_bound; /* inside TLS; with channel binding */
	struct str passwords;                    /* hopseal_sasl_password_maps */

	struct listen_networks mynetworks, exceptions, excluded, own;
	bool has_peer_names;
	uint64_t peer_name_ms;
	struct listen_rules rules[LISTEN_RULES];
	struct str logins; /* smtpd_sender_login_maps, "" where nothing asks for it */
	struct str recipient_delimiter;
	bool adds_always, adds_for_own, adds_for_mynetworks;
	bool completes_names, has_vrfy;
	struct str origin;
	struct str dropped_fields;
	unsigned hopcount_limit;

	size_t connections_max;          /* of one client; 0: any */
	uint64_t rate_max[LISTEN_RATES]; /* 0: any */
	uint64_t rate_unit_ms, handshake_ms, handshake_stressed_ms;
	unsigned prefix[2]; /* by address_family */
};

struct listen_setup {
	unsigned refs;
	struct arena *arena;
	struct conf *conf;
	size_t connections_max; /* of all clients */
	struct listen_setting *v;
	size_t n;
	bool is_read; /* no list of clients names a file any more */
};

/* ---- sockets.c ---- */

struct listen_sockets {
	struct socket *v;
	size_t n;
};

struct socket {
	size_t setting;   /* index */
	struct str where; /* owned: "127.0.0.1:25", "unix:/path" */
	int fd;
};

/* ---- clients.c ---- */

/* False: there are too many already, and it was not counted. */
MUST_USE bool listen_clients_enter(struct listen_clients *c, size_t max);
void listen_clients_leave(struct listen_clients *c);
/* Nine tenths of them are there. */
bool listen_clients_are_crowded(struct listen_clients *c, size_t max);
/* One connection more or less of this client; how many it has now. */
size_t listen_clients_connect(struct listen_clients *c, const struct address *key, uint64_t now);
void listen_clients_disconnect(struct listen_clients *c, const struct address *key, uint64_t now);
/* One event more in this time unit; how many there were. */
uint64_t listen_clients_count(struct listen_clients *c, const struct address *key,
			      enum listen_rate rate, uint64_t unit_ms, uint64_t now);

/* ---- listen.c ---- */

/* How much too many clients there are. */
enum listen_crowd { LISTEN_CROWD_HURRIED, LISTEN_CROWD_AWAY, LISTEN_CROWD_WAITING, LISTEN_CROWDS };

/* A listener of a worker. */
struct listen_port {
	struct listen *listen;
	const struct listen_setting *setting;
	struct net_listener *listeners[2];
	struct tls_server *tls; /* NULL: none */
	struct table_set *passwords, *logins;
	size_t n_sessions, n_tls;
};

struct listen {
	struct net_loop *loop;
	struct listen_setup *setup;
	struct listen_clients *clients;
	const struct listen_calls *calls;
	void *arg;
	int64_t (*utc_ms)(void);
	char *origin;
	struct listen_port *ports;
	struct sasl *sasl; /* made when it is needed */
	struct arena *arena;
	struct tables *tables; /* that stand in lists of clients */
	struct list sessions;
	size_t n_sessions;
	bool is_stopping;
	uint64_t turned_at; /* UINT64_MAX: never, here and below */
	uint64_t complained_at[LISTEN_CROWDS];
	unsigned n_turned;  /* away, in the second since turned_at */
	struct buf scratch; /* of one call */
};

/* ---- session.c ---- */

enum listen_command {
	COMMAND_EHLO,
	COMMAND_STARTTLS,
	COMMAND_AUTH,
	COMMAND_MAIL,
	COMMAND_RCPT,
	COMMAND_DATA,
	COMMAND_BDAT,
	COMMAND_RSET,
	COMMAND_NOOP,
	COMMAND_VRFY,
	COMMAND_HELP,
	COMMAND_QUIT,
	COMMAND_CONNECT, /* none yet */
	COMMANDS
};

/* From MAIL to the last answer. */
struct listen_transaction {
	struct arena *arena;
	struct smtp_command_mail mail;
	struct listen_rcpt *rcpts;
	size_t n_rcpts, size_rcpts;
	struct listen_spool spool;
	bool has_spool, has_begun;
	enum listen_matched in_mynetworks;
	bool has_verdict;
	struct smtp_reply verdict; /* of the gate; code 0: go on */
	struct smtp_reply refusal; /* code 0: none so far */
	bool is_kept;
	struct message_head_options head_options;
	struct message_head head;
	struct message_scan scan;
};

struct listen_session {
	struct list link;
	struct listen_port *port;
	struct net_stream *stream;
	struct net_timer *timer;
	struct smtp_server *engine;
	struct tls_session *tls;
	struct buf in; /* in the clear, not taken by the engine yet */

	bool is_tls_up, has_ended, is_end_told, wants_tls, is_closing, is_over, is_pumping;
	uint64_t refusals[SMTP_REFUSAL_COUNT]; /* of the engine's, those that were told */
	bool is_stressed;                      /* it came when there were nearly too many */
	bool is_counted;                       /* has_address, and no exception */
	bool has_address;
	bool is_known;    /* and welcome */
	bool is_given_up; /* it took too long to find out more */
	bool owes_greeting, is_name_in_doubt;
	char *peer_name; /* NULL: unknown */
	uint64_t known_by;
	struct listen_match match;
	struct arena *match_arena;
	struct listen_gate *gate; /* asked */
	uint64_t gives_up_at;     /* handshake, or output that nobody takes; UINT64_MAX: never */
	struct address address, key;
	enum listen_command last;
	uint16_t n_commands[COMMANDS];

	struct listen_transaction *mail; /* NULL: none */
	struct listen_request *request;  /* that is out */
	struct listen_auth *auth;        /* under way */
	char *user, *method;             /* authenticated */
};

enum listen_request_kind { LISTEN_REQUEST_NAME, LISTEN_REQUEST_RCPT, LISTEN_REQUEST_MESSAGE };

struct listen_request {
	struct listen_session *session; /* NULL: gone */
	enum listen_request_kind kind;
	struct smtp_command_rcpt rcpt; /* lives as long as the engine's question */
	struct str address;            /* completed; in the transaction's arena */
};

/* `client`: NULL over a UNIX-domain socket. */
void listen_session_begin(struct listen_port *p, struct net_stream *stream,
			  const struct address *client, bool is_stressed);
void listen_session_stop(struct listen_session *s);
void listen_session_free(struct listen_session *s);
/* After an answer that came from outside: goes on. */
void listen_session_turn(struct listen_session *s);
uint64_t listen_session_now(const struct listen_session *s);
/* "client.example[192.0.2.1]", "unknown[192.0.2.1]" */
#define LISTEN_NAME_MAX (DOMAIN_NAME_MAX + 80)
struct str listen_session_name(const struct listen_session *s, char out[LISTEN_NAME_MAX]);
/* Everything about the client; texts live in `a` and the session. */
struct listen_client listen_session_client(const struct listen_session *s, struct arena *a);
#define LISTEN_FAREWELL_MS 10000 /* for the last output to be taken */
/* Fills all but `done` and `arg`. */
void listen_session_match(const struct listen_session *s, struct listen_match *m,
			  const struct listen_networks *n, struct arena *a);
/* The client is not served: nothing more may be done with the session in this turn. */
void listen_session_turn_away(struct listen_session *s);
void listen_session_log_lost(struct listen_session *s, struct str why);
void listen_session_log_client(struct listen_session *s, enum log_event_id id);
void listen_session_log(struct listen_session *s, enum log_event_id id,
			const struct log_value *values, size_t n);

/* ---- arrive.c ---- */

void listen_arrive_begin(struct listen_session *s);
/* It has taken too long: goes on without what is not known. */
void listen_arrive_give_up(struct listen_session *s);
void listen_arrive_name(struct listen_session *s, struct str name, bool is_in_doubt);
void listen_arrive_drop(struct listen_session *s);

/* ---- gate.c ---- */

/* The question RCPT: ends in listen_session_judged, inside the call or later. */
void listen_gate_ask(struct listen_session *s, const struct smtp_server_event *e);
void listen_gate_drop(struct listen_session *s);

/* ---- command.c ---- */

void listen_session_greet(struct listen_session *s);
void listen_session_judged(struct listen_session *s, const struct smtp_server_event *e,
			   struct smtp_reply verdict);

/* False when there was no event. */
bool listen_session_event(struct listen_session *s);
/* Counts it; true: that was one too many. */
bool listen_session_is_over_rate(struct listen_session *s, enum listen_rate rate);
void listen_session_refuse(struct listen_session *s, const struct smtp_server_event *e,
			   struct smtp_reply reply);
void listen_session_count_refusal(struct listen_session *s, enum smtp_refusal why);
/* Those of the engine that were not told yet. */
void listen_session_count_refusals(struct listen_session *s);
void listen_session_log_refusal(struct listen_session *s, const char *command,
				struct smtp_reply reply, struct str to);
struct listen_request *
listen_session_request(struct listen_session *s, enum listen_request_kind kind);
/* "user" to "user@origin", in `a`. */
struct str
listen_session_complete(const struct listen_session *s, struct arena *a, struct str address);

/* ---- message.c ---- */

void listen_message_mail(struct listen_session *s, const struct smtp_command_mail *m);
void listen_message_rcpt(struct listen_session *s, struct str address,
			 const struct smtp_command_rcpt *r, struct str destination);
void listen_message_content(struct listen_session *s, struct str octets);
/* MESSAGE was asked; it is answered now or later. */
void listen_message_end(struct listen_session *s, size_t index);
/* The store has said what it did: 250 or the transaction's refusal. */
void listen_message_answer(struct listen_session *s);
void listen_message_drop(struct listen_session *s);

/* ---- auth.c ---- */

void listen_auth_begin(struct listen_session *s, const struct smtp_server_event *e);
void listen_auth_response(struct listen_session *s, struct str response);
void listen_auth_drop(struct listen_session *s);
/* Who the client is, if it said: at the end, and at STARTTLS (RFC 3207 section 4.2). */
void listen_auth_forget(struct listen_session *s);

#endif
