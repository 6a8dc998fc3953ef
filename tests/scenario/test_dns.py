"""src/dns against the signed tree: what is secure, insecure, bogus, absent, or not to be had."""

import json
import subprocess
import time

import pytest

from lab import dns as lab_dns
from lab import hopseal as lab_hopseal

PROBE = lab_hopseal.program().parents[1] / "tests/dns_probe"


@pytest.fixture(name="probe")
def _probe(tree):
    """probe(kind, name, **options) gives the answer as a dictionary."""

    def ask(kind, name, anchor=tree.anchor, **options):
        options = {"root": lab_dns.SERVER, "timeout": 5000} | options
        argv = [PROBE]
        for key, value in options.items():
            argv += [f"--{key}", str(value)]
        if anchor:
            argv += ["--anchor", str(anchor)]
        done = subprocess.run(
            [*argv, kind, name], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["answer"]

    return ask


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("good.example", "secure"),
        ("good.test", "secure"),
        ("plain.insecure", "insecure"),
        ("island.example", "insecure"),
    ],
)
def test_found(probe, name, status):
    """A chain from the anchor is secure; without one the answer counts, and is insecure."""
    answer = probe("mx", name)
    assert answer["mx"] == [{"preference": 10, "host": f"mx1.{name}"}]
    assert (answer["status"], answer["dnssec"], answer["ttl"]) == ("found", status, 300)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bogus.example", "signature verification failed"),
        ("expired.example", "signature expired"),
        ("wrongds.example", "DS"),
        ("nodenial.example", "no signatures"),
    ],
)
def test_bogus(probe, name, why):
    """What fails validation has failed, and is neither found nor absent."""
    answer = probe("mx", name)
    assert (answer["status"], answer["dnssec"]) == ("failed", "bogus")
    assert why in answer["failure"]
    assert "mx" not in answer


def test_absent(probe):
    """The two kinds of absence, both proven."""
    assert probe("mx", "nomx.example") == {"status": "none", "dnssec": "secure", "ttl": 60}
    assert probe("mx", "nosuch.example")["nxdomain"] is True


def test_families_differ(probe):
    """One family bogus, the other absent: a failure. Both there: both."""
    answer = probe("address", "mx1.badhost.example")
    assert answer["status"] == "failed"
    assert (answer["ipv4"]["dnssec"], answer["ipv6"]["status"]) == ("bogus", "none")
    answer = probe("address", "mx1.dual.example")
    assert answer["addresses"] == ["192.0.2.11", "2001:db8::11"]
    assert "ipv6" not in probe("address", "mx1.dual.example", only=4)


def test_alias(probe):
    """The end of the chain is told, and the chain is as good as its weakest link."""
    answer = probe("address", "host.alias.example")
    assert (answer["canonical"], answer["dnssec"]) == ("mx1.good.example", "secure")
    answer = probe("mx", "half.alias.example")
    assert (answer["canonical"], answer["dnssec"]) == ("plain.insecure", "insecure")
    assert probe("mx", "loop1.alias.example")["status"] == "failed"


@pytest.mark.parametrize("how", ["servfail", "refused", "truncate"])
def test_server_fails(probe, how):
    """A server that does not answer the question is no proof of anything."""
    answer = probe("mx", f"x.{how}.fault.example")
    assert answer == {"status": "failed", "failure": "SERVFAIL"}


def test_silence_ends_at_the_deadline(probe):
    """A server that says nothing costs the time limit and no more."""
    start = time.monotonic()
    answer = probe("mx", "x.drop.fault.example", timeout=700)
    assert answer == {"status": "failed", "failure": "no answer within 700 ms"}
    assert time.monotonic() - start < 9


def test_forwarder_is_not_believed(probe):
    """The answers of a named resolver are validated here."""
    forward = {"root": lab_dns.SERVER, "forward": lab_dns.SERVER}
    assert probe("mx", "good.test", **forward)["dnssec"] == "secure"
    assert probe("mx", "bogus.example", **forward)["dnssec"] == "bogus"


def test_without_anchor_nothing_is_secure(probe):
    """Validation off: answers carry no status, also bogus ones."""
    assert "dnssec" not in probe("mx", "good.example", anchor=None)
    assert probe("mx", "bogus.example", anchor=None)["status"] == "found"


def test_other_anchor_makes_everything_bogus(probe):
    """The packaged root anchor does not fit our root."""
    answer = probe("mx", "plain.insecure", anchor="/usr/share/dns/root.key")
    assert (answer["status"], answer["dnssec"]) == ("failed", "bogus")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory"),
        ("; nothing\n", "holds no DS or DNSKEY record"),
        (". IN DS 1 13 2 zz\n", "initialization failure"),
    ],
)
def test_bad_anchor_is_told_at_start(tmp_path, content, says):
    """A resolver that could not validate does not start, and names the file."""
    path = tmp_path / "anchor"
    if content is not None:
        path.write_text(content)
    done = subprocess.run(
        [PROBE, "--anchor", path, "mx", "good.example"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 78
    assert str(path) in done.stderr and says in done.stderr


def test_native(probe):
    """The hosts file; its answers have nothing to do with DNSSEC."""
    answer = probe("native", "localhost")
    assert answer["status"] == "found" and "dnssec" not in answer
