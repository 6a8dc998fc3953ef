/* One connection to one host: stream, optional TLS, SMTP engine. It carries octets and judges
 * nothing: whoever started it looks at session_peer in `ready` and says session_mail or
 * session_quit. */

#ifndef HOPSEAL_DELIVER_SESSION_H
#define HOPSEAL_DELIVER_SESSION_H

#include "deliver/content.h"
#include "net/net.h"
#include "proto/smtp_client.h"
#include "tls/tls.h"

struct session_options {
	struct net_loop *loop;
	struct net_endpoint to;
	struct str socket;                 /* UNIX-domain socket instead of `to`; "": TCP */
	const struct net_endpoint *source; /* smtp_bind_address; NULL: the kernel chooses */
	struct smtp_client_options smtp;   /* is_tls_already: smtp_tls_wrappermode */
	struct tls_client *tls;            /* may be NULL when no TLS is to be asked for */
	struct tls_demand demand;
	uint64_t connect_ms, tls_ms; /* smtp_connect_timeout, smtp_starttls_timeout; 0: no limit */
	uint64_t total_ms;           /* of the whole session; 0: no limit, as for the others */
	size_t *n_open;              /* counts sessions that are there; may be NULL */
};

enum session_end_kind {
	SESSION_QUIT,          /* ended as asked */
	SESSION_NOT_CONNECTED, /* nothing was said */
	SESSION_TLS_FAILED,    /* the handshake failed, or could not begin */
	SESSION_FAILED,        /* the conversation broke off; every recipient has its outcome */
};

struct session_end {
	enum session_end_kind kind;
	struct outcome outcome;       /* QUIT: reason "" */
	enum smtp_client_cause cause; /* FAILED */
	bool may_try_next_host;
	bool is_shortage; /* NOT_CONNECTED: no descriptor was left; the host is not to blame */
};

/* From the loop, never from inside session_start. `over` is the last one and comes once: the
 * session may be freed in it, and in no other call. */
struct session_calls {
	/* STARTTLS is done: true to go on with EHLO, false to QUIT at once (RFC 3207 section 4.1).
	 * NULL goes on. Nothing may be freed, and the session not be used. */
	bool (*secured)(void *arg);
	void (*ready)(void *arg);
	/* Of session_auth, for those who ask for it: a challenge, and the server's verdict. */
	void (*challenge)(void *arg, struct str octets);
	void (*authenticated)(void *arg, const struct smtp_client_event *ev);
	void (*rcpt)(void *arg, const struct smtp_client_event *ev);
	void (*done)(void *arg);
	void (*over)(void *arg, const struct session_end *end);
};

struct session;

/* Spans of the options are copied where they must outlive the call. */
MUST_USE struct session *
session_start(const struct session_options *o, const struct session_calls *calls, void *arg);
void session_free(struct session *s);

/* After `ready`, and in `challenge`: as smtp_client_auth and its kin. */
void session_auth(struct session *s, struct str mechanism, struct str initial);
void session_auth_response(struct session *s, struct str octets);
void session_auth_cancel(struct session *s, struct str why);
/* What only the two ends of its TLS know: tls_session_exporter. False: there is none. */
MUST_USE bool session_binding(const struct session *s, char out[TLS_EXPORTER_SIZE]);

/* After `ready`, `authenticated` or `done`. `mail` and `content` are borrowed until `done` or
 * `over`. */
void session_mail(struct session *s, const struct smtp_mail *mail, struct content *content);
void session_quit(struct session *s);

/* ---- a session that is kept for further mail ---- */

/* After `ready` or `done`, also from within them: it is usable and nothing came unasked. */
bool session_is_idle(const struct session *s);
/* A new owner of an idle session; transcript and times begin anew. */
void session_adopt(struct session *s, const struct session_calls *calls, void *arg);
/* Says QUIT and waits for nothing; no calls come any more. For idle ones. */
void session_leave(struct session *s);
unsigned session_n_mails(const struct session *s); /* that were begun */
uint64_t session_age_ms(const struct session *s);
/* In `rcpt` and `over`: it ended before the peer said anything about the present mail. */
bool session_is_stale(const struct session *s);
/* The peer was found good: its TLS session may be resumed. */
void session_keep_tls(struct session *s);
/* An earlier TLS session was offered to it. */
bool session_was_tls_offered(const struct session *s);

/* What the peer showed so far; copied into the arena. */
struct tls_peer session_peer(struct session *s, struct arena *a);
const struct smtp_client *
session_smtp(const struct session *s); /* NULL before there is a conversation */

struct session_times {
	uint64_t connect_ms, greeting_ms, tls_ms, total_ms; /* 0: not reached */
};

struct session_times session_times(const struct session *s);

#endif
