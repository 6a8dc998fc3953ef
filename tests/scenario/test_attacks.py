"""Peers, messages and people in the middle that want mail to leave weaker than was decided, to be
believed, or to be told as something else."""

import contextlib
import ssl
import unicodedata

import pytest

from lab import sink as lab_sink
from lab import zones
from lab.sink import DROP

HOST = "mx1.good.example"
TO = "b@good.example"

NOT_ASKED = {
    "folded": b"Subject: x\r\n TLS-Required: No\r\n\r\nA line.\r\n",
    "below text": b"hello\r\nTLS-Required: No\r\n\r\nA line.\r\n",
    "goes on": b"TLS-Required: No\r\n , not\r\n\r\nA line.\r\n",
}


@pytest.mark.parametrize("kind", NOT_ASKED)
def test_only_a_field_of_the_header_asks_for_less_tls(hopseal, sink, kind):
    s = sink()
    result = hopseal.per_site({"good.example": "MUST"}).send_text(TO, message=NOT_ASKED[kind])
    assert result.code == 75 and not s.messages, str(result)


class GoodbyeInTheHandshake(lab_sink._Conversation):
    """Completes the handshake and says close_notify in the same octets."""

    def _handshake(self):
        come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.sink.tls_context().wrap_bio(come, go, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.conn.sendall(go.read())
                come.write(self.conn.recv(65536))
        with contextlib.suppress(ssl.SSLError):
            tls.unwrap()
        self.conn.sendall(go.read())
        self.session.tls_version = tls.version()
        self._stall()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("policy", ["MAY", "MUST_NOPEERMATCH", "MUST"])
def test_goodbye_in_the_octets_of_the_handshake(hopseal, sink, ca, monkeypatch, policy, version):
    monkeypatch.setattr(lab_sink, "_Conversation", GoodbyeInTheHandshake)
    s = sink(cert=ca.cert("valid", HOST), tls_min=version, tls_max=version)
    result = hopseal.per_site({"good.example": policy}).send_text(TO)
    assert result.code == 75 and "lost while sending EHLO" in result.out, str(result)
    assert len(s.sessions) == 1


EARLY = b"250-x\r\n250-PIPELINING\r\n250 STARTTLS\r\n220 go\r\n"


@pytest.mark.parametrize("policy", ["MAY", "MUST"])
def test_220_before_starttls_was_sent(hopseal, sink, ca, policy):
    s = sink(cert=ca.cert("valid", HOST), script={"EHLO": [EARLY], "STARTTLS": b""})
    result = hopseal.per_site({"good.example": policy}).send_text(TO)
    assert result.code == 75 and "injecting" in result.out, str(result)
    assert not s.wait_ended().session.tls


# What a peer says inside TLS, in good order, is no trouble of TLS.
SAID = {"421": "421 4.3.2 busy", "garbage": b"hello\r\n", "451": "451 4.7.1 later"}


@pytest.mark.parametrize("kind", SAID)
def test_no_plaintext_after_words_inside_tls(hopseal, sink, ca, kind):
    s = sink(cert=ca.cert("valid", HOST), script={"tls:MAIL": SAID[kind]})
    result = hopseal.per_site({"good.example": "MAY"}).send_text(TO, options=["--age", "1h"])
    assert result.code == 75 and s.session.tls, str(result)


def test_plaintext_after_tls_broke(hopseal, sink, ca):
    s = sink(cert=ca.cert("valid", HOST), script={"tls:MAIL": DROP})
    result = hopseal.per_site({"good.example": "MAY"}).send_text(TO, options=["--age", "1h"])
    assert result.code == 0 and [x.tls for x in s.sessions] == [True, False], str(result)


def test_no_plaintext_for_a_message_that_may_have_been_taken(hopseal, sink, ca):
    s = sink(cert=ca.cert("valid", HOST), script={"tls:dot": DROP})
    result = hopseal.per_site({"good.example": "MAY"}).send_text(TO, options=["--age", "1h"])
    assert result.code == 75 and s.session.tls and "may arrive more than once" in result.out, str(result)


def test_hosts_whose_certificate_is_refused_do_not_use_up_the_sessions(hopseal, sink, ca):
    sink(zones.MX1, cert=ca.cert("wrong-name", "mx1.two.example"))
    good = sink(zones.MX2, cert=ca.cert("valid", "mx2.two.example"))
    hopseal.per_site({"two.example": "MUST"}, smtp_mx_session_limit="1")
    result = hopseal.send_text("b@two.example")
    assert result.code == 0 and good.session.tls, str(result)


def test_second_try_takes_the_place_of_the_first(hopseal, sink, ca):
    sink(
        zones.MX1,
        cert=ca.cert("valid", "mx1.two.example"),
        script={"tls:MAIL": DROP, "MAIL": "451 later"},
    )
    good = sink(zones.MX2)
    hopseal.per_site({"two.example": "MAY"}, smtp_mx_session_limit="2")
    result = hopseal.send_text("b@two.example", options=["--age", "1h"])
    assert result.code == 0 and good.messages, str(result)


def test_refused_certificate_stays_the_reason(hopseal, sink, ca):
    hello = b"250-x\r\n250 PIPELINING\r\n421 4.3.2 busy\r\n"
    sink(cert=ca.cert("wrong-name", HOST), script={"tls:EHLO": hello})
    result = hopseal.per_site({"good.example": "MUST"}).send_text(TO)
    assert result.code == 75 and "4.7.5" in result.out and "421" not in result.out, str(result)


def obeyed(text):
    """What a terminal would obey instead of showing it."""
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c != "\n"]


HOSTILE = "\x1b[31m \x9b31m \u202e \u2028 \x7f".encode() + b" \x9b31m \xe4"


def test_words_of_a_peer_do_not_drive_the_terminal(hopseal, sink):
    sink(script={"MAIL": b"550 5.1.1 " + HOSTILE + b" no\r\n"})
    for result in (hopseal.send_text(TO), hopseal.send(TO)):
        assert result.code == 69 and "5.1.1" in result.out and "no" in result.out
        assert not obeyed(result.out) and "\\x" not in result.out, repr(result.out)


def test_words_of_a_certificate_do_not_drive_the_terminal(hopseal, sink, ca):
    cert = ca.cert("cn-only", "\x9b31m \u202e mx")
    sink(cert=cert)
    result = hopseal.per_site({"good.example": "MUST"}).send_text(TO)
    assert result.code == 75 and "mx" in result.out
    assert not obeyed(result.out), repr(result.out)


def test_utf8_recipient_elsewhere_binds_nobody_else(hopseal, sink):
    here = sink(zones.MX1)
    there = sink(zones.AIOSMTPD)
    result = hopseal.send_text("b@good.example", "\u00fc@aiosmtpd.example")
    assert result.code == 69 and not there.messages, str(result)
    assert "b@good.example: delivered" in result.out and here.messages, str(result)


def test_stranger_with_our_name_bounces_nothing(hopseal, sink, ca):
    hello = {"tls:EHLO": "250 gateway.example"}
    sink(cert=ca.cert("wrong-name", HOST), script=hello)
    result = hopseal.per_site({"good.example": "MUST"}).send_text(TO)
    assert result.code == 75 and "4.7.5" in result.out, str(result)


class Wrapped(lab_sink._Conversation):
    """TLS from the first octet."""

    def run(self):
        self._handshake()
        super().run()


@pytest.mark.parametrize("policy, code", [("MAY", 75), ("MUST_NOPEERMATCH", 0), ("MUST", 75)])
def test_wrappermode_keeps_the_level(hopseal, sink, ca, monkeypatch, policy, code):
    monkeypatch.setattr(lab_sink, "_Conversation", Wrapped)
    s = sink(cert=ca.cert("expired", HOST))
    hopseal.per_site({"good.example": policy}, smtp_tls_wrappermode="yes")
    result = hopseal.send_text(TO, options=["--age", "1h"])
    assert result.code == code and all(m.tls for m in s.messages), str(result)


@pytest.mark.parametrize("policy", ["NONE", "MAY", "MUST_NOPEERMATCH"])
def test_wrappermode_is_never_plaintext(hopseal, sink, policy):
    s = sink()
    hopseal.per_site({"good.example": policy}, smtp_tls_wrappermode="yes")
    result = hopseal.send_text(TO, options=["--age", "1h"])
    assert result.code == 75 and not s.messages, str(result)
