/* What the files of this room share. */

#ifndef HOPSEAL_QUEUE_INSIDE_H
#define HOPSEAL_QUEUE_INSIDE_H

#include "log/log.h"
#include "queue/queue.h"
#include "report/dsn.h"
#include "sched/sched.h"

enum {
	QUEUE_BUCKETS_FIRST = 256,
	QUEUE_UNKEPT_MAX = 50,         /* attempts that the store cannot keep: then none begins */
	QUEUE_RCPTS_WAITING = 1000,    /* of one destination in memory, by sched_weight */
	QUEUE_PART_MAX = 500,          /* of them of one message, from the store */
	QUEUE_GROUNDS = 64,            /* of evidence, kept at hand */
	QUEUE_READ_MAX = 500,          /* rows of the store in one go */
	QUEUE_READ_PAGES = 8,          /* times that, of rows that are passed over, at a stretch, */
	QUEUE_READ_PAUSE_MS = 1000,    /* with this between two of them */
	QUEUE_RECORD_RETRY_MS = 1000,  /* the store could not keep an outcome */
	QUEUE_COPIES_MAX = 100,        /* for a postmaster, of one kind, */
	QUEUE_COPIES_MS = 3600 * 1000, /* in this time */
	QUEUE_NOTICE_RETRY_MS = 5000,  /* the store could not keep a notice */
	QUEUE_READ_RETRY_MS = 5000,    /* the store could not be read */
	QUEUE_SWEEP_MS = 60 * 1000,    /* looking for what was in the queue too long, at most */
	QUEUE_SWEEP_MAX = 1000,        /* recipients of one sweep */
	QUEUE_EVIDENCE_MS = 3600 * 1000 /* looking for evidence that has expired */
};

struct queue_settings {
	int64_t backoff_least_ms, backoff_most_ms; /* minimal_, maximal_backoff_time */
	int64_t lifetime_ms, bounce_lifetime_ms;   /* maximal_, bounce_queue_lifetime */
	int64_t warning_ms;                        /* delay_warning_time; 0: never */
	int64_t evidence_ms;                       /* hopseal_evidence_lifetime */
	int64_t suspend_ms;                        /* hopseal_suspend_time */
	struct str suspend_replies;                /* hopseal_suspend_replies */
	uint64_t bounce_size_limit;
	bool is_soft_bounce, tells_double_bounces, redacts_requiretls, is_lmtp_final;
	struct str hostname, origin;
	struct str daemon;        /* MAILER-DAEMON@origin */
	struct str double_bounce; /* who postmasters are told by */
	struct str postmaster;    /* 2bounce_notice_recipient */
	struct str copies_to[2];  /* by dsn_kind: who is told, too; "": nobody */
	struct sched_options sched;
	struct sched_limits smtp, lmtp, relay, other;
	struct str deferred;            /* defer_transports */
	struct str recipient_delimiter; /* extensions are not recipients of their own */
};

/* A message of which something is in memory here. */
struct queue_message {
	struct queue *queue;
	struct queue_message *next_in_bucket;
	struct arena *arena;
	struct store_message envelope; /* without recipients */
	struct store_content *content; /* NULL: not read yet */
	int64_t active_ms;             /* UTC: when it came into memory */
	char id_text[STORE_ID_TEXT_MAX];
	unsigned refs;
	struct list parts; /* of queue_part.of_message */

	struct queue_told *told; /* finished recipients whose sender is to hear of it */
	size_t n_told, told_room;
	size_t n_delays; /* of them */
};

/* A finished or delayed recipient for a notice. Texts are in the message's arena. */
struct queue_told {
	uint32_t index;
	enum dsn_kind kind;
	struct dsn_rcpt rcpt;
};

/* Recipients of a message for one destination. */
struct queue_part {
	struct sched_part sched;
	struct list of_message;
	struct queue_message *message;
	struct arena *arena;
	struct str destination;
	uint64_t read_at;         /* monotonic: not after it was in the store */
	bool is_routed;           /* just now: its destination need not be looked up again */
	bool is_taken_back;       /* the store has recipients of it that are due */
	struct store_rcpt *rcpts; /* sched.n_rcpts of them, by rising index */
	bool *is_settled;         /* as rcpts: recorded or moved, and the store's again */
	bool has_more;            /* in the store, due, and left there for the time being */
	unsigned n_out;           /* given out, and not recorded yet */
};

/* ---- message.c ---- */

/* The message in memory, or NULL. */
struct queue_message *queue_message_find(const struct queue *q, uint64_t id);
/* The one that is there, or a new one with a copy of the envelope; a reference of the caller's. */
struct queue_message *queue_message_get(struct queue *q, const struct store_message *m);
void queue_message_ref(struct queue_message *m);
/* With the last one the senders are told what is to be told, and the message leaves memory. */
void queue_message_unref(struct queue_message *m);
/* It waits in one of the parts, or is under way. */
bool queue_message_has(const struct queue_message *m, uint32_t index);
/* Copies. A delay that was not told of yet gives way to what comes later of the same recipient. */
void queue_message_tell(struct queue_message *m, const struct queue_told *t);

/* Puts up some recipients of `m`, all for the destination `d`; copies. One part for all of them,
 * or, where recipients are counted by themselves, one for each: then not too many, and none of whom
 * enough waits. What is left is asked for by itself. The last part, or NULL. */
struct queue_part *queue_parts_add(struct queue_message *m, struct sched_dest *d,
				   const struct store_rcpt *rcpts, size_t n, bool is_routed);
/* One recipient that is given out by nobody's turn: nobody else takes it. */
struct queue_part *queue_part_out(struct queue_message *m, const struct store_rcpt *r);
/* One of its recipients that was out is the store's again, and may be read from there. */
void queue_part_settle(struct queue_part *p, const struct store_rcpt *r);
/* The last of it was given out: what was left in the store has its turn. */
void queue_part_given_out(struct queue_part *p);
/* Frees it when nothing of it waits and nothing is out. */
void queue_part_check(struct queue_part *p);
void queue_part_free(struct queue_part *p);

/* ---- claim.c ---- */

/* Recipients of one attempt; which they are stays as it is while they are claimed. */
struct queue_claim {
	struct list link;
	uint64_t message;
	const struct store_rcpt *rcpts;
	size_t n;
	bool is_wanted;
};

/* Of a team; its calls may come from any thread. */
struct queue_claims;
MUST_USE struct queue_claims *queue_claims_new(void);
void queue_claims_free(struct queue_claims *c);
void queue_claim_take(struct queue_claims *c, struct queue_claim *claim);
/* True if one of its recipients was asked for meanwhile: who routes is to be told. */
MUST_USE bool queue_claim_give_back(struct queue_claims *c, struct queue_claim *claim);
/* True if an attempt has the recipient; its end is told. */
MUST_USE bool queue_claims_want(struct queue_claims *c, uint64_t message, uint32_t index);

/* ---- clock.c ---- */

/* Compares the wall clock with the other one; before it is relied on, and now and then. */
void queue_clock_look(struct queue *q);
bool queue_clock_is_in_doubt(const struct queue *q); /* set ahead not long ago */
/* When a message arrived, on the wall clock as it is now. */
int64_t queue_arrived(const struct queue *q, int64_t arrived_ms);
int64_t *queue_team_clock(struct queue_team *t); /* atomic: the sum of the jumps that were told */

/* ---- refill.c ---- */

void queue_refill(struct queue *q, struct sched_dest *d, unsigned room);
/* Of the recipients of `m`, all for one destination, those that wait there still and are not in
 * memory, into `out`; their number. */
MUST_USE bool queue_still_there(struct queue *q, const struct store_message *m,
				struct store_rcpt *out, size_t *n, struct error *e);
bool queue_load_all(struct queue *q, struct error *e); /* at start: destinations, no mail */
bool queue_load_destination(struct queue *q, struct str name, struct error *e);
bool queue_load_message(struct queue *q, uint64_t id, struct error *e); /* its destinations */

/* ---- attempt.c ---- */

void queue_attempt_start(struct queue *q, const struct sched_start *start);
void queue_attempts_cut(struct queue *q);

/* ---- evidence.c ---- */

void queue_grounds_forget(struct queue *q);

/* ---- notice.c ---- */

/* Tells the sender; takes a copy of what it needs. */
void queue_notice_start(struct queue_message *m);
/* Those that wait; in the end those that are being routed, too. The next start finds them. */
void queue_notices_cut(struct queue *q);
bool queue_notices_recover(struct queue *q, struct error *e);

/* ---- sweep.c ---- */

void queue_sweep(struct queue *q);

/* ---- settle.c: pure ---- */

/* What the store is told of a recipient, and what the sender. */
struct queue_verdict {
	struct store_rcpt_record record;
	bool is_told, is_expired;
	bool is_soft;       /* refused for good, and tried again by soft_bounce */
	enum dsn_kind kind; /* told: of a notice that settles it; DELAY: that only warns */
};

/* What of a recipient is under way to another server that tells the sender itself: RFC 3461 section
 * 5.2.1. */
void queue_verdict_hand_on(struct queue_verdict *v);
/* What of a recipient that could not be tried for want of something of our own: no server was
 * asked, so it is never too old for that, the least wait is enough, and an operator who asked for
 * an attempt has not had it. */
void queue_verdict_keep(struct queue_verdict *v, const struct queue_settings *s,
			const struct store_message *m, const struct store_rcpt *r, int64_t now_ms);
struct queue_verdict queue_verdict(const struct queue_settings *s, const struct store_message *m,
				   const struct store_rcpt *r, const struct outcome *o,
				   int64_t now_ms);
enum sched_feedback queue_feedback(const struct deliver_result *result);
/* Nobody took part, and some host was not asked, because no descriptor was left. */
bool queue_is_short(const struct deliver_result *result);
/* A reply asks that the destination be left alone. */
bool queue_is_suspension(const struct queue_settings *s, const struct outcome *o);
/* "transport:nexthop" */
void queue_destination_cut(struct str destination, struct str *transport, struct str *nexthop);
/* By a transport that goes out; any other, and none, is looked at by routing. */
bool queue_is_deliverable(struct str destination);
/* defer_transports names its transport. */
bool queue_is_deferred(const struct queue_settings *s, struct str destination);
/* Concurrency and rate delay count for each recipient. */
bool queue_counts_alone(const struct queue_settings *s, struct str destination);
/* What a recipient's attempts are counted by; "": by the destination. */
struct str queue_who(struct arena *a, const struct queue_settings *s, struct str destination,
		     struct str address);
const struct sched_limits *queue_limits(const struct queue_settings *s, struct str transport);

/* ---- queue.c ---- */

/* As it was looked at last; 0: not yet. */
struct queue_clock {
	int64_t wall_ms;
	uint64_t mono_ms;
	int64_t jumps_ms;       /* all that were seen */
	int64_t ahead_ms;       /* how far it was set ahead; counts until doubted_until, */
	int64_t jumped_at_ms;   /* for what arrived before this, */
	uint64_t doubted_until; /* monotonic */
};

struct queue {
	struct queue_options options;
	struct queue_clock clock;
	struct store_client *store;
	struct sched *sched;
	struct net_chan *notes;
	struct net_timer *timer, *sweep_timer, *stop_timer;
	struct queue_message **bucket;
	size_t n_buckets, n_messages;
	struct list attempts;                        /* of queue_attempt.link */
	unsigned n_unkept;                           /* of them, that the store would not take */
	unsigned attempts_most;                      /* 0: as the configuration says */
	struct store_ground *grounds[QUEUE_GROUNDS]; /* used lately, each where its hash says */
	struct list notices;                         /* of notice.link */
	struct {
		uint64_t since;
		unsigned n;
	} copies[2];                      /* for postmasters, by dsn_kind, since then */
	size_t n_busy;                    /* attempts, notices, sweeps, notes of the store */
	uint64_t evidence_next;           /* monotonic */
	bool is_load_due, is_recover_due; /* of the store, which could not be read */
	bool is_resting, is_stopping, is_cut, is_told_stopped;
	void (*stopped)(void *arg);
	void *stopped_arg;
};

int64_t queue_now_utc(void); /* ms since 1970 */
/* Monotonic ms for a time of the store; never further away than maximal_backoff_time, so that a
 * clock that was set wrong costs no more than that. */
uint64_t queue_due(const struct queue *q, int64_t due_ms);
struct sched_dest *queue_dest(struct queue *q, struct str destination);
bool queue_is_mine(const struct queue *q, struct str destination);
/* An operator has changed what the store holds. */
bool queue_changed_since(const struct queue *q, uint64_t at); /* or does so now */
struct queue_claims *queue_claims(const struct queue *q);
void queue_pump(struct queue *q); /* starts what may start; at the end of every call from a loop */
/* In the store there is due mail for it: whoever owns it is told. */
void queue_tell_backlog(struct queue *q, struct str destination, int64_t due_ms);
/* Puts a stored message up for delivery, here and at the other members. */
/* `since`: monotonic ms before it was given to the store. */
void queue_fresh(struct queue *q, const struct store_message *m, struct store_content *content,
		 uint64_t since);
void queue_busy(struct queue *q);
void queue_idle(struct queue *q); /* the other side of queue_busy; may end a stop */
void queue_log(const struct queue *q, enum log_event_id id, const struct log_value *v, size_t n);
/* A message is up for delivery; nothing is left to do for it. */
void queue_log_queued(const struct queue *q, const struct store_message *m);
void queue_log_removed(const struct queue *q, const struct queue_message *m,
		       const struct store_result *result);
void queue_log_trouble(const struct queue *q, const struct error *e);
void queue_count(const struct queue *q, enum log_counter id, uint64_t n);
void queue_count_bounced(struct queue *q, struct status s); /* one recipient */
void queue_store_fault(const struct queue *q, const char *what, const struct store_result *r);

#endif
