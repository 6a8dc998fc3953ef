"""docs/reference/explain.schema.json holds for what explain writes, and is no looser than the pages
that say the same in words."""

import copy
import json
import re
import subprocess

import jsonschema
import pytest

from lab import hopseal as lab
from lab import zones
from test_reference import DECISION, PAGES, ROUTE, documented

SCHEMA = json.loads((PAGES / "explain.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HOST = "mx1.good.example"
DIGEST = ":".join(["AB"] * 32)

ENTRIES = [
    "none ciphers=high",
    "may ciphers=null protocols= connection_reuse=yes enable_rpk=yes",
    "may protocols=TLSv9",
    "encrypt protocols=>=TLSv1.2 exclude=MD5:aDSS servername=hostname",
    "encrypt ciphers=best",
    f"fingerprint match={DIGEST}|zz",
    "fingerprint",
    "verify match=hostname:.good.example",
    "verify match=:",
    "secure tafile=ROOT { match = nexthop:dot-nexthop }",
    "secure tafile=/nonexistent",
    "secure match=mx1.good.example servername=nexthop policy_type=sts policy_domain=good.example "
    "policy_ttl=86400 mx_host_pattern=*.good.example { policy_string = version: STSv1 }",
    "secure match=x policy_type=sts mx_host_pattern=other.example",
    "may policy_type=no-policy-found policy_failure=sts-webpki-invalid",
    "dane",
    "dane-only",
    "MUST",
    "encrypt match=x",
    "may a",
    ",",
]


def holds(result):
    """The document is valid; what is wrong with it, in words."""
    found = [f"{e.json_path}: {e.message[:300]}" for e in VALIDATOR.iter_errors(result.json)]
    assert not found, "\n".join(found)
    return result.json


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("entry", ENTRIES)
def test_policy_entries(hopseal, ca, entry):
    table = f"good.example {entry.replace('ROOT', str(ca.root))}\n"
    hopseal.configure({"policy": table}, smtp_tls_policy_maps="texthash:TABLES/policy")
    (decision,) = holds(hopseal.explain("good.example"))["destinations"][0]["decisions"]
    if "mx_host_pattern" in entry:
        assert decision["mta_sts"]["mx_authorized"] == ("other.example" not in entry)
    if "connection_reuse" in entry:
        codes = [s["code"] for s in decision["trace"]]
        assert decision["connection_reuse"] and "enable-rpk-no-effect" in codes


@pytest.mark.parametrize(
    "settings, argv",
    [
        ({}, ["bob@dual.example"]),
        ({}, ["alias.example", "--requiretls"]),
        ({}, ["[mx1.good.example]:587"]),
        ({}, ["[192.0.2.1]"]),
        ({}, ["bogus.example"]),
        ({}, ["null.example"]),
        ({}, ["halfgone.example"]),
        ({}, ["self.example"]),
        ({}, ["two.example, many.example"]),
        ({}, ["good.example", "--tls-required-no", "--requiretls"]),
        ({"smtp_requiretls_policy": "fail:x"}, ["good.example", "--requiretls"]),
        ({"smtp_requiretls_policy": "inline:{.example=enforce}"}, ["good.example", "--requiretls"]),
        ({"smtp_tls_wrappermode": "yes"}, ["good.example"]),
        ({"smtp_tls_wrappermode": "yes", "smtp_tls_security_level": "verify"}, ["good.example"]),
        ({"smtp_host_lookup": "native"}, ["[localhost]"]),
        ({"transport_maps": "static:error:no"}, ["bob@good.example"]),
        ({"transport_maps": "static:discard:"}, ["bob@good.example"]),
        ({"transport_maps": "fail:x"}, ["bob@good.example"]),
        ({"transport_maps": "static:lmtp:unix:/run/x"}, ["bob@good.example"]),
        ({"mydestination": "good.example"}, ["bob@good.example"]),
        ({}, ["unix:/nowhere", "--lmtp"]),
        ({}, ["bob"]),
        ({}, ["good.example", "--host", "mx9.example"]),
    ],
)
def test_destinations(hopseal, settings, argv):
    hopseal.per_site({"good.example": "MUST", "mx1.two.example": "MUSTARD"}, **settings)
    holds(hopseal.explain(*argv))


def test_without_the_facts_it_needs(hopseal, tmp_path):
    (tmp_path / "facts").write_text("[]")
    hopseal.per_site({})
    holds(hopseal.explain("good.example", "--facts", tmp_path / "facts"))
    holds(hopseal.explain("good.example", "--facts", tmp_path / "facts", "--host", "x.y"))


def test_what_it_comes_to(hopseal):
    hopseal.per_site({"mx1.two.example": "MUST", "mx2.two.example": "MUSTARD"})
    told = holds(hopseal.explain("two.example"))
    assert told["result"] == {"hosts": 2, "usable": 1, "levels": ["verify"]}
    text = hopseal.run("explain", "two.example").out
    assert "1 of 2 hosts may be used, at level verify\n" in text


def test_it_knows_every_code():
    """And no others: both pages list what the sources can say."""
    for name, page in (("policy_step", DECISION), ("route_step", ROUTE)):
        known = set(SCHEMA["$defs"][name]["allOf"][1]["properties"]["code"]["enum"])
        listed = documented({"": next(t for t in page.values() if "| code |" in t)})
        assert known <= listed, known - listed
        table = next(t for t in page.values() if "| code |" in t).split("| code | meaning |")[1]
        rows = re.findall(r"^\| (`.*?) \|", table, flags=re.M)
        wanted = {c for row in rows for c in re.findall(r"`([a-z_-]+)`", row)}
        assert wanted == known


def test_it_refuses_what_is_not_documented(hopseal):
    """A schema that allows everything would hold, too."""
    good = holds(hopseal.per_site({"good.example": "MUST"}).explain("good.example"))

    def broken(change):
        document = copy.deepcopy(good)
        change(document)
        return not VALIDATOR.is_valid(document)

    def decision(document):
        return document["destinations"][0]["decisions"][0]

    assert broken(lambda d: d.update(more=1))
    assert broken(lambda d: d.pop("result"))
    assert broken(lambda d: decision(d).update(level="strong"))
    assert broken(lambda d: decision(d).pop("requiretls"))
    assert broken(lambda d: decision(d)["trace"][0].update(code="because"))
    assert broken(lambda d: decision(d)["tls"].update(versions=["SSLv3"]))
    assert broken(lambda d: d["facts"][0]["answer"].update(status="maybe"))
    assert not broken(lambda d: None)


# ---- the text ----

PTY = """
import fcntl, os, pty, struct, sys, termios
columns = int(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.execvp(sys.argv[2], sys.argv[2:])
said = b""
while True:
    try:
        more = os.read(fd, 65536)
    except OSError:
        break
    if not more:
        break
    said += more
os.waitpid(pid, 0)
sys.stdout.buffer.write(said.replace(b"\\r\\n", b"\\n"))
"""


def on_a_terminal(hopseal, columns, *argv, **environment):
    """What `hopseal explain ARGV` writes to a terminal of that width."""
    full = ["/usr/bin/python3", "-c", PTY, str(columns), str(lab.program()), "explain", "-c"]
    env = {"PATH": "/usr/bin:/bin", "TERM": "xterm", **environment}
    done = subprocess.run(
        [*full, str(hopseal.dir), *argv], capture_output=True, text=True, env=env, check=True
    )
    return done.stdout


def plain(text):
    """Without escape sequences."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.fixture
def long(hopseal):
    """A configuration with much to say."""
    names = ":".join(f"a-longer-name-{i}.good.example" for i in range(9))
    return hopseal.configure(
        {"policy": f"good.example secure match={names} connection_reuse=yes\n"},
        smtp_tls_policy_maps="texthash:TABLES/policy",
    )


def widths(text):
    return [len(line) for line in plain(text).splitlines() if " " in line.strip()]


@pytest.mark.parametrize("columns", [50, 60, 80, 100, 132])
def test_as_wide_as_the_terminal(long, columns):
    text = on_a_terminal(long, columns, "good.example")
    whole = "\n".join(r for r in plain(text).splitlines() if str(long.dir) not in r)
    assert max(widths(whole)) <= columns
    assert plain(text).split() == long.run("explain", "good.example").out.split()


def test_80_columns_in_a_pipe(long):
    out = long.run("explain", "good.example").out
    out = "\n".join(r for r in out.splitlines() if str(long.dir) not in r)
    assert 70 < max(widths(out)) <= 80 and "\x1b" not in out


def test_very_wide_terminals(long):
    assert max(widths(on_a_terminal(long, 400, "good.example"))) <= 160


@pytest.mark.parametrize(
    "argv, environment, coloured",
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": ""}, True),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {}, False),
        (("--color=auto",), {}, True),
        (("--color=always",), {"NO_COLOR": "1"}, True),
    ],
)
def test_colour_on_a_terminal(long, argv, environment, coloured):
    text = on_a_terminal(long, 80, *argv, "good.example", **environment)
    assert ("\x1b[" in text) == coloured


def test_colour_in_a_pipe(long):
    assert "\x1b" not in long.run("explain", "--color=auto", "good.example").out
    assert "\x1b[" in long.run("explain", "--color=always", "good.example").out
    assert "\x1b" not in long.run("explain", "--json", "--color=always", "good.example").out
    wrong = long.run("explain", "--color", "green", "good.example")
    assert wrong.code == 64 and "green" in wrong.err


def test_nothing_drives_the_terminal(hopseal):
    hopseal.configure(
        {"policy": "good.example may\x1b]0;x\x07 ciphers=\x1b[31m\n"},
        smtp_tls_policy_maps="texthash:TABLES/policy",
    )
    text = on_a_terminal(hopseal, 80, "good.example")
    assert "\x07" not in text and "\x1b]" not in text
    assert set(re.findall(r"\x1b\[[0-9;]*.", text)) <= {
        f"\x1b[{n}m" for n in ("0", "1", "32", "33", "1;31")
    }


def test_every_setting_has_its_line(hopseal, ca):
    """Trust anchors, SNI, ciphers, protocols, exclusions, the plug-in's attributes."""
    entry = (
        f"secure tafile={ca.root} match=nexthop servername=hostname ciphers=high "
        "protocols=>=TLSv1.2 exclude=MD5 policy_type=sts policy_domain=good.example "
        "policy_ttl=60 mx_host_pattern=mx1.good.example enable_rpk=yes"
    )
    hopseal.configure(
        {"policy": f"[{HOST}]:465 {entry}\n"},
        smtp_tls_policy_maps="texthash:TABLES/policy",
        smtp_tls_wrappermode="yes",
    )
    text = hopseal.run("explain", f"[{HOST}]:465").out
    assert str(ca.root) in text.split("\nsettings\n")[1]
    for wanted in (
        "protocols    TLSv1.2 TLSv1.3 (>=TLSv1.2)",
        "ciphers      high, without MD5 aNULL",
        f"server name  {HOST}",
        "wrapper mode TLS from the first octet",
        "match        hostname",
        f"names        {HOST}",
        "MTA-STS      sts of good.example, for 60 s",
        "its hosts    mx1.good.example",
        "note         enable_rpk has no effect here",
    ):
        assert wanted in text, (wanted, text)
    hopseal.configure(
        {}, smtp_tls_security_level="fingerprint", smtp_tls_fingerprint_cert_match=DIGEST
    )
    text = hopseal.run("explain", f"[{zones.MX1}]").out
    assert f"fingerprints {'ab' * 32}\ndigest       sha256\n" in text
