/* A session against a peer that takes its time. */

#include "base/test.h"
#include "deliver/session.h"

#define DRIP_MS 20

struct talk {
	struct net_loop *l;
	struct net_listener *n;
	struct net_stream *peer;
	struct net_timer *drip;
	struct str drop; /* what the peer says every DRIP_MS */
	struct session *s;
	struct session_end end;
	bool is_over;
};

static void on_drip(void *arg)
{
	struct talk *t = arg;

	net_stream_write(t->peer, t->drop);
	net_timer_set(t->drip, net_loop_now(t->l) + DRIP_MS);
}

static const struct net_stream_calls peer_calls = { .read = NULL };

static void on_accepted(void *arg, struct net_stream *peer)
{
	struct talk *t = arg;

	t->peer = peer;
	net_stream_set_calls(peer, &peer_calls, t);
	net_timer_set(t->drip, net_loop_now(t->l));
}

static void on_ready(void *arg)
{
	struct talk *t = arg;

	session_quit(t->s);
}

static void on_over(void *arg, const struct session_end *end)
{
	struct talk *t = arg;

	t->end = *end;
	t->is_over = true;
	net_loop_stop(t->l);
}

static const struct session_calls calls = { .ready = on_ready, .over = on_over };

/* Talks to a peer that says `drop` again and again, until the session is over. */
static void talk(struct talk *t, struct str drop, struct session_options o)
{
	struct net_endpoint at;
	struct error e = { 0 };

	*t = (struct talk){ .l = net_loop_new(), .drop = drop };
	ok(net_endpoint_parse(STR("127.0.0.1:0"), &at), "an endpoint");
	t->n = net_listener_new(t->l, &at, on_accepted, t, &e);
	ok(t->n != NULL, e.text);
	t->drip = net_timer_new(t->l, on_drip, t);
	o.loop = t->l;
	o.to = net_listener_endpoint(t->n);
	o.smtp.helo_name = STR("me.example");
	t->s = session_start(&o, &calls, t);
	net_loop_run(t->l);
	ok(t->is_over, "the session is over");
}

static void hang_up(struct talk *t)
{
	session_free(t->s);
	net_stream_free(t->peer);
	net_timer_free(t->drip);
	net_listener_free(t->n);
	net_loop_free(t->l);
}

static bool says(struct str text, const char *part)
{
	size_t at;

	return str_search(text, str_of(part), &at);
}

TEST(a_drip_does_not_prolong_the_wait)
{
	struct session_options o = { .smtp.timeouts.greeting_ms = 5 * DRIP_MS,
				     .total_ms = 100 * DRIP_MS };
	struct talk t;

	talk(&t, STR("220-x\r\n"), o);
	ok(t.end.kind == SESSION_FAILED && t.end.cause == SMTP_CAUSE_TIMEOUT, "timed out");
	hang_up(&t);
}

TEST(a_session_may_take_so_long_and_no_longer)
{
	struct session_options o = { .total_ms = 5 * DRIP_MS };
	struct talk t;

	talk(&t, STR("220-x\r\n"), o);
	ok(t.end.kind == SESSION_FAILED && t.end.cause == SMTP_CAUSE_LOST, "given up");
	ok(says(t.end.outcome.reason, "waiting for the greeting: the session took too long"),
	   "and said");
	hang_up(&t);
}

TEST(replies_within_their_limits_end_it_well)
{
	struct session_options o = { .smtp.timeouts.greeting_ms = 500 * DRIP_MS,
				     .smtp.timeouts.helo_ms = 500 * DRIP_MS,
				     .total_ms = 1000 * DRIP_MS };
	struct talk t;

	talk(&t, STR("250 x\r\n"), o);
	ok(t.end.kind == SESSION_QUIT, "greeting, EHLO, QUIT");
	hang_up(&t);
}

TEST_MAIN(RUN(a_drip_does_not_prolong_the_wait), RUN(a_session_may_take_so_long_and_no_longer),
	  RUN(replies_within_their_limits_end_it_well))
