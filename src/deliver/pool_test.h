/* Sessions with a receiver of this process. */

#ifndef HOPSEAL_DELIVER_POOL_TEST_H
#define HOPSEAL_DELIVER_POOL_TEST_H

#include "base/limits.h"
#include "base/test.h"
#include "deliver/pool.h"
#include "deliver/receiver_test.h"

enum { AGES_MS = 1000 * 1000 };

struct lab {
	struct net_loop *l;
	struct receiver receiver;
	struct arena *a;
	struct deliver_pool *pool;
	struct tls_client *tls;
	struct net_timer *wait, *limit;
};

static inline void on_wait(void *arg)
{
	struct lab *lab = arg;

	net_loop_stop(lab->l);
}

static inline void on_limit(void *arg)
{
	(void)arg;
	CHECK(!"it takes too long");
}

static inline struct lab *lab_new(void)
{
	struct lab *lab = base_alloc(sizeof(*lab));
	struct tls_client_options tls = { .verify_depth = 9 };
	struct error e = { 0 };

	lab->l = net_loop_new();
	lab->a = arena_new();
	receiver_start(&lab->receiver, lab->l);
	lab->pool = deliver_pool_new(lab->l);
	lab->tls = tls_client_new(&tls, &e);
	ok(lab->tls != NULL, e.text);
	lab->wait = net_timer_new(lab->l, on_wait, lab);
	lab->limit = net_timer_new(lab->l, on_limit, lab);
	net_timer_set(lab->limit, net_loop_now(lab->l) + 60 * 1000);
	return lab;
}

static inline void lab_free(struct lab *lab)
{
	deliver_pool_free(lab->pool);
	receiver_stop(&lab->receiver);
	net_timer_free(lab->wait);
	net_timer_free(lab->limit);
	net_loop_drain(lab->l);
	tls_client_free(lab->tls);
	net_loop_free(lab->l);
	arena_free(lab->a);
	free(lab);
}

static inline void lab_wait(struct lab *lab, uint64_t ms)
{
	net_timer_set(lab->wait, net_loop_now(lab->l) + ms);
	net_loop_run(lab->l);
}

static inline void on_rcpt(void *arg, const struct smtp_client_event *ev)
{
	(void)arg;
	ok(ev->outcome.kind == OUTCOME_DELIVERED, "taken");
}

static inline void on_over(void *arg, const struct session_end *end)
{
	(void)end;
	on_wait(arg);
}

static const struct session_calls calls = {
	.ready = on_wait,
	.rcpt = on_rcpt,
	.done = on_wait,
	.over = on_over,
};

static inline struct session *connected(struct lab *lab)
{
	struct session_options o = {
		.loop = lab->l,
		.to = net_listener_endpoint(lab->receiver.n),
		.smtp = { .helo_name = STR("me.example"), .starttls = SMTP_STARTTLS_NEVER },
	};
	struct session *s = session_start(&o, &calls, lab);

	net_loop_run(lab->l);
	ok(session_is_idle(s), "greeting and EHLO are over");
	return s;
}

#endif
