/* What the tests of this room share: a configuration from text, and its findings. Only *_test.c
 * files include this. */

#ifndef HOPSEAL_CONF_TEST_LOAD_H
#define HOPSEAL_CONF_TEST_LOAD_H

#include "base/test.h"
#include "conf/conf.h"

struct test_load {
	struct arena *arena;
	struct conf_findings found;
	struct conf *conf; /* NULL: refused */
};

/* From a copy of exactly the text's size, which is gone before anybody reads a value. */
static inline struct test_load test_load(struct str text)
{
	struct test_load t = { .arena = arena_new() };
	struct str exact = test_exact(text);
	struct conf_source s = { STR("main.cf"), exact };
	struct conf_machine m = { .hostname = STR("client.example.net") };

	t.conf = conf_new(&s, 1, &m, t.arena, &t.found);
	free((char *)exact.p);
	return t;
}

static inline void test_unload(struct test_load *t)
{
	conf_unref(t->conf);
	arena_free(t->arena);
}

/* "severity code line param": one line for each finding. */
static inline struct str test_summary(struct test_load *t)
{
	static const char *const severity[] = { "note", "warning", "error" };
	struct str all = STR("");

	for (size_t i = 0; i < t->found.n; i++) {
		const struct conf_finding *f = &t->found.v[i];
		all = arena_fmt(t->arena, STR_FMT "%s " STR_FMT " %u " STR_FMT "\n", STR_ARG(all),
				severity[f->severity], STR_ARG(f->code), f->line,
				STR_ARG(f->param));
	}
	return all;
}

#endif
