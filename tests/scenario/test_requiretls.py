"""REQUIRETLS (RFC 8689) on the wire: who gets it, who is passed by, when the mail is returned."""

import json
import subprocess

import pytest

from lab import hopseal as lab
from lab import sink as lab_sink
from lab import zones

HOST = "mx1.good.example"
DELIVERED = ("delivered", "2.0.0")
LACKS = ("bounced", "5.7.30")
UNSAFE = ("bounced", "5.7.10")
ASKED = ("--requiretls",)


@pytest.fixture
def asked(hopseal):
    """asked(level, action, *recipients, **settings): sends with REQUIRETLS under that policy."""

    def send(level, action, *rcpts, sender="alice@client.example", message=lab.MESSAGE, **settings):
        levels = {"smtp_tls_security_level": level, "smtp_requiretls_policy": action}
        hopseal.configure({}, **levels, **settings)
        return hopseal.send(*rcpts, options=ASKED, sender=sender, message=message)

    return send


def mail_commands(session):
    """MAIL commands of a session, with whether they came inside TLS."""
    return [(line, tls) for line, tls in session.commands if line.upper().startswith("MAIL")]


def wants_tls(s):
    """True if the only message of a sink came with REQUIRETLS, inside TLS."""
    ((line, tls),) = [m for session in s.sessions for m in mail_commands(session)]
    assert tls or "REQUIRETLS" not in line, "never in the clear"
    return line.endswith(" REQUIRETLS")


@pytest.mark.parametrize(
    "level, action, kind, tls, in_tls, in_clear, fate, passed_on",
    [
        # enforce: certificate and announcement
        ("verify", "enforce", "valid", True, True, False, DELIVERED, True),
        ("secure", "enforce", "valid", True, True, False, DELIVERED, True),
        ("verify", "enforce", "valid", True, False, False, LACKS, None),
        ("verify", "enforce", "valid", True, False, True, LACKS, None),
        ("verify", "enforce", "valid", True, True, True, DELIVERED, True),
        ("verify", "enforce", "wrong-name", True, True, False, UNSAFE, None),
        ("verify", "enforce", "self-signed", True, True, False, UNSAFE, None),
        ("verify", "enforce", "expired", True, True, False, UNSAFE, None),
        ("verify", "enforce", "valid", False, True, True, UNSAFE, None),
        ("encrypt", "enforce", "valid", True, True, False, UNSAFE, None),
        ("may", "enforce", "valid", True, True, False, UNSAFE, None),
        ("none", "enforce", "valid", True, True, True, UNSAFE, None),
        # opportunistic+starttls: TLS, with any certificate
        ("may", "opportunistic+starttls", "self-signed", True, True, False, DELIVERED, True),
        ("may", "opportunistic+starttls", "self-signed", True, False, False, DELIVERED, False),
        ("may", "opportunistic+starttls", "valid", False, True, True, UNSAFE, None),
        ("none", "opportunistic+starttls", "valid", True, True, True, UNSAFE, None),
        ("encrypt", "opportunistic+starttls", "valid", False, False, False, UNSAFE, None),
        ("verify", "opportunistic+starttls", "wrong-name", True, True, False, UNSAFE, None),
        # opportunistic: as it comes
        ("may", "opportunistic", "self-signed", True, True, False, DELIVERED, True),
        ("may", "opportunistic", "self-signed", True, False, True, DELIVERED, False),
        ("may", "opportunistic", "valid", False, True, True, DELIVERED, False),
        ("none", "opportunistic", "valid", True, True, True, DELIVERED, False),
        ("verify", "opportunistic", "wrong-name", True, True, False, ("deferred", "4.7.5"), None),
        # disable: nobody asked
        ("may", "disable", "valid", True, True, False, DELIVERED, False),
    ],
)
def test_actions(asked, sink, ca, level, action, kind, tls, in_tls, in_clear, fate, passed_on):
    s = sink(
        cert=ca.cert(kind, HOST) if tls else None,
        extensions_in_tls=("REQUIRETLS",) if in_tls else (),
        extensions_in_clear=("REQUIRETLS",) if in_clear else (),
    )
    result = asked(level, action, "bob@good.example")
    assert result.fate == fate, result
    if passed_on is None:
        assert not s.messages
    else:
        assert wants_tls(s) == passed_on


def test_the_mail_is_returned_at_once(asked, sink, ca):
    """No retry helps: exit status, words, and what stands in the record."""
    sink(cert=ca.cert("valid", HOST))
    result = asked("verify", "enforce", "bob@good.example")
    assert result.code == lab.BOUNCED
    (rcpt,) = result.json["recipients"]
    assert "does not announce REQUIRETLS" in rcpt["reason"] and HOST in rcpt["reason"]
    (one,) = result.json["deliveries"][0]["tries"]
    assert one["decision"]["requiretls"] == "enforce"
    assert one["judgement"]["status"] == "5.7.30" and not one["judgement"]["requiretls"]
    assert one["peer"]["tls"] and not one["peer"]["requiretls_offered"]
    assert "C: QUIT" in one["transcript"] and not any("MAIL" in t for t in one["transcript"])


def test_without_the_option_nothing_changes(hopseal, sink, ca):
    s = sink(cert=ca.cert("valid", HOST), extensions_in_tls=("REQUIRETLS",))
    result = hopseal.configure({}, smtp_tls_security_level="verify").send("bob@good.example")
    assert result.fate == DELIVERED and not wants_tls(s)
    assert result.json["deliveries"][0]["tries"][0]["decision"]["requiretls"] is None


# ---- several hosts ----


def two(sink, ca, first, second):
    """Sinks for two.example: each a dict of what it does otherwise, or None for nobody there."""
    sinks = []
    for i, (address, how) in enumerate([(zones.MX1, first), (zones.MX2, second)], 1):
        if how is None:
            sinks.append(None)
            continue
        usual = {"cert": ca.cert("valid", f"mx{i}.two.example")}
        sinks.append(sink(address, **{**usual, **how}))
    return sinks


GOOD = {"extensions_in_tls": ("REQUIRETLS",)}
SILENT = {}
CLEAR = {"cert": None}


@pytest.mark.parametrize("first", [SILENT, CLEAR, None])
def test_the_next_host_is_tried(asked, sink, ca, first):
    """RFC 8689 section 4.2.1: a host that cannot keep it is left for the next."""
    one, other = two(sink, ca, first, GOOD)
    result = asked("verify", "enforce", "bob@two.example")
    assert result.fate == DELIVERED, result
    assert not one or not one.messages
    assert wants_tls(other)
    assert len(result.json["deliveries"][0]["tries"]) == 2


def test_a_wrong_certificate_is_left_for_the_next_host(asked, sink, ca):
    one, other = two(sink, ca, {**GOOD, "cert": ca.cert("wrong-name", "mx1.two.example")}, GOOD)
    assert asked("verify", "enforce", "bob@two.example").fate == DELIVERED
    assert not one.messages and wants_tls(other)


@pytest.mark.parametrize(
    "first, second, fate",
    [
        (SILENT, SILENT, LACKS),
        (CLEAR, SILENT, LACKS),
        (SILENT, CLEAR, UNSAFE),
        # who could not be asked may do it tomorrow
        (SILENT, None, ("deferred", "4.4.1")),
        (None, SILENT, ("deferred", "4.4.1")),
        (SILENT, {"script": {"banner": "421 4.3.2 Busy"}}, ("deferred", "4.3.2")),
        ({"script": {"tls": lab_sink.DROP}}, SILENT, ("deferred", "4.7.5")),
        ({"script": {"STARTTLS": "454 4.7.0 Not now"}}, SILENT, ("deferred", "4.7.4")),
    ],
)
def test_no_host_can(asked, sink, ca, first, second, fate):
    """Returned when every host was found wanting; kept as long as one may still do."""
    two(sink, ca, first, second)
    result = asked("verify", "enforce", "bob@two.example")
    assert result.fate == fate, result


def test_a_host_by_its_own_level(hopseal, sink, ca):
    """smtp_tls_per_site by host: only one host of the set has a level that can keep it."""
    one, other = two(sink, ca, GOOD, GOOD)
    hopseal.per_site(
        {"mx2.two.example": "MUST"},
        smtp_tls_security_level="may",
        smtp_requiretls_policy="enforce",
    )
    result = hopseal.send("bob@two.example", options=ASKED)
    assert result.fate == DELIVERED, result
    assert not one.sessions and wants_tls(other)
    kinds = [t["kind"] for t in result.json["deliveries"][0]["tries"]]
    assert kinds == ["skipped", "session"]


def test_recipients_of_other_destinations_go_their_way(asked, sink, ca):
    """One bounces, the other is delivered."""
    sink(cert=ca.cert("valid", HOST))
    s = sink(zones.MX2, cert=ca.cert("valid", "mx2.deadfirst.example"), **GOOD)
    result = asked("verify", "enforce", "bob@good.example", "bob@deadfirst.example")
    fates = [(r["outcome"], r["status"]) for r in result.json["recipients"]]
    assert fates == [LACKS, DELIVERED] and wants_tls(s)


# ---- which action ----


@pytest.mark.parametrize(
    "policy, fate",
    [
        ("inline:{good.example=opportunistic}, enforce", DELIVERED),
        ("inline:{.example=opportunistic}, enforce", DELIVERED),
        ("inline:{.good.example=opportunistic}, enforce", UNSAFE),
        ("regexp:{{/^good/ opportunistic}}, enforce", DELIVERED),
        ("regexp:{{/^\\\\.example/ opportunistic}}, enforce", UNSAFE),
        ("texthash:TABLES/policy, opportunistic", DELIVERED),
        ("texthash:TABLES/missing, opportunistic", ("deferred", "4.7.5")),
        ("fail:x, opportunistic", ("deferred", "4.7.5")),
        ("opportunistik", ("deferred", "4.7.5")),
        ("", UNSAFE),
    ],
)
def test_action_of_a_destination(hopseal, sink, ca, policy, fate):
    sink(cert=ca.cert("self-signed", HOST))
    hopseal.configure(
        {"policy": "other.example enforce\n"},
        smtp_tls_security_level="may",
        smtp_requiretls_policy=policy,
    )
    result = hopseal.send("bob@good.example", options=ASKED)
    assert result.fate == fate, result


@pytest.mark.parametrize(
    "nexthop, fate",
    [(f"[{zones.MX1}]", DELIVERED), ("[mx1.good.example]", UNSAFE), ("[mx1.good.test]", DELIVERED)],
)
def test_the_default(hopseal, sink, nexthop, fate):
    """Opportunistic within mydomain and for addresses, enforce elsewhere."""
    sink()
    hopseal.configure({}, smtp_tls_security_level="may", relayhost=nexthop, mydomain="good.test")
    assert hopseal.send("bob@else.example", options=ASKED).fate == fate


def test_lmtp_has_its_own_policy(hopseal, sink, ca):
    s = sink(lmtp=True, cert=ca.cert("valid", HOST), **GOOD)
    hopseal.configure(
        {}, lmtp_tls_security_level="may", transport_maps=f"static:lmtp:inet:[{HOST}]:25"
    )
    assert hopseal.send("bob@good.example", options=ASKED).fate == DELIVERED
    assert wants_tls(s)


# ---- beside other wishes ----


HEADER = b"TLS-Required: No\r\n" + lab.MESSAGE


def test_it_beats_the_header(asked, sink, ca):
    """RFC 8689 section 4.1; the header travels on."""
    s = sink(cert=ca.cert("valid", HOST), **GOOD)
    assert asked("verify", "enforce", "bob@good.example", message=HEADER).fate == DELIVERED
    assert wants_tls(s) and b"TLS-Required: No" in s.messages[0].data


def test_unless_it_is_not_honoured(asked, sink, ca):
    s = sink(cert=ca.cert("wrong-name", HOST), **GOOD)
    result = asked(
        "verify", "enforce", "bob@good.example", message=HEADER, requiretls_enable="no"
    )
    assert result.fate == DELIVERED and not wants_tls(s)


@pytest.mark.parametrize("how", [SILENT, CLEAR, GOOD])
def test_a_bounce_is_not_lost(asked, sink, ca, how):
    """RFC 8689 section 5: there is nobody to return it to."""
    s = sink(**{"cert": ca.cert("valid", HOST), **how})
    result = asked("may", "enforce", "bob@good.example", sender="")
    assert result.fate == DELIVERED, result
    assert wants_tls(s) == (how is GOOD)


def test_no_plaintext_after_a_failed_handshake(hopseal, sink, ca):
    """At may an old message goes in the clear, but not when TLS is required all the way."""
    s = sink(cert=ca.cert("valid", HOST), script={"tls": lab_sink.DROP})
    hopseal.configure(
        {}, smtp_tls_security_level="may", smtp_requiretls_policy="opportunistic+starttls"
    )
    result = hopseal.send("bob@good.example", options=(*ASKED, "--age", "1d"))
    assert result.fate == ("deferred", "4.7.5") and not s.messages
    hopseal.configure({}, smtp_tls_security_level="may", smtp_requiretls_policy="opportunistic")
    result = hopseal.send("bob@good.example", options=(*ASKED, "--age", "1d"))
    assert result.fate == DELIVERED and not s.messages[0].tls


def test_keyword_that_is_not_to_be_seen(hopseal, sink, ca):
    sink(cert=ca.cert("valid", HOST), **GOOD)
    hopseal.configure(
        {},
        smtp_tls_security_level="verify",
        smtp_requiretls_policy="enforce",
        smtp_discard_ehlo_keywords="requiretls",
    )
    assert hopseal.send("bob@good.example", options=ASKED).fate == LACKS


def test_wrappermode(hopseal, ca, own_sink):
    cert = ca.cert("valid", HOST)
    own_sink("--cert", cert.chain, "--key", cert.key, "--wrapper", "--requiretls", "tls")
    hopseal.configure(
        {},
        smtp_tls_security_level="verify",
        smtp_requiretls_policy="enforce",
        smtp_tls_wrappermode="yes",
        relayhost=f"[{HOST}]:25",
    )
    result = hopseal.send("bob@good.example", options=ASKED)
    assert result.fate == DELIVERED, result
    (one,) = result.json["deliveries"][0]["tries"]
    assert any(t.startswith("C: MAIL") and t.endswith(" REQUIRETLS") for t in one["transcript"])


# ---- our own receiver ----


@pytest.mark.parametrize(
    "where, fate", [("tls", DELIVERED), ("both", DELIVERED), ("clear", LACKS), (None, LACKS)]
)
def test_own_sink(asked, own_sink, ca, where, fate):
    cert = ca.cert("valid", HOST)
    options = ("--requiretls", where) if where else ()
    with own_sink("--cert", cert.chain, "--key", cert.key, *options) as s:
        result = asked("verify", "enforce", "bob@good.example")
        assert result.fate == fate, result
    assert ("requiretls=yes" in s.told) == (fate == DELIVERED)
    transcript = result.json["deliveries"][0]["tries"][0]["transcript"]
    offers = [i for i, t in enumerate(transcript) if t.startswith("S: 250") and "REQUIRETLS" in t]
    handshake = transcript.index("C: STARTTLS")
    wanted = {"tls": [True], "both": [False, True], "clear": [False], None: []}
    assert [i > handshake for i in offers] == wanted[where]


# ---- explain and policy tests ----


def test_explain(hopseal):
    hopseal.configure({}, smtp_tls_security_level="encrypt", smtp_requiretls_policy="enforce")
    refused = hopseal.explain("good.example", "--requiretls")
    (decision,) = refused.json["destinations"][0]["decisions"]
    assert refused.code == refused.json["exit"] == 1
    assert decision["level"] == "encrypt" and decision["requiretls"] == "enforce"
    assert decision["error"]["status"] == "5.7.10" and refused.json["input"]["requiretls"]
    assert "requiretls-level" == decision["trace"][decision["deciding"]]["code"]
    text = hopseal.run("explain", "--requiretls", "good.example").out
    assert "REQUIRETLS   enforce" in text and "5.7.10" in text
    assert hopseal.explain("good.example").code == 0


def test_explain_is_what_send_does(hopseal, sink, ca):
    sink(cert=ca.cert("valid", HOST), **GOOD)
    hopseal.configure({}, smtp_tls_security_level="verify", smtp_requiretls_policy="static:enforce")
    explained = hopseal.explain("good.example", "--requiretls")
    (explained,) = explained.json["destinations"][0]["decisions"]
    sent = hopseal.send("bob@good.example", options=ASKED)
    assert sent.json["deliveries"][0]["tries"][0]["decision"] == explained
    assert sent.fate == DELIVERED


def test_policy_test(hopseal, tmp_path):
    case = {
        "id": "kept",
        "requiretls": True,
        "config": {"smtp_tls_security_level": "encrypt"},
        "nexthop": "good.example",
        "host": HOST,
        "expect": {"level": "encrypt", "error.dsn": "5.7.10", "requiretls_action": "enforce"},
    }
    (tmp_path / "cases").write_text(json.dumps(case) + "\n")
    done = subprocess.run(
        [lab.program(), "test", tmp_path / "cases"], capture_output=True, text=True, check=False
    )
    assert done.stdout == "1 passed, 0 failed\n" and done.returncode == 0, done


def test_check_finds_a_slip(hopseal):
    hopseal.configure({}, smtp_requiretls_policy="inline:{a=enforce}, enforced")
    (finding,) = [f for f in hopseal.check().json["findings"] if f["code"] == "requiretls-action"]
    assert finding["severity"] == "error" and finding["line"] and '"enforced"' in finding["text"]
