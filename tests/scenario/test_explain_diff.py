"""explain --diff: two configurations against each other, destination by destination."""

import json
import subprocess

import pytest
from lab.hopseal import Hopseal, program
from test_reference import at, holds, holds_decision, sections

DIFF = sections("explain-diff.md")


class Pair:
    """Two configuration folders."""

    def __init__(self, before, after):
        self.before, self.after = before, after

    def run(self, *argv, **how):
        return self.before.run("explain", "--diff", self.after.dir, *argv, **how)

    def changes(self, *argv, **how):
        """(destination, host) -> change, and the exit status."""
        done = self.run("--json", *argv, **how)
        found = {(d["destination"], d["host"]): d["change"] for d in done.json["differences"]}
        assert done.code == done.json["exit"]
        return found, done.code


@pytest.fixture
def pair(hopseal, tree, ca, tmp_path):
    return Pair(hopseal, Hopseal(tmp_path / "other", tree, ca))


def policy(side, text, **settings):
    """A configuration with that smtp_tls_policy_maps table."""
    where = "texthash:TABLES/policy"
    return side.configure({"policy": text}, smtp_tls_policy_maps=where, **settings)


LEVELS = ["none", "may", "encrypt", "verify", "secure"]


@pytest.mark.parametrize("after", LEVELS)
@pytest.mark.parametrize("before", LEVELS)
def test_levels(pair, before, after):
    policy(pair.before, f"a.example {before}\n")
    policy(pair.after, f"a.example {after}\n")
    here, there = LEVELS.index(before), LEVELS.index(after)
    if here == there:
        assert pair.changes("a.example") == ({}, 0)
    else:
        change, status = ("raised", 0) if here < there else ("lowered", 1)
        assert pair.changes("a.example") == ({("a.example", None): change}, status)


def test_groups_and_reasons(pair):
    policy(pair.before, "a.example verify\nb.example junk\nc.example may\nd.example verify\n")
    policy(
        pair.after,
        "a.example may\nb.example may\nc.example junk\nd.example verify match=x.example\n"
        "e.example encrypt\nf.example fingerprint match=AA\n",
    )
    out = pair.run(*(f"{x}.example" for x in "abcdef")).out
    heads = [line.split(",")[0] for line in out.splitlines() if ", " in line and line[0] in "lrc"]
    assert heads == ["lowered", "released", "refused", "raised"]
    assert f"now    verify, a.example verify ({pair.before.dir}/policy:1)" in out
    assert f"then   may, a.example may ({pair.after.dir}/policy:1)" in out
    assert "mail waits: client TLS configuration problem" in out
    assert "names: x.example" in out
    assert out.endswith("1 lowered, 1 released, 0 changed, 1 refused, 3 raised, 0 unchanged\n")


def test_all_destinations(pair):
    pair.before.per_site(
        {"a.example": "MUST", "[b.example]:587": "MUST", "*.example": "MUST"},
        transport_maps="inline:{ c.example=smtp:[d.example]:26, @e.example=relay: }",
        smtp_tls_security_level="may",
        relayhost="[f.example]",
    )
    policy(pair.after, ".g.example verify\nh.example none\n", smtp_tls_security_level="encrypt")
    found, code = pair.changes()
    anything = "nexthop.hopseal.invalid"
    assert found == {
        ("a.example", None): "lowered",
        ("[b.example]:587", None): "lowered",
        (anything, "a.example"): "lowered",
        (anything, None): "raised",
        ("[d.example]:26", None): "raised",
        ("[f.example]", None): "raised",
        ("e.example", None): "raised",
        ("hopseal-any.g.example", None): "raised",
        ("h.example", None): "lowered",
    }
    assert code == 1
    out = pair.run().out
    assert "any domain below g.example\n" in out
    assert "any destination whose server is a.example\n" in out
    assert "any destination that nothing names\n" in out


def test_standard_input_and_hosts(pair):
    pair.before.per_site({"mx.a.example": "MUST"})
    pair.after.per_site({})
    stdin = b"# a comment\n\na.example\n[mx.a.example]:25\n"
    found, code = pair.changes("-", stdin=stdin)
    assert found == {("[mx.a.example]:25", None): "lowered"} and code == 1
    assert pair.changes("a.example", "--host", "mx.a.example")[1] == 1
    assert pair.changes("a.example", "--host", "mx.a.example", "--tls-required-no")[1] == 0


def test_addresses_are_routed_by_each_side(pair):
    policy(pair.before, "[mx.a.example]:25 verify\n", transport_maps="inline:{a.example=smtp:[mx.a.example]:25}")
    policy(pair.after, "a.example verify\n")
    done = pair.run("--json", "bob@a.example", "bob@b.example")
    (difference,) = done.json["differences"]
    assert difference["aspects"] == ["names", "route"] and difference["change"] == "changed"
    assert [difference[x]["nexthop"] for x in ("before", "after")] == ["[mx.a.example]:25", "a.example"]
    assert done.code == 2
    pair.after.configure(transport_maps="inline:{ { b.example=error:5.1.2 gone } }")
    assert pair.changes("bob@b.example") == ({("bob@b.example", None): "refused"}, 2)
    assert "refused 5.1.2: gone" in pair.run("bob@b.example").out


def test_settings_that_change_trust_are_seen(pair):
    policy(pair.before, "a.example secure\n", smtp_tls_secure_cert_match="nexthop, dot-nexthop")
    for settings, change in [
        ({"smtp_tls_CAfile": None}, "changed"),
        ({"smtp_tls_secure_cert_match": "nexthop"}, "raised"),
        ({"smtp_tls_secure_cert_match": "hostname"}, "lowered"),
        ({"smtp_tls_mandatory_protocols": ">=TLSv1.2"}, "raised"),
        ({"smtp_tls_mandatory_ciphers": "high"}, "raised"),
        ({"smtp_tls_ciphers": "high"}, None),
        ({"smtp_tls_servername": "hostname"}, "changed"),
    ]:
        policy(pair.after, "a.example secure\n", **settings)
        assert pair.changes("a.example")[0].get(("a.example", None)) == change, settings


def test_failed_lookups(pair):
    policy(pair.before, "a.example may\n")
    pair.after.configure(smtp_tls_policy_maps="texthash:/nonexistent")
    found, code = pair.changes("a.example")
    assert found == {("a.example", None): "refused"} and code == 3


def test_document(pair):
    policy(pair.before, "a.example verify\n", transport_maps="inline:{ b.example=error:no }")
    pair.after.configure(transport_maps="regexp:{ {/x/ smtp:} }")
    done = pair.run("--json", "a.example", "bob@b.example")
    holds(DIFF["`.`"], done.json, ".")
    for side in ("before", "after"):
        holds(DIFF["`before`"], done.json[side], side)
        for half in at(done.json, f"differences[].{side}"):
            holds(DIFF["`differences[].before`"], half, side)
            assert (half["decision"] is None) == (half["not_decided"] is not None)
            if half["decision"]:
                holds_decision(half["decision"])
    for difference in done.json["differences"]:
        holds(DIFF["`differences[]`"], difference, "difference")
    holds(DIFF["`counts`"], done.json["counts"], "counts")
    assert not done.json["unlisted"] and pair.run("--json").json["unlisted"]
    lines = [line for line in done.out.splitlines() if '"destination"' in line]
    assert len(lines) == 2


def test_wrong_usage(pair):
    assert pair.run("--facts", "x").code == 64
    assert pair.before.run("explain", "--diff", "/nonexistent").code == 66
    (pair.after.dir / "main.cf").write_text("smtp_tls_security_level = junk\n")
    assert pair.run().code == 78
    assert pair.run("-", stdin=b"x" * 2000).code == 78


def test_many_keys(pair, tmp_path):
    n = 20000
    text = "".join(f"d{i}.example %s\n" for i in range(n))
    policy(pair.before, text.replace("%s", "encrypt"))
    policy(pair.after, text.replace("%s", "encrypt").replace("d7.example encrypt", "d7.example may"))
    argv = [program(), "explain", "-c", pair.before.dir, "--diff", pair.after.dir, "--json"]
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    document = json.loads(done.stdout)
    assert document["counts"]["unchanged"] == n and document["counts"]["lowered"] == 1
