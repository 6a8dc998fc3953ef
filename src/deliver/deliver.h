/* One delivery attempt: the recipients of a message that share a transport and next-hop, tried
 * host by host as Postfix would, under the TLS policy of each host. One thread: the loop's. */

#ifndef HOPSEAL_DELIVER_DELIVER_H
#define HOPSEAL_DELIVER_DELIVER_H

#include "ask/ask.h"
#include "deliver/content.h"
#include "mail/outcome.h"
#include "net/net.h"
#include "policy/policy.h"
#include "proto/smtp_client.h"
#include "route/route.h"
#include "tls/tls.h"

/* What every attempt under one configuration shares. Borrowed by attempts; outlives them. */
struct deliver_site {
	struct net_loop *loop;
	struct ask *ask;
	const struct conf *conf;
	const struct policy_config *policy;
	const struct route_config *route;
	struct tls_contexts *tls;
};

struct deliver_message {
	struct str sender;       /* "" is the null reverse-path */
	struct str ret, envid;   /* DSN, "" for none */
	struct content *content; /* read from its start by each try; borrowed */
	bool is_8bit, is_smtputf8, has_tls_required_no;
	uint64_t size_octets; /* as sent, with CRLF */
	uint64_t age_s;       /* how long the message has waited so far */
};

/* How long each phase took, in ms; 0 where it was not reached. */
struct deliver_timings {
	uint64_t connect_ms, greeting_ms, tls_ms, total_ms;
};

enum deliver_try_kind {
	DELIVER_TRY_SKIPPED, /* the policy forbids this host; no connection was made */
	DELIVER_TRY_CONNECT, /* no connection */
	DELIVER_TRY_SESSION, /* a session, however it ended */
};

/* One host tried: the evidence. */
struct deliver_try {
	enum deliver_try_kind kind;
	struct route_host host;
	struct policy_decision decision;
	bool is_plaintext_retry; /* level may, TLS failed, the message is old enough */
	struct tls_peer peer;
	bool is_judged;
	struct policy_judgement judgement;
	struct str greeting, transcript;
	unsigned extensions;    /* smtp_extension bits of the last EHLO */
	struct outcome trouble; /* what went wrong with the host; reason "" when nothing */
	struct deliver_timings timings;
};

struct deliver_rcpt {
	struct smtp_rcpt rcpt;
	struct outcome outcome;
	bool is_fate_unknown;
	bool has_try;
	size_t try; /* index of the try that gave the outcome, when has_try */
};

struct deliver_result {
	struct str transport, nexthop;
	struct deliver_rcpt *rcpts;
	size_t n_rcpts;
	struct deliver_try *tries;
	size_t n_tries;
	struct fact_set facts;
};

struct deliver;
typedef void deliver_done(void *arg, const struct deliver_result *result);

/* Starts. Spans of `message` and `rcpts` are copied; the content is borrowed until `done`, which is
 * called once, from the loop, never from here; the result lives until deliver_free. `seed` orders
 * equal MX preferences. */
MUST_USE struct deliver *
deliver_start(const struct deliver_site *site, const struct deliver_message *message,
	      struct str transport, struct str nexthop, const struct smtp_rcpt *rcpts,
	      size_t n_rcpts, uint64_t seed, deliver_done *done, void *arg);
void deliver_free(struct deliver *d); /* after `done`, also from within it */

#endif
