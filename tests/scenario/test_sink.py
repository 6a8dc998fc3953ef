"""`hopseal sink` before senders that we did not write: Postfix, Python's smtplib, openssl s_client,
and octets on a socket."""

import smtplib
import socket
import ssl
import subprocess

import pytest

from lab import peers, zones
from lab import postfix_client as pc
from test_peers import BODIES, message

HOST = "mx1.good.example"


@pytest.fixture(name="certificate")
def _certificate(ca):
    cert = ca.cert("valid", HOST)
    return ("--cert", cert.chain, "--key", cert.key)


def connect(ca=None):
    """A session by smtplib; inside TLS, verified, if a CA is given."""
    client = smtplib.SMTP(zones.MX1, 25, timeout=60)
    client.ehlo("client.example")
    if ca:
        client._host = HOST
        client.starttls(context=ssl.create_default_context(cafile=ca.root))
        client.ehlo("client.example")
    return client


def raw(*pieces, wait=0.5):
    """Sends each piece after some reply came; gives all that was said until the end or a pause."""
    with socket.create_connection((zones.MX1, 25), timeout=60) as s:
        said = s.recv(65536)
        for piece in pieces:
            s.sendall(piece)
            said += s.recv(65536)
        s.settimeout(wait)
        try:
            while more := s.recv(65536):
                said += more
        except (socket.timeout, ConnectionResetError):
            pass
        return said


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("policy", ["NONE", "MUST"])
def test_postfix_sends(own_sink, postfix_client, certificate, policy, name):
    with own_sink(*certificate, listen=f"{zones.MX1}:{pc.PORTS[policy]}") as s:
        assert postfix_client.send(policy, message(name))[0][:2] == ("delivered", "2.0.0")
    assert len(s.mails) == 1
    taken = peers.without_trace(s.mails[0].replace(b"\r\n", b"\n"))
    assert taken == message(name).replace(b"\r\n", b"\n")


@pytest.mark.parametrize("how, outcome", [("strip", "4.7.4"), ("454 4.7.0 no", "4.7.0")])
def test_postfix_meets_a_stripped_or_refused_starttls(
    own_sink, postfix_client, certificate, how, outcome
):
    stage = "ehlo" if how == "strip" else "starttls"
    own_sink(*certificate, "--reply", f"{stage}={how}", listen=f"{zones.MX1}:{pc.PORTS['MUST']}")
    assert postfix_client.send("MUST")[0][:2] == ("deferred", outcome)


def test_smtplib_over_tls(own_sink, certificate, ca):
    with own_sink(*certificate) as s:
        client = connect(ca)
        assert client.sock.version() == "TLSv1.3" and not client.has_extn("starttls")
        client.sendmail("a@x.example", ["b@x.example"], b"Subject: s\r\n\r\n.dot\r\n")
        client.quit()
    assert s.mails[0].endswith(b"\n.dot\r\n") or s.mails[0].endswith(b"\n.dot\n")


def test_extensions(own_sink, certificate):
    own_sink(*certificate)
    client = connect()
    for name in ("pipelining", "size", "8bitmime", "enhancedstatuscodes", "starttls"):
        assert client.has_extn(name)
    client.quit()


def test_extension_left_out(own_sink, certificate):
    own_sink(*certificate, "--without", "8BITMIME", "--no-starttls")
    client = connect()
    assert not client.has_extn("8bitmime") and not client.has_extn("starttls")
    client.quit()


def test_openssl_s_client_verifies(own_sink, certificate, ca):
    own_sink(*certificate)
    argv = ["openssl", "s_client", "-starttls", "smtp", "-connect", f"{zones.MX1}:25"]
    argv += ["-CAfile", str(ca.root), "-verify_hostname", HOST, "-verify_return_error"]
    done = subprocess.run(
        [*argv, "-servername", HOST, "-crlf", "-ign_eof"],
        input=b"QUIT\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0 and b"Verify return code: 0 (ok)" in done.stdout, done.stderr


def test_wrapper(own_sink, certificate, ca):
    own_sink(*certificate, "--wrapper")
    context = ssl.create_default_context(cafile=ca.root)
    context.check_hostname = False
    with smtplib.SMTP_SSL(zones.MX1, 25, context=context, timeout=60) as client:
        client.ehlo()
        assert not client.has_extn("starttls")


@pytest.mark.parametrize("versions, seen", [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")])
def test_versions(own_sink, certificate, ca, versions, seen):
    own_sink(*certificate, "--tls-protocols", versions)
    client = connect(ca)
    assert client.sock.version() == seen
    client.quit()


def test_lmtp(own_sink):
    with own_sink("--lmtp", "--reply", "message@2=452 4.2.2 full", listen=f"{zones.MX1}:24") as s:
        with smtplib.LMTP(zones.MX1, 24) as client:
            client.ehlo("client.example")
            client.mail("a@x.example")
            assert client.rcpt("b@x.example")[0] == client.rcpt("c@x.example")[0] == 250
            assert client.data(b"Subject: s\r\n\r\nx\r\n")[0] == 250
            assert client.getreply()[0] == 452
    assert len(s.mails) >= 1


def test_ends_after_so_many_messages(own_sink):
    s = own_sink("--max-messages", "2")
    for _ in range(2):
        with connect() as client:
            client.sendmail("a@x.example", ["b@x.example"], b"Subject: s\r\n\r\nx\r\n")
    assert s.wait() == 0 and len(s.mails) == 2


def test_terminated(own_sink):
    with own_sink() as s:
        client = connect()
    assert s.wait() == 0
    with pytest.raises((smtplib.SMTPException, OSError)):
        client.docmd("NOOP")
        client.docmd("NOOP")


def test_refusals_by_rule(own_sink):
    own_sink("--reply", "rcpt/bob@=550 5.1.1 No such user", "--reply", "greet@1=421 4.3.2 Busy")
    with pytest.raises(smtplib.SMTPConnectError):
        connect()
    with connect() as client:
        refused = client.sendmail("a@x.example", ["bob@x.example", "eve@x.example"], b"x\r\n")
    assert refused == {"bob@x.example": (550, b"5.1.1 No such user")}


@pytest.mark.parametrize("options, code", [((), 552), (("SIZE=2000",), 552)])
def test_size(own_sink, options, code):
    s = own_sink("--size", "1000")
    with connect() as client:
        reply = client.mail("a@x.example", options)
        if reply[0] == 250:
            client.rcpt("b@x.example")
            reply = client.data(b"Subject: s\r\n\r\n" + b"x\r\n" * 1000)
    assert reply[0] == code and s.mails == []


# ---- octets that good senders do not send ----


def test_commands_behind_starttls_are_not_executed_inside(own_sink, certificate, ca):
    """RFC 3207 section 5: what came in the clear is forgotten, or the session ends."""
    s = own_sink(*certificate)
    with socket.create_connection((zones.MX1, 25), timeout=60) as plain:
        plain.recv(4096)
        plain.sendall(b"EHLO x\r\n")
        plain.recv(4096)
        plain.sendall(b"STARTTLS\r\nMAIL FROM:<evil@x.example>\r\n")
        said = plain.recv(4096)
        plain.settimeout(1)
        if said.startswith(b"220"):
            context = ssl.create_default_context(cafile=ca.root)
            try:
                with context.wrap_socket(plain, server_hostname=HOST) as tls:
                    tls.settimeout(1)
                    tls.sendall(b"NOOP\r\n")
                    inside = tls.recv(4096)
                    tls.sendall(b"RCPT TO:<b@x.example>\r\n")
                    assert not tls.recv(4096).startswith(b"250")
                    assert inside.count(b"\r\n") == 1
            except (OSError, ssl.SSLError):
                pass
    assert s.mails == []


@pytest.mark.parametrize(
    "end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\n.\r", b"\r\n\0.\r\n", b"\r\n.\0\r\n"]
)
def test_only_crlf_dot_crlf_ends_a_message(own_sink, end):
    """A second message must not be smuggled in behind another end of data."""
    s = own_sink()
    smuggled = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\nevil\r\n.\r\n"
    raw(
        b"EHLO x\r\n",
        b"MAIL FROM:<a@x.example>\r\n",
        b"RCPT TO:<b@x.example>\r\n",
        b"DATA\r\n",
        b"Subject: s\r\n\r\none" + end + smuggled + b"QUIT\r\n",
        wait=1,
    )
    assert len(s.mails) <= 1, s.mails


def test_a_whole_session_at_once(own_sink):
    with own_sink() as s:
        said = raw(
            b"EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>"
            b"\r\nDATA\r\n.\r\nRSET\r\nNOOP\r\nQUIT\r\n",
            wait=60,  # up to the end
        )
    assert said.splitlines()[-1].startswith(b"221"), said
    assert b"354" in said and len(s.mails) == 1


def test_one_octet_at_a_time(own_sink):
    with own_sink() as s:
        with socket.create_connection((zones.MX1, 25), timeout=60) as c:
            session = b"EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"
            session += b"Subject: s\r\n\r\n..\r\n.\r\nQUIT\r\n"
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(session)):
                c.sendall(session[i : i + 1])
            said = b""
            while more := c.recv(4096):
                said += more
    assert said.splitlines()[-1].startswith(b"221") and len(s.mails) == 1
    assert s.mails[0].rstrip().endswith(b"\n.")


@pytest.mark.parametrize(
    "octets",
    [
        b"x" * 65536 + b"\r\n",
        b"\0\0\0\r\n",
        b"\xff\xfe\r\n",
        b"MAIL FROM:<" + b"a" * 5000 + b"@x.example>\r\n",
        b"RCPT TO:<b@x.example>\r\n",
        b"DATA\r\n",
        b"EHLO\r\n",
        b"\r\n" * 100,
        b"MAIL FROM:<a@x.example> SIZE=99999999999999999999\r\n",
        b"MAIL FROM:a@x.example\r\n",
        b"MAIL FROM:<a@x.example>\nRCPT TO:<b@x.example>\r\n",
    ],
    ids=lambda b: ascii(b[:24]),
)
def test_nonsense_gets_an_error_and_no_mail(own_sink, octets):
    s = own_sink()
    said = raw(octets, wait=0.3)
    lines = said.split(b"\r\n")[1:]
    assert lines[0][:1] in (b"5", b"4"), said
    assert s.mails == []
    with connect() as client:
        assert client.noop()[0] == 250  # it still serves


# ---- our own sender before our own sink ----

RULES = [
    ("greet=421 4.3.2 Busy", "deferred", "4.3.2"),
    ("greet=drop", "deferred", None),
    ("greet=silence", "deferred", "4.4.2"),
    ("ehlo=reset", "deferred", "4.4.2"),
    ("mail=450 4.7.1 later", "deferred", "4.7.1"),
    ("rcpt=550 5.1.1 none", "bounced", "5.1.1"),
    ("data=long 70000", "deferred", None),
    ("message=554 5.6.0 bad", "bounced", "5.6.0"),
    ("message=drop", "deferred", "4.4.2"),
    ("content=drop", "deferred", "4.4.2"),
    (r"starttls=inject 250 evil\r\n", "deferred", None),
    ("handshake=drop", "deferred", "4.7.5"),
    ("tls=drop", "deferred", None),
    ("ehlo=strip", "deferred", "4.7.4"),
    ("quit=silence", "delivered", "2.0.0"),
    ("ehlo@1=502 no", "deferred", "4.7.4"),
    ("tls:rcpt=delay 50ms accept", "delivered", "2.0.0"),
]


@pytest.mark.parametrize("rule, outcome, status", RULES, ids=[rule for rule, *_ in RULES])
def test_sender_meets_rule(hopseal, own_sink, certificate, rule, outcome, status):
    own_sink(*certificate, "--reply", rule)
    limits = {f"smtp_{x}_timeout": "1s" for x in ("helo", "quit", "starttls")}
    result = hopseal.per_site({"good.example": "MUST"}, **limits).send("bob@good.example")
    assert result.rcpt()["outcome"] == outcome, result
    assert status in (None, result.rcpt()["status"]), result
