#include "base/test.h"
#include "table/type.h"

#include <unistd.h>

/* Findings are written down as "code source;". */
struct heard {
	struct arena *arena;
	struct str text;
	unsigned n_errors;
};

static void hear(void *arg, const struct table_finding *f)
{
	struct heard *h = arg;

	h->text = arena_fmt(h->arena, STR_FMT STR_FMT " " STR_FMT ";", STR_ARG(h->text),
			    STR_ARG(f->code), STR_ARG(f->source));
	h->n_errors += f->is_error;
	ok(str_eq(f->param, STR("smtp_tls_per_site")) ||
		   str_eq(f->param, STR("smtp_sasl_password_maps")),
	   "the parameter is named");
	ok(f->text.n > 0, "there is a text");
}

static struct table_set *open_set(const char *list, struct heard *h, bool is_utf8)
{
	struct table_options o = { .is_utf8 = is_utf8, .found = hear, .arg = h };

	h->text = STR("");
	h->n_errors = 0;
	return table_set_new(STR("smtp_tls_per_site"), str_of(list), &o, 0);
}

static struct answer ask(struct table_set *s, struct arena *a, struct str key)
{
	struct answer answer;
	struct table_query q = { .arena = a, .key = key };

	ok(table_set_lookup(s, &q, &answer) == NULL, "answers at once");
	return answer;
}

/* want: "=value" found, "-" none, "!text" failed with this text in it */
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

static const struct {
	const char *rule;
	const char *list;
	struct str key, want, source, findings;
} cases[] = {
	{ "an empty list", "", STR_INIT("k"), STR_INIT("-") },
	{ "a list of no tables", " , ", STR_INIT("k"), STR_INIT("-") },
	{ "static", "static:MUST", STR_INIT("k"), STR_INIT("=MUST"), STR_INIT("static:MUST") },
	{ "static in braces", "static:{ encrypt ciphers=high }", STR_INIT("k"),
	  STR_INIT("=encrypt ciphers=high"), STR_INIT("static:{ encrypt ciphers=high }") },
	{ "static with commas in braces", "static:{a, b}", STR_INIT("k"), STR_INIT("=a, b"),
	  STR_INIT("static:{a, b}") },
	{ "empty static", "static:{}", STR_INIT("k"), STR_INIT("!static:{}: the value is empty"),
	  STR_INIT("static:{}") },
	{ "static, text after braces", "static:{a}b", STR_INIT("k"), STR_INIT("!braces"),
	  STR_INIT("static:{a}b"), STR_INIT("bad-body static:{a}b;") },
	{ "fail", "fail:x", STR_INIT("k"), STR_INIT("!fail:x: "), STR_INIT("fail:x") },
	{ "inline", "inline:{k=v}", STR_INIT("k"), STR_INIT("=v"), STR_INIT("inline:{k=v}") },
	{ "inline, other key", "inline:{k=v}", STR_INIT("l"), STR_INIT("-") },
	{ "inline in any case", "inline:{EXAMPLE.com=v}", STR_INIT("Example.COM"), STR_INIT("=v"),
	  STR_INIT("inline:{EXAMPLE.com=v}") },
	{ "inline with blanks", "inline:{ {k = v w} , {l = x} }", STR_INIT("k"), STR_INIT("=v w"),
	  STR_INIT("inline:{ {k = v w} , {l = x} }") },
	{ "inline, the last one wins", "inline:{k=v k=w}", STR_INIT("k"), STR_INIT("=w"),
	  STR_INIT("inline:{k=v k=w}"), STR_INIT("duplicate-key inline:{k=v k=w};") },
	{ "inline, empty value, other key", "inline:{k=, l=x}", STR_INIT("l"), STR_INIT("=x"),
	  STR_INIT("inline:{k=, l=x}"), STR_INIT("empty-value inline:{k=, l=x};") },
	{ "inline, empty value", "inline:{k=}", STR_INIT("k"), STR_INIT("!the value is empty"),
	  STR_INIT("inline:{k=}"), STR_INIT("empty-value inline:{k=};") },
	{ "inline without braces", "inline:k=v", STR_INIT("k"), STR_INIT("!inline:k=v: "),
	  STR_INIT("inline:k=v"), STR_INIT("bad-body inline:k=v;") },
	{ "inline, open brace", "inline:{k=v", STR_INIT("k"), STR_INIT("!inline:{k=v: "),
	  STR_INIT("inline:{k=v"), STR_INIT("bad-body inline:{k=v;") },
	{ "inline, empty", "inline:{ }", STR_INIT("k"), STR_INIT("!it is empty"),
	  STR_INIT("inline:{ }"), STR_INIT("bad-body inline:{ };") },
	{ "inline, text between", "inline:{a=b}inline:{c=d}", STR_INIT("a"), STR_INIT("!not of"),
	  STR_INIT("inline:{a=b}inline:{c=d}"), STR_INIT("bad-body inline:{a=b}inline:{c=d};") },
	{ "inline, no value", "inline:{k}", STR_INIT("k"), STR_INIT("!no \"=\""),
	  STR_INIT("inline:{k}"), STR_INIT("bad-body inline:{k};") },
	{ "the first result ends it", "inline:{k=v}, static:w", STR_INIT("k"), STR_INIT("=v"),
	  STR_INIT("inline:{k=v}") },
	{ "not found goes on", "inline:{k=v} static:w", STR_INIT("l"), STR_INIT("=w"),
	  STR_INIT("static:w") },
	{ "an error ends it", "fail:x, static:w", STR_INIT("k"), STR_INIT("!fail:x"),
	  STR_INIT("fail:x") },
	{ "an empty value ends it", "inline:{k=}, static:w", STR_INIT("k"), STR_INIT("!empty"),
	  STR_INIT("inline:{k=}"), STR_INIT("empty-value inline:{k=};") },
	{ "a bad table after a hit does no harm", "static:v nosuch:x", STR_INIT("k"),
	  STR_INIT("=v"), STR_INIT("static:v"), STR_INIT("unknown-type nosuch:x;") },
	{ "a bad table before it does", "nosuch:x static:v", STR_INIT("k"),
	  STR_INIT("!\"nosuch\" are not supported"), STR_INIT("nosuch:x"),
	  STR_INIT("unknown-type nosuch:x;") },
	{ "no type is never dropped", "/etc/hopseal/tls, static:v", STR_INIT("k"),
	  STR_INIT("!not of the form type:name"), STR_INIT("/etc/hopseal/tls"),
	  STR_INIT("bad-spec /etc/hopseal/tls;") },
	{ "a value without braces comes apart", "static:encrypt ciphers=high", STR_INIT("k"),
	  STR_INIT("=encrypt"), STR_INIT("static:encrypt"), STR_INIT("bad-spec ciphers=high;") },
	{ "a type alone", "texthash", STR_INIT("k"), STR_INIT("!not of the form"),
	  STR_INIT("texthash"), STR_INIT("bad-spec texthash;") },
	{ "nothing after the type", "static:", STR_INIT("k"), STR_INIT("!not of the form"),
	  STR_INIT("static:"), STR_INIT("bad-spec static:;") },
	{ "nothing before the colon", ":x", STR_INIT("k"), STR_INIT("!not of the form"),
	  STR_INIT(":x"), STR_INIT("bad-spec :x;") },
	{ "braces around a table", "{static:v}", STR_INIT("k"),
	  STR_INIT("!\"{static\" are not supported"), STR_INIT("{static:v}"),
	  STR_INIT("unknown-type {static:v};") },
	{ "key with upper-case letter beyond A-Z is stored unfolded", "inline:{\u00c9=v}",
	  STR_INIT("\u00c9"), STR_INIT("-"), STR_INIT(""),
	  STR_INIT("key-not-folded inline:{\u00c9=v};") },
	{ "folded key matches either case", "inline:{\u00e9=v}", STR_INIT("\u00c9"), STR_INIT("=v"),
	  STR_INIT("inline:{\u00e9=v}") },
	{ "sharp s folds away", "inline:{\u00df=v}", STR_INIT("\u00df"), STR_INIT("-"),
	  STR_INIT(""), STR_INIT("key-not-folded inline:{\u00df=v};") },
	{ "a key that is not UTF-8 is not there", "inline:{k=v}", STR_INIT("\xe9"), STR_INIT("-") },
	{ "static takes any key", "static:v", STR_INIT("\xe9"), STR_INIT("=v"),
	  STR_INIT("static:v") },
	{ "inline that is not UTF-8", "inline:{\xe9=v}", STR_INIT("k"), STR_INIT("!not UTF-8"),
	  STR_INIT("inline:{\xe9=v}"), STR_INIT("bad-body inline:{\xe9=v};") },
};

TEST(table_set_lookup)
{
	struct arena *a = arena_new();
	struct heard h = { .arena = a };

	FOR_EACH(c, cases) {
		struct table_set *s = open_set(c->list, &h, true);
		struct answer answer = ask(s, a, c->key);
		ok_str(h.text, c->findings, c->rule);
		table_set_free(s);
		expect(a, &answer, c->want, c->rule); /* the answer outlives the set */
		ok_str(answer.source, c->source, c->rule);
	}
	arena_free(a);
}

TEST(table_set_without_smtputf8)
{
	struct arena *a = arena_new();
	struct heard h = { .arena = a };
	struct table_set *s = open_set("inline:{\u00c9a=v, \xe9=w}", &h, false);
	struct answer answer;

	answer = ask(s, a, STR("\u00c9A"));
	expect(a, &answer, STR("=v"), "only A-Z fold");
	answer = ask(s, a, STR("\u00e9a"));
	expect(a, &answer, STR("-"), "other letters do not");
	answer = ask(s, a, STR("\xe9"));
	expect(a, &answer, STR("=w"), "any octets");
	ok_str(h.text, STR(""), "nothing to say");
	table_set_free(s);
	arena_free(a);
}

static void hear_remedy(void *arg, const struct table_finding *f)
{
	struct heard *h = arg;

	h->text = arena_str(h->arena, f->remedy);
}

TEST(remedies)
{
	struct arena *a = arena_new();
	struct heard h = { .arena = a };
	struct table_options o = { .found = hear_remedy, .arg = &h };

	table_set_free(table_set_new(STR("p"), STR("/etc/x"), &o, 0));
	ok_str(h.text, STR("write texthash:/etc/x"), "a path");
	table_set_free(table_set_new(STR("p"), STR("sdbm:/etc/x"), &o, 0));
	ok_str(h.text, STR("texthash:/etc/x reads the text that this one is made from"), "sdbm");
	o.found = NULL;
	table_set_free(table_set_new(STR("p"), STR("sdbm:/etc/x"), &o, 0));
	arena_free(a);
}

static void join_entry(void *arg, const struct table_entry *e)
{
	struct heard *h = arg;

	h->text = arena_fmt(h->arena, STR_FMT STR_FMT "=" STR_FMT ";", STR_ARG(h->text),
			    STR_ARG(e->key), STR_ARG(e->value));
}

TEST(table_set_each)
{
	struct arena *a = arena_new();
	struct heard h = { .arena = a };
	struct table_set *s = open_set("inline:{B=1, a=2, b=3}, static:x, inline:{c=4}", &h, true);

	h.text = STR("");
	table_set_each(s, join_entry, &h);
	ok_str(h.text, STR("a=2;b=3;c=4;"), "what a lookup could find");
	table_set_free(s);
	arena_free(a);
}

/* A type that answers when the test says so: what a network type is like. */

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

struct got {
	unsigned n;
	struct answer answer;
};

static void got_answer(void *arg, const struct answer *answer)
{
	struct got *g = arg;

	g->n++;
	g->answer = *answer;
}

static void slow_says(enum answer_status status, struct str text)
{
	struct table_lookup *l = slow_waiting;

	l->answer = (struct answer){ .status = status };
	if (status == ANSWER_FOUND)
		l->answer.value = text;
	else
		l->answer.failure = text;
	table_lookup_answered(l);
}

TEST(table_lookup_later)
{
	static const struct table_type *const types[] = { &slow_type };
	struct arena *a = arena_new();
	struct heard h = { .arena = a };
	struct table_options o = {
		.is_utf8 = true, .found = hear, .arg = &h, .types = types, .n_types = 1
	};
	struct table_set *s = table_set_new(STR("smtp_tls_per_site"),
					    STR("inline:{k=v} slow:a slow:b static:w"), &o, 0);
	struct got got = { 0 };
	struct table_query q = { .arena = a, .key = STR("k"), .answered = got_answer, .arg = &got };
	struct answer answer;

	ok(table_set_lookup(s, &q, &answer) == NULL, "a table before it answers at once");
	q.key = STR("Other");
	ok(table_set_lookup(s, &q, &answer) != NULL, "later");
	ok_str(slow_waiting->key, STR("Other"), "the key as it is");
	ok_str(slow_waiting->folded, STR("other"), "and folded");
	slow_says(ANSWER_NONE, STR(""));
	ok(got.n == 0, "the second one is asked");
	slow_says(ANSWER_NONE, STR(""));
	ok(got.n == 1, "and then one that answers at once");
	ok_str(got.answer.value, STR("w"), "value");
	ok_str(got.answer.source, STR("static:w"), "source");

	ok(table_set_lookup(s, &q, &answer) != NULL, "later");
	slow_says(ANSWER_FAILED, STR("time-out"));
	ok(got.n == 2 && got.answer.status == ANSWER_FAILED, "an error ends it");
	ok_str(got.answer.failure, STR("time-out"), "failure");
	ok_str(got.answer.source, STR("slow:a"), "source");

	ok(table_set_lookup(s, &q, &answer) != NULL, "later");
	slow_says(ANSWER_FOUND, STR(""));
	ok(got.n == 3 && got.answer.status == ANSWER_FAILED, "an empty value is an error");

	struct table_lookup *l = table_set_lookup(s, &q, &answer);
	table_lookup_cancel(l);
	ok(slow_cancelled == 1 && got.n == 3, "cancelled");
	table_set_free(s);
	arena_free(a);
}

static const struct {
	const char *list;
	bool can_tell;
} versions[] = {
	{ "", true },
	{ "static:v, inline:{k=v}, fail:x, nosuch:x", true },
	{ "unionmap:{static:v, pipemap:{static:a, static:b}}", true },
	{ "regexp:{{/x/ y}}", true },
	{ "randmap:{a, b}", false },
	{ "static:v, unionmap:{static:v, randmap:{a}}", false },
};

TEST(tables_that_can_tell)
{
	struct table_options o = { .is_utf8 = true };
	uint64_t v;

	FOR_EACH(c, versions) {
		struct table_set *s = table_set_new(STR("p"), str_of(c->list), &o, 0);
		ok(table_set_version(s, 0, &v) == c->can_tell, c->list);
		table_set_free(s);
	}
}

/* What may be a piece of a password is shown nowhere. */
static const struct {
	const char *rule, *list;
	struct str failure, findings;
} logins[] = {
	{ "a stray word", "secret", STR_INIT("(an entry): this is not"),
	  STR_INIT("bad-spec (an entry);") },
	{ "a path", "/etc/logins", STR_INIT("/etc/logins: this is not"),
	  STR_INIT("bad-spec /etc/logins;") },
	{ "a stray word with a colon", "sec:ret", STR_INIT("(an entry): tables of this type"),
	  STR_INIT("unknown-type (an entry);") },
	{ "a type that there is not", "mysql:/etc/logins",
	  STR_INIT("mysql:/etc/logins: tables of type \"mysql\""),
	  STR_INIT("unknown-type mysql:/etc/logins;") },
};

TEST(passwords_are_not_quoted)
{
	struct arena *a = arena_new();
	struct heard h = { .arena = a };
	struct table_options o = { .found = hear, .arg = &h };

	FOR_EACH(c, logins) {
		h.text = STR("");
		struct table_set *s =
			table_set_new(STR("smtp_sasl_password_maps"), str_of(c->list), &o, 0);
		struct answer answer = ask(s, a, STR("k"));
		ok_str(h.text, c->findings, c->rule);
		table_set_free(s);
		ok(answer.status == ANSWER_FAILED, c->rule);
		ok_str(str_first(answer.failure, c->failure.n), c->failure, c->rule);
	}
	arena_free(a);
}

TEST(tables)
{
	struct arena *a = arena_new();
	struct heard h = { .arena = a };
	struct table_options o = { .is_utf8 = true, .found = hear, .arg = &h };
	struct tables *t = tables_new(&o);
	struct table_query q = { .arena = a, .key = STR("k") };
	struct answer answer;
	uint64_t version;

	tables_open(t, STR("smtp_tls_per_site"), STR("static:v"), 0);
	tables_open(t, STR("transport_maps"), STR(""), 0);
	ok(tables_lookup(t, STR("smtp_tls_per_site"), &q, &answer) == NULL, "at once");
	expect(a, &answer, STR("=v"), "by parameter");
	ok(tables_lookup(t, STR("transport_maps"), &q, &answer) == NULL, "at once");
	expect(a, &answer, STR("-"), "no tables");
	ok(tables_lookup(t, STR("smtp_tls_policy_maps"), &q, &answer) == NULL, "at once");
	expect(a, &answer, STR("!no tables are open for smtp_tls_policy_maps"), "not opened");
	ok(tables_find(t, STR("transport_maps")) != NULL, "find");
	for (int i = 0; i < 2; i++) {
		ok(tables_lookup(t, STR("inline:{k=x}"), &q, &answer) == NULL, "at once");
		expect(a, &answer, STR("=x"), "a table by itself");
	}
	tables_refresh(t, 5000);
	ok(tables_version(t, STR("smtp_tls_per_site"), 5000, &version), "can tell");
	ok(!tables_version(t, STR("smtp_tls_policy_maps"), 5000, &version), "not opened");
	tables_free(t);
	tables_free(NULL);
	arena_free(a);
}

TEST_MAIN(RUN(table_set_lookup), RUN(table_set_without_smtputf8), RUN(remedies),
	  RUN(table_set_each), RUN(table_lookup_later), RUN(tables_that_can_tell),
	  RUN(passwords_are_not_quoted), RUN(tables))
