/* The wall clock, next to the one that only goes on. A message's age is what both say: when the
 * wall clock was set ahead, what was in the queue then is not older for it, until the new time has
 * stood for a day. Set back again meanwhile, no harm was done. */

#include "queue/inside.h"

enum {
	CLOCK_JUMP_MS = 10 * 60 * 1000,       /* less is no jump */
	CLOCK_DOUBT_MS = 24 * 60 * 60 * 1000, /* how long a new time is not believed */
	CLOCK_SAME_MS = 60 * 1000,            /* two members saw one jump */
};

static void clock_log(struct queue *q, int64_t jump_ms)
{
	struct log_value v = { .field = FIELD_seconds, .number = jump_ms / 1000 };

	queue_log(q, EVENT_clock_jumped, &v, 1);
}

/* Each member sees it, and one says it. */
static void clock_tell(struct queue *q, int64_t jump_ms)
{
	int64_t *told = queue_team_clock(q->options.team);
	int64_t before = __atomic_load_n(told, __ATOMIC_RELAXED);
	int64_t news = q->clock.jumps_ms - before;

	if ((news > CLOCK_SAME_MS || news < -CLOCK_SAME_MS) &&
	    __atomic_compare_exchange_n(told, &before, q->clock.jumps_ms, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		clock_log(q, jump_ms);
}

static bool is_in_doubt(const struct queue_clock *c)
{
	return c->ahead_ms > 0 && c->mono_ms < c->doubted_until;
}

static void clock_jumped(struct queue_clock *c, int64_t jump_ms, int64_t wall_before_ms)
{
	if (!is_in_doubt(c))
		c->ahead_ms = 0;
	c->ahead_ms += jump_ms;
	if (jump_ms < 0)
		return;
	c->jumped_at_ms = wall_before_ms;
	c->doubted_until = c->mono_ms + CLOCK_DOUBT_MS;
}

void queue_clock_look(struct queue *q)
{
	struct queue_clock *c = &q->clock;
	uint64_t mono = net_loop_now(q->options.loop);
	int64_t wall = queue_now_utc();
	int64_t jump = wall - c->wall_ms - (int64_t)(mono - c->mono_ms);
	bool is_first = c->mono_ms == 0;

	c->wall_ms = wall;
	c->mono_ms = mono;
	if (is_first || (jump <= CLOCK_JUMP_MS && jump >= -CLOCK_JUMP_MS))
		return;
	clock_jumped(c, jump, wall - jump);
	c->jumps_ms += jump;
	clock_tell(q, jump);
}

bool queue_clock_is_in_doubt(const struct queue *q)
{
	return is_in_doubt(&q->clock);
}

int64_t queue_arrived(const struct queue *q, int64_t arrived_ms)
{
	const struct queue_clock *c = &q->clock;

	if (!is_in_doubt(c) || arrived_ms > c->jumped_at_ms)
		return arrived_ms;
	return arrived_ms + c->ahead_ms;
}
