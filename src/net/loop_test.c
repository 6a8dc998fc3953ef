#include "base/test.h"
#include "net/net.h"

#include <signal.h>
#include <unistd.h>

struct seen {
	struct net_loop *l;
	struct net_timer *timers[3];
	struct net_watch *watch;
	char order[16];
	size_t n;
	int fd, signum;
};

static void see(struct seen *s, char what)
{
	s->order[s->n++] = what;
}

static void on_a(void *arg)
{
	see(arg, 'a');
}

static void on_b(void *arg)
{
	struct seen *s = arg;

	see(s, 'b');
	net_timer_free(s->timers[1]); /* a timer may be freed in its own call */
	s->timers[1] = NULL;
}

static void on_c(void *arg)
{
	see(arg, 'c');
}

TEST(timers_in_order)
{
	struct seen s = { .l = net_loop_new() };
	uint64_t now = net_loop_now(s.l);

	s.timers[0] = net_timer_new(s.l, on_a, &s);
	s.timers[1] = net_timer_new(s.l, on_b, &s);
	s.timers[2] = net_timer_new(s.l, on_c, &s);
	net_timer_set(s.timers[0], now + 20);
	net_timer_set(s.timers[1], now + 5);
	net_timer_set(s.timers[2], now - 1000); /* in the past: at once */
	net_loop_run(s.l);
	ok_str(str_span(s.order, s.n), STR("cba"), "by time, whatever order they were set in");
	ok(net_loop_now(s.l) >= now + 20, "not before its time");

	s.n = 0;
	net_timer_set(s.timers[0], now + 40);
	net_timer_set(s.timers[0], UINT64_MAX);
	net_loop_run(s.l);
	ok(s.n == 0, "UINT64_MAX stops it, and the loop has nothing to wait for");
	net_timer_free(s.timers[0]);
	net_timer_free(s.timers[2]);
	net_timer_free(NULL);
	net_loop_free(s.l);
}

static void on_stop(void *arg)
{
	struct seen *s = arg;

	see(s, 's');
	net_loop_stop(s->l);
}

static void on_work(void *arg)
{
	see(arg, 'w');
}

TEST(work_then_done)
{
	struct seen s = { .l = net_loop_new() };

	net_loop_work(s.l, on_work, on_a, &s);
	net_loop_run(s.l);
	ok_str(str_span(s.order, s.n), STR("wa"), "done follows work");
	net_loop_free(s.l);
}

static void on_readable(void *arg)
{
	struct seen *s = arg;
	char c;

	ok(read(s->fd, &c, 1) == 1, "there is something to read");
	see(s, c);
	if (s->n == 2) {
		net_watch_free(s->watch);
		s->watch = NULL;
	}
}

TEST(watch_is_level_triggered)
{
	struct seen s = { .l = net_loop_new() };
	struct error e = { 0 };
	int fds[2];

	ok(pipe(fds) == 0 && write(fds[1], "xy", 2) == 2, "pipe");
	s.fd = fds[0];
	s.watch = net_watch_new(s.l, fds[0], on_readable, &s, &e);
	ok(s.watch != NULL, e.text);
	net_loop_run(s.l);
	ok_str(str_span(s.order, s.n), STR("xy"), "called again while octets are left");
	close(fds[0]);
	close(fds[1]);
	net_loop_free(s.l);
}

TEST(watch_of_nothing)
{
	struct net_loop *l = net_loop_new();
	struct error e = { 0 };

	ok(net_watch_new(l, 12345, on_readable, NULL, &e) == NULL, "no such descriptor");
	ok(str_search(error_text(&e), STR("12345"), &(size_t){ 0 }), e.text);
	net_loop_free(l);
}

static void on_signal(void *arg, int signum)
{
	struct seen *s = arg;

	s->signum = signum;
	net_loop_stop(s->l);
}

static void on_raise(void *arg)
{
	(void)arg;
	raise(SIGTERM);
}

TEST(signal_is_caught)
{
	struct seen s = { .l = net_loop_new() };
	struct net_signal *sig = net_signal_new(s.l, SIGTERM, on_signal, &s);
	struct net_timer *t = net_timer_new(s.l, on_raise, &s);

	net_loop_run(s.l);
	ok(s.signum == 0, "a signal alone does not keep the loop");
	net_timer_set(t, 0);
	s.timers[0] = net_timer_new(s.l, on_stop, &s);
	net_timer_set(s.timers[0], net_loop_now(s.l) + 5000);
	net_loop_run(s.l);
	ok(s.signum == SIGTERM && s.n == 0, "told from the loop");
	net_timer_free(s.timers[0]);
	net_timer_free(t);
	net_signal_free(sig);
	net_loop_free(s.l);
}

TEST_MAIN(RUN(timers_in_order), RUN(work_then_done), RUN(watch_is_level_triggered),
	  RUN(watch_of_nothing), RUN(signal_is_caught))
