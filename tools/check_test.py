#!/usr/bin/python3
"""The checks of the house must fail on what they forbid, and only on that."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

TOOLS = os.path.dirname(os.path.abspath(__file__))

LAYERS = """
base:
mail: base
tls: base
cmd: *
<openssl/>: tls
<uv.h>: net
pure: <string.h>
"""


class Check(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.tree)

    def write(self, path, text):
        path = os.path.join(self.tree, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return path

    def run_check(self, name, *args):
        return subprocess.run([os.path.join(TOOLS, name), *args], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, universal_newlines=True)

    def passes(self, name, *args):
        done = self.run_check(name, *args)
        self.assertEqual(done.returncode, 0, done.stdout)

    def fails(self, say, name, *args):
        done = self.run_check(name, *args)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(say, done.stdout)


class DocsTest(Check):
    def setUp(self):
        super().setUp()
        self.write("docs/reference/main.cf.in", "# Head\n\n- $a :: the value.\n")
        self.write("lib/conf/known.def", 'KNOWN(other, TLS, "")\n')
        self.write("lib/log/events.def",
                   'EVENT(ended, "smtpd", INFO, "{why}[, {n} left]",\n      "It (or all) ended.")\n')
        self.write("lib/log/fields.def", 'FIELD(why, TEXT, "Why.")\nFIELD(n, NUMBER, "How many.")\n')
        self.write("lib/log/counters.def", 'COUNTER(ends, "Ends.")\n')
        self.write("lib/log/families.def", 'FAMILY(odd, why, "Odd ones.")\nVALUE(a, odd, "a-b")\n')
        self.write("lib/log/histograms.def", 'HISTOGRAM(wait, DELAY, "A wait.")\n')
        self.write("docs/reference/log.in", "@EVENTS@\n@TEXTS@\n@FIELDS@\n")
        self.write("docs/reference/metrics.in", "@COUNTERS@\n@FAMILIES@\n@HISTOGRAMS@\n")
        self.write_param("300s")
        self.passes("gen_docs", self.tree)

    def write_param(self, preset):
        self.write("lib/conf/params.def", '/* @ Chapter */\nPARAM(a_b, TIME, "%s", 1, 0, USED, TLS,\n'
                   '      "It says "\n      "\\"a, b\\" (c).")\n' % preset)

    def test_fresh(self):
        self.passes("gen_docs", self.tree, "--check")
        with open(os.path.join(self.tree, "docs/reference/main.cf.md")) as f:
            text = f.read()
        self.assertIn("### a_b\n\nIt says \"a, b\" (c).\n\nDefault: `300s`. "
                      "Value: time, at least 1 s.\n", text)
        self.assertIn("- `$a`: the value.\n", text)
        self.assertIn("| `other` | TLS |\n", text)

    def test_log(self):
        with open(os.path.join(self.tree, "docs/reference/log.md")) as f:
            text = f.read()
        self.assertIn("| `ended` | smtpd | info | `why`, `n` | It (or all) ended. |\n", text)
        self.assertIn("| `n` | integer | How many. |\n", text)
        with open(os.path.join(self.tree, "docs/reference/metrics.md")) as f:
            text = f.read()
        self.assertIn("| `hopseal_ends_total` | counter | Ends. |\n", text)
        self.assertIn("| `hopseal_odd_total` | counter | Odd ones. | `why`: `a-b` |\n", text)
        self.assertIn("| `hopseal_wait_seconds` | histogram | A wait. |\n", text)

    def test_stale_log(self):
        self.write("lib/log/counters.def", 'COUNTER(ends, "Other ends.")\n')
        self.fails("metrics.md: stale", "gen_docs", self.tree, "--check")

    def test_stale(self):
        self.write_param("301s")
        self.fails("man/hopseal.cf.5: stale", "gen_docs", self.tree, "--check")


class ParamsTest(Check):
    def setUp(self):
        super().setUp()
        self.write("lib/conf/params.def", 'PARAM(a, STR, "", 0, 0, USED, TLS,\n      "A.")\n'
                   'PARAM(b, STR,\n      "x "\n      "y",\n      0, 0, OLD, TLS,\n      "B.")\n'
                   'PARAM(c, STR, "", 0, 0, LATER, TLS,\n      "C.")\n'
                   'PARAM(d, STR, "", 0, 0, USED, TLS,\n      "D.")\n')
        self.write("lib/conf/lmtp.def", "/* in place of */\nPAIR(a, d)\n")

    def test_all_are_read(self):
        self.write("src/cmd/x.c", "f(CONF_a, CONF_b);\n")
        self.passes("check_params", self.tree)

    def test_one_is_not(self):
        self.write("src/cmd/x.c", "f(CONF_a);\n")
        self.write("src/cmd/x_test.c", "f(CONF_b);\n")
        self.fails("b claims to be honoured", "check_params", self.tree)


class LayersTest(Check):
    def tree_with(self, path, line, layers=LAYERS):
        self.write("tools/layers", layers)
        self.write(path, "\n" + line + "\n")

    def test_rooms_below_are_allowed(self):
        self.tree_with("lib/mail/a.c", '#include "base/str.h"')
        self.passes("check_layers", self.tree)

    def test_rooms_above_are_not(self):
        self.tree_with("lib/base/a.h", '#include "mail/domain.h"')
        self.fails("lib/base/a.h:2: base may not include mail", "check_layers", self.tree)

    def test_lib_does_not_see_src(self):
        self.tree_with("lib/mail/a.c", '#  include "tls/session.h"')
        self.fails("mail may not include tls", "check_layers", self.tree)

    def test_star_sees_everything(self):
        self.tree_with("src/cmd/main.c", '#include "tls/session.h"')
        self.passes("check_layers", self.tree)

    def test_an_include_names_its_room(self):
        self.tree_with("lib/mail/a.c", '#include "domain.h"')
        self.fails("name the room", "check_layers", self.tree)

    def test_a_foreign_header_has_one_owner(self):
        self.tree_with("src/cmd/main.c", "#include <openssl/ssl.h>")
        self.fails("only tls may include <openssl/ssl.h>", "check_layers", self.tree)

    def test_the_owner_includes_it(self):
        self.tree_with("src/tls/a.c", "#include <openssl/ssl.h>")
        self.passes("check_layers", self.tree)

    def test_lib_has_no_doors(self):
        self.tree_with("lib/base/a.c", "#include <unistd.h>")
        self.fails("<unistd.h> is not for lib/", "check_layers", self.tree)

    def test_tests_in_lib_may_have_doors(self):
        self.tree_with("lib/base/a_test.c", "#include <unistd.h>")
        self.passes("check_layers", self.tree)

    def test_an_unknown_room(self):
        self.tree_with("lib/attic/a.c", "#include <string.h>")
        self.fails("room attic is not in tools/layers", "check_layers", self.tree)

    def test_a_circle(self):
        self.tree_with("lib/base/a.c", "", "base: mail\nmail: base\n")
        self.fails("a circle goes through", "check_layers", self.tree)


class ArchiveTest(Check):
    def archive(self, room, source):
        path = self.write(room + ".c", source)
        out = os.path.join(self.tree, "libhopseal_%s.a" % room)
        subprocess.run(["gcc", "-w", "-c", path, "-o", path + ".o"], check=True)
        subprocess.run(["ar", "rcs", out, path + ".o"], check=True)
        return out

    def test_memory_and_strings_are_pure(self):
        base = self.archive("base", "void *base_x(char *s) { return malloc(strlen(s)); }")
        self.passes("check_pure", base)

    def test_a_descriptor_is_not(self):
        base = self.archive("base", "int base_x(void) { return open(\"x\", 0); }")
        self.fails("needs open", "check_pure", base)

    def test_nor_is_a_clock(self):
        base = self.archive("base", "long base_x(void) { return time(0); }")
        self.fails("needs time", "check_pure", base)

    def test_nor_is_a_stream(self):
        base = self.archive("base", "int base_x(void) { return printf(\"%d\", 1); }")
        self.fails("needs printf", "check_pure", base)

    def test_another_room_may_define_it(self):
        base = self.archive("base", "void base_x(void) {}")
        mail = self.archive("mail", "void mail_x(void) { base_x(); }")
        self.passes("check_pure", base, mail)
        self.fails("needs base_x", "check_pure", mail)

    def test_idn2_belongs_to_mail_alone(self):
        source = "int %s_x(void) { return idn2_lookup_u8(0, 0, 0); }"
        self.passes("check_pure", self.archive("mail", source % "mail"))
        self.fails("needs idn2_lookup_u8", "check_pure", self.archive("base", source % "base"))

    def test_prefix_of_the_room(self):
        self.passes("check_names", self.archive("tls", "void tls_x(void) {} static int y;"))

    def test_declared_prefix(self):
        self.passes("check_names", self.archive("base", "int str_len(void) { return 1; }"))

    def test_stray_function(self):
        self.fails("strlcpy does not start", "check_names",
                   self.archive("base", "void strlcpy(void) {}"))

    def test_stray_variable(self):
        self.fails("counter does not start", "check_names",
                   self.archive("base", "int counter = 1;"))


@unittest.skipUnless(shutil.which("clang-format"), "clang-format is not installed")
class StyleTest(Check):
    def setUp(self):
        super().setUp()
        shutil.copy(os.path.join(TOOLS, "..", ".clang-format"), self.tree)

    def test_house_form(self):
        self.write("lib/base/a.c", "int base_x(int a)\n{\n\treturn a;\n}\n")
        self.passes("check_style", self.tree)

    def test_another_form(self):
        path = self.write("lib/base/a.c", "int base_x( int a ) {\n    return a; }\n")
        self.fails("a.c:1: not in the form", "check_style", self.tree)
        self.passes("check_style", self.tree, "--fix")
        with open(path) as f:
            self.assertEqual(f.read(), "int base_x(int a)\n{\n\treturn a;\n}\n")

    def test_a_long_comment(self):
        self.write("lib/base/a.c", "/* %s */\n" % ("word " * 20))
        self.fails("a.c:1: longer than 100 columns", "check_style", self.tree)


class TallyTest(Check):
    """What "make check" says at the end."""

    def tally(self, want, code, **logs):
        for name, text in logs.items():
            self.write(name.replace("_", "."), text)
        done = self.run_check("../scripts/tally", self.tree)
        self.assertEqual(done.stdout.splitlines()[-1], want, done.stdout)
        self.assertEqual(done.returncode, code)

    def meson(self, result, stdout=""):
        return json.dumps({"name": "t", "result": result, "stdout": stdout}) + "\n"

    def test_adds_up(self):
        self.tally("3 passed, 0 failed", 0,
                   gcc_json=self.meson("OK", "1..2\nok 1 - a\nok 2 - b\n"),
                   gcc_xml="<s><testcase/><testcase><skipped/></testcase></s>")

    def test_a_failed_case(self):
        self.tally("1 passed, 1 failed", 1,
                   gcc_json=self.meson("ERROR", "1..2\nok 1 - a\nnot ok 2 - b\n"))

    def test_a_crash_after_good_cases(self):
        self.tally("1 passed, 1 failed", 1, gcc_json=self.meson("ERROR", "1..2\nok 1 - a\n"))

    def test_a_program_without_cases(self):
        self.tally("1 passed, 1 failed", 1, gcc_json=self.meson("OK") + self.meson("TIMEOUT"))

    def test_a_failed_scenario(self):
        self.tally("1 passed, 2 failed", 1,
                   gcc_xml="<s><testcase/><testcase><failure/></testcase>"
                           "<testcase><error/></testcase></s>")

    def test_a_failed_step(self):
        self.tally("1 passed, 1 failed", 1, gcc_json=self.meson("OK"), **{"failed-steps": "build\n"})

    def test_an_empty_log_is_a_failure(self):
        self.tally("1 passed, 1 failed", 1, gcc_json=self.meson("OK"), gcc_xml="<s/>")

    def test_nothing_at_all(self):
        self.tally("0 passed, 0 failed", 1)


if __name__ == "__main__":
    unittest.main()
