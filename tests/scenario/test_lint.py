"""check as a lint: each finding against the real program, and silence where there is none."""

import os
import subprocess
import time

import pytest

POLICY = {"smtp_tls_policy_maps": "texthash:TABLES/policy"}
ROUTED = {**POLICY, "transport_maps": "texthash:TABLES/transport"}
SHA1 = ":".join(["5a"] * 20)
SHA256 = ":".join(["5a"] * 32)


def findings(result, file=None):
    """(line, severity, code) of those in a file, or of all."""
    return [
        (f["line"], f["severity"], f["code"])
        for f in result.json["findings"]
        if file is None or (f["file"] or "").endswith("/" + file)
    ]


def one(result, code):
    """The only finding of a code; it says what to do and has a place."""
    (f,) = [f for f in result.json["findings"] if f["code"] == code]
    assert f["text"] and f["remedy"] and f["parameter"], f
    return f


# The table's lines, the transport table, what is found in the first.
KEYS = [
    ("example.com secure", "", []),
    ("example.com secure", "example.com smtp:[mx.example.com]:587", [(1, "warning", "key-no-nexthop")]),
    ("[mx.example.com]:587 secure", "example.com smtp:[mx.example.com]:587", []),
    ("[mx.example.com] secure", "example.com smtp:[mx.example.com]:587", [(1, "warning", "key-no-nexthop")]),
    ("[example.com]:587 secure", "", [(1, "warning", "key-no-nexthop")]),
    ("a.example.com secure", ".example.com smtp:[gw]", [(1, "warning", "key-no-nexthop")]),
    ("a.example.com secure", ".example.com smtp:[gw]\na.example.com smtp:", []),
    (".example.com secure", "* smtp:[gw.example.net]", [(1, "warning", "key-no-nexthop")]),
    (".example.net secure", "* smtp:gw.example.net", []),
    ("mx.b.example secure", "a.example smtp:[mx.b.example]", [(1, "warning", "key-near-nexthop")]),
    ("b.example secure", "a.example smtp:[b.example]", [(1, "note", "key-near-nexthop")]),
    (
        ".example.net secure\ngw.example.net secure",
        "* smtp:gw.example.net",
        [(1, "note", "key-shadowed")],
    ),
    ("*.example.com secure", "", [(1, "warning", "key-wildcard")]),
    ("bob@example.com secure", "", [(1, "warning", "key-address")]),
    ("example.com. secure", "", [(1, "warning", "key-trailing-dot")]),
    (".[example.com] secure", "", [(1, "warning", "key-syntax")]),
    ("Example.com secure", "", []),
    ("bücher.example secure", "", [(1, "warning", "key-u-label")]),
    ("bücher.example secure\nxn--bcher-kva.example secure", "", []),
    (".a.example secure\nb.a.example none", "", [(2, "note", "entry-weaker-than-parent")]),
    (".a.example secure\n.b.a.example may", "", [(2, "warning", "entry-weaker-than-parent")]),
    (".a.example may\nb.a.example secure", "", []),
    (".a.example secure ciphers=high\nb.a.example secure", "", [(2, "note", "entry-weaker-than-parent")]),
]


@pytest.mark.parametrize("policy, transport, found", KEYS)
def test_keys(hopseal, policy, transport, found):
    hopseal.configure({"policy": policy + "\n", "transport": transport + "\n"}, **ROUTED)
    result = hopseal.check()
    assert findings(result, "policy") == found and result.code == 0, result


VALUES = [
    ("error", "policy-attr-wrong-level", "encrypt match=a.example"),
    ("error", "policy-attr-wrong-level", "may tafile=/x"),
    ("warning", "policy-attr-ignored", "none match=a.example"),
    ("warning", "policy-attr-no-effect", "encrypt policy_type=sts mx_host_pattern=a.example"),
    ("warning", "rpk-unavailable", "secure enable_rpk=yes"),
    ("warning", "dane-no-dnssec", "dane"),
    ("error", "dane-no-dnssec", "dane-only"),
    ("error", "fingerprint-length", f"fingerprint match={SHA1}"),
    ("warning", "fingerprint-length", f"fingerprint match={SHA1}|{SHA256}"),
    ("warning", "fingerprint-malformed", f"fingerprint match=abc|{SHA256}"),
    ("error", "tls-cipher-empty", "encrypt exclude=ALL"),
    ("error", "tls-settings", "encrypt protocols=SSLv3"),
    ("error", "tls-settings", "{ protocols = >=TLSv1.3, <=TLSv1.2 }"),
    ("error", "tls-settings", "protocols=TLSv1 exclude=SHA"),
    ("warning", "tls-version-hole", "encrypt protocols=!TLSv1.2"),
    ("error", "tls-invalid-protocols", "encrypt protocols=>=TLSv1.4"),
    ("error", "trust-anchor", "secure tafile=/nonexistent"),
]


@pytest.mark.parametrize("severity, code, value", VALUES)
def test_values(hopseal, severity, code, value):
    level = "" if value.split()[0].isalpha() or value.startswith("dane") else "secure "
    hopseal.configure({"policy": f"a.example may\ngood.example {level}{value}\n"}, **POLICY)
    result = hopseal.check()
    assert (2, severity, code) in findings(result, "policy"), result
    assert result.code == (78 if severity == "error" else 0)
    one(result, code)


def test_each_value_is_told_once(hopseal):
    table = "".join(f"d{i}.example encrypt exclude=ALL\n" for i in range(50))
    f = one(hopseal.configure({"policy": table}, **POLICY).check(), "tls-cipher-empty")
    assert f["line"] == 1 and "49 more" in f["text"]


def test_the_text_says_what_it_does_today_and_the_remedy(hopseal):
    tables = {"policy": "example.com secure\n", "transport": "example.com smtp:[mx.example.com]:587\n"}
    out = hopseal.configure(tables, **ROUTED).run("check").out
    assert out.startswith(f"{hopseal.dir}/policy:1: warning: key example.com never matches: ")
    assert "    use [mx.example.com]:587 as the key\n" in out
    assert out.endswith("0 errors, 1 warning, 0 notes\n")


SETTINGS = [
    ("warning", "ignored", {"smtp_tls_security_level": "may", "smtp_use_tls": "yes"}, "smtp_use_tls"),
    ("warning", "ignored", {**POLICY, "smtp_tls_per_site": "static:MAY"}, "smtp_tls_per_site"),
    ("warning", "deprecated", {"smtp_use_tls": "yes"}, "smtp_use_tls"),
    ("warning", "deprecated", {"smtp_tls_per_site": "static:MAY"}, "smtp_tls_per_site"),
    ("warning", "dane-without-dnssec", {"smtp_tls_security_level": "dane"}, "smtp_tls_security_level"),
    ("error", "ca-file", {"smtp_tls_CAfile": "/nonexistent"}, "smtp_tls_CAfile"),
    ("error", "ca-file", {"smtp_tls_CAfile": "/dev/null"}, "smtp_tls_CAfile"),
    ("warning", "ca-path-empty", {"smtp_tls_CApath": "/etc"}, "smtp_tls_CApath"),
    ("warning", "tls-ca-path", {"smtp_tls_CApath": "/nonexistent"}, "smtp_tls_CApath"),
    (
        "error",
        "ca-none",
        {"smtp_tls_CAfile": None, "smtp_tls_security_level": "secure"},
        "smtp_tls_CAfile",
    ),
    ("error", "client-certificate", {"smtp_tls_eccert_file": "/nonexistent"}, "smtp_tls_eccert_file"),
    ("error", "client-certificate", {"smtp_tls_chain_files": "/nonexistent"}, "smtp_tls_chain_files"),
    (
        "warning",
        "fingerprint-length",
        {"smtp_tls_fingerprint_cert_match": f"{SHA1}, {SHA256}"},
        "smtp_tls_fingerprint_cert_match",
    ),
    ("error", "tls-cipher-empty", {"smtp_tls_exclude_ciphers": "ALL"}, "smtp_tls_exclude_ciphers"),
    ("error", "dns", {"hopseal_dns_servers": "here"}, "hopseal_dns_servers"),
    ("error", "dns", {"hopseal_dns_stub_servers": "192.0.2.1@x"}, "hopseal_dns_stub_servers"),
    ("error", "dns", {"hopseal_dns_trust_anchor_file": "/dev/null"}, "hopseal_dns_trust_anchor_file"),
]


@pytest.mark.parametrize("severity, code, settings, parameter", SETTINGS)
def test_settings(hopseal, severity, code, settings, parameter):
    settings = {"smtp_tls_security_level": "may", **settings}
    if code == "deprecated":
        settings["smtp_tls_security_level"] = ""
    result = hopseal.configure({"policy": "a.example may\n"}, **settings).check()
    (f,) = [
        f for f in result.json["findings"] if (f["code"], f["parameter"]) == (code, parameter)
    ]
    assert f["severity"] == severity and f["text"] and f["remedy"], f
    lines = (hopseal.dir / "main.cf").read_text().splitlines()
    if settings.get(parameter) is not None:
        assert f["file"].endswith("main.cf") and lines[f["line"] - 1].startswith(parameter), f
    assert result.code == (78 if severity == "error" else 0)


def test_entries_of_a_table_that_nobody_asks_are_no_findings(hopseal):
    hopseal.configure(
        {"policy": "a.example may\n"}, smtp_tls_per_site="inline:{ *.x=nothing }", **POLICY
    )
    assert {f["parameter"] for f in hopseal.check().json["findings"]} == {"smtp_tls_per_site"}
    assert {code for _, _, code in findings(hopseal.check())} == {"deprecated", "ignored"}


def test_an_empty_per_site_table_is_no_finding(hopseal):
    assert hopseal.configure(smtp_tls_per_site="").run("check").out == ""


def test_a_resolver_that_is_none_is_told_with_its_line_by_all_commands(hopseal):
    hopseal.configure(hopseal_dns_servers="here")
    for command in (["send", "bob@good.example"], ["explain", "good.example"]):
        told = hopseal.run(*command).err
        assert f"{hopseal.dir}/main.cf:" in told and "hopseal_dns_servers" in told, told


# ---- certificates ----


def expired(ca):
    return ca.cert("expired", "old.example")


@pytest.mark.parametrize(
    "severity, code, settings",
    [
        ("error", "ca-expired", lambda c, ca: {"smtp_tls_CAfile": c.leaf}),
        ("error", "trust-anchor-expired", lambda c, ca: {"smtp_tls_trust_anchor_file": c.leaf}),
        (
            "warning",
            "client-certificate-expired",
            lambda c, ca: {"smtp_tls_cert_file": c.leaf, "smtp_tls_key_file": c.key},
        ),
        (
            "error",
            "client-certificate",
            lambda c, ca: {"smtp_tls_cert_file": c.leaf, "smtp_tls_key_file": ca.dir / "root.key"},
        ),
        (
            "error",
            "client-certificate",
            lambda c, ca: {"smtp_tls_cert_file": c.leaf, "smtp_tls_key_file": c.leaf},
        ),
    ],
)
def test_certificates(hopseal, ca, severity, code, settings):
    values = settings(expired(ca), ca)
    result = hopseal.configure(**values).check()
    f = one(result, code)
    assert (f["severity"], f["parameter"]) == (severity, list(values)[0])
    assert f["file"].endswith("main.cf") and f["line"] and str(list(values.values())[0]) in f["text"]


def test_the_chain_file_of_a_client(hopseal, ca, tmp_path):
    chain = tmp_path / "chain.pem"
    chain.write_text(expired(ca).key.read_text() + expired(ca).leaf.read_text())
    result = hopseal.configure(smtp_tls_chain_files=chain, smtp_tls_cert_file=expired(ca).leaf).check()
    assert "2024-02-01" in one(result, "client-certificate-expired")["text"]
    assert one(result, "ignored")["parameter"] == "smtp_tls_cert_file"


def test_trust_anchors_of_an_entry(hopseal, ca):
    table = f"a.example may\ngood.example secure tafile={expired(ca).leaf}\n"
    f = one(hopseal.configure({"policy": table}, **POLICY).check(), "trust-anchor-expired")
    assert (f["severity"], f["line"]) == ("error", 2) and "good.example" in f["text"]


def test_one_of_two_cas_has_expired(hopseal, ca, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(ca.root.read_text() + expired(ca).leaf.read_text())
    result = hopseal.configure(smtp_tls_CAfile=both).check()
    assert one(result, "ca-expired")["severity"] == "warning" and result.code == 0


def test_a_folder_of_cas(hopseal, ca, tmp_path):
    folder = tmp_path / "cas"
    folder.mkdir()
    (folder / "old.pem").write_text(expired(ca).leaf.read_text())
    assert one(hopseal.configure(smtp_tls_CApath=folder).check(), "ca-path-empty")
    subprocess.run(["openssl", "rehash", folder], check=True, capture_output=True)
    assert one(hopseal.check(), "ca-expired")["parameter"] == "smtp_tls_CApath"


def test_what_expires_soon(hopseal, ca):
    """The lab's root is good for 30 days."""
    hopseal.configure(smtp_tls_trust_anchor_file=ca.stranger)
    assert hopseal.run("check").out == ""
    for time_, is_soon in [("60d", True), ("9w", True), ("1440h", True), ("28d", False), ("60", False)]:
        result = hopseal.check("--expires-within", time_)
        assert ("ca-expiring" in result.out) == is_soon, result
        assert ("trust-anchor-expiring" in result.out) == is_soon and result.code == 0
    assert hopseal.check("--expires-within", "soon").code == 64


# ---- tables ----


def test_rules_that_are_never_tried(hopseal):
    table = "/^a/ may\n/./ encrypt\n/^b/ secure\n"
    hopseal.configure({"rules": table}, smtp_tls_policy_maps="regexp:TABLES/rules")
    f = one(hopseal.check(), "table-pattern-unreachable")
    assert f["line"] == 3 and "line 2" in f["text"] and f["severity"] == "warning"


def test_a_network_inside_an_earlier_one(hopseal):
    table = "192.0.2.0/24 may\n192.0.2.128/25 encrypt\n"
    hopseal.configure({"nets": table}, smtp_tls_policy_maps="cidr:TABLES/nets")
    assert one(hopseal.check(), "table-pattern-unreachable")["line"] == 2


def test_the_lines_of_an_indexed_table_are_those_of_its_text(hopseal):
    text = hopseal.dir / "policy"
    hopseal.configure(
        {"policy": "a.example may\n\n*.b.example may\n"}, smtp_tls_policy_maps="cdb:TABLES/policy"
    )
    assert hopseal.run("table", "build", f"cdb:{text}").code == 0
    assert findings(hopseal.check()) == [(3, "warning", "key-wildcard")]

    text.write_text("a.example may\na.example may\n*.b.example may\n")
    os.utime(text, (time.time() - 1000,) * 2)
    f = one(hopseal.check(), "table-duplicate-key")
    assert (f["severity"], f["line"]) == ("warning", 2)

    os.utime(text, (time.time() + 1000,) * 2)
    assert one(hopseal.check(), "table-older")["severity"] == "warning"


def test_a_key_in_two_tables(hopseal):
    hopseal.configure(
        {"one": "a.example may\n", "two": "b.example may\na.example secure\n"},
        smtp_tls_policy_maps="texthash:TABLES/one, texthash:TABLES/two",
    )
    f = one(hopseal.check(), "key-duplicate")
    assert f["file"].endswith("/two") and f["line"] == 2 and "/one:1" in f["text"]


# ---- DNS ----


def test_keys_that_dns_knows_as_servers(hopseal):
    table = "good.example secure\nmx1.good.example secure\nnobody.nowhere.example secure\n"
    hopseal.configure({"policy": table}, **POLICY)
    assert hopseal.run("check").out == ""
    result = hopseal.check("--dns")
    assert findings(result, "policy") in (
        [(2, "warning", "key-mx-host"), (3, "warning", "key-no-domain")],
        [(3, "warning", "key-no-domain"), (2, "warning", "key-mx-host")],
    ), result
    assert "good.example" in one(result, "key-mx-host")["remedy"]


def test_dns_that_fails_is_no_evidence(hopseal):
    hopseal.configure({"policy": "bogus.example secure\n"}, **POLICY)
    assert findings(hopseal.check("--dns")) == [(None, "warning", "dns-failed")]


# ---- the report ----


def test_exceptions_can_be_left_out(hopseal):
    table = ".a.example secure\nb.a.example none\n[c.example] may\n"
    hopseal.configure(
        {"policy": table, "transport": "c.example smtp:[c.example]\n"},
        smtp_tls_security_level="encrypt",
        **ROUTED,
    )
    assert findings(hopseal.check()) == [
        (2, "note", "entry-weaker-than-parent"),
        (3, "note", "entry-weaker-than-global"),
    ]
    assert findings(hopseal.check("--ignore", "entry-weaker-than-parent")) == [
        (3, "note", "entry-weaker-than-global")
    ]
    every = ("--ignore", "entry-weaker-than-parent", "--ignore", "entry-weaker-than-global")
    assert hopseal.run("check", *every).out == ""


def test_what_is_left_out_has_no_say_in_the_status(hopseal):
    hopseal.configure({"policy": "a.example nothing\n"}, **POLICY)
    assert hopseal.check().code == 78
    result = hopseal.check("--ignore", "policy-invalid-level")
    assert result.code == 0 and result.json["errors"] == result.json["exit"] == 0


def test_many_of_a_kind_are_counted(hopseal):
    table = "".join(f"*.d{i}.example may\n" for i in range(500))
    found = hopseal.configure({"policy": table}, **POLICY).check().json["findings"]
    assert len(found) == 101 and "400 more" in found[-1]["text"]


def test_nothing_is_said_of_a_clean_configuration(hopseal, ca):
    """A large one, with all that is fine."""
    names = [f"partner{i}.example" for i in range(3000)]
    policy = "".join(
        f"{name} secure match=nexthop:dot-nexthop\n"
        f".{name} encrypt\n"
        f"strict.{name} secure ciphers=high protocols=>=TLSv1.2\n"
        for name in names
    )
    transport = "".join(f"relayed{i}.example smtp:[gw{i}.example.net]:587\n" for i in range(1000))
    policy += "".join(
        f"[gw{i}.example.net]:587 fingerprint match={SHA256}\n" for i in range(1000)
    )
    policy += f"anchored.example secure tafile={ca.stranger}\n"
    policy += "xn--bcher-kva.example may\n[192.0.2.7] encrypt\n"
    transport += ".inside.example relay:hub.example.net:2525\n"
    policy += "hub.example.net:2525 secure servername=hub.example.net\n"
    client = ca.cert("valid", "gateway.example")
    rules = "if /example$/\n/^mail\\./ may\n!/^x\\./ encrypt\nendif\n/^y\\./ secure\n"
    hopseal.configure(
        {"policy": policy, "transport": transport, "rules": rules},
        compatibility_level="3.11",
        smtp_tls_security_level="may",
        smtp_tls_policy_maps="texthash:TABLES/policy, regexp:TABLES/rules",
        transport_maps="texthash:TABLES/transport",
        smtp_tls_trust_anchor_file=ca.root,
        smtp_tls_cert_file=client.leaf,
        smtp_tls_key_file=client.key,
        smtp_tls_mandatory_protocols=">=TLSv1.2",
        smtp_tls_mandatory_ciphers="high",
        relay_domains="relayed1.example",
    )
    result = hopseal.run("check")
    assert (result.code, result.out, result.err) == (0, "", ""), result
    assert hopseal.run("check", "-v").out == "0 errors, 0 warnings, 0 notes\n"
    document = hopseal.check().json
    assert document["findings"] == [] and document["exit"] == 0
