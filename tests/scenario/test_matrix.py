"""Every row of NONE, MAY, MUST_NOPEERMATCH and MUST against every kind of receiver: what becomes of
the mail, and what the receiver saw."""

import pytest

from lab.hopseal import DEFERRED, DELIVERED

HOST = "mx1.good.example"

RECEIVERS = ["no-starttls", "self-signed", "other-ca", "wrong-name", "expired", "valid"]
BAD = ["self-signed", "other-ca", "wrong-name", "expired"]

# What the reason of a deferral has to say.
WHY = {
    "no-starttls": "TLS is required, but was not offered",
    "self-signed": "self-signed",
    "other-ca": "trusted CA",
    "wrong-name": "somebody-else.example",
    "expired": "expired",
}


def expected(policy, receiver):
    """(delivered?, over TLS?, DSN status): Postfix's table of TLS levels."""
    offered = receiver != "no-starttls"
    if policy in ("NONE", "no entry"):
        return True, False, "2.0.0"
    if policy == "MAY":
        return True, offered, "2.0.0"
    if not offered:
        return False, False, "4.7.4"
    if policy == "MUST" and receiver in BAD:
        return False, True, "4.7.5"
    return True, True, "2.0.0"


@pytest.mark.parametrize("receiver", RECEIVERS)
@pytest.mark.parametrize("policy", ["NONE", "MAY", "MUST_NOPEERMATCH", "MUST", "no entry"])
def test_matrix(hopseal, sink, ca, policy, receiver):
    cert = None if receiver == "no-starttls" else ca.cert(receiver, HOST)
    s = sink(cert=cert)
    hopseal.per_site({"good.example": policy} if policy != "no entry" else {})
    result = hopseal.send("bob@good.example")
    delivered, tls, status = expected(policy, receiver)

    outcome = "delivered" if delivered else "deferred"
    assert result.fate == (outcome, status), result
    assert result.code == (DELIVERED if delivered else DEFERRED)
    session = s.wait_ended().session
    assert session.tls == tls
    assert len(session.messages) == (1 if delivered else 0)
    assert all(m.tls == tls for m in session.messages)
    if policy in ("NONE", "no entry"):
        assert "STARTTLS" not in session.verbs()
    if not delivered:
        assert WHY[receiver] in result.reason
        assert not {"MAIL", "RCPT", "DATA"} & set(session.verbs())
        assert session.ended == "quit"


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_reached_is_what_the_session_was(hopseal, sink, ca, receiver):
    sink(cert=None if receiver == "no-starttls" else ca.cert(receiver, HOST))
    result = hopseal.per_site({"good.example": "MAY"}).send("bob@good.example")
    reached = {"no-starttls": "cleartext", "wrong-name": "trusted", "valid": "verified"}
    assert result.tries[0]["judgement"]["reached"] in (
        reached.get(receiver, "encrypted"),
        # a level that needs no name may leave it unmatched
        "trusted" if receiver == "valid" else None,
    )


@pytest.mark.parametrize(
    "table, level",
    [
        ({"good.example": "MUST", HOST: "NONE"}, "verify"),
        ({"good.example": "NONE", HOST: "MAY"}, "none"),
        ({HOST: "MUST"}, "verify"),
        ({HOST: "must_nopeermatch"}, "encrypt"),
        ({"good.example": "MAY", HOST: "MUST_NOPEERMATCH"}, "encrypt"),
        ({"example": "MUST", ".example": "MUST"}, "none"),
    ],
)
def test_nexthop_and_host_combine(hopseal, sink, ca, table, level):
    sink(cert=ca.cert("valid", HOST))
    result = hopseal.per_site(table).send("bob@good.example")
    assert result.fate == ("delivered", "2.0.0"), result
    assert result.tries[0]["decision"]["level"] == level


@pytest.mark.parametrize(
    "settings, level",
    [
        ({"smtp_tls_security_level": "may"}, "may"),
        ({"smtp_tls_security_level": "encrypt"}, "encrypt"),
        ({"smtp_enforce_tls": "yes"}, "verify"),
        ({"smtp_enforce_tls": "yes", "smtp_tls_enforce_peername": "no"}, "encrypt"),
        ({"smtp_use_tls": "yes"}, "may"),
        ({"compatibility_level": "3.11"}, "may"),
    ],
)
def test_global_level_without_entry(hopseal, sink, ca, settings, level):
    s = sink(cert=ca.cert("valid", HOST))
    result = hopseal.per_site({"other.example": "NONE"}, **settings).send("bob@good.example")
    assert result.fate == ("delivered", "2.0.0"), result
    assert result.tries[0]["decision"]["level"] == level
    assert s.session.tls


def test_may_does_not_lower_a_stronger_global_level(hopseal, sink):
    s = sink()
    hopseal.per_site({"good.example": "MAY"}, smtp_tls_security_level="encrypt")
    result = hopseal.send("bob@good.example")
    assert result.fate == ("deferred", "4.7.4"), result
    assert s.messages == []


def test_none_lowers_the_global_level(hopseal, sink):
    s = sink()
    hopseal.per_site({"good.example": "NONE"}, smtp_tls_security_level="encrypt")
    assert hopseal.send("bob@good.example").fate == ("delivered", "2.0.0")
    assert not s.messages[0].tls


def test_unknown_keyword_defers(hopseal, sink, ca):
    s = sink(cert=ca.cert("valid", HOST))
    result = hopseal.per_site({"good.example": "MUSTARD"}).send("bob@good.example")
    assert result.fate == ("deferred", "4.7.5"), result
    assert s.messages == []


@pytest.mark.parametrize("kind", ["cn-only", "wildcard", "intermediate"])
def test_must_accepts(hopseal, sink, ca, kind):
    s = sink(cert=ca.cert(kind, HOST))
    result = hopseal.per_site({"good.example": "MUST"}).send("bob@good.example")
    assert result.fate == ("delivered", "2.0.0"), result
    assert s.messages[0].tls
    assert result.tries[0]["judgement"]["reached"] == "verified"


@pytest.mark.parametrize(
    "kind",
    [
        "not-yet-valid",
        "partial-wildcard",
        "deep-wildcard",
        "missing-intermediate",
        "issuer-not-ca",
        "ip-address",
    ],
)
def test_must_refuses(hopseal, sink, ca, kind):
    s = sink(cert=ca.cert(kind, HOST, "192.0.2.11"))
    result = hopseal.per_site({"good.example": "MUST"}).send("bob@good.example")
    assert result.fate == ("deferred", "4.7.5"), result
    assert s.messages == []


def test_no_trusted_ca_at_all(hopseal, sink, ca):
    sink(cert=ca.cert("valid", HOST))
    hopseal.per_site({"good.example": "MUST"}, smtp_tls_CAfile=None)
    assert hopseal.send("bob@good.example").fate == ("deferred", "4.7.5")


def test_names_of_choice(hopseal, sink, ca):
    sink(cert=ca.cert("wrong-name", HOST))
    hopseal.per_site({"good.example": "MUST"}, smtp_tls_verify_cert_match="somebody-else.example")
    assert hopseal.send("bob@good.example").fate == ("delivered", "2.0.0")


def test_text_for_people_says_what_was_wanted_and_got(hopseal, sink, ca):
    sink(cert=ca.cert("valid", HOST))
    out = hopseal.per_site({"good.example": "MUST"}).send_text("bob@good.example").out
    assert "bob@good.example: delivered 2.0.0" in out
    assert "verify" in out and "per_site:1" in out and "verified, TLSv1.3" in out
