/* Idle sessions: who gets one, and how they end. */

#include "deliver/pool_test.h"

static struct deliver_pool_key key_of(const char *place, const char *whole)
{
	return (struct deliver_pool_key){ str_of(place), str_of(whole) };
}

static struct peer *peer_of(struct lab *lab, size_t i)
{
	CHECK(i < lab->receiver.n_peers);
	return lab->receiver.peers[i];
}

static void wait_gone(struct lab *lab, size_t i)
{
	while (!peer_of(lab, i)->is_gone)
		lab_wait(lab, 5);
}

/* Until the pool has no more than n. */
static void wait_count(struct lab *lab, size_t n)
{
	while (deliver_pool_count(lab->pool) > n)
		lab_wait(lab, 5);
}

TEST(the_last_one_kept_is_the_first_one_taken)
{
	struct lab *lab = lab_new();
	struct session *a = connected(lab), *b = connected(lab), *c = connected(lab);
	struct deliver_pool_key key = key_of("here", "here 1"), far = key_of("there", "there 1");

	deliver_pool_put(lab->pool, &key, a, AGES_MS);
	deliver_pool_put(lab->pool, &key, b, AGES_MS);
	deliver_pool_put(lab->pool, &far, c, AGES_MS);
	ok(deliver_pool_count(lab->pool) == 3, "three");
	ok(deliver_pool_has(lab->pool, STR("here")) && deliver_pool_has(lab->pool, STR("there")) &&
		   !deliver_pool_has(lab->pool, STR("nowhere")),
	   "by place");
	ok(deliver_pool_take(lab->pool, &key) == b && deliver_pool_take(lab->pool, &key) == a &&
		   !deliver_pool_take(lab->pool, &key),
	   "in turn");
	ok(!deliver_pool_has(lab->pool, STR("here")), "none is there any more");
	session_adopt(a, &calls, lab);
	session_adopt(b, &calls, lab);
	session_leave(a);
	session_leave(b);
	lab_free(lab);
}

TEST(an_idle_session_ends_with_quit)
{
	struct lab *lab = lab_new();
	struct deliver_pool_key key = key_of("here", "here");

	deliver_pool_put(lab->pool, &key, connected(lab), AGES_MS);
	deliver_pool_put(lab->pool, &key, connected(lab), 40); /* the later one goes first */
	wait_gone(lab, 1);
	ok(peer_of(lab, 1)->is_told_to_quit, "the time was over");
	ok(!peer_of(lab, 0)->is_gone && deliver_pool_count(lab->pool) == 1, "the other one stays");
	lab_free(lab);
}

TEST(a_peer_that_leaves_is_forgotten)
{
	struct lab *lab = lab_new();
	struct deliver_pool_key key = key_of("here", "here");

	deliver_pool_put(lab->pool, &key, connected(lab), AGES_MS);
	net_stream_shutdown(peer_of(lab, 0)->stream);
	wait_count(lab, 0);
	ok(!deliver_pool_has(lab->pool, STR("here")), "closed");
	deliver_pool_put(lab->pool, &key, connected(lab), AGES_MS);
	net_stream_reset(peer_of(lab, 1)->stream);
	peer_of(lab, 1)->stream = NULL;
	wait_count(lab, 0);
	ok(!deliver_pool_take(lab->pool, &key), "reset");
	deliver_pool_put(lab->pool, &key, connected(lab), AGES_MS);
	net_stream_write(peer_of(lab, 2)->stream, STR("421 4.4.2 Timeout\r\n"));
	wait_count(lab, 0);
	ok(!deliver_pool_take(lab->pool, &key), "said goodbye");
	lab_free(lab);
}

TEST(half_a_reply_is_nobody_s)
{
	struct lab *lab = lab_new();
	struct deliver_pool_key key = key_of("here", "here");

	deliver_pool_put(lab->pool, &key, connected(lab), AGES_MS);
	net_stream_write(peer_of(lab, 0)->stream, STR("250 2.0"));
	lab_wait(lab, 50);
	ok(!deliver_pool_take(lab->pool, &key) && deliver_pool_count(lab->pool) == 0, "given up");
	wait_gone(lab, 0);
	lab_free(lab);
}

TEST(so_many_and_no_more)
{
	struct lab *lab = lab_new();

	for (unsigned i = 0; i <= POOL_SESSIONS_MAX; i++) {
		struct str whole = arena_fmt(lab->a, "%u", i);
		struct deliver_pool_key key = { STR("here"), whole };
		/* all the same time but for the third, which is the next to go */
		deliver_pool_put(lab->pool, &key, connected(lab), i == 2 ? AGES_MS - 9 : AGES_MS);
	}
	ok(deliver_pool_count(lab->pool) == POOL_SESSIONS_MAX, "no more");
	wait_gone(lab, 2);
	ok(peer_of(lab, 2)->is_told_to_quit, "the first to go went");
	lab_free(lab);
}

TEST(the_end_says_quit_to_all)
{
	struct lab *lab = lab_new();
	struct deliver_pool_key key = key_of("here", "here");

	for (int i = 0; i < 3; i++)
		deliver_pool_put(lab->pool, &key, connected(lab), AGES_MS);
	deliver_pool_free(lab->pool);
	lab->pool = NULL;
	for (size_t i = 0; i < 3; i++) {
		wait_gone(lab, i);
		ok(peer_of(lab, i)->is_told_to_quit, "QUIT");
	}
	lab_free(lab);
}

TEST_MAIN(RUN(the_last_one_kept_is_the_first_one_taken), RUN(an_idle_session_ends_with_quit),
	  RUN(a_peer_that_leaves_is_forgotten), RUN(half_a_reply_is_nobody_s),
	  RUN(so_many_and_no_more), RUN(the_end_says_quit_to_all))
