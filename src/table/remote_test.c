#include "base/test.h"
#include "net/net.h"
#include "os/os.h"
#include "table/remote.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- a source that does as the key says ---- */

struct fake {
	atomic_bool is_down;
	atomic_uint n_opened, n_closed, n_asked;
	atomic_bool is_freed;
};

static struct fake fake;
static uint64_t fake_timeout_ms, fake_idle_ms, fake_age_ms;
static unsigned fake_connections;

struct connection {
	int fds[2]; /* nothing comes in here */
	unsigned n_asked;
};

static void *fake_open(const void *config, const struct remote_call *call, struct error *why)
{
	ok(config == &fake && remote_left_ms(call) > 0, "the configuration and a deadline");
	if (fake.is_down) {
		error_set(why, ERROR_NOT_HERE, "nobody is there");
		return NULL;
	}
	struct connection *c = base_alloc(sizeof(*c));
	ok(socketpair(AF_UNIX, SOCK_STREAM, 0, c->fds) == 0, "socketpair");
	fake.n_opened++;
	return c;
}

static enum remote_status fake_lookup(void *connection, const struct remote_call *call,
				      struct str key, struct buf *value, struct error *why)
{
	struct connection *c = connection;

	fake.n_asked++;
	c->n_asked++;
	if (str_eq(key, STR("none")))
		return REMOTE_NONE;
	error_set(why, ERROR_TEMP, STR_FMT, STR_ARG(key));
	if (str_eq(key, STR("failed")))
		return REMOTE_FAILED;
	if (str_eq(key, STR("broken")))
		return REMOTE_BROKEN;
	if (str_eq(key, STR("lost")) || (str_eq(key, STR("lost-if-kept")) && c->n_asked > 1))
		return REMOTE_LOST;
	if (str_eq(key, STR("slow")))
		return remote_wait(call, c->fds[0], 1, why) ? REMOTE_FOUND : REMOTE_BROKEN;
	if (str_eq(key, STR("deaf"))) {
		os_sleep_ms(1500);
		return REMOTE_FOUND;
	}
	if (str_eq(key, STR("pause")))
		os_sleep_ms(50);
	if (str_eq(key, STR("nul")))
		key = STR("a\0b");
	if (str_eq(key, STR("latin-1")))
		key = STR("\344");
	return buf_add(value, key) ? REMOTE_FOUND : REMOTE_BROKEN;
}

static void fake_close(void *connection)
{
	struct connection *c = connection;

	close(c->fds[0]);
	close(c->fds[1]);
	free(c);
	fake.n_closed++;
}

static const struct remote_engine fake_engine = { fake_open, fake_lookup, fake_close };

static void fake_free(void *config)
{
	((struct fake *)config)->is_freed = true;
}

static void *fake_table_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	const struct remote_options o = {
		.engine = &fake_engine,
		.config = &fake,
		.config_free = fake_free,
		.timeout_ms = fake_timeout_ms,
		.idle_ms = fake_idle_ms,
		.age_ms = fake_age_ms,
		.n_connections = fake_connections,
	};

	(void)now_ms, (void)e;
	return remote_new(c, &o);
}

static bool fake_table_lookup(void *table, struct table_lookup *l)
{
	return remote_lookup(table, l, l->key);
}

static void fake_table_cancel(void *table, struct table_lookup *l)
{
	remote_cancel(table, l);
}

static void fake_table_close(void *table)
{
	remote_free(table);
}

static const struct table_type fake_type = {
	.name = STR_INIT("fake"),
	.open = fake_table_open,
	.lookup = fake_table_lookup,
	.cancel = fake_table_cancel,
	.close = fake_table_close,
};

/* ---- the lab ---- */

struct lab {
	struct net_loop *loop;
	struct arena *arena;
	struct table_set *set;
	size_t n_answered;
	struct answer answer; /* the last one */
	struct table_set *free_in_call;
};

static struct lab lab_new(struct str list)
{
	static const struct table_type *const types[] = { &fake_type };
	struct lab lab = { .loop = net_loop_new(), .arena = arena_new() };
	struct table_options o = {
		.is_utf8 = true, .loop = lab.loop, .types = types, .n_types = 1
	};

	fake = (struct fake){ 0 };
	lab.set = table_set_new(STR("smtp_tls_policy_maps"), list, &o, 0);
	return lab;
}

static void lab_free(struct lab *lab)
{
	table_set_free(lab->set);
	net_loop_free(lab->loop);
	arena_free(lab->arena);
	ok(fake.n_opened == fake.n_closed, "every connection was closed");
	ok(fake.is_freed, "the configuration was given back");
}

static void on_answer(void *arg, const struct answer *answer)
{
	struct lab *lab = arg;

	lab->n_answered++;
	lab->answer = answer_copy(lab->arena, answer);
	table_set_free(lab->free_in_call);
	if (lab->free_in_call != NULL)
		lab->set = lab->free_in_call = NULL;
}

static struct table_lookup *ask(struct lab *lab, struct str key)
{
	struct table_query q = {
		.arena = lab->arena, .key = key, .answered = on_answer, .arg = lab
	};
	struct table_lookup *l = table_set_lookup(lab->set, &q, &lab->answer);

	lab->n_answered += l == NULL;
	return l;
}

/* "=value", "-" for none, "!failure" */
static struct str told(struct lab *lab)
{
	switch (lab->answer.status) {
	case ANSWER_FOUND:
		return arena_fmt(lab->arena, "=" STR_FMT, STR_ARG(lab->answer.value));
	case ANSWER_NONE:
		return STR("-");
	case ANSWER_FAILED:
		return arena_fmt(lab->arena, "!" STR_FMT, STR_ARG(lab->answer.failure));
	}
	return STR("?");
}

static struct str asked(struct lab *lab, struct str key)
{
	size_t before = lab->n_answered;

	if (ask(lab, key) != NULL)
		net_loop_run(lab->loop);
	ok(lab->n_answered == before + 1, "answered once");
	return told(lab);
}

static void timing(uint64_t timeout_ms, uint64_t idle_ms, uint64_t age_ms, unsigned connections)
{
	fake_timeout_ms = timeout_ms;
	fake_idle_ms = idle_ms;
	fake_age_ms = age_ms;
	fake_connections = connections;
}

/* ---- cases ---- */

TEST(one_connection_serves_all)
{
	static const struct {
		const char *rule;
		struct str key, want;
	} cases[] = {
		{ "found", STR_INIT("Key"), STR_INIT("=Key") },
		{ "a value with a NUL", STR_INIT("nul"), STR_INIT("!fake:a: the value has a NUL") },
		{ "a value in another encoding", STR_INIT("latin-1"),
		  STR_INIT("!fake:a: the value is not UTF-8") },
		{ "not found", STR_INIT("none"), STR_INIT("-") },
		{ "the source's own error", STR_INIT("failed"), STR_INIT("!fake:a: failed") },
		{ "no key for a table", STR_INIT("a\0b"), STR_INIT("-") },
		{ "nor this", STR_INIT("\377"), STR_INIT("-") },
		{ "found after an error", STR_INIT("k"), STR_INIT("=k") },
	};
	timing(0, 0, 0, 0);
	struct lab lab = lab_new(STR("fake:a"));

	FOR_EACH(c, cases)
		ok_str(asked(&lab, c->key), c->want, c->rule);
	ok(fake.n_opened == 1, "one connection, however many threads there may be");
	lab_free(&lab);
}

TEST(connections_that_end)
{
	timing(0, 0, 0, 0);
	struct lab lab = lab_new(STR("fake:a"));

	ok_str(asked(&lab, STR("lost-if-kept")), STR("=lost-if-kept"), "a new one is not lost");
	ok_str(asked(&lab, STR("lost-if-kept")), STR("=lost-if-kept"), "opened again, asked again");
	ok(fake.n_opened == 2 && fake.n_asked == 3, "once");
	ok_str(asked(&lab, STR("lost")), STR("!fake:a: lost"), "lost on a new one, too");
	ok(fake.n_opened == 3 && fake.n_asked == 5, "no third try");
	ok_str(asked(&lab, STR("lost")), STR("!fake:a: lost"), "a new one is not asked twice");
	ok(fake.n_opened == 4 && fake.n_asked == 6, "one try");
	ok_str(asked(&lab, STR("broken")), STR("!fake:a: broken"), "nonsense is no answer");
	ok_str(asked(&lab, STR("k")), STR("=k"), "and does not make the source down");
	ok(fake.n_opened == 6 && fake.n_closed == 5, "its connection was closed");
	lab_free(&lab);
}

TEST(idle_and_old_connections)
{
	timing(0, 50, 0, 0);
	struct lab lab = lab_new(STR("fake:a"));
	ok_str(asked(&lab, STR("a")), STR("=a"), "first");
	os_sleep_ms(300);
	ok(fake.n_closed == 1, "closed when idle");
	ok_str(asked(&lab, STR("b")), STR("=b"), "opened again");
	lab_free(&lab);

	timing(0, 0, 1, 0);
	lab = lab_new(STR("fake:a"));
	ok_str(asked(&lab, STR("a")), STR("=a"), "first");
	os_sleep_ms(5);
	ok_str(asked(&lab, STR("b")), STR("=b"), "second");
	ok(fake.n_opened == 2, "too old to be used again");
	lab_free(&lab);
}

TEST(deadline)
{
	timing(100, 0, 0, 0);
	struct lab lab = lab_new(STR("fake:a"));
	uint64_t began = os_now_ms();

	ok_str(asked(&lab, STR("slow")), STR("!fake:a: no answer in time"), "never \"none\"");
	ok(os_now_ms() - began < 1000, "in time");
	began = os_now_ms();
	ok_str(asked(&lab, STR("k")), STR("!fake:a: no answer in time; it is asked again in 5 s"),
	       "remembered");
	ok(os_now_ms() - began < 50, "and told at once");
	ok(fake.n_asked == 1, "without asking");
	lab_free(&lab);
}

TEST(deadline_of_one_key)
{
	timing(200, 0, 0, 0);
	struct lab lab = lab_new(STR("fake:a"));

	ok(ask(&lab, STR("slow")) != NULL, "later");
	ok(ask(&lab, STR("pause")) != NULL, "another beside it");
	net_loop_run(lab.loop);
	ok(lab.n_answered == 2, "both");
	ok_str(told(&lab), STR("!fake:a: no answer in time"), "the slow one came last");
	ok_str(asked(&lab, STR("k")), STR("=k"), "the source is not down for one slow key");
	lab_free(&lab);
}

TEST(engine_that_does_not_stop)
{
	timing(50, 0, 0, 1);
	struct lab lab = lab_new(STR("fake:a"));
	uint64_t began = os_now_ms();

	for (int i = 0; i < 3; i++)
		ok(ask(&lab, STR("deaf")) != NULL, "later");
	net_loop_run(lab.loop);
	ok(lab.n_answered == 3, "all are answered, those in the queue as well");
	ok_str(told(&lab), STR("!fake:a: no answer in time"), "by the loop");
	ok(os_now_ms() - began < 1000, "without waiting for the engine");
	table_set_free(lab.set);
	ok(os_now_ms() - began < 1450, "nor does the end");
	lab.set = NULL;
	while (!fake.is_freed) /* the thread ends by itself */
		os_sleep_ms(10);
	lab_free(&lab);
}

TEST(source_that_is_down)
{
	timing(0, 0, 0, 2);
	struct lab lab = lab_new(STR("fake:a"));

	fake.is_down = true;
	for (int i = 0; i < 100; i++)
		ok(ask(&lab, STR("k")) != NULL || lab.answer.status == ANSWER_FAILED, "fails");
	net_loop_run(lab.loop);
	ok(lab.n_answered == 100, "all");
	ok(str_search(told(&lab), STR("fake:a: nobody is there"), &(size_t){ 0 }), "the reason");
	fake.is_down = false;
	ok_str(asked(&lab, STR("k")), STR("!fake:a: nobody is there; it is asked again in 5 s"),
	       "remembered for a while");
	lab_free(&lab);
}

TEST(many_in_flight)
{
	timing(0, 0, 0, 0);
	struct lab lab = lab_new(STR("fake:a fake:b"));

	for (int i = 0; i < 1000; i++)
		ok(ask(&lab, i % 2 ? STR("k") : STR("none")) != NULL, "later");
	net_loop_run(lab.loop);
	ok(lab.n_answered == 1000, "all");
	ok(fake.n_asked == 1500, "the second table after the first");
	ok(fake.n_opened <= 16, "on no more connections than allowed");
	lab_free(&lab);
}

TEST(cancelled)
{
	struct table_lookup *waiting[20];

	timing(5000, 0, 0, 2);
	struct lab lab = lab_new(STR("fake:a"));
	uint64_t began = os_now_ms();

	for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
		waiting[i] = ask(&lab, i < 2 ? STR("slow") : STR("k"));
	for (size_t i = 0; i < ARRAY_LEN(waiting); i++)
		table_lookup_cancel(waiting[(i + 7) % ARRAY_LEN(waiting)]);
	net_loop_run(lab.loop);
	ok(lab.n_answered == 0, "no call");
	lab_free(&lab); /* two threads still wait for the source */
	ok(os_now_ms() - began < 1000, "they are stopped");

	timing(0, 0, 0, 2);
	lab = lab_new(STR("fake:a"));
	struct table_lookup *l = ask(&lab, STR("pause"));
	table_lookup_cancel(l);
	ok_str(asked(&lab, STR("k")), STR("=k"), "others go on");
	os_sleep_ms(100);
	ok(ask(&lab, STR("pause")) != NULL, "later");
	net_loop_run(lab.loop);
	ok(lab.n_answered == 2, "a late answer goes to nobody");
	lab_free(&lab);
}

TEST(freed_in_the_call)
{
	timing(0, 0, 0, 0);
	struct lab lab = lab_new(STR("fake:a"));

	lab.free_in_call = lab.set;
	ok_str(asked(&lab, STR("k")), STR("=k"), "answered");
	lab_free(&lab);

	timing(50, 0, 0, 0);
	lab = lab_new(STR("fake:a"));
	lab.free_in_call = lab.set;
	ok_str(asked(&lab, STR("deaf")), STR("!fake:a: no answer in time"), "by the timer");
	while (!fake.is_freed)
		os_sleep_ms(10);
	lab_free(&lab);
}

TEST(in_tables_of_tables)
{
	timing(100, 0, 0, 0);
	struct lab lab = lab_new(STR("unionmap:{fake:a,static:s,fake:b}"));
	ok_str(asked(&lab, STR("k")), STR("=k,s,k"), "unionmap");
	ok_str(asked(&lab, STR("failed")), STR("!fake:a: failed"), "its error");
	table_lookup_cancel(ask(&lab, STR("pause")));
	net_loop_run(lab.loop);
	lab_free(&lab);

	lab = lab_new(STR("pipemap:{inline:{a=none,b=slow,c=d},fake:a}"));
	ok_str(asked(&lab, STR("c")), STR("=d"), "pipemap");
	ok_str(asked(&lab, STR("a")), STR("-"), "not found by the second");
	ok_str(asked(&lab, STR("b")), STR("!fake:a: no answer in time"), "too late");
	lab_free(&lab);
}

TEST(without_loop)
{
	static const struct table_type *const types[] = { &fake_type };
	struct table_options o = { .types = types, .n_types = 1 };

	timing(0, 0, 0, 0);
	struct lab lab = lab_new(STR(""));
	table_set_free(lab.set);
	lab.set = table_set_new(STR("smtp_tls_policy_maps"), STR("fake:a"), &o, 0);
	ok_str(asked(&lab, STR("k")), STR("!fake:a: no server is asked here"), "fails at once");
	lab_free(&lab);
}

TEST(remote_quote)
{
	static const struct {
		const char *rule;
		struct str said, want;
	} cases[] = {
		{ "plain", STR_INIT("no such table"), STR_INIT("no such table") },
		{ "nothing", STR_INIT(""), STR_INIT("") },
		{ "what a terminal obeys", STR_INIT("a\033[1mb\nc"), STR_INIT("a?[1mb?c") },
		{ "UTF-8", STR_INIT("\303\244\377"), STR_INIT("\303\244?") },
	};
	char out[REMOTE_QUOTE_MAX], long_text[1000];

	FOR_EACH(c, cases) {
		struct str copy = test_exact(c->said);
		ok_str(str_of(remote_quote(copy, out)), c->want, c->rule);
		free((char *)copy.p);
	}
	memset(long_text, '\n', sizeof(long_text));
	ok(strlen(remote_quote(str_span(long_text, 1000), out)) == 200, "no more than 200");
	memset(long_text, 'x', sizeof(long_text));
	memcpy(long_text + 199, "\303\244", 2);
	ok(strlen(remote_quote(str_span(long_text, 1000), out)) == 200, "a character cut");
}

TEST_MAIN(RUN(one_connection_serves_all), RUN(connections_that_end), RUN(idle_and_old_connections),
	  RUN(deadline), RUN(deadline_of_one_key), RUN(engine_that_does_not_stop),
	  RUN(source_that_is_down), RUN(many_in_flight), RUN(cancelled), RUN(freed_in_the_call),
	  RUN(in_tables_of_tables), RUN(without_loop), RUN(remote_quote))
