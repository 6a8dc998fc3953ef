#include "sched/sched.h"

#include "base/test.h"

static const struct sched_options options = {
	.seed = 42,
	.attempts_max = 1000,
	.rcpts_waiting = 100,
	.dead_ms = 300000,
	.dead_ms_max = 4000000,
};

static const struct sched_limits limits = {
	.window_first = 5,
	.window_max = 20,
	.rcpts_max = 50,
	.cohorts_max = 1,
	.positive = { SCHED_ONE, SCHED_FIXED },
	.negative = { SCHED_ONE, SCHED_FIXED },
};

/* A part that waits; the name is that of its destination. */
static struct sched_part *add(struct sched *s, struct str name, unsigned n, uint64_t now)
{
	struct sched_part *p = base_alloc(sizeof(*p));

	p->n_rcpts = n;
	sched_add(s, sched_dest(s, name, &limits, now), p, now);
	return p;
}

/* Starts all that may start: how many attempts. */
static unsigned start_all(struct sched *s, uint64_t now)
{
	struct sched_start start;
	unsigned n = 0;

	while (sched_next(s, now, &start)) {
		if (start.first + start.n == start.part->n_rcpts)
			free(start.part);
		n++;
	}
	return n;
}

static void free_waiting(struct sched *s, struct sched_dest *d)
{
	struct sched_part *p;

	while ((p = sched_take_back(s, d, 0)))
		free(p);
}

static void free_of_dest(void *arg, struct sched_dest *d)
{
	free_waiting(arg, d);
}

static void finish(struct sched *s)
{
	sched_each(s, free_of_dest, s);
	sched_free(s);
}

TEST(a_window_bounds_the_attempts_and_grows_with_success)
{
	struct sched *s = sched_new(&options);
	struct sched_dest *d;

	for (int i = 0; i < 90; i++)
		(void)!add(s, STR("smtp:a"), 1, 1);
	d = sched_dest_find(s, STR("smtp:a"));
	ok(start_all(s, 1) == 5, "initial_destination_concurrency");
	sched_done(s, d, STR(""), SCHED_OK, 2);
	ok(start_all(s, 2) == 2, "one place is free and one is new");
	for (int i = 0; i < 30; i++) {
		sched_done(s, d, STR(""), SCHED_OK, 3);
		(void)!start_all(s, 3);
	}
	ok(sched_view(d, 3).window == 20, "destination_concurrency_limit");
	ok(sched_view(d, 3).n_attempts == 20, "and no more attempts than that");
	finish(s);
}

TEST(a_window_that_is_not_used_does_not_grow)
{
	struct sched *s = sched_new(&options);
	struct sched_dest *d = sched_dest(s, STR("smtp:a"), &limits, 1);

	for (int i = 0; i < 30; i++) {
		(void)!add(s, STR("smtp:a"), 1, 1);
		ok(start_all(s, 1) == 1, "one at a time");
		sched_done(s, d, STR(""), SCHED_OK, 1);
	}
	ok(sched_view(d, 1).window <= 6, "only as far as the attempts went");
	finish(s);
}

TEST(trouble_shrinks_the_window_and_a_whole_cohort_of_it_kills)
{
	struct sched_limits patient = limits;
	struct sched *s = sched_new(&options);

	patient.cohorts_max = 2;
	struct sched_dest *d = sched_dest(s, STR("smtp:a"), &patient, 1);
	for (int i = 0; i < 90; i++) {
		struct sched_part *p = base_alloc(sizeof(*p));
		p->n_rcpts = 1;
		sched_add(s, d, p, 1);
	}
	ok(start_all(s, 1) == 5, "five at once");
	sched_done(s, d, STR(""), SCHED_TROUBLE, 2);
	ok(sched_view(d, 2).window == 4, "one place less");
	sched_done(s, d, STR(""), SCHED_OK, 2);
	ok(sched_view(d, 2).window == 5, "and one more");
	/* 1/5 + 1/4 + 1/3 + 1/2 + 1 > 2 */
	for (int i = 0; i < 3; i++)
		sched_done(s, d, STR(""), SCHED_TROUBLE, 2);
	ok(sched_view(d, 2).window == 2, "three places less");
	(void)!start_all(s, 2);
	sched_done(s, d, STR(""), SCHED_TROUBLE, 2);
	ok(sched_view(d, 2).window == 1, "the last place stays");
	(void)!start_all(s, 2);
	sched_done(s, d, STR(""), SCHED_TROUBLE, 2);
	ok(sched_view(d, 2).window == 0, "dead");
	ok(sched_view(d, 2).blocked_until == 2 + options.dead_ms, "for minimal_backoff_time");
	finish(s);
}

static const struct {
	const char *rule, *feedback;
	bool is_success;
	unsigned windows[8]; /* from 10, after each of seven events; 0: the end */
} feedback_cases[] = {
	{ "one by one, down", "1", false, { 9, 8, 7, 6 } },
	{ "at the beginning of a sequence", "0.25", false, { 9, 9, 9, 9, 8, 8, 8 } },
	{ "one by one, up", "1", true, { 11, 12, 13, 14 } },
	{ "at the end of a sequence", "1/3", true, { 10, 10, 11, 10 + 1, 11, 12 } },
	{ "half", "5/10", true, { 10, 11, 11, 12 } },
	{ "by its root", "1/sqrt_concurrency", false, { 9, 9, 9, 8 } },
	{ "nothing, down", "0", false, { 10, 10, 10 } },
	{ "nothing, up", "0", true, { 10, 10, 10 } },
};

TEST(feedback_moves_the_window)
{
	FOR_EACH(c, feedback_cases) {
		struct sched *s = sched_new(&options);
		struct sched_limits l = limits;
		l.window_first = 10;
		l.cohorts_max = 0;
		ok(sched_gain_parse(str_of(c->feedback), c->is_success ? &l.positive : &l.negative),
		   c->rule);
		struct sched_dest *d = sched_dest(s, STR("smtp:a"), &l, 1);
		for (int i = 0; i < 60; i++) {
			struct sched_part *p = base_alloc(sizeof(*p));
			p->n_rcpts = 1;
			sched_add(s, d, p, 1);
		}
		for (unsigned i = 0; i < 7 && c->windows[i] > 0; i++) {
			(void)!start_all(s, 1);
			sched_done(s, d, STR(""), c->is_success ? SCHED_OK : SCHED_TROUBLE, 1);
			ok(sched_view(d, 1).window == c->windows[i], c->rule);
		}
		finish(s);
	}
}

TEST(feedback_of_the_other_kind_counts_on_until_the_window_moves)
{
	struct sched *s = sched_new(&options);
	struct sched_limits l = limits;

	l.window_first = 10;
	l.cohorts_max = 0;
	ok(sched_gain_parse(STR("0.5"), &l.positive), "half a place");
	struct sched_dest *d = sched_dest(s, STR("smtp:a"), &l, 1);
	for (int i = 0; i < 60; i++)
		(void)!add(s, STR("smtp:a"), 1, 1);
	d = sched_dest(s, STR("smtp:a"), &l, 1);
	(void)!start_all(s, 1);
	sched_done(s, d, STR(""), SCHED_OK, 1);
	ok(sched_view(d, 1).window == 10, "half");
	(void)!start_all(s, 1);
	sched_done(s, d, STR(""), SCHED_TROUBLE, 1);
	ok(sched_view(d, 1).window == 9, "down, and what was gained is gone");
	(void)!start_all(s, 1);
	sched_done(s, d, STR(""), SCHED_OK, 1);
	ok(sched_view(d, 1).window == 9, "half");
	(void)!start_all(s, 1);
	sched_done(s, d, STR(""), SCHED_OK, 1);
	ok(sched_view(d, 1).window == 10, "whole");
	finish(s);
}

TEST(many_cohorts_are_counted)
{
	struct sched_limits l = limits;
	struct sched *s = sched_new(&options);

	l.cohorts_max = 5000;
	l.window_first = l.window_max = 1;
	struct sched_dest *d = sched_dest(s, STR("smtp:a"), &l, 1);
	struct sched_part *p = base_alloc(sizeof(*p));
	p->n_rcpts = 6000 * 50;
	sched_add(s, d, p, 1);
	for (int i = 0; i < 4999; i++) {
		ok(start_all(s, 1) == 1, "one place");
		sched_done(s, d, STR(""), SCHED_TROUBLE, 1);
	}
	ok(sched_view(d, 1).window == 1, "one less than the limit");
	ok(start_all(s, 1) == 1, "one place");
	sched_done(s, d, STR(""), SCHED_TROUBLE, 1);
	ok(sched_view(d, 1).window == 0, "dead");
	finish(s);
}

TEST(no_destination_takes_all_attempts)
{
	struct sched_options few = options;
	struct sched_limits l = limits;

	few.attempts_max = 8;
	l.window_first = 50;
	l.window_max = 0;
	struct sched *s = sched_new(&few);
	struct sched_dest *d = sched_dest(s, STR("smtp:a"), &l, 1);
	for (int i = 0; i < 20; i++) {
		struct sched_part *p = base_alloc(sizeof(*p));
		p->n_rcpts = 1;
		sched_add(s, d, p, 1);
	}
	ok(start_all(s, 1) == 6, "three quarters");
	(void)!add(s, STR("smtp:b"), 1, 1);
	ok(start_all(s, 1) == 1, "another has its place");
	finish(s);
}

TEST(a_large_message_leaves_room)
{
	struct sched_options o = options;

	o.rcpts_waiting = 1000;
	struct sched *s = sched_new(&o);
	(void)!add(s, STR("smtp:a"), 50000, 1);
	struct sched_dest *d = sched_dest_find(s, STR("smtp:a"));
	ok(sched_has_room(s, d), "for others");
	for (int i = 0; i < 9; i++)
		(void)!add(s, STR("smtp:a"), 100, 1);
	ok(!sched_has_room(s, d), "for so many");
	ok(sched_view(d, 1).n_rcpts == 50900, "all are counted");
	finish(s);
}

TEST(the_first_window_is_within_the_limit)
{
	struct sched_limits l = limits;
	struct sched *s = sched_new(&options);

	l.window_max = 2;
	struct sched_dest *d = sched_dest(s, STR("smtp:a"), &l, 1);
	ok(sched_view(d, 1).window == 2, "when it is new");
	for (int i = 0; i < 9; i++) {
		struct sched_part *p = base_alloc(sizeof(*p));
		p->n_rcpts = 1;
		sched_add(s, d, p, 1);
	}
	ok(start_all(s, 1) == 2, "two");
	sched_done(s, d, STR(""), SCHED_TROUBLE, 1);
	sched_done(s, d, STR(""), SCHED_TROUBLE, 1);
	ok(sched_view(d, 1).window == 0, "dead");
	ok(start_all(s, 1 + options.dead_ms) == 1, "the probe");
	sched_done(s, d, STR(""), SCHED_OK, 1 + options.dead_ms);
	ok(sched_view(d, 1).window == 2, "and when it is back");
	finish(s);
}

TEST(a_dead_destination_gets_one_probe_after_a_time_that_doubles)
{
	struct sched *s = sched_new(&options);
	uint64_t now = 1, wait = options.dead_ms;

	for (int i = 0; i < 90; i++)
		(void)!add(s, STR("smtp:a"), 1, now);
	struct sched_dest *d = sched_dest_find(s, STR("smtp:a"));
	ok(start_all(s, now) == 5, "alive");
	for (int i = 0; i < 5; i++)
		sched_done(s, d, STR(""), SCHED_TROUBLE, now);
	for (int i = 0; i < 6; i++) {
		ok(sched_view(d, now).blocked_until == now + wait, "left alone");
		ok(start_all(s, now + wait - 1) == 0, "not a moment before");
		ok(sched_deadline(s) == now + wait, "and up again in time");
		now += wait;
		ok(start_all(s, now) == 1, "one probe");
		sched_done(s, d, STR(""), SCHED_TROUBLE, now);
		wait = wait * 2 < options.dead_ms_max ? wait * 2 : options.dead_ms_max;
	}
	now += wait;
	ok(start_all(s, now) == 1, "one probe");
	sched_done(s, d, STR(""), SCHED_OK, now);
	ok(start_all(s, now) == 5, "back with the initial window");
	finish(s);
}

TEST(what_was_under_way_at_a_death_does_not_prolong_it_but_may_end_it)
{
	struct sched *s = sched_new(&options);

	for (int i = 0; i < 9; i++)
		(void)!add(s, STR("smtp:a"), 1, 1);
	ok(start_all(s, 1) == 5, "five");
	struct sched_dest *d = sched_dest_find(s, STR("smtp:a"));
	for (int i = 0; i < 3; i++)
		sched_done(s, d, STR(""), SCHED_TROUBLE, 1);
	ok(sched_view(d, 1).window > 0, "1/5 + 1/4 + 1/3 is no whole cohort");
	sched_done(s, d, STR(""), SCHED_TROUBLE, 1);
	ok(sched_view(d, 1).blocked_until == 1 + options.dead_ms, "with 1/2 it is: dead");
	(void)!add(s, STR("smtp:a"), 1, 50);
	sched_done(s, d, STR(""), SCHED_TROUBLE, 50);
	ok(sched_view(d, 50).blocked_until == 1 + options.dead_ms,
	   "no longer for the last of them");

	uint64_t now = 1 + options.dead_ms;
	ok(start_all(s, now) == 1, "the probe");
	sched_done(s, d, STR(""), SCHED_OK, now);
	ok(start_all(s, now) == 4, "alive, with all that waits");
	for (int i = 0; i < 3; i++)
		sched_done(s, d, STR(""), SCHED_TROUBLE, now);
	sched_done(s, d, STR(""), SCHED_OK, now);
	ok(sched_view(d, now).window > 0, "one that was taken forgives the others");
	finish(s);
}

TEST(destinations_take_turns)
{
	struct sched_options few = options;
	struct sched_start start;

	few.attempts_max = 4;
	struct sched *s = sched_new(&few);
	for (int i = 0; i < 90; i++)
		(void)!add(s, STR("smtp:large"), 1, 1);
	for (int i = 0; i < 2; i++)
		(void)!add(s, STR("smtp:small"), 1, 1);
	unsigned n_small = 0;
	for (int i = 0; i < 4; i++) {
		ok(sched_next(s, 1, &start), "below attempts_max");
		n_small += start.part->dest == sched_dest_find(s, STR("smtp:small"));
		free(start.part);
	}
	ok(n_small == 2, "the small one has its turns between those of the large one");
	ok(!sched_next(s, 1, &start), "attempts_max");
	finish(s);
}

TEST(messages_of_a_destination_take_turns)
{
	struct sched *s = sched_new(&options);
	struct sched_part *huge = add(s, STR("smtp:a"), 500, 1);
	struct sched_part *one = add(s, STR("smtp:a"), 1, 1);
	struct sched_start start;

	ok(sched_next(s, 1, &start) && start.part == huge && start.first == 0 && start.n == 50,
	   "destination_recipient_limit recipients of the first");
	ok(sched_next(s, 1, &start) && start.part == one && start.n == 1, "then the other");
	ok(sched_next(s, 1, &start) && start.part == huge && start.first == 50, "then the first");
	free(one);
	finish(s);
}

TEST(a_rate_delay_is_one_attempt_at_a_time)
{
	struct sched_limits slow = limits;
	struct sched *s = sched_new(&options);

	slow.rate_delay_ms = 1000;
	(void)!add(s, STR("smtp:a"), 1, 1);
	(void)!add(s, STR("smtp:a"), 1, 1);
	struct sched_dest *d = sched_dest(s, STR("smtp:a"), &slow, 1);
	ok(start_all(s, 1) == 1, "one");
	ok(start_all(s, 9000) == 0, "while it is under way none");
	sched_done(s, d, STR(""), SCHED_OK, 10000);
	ok(start_all(s, 10999) == 0, "nor within the delay");
	ok(sched_deadline(s) == 11000, "up again in time");
	ok(start_all(s, 11000) == 1, "then the next");
	sched_done(s, d, STR(""), SCHED_OK, 11000);
	finish(s);
}

/* A part of one recipient that is counted by itself. */
static struct sched_part *
add_for(struct sched *s, const struct sched_limits *l, struct str who, uint64_t now)
{
	struct sched_part *p = base_alloc(sizeof(*p));

	p->n_rcpts = 1;
	p->who = who;
	sched_add(s, sched_dest(s, STR("lmtp:a"), l, now), p, now);
	return p;
}

TEST(recipients_of_their_own_have_the_window_each)
{
	struct sched_limits l = limits;
	struct sched *s = sched_new(&options);

	l.window_first = l.window_max = 2;
	for (int i = 0; i < 9; i++)
		(void)!add_for(s, &l, STR("anna"), 1);
	(void)!add_for(s, &l, STR("bert"), 1);
	struct sched_dest *d = sched_dest_find(s, STR("lmtp:a"));
	ok(start_all(s, 1) == 3, "two of the one, who is waited for by nobody else");
	sched_done(s, d, STR("bert"), SCHED_OK, 1);
	ok(start_all(s, 1) == 0, "whose place is not the other's");
	sched_done(s, d, STR("anna"), SCHED_OK, 1);
	ok(start_all(s, 1) == 1, "the next");
	ok(sched_view(d, 1).n_attempts == 2 && sched_view(d, 1).n_parts == 6, "counted together");
	for (int i = 0; i < 2; i++)
		sched_done(s, d, STR("anna"), SCHED_TROUBLE, 2);
	ok(sched_view(d, 2).window == 0, "no host can be reached: for nobody");
	(void)!add_for(s, &l, STR("bert"), 3);
	ok(start_all(s, 2 + options.dead_ms) == 1, "one probe");
	finish(s);
}

TEST(recipients_of_their_own_have_the_rate_delay_each)
{
	struct sched_limits l = limits;
	struct sched *s = sched_new(&options);

	l.rate_delay_ms = 1000;
	(void)!add_for(s, &l, STR("anna"), 1);
	(void)!add_for(s, &l, STR("anna"), 1);
	(void)!add_for(s, &l, STR("bert"), 1);
	struct sched_dest *d = sched_dest_find(s, STR("lmtp:a"));
	ok(start_all(s, 1) == 2, "one of each");
	sched_done(s, d, STR("anna"), SCHED_OK, 500);
	sched_done(s, d, STR("bert"), SCHED_OK, 900);
	(void)!add_for(s, &l, STR("bert"), 950);
	(void)!add_for(s, &l, STR("carl"), 950);
	ok(start_all(s, 1499) == 1, "who had none yet");
	ok(sched_deadline(s) == 1500, "up again in time");
	ok(start_all(s, 1500) == 1, "the first");
	ok(sched_deadline(s) == 1900 && start_all(s, 1900) == 1, "the second");
	sched_wake(s, d, 1900);
	for (int i = 0; i < 2; i++)
		(void)!add_for(s, &l, i ? STR("carl") : STR("anna"), 1900);
	sched_done(s, d, STR("carl"), SCHED_OK, 1901);
	sched_wake(s, d, 1902);
	ok(start_all(s, 1902) == 1, "an operator does not wait");
	finish(s);
}

TEST(a_crowd_for_one_recipient_stays_in_the_store)
{
	struct sched_limits l = limits;
	struct sched *s = sched_new(&options);
	struct sched_dest *d, *who;
	unsigned room, n = 0;

	l.window_first = l.window_max = 1;
	(void)!add_for(s, &l, STR("anna"), 1);
	d = sched_dest_find(s, STR("lmtp:a"));
	for (; !sched_is_crowded(s, d, STR("anna")); n++)
		(void)!add_for(s, &l, STR("anna"), 1);
	ok(n < options.rcpts_waiting && sched_has_room(s, d), "others have room");
	ok(!sched_is_crowded(s, d, STR("bert")) && !sched_is_crowded(s, d, STR("")),
	   "and may come");
	ok(!sched_refill(s, 1, &who, &room), "more is not asked for");
	for (unsigned i = 0; i <= n && !sched_refill(s, 1, &who, &room); i++) {
		ok(start_all(s, 1) == 1, "one at a time");
		sched_done(s, d, STR("anna"), SCHED_OK, 1);
	}
	ok(who == d && sched_view(d, 1).n_parts > 0, "until some of it was tried");
	sched_refilled(s, d, UINT64_MAX, 1);
	finish(s);
}

TEST(a_transport_with_a_delay_begins_one_attempt_in_that_time)
{
	uint64_t next[SCHED_TRANSPORTS] = { 0 };
	struct sched_options o = options;
	struct sched_limits l = limits, other = limits;

	o.transport_next = next;
	struct sched *s = sched_new(&o), *elsewhere = sched_new(&o);
	l.transport = other.transport = SCHED_OF_RELAY;
	l.transport_delay_ms = 1000;
	struct sched_part *p[4];
	for (int i = 0; i < 4; i++) {
		p[i] = base_alloc(sizeof(*p[i]));
		p[i]->n_rcpts = 1;
	}
	sched_add(s, sched_dest(s, STR("relay:a"), &l, 1), p[0], 1);
	sched_add(s, sched_dest(s, STR("relay:a"), &l, 1), p[1], 1);
	sched_add(s, sched_dest(s, STR("relay:b"), &l, 1), p[2], 1);
	sched_add(elsewhere, sched_dest(elsewhere, STR("relay:c"), &l, 1), p[3], 1);
	(void)!add(s, STR("smtp:a"), 1, 1);
	ok(start_all(s, 1) == 2, "one, and one of another transport");
	ok(start_all(elsewhere, 1) == 0 && sched_deadline(elsewhere) == 1001, "no other thread");
	ok(start_all(s, 1000) == 0 && sched_deadline(s) == 1001, "not within the delay");
	ok(start_all(s, 1001) == 1 &&
		   sched_view(sched_dest_find(s, STR("relay:b")), 1).n_parts == 0,
	   "destinations take turns, while the first is still under way");
	ok(start_all(elsewhere, 1001) == 0 && sched_deadline(elsewhere) == 2001, "threads, too");
	ok(start_all(elsewhere, 2001) == 1, "up again in time");
	(void)!sched_dest(s, STR("relay:a"), &other, 2002);
	ok(start_all(s, 2002) == 1 && sched_deadline(s) != 3001, "a reload has taken it away");
	finish(s);
	finish(elsewhere);
}

TEST(a_shorter_delay_counts_at_once)
{
	uint64_t next[SCHED_TRANSPORTS] = { [SCHED_OF_SMTP] = 3600000 };
	struct sched_options o = options;
	struct sched_limits l = limits;
	struct sched_part *p = base_alloc(sizeof(*p));

	o.transport_next = next;
	struct sched *s = sched_new(&o);
	l.transport_delay_ms = 1000;
	p->n_rcpts = 1;
	sched_add(s, sched_dest(s, STR("smtp:a"), &l, 1), p, 1);
	ok(start_all(s, 1) == 1 && next[SCHED_OF_SMTP] == 1001, "not what the longer one said");
	finish(s);
}

TEST(due_mail_in_the_store_is_asked_for_once)
{
	struct sched *s = sched_new(&options);
	struct sched_dest *d = sched_dest(s, STR("smtp:a"), &limits, 1), *who;
	unsigned room;

	sched_backlog(s, d, 500, 1);
	ok(!sched_refill(s, 499, &who, &room), "not due");
	ok(sched_deadline(s) == 500, "up in time");
	ok(sched_refill(s, 500, &who, &room) && who == d && room == 100, "due");
	ok(!sched_refill(s, 501, &who, &room), "it is being read");
	sched_backlog(s, d, 502, 502); /* mail that came meanwhile */
	(void)!add(s, STR("smtp:a"), 60, 503);
	sched_refilled(s, d, UINT64_MAX, 503);
	ok(!sched_refill(s, 503, &who, &room), "more than half is here");
	ok(start_all(s, 503) == 2, "60 recipients are two attempts");
	ok(sched_refill(s, 503, &who, &room) && room == 100, "room again for what came meanwhile");
	sched_refilled(s, d, UINT64_MAX, 504);
	ok(!sched_refill(s, UINT64_MAX - 1, &who, &room), "nothing left");
	finish(s);
}

TEST(a_dead_destination_reads_no_more_than_its_probe)
{
	struct sched *s = sched_new(&options);
	struct sched_dest *d, *who;
	unsigned room;

	for (int i = 0; i < 5; i++)
		(void)!add(s, STR("smtp:a"), 1, 1);
	d = sched_dest_find(s, STR("smtp:a"));
	ok(start_all(s, 1) == 5, "alive");
	for (int i = 0; i < 5; i++)
		sched_done(s, d, STR(""), SCHED_TROUBLE, 1);
	sched_backlog(s, d, 2, 2);
	ok(!sched_refill(s, options.dead_ms, &who, &room), "left alone");
	ok(sched_refill(s, 1 + options.dead_ms, &who, &room) && room == 1, "one for the probe");
	ok(sched_has_room(s, d), "which is not there yet");
	(void)!add(s, STR("smtp:a"), 1, 1 + options.dead_ms);
	ok(!sched_has_room(s, d), "no more than that");
	sched_refilled(s, d, 2, 1 + options.dead_ms);
	ok(!sched_refill(s, 1 + options.dead_ms, &who, &room), "no more than that");
	sched_wake(s, d, 2 + options.dead_ms);
	ok(sched_refill(s, 2 + options.dead_ms, &who, &room) && room == 99, "until it is woken");
	finish(s);
}

TEST(a_suspended_destination_waits)
{
	struct sched *s = sched_new(&options);

	(void)!add(s, STR("smtp:a"), 1, 1);
	struct sched_dest *d = sched_dest_find(s, STR("smtp:a"));
	sched_suspend(s, d, 700, 1);
	sched_suspend(s, d, 600, 1);
	ok(start_all(s, 699) == 0, "the longer time counts");
	ok(sched_view(d, 699).blocked_until == 700, "and is shown");
	ok(start_all(s, 700) == 1, "then it goes on");
	ok(sched_view(d, 700).window == 5, "with its window");
	sched_done(s, d, STR(""), SCHED_NEUTRAL, 700);
	finish(s);
}

TEST(an_idle_destination_is_forgotten_after_a_while)
{
	struct sched *s = sched_new(&options);
	struct sched_start start;

	(void)!add(s, STR("smtp:a"), 1, 1);
	ok(start_all(s, 1) == 1, "one");
	sched_done(s, sched_dest_find(s, STR("smtp:a")), STR(""), SCHED_OK, 1000);
	uint64_t end = sched_deadline(s);
	ok(end > 1000 && end != UINT64_MAX, "it waits for its end");
	ok(!sched_next(s, end - 1, &start) && sched_dest_find(s, STR("smtp:a")), "still known");
	ok(!sched_next(s, end, &start) && !sched_dest_find(s, STR("smtp:a")), "forgotten");
	ok(sched_deadline(s) == UINT64_MAX, "nothing left to wait for");
	finish(s);
}

TEST(a_part_that_is_removed_is_not_tried)
{
	struct sched *s = sched_new(&options);
	struct sched_part *p = add(s, STR("smtp:a"), 70, 1);
	struct sched_start start;

	ok(sched_next(s, 1, &start) && start.n == 50, "fifty are under way");
	sched_remove(s, p, 2);
	ok(!sched_next(s, 2, &start), "the others are not");
	ok(sched_totals(s).n_rcpts == 0 && sched_totals(s).n_attempts == 1, "counted");
	free(p);
	finish(s);
}

/* ---- any order of events ---- */

enum { DESTS = 40, WHOS = 5, EVENTS = 200000, SLOTS = 4000 };

struct model {
	struct sched *s;
	uint64_t seed, now;
	struct {
		struct sched_part part;
		bool is_used;
		unsigned n_running;
	} slot[SLOTS];
	unsigned n_running, n_dest_running[DESTS][WHOS];
	uint64_t transport_next[SCHED_TRANSPORTS], slow_began;
	uint64_t n_added, n_ended;
	unsigned n_waiting;
};

static uint64_t model_random(struct model *m, uint64_t below)
{
	m->seed = m->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (m->seed >> 33) % below;
}

/* Of three kinds: that of the limits above; those that count each recipient, some with a rate
 * delay; those of a transport with a delay. */
static struct sched_limits model_limits(unsigned i)
{
	struct sched_limits l = limits;

	if (i % 5 == 1) {
		l.rcpts_max = 1;
		l.rate_delay_ms = i % 2 ? 3000 : 0;
	}
	if (i % 5 == 2) {
		l.transport = SCHED_OF_LMTP;
		l.transport_delay_ms = 200;
	}
	return l;
}

static struct sched_dest *model_dest(struct model *m, unsigned i)
{
	struct sched_limits l = model_limits(i);
	char name[16];
	int n = snprintf(name, sizeof(name), "smtp:%u", i);

	return sched_dest(m->s, str_span(name, (size_t)n), &l, m->now);
}

static unsigned model_index(const struct sched_dest *d)
{
	uint64_t i;

	ok(str_to_u64(str_from(sched_view(d, 0).name, 5), &i), "its name");
	return (unsigned)i;
}

static struct str model_who(unsigned i)
{
	static const struct str who[WHOS] = { STR_INIT(""), STR_INIT("a"), STR_INIT("b"),
					      STR_INIT("c"), STR_INIT("d") };

	return who[i];
}

static void model_add(struct model *m)
{
	size_t i = model_random(m, SLOTS);
	unsigned dest = (unsigned)model_random(m, DESTS);
	bool is_alone = model_limits(dest).rcpts_max == 1 && model_random(m, 9) > 0;

	if (m->slot[i].is_used)
		return;
	m->slot[i].is_used = true;
	m->slot[i].part = (struct sched_part){
		.n_rcpts = is_alone ? 1 : 1 + (unsigned)model_random(m, 130),
		.who = model_who(is_alone ? 1 + (unsigned)model_random(m, WHOS - 1) : 0),
	};
	m->n_added += m->slot[i].part.n_rcpts;
	sched_add(m->s, model_dest(m, dest), &m->slot[i].part, m->now);
}

static void model_start(struct model *m)
{
	struct sched_start start;

	if (!sched_next(m->s, m->now, &start))
		return;
	unsigned i = model_index(start.part->dest), who = 0, n = 0;
	struct sched_dest_view v = sched_view(start.part->dest, m->now);
	struct sched_limits l = model_limits(i);

	while (!str_eq(start.part->who, model_who(who)))
		who++;
	ok(start.n > 0 && start.n <= l.rcpts_max, "some recipients, not too many");
	ok(start.first + start.n <= start.part->n_rcpts, "of those that are there");
	unsigned here = ++m->n_dest_running[i][who];
	for (unsigned k = 0; k < WHOS; k++)
		n += m->n_dest_running[i][k];
	ok(v.n_attempts == n, "counted");
	ok(here <= (v.window ? v.window : 1), "within the window");
	ok(l.rate_delay_ms == 0 || here == 1, "one at a time");
	ok(v.window > 0 || n == 1, "one probe");
	ok(++m->n_running <= 100 && n <= 75, "within attempts_max");
	ok(v.window <= limits.window_max, "which has its limit");
	ok(v.blocked_until == 0, "not blocked");
	if (l.transport_delay_ms > 0) {
		ok(m->slow_began + l.transport_delay_ms <= m->now || m->slow_began == 0, "slowly");
		m->slow_began = m->now;
	}
	m->n_ended += start.n;
	if (start.first + start.n == start.part->n_rcpts) {
		for (size_t k = 0; k < SLOTS; k++)
			if (&m->slot[k].part == start.part)
				m->slot[k].is_used = false;
	}
}

static void model_end(struct model *m)
{
	unsigned i = (unsigned)model_random(m, DESTS), who = (unsigned)model_random(m, WHOS);

	if (model_limits(i).rcpts_max > 1)
		who = 0;
	if (m->n_dest_running[i][who] == 0)
		return;
	m->n_dest_running[i][who]--;
	m->n_running--;
	/* some destinations are bad, and get better */
	bool is_bad = i % 4 == 0 && m->now % 1000000 < 600000;
	sched_done(m->s, model_dest(m, i), model_who(who),
		   model_random(m, 9) == 0 ? SCHED_NEUTRAL
		   : is_bad                ? SCHED_TROUBLE
					   : SCHED_OK,
		   m->now);
}

/* Peers that ask to be left alone, and operators who do not. */
static void model_meddle(struct model *m)
{
	struct sched_dest *d = model_dest(m, (unsigned)model_random(m, DESTS));

	if (model_random(m, 2) == 0)
		sched_suspend(m->s, d, m->now + model_random(m, 300000), m->now);
	else
		sched_wake(m->s, d, m->now);
}

static void model_drain(struct model *m)
{
	for (int i = 0; i < 1000000 && (m->n_ended < m->n_added || m->n_running > 0); i++) {
		uint64_t wake = sched_deadline(m->s);
		model_start(m);
		if (m->n_running > 0)
			for (unsigned k = 0; k < DESTS; k++)
				model_end(m);
		else if (wake != UINT64_MAX && wake > m->now)
			m->now = wake;
	}
}

TEST(whatever_happens_nothing_is_lost_and_no_bound_is_passed)
{
	struct sched_options o = options;
	struct model *m = base_alloc(sizeof(*m));

	o.attempts_max = 100;
	o.transport_next = m->transport_next;
	m->s = sched_new(&o);
	m->seed = 7;
	m->now = 1;
	for (int i = 0; i < EVENTS; i++) {
		if (model_random(m, 500) == 0)
			model_meddle(m);
		switch (model_random(m, 8)) {
		case 0:
			model_add(m);
			break;
		case 1:
		case 2:
		case 3:
			model_start(m);
			break;
		case 4:
		case 5:
		case 6:
			model_end(m);
			break;
		case 7:
			m->now += model_random(m, 20000);
			break;
		}
	}
	model_drain(m);
	ok(m->n_ended == m->n_added, "every recipient had its attempt");
	ok(sched_totals(m->s).n_rcpts == 0, "nothing waits");
	sched_free(m->s);
	free(m);
}

static const struct {
	const char *rule;
	uint64_t age, want;
} retry_cases[] = {
	{ "a fresh message waits the least", 0, 300 },
	{ "as long again as it has waited", 1000, 1000 },
	{ "never more than the most", 100000, 4000 },
};

TEST(a_message_waits_longer_each_time)
{
	FOR_EACH(c, retry_cases)
		ok(sched_retry_after(c->age, 300, 4000) == c->want, c->rule);
	ok(sched_retry_after(1, 300, 100) == 300, "the least counts when it is more than the most");
}

TEST_MAIN(RUN(a_window_bounds_the_attempts_and_grows_with_success),
	  RUN(a_window_that_is_not_used_does_not_grow),
	  RUN(trouble_shrinks_the_window_and_a_whole_cohort_of_it_kills),
	  RUN(feedback_moves_the_window),
	  RUN(feedback_of_the_other_kind_counts_on_until_the_window_moves),
	  RUN(many_cohorts_are_counted), RUN(no_destination_takes_all_attempts),
	  RUN(a_large_message_leaves_room), RUN(the_first_window_is_within_the_limit),
	  RUN(a_dead_destination_gets_one_probe_after_a_time_that_doubles),
	  RUN(what_was_under_way_at_a_death_does_not_prolong_it_but_may_end_it),
	  RUN(destinations_take_turns), RUN(messages_of_a_destination_take_turns),
	  RUN(a_rate_delay_is_one_attempt_at_a_time),
	  RUN(recipients_of_their_own_have_the_window_each),
	  RUN(recipients_of_their_own_have_the_rate_delay_each),
	  RUN(a_crowd_for_one_recipient_stays_in_the_store),
	  RUN(a_transport_with_a_delay_begins_one_attempt_in_that_time),
	  RUN(a_shorter_delay_counts_at_once), RUN(due_mail_in_the_store_is_asked_for_once),
	  RUN(a_dead_destination_reads_no_more_than_its_probe), RUN(a_suspended_destination_waits),
	  RUN(an_idle_destination_is_forgotten_after_a_while),
	  RUN(a_part_that_is_removed_is_not_tried),
	  RUN(whatever_happens_nothing_is_lost_and_no_bound_is_passed),
	  RUN(a_message_waits_longer_each_time))
