/* What the files of an attempt share. */

#ifndef HOPSEAL_DELIVER_INSIDE_H
#define HOPSEAL_DELIVER_INSIDE_H

#include "deliver/cached.h"
#include "deliver/deliver.h"
#include "deliver/pool.h"
#include "route/login.h"
#include "sasl/client.h"

/* What is known of a recipient while hosts are tried. */
struct pending {
	bool is_final;     /* delivered, bounced, or a deferral that no other host can better */
	bool is_temporary; /* its outcome so far is a deferral ... */
	bool is_telling;   /* ... by a host that was met, or that the policy refused */
};

/* The login for the present host. */
struct login {
	struct route_own_step own; /* of the sender's domain */
	struct route_login_key keys[ROUTE_LOGIN_KEYS_MAX];
	size_t n_keys, key; /* the next one to ask for */
	struct ask_query *query;
	struct str user, password; /* "": there is none */
	struct sasl_client *sasl;  /* while AUTH is under way */
	bool is_taken;             /* the present session is logged in, and we are content */
};

struct deliver {
	const struct deliver_site *site;
	const struct deliver_client *client;
	struct deliver_message message;
	struct deliver_result result;
	deliver_done *done;
	void *arg;
	struct arena *arena;
	struct fact_list *facts;
	struct deliver_cached cached;
	struct pending *pending; /* as result.rcpts */
	uint64_t seed;

	const struct str *nexthops;
	size_t n_nexthops, nexthop; /* the next one to look up */
	struct route_hosts_step route;
	const struct route_hosts *hosts; /* of the present next-hop */
	size_t *order;                   /* of their use */
	size_t candidate;                /* the next one to try, in `order` */
	unsigned n_sessions;             /* past EHLO, TLS and AUTH, of this next-hop */

	struct ask_run *run;
	struct policy_step policy;
	struct login login;
	struct session *session;
	struct deliver_try *try; /* the present one, in result.tries */
	size_t tries_room;

	struct deliver_pool_key key; /* of the session; .whole "": it is not to be kept */
	bool is_stale;               /* what was kept is no good: the host gets a fresh session */
	bool is_mail_begun;          /* in this session: its recipients have words of their own */
	struct smtp_mail mail;
	struct smtp_rcpt *sent; /* the pending recipients of this session */
	size_t *sent_index;     /* their places in result.rcpts */
};

/* ---- deliver.c ---- */

/* A new try at the end of the list. Pointers into the list die here: only d->try is kept. */
void deliver_add_try(struct deliver *d, const struct route_host *c);
/* The present host is done with: the next one, or the end. */
void deliver_next_host(struct deliver *d);

/* ---- conversation.c ---- */

void deliver_connect(struct deliver *d, bool is_plaintext_retry);

void deliver_send(struct deliver *d);

/* ---- login.c ---- */

/* Looks for a login at the present host; then deliver_connect, or the next host. */
void deliver_find_login(struct deliver *d);
bool deliver_has_login(const struct deliver *d);
/* What stands for it in a key: equal for equal logins that are used alike; "" without one. */
struct str deliver_login_label(struct deliver *d);
/* The host is found good. True: AUTH is under way, or the session is at its end. */
bool deliver_log_in(struct deliver *d);
void deliver_on_challenge(void *arg, struct str octets);
void deliver_on_authenticated(void *arg, const struct smtp_client_event *ev);
void deliver_forget_login(struct deliver *d);

/* ---- settle.c ---- */

size_t deliver_n_pending(const struct deliver *d);
void deliver_settle(struct deliver *d, size_t i, const struct outcome *o, bool is_final);
/* Nobody was met: that says less about why mail waits than a host that was, or than a policy. */
void deliver_settle_unmet(struct deliver *d, const struct outcome *o);
/* The same word for all that are left. */
void deliver_settle_all(struct deliver *d, const struct outcome *o, bool is_final);
/* "mx.example.com[192.0.2.1]:25", as Postfix names a host. */
struct str deliver_peer_name(struct deliver *d);
void deliver_note_trouble(struct deliver *d, enum outcome_kind kind, struct status status,
			  struct str reason);
/* The host is no good: what is left waits for the next one, or for good if there is none. */
void deliver_host_trouble(struct deliver *d, enum outcome_kind kind, struct status status,
			  struct str reason);
/* A host that the policy does not let be used, before or after it was met. */
void deliver_host_refused(struct deliver *d, struct status status, struct str reason);
/* The words of an engine's outcome, with the name of the host that the engine does not know. */
struct str deliver_reason(struct deliver *d, enum smtp_client_cause cause, struct str reason);

#endif
