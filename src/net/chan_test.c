#include "base/test.h"
#include "net/net.h"

#include <pthread.h>

enum { POSTERS = 4, POSTS = 2000 };

struct parcel {
	struct net_note note;
	size_t poster, number;
};

struct lab {
	struct net_loop *loop;
	struct net_chan *chan, *other;
	size_t next[POSTERS]; /* the number that comes next from each */
	size_t n, n_wanted, n_other;
	bool is_in_order;
};

struct poster {
	struct lab *lab;
	size_t number;
};

static struct parcel *parcel_new(size_t poster, size_t number)
{
	struct parcel *p = base_alloc(sizeof(*p));

	p->poster = poster;
	p->number = number;
	return p;
}

static void on_parcel(void *arg, struct net_note *n)
{
	struct parcel *p = (struct parcel *)n;
	struct lab *lab = arg;

	lab->is_in_order &= p->number == lab->next[p->poster]++;
	free(p);
	if (++lab->n == lab->n_wanted)
		net_chan_release(lab->chan);
}

static void on_other(void *arg, struct net_note *n)
{
	struct lab *lab = arg;

	lab->n_other++;
	free(n);
}

static void *post_many(void *arg)
{
	struct poster *me = arg;

	for (size_t i = 0; i < POSTS; i++) {
		net_chan_post(me->lab->chan, &parcel_new(me->number, i)->note);
		if (i % 100 == 0)
			net_chan_post(me->lab->other, &parcel_new(me->number, i)->note);
	}
	return NULL;
}

TEST(many_threads_to_one)
{
	struct lab lab = { .loop = net_loop_new(), .is_in_order = true };
	struct poster posters[POSTERS];
	pthread_t threads[POSTERS];

	lab.n_wanted = (size_t)POSTERS * POSTS;
	lab.chan = net_chan_new(lab.loop, on_parcel, &lab);
	lab.other = net_chan_new(lab.loop, on_other, &lab);
	net_chan_hold(lab.chan);
	for (size_t i = 0; i < POSTERS; i++) {
		posters[i] = (struct poster){ &lab, i };
		ok(pthread_create(&threads[i], NULL, post_many, &posters[i]) == 0, "thread");
	}
	net_loop_run(lab.loop);
	ok(lab.n == lab.n_wanted, "every note came, and the channel let the loop go");
	ok(lab.is_in_order, "those of one thread in their order");
	for (size_t i = 0; i < POSTERS; i++)
		pthread_join(threads[i], NULL);
	for (struct net_note *n; (n = net_chan_take(lab.other)) != NULL;)
		on_other(&lab, n);
	ok(lab.n_other == POSTERS * (POSTS / 100), "the other channel has its own");
	net_chan_free(lab.chan);
	net_chan_free(lab.other);
	net_loop_free(lab.loop);
}

TEST(no_hold_no_run)
{
	struct lab lab = { .loop = net_loop_new(), .is_in_order = true, .n_wanted = 9 };

	lab.chan = net_chan_new(lab.loop, on_parcel, &lab);
	net_loop_run(lab.loop);
	ok(lab.n == 0, "a channel alone does not keep the loop");
	net_chan_post(lab.chan, &parcel_new(0, 0)->note);
	net_chan_post(lab.chan, &parcel_new(0, 1)->note);
	struct net_note *n = net_chan_take(lab.chan);
	ok(n && ((struct parcel *)n)->number == 0, "the oldest one is taken");
	free(n);
	free(net_chan_take(lab.chan));
	ok(!net_chan_take(lab.chan), "nothing is left");
	net_chan_free(lab.chan);
	net_chan_free(NULL);
	net_loop_free(lab.loop);
}

/* Posts one more, and goes away with the last. */
static void on_again(void *arg, struct net_note *n)
{
	struct lab *lab = arg;
	struct parcel *p = (struct parcel *)n;

	if (++lab->n < 3) {
		net_chan_post(lab->chan, &p->note);
		return;
	}
	free(p);
	net_chan_release(lab->chan);
	net_chan_free(lab->chan);
	lab->chan = NULL;
}

TEST(posted_and_freed_from_within)
{
	struct lab lab = { .loop = net_loop_new() };

	lab.chan = net_chan_new(lab.loop, on_again, &lab);
	net_chan_hold(lab.chan);
	net_chan_post(lab.chan, &parcel_new(0, 0)->note);
	net_loop_run(lab.loop);
	ok(lab.n == 3 && !lab.chan, "a note may be posted and the channel freed in a call");
	net_loop_free(lab.loop);
}

TEST_MAIN(RUN(many_threads_to_one), RUN(no_hold_no_run), RUN(posted_and_freed_from_within))
