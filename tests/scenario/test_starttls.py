"""STARTTLS going wrong: stripped, refused, injected into, failing, and used rightly."""

import ssl

import pytest

from lab.hopseal import DEFERRED, DELIVERED
from lab.sink import DROP, RESET, STALL, Last

HOST = "mx1.good.example"
YOUNG, OLD = (), ("--age", "400")


def receiver(sink, ca, **config):
    return sink(cert=ca.cert("valid", HOST), **config)


@pytest.mark.parametrize("policy", ["MUST_NOPEERMATCH", "MUST"])
def test_stripped_offer_defers(hopseal, sink, ca, policy):
    s = receiver(sink, ca, starttls_line="XXXXXXXA")
    result = hopseal.per_site({"good.example": policy}).send("bob@good.example")
    assert result.fate == ("deferred", "4.7.4") and result.code == DEFERRED, result
    assert s.messages == [] and "MAIL" not in s.session.verbs()
    assert "something on the way has overwritten its STARTTLS" in result.reason


def test_stripped_offer_at_may_is_plaintext(hopseal, sink, ca):
    s = receiver(sink, ca, starttls_line="XXXXXXXA")
    result = hopseal.per_site({"good.example": "MAY"}).send("bob@good.example")
    assert result.fate == ("delivered", "2.0.0") and result.code == DELIVERED, result
    assert not s.messages[0].tls


INJECTED = [
    b"220 go\r\n250 injected\r\n",
    b"220 go\r\n250-x\r\n250-SIZE 1\r\n250 STARTTLS\r\n250 ok\r\n",
    b"220 go\r\n2",
    b"220 go\r\n\r\n",
    b"220 go\r\n" + b"250 x\r\n" * 500,
]


@pytest.mark.parametrize("octets", INJECTED)
@pytest.mark.parametrize("policy", ["MAY", "MUST_NOPEERMATCH", "MUST"])
def test_octets_behind_the_220_end_the_session(hopseal, sink, ca, policy, octets):
    s = receiver(sink, ca, script={"STARTTLS": octets})
    result = hopseal.per_site({"good.example": policy}).send("bob@good.example")
    assert result.rcpt()["outcome"] == "deferred" and result.code == DEFERRED, result
    s.wait_ended()
    assert s.messages == []
    assert all(session.verbs() in (["EHLO", "STARTTLS"], []) for session in s.sessions)
    assert not any(session.tls for session in s.sessions)


@pytest.mark.parametrize("age", [YOUNG, OLD])
@pytest.mark.parametrize("octets", INJECTED[:1])
def test_injection_is_never_followed_by_mail_where_tls_is_mandatory(
    hopseal, sink, ca, octets, age
):
    s = receiver(sink, ca, script={"STARTTLS": octets})
    hopseal.per_site({"good.example": "MUST"}).send("bob@good.example", options=age)
    assert s.messages == []


REFUSALS = ["454 4.7.0 TLS not available", "500 5.5.1 what?", "421 4.7.0 not now"]


@pytest.mark.parametrize("reply", REFUSALS)
def test_refused_starttls_where_it_is_mandatory(hopseal, sink, ca, reply):
    s = receiver(sink, ca, script={"STARTTLS": reply})
    result = hopseal.per_site({"good.example": "MUST_NOPEERMATCH"}).send("bob@good.example")
    # A 5xx bounces in Postfix; waiting is right as well.
    assert result.rcpt()["outcome"] in ("deferred",) + ("bounced",) * reply.startswith("5"), result
    assert s.messages == []


@pytest.mark.parametrize("reply", REFUSALS[:2])
def test_refused_starttls_at_may_goes_on_in_plaintext(hopseal, sink, ca, reply):
    s = receiver(sink, ca, script={"STARTTLS": reply})
    result = hopseal.per_site({"good.example": "MAY"}).send("bob@good.example")
    assert result.fate == ("delivered", "2.0.0"), result
    assert not s.messages[0].tls


HANDSHAKES = {
    "closed": {"tls": DROP},
    "reset": {"tls": RESET},
    "garbage": {"tls": b"this is not TLS at all, really\r\n" * 4},
    "alert": {"tls": Last(b"\x15\x03\x01\x00\x02\x02\x28")},
    "silent": {"tls": STALL},
    "closed-after-220": {"STARTTLS": Last("220 go")},
}


@pytest.mark.parametrize("policy", ["MAY", "MUST_NOPEERMATCH", "MUST"])
@pytest.mark.parametrize("how", HANDSHAKES)
def test_failed_handshake_defers(hopseal, sink, ca, policy, how):
    s = receiver(sink, ca, script=HANDSHAKES[how])
    hopseal.per_site({"good.example": policy}, smtp_starttls_timeout="1s")
    result = hopseal.send("bob@good.example")
    assert result.rcpt()["outcome"] == "deferred", result
    assert result.rcpt()["status"] in ("4.7.5", "4.4.2"), result
    assert s.messages == []


@pytest.mark.parametrize("how", HANDSHAKES)
def test_old_mail_at_may_goes_in_plaintext_after_a_failed_handshake(hopseal, sink, ca, how):
    s = receiver(sink, ca, script=HANDSHAKES[how])
    hopseal.per_site({"good.example": "MAY"}, smtp_starttls_timeout="1s")
    result = hopseal.send("bob@good.example", options=OLD)
    assert result.fate == ("delivered", "2.0.0"), result
    assert [t["plaintext_retry"] for t in result.tries] == [False, True]
    assert len(s.sessions) == 2 and "STARTTLS" not in s.sessions[1].verbs()
    assert not s.messages[0].tls


@pytest.mark.parametrize("policy", ["MUST_NOPEERMATCH", "MUST"])
@pytest.mark.parametrize("how", ["closed", "alert"])
def test_old_mail_never_goes_in_plaintext_where_tls_is_mandatory(hopseal, sink, ca, policy, how):
    s = receiver(sink, ca, script=HANDSHAKES[how])
    result = hopseal.per_site({"good.example": policy}).send("bob@good.example", options=OLD)
    assert result.rcpt()["outcome"] == "deferred", result
    assert s.messages == [] and all("STARTTLS" in x.verbs() for x in s.sessions)


def test_backoff_time_decides_what_is_old(hopseal, sink, ca):
    s = receiver(sink, ca, script={"tls": DROP})
    hopseal.per_site({"good.example": "MAY"}, minimal_backoff_time="1000s")
    assert hopseal.send("bob@good.example", options=OLD).rcpt()["outcome"] == "deferred"
    assert s.messages == []


def test_nothing_learned_before_tls_is_believed_after_it(hopseal, sink, ca):
    before = b"250-x\r\n250-SIZE 10\r\n250-PIPELINING\r\n250-DSN\r\n250 STARTTLS\r\n"
    s = receiver(sink, ca, script={"EHLO": before, "tls:EHLO": "250 sink.example"})
    result = hopseal.per_site({"good.example": "MUST"}).send("bob@good.example")
    assert result.fate == ("delivered", "2.0.0"), result
    mail = next(line for line, _ in s.session.commands if line.startswith("MAIL"))
    assert mail == "MAIL FROM:<alice@client.example>"


def test_starttls_offered_inside_tls_is_ignored(hopseal, sink, ca):
    s = receiver(sink, ca, script={"tls:EHLO": b"250-x\r\n250 STARTTLS\r\n"})
    result = hopseal.per_site({"good.example": "MUST"}).send("bob@good.example")
    assert result.fate == ("delivered", "2.0.0"), result
    assert s.session.verbs().count("STARTTLS") == 1


def test_helo_servers_have_no_tls(hopseal, sink, ca):
    s = receiver(sink, ca, script={"EHLO": "502 5.5.1 no"})
    assert hopseal.per_site({"good.example": "MUST"}).send("bob@good.example").fate == (
        "deferred",
        "4.7.4",
    )
    assert s.messages == []


V2, V3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    "policy, protocols, versions, seen",
    [
        ("MUST", ">=TLSv1.2", (V2, V2), "TLSv1.2"),
        ("MUST", ">=TLSv1.2", (V2, V3), "TLSv1.3"),
        ("MUST", "!SSLv2, !SSLv3, !TLSv1.3", (V2, V3), "TLSv1.2"),
        ("MUST", ">=TLSv1.3", (V2, V2), None),
        ("MUST", "<=TLSv1.2", (V3, V3), None),
        ("MAY", "<=TLSv1.2", (V2, V3), "TLSv1.2"),
    ],
)
def test_versions(hopseal, sink, ca, policy, protocols, versions, seen):
    s = receiver(sink, ca, tls_min=versions[0], tls_max=versions[1])
    which = "smtp_tls_protocols" if policy == "MAY" else "smtp_tls_mandatory_protocols"
    result = hopseal.per_site({"good.example": policy}, **{which: protocols}).send(
        "bob@good.example"
    )
    assert result.rcpt()["outcome"] == ("delivered" if seen else "deferred"), result
    assert s.wait_ended().session.tls_version == seen
    if seen:
        assert result.tries[0]["peer"]["protocol"] == seen
    else:
        assert result.rcpt()["status"] == "4.7.5"


def test_excluded_ciphers_are_not_used(hopseal, sink, ca):
    s = receiver(sink, ca, tls_max=V2)
    excluded = "AES256, CHACHA20"
    hopseal.per_site({"good.example": "MUST"}, smtp_tls_mandatory_exclude_ciphers=excluded)
    assert hopseal.send("bob@good.example").fate == ("delivered", "2.0.0")
    assert "AES128" in s.session.cipher


def test_no_name_is_sent_unless_asked_for(hopseal, sink, ca):
    s = receiver(sink, ca)
    hopseal.per_site({"good.example": "MUST"}).send("bob@good.example")
    hopseal.per_site({"good.example": "MUST"}, smtp_tls_servername="hostname")
    hopseal.send("bob@good.example")
    assert [x.sni for x in s.sessions] == [None, HOST]


def test_name_that_is_sent_chooses_the_certificate(hopseal, sink, ca):
    s = sink(cert=ca.cert("wrong-name", HOST), certs={HOST: ca.cert("valid", HOST)})
    hopseal.per_site({"good.example": "MUST"}, smtp_tls_servername="hostname")
    assert hopseal.send("bob@good.example").fate == ("delivered", "2.0.0")
    assert s.session.sni == HOST


def test_client_certificate(hopseal, sink, ca, tmp_path):
    s = receiver(sink, ca, ask_client_cert=ca.root)
    client = ca.cert("valid", "gateway.example")
    both = tmp_path / "client.pem"
    both.write_text(client.key.read_text() + client.chain.read_text())
    hopseal.per_site({"good.example": "MUST"}, smtp_tls_chain_files=both)
    assert hopseal.send("bob@good.example").fate == ("delivered", "2.0.0")
    assert ("DNS", "gateway.example") in s.session.client_cert["subjectAltName"]


def test_no_client_certificate_unless_configured(hopseal, sink, ca):
    s = receiver(sink, ca, ask_client_cert=ca.root)
    assert hopseal.per_site({"good.example": "MUST"}).send("bob@good.example").code == 0
    assert s.session.client_cert in (None, {})


@pytest.mark.parametrize("how", [DROP, RESET, STALL], ids=["drop", "reset", "silent"])
@pytest.mark.parametrize("stage", ["EHLO", "MAIL", "RCPT", "DATA", "dot"])
def test_session_that_breaks_inside_tls(hopseal, sink, ca, stage, how):
    s = receiver(sink, ca, script={f"tls:{stage}": how})
    limits = {f"smtp_{x}_timeout": "1s" for x in "helo mail rcpt data_init data_done".split()}
    result = hopseal.per_site({"good.example": "MUST"}, **limits).send("bob@good.example")
    assert result.fate == ("deferred", "4.4.2"), result
    assert result.rcpt()["fate_unknown"] == (stage == "dot")
    assert all(m.tls for m in s.messages) and len(s.sessions) == 1


NO_TLS = b"TLS-Required: No\r\nFrom: alice@client.example\r\n\r\nx\r\n"


@pytest.mark.parametrize("kind", ["none", "self-signed"])
def test_message_that_asks_for_no_tls(hopseal, sink, ca, kind):
    """RFC 8689 section 5: level may at most, whatever the table says."""
    s = sink(cert=None if kind == "none" else ca.cert(kind, HOST))
    result = hopseal.per_site({"good.example": "MUST"}).send("bob@good.example", message=NO_TLS)
    assert result.code == DELIVERED and len(s.messages) == 1, result
    assert "TLS-Required" in str(result.tries[0]["decision"]["trace"])


def test_message_that_asks_for_no_tls_where_that_is_not_honoured(hopseal, sink):
    s = sink()
    hopseal.per_site({"good.example": "MUST"}, tls_required_enable="no")
    result = hopseal.send("bob@good.example", message=NO_TLS)
    assert result.fate == ("deferred", "4.7.4") and s.messages == [], result


def test_body_that_looks_like_such_a_header_asks_for_nothing(hopseal, sink):
    s = sink()
    message = b"From: alice@client.example\r\n\r\n" + NO_TLS
    result = hopseal.per_site({"good.example": "MUST"}).send("bob@good.example", message=message)
    assert result.fate == ("deferred", "4.7.4") and s.messages == [], result
