/* Which of the waiting mail is tried now: a window of concurrent attempts for each destination,
 * turns between destinations and between the messages of one, back-off for destinations that
 * cannot be reached. Pure: events and time in, what to start out. Only what is due soon is here;
 * the rest waits in the store, and sched says when which destination wants more of it.
 *
 * A destination is a transport and a next-hop as one text. Times are monotonic ms; UINT64_MAX is
 * never. One thread. The caller's loop: tell what happened; sched_next until it has none;
 * sched_refill until it has none; wait until sched_deadline. */

#ifndef HOPSEAL_SCHED_SCHED_H
#define HOPSEAL_SCHED_SCHED_H

#include "base/list.h"
#include "sched/limits.h"

struct sched;
struct sched_dest;
struct sched_lane;

struct sched_options {
	uint64_t seed;          /* of hashes; not to be guessed from outside */
	unsigned attempts_max;  /* at once, to all destinations together; three quarters of them
	                         * to one */
	unsigned rcpts_waiting; /* of one destination kept here, by sched_weight; more stay in the
	                         * store */
	uint64_t dead_ms;     /* how long a dead destination is left alone, minimal_backoff_time */
	uint64_t dead_ms_max; /* it doubles with every failed probe up to this,
	                         * maximal_backoff_time */
	/* SCHED_TRANSPORTS times, atomic and shared by all threads: the next attempt of a transport
	 * with a delay begins no sooner. Of sched_new alone, and only needed for such a delay. */
	uint64_t *transport_next;
};

MUST_USE struct sched *sched_new(const struct sched_options *o);
void sched_free(struct sched *s); /* parts that wait are forgotten; NULL is fine */

/* Other options and limits from now on: a reload. Known destinations get theirs from
 * sched_dest. */
void sched_set_options(struct sched *s, const struct sched_options *o);

/* The destination of that name (copied), made when it is new, with these limits from now on. It
 * stays as long as something of it waits, here or in the store, or is under way, and a few
 * minutes longer: hold the name, not the pointer, beyond that. */
MUST_USE struct sched_dest *
sched_dest(struct sched *s, struct str name, const struct sched_limits *limits, uint64_t now);
MUST_USE struct sched_dest *sched_dest_find(const struct sched *s, struct str name); /* or NULL */

/* The recipients of one message for one destination; part of the caller's memory, which must stay
 * until all of them were given out or the part was taken back. */
struct sched_part {
	struct list link;
	struct sched_dest *dest;
	struct sched_lane *lane;
	struct str
		who; /* of a single recipient whose attempts are counted by themselves: concurrency
	                 * and rate delay are those of that name; "" for all others together */
	unsigned n_rcpts, n_taken;
};

/* What recipients of one message count as: many take no more room than a hundred, so that single
 * ones have their turns between them. */
#define SCHED_WEIGHT_MAX 100
unsigned sched_weight(unsigned n_rcpts);

/* Whether fresh mail may be added. If not it stays in the store: sched_backlog. */
bool sched_has_room(const struct sched *s, const struct sched_dest *d);
/* Whether more than enough waits for the recipient already. What is there of it stays in the store,
 * and is asked for when some of it was tried. Never of "". */
MUST_USE bool sched_is_crowded(struct sched *s, struct sched_dest *d, struct str who);
/* Due now. `who` and n_rcpts are set, n_rcpts at least 1. */
void sched_add(struct sched *s, struct sched_dest *d, struct sched_part *part, uint64_t now);
/* A part that waits, no longer: its message is gone or held. What is under way goes on. */
void sched_remove(struct sched *s, struct sched_part *part, uint64_t now);
/* Takes back a part that waits, any: for a destination that died. NULL: none waits. */
MUST_USE struct sched_part *sched_take_back(struct sched *s, struct sched_dest *d, uint64_t now);

/* In the store, beyond what is here, the earliest mail is due at `due`. Never later than said
 * before, until sched_refilled. */
void sched_backlog(struct sched *s, struct sched_dest *d, uint64_t due, uint64_t now);
/* A destination whose due mail is to be read from the store and added; asked once until
 * sched_refilled says when the earliest of what is left there is due. */
MUST_USE bool sched_refill(struct sched *s, uint64_t now, struct sched_dest **dest, unsigned *room);
void sched_refilled(struct sched *s, struct sched_dest *d, uint64_t due, uint64_t now);

/* How far the store was read where that takes several times: the caller's, kept with the
 * destination while mail of it is there. All zero: it is read from the start. */
struct sched_place {
	int64_t due_ms, until_ms; /* UTC: of the row there; what is due later is not looked for */
	uint64_t message, after;  /* the row, too */
	uint64_t next_at;         /* when to go on */
};
struct sched_place *sched_place(struct sched_dest *d);

/* An attempt to start: `n` recipients of the part from `first` on. It counts until sched_done. With
 * the last of its recipients the part is the caller's again. */
struct sched_start {
	struct sched_part *part;
	unsigned first, n;
};
MUST_USE bool sched_next(struct sched *s, uint64_t now, struct sched_start *out);

enum sched_feedback {
	SCHED_OK,      /* the destination took part: the window may grow */
	SCHED_NEUTRAL, /* says nothing about it */
	SCHED_TROUBLE, /* no host of it could be used: the window shrinks, or it is dead */
};
/* `who` as in the part. */
void sched_done(struct sched *s, struct sched_dest *d, struct str who, enum sched_feedback f,
		uint64_t now);

/* Nothing is started before `until`: the peer asked for it. */
void sched_suspend(struct sched *s, struct sched_dest *d, uint64_t until, uint64_t now);
/* Alive again, and nothing is waited for: an operator's flush. */
void sched_wake(struct sched *s, struct sched_dest *d, uint64_t now);

uint64_t sched_deadline(const struct sched *s);

struct sched_dest_view {
	struct str name; /* borrowed while the destination stays */
	unsigned window; /* of each recipient that is counted by itself; 0: dead */
	unsigned n_attempts, n_parts, n_rcpts;
	unsigned weight;        /* of those parts, by sched_weight */
	uint64_t blocked_until; /* dead or suspended; 0: neither */
	uint64_t backlog_due;
	uint64_t refilled_at; /* the last sched_refilled; 0: none */
};
struct sched_dest_view sched_view(const struct sched_dest *d, uint64_t now);
void sched_each(const struct sched *s, void (*dest)(void *arg, struct sched_dest *d), void *arg);

struct sched_totals {
	size_t n_dests, n_dead;
	unsigned n_attempts;
	uint64_t n_parts, n_rcpts;
};
struct sched_totals sched_totals(const struct sched *s);

/* How long from now until a message that is `age` old is tried again. */
uint64_t sched_retry_after(uint64_t age, uint64_t least, uint64_t most);

#endif
