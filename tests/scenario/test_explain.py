"""explain: the decision of delivery without connecting, and the same bytes again from facts."""

import json

import pytest

HOST = "mx1.good.example"


@pytest.mark.parametrize(
    "table, subject, level",
    [
        ({"good.example": "MUST"}, "good.example", "verify"),
        ({"good.example": "NONE"}, "bob@good.example", "none"),
        ({HOST: "MUST_NOPEERMATCH"}, "good.example", "encrypt"),
        ({"[192.0.2.11]:587": "MAY"}, "[192.0.2.11]:587", "may"),
        ({}, "good.example", "none"),
    ],
)
def test_level(hopseal, table, subject, level):
    result = hopseal.per_site(table).explain(subject)
    assert result.code == 0, result
    assert result.decision["level"] == level


def test_deciding_line_is_named(hopseal):
    table = "other.example NONE\n# comment\n\ngood.example MUST\n"
    hopseal.configure({"per_site": table}, smtp_tls_per_site="texthash:TABLES/per_site")
    d = hopseal.explain("good.example").decision
    step = d["trace"][d["deciding"]]
    assert step["file"].endswith("per_site") and step["line"] == 4
    assert (step["key"], step["value"]) == ("good.example", "MUST")


def test_nothing_is_connected_to(hopseal, sink):
    s = sink()
    hopseal.per_site({"good.example": "MUST"}).explain("good.example")
    assert s.sessions == []


def test_delivery_decides_the_same(hopseal, sink, ca):
    sink(cert=ca.cert("valid", HOST))
    hopseal.per_site({"good.example": "MUST"})
    told = hopseal.explain("good.example").decision
    done = hopseal.send("bob@good.example").tries[0]["decision"]
    assert told == done


def test_named_host_needs_no_lookup(hopseal):
    result = hopseal.per_site({"mx9.elsewhere.example": "MUST"}).explain(
        "good.example", "--host", "mx9.elsewhere.example"
    )
    assert result.decision["level"] == "verify" and result.facts("mx", "good.example") == []


def test_several_hosts(hopseal):
    result = hopseal.per_site({"mx2.two.example": "MUST"}).explain("two.example")
    made = result.json["destinations"][0]["decisions"]
    assert [(d["host"], d["level"]) for d in made] == [
        ("mx1.two.example", "none"),
        ("mx2.two.example", "verify"),
    ]


@pytest.mark.parametrize("subject", ["good.example", "bob@two.example", "many.example"])
def test_facts_from_a_file_give_the_same_bytes(hopseal, tmp_path, subject):
    hopseal.per_site({"good.example": "MUST", "mx2.two.example": "MUST"})
    facts = tmp_path / "facts.json"
    online = hopseal.explain(subject, "--record", facts)
    (hopseal.dir / "per_site").unlink()
    # No resolver can be reached with these, and nothing is asked.
    nowhere = ("-o", "hopseal_dns_stub_servers=192.0.2.99@53")
    first = hopseal.explain(subject, "--facts", facts)
    again = hopseal.explain(subject, "--facts", facts)
    assert first.code == online.code == 0, first
    assert first.out == again.out
    assert first.json["destinations"] == online.json["destinations"]
    elsewhere = hopseal.explain(subject, "--facts", facts, *nowhere)
    assert elsewhere.json["destinations"] == online.json["destinations"]


def test_facts_of_a_send_explain_it(hopseal, sink, tmp_path):
    sink()
    hopseal.per_site({"good.example": "MUST"})
    sent = hopseal.send("bob@good.example")
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(sent.json["deliveries"][0]["facts"]))
    told = hopseal.explain("good.example", "--facts", facts)
    assert told.decision == sent.tries[0]["decision"], told


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"facts": 3}', "[" * 100_000])
def test_bad_facts(hopseal, tmp_path, text):
    facts = tmp_path / "facts.json"
    facts.write_text(text)
    result = hopseal.explain("good.example", "--facts", facts)
    assert result.code == 65 and "facts.json" in result.err, result


def test_missing_facts(hopseal):
    result = hopseal.explain("good.example", "--facts", "/nonexistent/facts")
    assert result.code == 66 and "/nonexistent/facts" in result.err, result


@pytest.mark.parametrize(
    "subject, code",
    [("bogus.example", 3), ("a.servfail.fault.example", 3), ("null.example", 1)],
)
def test_destinations_without_a_decision(hopseal, subject, code):
    result = hopseal.explain(subject)
    assert result.code == code, result


def test_unknown_keyword(hopseal):
    result = hopseal.per_site({"good.example": "MUSTARD"}).explain("good.example")
    assert result.code == 1 and result.decision["level"] == "invalid", result
    assert "MUSTARD" in result.out


def test_text_names_the_line(hopseal):
    hopseal.per_site({"good.example": "MUST"})
    result = hopseal.run("explain", "good.example")
    assert "verify" in result.out and "per_site:1" in result.out
    assert max(map(len, result.out.replace(str(hopseal.dir), "").split("\n"))) <= 110


def test_tls_required_no(hopseal):
    result = hopseal.per_site({"good.example": "MUST"}).explain("good.example", "--tls-required-no")
    assert result.decision["level"] in ("none", "may"), result
