"""smtp_tls_policy_maps on the wire: what an entry says is what the receiver sees and has to show."""

import hashlib
import json
import ssl
import subprocess

import pytest

from lab import zones

HOST = "mx1.good.example"
DELIVERED = ("delivered", "2.0.0")
REFUSED = ("deferred", "4.7.5")


@pytest.fixture
def policy(hopseal):
    """policy(entry or whole table, **settings): a configuration with that policy table."""

    def configure(text, **settings):
        table = text if "\n" in text else f"good.example {text}\n"
        where = "texthash:TABLES/policy"
        return hopseal.configure({"policy": table}, smtp_tls_policy_maps=where, **settings)

    return configure


def public_key(ca, tmp_path, key="root"):
    """The public key of one of the lab's keys, in PEM form."""
    path = tmp_path / f"{key}.pub.pem"
    argv = ["openssl", "pkey", "-in", ca.dir / f"{key}.key", "-pubout", "-out", path]
    subprocess.run(argv, check=True, capture_output=True)
    return path


@pytest.mark.parametrize(
    "entry, kind, fate",
    [
        ("none", "valid", DELIVERED),
        ("may", "self-signed", DELIVERED),
        ("encrypt", "self-signed", DELIVERED),
        ("verify", "valid", DELIVERED),
        ("verify", "self-signed", REFUSED),
        ("verify", "wrong-name", REFUSED),
        ("secure", "valid", DELIVERED),
        ("secure", "wrong-name", REFUSED),
        ("secure", "other-ca", REFUSED),
        ("dane", "self-signed", DELIVERED),
        ("dane-only", "valid", REFUSED),
        ("MUST", "valid", REFUSED),
        ("may x=1", "valid", REFUSED),
    ],
)
def test_levels(policy, sink, ca, entry, kind, fate):
    s = sink(cert=ca.cert(kind, HOST))
    result = policy(entry).send("bob@good.example")
    assert result.fate == fate, result
    if fate == DELIVERED:
        assert s.session.tls == (entry != "none")
    else:
        assert s.messages == []


def test_encrypt_needs_tls(policy, sink):
    s = sink()
    assert policy("encrypt").send("bob@good.example").fate == ("deferred", "4.7.4")
    assert s.messages == []


@pytest.mark.parametrize(
    "table, level",
    [
        ("good.example encrypt\n.example none\n", "encrypt"),
        (".example encrypt\n", "encrypt"),
        (".good.example none\n.example verify\n", "verify"),
        (f"{HOST} none\n", "may"),
        ("[good.example] none\n", "may"),
    ],
)
def test_the_nexthop_and_its_parents_are_asked(policy, sink, ca, table, level):
    s = sink(cert=ca.cert("valid", HOST))
    result = policy(table, smtp_tls_security_level="may").send("bob@good.example")
    assert result.fate == DELIVERED, result
    assert result.tries[0]["decision"]["level"] == level
    assert s.session.tls


def test_per_site_is_not_asked_beside_it(policy, sink, ca, hopseal):
    sink(cert=ca.cert("self-signed", HOST))
    result = policy("verify", smtp_tls_per_site="static:NONE").send("bob@good.example")
    assert result.fate == REFUSED
    assert not result.facts("table", HOST)


@pytest.mark.parametrize("table", ["fail:x", "texthash:/nowhere", "static:"])
def test_a_failed_lookup_is_no_absent_entry(hopseal, sink, ca, table):
    s = sink(cert=ca.cert("valid", HOST))
    hopseal.configure(smtp_tls_policy_maps=table, smtp_tls_security_level="may")
    assert hopseal.send("bob@good.example").fate == REFUSED
    assert s.sessions == []


def test_delivery_decides_as_explain_says(policy, sink, ca):
    sink(cert=ca.cert("valid", HOST))
    p = policy(f"secure match={HOST} protocols=TLSv1.3 servername=hostname")
    told = p.explain("good.example").decision
    assert told == p.send("bob@good.example").tries[0]["decision"]
    step = told["trace"][told["deciding"]]
    assert (step["key"], step["line"]) == ("good.example", 1)
    assert step["file"].endswith("policy")
    assert [t["key"] for t in told["trace"] if t["code"] == "policy-attribute"] == [
        "match",
        "protocols",
        "servername",
    ]


@pytest.mark.parametrize(
    "entry, fate",
    [
        ("verify match=somebody-else.example", DELIVERED),
        ("secure match=hostname:somebody-else.example", DELIVERED),
        ("secure match=.example", DELIVERED),
        ("secure match=hostname:nexthop:dot-nexthop", REFUSED),
        ("secure match=else.example", REFUSED),
        ("secure match=:", REFUSED),
    ],
)
def test_match_lists(policy, sink, ca, entry, fate):
    s = sink(cert=ca.cert("wrong-name", HOST))
    assert policy(entry).send("bob@good.example").fate == fate
    assert len(s.messages) == (fate == DELIVERED)


@pytest.mark.parametrize("setting, fate", [("yes", DELIVERED), ("no", REFUSED)])
def test_a_star_for_many_labels(policy, sink, ca, setting, fate):
    sink(cert=ca.cert("wildcard", HOST))
    p = policy("secure match=a.b.good.example", tls_wildcard_matches_multiple_labels=setting)
    assert p.send("bob@good.example").fate == fate


@pytest.mark.parametrize(
    "entry, sni",
    [
        ("encrypt servername=hostname", HOST),
        ("encrypt servername=nexthop", "good.example"),
        ("encrypt servername=other.example", "other.example"),
        ("encrypt", "main.cf.example"),
        ("may servername=hostname", HOST),
    ],
)
def test_server_name(policy, sink, ca, entry, sni):
    s = sink(cert=ca.cert("valid", HOST))
    p = policy(entry, smtp_tls_servername="main.cf.example")
    assert p.send("bob@good.example").fate == DELIVERED
    assert s.session.sni == sni


def test_server_name_chooses_the_certificate(policy, sink, ca):
    sink(cert=ca.cert("wrong-name", HOST), certs={HOST: ca.cert("valid", HOST)})
    assert policy("verify servername=hostname").send("bob@good.example").fate == DELIVERED
    assert policy("verify").send("bob@good.example").fate == REFUSED


@pytest.mark.parametrize(
    "entry, version",
    [
        ("encrypt protocols=TLSv1.2", "TLSv1.2"),
        ("encrypt protocols=<=TLSv1.2", "TLSv1.2"),
        ("encrypt { protocols = >=TLSv1.2, !TLSv1.2 }", "TLSv1.3"),
        ("encrypt protocols=", "TLSv1.3"),
    ],
)
def test_protocols(policy, sink, ca, entry, version):
    s = sink(cert=ca.cert("valid", HOST))
    p = policy(entry, smtp_tls_mandatory_protocols="TLSv1.1")
    assert p.send("bob@good.example").fate == DELIVERED
    assert s.session.tls_version == version


def test_protocols_that_the_server_does_not_have(policy, sink, ca):
    s = sink(cert=ca.cert("valid", HOST), tls_max=ssl.TLSVersion.TLSv1_2)
    assert policy("encrypt protocols=TLSv1.3").send("bob@good.example").fate == REFUSED
    assert s.messages == []


@pytest.mark.parametrize(
    "entry, fate",
    [
        ("encrypt", DELIVERED),
        ("encrypt exclude=ECDHE", REFUSED),
        ("encrypt { exclude = AES256, CHACHA20 }", DELIVERED),
        ("encrypt { exclude = AESGCM }", REFUSED),
        ("encrypt ciphers=high", DELIVERED),
        ("encrypt ciphers=bogus", REFUSED),
    ],
)
def test_ciphers_and_exclusions(policy, sink, ca, entry, fate):
    s = sink(
        cert=ca.cert("valid", HOST),
        tls_max=ssl.TLSVersion.TLSv1_2,
        tls_ciphers="ECDHE-ECDSA-AES128-GCM-SHA256",
    )
    assert policy(entry).send("bob@good.example").fate == fate
    assert len(s.messages) == (fate == DELIVERED)


def test_two_entries_in_one_run_have_contexts_of_their_own(policy, sink, ca):
    s = sink(cert=ca.cert("valid", HOST))
    table = "good.example encrypt protocols=TLSv1.2\ngood.test encrypt protocols=TLSv1.3\n"
    policy(table).send("a@good.example", "b@good.test")
    assert sorted(x.tls_version for x in s.sessions) == ["TLSv1.2", "TLSv1.3"]


ANCHORS = [
    # what the file holds, kind of the server's certificate, outcome
    (["root.pem"], "valid", DELIVERED),
    (["root.pem"], "intermediate", DELIVERED),
    (["stranger.pem"], "valid", REFUSED),
    (["stranger.pem"], "other-ca", DELIVERED),
    (["issuing.pem"], "intermediate", DELIVERED),
    (["issuing.pem"], "missing-intermediate", DELIVERED),
    (["issuing.pem"], "valid", REFUSED),
    (["leaf"], "valid", DELIVERED),
    (["leaf"], "self-signed", DELIVERED),
    (["leaf"], "expired", REFUSED),
    (["leaf"], "wrong-name", REFUSED),
    (["key:root"], "valid", DELIVERED),
    (["key:root"], "intermediate", DELIVERED),
    (["key:issuing"], "missing-intermediate", DELIVERED),
    (["key:issuing"], "valid", REFUSED),
    (["key:leaf"], "self-signed", DELIVERED),
    (["key:stranger"], "valid", REFUSED),
    (["stranger.pem", "key:root"], "valid", DELIVERED),
]


def anchor_files(ca, tmp_path, names, cert):
    made = []
    for name in names:
        if name.startswith("key:"):
            made.append(public_key(ca, tmp_path, name[4:]))
        else:
            made.append(cert.leaf if name == "leaf" else ca.dir / name)
    return made


@pytest.mark.parametrize("names, kind, fate", ANCHORS)
def test_tafile(policy, sink, ca, tmp_path, names, kind, fate):
    cert = ca.cert(kind, HOST)
    s = sink(cert=cert)
    files = "".join(f" tafile={f}" for f in anchor_files(ca, tmp_path, names, cert))
    result = policy(f"verify{files}", smtp_tls_trust_anchor_file="/nowhere").send(
        "bob@good.example"
    )
    assert result.fate == fate, result
    assert len(s.messages) == (fate == DELIVERED)


@pytest.mark.parametrize("names, kind, fate", ANCHORS[2:6])
def test_trust_anchor_file_of_main_cf(hopseal, sink, ca, tmp_path, names, kind, fate):
    sink(cert=ca.cert(kind, HOST))
    files = ", ".join(map(str, anchor_files(ca, tmp_path, names, None)))
    hopseal.configure(smtp_tls_security_level="verify", smtp_tls_trust_anchor_file=files)
    assert hopseal.send("bob@good.example").fate == fate


@pytest.mark.parametrize("name", ["root.pem", "nothing.pem"])
def test_the_same_decision_from_recorded_facts(policy, ca, tmp_path, name):
    p = policy(f"verify tafile={ca.dir / name}")
    first = p.explain("good.example")
    assert first.decision["level"] == ("verify" if name == "root.pem" else "invalid")
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(first.json["facts"]))
    again = p.explain("good.example", "--facts", facts)
    assert again.out == first.out, again


@pytest.mark.parametrize("text", [None, "", "not a PEM file\n"])
def test_a_trust_anchor_file_that_cannot_be_used(policy, sink, ca, tmp_path, text):
    s = sink(cert=ca.cert("valid", HOST))
    path = tmp_path / "ta.pem"
    if text is not None:
        path.write_text(text)
    assert policy(f"verify tafile={path}").send("bob@good.example").fate == REFUSED
    assert s.sessions == []


def fingerprint(cert, digest, what):
    """Of the certificate, or of its public key, as OpenSSL's own commands give it: AA:BB:..."""
    if what == "certificate":
        argv = ["openssl", "x509", "-in", cert.leaf, "-outform", "DER"]
    else:
        argv = ["openssl", "pkey", "-in", cert.key, "-pubout", "-outform", "DER"]
    der = subprocess.run(argv, check=True, capture_output=True).stdout
    text = hashlib.new(digest, der).hexdigest().upper()
    return ":".join(text[i : i + 2] for i in range(0, len(text), 2))


@pytest.mark.parametrize("what", ["certificate", "public key"])
@pytest.mark.parametrize(
    "digest", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512", "SHA1", "sha3-256"]
)
def test_fingerprints(policy, sink, ca, digest, what):
    cert = ca.cert("self-signed", HOST)
    s = sink(cert=cert)
    good = fingerprint(cert, digest.lower().replace("sha3-", "sha3_"), what)
    wrong = ("FF" if good.startswith("00") else "00") + good[2:]
    p = policy(f"fingerprint match={wrong}|{good}", smtp_tls_fingerprint_digest=digest)
    result = p.send("bob@good.example")
    assert result.fate == DELIVERED, result
    assert result.tries[0]["judgement"]["reached"] == "verified"
    assert result.tries[0]["peer"]["fingerprint"]["digest"] == digest
    p = policy(f"fingerprint match={wrong}", smtp_tls_fingerprint_digest=digest)
    assert p.send("bob@good.example").fate == REFUSED
    assert len(s.messages) == 1


def test_fingerprints_of_main_cf(hopseal, sink, ca):
    cert = ca.cert("expired", HOST)
    s = sink(cert=cert)
    good = fingerprint(cert, "sha512", "certificate").replace(":", "").lower()
    hopseal.configure(
        smtp_tls_security_level="fingerprint",
        smtp_tls_fingerprint_digest="sha512",
        smtp_tls_fingerprint_cert_match=f"aa:bb, {good}",
    )
    assert hopseal.send("bob@good.example").fate == DELIVERED
    assert s.session.tls


@pytest.mark.parametrize("digest", ["sha1", "no-such-digest"])
def test_a_fingerprint_of_another_digest(policy, sink, ca, digest):
    cert = ca.cert("valid", HOST)
    s = sink(cert=cert)
    good = fingerprint(cert, "sha256", "certificate")
    p = policy(f"fingerprint match={good}", smtp_tls_fingerprint_digest=digest)
    result = p.send("bob@good.example")
    assert result.fate == REFUSED, result
    assert s.messages == []


def test_hosts_that_mta_sts_does_not_name_are_skipped(policy, sink, ca):
    first = sink(zones.MX1, cert=ca.cert("valid", "mx1.two.example"))
    second = sink(zones.MX2, cert=ca.cert("valid", "mx2.two.example"))
    table = (
        "two.example secure match=two.example policy_type=sts policy_domain=two.example"
        " mx_host_pattern=mx2.two.example\n"
    )
    result = policy(table).send("bob@two.example")
    assert result.fate == DELIVERED, result
    assert first.sessions == [] and len(second.messages) == 1


def test_a_message_that_wants_no_tls(policy, sink):
    sink()
    message = b"From: a@client.example\r\nTLS-Required: no\r\n\r\nA line.\r\n"
    p = policy("secure", smtp_tls_security_level="may")
    assert p.send("bob@good.example", message=message).fate == DELIVERED
    p = policy("secure", smtp_tls_security_level="may", tls_required_enable="no")
    assert p.send("bob@good.example", message=message).fate == ("deferred", "4.7.4")
