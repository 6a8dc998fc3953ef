/* Inbound SMTP and LMTP: sockets, sessions, who may do what, and the message as it is to be kept.
 * What becomes of a recipient and where a message is kept is asked of the caller. Nothing here
 * knows a route, a policy or a store.
 *
 * One configuration's listeners are a `struct listen_setup`; their sockets are bound once, before
 * privileges are dropped; each worker has a `struct listen` on its own loop, over duplicates of
 * those sockets. Clients are counted over all workers together (`struct listen_clients`).
 *
 * Thread: setup, sockets and clients may be used by any; a `struct listen` and its sessions belong
 * to their loop's. */

#ifndef HOPSEAL_LISTEN_LISTEN_H
#define HOPSEAL_LISTEN_LISTEN_H

#include "conf/conf.h"
#include "log/log.h"
#include "mail/message_received.h"
#include "mail/message_scan.h"
#include "mail/outcome.h"
#include "net/net.h"
#include "proto/smtp_server.h"
#include "table/table.h"

/* What hopseal_listeners says, with the settings of each: immutable once its files were read,
 * shared by count. */
struct listen_setup;

/* NULL: *e names the parameter. Reads this machine's networks. */
MUST_USE struct listen_setup *listen_setup_new(struct conf *conf, struct error *e);
/* Reads the files that its lists of clients name, with the rights that the process has now: once,
 * so that all workers have the same. Before the setup is shared; false: *e. */
MUST_USE bool listen_setup_read(struct listen_setup *s, struct error *e);
/* Whether its certificates and keys can be used, now and by this process. */
MUST_USE bool listen_setup_try(const struct listen_setup *s, struct error *e);
struct listen_setup *listen_setup_ref(struct listen_setup *s);
size_t listen_setup_connections_max(const struct listen_setup *s);
void listen_setup_unref(struct listen_setup *s); /* NULL is fine */
size_t listen_setup_count(const struct listen_setup *s);
/* Its tables of passwords; "": it offers no AUTH. */
struct str listen_setup_passwords(const struct listen_setup *s, size_t i);
struct str listen_setup_text(const struct listen_setup *s, size_t i); /* "smtp:127.0.0.1:25" */

/* The bound sockets of a setup. A setup that was read anew takes over those of the old one that
 * have the same address, so that no connection is refused meanwhile. NULL: *e. */
struct listen_sockets;
MUST_USE struct listen_sockets *
listen_bind(const struct listen_setup *s, struct listen_sockets *old, struct error *e);
void listen_sockets_free(struct listen_sockets *s); /* closes; NULL is fine */

/* Connections and rates of clients: smtpd_client_*_limit, hopseal_connection_limit. */
struct listen_clients;
MUST_USE struct listen_clients *listen_clients_new(void);
void listen_clients_free(struct listen_clients *c);          /* after all that use it */
size_t listen_clients_connections(struct listen_clients *c); /* of all together, now */
/* That many of all together at most, whatever hopseal_connection_limit is: files may be short. */
void listen_clients_set_most(struct listen_clients *c, size_t most);

/* Who brings a message. */
struct listen_client {
	const struct address *address; /* NULL: UNIX-domain socket */
	struct str host;               /* "": not known for sure */
	struct str name; /* "client.example[192.0.2.1]", "unknown[192.0.2.1]", for logs */
	struct str helo;
	struct str user, method; /* "": not authenticated */
	struct message_protocol protocol;
	struct str tls_protocol, tls_cipher; /* "" without TLS */
	unsigned tls_bits;
};

struct listen_rcpt {
	struct str address;
	struct str notify, orcpt; /* DSN, as said; "" for none */
	struct str destination;   /* what listen_admit gave */
};

/* Where content goes; the caller's. */
#define LISTEN_ID_MAX 32
struct listen_spool {
	char id[LISTEN_ID_MAX]; /* the queue id as text, known from the start */
	void *handle;
};

/* A message that was taken in. Borrowed for the call. */
struct listen_message {
	struct listen_spool spool; /* moves to the callee */
	const struct listen_client *client;
	struct str sender; /* "" is the null reverse-path */
	struct str ret, envid;
	bool is_smtputf8, is_requiretls, is_8bitmime; /* as MAIL said */
	const struct listen_rcpt *rcpts;
	size_t n_rcpts;
	const struct message_scan *scan; /* of the content as it was spooled */
	int64_t arrived_ms;              /* since 1970 */
};

/* What is to be admitted. Borrowed for the call. */
struct listen_admission {
	const struct listen_client *client;
	struct str sender;
	struct str recipient; /* with a domain, but for "postmaster" */
	bool is_smtputf8, is_requiretls;
};

/* A question that is out. Answer it exactly once, from the loop's thread, inside the call or later;
 * the session may be gone by then, which is none of the caller's business. */
struct listen_request;
void listen_admit(struct listen_request *r, struct str destination); /* copied */
void listen_kept(struct listen_request *r);                          /* the message is safe: 250 */
/* The client's name, forward and back, or ""; in doubt: a lookup failed. Copied. */
void listen_named(struct listen_request *r, struct str name, bool is_in_doubt);
/* To rcpt and accept: a 4xx or 5xx; the text is copied. */
void listen_refuse(struct listen_request *r, const struct smtp_reply *reply);

struct listen_calls {
	/* Answered by listen_named: what the client is called. May be NULL: nobody has a name. */
	void (*name)(void *arg, struct listen_request *r, const struct address *client);

	/* Answered by listen_admit or listen_refuse. Only clients that may relay come this far. */
	void (*rcpt)(void *arg, struct listen_request *r, const struct listen_admission *a);

	/* False, with *e: ERROR_LIMIT means that room is short. A spool ends in spool_drop or in
	 * accept. */
	bool (*spool_begin)(void *arg, struct listen_spool *out, struct error *e);
	bool (*spool_add)(void *arg, struct listen_spool *s, struct str octets, struct error *e);
	void (*spool_drop)(void *arg, struct listen_spool *s);
	/* Answered by listen_kept or listen_refuse. */
	void (*accept)(void *arg, struct listen_request *r, const struct listen_message *m);

	/* Whether a message of so many octets (0: not said) would find no room now: queue, disk,
	 * memory. MAIL is answered 452 then. May be NULL. */
	bool (*is_short)(void *arg, uint64_t size_octets);
	void (*log)(void *arg, const struct log_event *e); /* may be NULL */
	/* A client was refused something; also what is not logged. May be NULL. */
	void (*refused)(void *arg, enum smtp_refusal why, uint64_t n);
	/* After listen_stop or listen_retire: the last session is gone. Not the place for
	 * listen_free. May be NULL. */
	void (*emptied)(void *arg);
};

struct listen_options {
	struct net_loop *loop;
	struct listen_setup *setup; /* ref'ed; its files were read */
	const struct listen_sockets *sockets;
	struct listen_clients *clients;
	struct str origin; /* what completes an address without domain; "": $myorigin. Copied */
	const struct listen_calls *calls;
	void *arg;
	void (*found)(void *arg,
		      const struct table_finding *f); /* of password tables; may be NULL */
	int64_t (*utc_ms)(void);                      /* the clock; NULL: the system's */
};

struct listen;

/* Begins to listen. NULL: *e names the listener and what is wrong (a certificate ...). */
MUST_USE struct listen *listen_new(const struct listen_options *o, struct error *e);
/* No new connections, but the sessions go on to their end: another listen has come in its place. */
void listen_retire(struct listen *l);
/* No new connections; sessions end with 421 as soon as nothing is under way in them. */
void listen_stop(struct listen *l);
size_t listen_sessions(const struct listen *l);

/* Sessions that are open, by the type of their listener. */
struct listen_totals {
	size_t smtp, smtps, lmtp;
	size_t tls; /* of them inside TLS */
};
void listen_add_totals(const struct listen *l, struct listen_totals *sum);
/* Where a listener of the setup is bound first, with the port that was chosen; all zero: UNIX. */
struct net_endpoint listen_endpoint(const struct listen *l, size_t i);
void listen_free(struct listen *l); /* cuts off what is left; NULL is fine */

#endif
