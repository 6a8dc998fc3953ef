/* What happens behind the server of a memcache table; the server itself is in the scenarios. */

#include "base/test.h"
#include "net/net.h"
#include "table/type.h"

#include <unistd.h>

/* ---- a backup that answers when it is told to ---- */

static struct table_lookup *later_waiting;
static unsigned later_cancelled;

static void *later_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	(void)now_ms, (void)e;
	return (void *)(uintptr_t)c;
}

static bool later_lookup(void *table, struct table_lookup *l)
{
	(void)table;
	later_waiting = l;
	return false;
}

static void later_cancel(void *table, struct table_lookup *l)
{
	(void)table;
	ok(l == later_waiting, "the lookup that waits");
	later_waiting = NULL;
	later_cancelled++;
}

static void later_close(void *table)
{
	(void)table;
}

static const struct table_type later_type = {
	.name = STR_INIT("later"),
	.open = later_open,
	.lookup = later_lookup,
	.cancel = later_cancel,
	.close = later_close,
};

static void later_says(enum answer_status status, struct str value)
{
	struct table_lookup *l = later_waiting;

	later_waiting = NULL;
	l->answer = (struct answer){ .status = status, .value = value };
	table_lookup_answered(l);
}

/* ---- the lab: nobody listens where the server should be ---- */

struct lab {
	struct net_loop *loop;
	struct arena *arena;
	struct table_set *set;
	char path[64];
	size_t n_answered;
	struct answer answer;
};

static void lab_open(struct lab *lab, const char *config)
{
	static const struct table_type *const types[] = { &later_type };

	*lab = (struct lab){ .loop = net_loop_new(), .arena = arena_new() };
	struct table_options o = {
		.is_utf8 = true, .loop = lab->loop, .types = types, .n_types = 1
	};
	(void)snprintf(lab->path, sizeof(lab->path), "/tmp/hopseal-memcache-%ld", (long)getpid());
	FILE *f = fopen(lab->path, "w");
	ok(f != NULL && fputs(config, f) >= 0 && fclose(f) == 0, "configuration");
	lab->set =
		table_set_new(STR("smtp_tls_policy_maps"),
			      arena_fmt(lab->arena, "memcache:%s static:after", lab->path), &o, 0);
	later_waiting = NULL;
	later_cancelled = 0;
}

static void lab_close(struct lab *lab)
{
	table_set_free(lab->set);
	net_loop_free(lab->loop);
	arena_free(lab->arena);
	unlink(lab->path);
}

static void on_answer(void *arg, const struct answer *answer)
{
	struct lab *lab = arg;

	lab->n_answered++;
	lab->answer = answer_copy(lab->arena, answer);
}

static struct table_lookup *ask(struct lab *lab)
{
	struct table_query q = {
		.arena = lab->arena, .key = STR("Key"), .answered = on_answer, .arg = lab
	};

	return table_set_lookup(lab->set, &q, &lab->answer);
}

#define NOBODY "memcache = unix:/nonexistent/memcached\n"

TEST(backup_answers_later)
{
	struct lab lab;

	lab_open(&lab, NOBODY "backup = later:x\n");
	ok(ask(&lab) != NULL, "the server first");
	net_loop_run(lab.loop);
	ok(lab.n_answered == 0 && later_waiting != NULL, "then the backup");
	ok_str(later_waiting->key, STR("Key"), "with the key as it is");
	later_says(ANSWER_FOUND, STR("v"));
	ok(lab.n_answered == 1 && lab.answer.status == ANSWER_FOUND, "found");
	ok_str(lab.answer.value, STR("v"), "value");
	ok(str_has_prefix(lab.answer.source, STR("memcache:")), "in this table");

	/* the server is known to be down now */
	ok(ask(&lab) != NULL && later_waiting != NULL, "at once");
	later_says(ANSWER_NONE, STR(""));
	ok_str(lab.answer.value, STR("after"), "the next table after it");
	lab_close(&lab);
}

TEST(cancelled)
{
	struct lab lab;

	lab_open(&lab, NOBODY "backup = later:x\n");
	table_lookup_cancel(ask(&lab));
	net_loop_run(lab.loop);
	ok(lab.n_answered == 0 && later_cancelled == 0, "while the server is asked");
	struct table_lookup *l = ask(&lab);
	net_loop_run(lab.loop);
	ok(later_waiting != NULL, "the backup is asked");
	table_lookup_cancel(l);
	ok(later_cancelled == 1 && lab.n_answered == 0, "while the backup is asked");
	lab_close(&lab);
}

TEST(without_backup)
{
	struct lab lab;

	lab_open(&lab, NOBODY);
	ok(ask(&lab) != NULL, "later");
	net_loop_run(lab.loop);
	ok(lab.answer.status == ANSWER_FAILED, "an error, and no table after it");
	ok(str_search(lab.answer.failure, STR("No such file"), &(size_t){ 0 }), "with its reason");
	lab_close(&lab);
}

TEST(backup_that_cannot_be_used)
{
	struct lab lab;

	lab_open(&lab, NOBODY "backup = no-such-type:x\n");
	if (ask(&lab) != NULL)
		net_loop_run(lab.loop);
	ok(lab.answer.status == ANSWER_FAILED, "never \"none\"");
	lab_close(&lab);
}

TEST_MAIN(RUN(backup_answers_later), RUN(cancelled), RUN(without_backup),
	  RUN(backup_that_cannot_be_used))
