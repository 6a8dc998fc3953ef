/* The queue with real loops and a store of its own: queues of one team share a loop here, so that
 * what they do is in order. */

#define _GNU_SOURCE /* nftw */
#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"
#include "deliver/receiver_test.h"
#include "os/log.h"
#include "policy/cache.h"
#include "queue/inside.h"
#include "sql/sql.h"
#include "table/table.h"

#define DIRECTORY "/tmp/hopseal-queue-test-XXXXXX"

enum { TEAM_MAX = 4, RECEIVERS = 6, RCPTS_MAX = 4000 };

/* Recipients are "rN@dI.example": the Nth of all, by the Ith receiver. */
struct team {
	char directory[sizeof(DIRECTORY)];
	struct arena *arena;
	struct net_loop *loop;
	struct net_timer *wait, *limit;
	struct os_log *log;
	struct log_counters counters;
	struct store *store;
	struct store_client *client; /* the test's own */
	enum store_fault fault;

	struct receiver receiver[RECEIVERS];
	bool defers, is_silent;            /* at RCPT; to the end of data */
	struct peer *waiting;              /* for its reply to the end of data */
	unsigned taken[RCPTS_MAX];         /* how often recipients were taken */
	unsigned n_taken, n_tried, n_most; /* in memory at once */

	const char *backoff; /* "": a second */
	struct conf *conf;
	struct tables *tables;
	struct deliver_site site;
	const struct queue_settings *settings;
	struct queue_site queue_site[TEAM_MAX];
	struct queue_team *team;
	struct queue *queue[TEAM_MAX];
	unsigned n, n_stopped;
};

/* ---- receivers ---- */

static unsigned number_of(struct str line)
{
	struct str number, rest;
	uint64_t n;

	CHECK(str_cut(line, '<', &number, &rest) && str_cut(rest, '@', &number, &rest));
	CHECK(str_to_u64(str_from(number, 1), &n) && n < RCPTS_MAX);
	return (unsigned)n;
}

static struct str reply(void *arg, struct peer *p, struct str line)
{
	struct team *t = arg;

	if (str_ihas_prefix_ascii(line, STR("RCPT"))) {
		t->n_tried++;
		if (t->defers)
			return STR("450 4.2.0 Later\r\n");
		t->n_taken++;
		t->taken[number_of(line)]++;
	}
	for (unsigned i = 0; i < t->n; i++) {
		struct sched_totals now = queue_totals(t->queue[i]);
		if (now.n_rcpts > t->n_most)
			t->n_most = (unsigned)now.n_rcpts;
	}
	if (!str_eq(line, STR(".")) || !t->is_silent)
		return STR("250 2.0.0 Ok\r\n");
	t->waiting = p;
	return STR("");
}

/* ---- a team ---- */

static void on_wait(void *arg)
{
	struct team *t = arg;

	net_loop_stop(t->loop);
}

static void on_limit(void *arg)
{
	(void)arg;
	CHECK(!"it takes too long");
}

static void turn(struct team *t, uint64_t ms)
{
	net_timer_set(t->wait, net_loop_now(t->loop) + ms);
	net_loop_run(t->loop);
}

static void site_gone(struct queue_site *s)
{
	(void)s;
}

static struct str destination(struct team *t, unsigned i)
{
	struct net_endpoint at = net_listener_endpoint(t->receiver[i].n);

	return arena_fmt(t->arena, "smtp:[127.0.0.1]:%u", at.port);
}

static struct str main_cf(struct team *t)
{
	struct str map = STR("");

	for (unsigned i = 0; i < RECEIVERS; i++)
		map = arena_fmt(t->arena, STR_FMT " {d%u.example = " STR_FMT "}", STR_ARG(map), i,
				STR_ARG(destination(t, i)));
	return arena_fmt(t->arena,
			 "compatibility_level = 3.6\nminimal_backoff_time = 1s\n"
			 "maximal_backoff_time = 1s\nsmtp_tls_security_level = none\n"
			 "transport_maps = inline:{" STR_FMT " }\n%s",
			 STR_ARG(map), t->backoff);
}

static void open_site(struct team *t)
{
	struct conf_source source = { .file = STR("main.cf"), .text = main_cf(t) };
	struct conf_machine machine = { .hostname = STR("client.example.net") };
	struct route_machine route = { .origin = STR("") };
	struct table_options o = { 0 };
	struct conf_findings findings;
	struct error e = { 0 };

	t->conf = conf_new(&source, 1, &machine, t->arena, &findings);
	ok(t->conf != NULL, "main.cf");
	t->tables = tables_new(&o);
	tables_open(t->tables, STR("transport_maps"), conf_str(t->conf, CONF_transport_maps), 0);
	t->site.conf = t->site.smtp.conf = t->conf;
	t->site.loop = t->loop;
	t->site.ask = ask_new(t->loop, t->tables, NULL);
	t->site.smtp.policy = policy_config_new(t->arena, t->conf, &e);
	t->site.route = route_config_new(t->arena, t->conf, &route, &e);
	ok(t->site.smtp.policy && t->site.route, e.text);
	t->site.smtp.decisions = policy_cache_new(t->site.smtp.policy);
	t->settings = queue_settings_new(t->arena, t->conf, &e);
	ok(t->settings != NULL, e.text);
}

static struct team *team_with(const char *backoff)
{
	struct team *t = base_alloc(sizeof(*t));
	struct store_options o = { .directory = t->directory, .inline_limit = 4096 };
	struct os_log_options log = { .path = STR("/dev/null"),
				      .name = STR("t"),
				      .facility = STR("mail") };
	struct error e = { 0 };

	t->backoff = backoff;
	memcpy(t->directory, DIRECTORY, sizeof(DIRECTORY));
	ok(mkdtemp(t->directory) != NULL, "a directory");
	t->arena = arena_new();
	t->loop = net_loop_new();
	t->wait = net_timer_new(t->loop, on_wait, t);
	t->limit = net_timer_new(t->loop, on_limit, t);
	net_timer_set(t->limit, net_loop_now(t->loop) + 120 * 1000);
	t->log = os_log_new(&log, &e);
	t->store = store_open(&o, &e);
	ok(t->log && t->store, e.text);
	t->client = store_client_new(t->store, t->loop, &e);
	ok(t->client != NULL, e.text);
	for (unsigned i = 0; i < RECEIVERS; i++) {
		receiver_start(&t->receiver[i], t->loop);
		t->receiver[i].reply = reply;
		t->receiver[i].arg = t;
	}
	open_site(t);
	return t;
}

static struct team *team_new(void)
{
	return team_with("");
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st, (void)flag, (void)f;
	return remove(path);
}

/* So many queues over the store as it is. */
static void team_start(struct team *t, unsigned n)
{
	struct error e = { 0 };

	t->n = n;
	t->n_stopped = 0;
	t->team = queue_team_new(n);
	for (unsigned i = 0; i < n; i++) {
		t->queue_site[i] = (struct queue_site){
			.deliver = &t->site, .settings = t->settings, .refs = 1, .gone = site_gone
		};
		struct queue_options o = {
			.team = t->team,
			.member = i,
			.loop = t->loop,
			.store = t->store,
			.site = &t->queue_site[i],
			.log = t->log,
			.counters = &t->counters,
		};
		t->queue[i] = queue_new(&o, &e);
		ok(t->queue[i] != NULL, e.text);
	}
	for (unsigned i = 0; i < n; i++)
		ok(queue_start(t->queue[i], &e), e.text);
}

static void on_stopped(void *arg)
{
	struct team *t = arg;

	t->n_stopped++;
}

static void team_stop(struct team *t, uint64_t limit_ms)
{
	for (unsigned i = 0; i < t->n; i++)
		queue_stop(t->queue[i], limit_ms, on_stopped, t);
	while (t->n_stopped < t->n)
		turn(t, 5);
	for (unsigned i = 0; i < t->n; i++)
		queue_free(t->queue[i]);
	queue_team_free(t->team);
	t->n = 0;
}

static void team_free(struct team *t)
{
	if (t->n > 0)
		team_stop(t, 10 * 1000);
	for (unsigned i = 0; i < RECEIVERS; i++)
		receiver_stop(&t->receiver[i]);
	policy_cache_free(t->site.smtp.decisions);
	ask_free(t->site.ask);
	tables_free(t->tables);
	conf_unref(t->conf);
	store_client_free(t->client);
	store_close(t->store);
	net_timer_free(t->wait);
	net_timer_free(t->limit);
	net_loop_drain(t->loop);
	net_loop_free(t->loop);
	os_log_free(t->log);
	arena_free(t->arena);
	(void)nftw(t->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(t);
}

/* ---- the store ---- */

static void on_done(void *arg, const struct store_result *result)
{
	struct team *t = arg;

	t->fault = result->fault;
}

static void wait_store(struct team *t)
{
	while (store_client_waiting(t->client) > 0)
		turn(t, 2);
	ok(t->fault == STORE_DONE, "the store has it");
}

/* A message for n recipients from number `first` on, by receivers in turn from `at` on. */
static struct store_message
message_of(struct team *t, unsigned first, unsigned n, unsigned at, unsigned n_receivers)
{
	struct store_rcpt *v = ARENA_ARRAY(t->arena, n, struct store_rcpt);

	for (unsigned i = 0; i < n; i++) {
		unsigned by = at + i % n_receivers;
		v[i].address = arena_fmt(t->arena, "r%u@d%u.example", first + i, by);
		v[i].destination = destination(t, by);
	}
	return (struct store_message){ .id = store_client_id(t->client),
				       .arrived_ms = queue_now_utc(),
				       .sender = STR(""),
				       .client = STR("{}"),
				       .rcpts = v,
				       .n_rcpts = n };
}

static struct store_content *content_new(struct team *t, uint64_t id)
{
	struct store_spool *s = store_spool_new(t->client, id);
	struct error e = { 0 };

	ok(store_spool_add(s, STR("Subject: x\r\n\r\nText.\r\n"), &e), e.text);
	struct store_content *c = store_spool_finish(s, &e);
	ok(c != NULL, e.text);
	return c;
}

/* Into the store, beside every queue. */
static uint64_t put_message(struct team *t, const struct store_message *m)
{
	struct store_content *c = content_new(t, m->id);

	store_accept(t->client, m, c, STORE_ACCEPT_QUEUED, on_done, t);
	store_content_unref(c);
	wait_store(t);
	return m->id;
}

static uint64_t put(struct team *t, unsigned first, unsigned n, unsigned at, unsigned n_receivers)
{
	struct store_message m = message_of(t, first, n, at, n_receivers);

	return put_message(t, &m);
}

/* By the team's first queue, as a client's message comes. */
static uint64_t bring(struct team *t, unsigned first, unsigned n, unsigned n_receivers)
{
	struct store_message m = message_of(t, first, n, 0, n_receivers);
	struct store_content *c = content_new(t, m.id);

	queue_accept(t->queue[0], &m, c, STORE_ACCEPT_QUEUED, on_done, t);
	store_content_unref(c);
	return m.id;
}

static struct store_message *stored(struct team *t, uint64_t id)
{
	struct store_message *m;
	struct error e = { 0 };

	ok(store_message(store_client_reader(t->client), t->arena, id, &m, &e), e.text);
	return m;
}

static void change(struct team *t, enum store_change what, uint64_t id)
{
	struct store_selection which = { .reach = STORE_OF_MESSAGE, .message = id };

	queue_team_changing(t->team, true);
	store_change(t->client, what, &which, queue_now_utc(), on_done, t);
	wait_store(t);
	queue_team_changed(t->team, &which);
	queue_team_changing(t->team, false);
}

static void wait_taken(struct team *t, unsigned n)
{
	while (t->n_taken < n)
		turn(t, 5);
}

static void wait_gone(struct team *t, uint64_t id)
{
	while (stored(t, id))
		turn(t, 5);
}

static bool are_once(const struct team *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (t->taken[i] != 1)
			return false;
	return t->n_taken == n;
}

/* ---- tests ---- */

TEST(more_than_memory_holds)
{
	struct team *t = team_new();
	unsigned n = 3 * QUEUE_RCPTS_WAITING, each = 100;
	uint64_t last = 0;

	for (unsigned i = 0; i < n; i += each)
		last = put(t, i, each, 0, 1);
	team_start(t, 1);
	wait_taken(t, n);
	wait_gone(t, last);
	turn(t, 50);
	ok(are_once(t, n), "each once");
	ok(t->n_most > QUEUE_RCPTS_WAITING / 2 && t->n_most < 2 * QUEUE_RCPTS_WAITING,
	   "in portions");
	team_free(t);
}

/* What comes while the destination is full is left in the store, and read when there is room. */
TEST(more_comes_than_memory_holds)
{
	struct team *t = team_new();
	unsigned n = 2 * QUEUE_RCPTS_WAITING, each = 100;

	team_start(t, 2);
	for (unsigned i = 0; i < n; i += each)
		(void)bring(t, i, each, 1);
	wait_taken(t, n);
	turn(t, 50);
	ok(are_once(t, n), "each once");
	ok(t->n_most < 2 * QUEUE_RCPTS_WAITING, "in portions");
	team_free(t);
}

TEST(a_destination_has_one_owner)
{
	struct team *t = team_new();
	unsigned n_owners = 0;

	team_start(t, 3);
	for (unsigned i = 0; i < RECEIVERS; i++) {
		n_owners = 0;
		for (unsigned k = 0; k < t->n; k++)
			n_owners += queue_is_mine(t->queue[k], destination(t, i));
		ok(n_owners == 1, "one");
	}
	(void)bring(t, 0, 60, RECEIVERS); /* most of them go to other members by notes */
	wait_taken(t, 60);
	turn(t, 50);
	ok(are_once(t, 60), "each once, whoever took the message");
	team_free(t);
}

/* What one number of workers left is another number's, with other owners. */
TEST(another_number_of_workers)
{
	struct team *t = team_new();

	t->defers = true;
	team_start(t, 3);
	(void)bring(t, 0, 60, RECEIVERS);
	while (t->n_tried < 60)
		turn(t, 5);
	team_stop(t, 10 * 1000);
	ok(t->n_taken == 0, "none was taken");
	t->defers = false;
	team_start(t, 2);
	wait_taken(t, 60);
	turn(t, 50);
	ok(are_once(t, 60), "each once");
	team_stop(t, 10 * 1000);
	team_start(t, 4);
	turn(t, 100);
	ok(t->n_taken == 60, "and it is over");
	team_free(t);
}

/* Many messages for the same recipient. */
static void crowd(struct team *t, unsigned number, unsigned n)
{
	const unsigned each = 500;

	for (unsigned i = 0; i < n; i += each) {
		struct store_message m = message_of(t, number, each, 0, 1);
		for (unsigned k = 0; k < each; k++)
			m.rcpts[k].address = m.rcpts[0].address;
		(void)put_message(t, &m);
	}
}

static const char alone[] = "smtp_destination_recipient_limit = 1\n";

/* Nobody of the crowd is done, and those behind it have their turns all the same. */
TEST(who_stands_behind_a_crowd_has_a_turn)
{
	struct team *t = team_with(alone);
	unsigned n = 2 * QUEUE_READ_PAGES * QUEUE_READ_MAX + QUEUE_READ_MAX;

	t->is_silent = true;
	crowd(t, 0, n);
	(void)put(t, 1, 1, 0, 1);
	crowd(t, 2, QUEUE_READ_MAX);
	(void)put(t, 3, 1, 0, 1);
	team_start(t, 1);
	while (t->taken[1] == 0 || t->taken[3] == 0)
		turn(t, 5);
	ok(t->taken[0] < 50, "the crowd waits");
	ok(t->taken[2] > 0, "another may form behind it");
	team_stop(t, 0);
	team_free(t);
}

/* The reading begins anew behind the last one. */
TEST(a_crowd_is_delivered_to_its_last)
{
	struct team *t = team_with(alone);
	unsigned n = QUEUE_READ_PAGES * QUEUE_READ_MAX + 2 * QUEUE_READ_MAX;

	crowd(t, 0, n);
	(void)put(t, 1, 1, 0, 1);
	team_start(t, 1);
	wait_taken(t, n + 1);
	turn(t, 100);
	ok(t->taken[0] == n && t->taken[1] == 1, "each once");
	ok(t->n_most < 200, "and memory was for a few of them");
	team_free(t);
}

/* With one recipient, whose receiver has the message and says nothing. */
static struct team *team_in_attempt_of(unsigned n_members, uint64_t *id)
{
	struct team *t = team_new();

	t->is_silent = true;
	team_start(t, n_members);
	*id = bring(t, 0, 1, 1);
	while (!t->waiting)
		turn(t, 5);
	return t;
}

static struct team *team_in_attempt(uint64_t *id)
{
	return team_in_attempt_of(2, id);
}

TEST(held_while_it_is_sent)
{
	uint64_t id;
	struct team *t = team_in_attempt(&id);

	change(t, STORE_HOLD, id);
	ok(stored(t, id)->rcpts[0].state == STORE_HELD, "held");
	peer_say(t->waiting, STR("250 2.0.0 Ok\r\n"));
	wait_gone(t, id);
	ok(are_once(t, 1), "what went out is out");
	team_free(t);
}

TEST(held_while_it_is_deferred)
{
	uint64_t id;
	struct team *t = team_in_attempt(&id);

	change(t, STORE_HOLD, id);
	peer_say(t->waiting, STR("451 4.3.0 Later\r\n"));
	while (stored(t, id)->rcpts[0].attempts == 0)
		turn(t, 5);
	turn(t, 1500); /* beyond its back-off */
	ok(stored(t, id)->rcpts[0].state == STORE_HELD && t->n_tried == 1, "it stays, untried");
	t->is_silent = false;
	change(t, STORE_RELEASE, id);
	wait_gone(t, id);
	ok(t->n_tried == 2, "tried when it was released");
	team_free(t);
}

TEST(deleted_while_it_is_deferred)
{
	uint64_t id;
	struct team *t = team_in_attempt(&id);

	change(t, STORE_DELETE, id);
	ok(!stored(t, id), "gone");
	peer_say(t->waiting, STR("451 4.3.0 Later\r\n"));
	turn(t, 1500);
	ok(!stored(t, id) && t->n_tried == 1, "and gone it stays");
	team_free(t);
}

/* What is cut off at the end of a stop is due, and none of it is lost. */
TEST(a_stop_cuts_off_what_takes_long)
{
	uint64_t id;
	struct team *t = team_in_attempt(&id);

	team_stop(t, 50);
	ok(stored(t, id)->rcpts[0].state == STORE_QUEUED, "it is still there");
	t->is_silent = false;
	team_start(t, 1);
	wait_gone(t, id);
	ok(t->n_tried == 2, "sent in the next life");
	team_free(t);
}

/* As in Postfix the least wait counts, should it be more than the most. */
TEST(the_least_wait_is_longer_than_the_most)
{
	struct team *t = team_with("minimal_backoff_time = 5s\n");

	t->defers = true;
	team_start(t, 1);
	(void)bring(t, 0, 1, 1);
	while (t->n_tried == 0)
		turn(t, 5);
	turn(t, 1500);
	ok(t->n_tried == 1, "once in five seconds");
	team_free(t);
}

static struct sql *open_beside(struct team *t)
{
	const struct sql_options o = { .access = SQL_WRITE, .busy_ms = 5000 };
	char path[sizeof(DIRECTORY) + 16];
	struct error e = { 0 };

	(void)snprintf(path, sizeof(path), "%s/queue.db", t->directory);
	struct sql *db = sql_open(path, &o, &e);
	ok(db != NULL, e.text);
	return db;
}

/* Out of sight of those who read, and back. */
static void rename_table(struct team *t, const char *from, const char *to)
{
	struct sql *db = open_beside(t);
	struct error e = { 0 };
	struct sql_statement *st =
		sql_prepare(db, arena_fmt(t->arena, "ALTER TABLE %s RENAME TO %s", from, to), &e);

	ok(st && sql_run(st, &e), e.text);
	sql_free(st);
	sql_close(db);
}

/* What is due is read later, when it cannot be read now. */
TEST(the_store_cannot_be_read_when_mail_is_released)
{
	struct team *t = team_new();

	team_start(t, 2);
	uint64_t id = put(t, 0, 1, 0, 1); /* of which no queue was told */
	struct store_selection which = { .reach = STORE_OF_MESSAGE, .message = id };
	rename_table(t, "destination", "elsewhere");
	queue_team_changed(t->team, &which);
	turn(t, 100);
	rename_table(t, "elsewhere", "destination");
	wait_gone(t, id);
	ok(are_once(t, 1), "it went");
	team_free(t);
}

/* Until the store, whose answers nobody has heard yet, has the message in a state, or no more. */
static void wait_stored(struct team *t, uint64_t id, bool is_there, enum store_state state)
{
	const struct store_message *m;

	while ((m = stored(t, id), !m == is_there) || (m && m->rcpts[0].state != state))
		(void)usleep(1000);
}

/* The queue hears of the message when an operator has changed it already. */
static void change_at_once(enum store_change what)
{
	struct team *t = team_new();
	bool is_there = what != STORE_DELETE;

	team_start(t, 2);
	uint64_t id = bring(t, 0, RECEIVERS, RECEIVERS);
	struct store_selection which = { .reach = STORE_OF_MESSAGE, .message = id };

	wait_stored(t, id, true, STORE_QUEUED);
	store_change(t->client, what, &which, queue_now_utc(), on_done, t);
	wait_stored(t, id, is_there, STORE_HELD);
	queue_team_changed(t->team, &which);
	wait_store(t);
	uint64_t next = bring(t, RECEIVERS, RECEIVERS, RECEIVERS);
	wait_stored(t, next, true, STORE_QUEUED);
	wait_gone(t, next);
	ok(t->n_tried == RECEIVERS, "the next one only");
	ok(!stored(t, id) == !is_there, "as the operator wants it");
	team_free(t);
}

TEST(held_before_the_queue_hears_of_it)
{
	change_at_once(STORE_HOLD);
}

TEST(deleted_before_the_queue_hears_of_it)
{
	change_at_once(STORE_DELETE);
}

/* Routed anew while it is under way, and not delivered there. */
TEST(requeued_while_it_is_deferred)
{
	uint64_t id;
	struct team *t = team_in_attempt_of(1, &id);

	change(t, STORE_REQUEUE, id);
	turn(t, 50);
	ok(stored(t, id)->rcpts[0].destination.n == 0, "it waits");
	t->is_silent = false;
	peer_say(t->waiting, STR("451 4.3.0 Later\r\n"));
	wait_gone(t, id);
	team_free(t);
}

/* ---- routed anew while it is under way, by other members ---- */

/* To another receiver than today's, and not of the member that routes anew. */
static struct str old_route(struct team *t)
{
	static const char *const transports[] = { "smtp", "relay" };

	for (unsigned i = 1; i < RECEIVERS; i++) {
		FOR_EACH(transport, transports) {
			struct str d = arena_fmt(t->arena, "%s" STR_FMT, *transport,
						 STR_ARG(str_from(destination(t, i), 4)));
			for (unsigned k = 0; k < t->n; k++)
				if (queue_is_mine(t->queue[k], d) &&
				    !queue_is_mine(t->queue[k], STR("")))
					return d;
		}
	}
	CHECK(!"all belong to one");
}

/* Its receiver says nothing to the end of data, and the operator wants it elsewhere. */
static struct team *team_in_requeue_of(unsigned n, uint64_t *id)
{
	struct team *t = team_with("default_destination_recipient_limit = 1000\n");

	t->is_silent = true;
	team_start(t, TEAM_MAX);
	struct store_message m = message_of(t, 0, n, 0, 1);
	for (unsigned i = 0; i < n; i++)
		m.rcpts[i].destination = i > 0 ? m.rcpts[0].destination : old_route(t);
	struct store_content *c = content_new(t, m.id);
	queue_accept(t->queue[0], &m, c, STORE_ACCEPT_QUEUED, on_done, t);
	store_content_unref(c);
	while (!t->waiting)
		turn(t, 5);
	t->is_silent = false;
	change(t, STORE_REQUEUE, m.id);
	turn(t, 50);
	*id = m.id;
	return t;
}

static struct team *team_in_requeue(uint64_t *id)
{
	return team_in_requeue_of(1, id);
}

/* The member that routes meets more of them than it would read of one message, or at all. */
TEST(many_that_are_requeued_under_way_keep_nobody_busy)
{
	static const unsigned numbers[] = { 600, 1000 };

	FOR_EACH(n, numbers) {
		uint64_t id;
		struct team *t = team_in_requeue_of(*n, &id);
		ok(stored(t, id)->rcpts[*n - 1].destination.n == 0, "they wait");
		peer_say(t->waiting, STR("250 2.0.0 Ok\r\n"));
		wait_gone(t, id);
		ok(are_once(t, *n), "each once");
		team_free(t);
	}
}

TEST(requeued_while_it_is_delivered_goes_out_once)
{
	uint64_t id;
	struct team *t = team_in_requeue(&id);

	ok(stored(t, id)->rcpts[0].destination.n == 0, "it waits for what is under way");
	peer_say(t->waiting, STR("250 2.0.0 Ok\r\n"));
	wait_gone(t, id);
	ok(are_once(t, 1), "once");
	team_free(t);
}

TEST(requeued_while_it_is_refused_goes_the_new_way)
{
	static const char *const replies[] = { "550 5.7.1 Never\r\n", "451 4.3.0 Later\r\n" };

	FOR_EACH(reply, replies) {
		uint64_t id;
		struct team *t = team_in_requeue(&id);
		peer_say(t->waiting, str_of(*reply));
		wait_gone(t, id);
		ok(t->taken[0] == 2 && t->receiver[0].n_peers > 0, "by today's receiver");
		team_free(t);
	}
}

/* Some of a message are under way, the others wait behind them. */
TEST(who_waits_behind_what_is_under_way_is_requeued_at_once)
{
	struct team *t = team_with("initial_destination_concurrency = 1\n");
	enum { N = 100 };

	t->is_silent = true;
	team_start(t, 1);
	struct store_message m = message_of(t, 0, N, 0, 1);
	for (unsigned i = 0; i < N; i++)
		m.rcpts[i].destination = destination(t, 1);
	struct store_content *c = content_new(t, m.id);
	queue_accept(t->queue[0], &m, c, STORE_ACCEPT_QUEUED, on_done, t);
	store_content_unref(c);
	while (!t->waiting)
		turn(t, 5);
	t->is_silent = false;
	change(t, STORE_REQUEUE, m.id);
	while (t->n_taken < N)
		turn(t, 5);
	peer_say(t->waiting, STR("250 2.0.0 Ok\r\n"));
	wait_gone(t, m.id);
	ok(are_once(t, N), "each once");
	team_free(t);
}

/* ---- a dead destination ---- */

/* A port at which nobody listens and nobody else can. */
static int socket_that_refuses(unsigned *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ok(fd >= 0 && bind(fd, (struct sockaddr *)&at, n) == 0 &&
		   getsockname(fd, (struct sockaddr *)&at, &n) == 0,
	   "a port");
	*port = ntohs(at.sin_port);
	return fd;
}

struct grave {
	struct team *t;
	struct queue *q;
	struct sched_dest *dest;
	struct queue_settings settings;
	uint64_t id;
	char text[200];
	int fd;
};

/* One message to a destination that died of it, and that is too old now. */
static void grave_dig(struct grave *g)
{
	unsigned port;

	g->fd = socket_that_refuses(&port);
	(void)snprintf(g->text, sizeof(g->text),
		       "relayhost = [127.0.0.1]:%u\ninitial_destination_concurrency = 1\n", port);
	struct team *t = g->t = team_with(g->text);
	struct store_message m = message_of(t, 0, 1, 0, 1);

	m.rcpts[0].address = STR("r0@elsewhere.example");
	m.rcpts[0].destination = arena_fmt(t->arena, "smtp:[127.0.0.1]:%u", port);
	g->id = put_message(t, &m);
	team_start(t, 1);
	g->q = t->queue[0];
	while (sched_totals(g->q->sched).n_dead == 0 || g->q->n_busy > 0)
		turn(t, 2);
	g->dest = sched_dest_find(g->q->sched, m.rcpts[0].destination);
	ok(g->dest && stored(t, g->id)->rcpts[0].attempts == 1, "tried once");
	g->settings = *t->settings;
	g->settings.lifetime_ms = g->settings.bounce_lifetime_ms = 0;
	t->queue_site[0].settings = &g->settings;
}

static void grave_free(struct grave *g)
{
	team_free(g->t);
	(void)close(g->fd);
}

/* Its time to be tried comes while the store is told that it was given up. */
TEST(what_is_given_up_is_not_tried)
{
	struct grave g;

	grave_dig(&g);
	uint64_t now = net_loop_now(g.t->loop);
	sched_suspend(g.q->sched, g.dest, now + 3600 * 1000, now);
	(void)usleep(1100 * 1000); /* it is due */
	struct sql *writer = open_beside(g.t);
	struct error e = { 0 };
	ok(sql_begin(writer, &e), e.text);
	queue_sweep(g.q);
	ok(g.q->n_busy == 1, "the sweep takes it");
	queue_sweep(g.q);
	ok(g.q->n_busy == 1, "once");
	sched_wake(g.q->sched, g.dest, now);
	sched_backlog(g.q->sched, g.dest, now, now);
	queue_pump(g.q);
	ok(sched_totals(g.q->sched).n_attempts == 0, "nobody else");
	sql_rollback(writer);
	sql_close(writer);
	wait_gone(g.t, g.id);
	grave_free(&g);
}

TEST(what_may_be_tried_is_not_given_up)
{
	struct grave g;

	grave_dig(&g);
	while (sched_view(g.dest, net_loop_now(g.t->loop)).blocked_until > 0)
		(void)usleep(1000);
	queue_sweep(g.q);
	ok(g.q->n_busy == 0, "the probe has it");
	wait_gone(g.t, g.id);
	grave_free(&g);
}

TEST_MAIN(RUN(more_than_memory_holds), RUN(more_comes_than_memory_holds),
	  RUN(a_destination_has_one_owner), RUN(another_number_of_workers),
	  RUN(who_stands_behind_a_crowd_has_a_turn), RUN(a_crowd_is_delivered_to_its_last),
	  RUN(held_while_it_is_sent), RUN(held_while_it_is_deferred),
	  RUN(deleted_while_it_is_deferred), RUN(a_stop_cuts_off_what_takes_long),
	  RUN(the_least_wait_is_longer_than_the_most),
	  RUN(the_store_cannot_be_read_when_mail_is_released),
	  RUN(held_before_the_queue_hears_of_it), RUN(deleted_before_the_queue_hears_of_it),
	  RUN(requeued_while_it_is_deferred), RUN(requeued_while_it_is_delivered_goes_out_once),
	  RUN(many_that_are_requeued_under_way_keep_nobody_busy),
	  RUN(requeued_while_it_is_refused_goes_the_new_way),
	  RUN(who_waits_behind_what_is_under_way_is_requeued_at_once),
	  RUN(what_is_given_up_is_not_tried), RUN(what_may_be_tried_is_not_given_up))
