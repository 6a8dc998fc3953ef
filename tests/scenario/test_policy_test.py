"""test: cases of a policy, without any network; no namespace is needed."""

import json
import os
import re
import subprocess

import pytest
from lab.hopseal import TREE, program

VECTORS = TREE / "tests/vectors/tls-policy.jsonl"
MUST = {
    "config": {"smtp_tls_per_site": "texthash:@sites@"},
    "tables": {"sites": "# partners\nbank.example MUST\n"},
}
BANK = {"id": "bank", "nexthop": "bank.example", "host": "mx.bank.example"}


@pytest.fixture
def cases(tmp_path):
    """Runs `hopseal test` over cases (objects, or lines as they are); gives the finished process."""

    def run(*lines, options=()):
        file = tmp_path / "policy.jsonl"
        texts = [x if isinstance(x, str) else json.dumps(x) for x in lines]
        file.write_text("".join(t + "\n" for t in texts))
        scratch = tmp_path / "tmp"
        scratch.mkdir(exist_ok=True)
        done = subprocess.run(
            [program(), "test", "-c", tmp_path, *options, "policy.jsonl"],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(scratch)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode >= 0 and list(scratch.iterdir()) == [], "tables were left behind"
        return done

    return run


def case(expect, **members):
    return {**BANK, **MUST, "expect": expect, **members}


def fact(kind, name, **answer):
    return {"question": {"kind": kind, "name": name}, "answer": {"status": "found", **answer}}


def address(name, text):
    return fact("address", name, addresses=[text], ipv4={"status": "found"})


MX = fact(
    "mx",
    "bank.example",
    mx=[{"preference": 10, "host": "a.bank.example"}, {"preference": 20, "host": "b.bank.example"}],
)
FACTS = [MX, address("a.bank.example", "192.0.2.1"), address("b.bank.example", "192.0.2.2")]


def test_pass(cases):
    done = cases(
        case({"level": "verify", "error": None, "names": ["mx.bank.example"], "usable": True}),
        "",
        case({"level": "none", "tls": None, "protocols": None}, nexthop="other.example"),
        case({"error": {"fatal": "startup"}}, config={"smtp_tls_security_level": "most"}),
        case({"error.fatal": "nexthop"}, nexthop="bank.example."),
        case({"level": "invalid", "error.dsn": "4.3.0"}, tables={"sites": "a b\na c\n"}),
        case({"tls": {"sni": None, "grade": "medium"}, "match": ["hostname"]}),
        case({"level": "may"}, config={"smtp_tls_security_level": "encrypt"}, tls_required_no=True),
    )
    assert (done.stdout, done.stderr, done.returncode) == ("7 passed, 0 failed\n", "", 0)


def test_a_failure_is_a_readable_difference(cases):
    done = cases(case({"level": "secure"}), case({"level": "secure", "names": None, "port": 25}))
    assert done.returncode == 1
    assert done.stdout == (
        "policy.jsonl:1: failed: bank\n"
        '  level: want "secure", got "verify"\n'
        '  decided by: next-hop "bank.example" has the entry MUST (@sites@:2)\n'
        "policy.jsonl:2: failed: bank\n"
        '  level: want "secure", got "verify"\n'
        '  names: want null, got ["mx.bank.example"]\n'
        '  decided by: next-hop "bank.example" has the entry MUST (@sites@:2)\n'
        "0 passed, 2 failed\n"
    )


@pytest.mark.parametrize("field", ["levle", "tls.sin", "error.code", "trace"])
def test_an_unknown_field_fails_the_case(cases, field):
    done = cases(case({field: "x"}), case({"level": "verify"}))
    assert done.returncode == 1 and f'expect has no field "{field}"' in done.stdout
    assert done.stdout.endswith("\n1 passed, 1 failed\n")


@pytest.mark.parametrize(
    "line, word",
    [
        ('{"id": "x",', ""),
        ("[]", "an object, not an array"),
        ({**BANK, **MUST}, "expect is missing"),
        ({**BANK, **MUST, "expect": {}}, "expect"),
        ({"nexthop": "a", "expect": {"level": "none"}}, "id is missing"),
        ({"id": "x", "expect": {"level": "none"}}, "nexthop or address"),
        (case({"level": "none"}, address="a@b.example"), "exclude each other"),
        (case({"level": "none"}, tls_required_No=True), "tls_required_No"),
        (case({"level": "none"}, host=7), "host: a string is wanted"),
        (case({"level": "none"}, port=0), "port"),
        (case({"level": "none"}, tables={"../x": ""}), "tables"),
        (case({"level": "none"}, tables={"x": 1}), "an object of strings"),
        ({**BANK, "tables": {}, "expect": {"level": "none"}}, "without config"),
    ],
)
def test_malformed(cases, line, word):
    done = cases(case({"level": "verify"}), line)
    assert done.returncode == 65 and done.stdout == ""
    assert done.stderr.startswith("hopseal: policy.jsonl:2: ") and word in done.stderr


def test_no_case_is_an_error(cases):
    done = cases("", "")
    assert done.returncode == 65 and "no case" in done.stderr and done.stdout == ""


def test_missing_file(cases):
    done = cases(case({"level": "verify"}), options=["nowhere.jsonl"])
    assert done.returncode == 66 and "nowhere.jsonl" in done.stderr


def test_hosts_come_from_facts(cases):
    hostless = case({"level": "verify"}, facts=FACTS)
    del hostless["host"]
    both = cases(hostless)
    assert both.returncode == 0, both.stdout
    one = cases({**hostless, "expect": {"host": "a.bank.example"}})
    assert 'host of b.bank.example: want "a.bank.example", got "b.bank.example"' in one.stdout


@pytest.mark.parametrize("facts, lacks", [([], "mx of"), ([MX], "address of")])
def test_a_missing_fact_is_named(cases, facts, lacks):
    done = cases(case({"level": "verify"}, host="", facts=facts))
    assert done.returncode == 1 and f'no fact answers: {lacks} "' in done.stdout


def test_bad_facts_fail_the_case(cases):
    done = cases(case({"level": "verify"}, facts=[{"question": {}}]))
    assert done.returncode == 1 and "facts[0]" in done.stdout


def test_a_table_in_the_network_is_not_asked(cases):
    config = {"smtp_tls_per_site": "socketmap:inet:127.0.0.1:9:x"}
    done = cases(case({"level": "verify"}, config=config))
    assert 'no fact answers: smtp_tls_per_site of "bank.example"' in done.stdout
    told = [
        {
            "question": {"kind": "table", "table": "smtp_tls_per_site", "name": name},
            "answer": answer,
        }
        for name, answer in [
            ("bank.example", {"status": "found", "value": "MUST"}),
            ("mx.bank.example", {"status": "none"}),
        ]
    ]
    assert cases(case({"level": "verify"}, config=config, facts=told)).returncode == 0


def test_policy_maps(cases):
    maps = {"smtp_tls_policy_maps": "texthash:@maps@", "smtp_tls_security_level": "may"}
    entry = "bank.example secure match=mx.bank.example ciphers=high\n.bank.example tls=no\n"
    bank = {"config": maps, "tables": {"maps": entry}}
    done = cases(
        case({"level": "secure", "match": ["mx.bank.example"], "ciphers": "high"}, **bank),
        case({"level": "invalid", "error.dsn": "4.7.5"}, nexthop="a.bank.example", **bank),
        case({"level": "may"}, nexthop="[bank.example]", **bank),
        case({"ciphers": "medium"}, **bank),
    )
    assert done.stdout.endswith("3 passed, 1 failed\n")
    assert 'ciphers: want "medium", got "high"' in done.stdout and "(@maps@:1)" in done.stdout


def test_an_address_is_routed(cases):
    sent = {
        "id": "sent",
        "address": "anna@partner.example",
        "config": {
            "transport_maps": "texthash:@transport@",
            "smtp_tls_per_site": "inline:{ [gw.example]:587=MUST }",
        },
        "tables": {
            "transport": "partner.example smtp:[gw.example]:587\nno.example error:5.1.2 no\n"
        },
    }
    expect = {"nexthop": "[gw.example]:587", "port": 587, "host": "gw.example", "level": "verify"}
    refused = {"level": None, "error.dsn": "5.1.2"}
    done = cases(
        {**sent, "host": "gw.example", "expect": expect},
        {**sent, "facts": [address("gw.example", "192.0.2.3")], "expect": expect},
        {**sent, "address": "anna@no.example", "expect": refused},
        {**sent, "expect": expect},
    )
    assert 'no fact answers: address of "gw.example"' in done.stdout
    assert done.stdout.endswith("3 passed, 1 failed\n"), done.stdout


def test_live_configuration(cases, tmp_path):
    (tmp_path / "sites").write_text("bank.example MUST\n")
    (tmp_path / "main.cf").write_text(
        f"compatibility_level = 3.6\nsmtp_tls_per_site = texthash:{tmp_path}/sites\n"
    )
    live = {**BANK, "expect": {"level": "verify", "ciphers": "medium"}}
    own = {**BANK, "config": {"smtp_tls_security_level": "secure"}, "expect": {"level": "secure"}}
    assert cases(live, own).stdout == "2 passed, 0 failed\n"
    done = cases(live, own, options=["-o", "smtp_tls_mandatory_ciphers=high"])
    assert 'ciphers: want "medium", got "high"' in done.stdout
    assert f"({tmp_path}/sites:1)" in done.stdout and done.returncode == 1


def test_a_live_configuration_that_is_wrong(cases, tmp_path):
    live = {**BANK, "expect": {"level": "verify"}}
    assert cases(live).returncode == 66
    (tmp_path / "main.cf").write_text("smtp_use_tls = perhaps\n")
    assert cases(live).returncode == 78
    assert cases(case({"level": "verify"})).returncode == 0


def test_json(cases):
    done = cases(
        case({"level": "secure"}),
        case({"level": "verify"}),
        case({"lvl": "x"}),
        options=["--json"],
    )
    document = json.loads(done.stdout)
    assert done.returncode == document["exit"] == 1
    assert (document["schema"], document["version"]) == ("hopseal.test", 1)
    assert (document["passed"], document["failed"]) == (1, 2)
    first, second = document["failures"]
    assert first == {
        "id": "bank",
        "file": "policy.jsonl",
        "line": 1,
        "error": None,
        "differences": [{"field": "level", "host": None, "want": "secure", "got": "verify"}],
        "decided_by": {
            "text": 'next-hop "bank.example" has the entry MUST',
            "file": "@sites@",
            "line": 2,
        },
    }
    assert second["error"] and second["differences"] == [] and second["decided_by"] is None


def test_documented_members(cases):
    page = (TREE / "docs/reference/test.md").read_text()
    document = json.loads(cases(case({"level": "x"}), options=["--json"]).stdout)
    failure = document["failures"][0]
    for heading, thing in {
        ".": document,
        "failures[]": failure,
        "failures[].differences[]": failure["differences"][0],
        "failures[].decided_by": failure["decided_by"],
    }.items():
        text = page.split(f"### `{heading}`\n")[1].split("\n#")[0]
        assert re.findall(r"^\| `(\w+)`", text, flags=re.M) == list(thing)


def test_documented_fields_are_those_that_are_known(cases):
    page = (TREE / "docs/reference/test.md").read_text()
    text = page.split("## `expect`\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", text, flags=re.M)
    fields = [f for row in rows for f in re.findall(r"`([\w.]+)`", row)]
    assert len(fields) > 20
    done = cases(*[case({f: "?"}) for f in fields])
    assert "expect has no field" not in done.stdout
    assert done.stdout.endswith(f"0 passed, {len(fields)} failed\n")


def test_recorded_decisions():
    """Postfix's own decisions, but for its quirks, which tests/vectors/README.md tells."""
    quirks = {c["id"] for c in map(json.loads, VECTORS.open()) if "quirk" in c}
    done = subprocess.run(
        [program(), "test", "--json", VECTORS], capture_output=True, text=True, check=False
    )
    document = json.loads(done.stdout)
    assert document["passed"] > 3500 and done.returncode == 1
    assert {f["id"] for f in document["failures"]} <= quirks
