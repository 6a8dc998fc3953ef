#include "sched/sched.h"

#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "sched/lane.h"

enum {
	DEST_IDLE_MS = 5 * 60 * 1000, /* the window is remembered that long */
	DEST_BUCKETS_FIRST = 64,
	LANE_PARTS_MAX = 50, /* of one recipient, which is to leave room for others */
	LANES_MAX = 100000,  /* of one destination: those that wait for their delay are many */
};

struct sched_dest {
	struct list ready, hungry; /* in the rings of sched */
	struct heap_entry wake;    /* when to look at it again */
	struct sched_dest *next_in_bucket;
	uint64_t hash;
	struct sched_limits limits;

	struct sched_lanes lanes; /* with the parts that wait */
	unsigned n_parts, n_rcpts;
	unsigned weight; /* of the parts: one message of thousands leaves room for others */
	unsigned n_attempts;

	unsigned window;             /* of each lane; 0: dead */
	int64_t successes, failures; /* on the way to one place more or less, in millionths */
	uint64_t cohorts;            /* failed in a row, in windows, in millionths */
	unsigned n_deaths;           /* in a row */
	uint64_t dead_until;         /* when a probe may go; counts while the window is 0 */
	uint64_t suspended_until;
	uint64_t rate_last; /* the last rate_next of its lanes */
	uint64_t idle_since;

	uint64_t backlog_due, refilled_at;
	bool is_refilling;
	struct sched_place place;

	size_t name_n;
	char name[];
};

struct sched {
	struct sched_options options;
	struct sched_dest **bucket;
	size_t n_buckets, n_dests;
	struct list ready;                  /* an attempt may start */
	struct list slow[SCHED_TRANSPORTS]; /* the same, when the transport lets it */
	struct list hungry;                 /* due mail is to be read from the store */
	struct heap wakes;
	unsigned n_attempts;
};

/* ---- destinations by name ---- */

static uint64_t name_hash(const struct sched *s, struct str name)
{
	uint64_t h = s->options.seed;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.p[i]) * 0x100000001b3ull;
	return h ^ h >> 32;
}

/* Of the recipient that a part is for. */
static uint64_t lane_key(const struct sched *s, struct str who)
{
	uint64_t key = who.n > 0 ? name_hash(s, who) : 0;

	return who.n > 0 && key == 0 ? 1 : key;
}

static struct sched_dest **bucket_of(const struct sched *s, uint64_t hash)
{
	return &s->bucket[hash & (s->n_buckets - 1)];
}

static void buckets_grow(struct sched *s)
{
	size_t n_old = s->n_buckets;
	struct sched_dest **old = s->bucket;

	s->n_buckets = n_old ? n_old * 2 : DEST_BUCKETS_FIRST;
	s->bucket = base_alloc(s->n_buckets * sizeof(struct sched_dest *));
	for (size_t i = 0; i < n_old; i++) {
		for (struct sched_dest *d = old[i], *next; d; d = next) {
			next = d->next_in_bucket;
			d->next_in_bucket = *bucket_of(s, d->hash);
			*bucket_of(s, d->hash) = d;
		}
	}
	free(old);
}

static struct str dest_name(const struct sched_dest *d)
{
	return (struct str){ d->name, d->name_n };
}

struct sched_dest *sched_dest_find(const struct sched *s, struct str name)
{
	uint64_t hash = name_hash(s, name);
	struct sched_dest *d = *bucket_of(s, hash);

	while (d && (d->hash != hash || !str_eq(dest_name(d), name)))
		d = d->next_in_bucket;
	return d;
}

static struct sched_dest *dest_new(struct sched *s, struct str name)
{
	struct sched_dest *d = base_alloc(sizeof(*d) + name.n);

	if (s->n_dests >= s->n_buckets)
		buckets_grow(s);
	memcpy(d->name, name.p, name.n);
	d->name_n = name.n;
	d->hash = name_hash(s, name);
	d->next_in_bucket = *bucket_of(s, d->hash);
	*bucket_of(s, d->hash) = d;
	s->n_dests++;
	sched_lanes_init(&d->lanes);
	d->backlog_due = UINT64_MAX;
	return d;
}

static void dest_free(struct sched *s, struct sched_dest *d)
{
	struct sched_dest **at = bucket_of(s, d->hash);

	while (*at != d)
		at = &(*at)->next_in_bucket;
	*at = d->next_in_bucket;
	s->n_dests--;
	list_remove(&d->ready);
	list_remove(&d->hungry);
	heap_set(&s->wakes, &d->wake, UINT64_MAX);
	sched_lanes_fini(&d->lanes);
	free(d);
}

/* ---- what a destination waits for ---- */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t dest_blocked_until(const struct sched_dest *d)
{
	return later(d->suspended_until, d->window == 0 ? d->dead_until : 0);
}

/* A dead destination is tried with one probe. Whatever its window, some of all attempts are left to
 * others. */
static unsigned dest_places(const struct sched *s, const struct sched_dest *d)
{
	return d->window == 0 ? 1 : s->options.attempts_max - s->options.attempts_max / 4;
}

static unsigned lane_places(const struct sched_dest *d)
{
	return d->window == 0 || d->limits.rate_delay_ms > 0 ? 1 : d->window;
}

/* How many recipients are kept here: for a dead destination those of its probe. */
static unsigned dest_room(const struct sched *s, const struct sched_dest *d)
{
	return d->window == 0 ? 1 : s->options.rcpts_waiting;
}

static bool dest_is_low(const struct sched *s, const struct sched_dest *d)
{
	return d->weight <= dest_room(s, d) / 2 && d->lanes.n < LANES_MAX;
}

/* When an attempt may start, as far as time alone can tell. */
static uint64_t dest_start_at(const struct sched *s, const struct sched_dest *d)
{
	if (d->n_attempts >= dest_places(s, d))
		return UINT64_MAX;
	return later(dest_blocked_until(d), sched_lanes_start_at(&d->lanes));
}

static uint64_t dest_refill_at(const struct sched *s, const struct sched_dest *d)
{
	if (d->backlog_due == UINT64_MAX || d->is_refilling || !dest_is_low(s, d))
		return UINT64_MAX;
	return later(dest_blocked_until(d), d->backlog_due);
}

static bool dest_is_idle(const struct sched_dest *d)
{
	return d->n_parts == 0 && d->n_attempts == 0 && d->backlog_due == UINT64_MAX &&
	       !d->is_refilling;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When time alone changes something. */
static uint64_t
dest_wake_at(const struct sched_dest *d, uint64_t start, uint64_t refill, uint64_t now)
{
	if (dest_is_idle(d))
		return later(later(d->idle_since + DEST_IDLE_MS, d->rate_last),
			     dest_blocked_until(d));
	return earlier(start > now ? start : UINT64_MAX, refill > now ? refill : UINT64_MAX);
}

/* Where it takes turns with others: those of a transport with a delay stand apart, so that they
 * keep their turns while it passes. */
static struct list *dest_ring(struct sched *s, const struct sched_dest *d)
{
	return d->limits.transport_delay_ms > 0 ? &s->slow[d->limits.transport] : &s->ready;
}

/* After any change: into the rings where it belongs, and up again in time. */
static void dest_settle(struct sched *s, struct sched_dest *d, uint64_t now)
{
	sched_lanes_look(&d->lanes, lane_places(d), now);
	uint64_t start = dest_start_at(s, d), refill = dest_refill_at(s, d);

	if (!dest_is_idle(d))
		d->idle_since = now;
	list_set(dest_ring(s, d), &d->ready, start <= now);
	list_set(&s->hungry, &d->hungry, refill <= now);
	heap_set(&s->wakes, &d->wake, dest_wake_at(d, start, refill, now));
}

/* Those whose time has come. */
static void sched_look(struct sched *s, uint64_t now)
{
	struct heap_entry *e;

	while ((e = heap_first(&s->wakes)) && e->at <= now) {
		struct sched_dest *d = HEAP_OF(e, struct sched_dest, wake);
		if (dest_is_idle(d))
			dest_free(s, d);
		else
			dest_settle(s, d, now);
	}
}

struct sched_dest *
sched_dest(struct sched *s, struct str name, const struct sched_limits *limits, uint64_t now)
{
	struct sched_dest *d = sched_dest_find(s, name);
	bool is_new = !d;

	CHECK(limits->window_first > 0);
	if (is_new)
		d = dest_new(s, name);
	unsigned places = lane_places(d);

	if (d->limits.transport_delay_ms != limits->transport_delay_ms)
		list_remove(&d->ready); /* into another ring */
	d->limits = *limits;
	if (is_new)
		d->window = limits->window_first;
	if (limits->window_max > 0 && d->window > limits->window_max)
		d->window = limits->window_max;
	d->idle_since = now;
	if (lane_places(d) != places)
		sched_lanes_settle(&d->lanes, lane_places(d), now);
	dest_settle(s, d, now);
	return d;
}

/* ---- parts ---- */

static unsigned part_left(const struct sched_part *p)
{
	return p->n_rcpts - p->n_taken;
}

unsigned sched_weight(unsigned n_rcpts)
{
	return n_rcpts < SCHED_WEIGHT_MAX ? n_rcpts : SCHED_WEIGHT_MAX;
}

static unsigned part_weight(const struct sched_part *p)
{
	return sched_weight(part_left(p));
}

/* To the end of those that wait. */
static void part_enter(struct sched_part *part)
{
	list_add(&part->lane->parts, &part->link);
	part->lane->n_parts++;
	part->dest->n_parts++;
	part->dest->n_rcpts += part_left(part);
	part->dest->weight += part_weight(part);
}

bool sched_has_room(const struct sched *s, const struct sched_dest *d)
{
	return d->weight < dest_room(s, d) && d->lanes.n < LANES_MAX;
}

bool sched_is_crowded(struct sched *s, struct sched_dest *d, struct str who)
{
	uint64_t key = lane_key(s, who);
	struct sched_lane *lane = key ? sched_lanes_find(&d->lanes, key) : NULL;

	if (!lane || lane->n_parts < LANE_PARTS_MAX)
		return false;
	lane->is_short = true;
	return true;
}

/* May free the lane. */
static void
lane_settle(struct sched *s, struct sched_dest *d, struct sched_lane *lane, uint64_t now)
{
	if (lane->is_short && lane->n_parts <= LANE_PARTS_MAX / 2) {
		lane->is_short = false;
		d->backlog_due = earlier(d->backlog_due, now);
	}
	sched_lane_settle(&d->lanes, lane, lane_places(d), now);
	dest_settle(s, d, now);
}

void sched_add(struct sched *s, struct sched_dest *d, struct sched_part *part, uint64_t now)
{
	CHECK(part->n_rcpts > 0);
	part->dest = d;
	part->lane = sched_lanes_get(&d->lanes, lane_key(s, part->who));
	part->n_taken = 0;
	part_enter(part);
	lane_settle(s, d, part->lane, now);
}

static void part_leave(struct sched_part *part)
{
	list_remove(&part->link);
	part->lane->n_parts--;
	part->dest->n_parts--;
	part->dest->n_rcpts -= part_left(part);
	part->dest->weight -= part_weight(part);
}

void sched_remove(struct sched *s, struct sched_part *part, uint64_t now)
{
	part_leave(part);
	lane_settle(s, part->dest, part->lane, now);
}

struct sched_part *sched_take_back(struct sched *s, struct sched_dest *d, uint64_t now)
{
	if (list_is_empty(&d->lanes.waiting))
		return NULL;
	struct sched_lane *lane = LIST_OF(d->lanes.waiting.next, struct sched_lane, waiting);
	struct sched_part *part = LIST_OF(lane->parts.next, struct sched_part, link);

	sched_remove(s, part, now);
	return part;
}

/* ---- the store ---- */

void sched_backlog(struct sched *s, struct sched_dest *d, uint64_t due, uint64_t now)
{
	d->backlog_due = earlier(d->backlog_due, due);
	dest_settle(s, d, now);
}

bool sched_refill(struct sched *s, uint64_t now, struct sched_dest **dest, unsigned *room)
{
	sched_look(s, now);
	struct list *link = list_take(&s->hungry);

	if (!link)
		return false;
	struct sched_dest *d = LIST_OF(link, struct sched_dest, hungry);

	*dest = d;
	*room = dest_room(s, d) - d->weight;
	d->is_refilling = true;
	d->backlog_due = UINT64_MAX; /* what comes while the store is read is told again */
	dest_settle(s, d, now);
	return true;
}

void sched_refilled(struct sched *s, struct sched_dest *d, uint64_t due, uint64_t now)
{
	CHECK(d->is_refilling);
	d->is_refilling = false;
	d->refilled_at = now;
	sched_backlog(s, d, due, now);
}

struct sched_place *sched_place(struct sched_dest *d)
{
	return &d->place;
}

/* ---- attempts ---- */

/* Some recipients of the lane's first part; what is left of it waits for its next turn. */
static struct sched_start lane_start(struct sched_dest *d, struct sched_lane *lane)
{
	struct sched_part *part = LIST_OF(lane->parts.next, struct sched_part, link);
	unsigned n = part_left(part), first = part->n_taken;

	if (d->limits.rcpts_max > 0 && n > d->limits.rcpts_max)
		n = d->limits.rcpts_max;
	part_leave(part);
	part->n_taken += n;
	if (part_left(part) > 0)
		part_enter(part);
	return (struct sched_start){ part, first, n };
}

static struct sched_start dest_start(struct sched *s, struct sched_dest *d, uint64_t now)
{
	struct list *link = list_take(&d->lanes.ready);
	struct sched_lane *lane = LIST_OF(link, struct sched_lane, ready);
	struct sched_start start = lane_start(d, lane);

	lane->n_attempts++;
	d->n_attempts++;
	s->n_attempts++;
	lane_settle(s, d, lane, now);
	return start;
}

/* Whether an attempt of a transport with a delay may begin, which it then does: other threads ask,
 * too. A time further ahead than the delay is that of a longer one, which counts no more. */
static bool transport_take(struct sched *s, const struct sched_limits *l, uint64_t now)
{
	uint64_t *at = &s->options.transport_next[l->transport];
	uint64_t next = __atomic_load_n(at, __ATOMIC_RELAXED);

	if (next > now && next - now <= l->transport_delay_ms)
		return false;
	return __atomic_compare_exchange_n(at, &next, now + l->transport_delay_ms, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* Whose turn it is; out of its ring. NULL: nobody's. */
static struct sched_dest *dest_next(struct sched *s, uint64_t now)
{
	struct list *link;

	for (size_t i = 0; i < SCHED_TRANSPORTS; i++) {
		if (list_is_empty(&s->slow[i]))
			continue;
		struct sched_dest *d = LIST_OF(s->slow[i].next, struct sched_dest, ready);
		if (!transport_take(s, &d->limits, now))
			continue;
		list_remove(&d->ready);
		return d;
	}
	link = list_take(&s->ready);
	return link ? LIST_OF(link, struct sched_dest, ready) : NULL;
}

bool sched_next(struct sched *s, uint64_t now, struct sched_start *out)
{
	sched_look(s, now);
	if (s->n_attempts >= s->options.attempts_max)
		return false;
	struct sched_dest *d = dest_next(s, now);

	if (!d)
		return false;
	*out = dest_start(s, d, now);
	return true;
}

static void dest_die(const struct sched *s, struct sched_dest *d, uint64_t now)
{
	uint64_t wait = s->options.dead_ms;

	for (unsigned i = 0; i < d->n_deaths && wait < s->options.dead_ms_max; i++)
		wait *= 2;
	d->window = 0;
	d->n_deaths++;
	d->dead_until = now + earlier(wait, later(s->options.dead_ms, s->options.dead_ms_max));
}

/* The window shrinks at the beginning of a sequence of failures, and grows at the end of one of
 * successes: too much load is met at once. */
static void dest_shrink(struct sched_dest *d)
{
	for (d->failures -= sched_gain_of(d->limits.negative, d->window); d->failures < 0;
	     d->failures += SCHED_ONE) {
		d->successes = 0;
		if (d->window > 1)
			d->window--;
	}
}

/* Half of what the next one would add counts already, so that sums of fractions are not one
 * short. */
static void dest_grow(struct sched_dest *d)
{
	int64_t more = sched_gain_of(d->limits.positive, d->window);

	for (d->successes += more; d->successes + more / 2 >= SCHED_ONE;
	     d->successes -= SCHED_ONE) {
		d->failures = 0;
		if (d->limits.window_max == 0 || d->window < d->limits.window_max)
			d->window++;
	}
}

/* The first window, of a destination that is new, or back from the dead. */
static unsigned window_first(const struct sched_limits *l)
{
	return l->window_max > 0 && l->window_first > l->window_max ? l->window_max
								    : l->window_first;
}

static void dest_trouble(const struct sched *s, struct sched_dest *d, uint64_t now)
{
	if (d->window == 0) { /* a probe, or one of those that were under way when it died */
		if (d->dead_until <= now)
			dest_die(s, d, now);
		return;
	}
	d->cohorts += (SCHED_ONE + d->window - 1) / d->window;
	if (d->limits.cohorts_max > 0 && d->cohorts / SCHED_ONE >= d->limits.cohorts_max) {
		dest_die(s, d, now);
		return;
	}
	dest_shrink(d);
}

static void dest_success(struct sched_dest *d, const struct sched_lane *lane)
{
	d->cohorts = 0;
	d->n_deaths = 0;
	if (d->window == 0) {
		d->window = window_first(&d->limits);
		d->successes = d->failures = 0;
		return;
	}
	/* A window that is not used says nothing about a larger one. */
	if (d->window >= lane->n_attempts + d->limits.window_first)
		return;
	dest_grow(d);
}

void sched_done(struct sched *s, struct sched_dest *d, struct str who, enum sched_feedback f,
		uint64_t now)
{
	struct sched_lane *lane = sched_lanes_find(&d->lanes, lane_key(s, who));
	unsigned places = lane_places(d);

	CHECK(lane && lane->n_attempts > 0);
	switch (f) {
	case SCHED_OK:
		dest_success(d, lane);
		break;
	case SCHED_NEUTRAL:
		break;
	case SCHED_TROUBLE:
		dest_trouble(s, d, now);
		break;
	}
	lane->n_attempts--;
	d->n_attempts--;
	s->n_attempts--;
	lane->rate_next = now + d->limits.rate_delay_ms;
	d->rate_last = later(d->rate_last, lane->rate_next);
	if (lane_places(d) != places)
		sched_lanes_settle(&d->lanes, lane_places(d), now);
	else
		sched_lane_settle(&d->lanes, lane, lane_places(d), now);
	dest_settle(s, d, now);
}

void sched_suspend(struct sched *s, struct sched_dest *d, uint64_t until, uint64_t now)
{
	d->suspended_until = later(d->suspended_until, until);
	dest_settle(s, d, now);
}

void sched_wake(struct sched *s, struct sched_dest *d, uint64_t now)
{
	if (d->window == 0)
		d->window = 1;
	d->cohorts = 0;
	d->n_deaths = 0;
	d->suspended_until = d->rate_last = 0;
	sched_lanes_wake(&d->lanes, lane_places(d), now);
	sched_backlog(s, d, d->backlog_due == UINT64_MAX ? UINT64_MAX : now, now);
}

/* ---- the whole ---- */

static void options_check(const struct sched_options *o)
{
	CHECK(o->attempts_max > 0 && o->rcpts_waiting > 0 && o->dead_ms > 0);
}

struct sched *sched_new(const struct sched_options *o)
{
	struct sched *s = base_alloc(sizeof(*s));

	options_check(o);
	s->options = *o;
	list_init(&s->ready);
	for (size_t i = 0; i < SCHED_TRANSPORTS; i++)
		list_init(&s->slow[i]);
	list_init(&s->hungry);
	buckets_grow(s);
	return s;
}

void sched_set_options(struct sched *s, const struct sched_options *o)
{
	uint64_t seed = s->options.seed, *transport_next = s->options.transport_next;

	options_check(o);
	s->options = *o;
	s->options.seed = seed; /* the names are hashed with it */
	s->options.transport_next = transport_next;
}

void sched_each(const struct sched *s, void (*dest)(void *arg, struct sched_dest *d), void *arg)
{
	for (size_t i = 0; i < s->n_buckets; i++)
		for (struct sched_dest *d = s->bucket[i]; d; d = d->next_in_bucket)
			dest(arg, d);
}

void sched_free(struct sched *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_buckets; i++)
		while (s->bucket[i])
			dest_free(s, s->bucket[i]);
	heap_fini(&s->wakes);
	free(s->bucket);
	free(s);
}

uint64_t sched_deadline(const struct sched *s)
{
	const struct heap_entry *e = heap_first(&s->wakes);
	uint64_t at = e ? e->at : UINT64_MAX;

	if (s->n_attempts >= s->options.attempts_max)
		return at;
	for (size_t i = 0; i < SCHED_TRANSPORTS; i++)
		if (!list_is_empty(&s->slow[i]))
			at = earlier(at, __atomic_load_n(&s->options.transport_next[i],
							 __ATOMIC_RELAXED));
	return at;
}

struct sched_dest_view sched_view(const struct sched_dest *d, uint64_t now)
{
	uint64_t blocked = dest_blocked_until(d);

	return (struct sched_dest_view){
		.name = dest_name(d),
		.window = d->window,
		.n_attempts = d->n_attempts,
		.n_parts = d->n_parts,
		.n_rcpts = d->n_rcpts,
		.weight = d->weight,
		.blocked_until = blocked > now ? blocked : 0,
		.backlog_due = d->backlog_due,
		.refilled_at = d->refilled_at,
	};
}

static void totals_add(void *arg, struct sched_dest *d)
{
	struct sched_totals *t = arg;

	t->n_dests++;
	t->n_dead += d->window == 0;
	t->n_attempts += d->n_attempts;
	t->n_parts += d->n_parts;
	t->n_rcpts += d->n_rcpts;
}

struct sched_totals sched_totals(const struct sched *s)
{
	struct sched_totals t = { 0 };

	sched_each(s, totals_add, &t);
	return t;
}

uint64_t sched_retry_after(uint64_t age, uint64_t least, uint64_t most)
{
	return age < least ? least : age > most ? later(most, least) : age;
}
