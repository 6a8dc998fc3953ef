#include "base/test.h"
#include "os/os.h"
#include "table/rules.h"

#include <unistd.h>

/* What postmap(1) of Postfix 3.7 answers to each. want: "=value", "-" none, "!" failed.
 * findings: "code@line;" each. */
static const struct {
	const char *rule, *type;
	struct str text, key, want, findings;
} cases[] = {
#define R(rule, text, key, want, findings)                                                         \
	{                                                                                          \
		rule, "regexp", STR_INIT(text), STR_INIT(key), STR_INIT(want), STR_INIT(findings)  \
	}
#define P(rule, text, key, want, findings)                                                         \
	{                                                                                          \
		rule, "pcre", STR_INIT(text), STR_INIT(key), STR_INIT(want), STR_INIT(findings)    \
	}
#define C(rule, text, key, want, findings)                                                         \
	{                                                                                          \
		rule, "cidr", STR_INIT(text), STR_INIT(key), STR_INIT(want), STR_INIT(findings)    \
	}
	R("a pattern", "/^a.c$/ v w \n", "abc", "=v w", ""),
	R("no match", "/^a.c$/ v\n", "abd", "-", ""),
	R("case does not matter", "/EXAMPLE/ v\n", "example.com", "=v", ""),
	R("flag i: it does", "/EXAMPLE/i v\n", "example.com", "-", ""),
	R("flag x: basic expressions", "/a+/x v\n", "aa", "-", ""),
	R("flag m: lines", "/^b/m v\n", "a\nb", "=v", ""),
	R("flag q is none", "/a/q v\n", "a", "-", "pattern-syntax@1;"),
	R("the first that matches", "/x/ 1\n/a/ 2\n/./ 3\n", "a", "=2", ""),
	R("negated", "!/a/ v\n", "b", "=v", ""),
	R("negated, no match", "!/a/ v\n", "a", "-", ""),
	R("negated twice", "!!/a/ v\n", "a", "=v", ""),
	R("blanks after the negation", "! /a/ v\n", "b", "=v", ""),
	R("a negation alone", "!\n/b/ v\n", "b", "=v", "pattern-syntax@1;"),
	R("negation in the value", "/a/ !/b/ v\n", "a", "=!/b/ v", ""),
	R("two patterns", "/(a)/!/b/ v$1\n", "a", "=va", ""),
	R("two patterns, the second matches", "/a/!/b/ v\n/./ w\n", "ab", "=w", ""),
	R("two patterns, the first does not", "/a/!/b/ v\n/./ w\n", "c", "=w", ""),
	R("two patterns, one is wrong", "/a/!/(/ v\n/./ w\n", "a", "=w", "pattern-syntax@1;"),
	R("another delimiter", "#a# v\n", "a", "-", ""),
	R("and one that works", ",a/b, v\n", "a/b", "=v", ""),
	R("quotes as delimiters", "\"a\" v\n", "a", "=v", ""),
	R("escaped delimiter", "/a\\/b/ v\n", "a/b", "=v", ""),
	R("open pattern", "/a v\n", "a", "-", "pattern-syntax@1;"),
	R("open pattern, backslash", "/a\\/ v\n", "a", "-", "pattern-syntax@1;"),
	R("wrong pattern", "/(/ v\n/./ w\n", "a", "=w", "pattern-syntax@1;"),
	R("no pattern at all", "example.com v\n", "example.com", "-", "pattern-syntax@1;"),
	R("no value", "/a/\n", "a", "!", "empty-value@1;"),
	R("group", "/^(.*)@(.*)$/ $2-${1}$(2)\n", "a@b", "=b-ab", ""),
	R("group that took no part", "/(a)|(b)/ x$1-$2-\n", "b", "=x-b-", ""),
	R("dollar", "/a/ x$$y\n", "a", "=x$y", ""),
	R("not a group", "/(a)/ x$1y\n/./ w\n", "a", "=w", "pattern-syntax@1;"),
	R("group that is not there", "/(a)/ $2\n/./ w\n", "a", "=w", "pattern-syntax@1;"),
	R("group of a negated pattern", "!/(a)/ $1\n", "b", "-", "pattern-syntax@1;"),
	R("if", "if /a/\n/b/ v\nendif\n/./ w\n", "ab", "=v", ""),
	R("if, not inside", "if /a/\n/b/ v\nendif\n/./ w\n", "b", "=w", ""),
	R("if, and nothing matches inside", "if /a/\n/b/ v\nendif\n/./ w\n", "a", "=w", ""),
	R("if negated", "if !/a/\n/b/ v\nendif\n", "b", "=v", ""),
	R("if without a blank", "IF/a/\n/b/ v\nEndIf\n", "ab", "=v", ""),
	R("if in if", "if /a/\nif /b/\n/c/ v\nendif\n/d/ w\nendif\n/./ x\n", "ad", "=w", ""),
	R("if in if, outer", "if /a/\nif /b/\n/c/ v\nendif\n/d/ w\nendif\n/./ x\n", "bcd", "=x",
	  ""),
	R("if in if, inner", "if /a/\nif /b/\n/c/ v\nendif\n/d/ w\nendif\n/./ x\n", "abc", "=v",
	  ""),
	R("if without endif", "if /a/\n/b/ v\n", "b", "-", "pattern-no-endif@1;"),
	R("if without endif matches", "if /a/\n/b/ v\n", "ab", "=v", "pattern-no-endif@1;"),
	R("if with text", "if /a/ x\n/b/ v\nendif\n", "ab", "=v", "pattern-extra@1;"),
	R("its first rule is indented", "if /a/\n /b/ v\nendif\n/./ w\n", "ab", "=w",
	  "pattern-extra@1;"),
	R("endif with text", "if /a/\n/b/ v\nendif x\n/./ w\n", "c", "=w", "pattern-extra@3;"),
	R("never tried: the same pattern", "/a/ v\n/b/ w\n/a/ x\n", "a", "=v",
	  "pattern-unreachable@3;"),
	R("tried: another flag", "/a/ v\n/a/i w\n!/a/ x\n", "a", "=v", ""),
	R("never tried: what comes after all, told once", "/./ v\n/b/ w\n/c/ x\n", "b", "=v",
	  "pattern-unreachable@2;"),
	R("tried: all in another block", "if /a/\n/./ v\nendif\n/b/ w\n", "b", "=w", ""),
	R("never tried: all in this block", "if /a/\n/./ v\n/b/ w\nendif\n/b/ w\n", "b", "=w",
	  "pattern-unreachable@3;"),
	R("never tried: the same pair", "/a/!/b/ v\n/a/!/b/ w\n", "a", "=v",
	  "pattern-unreachable@2;"),
	R("tried: one of a pair", "/a/!/b/ v\n/a/ w\n", "ab", "=w", ""),
	R("endif without if", "endif\n/b/ v\n", "b", "=v", "pattern-syntax@1;"),
	R("endifx", "if /a/\n/b/ v\nendifx\n", "ab", "=v", "pattern-syntax@3;pattern-no-endif@1;"),
	R("wrong if", "if /(/\n/b/ v\nendif\n", "b", "=v", "pattern-syntax@1;pattern-syntax@3;"),
	R("if alone", "if\n/b/ v\nendif\n", "b", "=v", "pattern-syntax@1;pattern-syntax@3;"),
	R("continued", "/a/ v\n w\n# c\n x\n", "a", "=v w x", ""),
	R("leading space", " /a/ v\n", "a", "-", "line-leading-space@1;"),
	R("key that is not UTF-8", "/./ v\n", "\xe9", "-", ""),
	R("value that is not UTF-8", "/a/ v\xe9\n", "a", "!", "line-utf8@1;"),
	R("half a letter", "/^(.)/ $1\n", "\u00e9", "!", ""),
	R("octets, not letters", "/^.$/ v\n", "\u00e9", "-", ""),
	R("no folding beyond A-Z", "/\u00c9/ v\n", "\u00e9", "-", ""),
	R("the empty key", "/^$/ v\n", "", "=v", ""),
	R("a NUL spoils it all", "/a/ v\n/b\0/ w\n", "a", "!", "line-nul@2;"),
	P("a pattern", "/^\\d+$/ v\n", "123", "=v", ""),
	P("case does not matter", "/EXAMPLE/ v\n", "example.com", "=v", ""),
	P("flag i: it does", "/EXAMPLE/i v\n", "example.com", "-", ""),
	P("dot matches a line end", "/^a.b$/ v\n", "a\nb", "=v", ""),
	P("flag s: it does not", "/^a.b$/s v\n", "a\nb", "-", ""),
	P("flag m", "/^b/m v\n", "a\nb", "=v", ""),
	P("flag x", "/a b/x v\n", "ab", "=v", ""),
	P("flag A", "/a/A v\n", "ba", "-", ""),
	P("flag E", "/a$/E v\n", "a\n", "-", ""),
	P("without it", "/a$/ v\n", "a\n", "=v", ""),
	P("flag U", "/^(a+)/U <$1>\n", "aaa", "=<a>", ""),
	P("flag X", "/a/X v\n", "a", "=v", ""),
	P("unknown flag", "/a/Q v\n", "a", "-", "pattern-syntax@1;"),
	P("no pairs here", "/a/!/b/ v\n", "a", "-", "pattern-syntax@1;"),
	P("wrong escape", "/\\y/ v\n", "y", "-", "pattern-syntax@1;"),
	P("group that took no part", "/(a)(b)?/ <$2>\n", "a", "=<>", ""),
	P("named group by number", "/(?<n>a)/ <$1>\n", "a", "=<a>", ""),
	P("not by name", "/(?<n>a)/ $n\n", "a", "-", "pattern-syntax@1;"),
	P("group that is not there", "/a/ $1\n", "a", "-", "pattern-syntax@1;"),
	P("too much work fails", "/^(a+)+$/ v\n/./ w\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
	  "!", ""),
	P("octets", "/^.$/ v\n", "\u00e9", "-", ""),
	P("if", "if !/^a/\n/b/ v\nendif\n/./ w\n", "ab", "=w", ""),
	C("network", "192.0.2.0/24 v\n", "192.0.2.1", "=v", ""),
	C("outside", "192.0.2.0/24 v\n", "192.0.3.1", "-", ""),
	C("address", "192.0.2.1 v  w \n", "192.0.2.1", "=v  w", ""),
	C("the first counts", "192.0.2.1 a\n192.0.2.0/24 b\n0.0.0.0/0 c\n", "192.0.2.7", "=b", ""),
	C("the larger one first", "192.0.2.0/24 b\n192.0.2.1 a\n", "192.0.2.1", "=b",
	  "pattern-unreachable@2;"),
	C("odd prefix", "192.0.2.128/25 v\n", "192.0.2.127", "-", ""),
	C("odd prefix, inside", "192.0.2.128/25 v\n", "192.0.2.255", "=v", ""),
	C("IPv6", "2001:db8::/32 v\n", "2001:db8:1::1", "=v", ""),
	C("IPv6, other spelling", "2001:DB8:0:0::1 v\n", "2001:db8::1", "=v", ""),
	C("everything of one family", "0.0.0.0/0 v\n", "::1", "-", ""),
	C("mapped addresses are IPv6", "0.0.0.0/0 v\n", "::ffff:192.0.2.1", "-", ""),
	C("brackets around", "[192.0.2.0/24] v\n", "192.0.2.1", "=v", ""),
	C("brackets around the address", "[2001:db8::]/32 v\n", "2001:db8::1", "=v", ""),
	C("text after brackets", "[192.0.2.0]a v\n", "192.0.2.0", "-", "pattern-syntax@1;"),
	C("open bracket", "[192.0.2.0 v\n", "192.0.2.0", "-", "pattern-syntax@1;"),
	C("a key in brackets is no address", "0.0.0.0/0 v\n", "[192.0.2.1]", "-", ""),
	C("nor with a zone", "::/0 v\n", "fe80::1%lo", "-", ""),
	C("host bits", "192.0.2.1/24 v\n", "192.0.2.1", "-", "pattern-syntax@1;"),
	C("prefix too long", "192.0.2.1/33 v\n", "192.0.2.1", "-", "pattern-syntax@1;"),
	C("prefix is no number", "192.0.2.0/24x v\n", "192.0.2.1", "-", "pattern-syntax@1;"),
	C("empty prefix", "192.0.2.0/ v\n", "192.0.2.1", "-", "pattern-syntax@1;"),
	C("prefix with zeros", "192.0.2.1/032 v\n", "192.0.2.1", "=v", ""),
	C("no value", "192.0.2.1\n", "192.0.2.1", "-", "pattern-syntax@1;"),
	C("negated", "!192.0.2.0/24 v\n", "192.0.3.1", "=v", ""),
	C("negated, blank", "! 192.0.2.1 v\n", "192.0.2.2", "=v", ""),
	C("negated never means the other family", "!192.0.2.0/24 v\n", "::1", "-", ""),
	C("if", "if 192.0.2.0/24\n192.0.2.1 v\nendif\n0.0.0.0/0 w\n", "192.0.2.1", "=v", ""),
	C("if, outside", "if 192.0.2.0/24\n0.0.0.0/0 v\nendif\n0.0.0.0/0 w\n", "192.0.3.1", "=w",
	  ""),
	C("if negated", "if !192.0.2.0/24\n0.0.0.0/0 v\nendif\n", "192.0.3.1", "=v", ""),
	C("if negated, the other family", "if !192.0.2.0/24\n::/0 v\nendif\n", "::1", "-", ""),
	C("if with text", "if 192.0.2.0/24 x\n192.0.2.1 v\nendif\n", "192.0.2.1", "=v",
	  "pattern-syntax@1;pattern-syntax@3;"),
	C("endif with text", "if 192.0.2.0/24\n192.0.2.1 v\nendif x\n0.0.0.0/0 w\n", "192.0.3.1",
	  "-", "pattern-syntax@3;pattern-no-endif@1;"),
	C("if without endif", "if 192.0.2.0/24\n192.0.2.1 v\n", "192.0.2.1", "=v",
	  "pattern-no-endif@1;"),
	C("if alone", "if\n192.0.2.1 v\n", "192.0.2.1", "=v", "pattern-syntax@1;"),
	C("never tried: the same network", "192.0.2.0/24 v\n192.0.2.0/24 w\n", "192.0.2.1", "=v",
	  "pattern-unreachable@2;"),
	C("never tried: all networks before", "0.0.0.0/0 v\n192.0.2.0/24 w\n::/0 x\n", "192.0.2.1",
	  "=v", "pattern-unreachable@2;"),
	C("tried: the one before is not for all",
	  "if 192.0.0.0/16\n192.0.2.0/24 v\nendif\n192.0.2.1 w\n", "192.0.2.1", "=v", ""),
	C("tried: a network beside", "192.0.2.0/25 v\n192.0.2.128/25 w\n192.0.2.0/24 x\n",
	  "192.0.2.1", "=v", ""),
	C("never tried: inside, within the block",
	  "192.0.2.0/24 v\nif 192.0.0.0/16\n192.0.2.4/30 w\nendif\n", "192.0.2.5", "=v",
	  "pattern-unreachable@3;"),
	C("dollars are dollars", "192.0.2.1 x$1\n", "192.0.2.1", "=x$1", ""),
};

struct heard {
	struct arena *arena;
	struct str text;
};

static void hear(void *arg, const struct table_finding *f)
{
	struct heard *h = arg;

	h->text = arena_fmt(h->arena, STR_FMT STR_FMT "@%u;", STR_ARG(h->text), STR_ARG(f->code),
			    f->line);
	ok(f->text.n > 0, "there is a text");
}

static struct str outcome(struct arena *a, const struct answer *answer)
{
	switch (answer->status) {
	case ANSWER_FOUND:
		return arena_fmt(a, "=" STR_FMT, STR_ARG(answer->value));
	case ANSWER_NONE:
		return STR("-");
	case ANSWER_FAILED:
		ok(answer->failure.n > 0, "a failure has a text");
		return STR("!");
	}
	return STR_NONE;
}

static struct answer
ask(struct arena *a, struct str list, struct str key, struct heard *h, bool is_partial)
{
	struct table_options o = { .is_utf8 = true, .found = h ? hear : NULL, .arg = h };
	struct table_set *s = table_set_new(STR("p"), list, &o, 0);
	struct table_query q = { .arena = a, .key = key, .is_partial = is_partial };
	struct answer answer;

	ok(table_set_lookup(s, &q, &answer) == NULL, "answers at once");
	table_set_free(s);
	return answer;
}

TEST(rules_of_files)
{
	char path[] = "/tmp/hopseal-rules-XXXXXX";
	int fd = mkstemp(path);

	ok(fd >= 0, "mkstemp");
	close(fd);
	FOR_EACH(c, cases) {
		struct arena *a = arena_new();
		struct heard h = { a, STR("") };
		struct error e;
		ok(os_file_write(path, c->text, &e), c->rule);
		struct str list = arena_fmt(a, "%s:%s", c->type, path);
		struct str key = test_exact(c->key);
		struct answer answer = ask(a, list, key, &h, false);
		ok_str(outcome(a, &answer), c->want, c->rule);
		ok_str(h.text, c->findings, c->rule);
		if (answer.status == ANSWER_FOUND)
			ok(answer.line > 0 && str_eq(answer.file, str_of(path)), c->rule);
		free((void *)key.p);
		arena_free(a);
	}
	unlink(path);
}

static const struct {
	const char *rule;
	struct str list, key, want, findings;
} inline_cases[] = {
	{ "rules", STR_INIT("pcre:{ {/^a$/ x y}, {/b/ z} }"), STR_INIT("a"), STR_INIT("=x y") },
	{ "the second", STR_INIT("regexp:{{/^a$/ x} {/b/ z}}"), STR_INIT("b"), STR_INIT("=z") },
	{ "if", STR_INIT("regexp:{ {if /a/} {/b/ x} {endif} {/./ z} }"), STR_INIT("b"),
	  STR_INIT("=z") },
	{ "a network", STR_INIT("cidr:{ {192.0.2.0/24 x} }"), STR_INIT("192.0.2.1"),
	  STR_INIT("=x") },
	{ "braces in pairs", STR_INIT("pcre:{ {/^a{2}$/ x} }"), STR_INIT("aa"), STR_INIT("=x") },
	{ "no rule", STR_INIT("pcre:{ }"), STR_INIT("a"), STR_INIT("-") },
	{ "rules want braces", STR_INIT("pcre:{ /a/ b }"), STR_INIT("a"), STR_INIT("!"),
	  STR_INIT("bad-body@0;") },
	{ "open brace", STR_INIT("pcre:{ {/a/ b}"), STR_INIT("a"), STR_INIT("!"),
	  STR_INIT("bad-body@0;") },
	{ "a wrong rule", STR_INIT("pcre:{ {/(/ x}, {/a/ y} }"), STR_INIT("a"), STR_INIT("=y"),
	  STR_INIT("pattern-syntax@1;") },
};

TEST(rules_inline)
{
	FOR_EACH(c, inline_cases) {
		struct arena *a = arena_new();
		struct heard h = { a, STR("") };
		struct answer answer = ask(a, c->list, c->key, &h, false);
		ok_str(outcome(a, &answer), c->want, c->rule);
		ok_str(h.text, c->findings, c->rule);
		arena_free(a);
	}
}

TEST(rules_skip_partial_keys)
{
	struct arena *a = arena_new();
	struct answer answer = ask(a, STR("regexp:{{/./ v}}"), STR("a"), NULL, true);

	ok(answer.status == ANSWER_NONE, "a key cut from a longer one is not shown to patterns");
	arena_free(a);
}

TEST(rules_missing_file)
{
	struct arena *a = arena_new();
	struct heard h = { a, STR("") };
	struct answer answer = ask(a, STR("pcre:/nonexistent/x"), STR("a"), &h, false);

	ok(answer.status == ANSWER_FAILED, "a file that is not there fails");
	ok_str(h.text, STR("open@0;"), "and is a finding");
	arena_free(a);
}

/* Every beginning of a rule, from memory of just that size. */
TEST(rules_every_prefix)
{
	FOR_EACH(c, cases) {
		for (size_t n = 1; n <= c->text.n; n++) {
			struct str line = str_trim(str_first(c->text, n));
			struct rule_text r;
			struct error why;
			if (line.n == 0)
				continue;
			line = test_exact(line);
			if (!rule_text_regexp(line, &r, &why))
				ok(why.text[0] != '\0', c->rule);
			if (!rule_text_pcre(line, &r, &why))
				ok(why.text[0] != '\0', c->rule);
			if (!rule_text_cidr(line, &r, &why))
				ok(why.text[0] != '\0', c->rule);
			free((void *)line.p);
		}
	}
}

TEST_MAIN(RUN(rules_of_files), RUN(rules_inline), RUN(rules_skip_partial_keys),
	  RUN(rules_missing_file), RUN(rules_every_prefix))
