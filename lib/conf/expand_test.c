#include "conf/conf.h"

#include "conf/test_load.h"

/* What Debian's postconf -x makes of the same text, where it has the form (Postfix 3.7). */
#define PREFACE                                                                                    \
	"a = A\n"                                                                                  \
	"b = $a$a\n"                                                                               \
	"empty =\n"                                                                                \
	"blank = $empty\n"                                                                         \
	"level = 3.6\n"                                                                            \
	"brace = {$a}\n"                                                                           \
	"loop = x$pool\n"                                                                          \
	"pool = $loop\n"                                                                           \
	"broken = ${\n"

static const struct {
	const char *rule;
	struct str text, want; /* want.p NULL: an error */
} cases[] = {
	{ "plain text", STR_INIT("x y"), STR_INIT("x y") },
	{ "nothing", STR_INIT(""), STR_INIT("") },
	{ "$name", STR_INIT("<$a>"), STR_INIT("<A>") },
	{ "${name}", STR_INIT("<${a}>"), STR_INIT("<A>") },
	{ "$(name)", STR_INIT("<$(a)>"), STR_INIT("<A>") },
	{ "a name ends at another octet", STR_INIT("$a-b$a.c"), STR_INIT("A-bA.c") },
	{ "a name takes all it can", STR_INIT("$ab"), STR_INIT("") },
	{ "blanks around a name", STR_INIT("${ a }"), STR_INIT("A") },
	{ "$$ is one $", STR_INIT("$$a $$ $$$a"), STR_INIT("$a $ $A") },
	{ "values are expanded", STR_INIT("$b"), STR_INIT("AA") },
	{ "an undefined name is empty", STR_INIT("<$nosuch${nosuch}>"), STR_INIT("<>") },
	{ "a parameter", STR_INIT("$smtp_mx_address_limit"), STR_INIT("5") },
	{ "a parameter's default is expanded", STR_INIT("$myorigin"),
	  STR_INIT("client.example.net") },
	{ "a known name's default", STR_INIT("$virtual_transport"), STR_INIT("virtual") },

	{ "${name?text} when filled", STR_INIT("${a?x}"), STR_INIT("x") },
	{ "${name?text} when empty", STR_INIT("<${empty?x}>"), STR_INIT("<>") },
	{ "${name:text} when filled", STR_INIT("<${a:x}>"), STR_INIT("<>") },
	{ "${name:text} when empty", STR_INIT("${empty:x}"), STR_INIT("x") },
	{ "${name:text} when undefined", STR_INIT("${nosuch:x}"), STR_INIT("x") },
	{ "a set value counts as written", STR_INIT("${blank?x}"), STR_INIT("x") },
	{ "a default counts as it comes out", STR_INIT("<${smtp_tls_key_file?x}>"),
	  STR_INIT("<>") },
	{ "{text} loses its braces", STR_INIT("${a?{x y}}"), STR_INIT("x y") },
	{ "blanks inside { } stay", STR_INIT("<${a?{ x }}>"), STR_INIT("< x >") },
	{ "blanks around { } go", STR_INIT("${a? {x} : {y} }"), STR_INIT("x") },
	{ "both results, filled", STR_INIT("${a?{x}:{y}}"), STR_INIT("x") },
	{ "both results, empty", STR_INIT("${empty?{x}:{y}}"), STR_INIT("y") },
	{ "the second may go bare", STR_INIT("${empty?{x}:y z}"), STR_INIT("y z") },
	{ "bare text takes a colon along", STR_INIT("${a?x:y}"), STR_INIT("x:y") },
	{ "a result is expanded", STR_INIT("${a?{$b}}"), STR_INIT("AA") },
	{ "a result may be a condition", STR_INIT("${a?{${empty:{$a}}}}"), STR_INIT("A") },
	{ "an empty result", STR_INIT("<${a?}${a?{}}>"), STR_INIT("<>") },
	{ "( ) are balanced", STR_INIT("$(a?(b))"), STR_INIT("(b)") },
	{ "( ) end at their own kind", STR_INIT("$(a?b)c)"), STR_INIT("bc)") },
	{ "no name is never filled", STR_INIT("<${?x}${:y}>"), STR_INIT("<y>") },
	{ "braces from a value are text", STR_INIT("$brace"), STR_INIT("{A}") },
	{ "blanks before the operator", STR_INIT("${a ?x}"), STR_INIT("x") },
	{ "the other branch is not looked at", STR_INIT("${a?{x}:{$}}"), STR_INIT("x") },

	{ "equal", STR_INIT("${{$a} == {A} ? {y} : {n}}"), STR_INIT("y") },
	{ "not equal", STR_INIT("${{$a} == {B} ? {y} : {n}}"), STR_INIT("n") },
	{ "!=", STR_INIT("${{$a} != {B} ? {y} : {n}}"), STR_INIT("y") },
	{ "case counts", STR_INIT("${{a} == {A} ? {y} : {n}}"), STR_INIT("n") },
	{ "blanks inside { } count", STR_INIT("${{1 } == {1} ? {y} : {n}}"), STR_INIT("n") },
	{ "no blanks needed", STR_INIT("${{a}=={a}?{y}:{n}}"), STR_INIT("y") },
	{ "a comparison alone, true", STR_INIT("${{a} == {a}}"), STR_INIT("true") },
	{ "a comparison alone, false", STR_INIT("<${{a} == {b}}>"), STR_INIT("<>") },
	{ "only :", STR_INIT("${{a} == {b} : {n}}"), STR_INIT("n") },
	{ "bare result", STR_INIT("${{a} == {a} ?a:b}"), STR_INIT("a:b") },
	{ "both all digits: numbers", STR_INIT("${{10} < {9} ? {y} : {n}}"), STR_INIT("n") },
	{ "both all digits: numbers", STR_INIT("${{01} == {1} ? {y} : {n}}"), STR_INIT("y") },
	{ "else octets", STR_INIT("${{10} < {9x} ? {y} : {n}}"), STR_INIT("y") },
	{ "a sign is no digit", STR_INIT("${{-1} < {1} ? {y} : {n}}"), STR_INIT("y") },
	{ "empty is no number", STR_INIT("${{} < {1} ? {y} : {n}}"), STR_INIT("y") },
	{ "<= of equal", STR_INIT("${{2} <= {2} ? {y} : {n}}"), STR_INIT("y") },
	{ ">= of less", STR_INIT("${{1} >= {2} ? {y} : {n}}"), STR_INIT("n") },
	{ ">", STR_INIT("${{b} > {a} ? {y} : {n}}"), STR_INIT("y") },
	{ "operands are expanded", STR_INIT("${{$b} == {${a}A} ? {y} : {n}}"), STR_INIT("y") },
	{ "level: dotted numbers", STR_INIT("${{3.9} <level {3.11} ? {y} : {n}}"), STR_INIT("y") },
	{ "without level: octets", STR_INIT("${{3.9} < {3.11} ? {y} : {n}}"), STR_INIT("n") },
	{ "level: missing parts are 0", STR_INIT("${{2} ==level {2.0.0} ? {y} : {n}}"),
	  STR_INIT("y") },
	{ "level: >=", STR_INIT("${{$level} >=level {3.6} ? {y} : {n}}"), STR_INIT("y") },
	{ "level: !=", STR_INIT("${{$level} !=level {3.6} ? {y} : {n}}"), STR_INIT("n") },

	{ "a function", STR_INIT("${domain_to_ascii{$a.example}}"), STR_INIT("A.example") },
	{ "a function on U-labels",
	  STR_INIT("${domain_to_ascii{b\xc3\xbc"
		   "cher.example}}"),
	  STR_INIT("xn--bcher-kva.example") },

	{ "$ alone", STR_INIT("x$"), { NULL, 0 } },
	{ "$ before no name", STR_INIT("$-"), { NULL, 0 } },
	{ "empty ${ }", STR_INIT("${}"), { NULL, 0 } },
	{ "no end", STR_INIT("${a"), { NULL, 0 } },
	{ "no end", STR_INIT("$(a"), { NULL, 0 } },
	{ "no end of { }", STR_INIT("${a?{x}"), { NULL, 0 } },
	{ "a blank in a name", STR_INIT("${a b}"), { NULL, 0 } },
	{ "another octet in a name", STR_INIT("${a-b}"), { NULL, 0 } },
	{ "text after {text}", STR_INIT("${a?{x}y}"), { NULL, 0 } },
	{ "text after the last {text}", STR_INIT("${a?{x}:{y}z}"), { NULL, 0 } },
	{ "? after ?", STR_INIT("${a?{x}?{y}}"), { NULL, 0 } },
	{ ": after :", STR_INIT("${a:{x}:{y}}"), { NULL, 0 } },
	{ "no operator", STR_INIT("${{a}}"), { NULL, 0 } },
	{ "unknown operator", STR_INIT("${{a} = {b}}"), { NULL, 0 } },
	{ "unknown operator", STR_INIT("${{a} === {b}}"), { NULL, 0 } },
	{ "unknown suffix", STR_INIT("${{1} <foo {1} ? {y}}"), { NULL, 0 } },
	{ "an operand without { }", STR_INIT("${{a} == b}"), { NULL, 0 } },
	{ "text after the comparison", STR_INIT("${{a} == {b} x}"), { NULL, 0 } },
	{ "level: no level", STR_INIT("${{x} <level {1} ? {y}}"), { NULL, 0 } },
	{ "level: four parts", STR_INIT("${{1} <level {1.2.3.4} ? {y}}"), { NULL, 0 } },
	{ "a number too big", STR_INIT("${{99999999999999999999} == {1} ? {y}}"), { NULL, 0 } },
	{ "an unknown function", STR_INIT("${nosuch{a}}"), { NULL, 0 } },
	{ "a function takes one {text}", STR_INIT("${domain_to_ascii{a}{b}}"), { NULL, 0 } },
	{ "an error in the branch that is taken", STR_INIT("${a?{$}}"), { NULL, 0 } },
	{ "a loop", STR_INIT("$loop"), { NULL, 0 } },
	{ "an error further on", STR_INIT("$broken"), { NULL, 0 } },
};

TEST(expansion)
{
	struct test_load t = test_load(STR(PREFACE));

	ok(t.conf != NULL, "what no parameter needs is no error");
	FOR_EACH(c, cases) {
		struct error e = { 0 };
		struct str got = STR_NONE, exact = test_exact(c->text);
		bool is_ok = conf_expand(t.conf, t.arena, exact, &got, &e);
		ok(is_ok == (c->want.p != NULL), c->rule);
		if (is_ok)
			ok_str(got, c->want, c->rule);
		else
			ok(e.kind == ERROR_CONFIG && e.text[0], c->rule);
		free((char *)exact.p);
	}
	test_unload(&t);
}

/* No prefix of a good text makes the parser read on, or fail to say why it fails. */
TEST(every_prefix_ends)
{
	struct test_load t = test_load(STR(PREFACE));

	FOR_EACH(c, cases) {
		for (size_t n = 0; n < c->text.n; n++) {
			struct error e = { 0 };
			struct str got = STR_NONE, exact = test_exact(str_first(c->text, n));
			ok(conf_expand(t.conf, t.arena, exact, &got, &e) || e.text[0], c->rule);
			free((char *)exact.p);
		}
	}
	test_unload(&t);
}

static struct str repeat(struct arena *a, const char *part, unsigned n)
{
	struct str s = STR("");

	for (unsigned i = 0; i < n; i++)
		s = arena_fmt(a, STR_FMT "%s", STR_ARG(s), part);
	return s;
}

TEST(nesting_has_a_limit)
{
	struct test_load t = test_load(STR(""));
	struct str got;
	struct error e;

	for (unsigned n = 90; n < 120; n += 29) {
		struct str text = arena_fmt(t.arena, STR_FMT "x" STR_FMT,
					    STR_ARG(repeat(t.arena, "${mail_name?{", n)),
					    STR_ARG(repeat(t.arena, "}}", n)));
		ok(conf_expand(t.conf, t.arena, text, &got, &e) == (n < 100), "100 deep");
	}
	test_unload(&t);
}

/* Thirty doublings of nothing, or of something: one look at each name. */
TEST(doubling_costs_nothing)
{
	struct arena *a = arena_new();
	struct str text = STR("x0 = ${empty}\ny0 = 0123456789\n");

	for (int i = 1; i <= 30; i++)
		text = arena_fmt(a, STR_FMT "x%d = $x%d$x%d\ny%d = $y%d$y%d\n", STR_ARG(text), i,
				 i - 1, i - 1, i, i - 1, i - 1);
	struct test_load t = test_load(arena_fmt(a, STR_FMT "relayhost = $x30", STR_ARG(text)));
	ok(t.conf != NULL, "nothing doubled is nothing");
	test_unload(&t);
	t = test_load(arena_fmt(a, STR_FMT "relayhost = $y30", STR_ARG(text)));
	ok(t.conf == NULL, "a value has a greatest length");
	test_unload(&t);
	arena_free(a);
}

TEST_MAIN(RUN(expansion), RUN(every_prefix_ends), RUN(nesting_has_a_limit),
	  RUN(doubling_costs_nothing))
