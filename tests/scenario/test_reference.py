"""docs/reference says what the JSON documents hold: real ones are held against its tables."""

import re

import pytest
from lab.hopseal import TREE

PAGES = TREE / "docs/reference"
TYPES = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}
TYPES[type(None)] = "null"


class Member:
    """A row of a table: | `name` | type | meaning |."""

    def __init__(self, types, meaning):
        self.types = set(types.split(" or ")) if types else None  # decision.md does not tell
        self.is_optional = "May be missing" in meaning


def sections(page):
    """Heading -> its text."""
    parts = re.split(r"^## (.*)$", (PAGES / page).read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def table(text):
    """Name -> Member of the first table in a text."""
    found = {}
    rows = re.search(r"^\| member.*\n\|.*\n((?:\|.*\n)+)", text, flags=re.M)[1].splitlines()
    for row in rows:
        cells = [c.strip() for c in row.strip("|").split("|")]
        for name in re.findall(r"`([a-z_0-9]+)`", cells[0]):
            found[name] = Member(cells[1], cells[2]) if len(cells) > 2 else Member("", "")
    return found


SEND = sections("send.md")
EXPLAIN = sections("explain.md")
CHECK = sections("check.md")
ROUTE = sections("route.md")
DECISION = sections("decision.md")


def holds(text, thing, where):
    """A JSON object has the members of a table, in its order, of their types."""
    members = table(text)
    assert set(thing) <= set(members), f"{where}: not documented"
    missing = {m for m in members if not members[m].is_optional} - set(thing)
    assert not missing, f"{where}: documented, but not there"
    assert list(thing) == [m for m in members if m in thing], f"{where}: another order"
    for name, value in thing.items():
        types = members[name].types
        assert not types or TYPES[type(value)] in types, f"{where}.{name}: {value!r}"


def at(thing, path):
    """The objects at a path such as deliveries[].tries[]; nulls and absent ones are left out."""
    found = [thing]
    for name in filter(None, path.split(".")):
        key = name.removesuffix("[]")
        found = [f[key] for f in found if f.get(key) is not None]
        if name.endswith("[]"):
            found = [element for f in found for element in f]
    return found


def holds_everywhere(page, document, unseen=()):
    """Each section that is headed by a path holds for all objects there, and there are some."""
    for heading, text in page.items():
        path = re.match(r"`([a-z_.\[\]]+)`", heading)
        if not path or "," in heading:
            continue
        things = at(document, path[1])
        assert bool(things) != (path[1] in unseen), f"{path[1]}: seen {len(things)} times"
        for thing in things:
            holds(text, thing, path[1])


def holds_route(route):
    """A route object."""
    holds(ROUTE["Route"], route, "route")


def holds_hosts(hosts):
    """A hosts object and what is in it."""
    holds(ROUTE["Hosts"], hosts, "hosts")
    for host in hosts["hosts"]:
        holds(ROUTE["Host"], host, "host")


def holds_decision(decision):
    """A decision with its settings for TLS."""
    holds(DECISION["Decision"], decision, "decision")
    if decision["tls"]:
        holds(DECISION["Decision"].split("`tls`:\n")[1], decision["tls"], "tls")
    step = table(DECISION["Decision"].split("A step of `trace`")[1])
    assert all(set(s) <= set(step) for s in decision["trace"])


def codes(thing):
    """All codes of trace steps and findings in a document."""
    if isinstance(thing, list):
        return set().union(*map(codes, thing))
    if isinstance(thing, dict):
        own = {thing["code"]} if isinstance(thing.get("code"), str) else set()
        return own.union(*map(codes, thing.values()))
    return set()


def documented(*pages):
    """All codes in the tables of sections and pages."""
    rows = re.findall(r"^\| (`.*?) \|", "\n".join(t for p in pages for t in p.values()), flags=re.M)
    return {code for row in rows for code in re.findall(r"`([a-z_-]+)`", row)}


@pytest.fixture
def record(hopseal, sink, ca):
    """A send with every kind of ending."""
    sink(cert=ca.cert("valid", "mx1.good.example"))
    hopseal.per_site(
        {"good.example": "MUST", "[192.0.2.11]": "MUST", "two.example": "MUSTARD"},
        transport_maps="inline:{ thrown.example=discard:, wrong.example=error:no }",
        smtp_sasl_auth_enable="yes",
        smtp_sasl_password_maps="inline:{ good.example=me:secret }",
    )
    rcpts = ["good.example", "null.example", "dead.example", "bogus.example", "two.example"]
    rcpts += ["[192.0.2.11]", "thrown.example", "wrong.example", "alias.example"]
    sent = hopseal.send("local", *(f"bob@{r}" for r in rcpts))
    assert sent.code == 69, sent
    return sent.json


def test_send(record):
    holds_everywhere(SEND, record)
    for rcpt in record["recipients"]:
        holds_route(rcpt["route"])
    for delivery in record["deliveries"]:
        for hosts in delivery["hosts"]:
            holds_hosts(hosts)
        for each in delivery["tries"]:
            holds_decision(each["decision"])
            if each["kind"] == "session":
                holds(DECISION["Judgement"], each["judgement"], "judgement")
                holds(DECISION["Peer"], each["peer"], "peer")
            else:
                assert "session" in SEND["`deliveries[].tries[]`"] and "peer" not in each
    kinds = {t["kind"] for t in at(record, "deliveries[].tries[]")}
    assert kinds == {"session", "not-connected", "skipped"}


def test_codes_of_traces_are_documented(record):
    assert codes(record) <= documented(ROUTE, DECISION)


def test_top_of_each_document(hopseal, record):
    """No member may be missing there."""
    for page, document in [
        (SEND, record),
        (EXPLAIN, hopseal.explain("good.example").json),
        (CHECK, hopseal.check().json),
    ]:
        assert list(document) == list(table(page["`.`"]))
        assert document["schema"] in page["`.`"] and document["version"] == 1


@pytest.mark.parametrize(
    "argv",
    [
        ("good.example",),
        ("bob@dual.example",),
        ("bogus.example",),
        ("empty.example",),
        ("good.example", "--host", "mx1.good.example", "--tls-required-no"),
        ("unix:/nowhere", "--lmtp"),
    ],
)
def test_explain(hopseal, argv):
    document = hopseal.per_site({"dual.example": "MUST"}).explain(*argv).json
    holds_everywhere(EXPLAIN, document)
    for each in document["destinations"]:
        if each["lookup"]:
            holds_hosts(each["lookup"])
        for decision in each["decisions"]:
            holds_decision(decision)
    if document["route"]:
        holds_route(document["route"])
    assert codes(document) <= documented(ROUTE, DECISION)


def test_explain_logins(hopseal):
    maps = "inline:{ good.example=me:secret }"
    hopseal.configure(smtp_sasl_auth_enable="yes", smtp_sasl_password_maps=maps)
    for argv in (("good.example",), ("two.example",)):
        (destination,) = hopseal.explain(*argv).json["destinations"]
        for login in destination["logins"]:
            holds(EXPLAIN["`destinations[].logins[]`, of each host"], login, "login")


def test_explain_without_the_facts_it_needs(hopseal, tmp_path):
    (tmp_path / "facts").write_text("[]")
    done = hopseal.per_site({}).explain("good.example", "--facts", tmp_path / "facts", "--host", "x.y")
    (destination,) = done.json["destinations"]
    (undecided,) = destination["decisions"]
    holds(EXPLAIN["`destinations[].decisions[]`, not decided"], undecided, "not decided")
    assert done.code == done.json["exit"] == 65
    nothing = hopseal.explain("good.example", "--facts", tmp_path / "facts")
    assert nothing.json["destinations"][0]["lookup"] is None
    assert nothing.json["destinations"][0]["error"] and nothing.code == 65


def test_check(hopseal):
    table_text = "a.example MUSTARD\n*.example MUST\nno-value\nb@a.example NONE\n[x]:1 MAY\n"
    hopseal.configure(
        {"per_site": table_text},
        smtp_tls_per_site="texthash:TABLES/per_site, inline:{ a=MUST, a=MAY }, hash:/x",
        smtp_tls_persite="x",
        smtp_sasl_auth_enable="yes",
        biff="no",
        smtp_tls_CAfile="/nonexistent",
    )
    document = hopseal.check().json
    holds_everywhere(CHECK, document)
    severities = [f["severity"] for f in document["findings"]]
    for name in ("error", "warning", "note"):
        assert document[name + "s"] == severities.count(name) > 0
    assert len(codes(document)) > 8 and codes(document) <= documented(CHECK)


def test_codes_of_findings_are_documented():
    """Those that the sources can give, whether a test brings them about or not."""
    found = set()
    for place, pattern, prefix in [
        ("lib/conf/*.c", r'\.code = .*STR\("([a-z-]+)"\)', ""),
        ("lib/policy/lint*.c", r'STR(?:_INIT)?\("([a-z]+(?:-[a-z]+)+)"\)', ""),
        ("lib/policy/policy_maps_value.c", r'STR\("(policy-[a-z-]+|invalid-hostname)"\)', ""),
        ("src/cmd/check*.c", r'STR\("((?!duplicate-key|policy-")[a-z]+(?:-[a-z]+)+)"\)', ""),
        ("src/cmd/check.c", r'check_add_error\(c, "([a-z-]+)"', ""),
        ("src/table/*.c", r'\.code = STR\("([a-z-]+)"\)', "table-"),
        ("src/table/*.c", r'STR\("((?:line|key|pattern|duplicate|empty)-[a-z-]+)"\)', "table-"),
    ]:
        for file in TREE.glob(place):
            if not file.name.endswith("_test.c"):
                found |= {prefix + code for code in re.findall(pattern, file.read_text())}
    assert len(found) > 30
    assert found <= documented(CHECK)


def test_codes_of_trace_steps_are_documented():
    """The same for the reasons of routes and decisions."""
    call = r'(?:route_note\w*|policy_trace_\w+|unusable)\(\s*[^;"]*?STR\("([a-z_-]+)"\)'
    found = set()
    for place in ("lib/route/*.c", "lib/policy/*.c"):
        for file in TREE.glob(place):
            if not file.name.endswith("_test.c"):
                found |= set(re.findall(call, file.read_text()))
    assert len(found) > 30
    assert found <= documented(ROUTE, DECISION)


@pytest.mark.parametrize("page", sorted(p.relative_to(TREE).as_posix() for p in PAGES.glob("*.md")))
def test_links(page):
    """They lead to files and headings that are there."""
    text = (TREE / page).read_text()
    for target in re.findall(r"\]\((?!http)([^)]+)\)", text):
        path, _, heading = target.partition("#")
        file = (TREE / page).parent / path if path else TREE / page
        assert file.exists(), target
        headings = re.findall(r"^#+ (.*)$", file.read_text(), flags=re.M)
        assert not heading or heading in [h.lower().replace(" ", "-") for h in headings], target
