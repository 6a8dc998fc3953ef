#include "base/test.h"
#include "table/type.h"

/* What postmap(1) of Postfix 3.7 answers for the key "k". want: "=value", "-" none, "!text" failed
 * with this text in it. */
static const struct {
	const char *rule;
	struct str list, want;
} cases[] = {
	{ "union: all values", STR_INIT("unionmap:{static:a,inline:{k=b}}"), STR_INIT("=a,b") },
	{ "union: those that know it", STR_INIT("unionmap:{inline:{z=a}, inline:{k=b}}"),
	  STR_INIT("=b") },
	{ "union: none knows it", STR_INIT("unionmap:{inline:{y=a}, inline:{z=b}}"),
	  STR_INIT("-") },
	{ "union: values with blanks", STR_INIT("unionmap:{static:{a b}, static:c}"),
	  STR_INIT("=a b,c") },
	{ "union: an error wins", STR_INIT("unionmap:{inline:{k=b},fail:x}"), STR_INIT("!fail:x") },
	{ "union: an error first", STR_INIT("unionmap:{fail:x,static:b}"), STR_INIT("!fail:x") },
	{ "union: of one", STR_INIT("unionmap:{static:a}"), STR_INIT("=a") },
	{ "union: of none", STR_INIT("unionmap:{}"), STR_INIT("!no table") },
	{ "union: without braces", STR_INIT("unionmap:static:a"), STR_INIT("!not of the form") },
	{ "union: text after braces", STR_INIT("unionmap:{static:a}x"),
	  STR_INIT("!not of the form") },
	{ "union: no type", STR_INIT("unionmap:{static:a,b}"), STR_INIT("!cannot be used") },
	{ "union: unknown type", STR_INIT("unionmap:{static:a,nosuch:x}"),
	  STR_INIT("!cannot be used") },
	{ "union: braces around one", STR_INIT("unionmap:{ {static:a} }"),
	  STR_INIT("!cannot be used") },
	{ "union in union", STR_INIT("unionmap:{unionmap:{static:a,static:b},static:c}"),
	  STR_INIT("=a,b,c") },
	{ "pipe", STR_INIT("pipemap:{inline:{k=L},inline:{l=v}}"), STR_INIT("=v") },
	{ "pipe: the first does not know it", STR_INIT("pipemap:{inline:{z=L},static:v}"),
	  STR_INIT("-") },
	{ "pipe: the last does not know it", STR_INIT("pipemap:{static:a,inline:{z=L}}"),
	  STR_INIT("-") },
	{ "pipe: of one", STR_INIT("pipemap:{static:a}"), STR_INIT("=a") },
	{ "pipe: an error", STR_INIT("pipemap:{static:a,fail:x,static:b}"), STR_INIT("!fail:x") },
	{ "pipe: not asked, not failed", STR_INIT("pipemap:{inline:{z=L},fail:x}"), STR_INIT("-") },
	{ "pipe: a table that can never be used", STR_INIT("pipemap:{inline:{z=L},nosuch:x}"),
	  STR_INIT("!cannot be used") },
	{ "pipe: into a pattern", STR_INIT("pipemap:{static:{A b},regexp:{{/^(A) / <$1>}}}"),
	  STR_INIT("=<A>") },
	{ "rand: of one", STR_INIT("randmap:{a}"), STR_INIT("=a") },
	{ "rand: braces stay", STR_INIT("randmap:{{a b}}"), STR_INIT("={a b}") },
	{ "rand: of none", STR_INIT("randmap:{ }"), STR_INIT("!not of the form") },
	{ "rand: without braces", STR_INIT("randmap:a"), STR_INIT("!not of the form") },
	{ "proxy", STR_INIT("proxy:static:a"), STR_INIT("=a") },
	{ "proxy inside", STR_INIT("unionmap:{proxy:inline:{k=a}}"), STR_INIT("=a") },
	{ "proxy of nothing", STR_INIT("proxy:"), STR_INIT("!type:name") },
	{ "proxy of no type", STR_INIT("proxy:/etc/x"), STR_INIT("!type:name") },
	{ "the next table of the list", STR_INIT("unionmap:{inline:{z=a}} static:b"),
	  STR_INIT("=b") },
};

static void expect(struct arena *a, const struct answer *got, struct str want, const char *rule)
{
	size_t at;

	switch (got->status) {
	case ANSWER_FOUND:
		ok_str(arena_fmt(a, "=" STR_FMT, STR_ARG(got->value)), want, rule);
		return;
	case ANSWER_NONE:
		ok_str(STR("-"), want, rule);
		return;
	case ANSWER_FAILED:
		ok(want.p[0] == '!' && str_search(got->failure, str_from(want, 1), &at), rule);
		return;
	}
}

static struct answer ask(struct arena *a, struct str list, bool is_partial)
{
	struct table_options o = { .is_utf8 = true };
	struct table_set *s = table_set_new(STR("p"), list, &o, 0);
	struct table_query q = { .arena = a, .key = STR("k"), .is_partial = is_partial };
	struct answer answer;

	ok(table_set_lookup(s, &q, &answer) == NULL, "answers at once");
	table_set_free(s);
	return answer;
}

TEST(compound_lookup)
{
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct answer answer = ask(a, c->list, false);
		expect(a, &answer, c->want, c->rule);
		arena_free(a);
	}
}

TEST(compound_partial_keys)
{
	struct arena *a = arena_new();

	ok(ask(a, STR("unionmap:{static:a}"), true).status == ANSWER_FOUND, "no patterns");
	ok(ask(a, STR("unionmap:{static:a,regexp:{{/./ b}}}"), true).status == ANSWER_NONE,
	   "one with patterns");
	ok(ask(a, STR("randmap:{a}"), true).status == ANSWER_NONE, "any");
	arena_free(a);
}

TEST(compound_depth)
{
	struct arena *a = arena_new();
	struct str list = STR("static:a");

	for (int i = 0; i < 40; i++)
		list = arena_fmt(a, "unionmap:{" STR_FMT "}", STR_ARG(list));
	ok(ask(a, list, false).status == ANSWER_FAILED, "too deep");
	arena_free(a);
}

TEST(rand_gives_each)
{
	unsigned seen[3] = { 0 };

	for (int i = 0; i < 200; i++) {
		struct arena *a = arena_new();
		struct answer answer = ask(a, STR("randmap:{a, b c}"), false);
		ok(answer.value.n == 1 && answer.value.p[0] >= 'a' && answer.value.p[0] <= 'c',
		   "one of them");
		seen[answer.value.p[0] - 'a']++;
		arena_free(a);
	}
	ok(seen[0] && seen[1] && seen[2], "each of them");
}

/* A type that answers when the test says so. */

static struct table_lookup *slow_waiting;
static unsigned slow_cancelled;

static void *slow_open(const struct table_context *c, uint64_t now_ms, struct error *e)
{
	(void)now_ms;
	(void)e;
	return (void *)c;
}

static bool slow_lookup(void *table, struct table_lookup *l)
{
	(void)table;
	slow_waiting = l;
	return false;
}

static void slow_close(void *table)
{
	(void)table;
}

static void slow_cancel(void *table, struct table_lookup *l)
{
	(void)table;
	ok(l == slow_waiting, "the lookup that waits");
	slow_cancelled++;
}

static const struct table_type slow_type = {
	.name = STR_INIT("slow"),
	.open = slow_open,
	.lookup = slow_lookup,
	.close = slow_close,
	.cancel = slow_cancel,
};

static void slow_says(enum answer_status status, struct str value)
{
	struct table_lookup *l = slow_waiting;

	l->answer = (struct answer){ .status = status, .value = value };
	table_lookup_answered(l);
}

static void got_answer(void *arg, const struct answer *answer)
{
	*(struct answer *)arg = *answer;
}

TEST(compound_answers_later)
{
	static const struct table_type *const types[] = { &slow_type };
	struct arena *a = arena_new();
	struct table_options o = { .is_utf8 = true, .types = types, .n_types = 1 };
	struct str list = STR("unionmap:{static:a,slow:1,pipemap:{slow:2,inline:{l=c}}}");
	struct table_set *s = table_set_new(STR("p"), list, &o, 0);
	struct answer got = { .status = ANSWER_FAILED }, answer;
	struct table_query q = { .arena = a, .key = STR("k"), .answered = got_answer, .arg = &got };

	ok(table_set_lookup(s, &q, &answer) != NULL, "later");
	slow_says(ANSWER_FOUND, STR("b"));
	ok(got.status == ANSWER_FAILED, "not yet");
	slow_says(ANSWER_FOUND, STR("L"));
	ok(got.status == ANSWER_FOUND, "now");
	ok_str(got.value, STR("a,b,c"), "all of them");
	struct table_lookup *l = table_set_lookup(s, &q, &answer);
	ok(l != NULL, "later again");
	table_lookup_cancel(l);
	ok(slow_cancelled == 1, "cancelled inside");
	table_set_free(s);
	arena_free(a);
}

TEST_MAIN(RUN(compound_lookup), RUN(compound_partial_keys), RUN(compound_depth),
	  RUN(rand_gives_each), RUN(compound_answers_later))
