"""Lookup tables: `hopseal query` answers what Debian's `postmap -q` does, from the files that
`postmap` makes, and from those of `hopseal table build` both do."""

import itertools
import os
import resource
import subprocess

import pytest
from lab.tables import needs_postmap

INDEXED = {"hash": "db", "btree": "db", "cdb": "cdb", "lmdb": "lmdb"}

TEXT = """# comment
example.com MUST
EXAMPLE.org encrypt ciphers=high
[mail.example.com]:587  MUST
 # inside
  continued
É.example unicode
ß sharp
"quoted key" v
a\\ b w
"""

KEYS = [
    "example.com",
    "Example.COM",
    "example.org",
    "[mail.example.com]:587",
    "[Mail.example.com]:587",
    "mail.example.com",
    "é.example",
    "É.example",
    "ß",
    "ss",
    '"quoted key"',
    "a\\ b",
    "example",
    "nothing",
    "x" * 600,
]


@pytest.mark.parametrize("kind", INDEXED)
@pytest.mark.parametrize("maker", ["make", "build"])
def test_indexed_file_answers_as_in_postfix(folder, kind, maker):
    needs_postmap(kind)
    spec = f"{kind}:{folder.write('table', TEXT)}"
    getattr(folder, maker)(spec)
    values = {key: folder.agree(spec, key) for key in KEYS}
    assert values["Example.COM"] == "MUST"
    assert values["[mail.example.com]:587"] == "MUST  continued"
    assert values["É.example"] == values["é.example"] == "unicode"
    assert values["ss"] == "sharp"
    assert values["mail.example.com"] is None


@pytest.mark.parametrize("kind", INDEXED)
def test_many_keys_from_standard_input(folder, kind):
    needs_postmap(kind)
    text = "".join(f"host{i}.example value {i}\n" for i in range(5000))
    spec = f"{kind}:{folder.write('table', text)}"
    folder.make(spec)
    keys = "".join(f"HOST{i}.example\n" for i in range(0, 6000, 7))
    ours = folder.hopseal("query", spec, "-", input=keys)
    theirs = folder.postmap("-q", "-", spec, input=keys)
    assert ours.returncode == theirs.returncode == 0
    assert ours.stdout == theirs.stdout
    assert "HOST7.example\tvalue 7\n" in ours.stdout


@pytest.mark.parametrize("kind", INDEXED)
def test_file_older_than_its_text(hopseal, folder, kind):
    needs_postmap(kind)
    text = folder.write("table", TEXT)
    folder.make(f"{kind}:{text}")
    hopseal.configure(smtp_tls_per_site=f"{kind}:{text}")
    older = [f for f in hopseal.check().json["findings"] if f["code"] == "table-older"]
    assert not older
    os.utime(text, (4e9, 4e9))
    (older,) = [f for f in hopseal.check().json["findings"] if f["code"] == "table-older"]
    assert older["severity"] == "warning" and older["file"] == f"{text}.{INDEXED[kind]}"


@pytest.mark.parametrize("kind", ["hash", "btree", "lmdb"])
def test_lookup_fails_while_somebody_writes(folder, kind):
    """Postfix changes these files in place, so a reader in the middle must not say "not found"."""
    needs_postmap(kind)
    text = folder.write("table", TEXT)
    folder.make(f"{kind}:{text}")
    lock = f"""import fcntl, sys
f = open({str(text) + "." + INDEXED[kind]!r}, "r+")
fcntl.{"lockf" if kind == "lmdb" else "flock"}(f, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with subprocess.Popen(["python3", "-c", lock], **pipes) as writer:
        writer.stdout.readline()
        done = folder.hopseal("query", f"{kind}:{text}", "example.com")
        assert done.returncode == 75 and "writing" in done.stderr
        writer.stdin.close()
    assert folder.hopseal("query", f"{kind}:{text}", "example.com").stdout == "MUST\n"


@pytest.mark.parametrize("kind", INDEXED)
def test_a_text_with_a_key_twice_is_not_built(folder, kind):
    text = folder.write("table", "k old\n")
    folder.build(f"{kind}:{text}")
    folder.write("table", "k v\nK w\n")
    done = folder.hopseal("table", "build", f"{kind}:{text}")
    assert done.returncode == 65 and f"{text}:2: error" in done.stderr
    assert folder.hopseal("query", f"{kind}:{text}", "k").stdout == "old\n"
    assert sorted(p.name for p in folder.dir.iterdir()) == [
        "main.cf",
        "table",
        f"table.{INDEXED[kind]}",
    ]


def cpu_seconds():
    """What the programs that were run have used: others on the machine do not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_million_entries_open_at_once(folder):
    needs_postmap("cdb")
    text = "".join(f"host{i}.example MUST\n" for i in range(1000000))
    spec = f"cdb:{folder.write('table', text)}"
    folder.build(spec)
    began = cpu_seconds()
    assert folder.agree(spec, "host999999.example") == "MUST"
    assert cpu_seconds() - began < 2


REGEXP = r"""/^(.*)\.example\.com$/ $1-${1}-$$
!/\./ no dot
if /^if/
/(a)|(b)/ <$1><$2>
if !/c/
/^/ inner
endif
endif
/EXAMPLE/i never
/^a\/b$/ slash
/(/ wrong
/^empty/
/./ rest
"""

CIDR = """192.0.2.1 one
192.0.2.0/24 net
!10.0.0.0/8 other
2001:db8::/32 six
if 10.1.0.0/16
10.1.2.3 inner
endif
10.0.0.0/33 wrong
[10.0.0.0]/8 ten
"""

PATTERN_KEYS = [
    "mx.example.com",
    "MX.Example.COM",
    "nodot",
    "if.a",
    "if.b",
    "if.c",
    "if.x",
    "a/b.",
    "a.b",
    "[192.0.2.1]:25",
    "é.é",
]
ADDRESSES = [
    "192.0.2.1",
    "192.0.2.255",
    "192.0.3.1",
    "10.1.2.3",
    "10.1.2.4",
    "10.2.0.1",
    "2001:DB8::1",
    "2001:db9::1",
    "::ffff:192.0.2.1",
    "[192.0.2.1]",
    "example.com",
]


@pytest.mark.parametrize(
    "kind, text, key",
    [
        *((kind, REGEXP, key) for kind, key in itertools.product(["regexp", "pcre"], PATTERN_KEYS)),
        *(("cidr", CIDR, key) for key in ADDRESSES),
    ],
)
def test_patterns_answer_as_in_postfix(folder, kind, text, key):
    needs_postmap(kind)
    folder.agree(f"{kind}:{folder.write('table', text)}", key)


@pytest.mark.parametrize(
    "spec",
    [
        "pcre:{ {/^a(.)/ <$1>}, {/b/ two} }",
        "regexp:{ {if /a/} {/b/ v w} {endif} }",
        "inline:{ ab=1, { b = 2 3 } }",
        "static:{ a b }",
        "static:x",
        "cidr:{ {0.0.0.0/0 v} }",
        "unionmap:{static:a, inline:{ab=x}, pcre:{ {/b/ y} }}",
        "pipemap:{inline:{ab=C, b=d}, inline:{c=e}}",
        "randmap:{x}",
    ],
)
def test_inline_specs_answer_as_in_postfix(folder, spec):
    needs_postmap(spec.split(":")[0])
    for key in ("ab", "b", "c", "192.0.2.1"):
        folder.agree(spec, key)


def test_findings_of_patterns_have_a_place(hopseal):
    text = "/(/ MUST\n/a/q MUST\nif /b/\n/./ MUST\n"
    hopseal.configure({"p": text}, smtp_tls_per_site="pcre:TABLES/p")
    found = [f for f in hopseal.check().json["findings"] if f["code"].startswith("table-")]
    assert [(f["code"], f["line"]) for f in found] == [
        ("table-pattern-syntax", 1),
        ("table-pattern-syntax", 2),
        ("table-pattern-no-endif", 3),
    ]
    assert all(f["file"].endswith("/p") and f["text"] and f["remedy"] for f in found)


@pytest.mark.parametrize(
    "spec, key, code",
    [
        ("fail:x", "k", 75),
        ("hash:/nonexistent/x", "k", 75),
        ("pcre:/nonexistent/x", "k", 75),
        ("nosuch:x", "k", 75),
        ("/etc/passwd", "root", 75),
        ("inline:{k=}", "k", 75),
        ("inline:{k=v}", "l", 1),
        ("inline:{k=v}", "k", 0),
    ],
)
def test_exit_codes_of_query(folder, spec, key, code):
    done = folder.hopseal("query", spec, key)
    assert done.returncode == code, done
    assert (done.stdout != "") == (code == 0)
    assert (done.stderr != "") == (code == 75)
