"""The lab itself: every bad ingredient is really bad, every good one good.

Without this a scenario could pass for the wrong reason."""

import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from lab import ca as lab_ca
from lab import peers, zones
from lab import postfix_client as pc
from lab.sink import DROP, RESET, STALL, Last, Slow

HOST = "mx1.good.example"

# What `openssl verify` has to say about each kind; "" for nothing.
VERDICTS = {
    "valid": "",
    "self-signed": "self-signed certificate",
    "other-ca": "unable to get local issuer certificate",
    "wrong-name": "hostname mismatch",
    "expired": "certificate has expired",
    "not-yet-valid": "certificate is not yet valid",
    "cn-only": "",
    "wildcard": "",
    "partial-wildcard": "",
    "deep-wildcard": "hostname mismatch",
    "intermediate": "",
    "missing-intermediate": "unable to get local issuer certificate",
    "issuer-not-ca": "invalid CA certificate",
    "ip-address": "hostname mismatch",
}


def test_every_kind_has_a_verdict():
    assert set(VERDICTS) == set(lab_ca.KINDS)


@pytest.mark.parametrize("kind", lab_ca.KINDS)
def test_certificate(ca, kind):
    cert = ca.cert(kind, HOST, "192.0.2.11")
    argv = ["openssl", "verify", "-CAfile", ca.root, "-verify_hostname", HOST]
    done = subprocess.run(
        [*argv, "-untrusted", cert.chain, cert.leaf], capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (VERDICTS[kind] == ""), done.stderr
    assert VERDICTS[kind] in done.stderr


def test_a_certificate_stays_as_it_was_made(ca):
    first = ca.cert("valid", HOST)
    before = first.leaf.read_text()
    assert ca.cert("valid", HOST, "192.0.2.11").leaf.read_text() != before
    assert first.leaf.read_text() == before


@pytest.mark.parametrize(
    "name, kind, status",
    [
        ("good.example", "MX", "secure"),
        ("good.test", "MX", "secure"),
        ("mx1.good.example", "A", "secure"),
        ("nothing.good.example", "A", "secure"),
        ("plain.insecure", "MX", "insecure"),
        ("nothing.plain.insecure", "A", "insecure"),
        ("island.example", "MX", "insecure"),
        ("bogus.example", "MX", "bogus"),
        ("mx1.bogus.example", "A", "secure"),
        ("expired.example", "MX", "bogus"),
        ("wrongds.example", "MX", "bogus"),
        ("nodenial.example", "MX", "bogus"),
        ("nodenial.example", "A", "secure"),
        ("badhost.example", "MX", "secure"),
        ("mx1.badhost.example", "A", "bogus"),
        ("half.alias.example", "MX", "insecure"),
        ("a.servfail.fault.example", "MX", "servfail"),
        ("a.refused.fault.example", "MX", "servfail"),
        ("a.none.fault.example", "MX", "insecure"),
    ],
)
def test_dns_status(tree, name, kind, status):
    seen, text = tree.lookup(name, kind)
    assert seen == status, text


def starttls(address, port=25, name=HOST, cafile=None):
    """A STARTTLS session by Python's own client: (client, the peer's certificate in DER)."""
    client = smtplib.SMTP(address, port, timeout=5)
    client.ehlo("client.example")
    context = ssl.create_default_context(cafile=cafile)
    if cafile is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client._host = name  # what smtplib sends as SNI
    client.starttls(context=context)
    return client, client.sock.getpeercert(binary_form=True)


def test_sink_takes_a_message_over_tls(sink, ca):
    with sink(cert=ca.cert("valid", HOST)) as s:
        client, _ = starttls(s.address)
        client.sendmail("a@x.example", ["b@x.example"], b"Subject: s\r\n\r\n.dot\r\n")
        client.quit()
        session = s.wait_ended().session
    assert session.verbs() == "EHLO STARTTLS EHLO MAIL RCPT DATA QUIT".split()
    assert session.sni == HOST and session.tls_version == "TLSv1.3"
    assert session.messages[0].data == b"Subject: s\r\n\r\n.dot\r\n" and session.messages[0].tls
    assert session.ended == "quit"


def test_sink_without_certificate_offers_no_tls(sink):
    with smtplib.SMTP(sink().address, 25) as client:
        client.ehlo()
        assert not client.has_extn("starttls")


@pytest.mark.parametrize("kind", ["self-signed", "expired", "other-ca"])
def test_sink_shows_the_certificate_it_was_given(sink, ca, kind):
    cert = ca.cert(kind, HOST)
    with sink(cert=cert) as s:
        client, der = starttls(s.address)
        client.quit()
    assert ssl.PEM_cert_to_DER_cert(cert.leaf.read_text()) == der


def test_sink_chooses_by_sni(sink, ca):
    right, wrong = ca.cert("valid", HOST), ca.cert("valid", "other.example")
    with sink(cert=wrong, certs={HOST: right}) as s:
        client, der = starttls(s.address)
        client.quit()
    assert ssl.PEM_cert_to_DER_cert(right.leaf.read_text()) == der


def test_sink_limits_the_version(sink, ca):
    v = ssl.TLSVersion.TLSv1_2
    with sink(cert=ca.cert("valid", HOST), tls_min=v, tls_max=v) as s:
        client, _ = starttls(s.address)
        client.quit()
        assert s.session.tls_version == "TLSv1.2"


def talk(sink, *lines, last, end="silent"):
    """Sends lines after the banner and returns all that came before the end; or, where none should
    come, before some silence after the last octets."""
    with socket.socket() as s:
        s.settimeout(20)
        got = b""

        def receive():
            is_all = end == "silent" and not unsent and got.endswith(last)
            s.settimeout(0.3 if is_all else 20)
            return s.recv(65536)

        unsent = list(lines)
        try:
            s.connect((sink.address, sink.port))
            while more := receive():
                got += more
                if unsent:
                    s.sendall(unsent.pop(0).encode() + b"\r\n")
        except socket.timeout:
            return got, "silent"
        except ConnectionResetError:
            return got, "reset"
        return got, "closed"


@pytest.mark.parametrize(
    "script, lines, got, end",
    [
        ({"banner": STALL}, [], b"", "silent"),
        ({"banner": DROP}, [], b"", "closed"),
        ({"banner": RESET}, [], b"", "reset"),
        ({"banner": Last("421 go away")}, [], b"421 go away\r\n", "closed"),
        ({"banner": b"\0\0\r\n"}, [], b"\0\0\r\n", "silent"),
        ({"banner": Slow(b"220 x\r\n", 0.01)}, [], b"220 x\r\n", "silent"),
        ({"EHLO": DROP}, ["EHLO x"], b"ESMTP lab\r\n", "closed"),
        ({"EHLO": "502 no"}, ["EHLO x", "HELO x"], b"502 no\r\n250 sink.example\r\n", "silent"),
        ({"STARTTLS": "454 no"}, ["EHLO x", "STARTTLS"], b"250 STARTTLS\r\n454 no\r\n", "silent"),
        ({"STARTTLS": b"220 go\r\n250 evil\r\n"}, ["STARTTLS"], b"go\r\n250 evil\r\n", "silent"),
        ({"STARTTLS": Last("220 go")}, ["STARTTLS"], b"220 go\r\n", "closed"),
        ({"banner": ["421 once", "220 then"]}, [], b"421 once\r\n", "silent"),
    ],
)
def test_sink_misbehaves(sink, ca, script, lines, got, end):
    s = sink(script=script, cert=ca.cert("valid", HOST))
    seen, ended = talk(s, *lines, last=got, end=end)
    assert ended == end
    assert seen.endswith(got) if got else seen == b""


def test_sink_replies_by_recipient(sink):
    s = sink(rcpt={"b@x.example": "450 4.2.0 later"})
    with smtplib.SMTP(s.address, s.port) as client:
        refused = client.sendmail("a@x.example", ["a@x.example", "b@x.example"], b"x\r\n")
    assert refused == {"b@x.example": (450, b"4.2.0 later")}


def test_sink_speaks_lmtp(sink):
    s = sink(port=24, lmtp=True, script={"dot": ["250 ok", "452 full"]})
    script = ["LHLO x", "MAIL FROM:<>", "RCPT TO:<a@x>", "RCPT TO:<b@x>", "DATA", "x\r\n."]
    seen, ended = talk(s, *script, last=b"250 ok\r\n452 full\r\n")
    assert ended == "silent" and seen.endswith(b"250 ok\r\n452 full\r\n")


def test_sink_is_quick_with_much(sink):
    s = sink(keep_data=False)
    line = b"x" * 70 + b"\r\n"
    start = time.monotonic()
    with smtplib.SMTP(s.address, s.port) as client:
        client.sendmail("a@x.example", ["b@x.example"], b"\r\n" + line * 100_000)
    assert s.octets > 7_000_000 and time.monotonic() - start < 20


def submit(address, name, ca):
    client, _ = starttls(address, name=f"mx.{name}.example", cafile=ca.root)
    client.sendmail("a@x.example", [f"b@{name}.example"], b"From: a@x.example\r\n\r\n.dot\r\n")
    client.quit()


@pytest.mark.parametrize("name, address", [("postfix", zones.POSTFIX), ("exim", zones.EXIM)])
def test_peer_takes_a_message_over_tls(request, ca, name, address):
    maildir = request.getfixturevalue(name)
    submit(address, name, ca)
    peers.wait_for_mail(maildir, b"\n\n.dot\n")


def test_aiosmtpd_takes_a_message_over_tls(aiosmtpd, ca):
    submit(zones.AIOSMTPD, "aiosmtpd", ca)
    received, over_tls = aiosmtpd
    assert received == [b"From: a@x.example\r\n\r\n.dot\r\n"] and over_tls == [True]


def test_opensmtpd_takes_mail_but_fails_in_the_handshake(opensmtpd):
    with pytest.raises((ssl.SSLError, OSError)):
        starttls(zones.OPENSMTPD)
    with smtplib.SMTP(zones.OPENSMTPD) as client:
        client.sendmail("a@x.example", ["b@opensmtpd.example"], b"Subject: s\r\n\r\n.dot\r\n")
    peers.wait_for_mail(opensmtpd, b"\n\n.dot\n")


@pytest.mark.parametrize("pause", [0, 1.2])
def test_postfix_is_done_when_send_twice_is(postfix_client, sink, ca, pause):
    """Also with a message that is old enough for plaintext when Postfix first tries it."""
    with sink(port=pc.PORTS["MAY"], cert=ca.cert("valid", HOST), script={"tls": DROP}) as s:
        assert postfix_client.send_twice("MAY", pause=pause)[0] == "delivered"
        assert len(s.wait_ended().sessions) in ((2,) if pause else (2, 3))
    with sink(port=pc.PORTS["MUST"], cert=ca.cert("valid", HOST), script={"tls": DROP}) as s:
        assert postfix_client.send_twice("MUST", pause=pause)[0] == "deferred"
        time.sleep(2)
        assert len(s.sessions) == 2


def test_header_fields_of_receivers_are_told_from_the_message():
    mail = b"Return-Path: <a>\nReceived: by x\n\tfor y\nSubject: s\n\nReceived: no\n"
    assert peers.without_trace(mail) == b"Subject: s\n\nReceived: no\n"
