/* One delivery attempt: the recipients of a message that share a transport and next-hop, tried
 * host by host as Postfix would, under the TLS policy of each host. One thread: the loop's. */

#ifndef HOPSEAL_DELIVER_DELIVER_H
#define HOPSEAL_DELIVER_DELIVER_H

#include "ask/ask.h"
#include "deliver/content.h"
#include "deliver/session.h"
#include "mail/outcome.h"
#include "net/net.h"
#include "policy/policy.h"
#include "proto/smtp_client.h"
#include "route/route.h"
#include "tls/tls.h"

struct policy_cache; /* policy/cache.h */
struct deliver_pool; /* deliver/pool.h */
struct sasl;         /* sasl/sasl.h */

/* What SMTP or LMTP deliveries go by: the configuration as this client reads it (conf_lmtp), and
 * what is made of it. */
struct deliver_client {
	const struct conf *conf;
	const struct policy_config *policy;
	struct policy_cache *decisions;
	struct tls_client *tls;
};

/* What every attempt under one configuration shares. Borrowed by attempts; outlives them. */
struct deliver_site {
	struct net_loop *loop;
	struct ask *ask;
	const struct conf *conf;
	const struct route_config *route;
	struct deliver_client smtp, lmtp;
	struct deliver_pool *pool; /* of the loop; NULL: a session ends with its mail */
	struct sasl *sasl;         /* of the loop; may be NULL where nobody logs in */
};

const struct deliver_client *
deliver_client_of(const struct deliver_site *site, enum route_protocol protocol);

struct deliver_message {
	struct str sender;       /* "" is the null reverse-path */
	struct str ret, envid;   /* DSN, "" for none */
	struct content *content; /* read from its start by each try; borrowed */
	bool is_8bit, has_8bit_header, has_tls_required_no;
	bool has_requiretls;  /* the sender asked for REQUIRETLS (RFC 8689) */
	bool is_smtputf8;     /* the sender or the header section needs it (RFC 6531) */
	uint64_t size_octets; /* as sent, with CRLF */
	uint64_t age_s;       /* how long the message has waited so far */
};

enum deliver_try_kind {
	DELIVER_TRY_SKIPPED, /* the policy forbids this host, or the login for it cannot be had; no
	                      * connection was made */
	DELIVER_TRY_CONNECT, /* no connection */
	DELIVER_TRY_SESSION, /* a session, however it ended */
};

/* A login that was found for a host. Neither user nor password is here: evidence is kept. */
struct deliver_login {
	struct str key; /* of smtp_sasl_password_maps; "": there is no login */
	struct str source, file;
	unsigned line;
	struct str mechanism; /* by which the session is logged in; "": it is not */
};

/* One host tried: the evidence. */
struct deliver_try {
	enum deliver_try_kind kind;
	struct route_host candidate;
	struct str nexthop; /* one of the next-hop's destinations: the table key */
	struct policy_decision decision;
	struct policy_subject subject;
	bool is_fate_unknown;    /* it may have taken the message, for all we know */
	bool is_plaintext_retry; /* level may, TLS failed, the message is old enough */
	bool is_shortage;        /* of our descriptors: the host was not asked */
	bool is_reused;          /* the session carried other mail before, and was judged then */
	unsigned use_count;      /* mails of the session up to this one; 0: there was none */
	struct tls_peer peer;
	bool is_judged;
	struct policy_judgement judgement;
	struct str greeting, transcript;
	unsigned extensions; /* smtp_extension bits of the last EHLO */
	struct deliver_login login;
	struct outcome trouble; /* what went wrong with the host; reason "" when nothing */
	struct session_times times;
};

/* The host as the log has it: "mx.example[192.0.2.1]:25". */
struct str deliver_try_name(struct arena *a, const struct deliver_try *t);

struct deliver_rcpt {
	struct smtp_rcpt rcpt;
	struct outcome outcome;
	bool is_fate_unknown;
	bool has_try;
	size_t try; /* index of the try that gave the outcome, when has_try */
};

/* One destination of the next-hop, looked up. */
struct deliver_hosts {
	struct str nexthop;
	struct route_hosts hosts;
};

struct deliver_result {
	struct str transport, nexthop;
	enum route_protocol protocol;
	struct deliver_rcpt *rcpts; /* in the order given */
	size_t n_rcpts;
	struct deliver_hosts *hosts;
	size_t n_hosts;
	struct deliver_try *tries;
	size_t n_tries;
	struct fact_set facts;
};

/* Recipients that share a transport and next-hop. */
struct deliver_job {
	struct str transport, nexthop;
	enum route_protocol protocol;
	const struct smtp_rcpt *rcpts;
	size_t n_rcpts;
	uint64_t seed; /* orders equal MX preferences and addresses */
};

struct deliver;
typedef void deliver_done(void *arg, const struct deliver_result *result);

/* Starts. Texts of `message` and `job` must live until deliver_free; the content is borrowed until
 * `done`, which is called once, from the loop, never from here. The result lives until
 * deliver_free. */
MUST_USE struct deliver *
deliver_start(const struct deliver_site *site, const struct deliver_message *message,
	      const struct deliver_job *job, deliver_done *done, void *arg);
void deliver_free(struct deliver *d); /* after `done`, also from within it */

#endif
