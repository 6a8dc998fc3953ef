"""Clients that want the daemon to crash, to wait, to lose mail, to relay what it must not, or to take
octets for something that they are not."""

import base64
import itertools
import re
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

from lab.client import FOREIGN, HOST, PORT, Client, intake, path, scram, subjects, tls

MAIL, RCPT = "MAIL FROM:<alice@client.example>", "RCPT TO:<bob@good.example>"
SMUGGLED = (b"MAIL FROM:<eve@client.example>\r\nRCPT TO:<bob@good.example>\r\nDATA\r\n"
            b"Subject: smuggled\r\n\r\nx\r\n.\r\n")


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Relays for 127.0.0.1, and is patient with errors."""
    made = intake(hopseal, tmp_path)
    hopseal.base.update(
        {
            "smtpd_soft_error_limit": "1000",
            "smtpd_hard_error_limit": "1000",
            "smtpd_junk_command_limit": "1000",
            "smtpd_client_connection_count_limit": "0",
        }
    )
    hopseal.configure()
    return made


def is_well(gateway, s, subject="well"):
    """The daemon still takes mail and delivers it, and nothing was smuggled past it."""
    with Client() as c:
        assert c.mail(b"Subject: %s\r\n\r\n" % subject.encode()).startswith("250")
    gateway.wait_for(lambda: subject in subjects(s), "the message behind the attack")
    assert "smuggled" not in subjects(s)


def raw():
    """A connection and nothing said."""
    return socket.create_connection((HOST, PORT), timeout=20)


def drain(sock, seconds=20):
    """All that comes until the end of the connection."""
    sock.settimeout(seconds)
    got = b""
    try:
        while piece := sock.recv(65536):
            got += piece
    except ConnectionError:
        pass
    return got


# A rule, what is said one line after the other, and how the replies to them begin. What is octets
# goes out as it is. A None means that the connection ends there.
RULES = {
    # addresses: RFC 5321 section 4.1.2
    "the null sender": ["MAIL FROM:<>", "250"],
    "the null recipient": [MAIL, "250", "RCPT TO:<>", "501 5.1.3"],
    "a quoted local part": ['MAIL FROM:<"a b@c"@d.example>', "250"],
    "a quoted pair": ['MAIL FROM:<"a\\"b\\\\"@d.example>', "250"],
    "an open quote": ['MAIL FROM:<"a@d.example>', "501 5.1.7"],
    "a quote within": ['MAIL FROM:<a"b"@d.example>', "501 5.1.7"],
    "text behind a quote": ['MAIL FROM:<"a"b@d.example>', "501 5.1.7"],
    "a quoted end of path": ['MAIL FROM:<"a>"@d.example>', "250"],
    "a parameter behind a quoted end": ['MAIL FROM:<"a> SIZE=1 <"@d.example>', "250"],
    "no brackets": ["MAIL FROM:a@d.example", "501 5.1.7"],
    "two in brackets": ["MAIL FROM:<a@d.example><b@d.example>", "501 5.1.7"],
    "brackets in brackets": ["MAIL FROM:<<a@d.example>>", "501 5.1.7"],
    "an open bracket": ["MAIL FROM:<a@d.example", "501 5.1.7"],
    "a blank before the bracket": ["MAIL FROM: <a@d.example>", "250"],
    "no colon": ["MAIL FROM <a@d.example>", "501 5.5.4"],
    "a source route": ["MAIL FROM:<@x.example,@y.example:a@d.example>", "250"],
    "a source route to nobody": ["MAIL FROM:<@x.example:>", "501 5.1.7"],
    "a source route without colon": ["MAIL FROM:<@x.example,a@d.example>", "501 5.1.7"],
    "the percent hack is a local part": [MAIL, "250", "RCPT TO:<b%evil.example@good.example>", "250"],
    "a bang path is a local part": [MAIL, "250", "RCPT TO:<evil!b@good.example>", "250"],
    "two at signs": [MAIL, "250", "RCPT TO:<b@evil.example@good.example>", "501 5.1.3"],
    "an at sign alone": [MAIL, "250", "RCPT TO:<@>", "501 5.1.3"],
    "no local part": [MAIL, "250", "RCPT TO:<@good.example>", "501 5.1.3"],
    "no domain": [MAIL, "250", "RCPT TO:<bob@>", "501 5.1.3"],
    "a domain with two dots": [MAIL, "250", "RCPT TO:<bob@good..example>", "501 5.1.3"],
    "a domain that begins with a dot": [MAIL, "250", "RCPT TO:<bob@.good.example>", "501 5.1.3"],
    "a domain with a blank": [MAIL, "250", "RCPT TO:<bob@good.example >", "501 5.1.3"],
    "a label of 63": [MAIL, "250", f"RCPT TO:<bob@{'a' * 63}.example>", "250"],
    "a label of 64": [MAIL, "250", f"RCPT TO:<bob@{'a' * 64}.example>", "501 5.1.3"],
    "a local part of 64": [f"MAIL FROM:<{'a' * 64}@d.example>", "250"],
    "a path over 320": [f"MAIL FROM:<{'a' * 310}@dd.example>", "501 5.1.7"],
    "a domain over 255": [f"MAIL FROM:<a@{'abcdefg.' * 32}example>", "501 5.1.7"],
    "an IPv4 literal": ["MAIL FROM:<a@[192.0.2.1]>", "250"],
    "an IPv6 literal": ["MAIL FROM:<a@[IPv6:2001:db8::1]>", "250"],
    "a literal of nothing": ["MAIL FROM:<a@[]>", "501 5.1.7"],
    "a literal that is none": ["MAIL FROM:<a@[evil.example]>", "501 5.1.7"],
    "a literal with a number too big": ["MAIL FROM:<a@[192.0.2.256]>", "501 5.1.7"],
    "an open literal": ["MAIL FROM:<a@[192.0.2.1>", "501 5.1.7"],
    "text behind a literal": ["MAIL FROM:<a@[192.0.2.1].example>", "501 5.1.7"],
    "a control octet": [b"MAIL FROM:<a\x01b@d.example>\r\n", "500 5.5.2"],
    "a NUL": [b"MAIL FROM:<a\0b@d.example>\r\n", "500 5.5.2"],
    "a CR": [b"MAIL FROM:<a\rb@d.example>\r\n", "500 5.5.2"],
    "a DEL": [b"MAIL FROM:<a\x7fb@d.example>\r\n", "500 5.5.2"],

    # internationalized ones: RFC 6531
    "octets without SMTPUTF8": ["MAIL FROM:<jürgen@d.example>", "550 5.6.7"],
    "octets with SMTPUTF8": ["MAIL FROM:<jürgen@d.example> SMTPUTF8", "250"],
    "a rcpt's octets without it": [MAIL, "250", "RCPT TO:<jürgen@good.example>", "553 5.6.7"],
    "a domain of U-labels": ["MAIL FROM:<a@bücher.example> SMTPUTF8", "250"],
    "octets that are no UTF-8": [b"MAIL FROM:<a\xff@d.example> SMTPUTF8\r\n", "501 5.1.7"],
    "half a character": [b"MAIL FROM:<a\xc3@d.example> SMTPUTF8\r\n", "501 5.1.7"],
    "an overlong dot": [b"MAIL FROM:<a\xc0\xae@d.example> SMTPUTF8\r\n", "501 5.1.7"],
    "a rcpt that is no UTF-8": [MAIL + " SMTPUTF8", "250",
                                b"RCPT TO:<a\xff@good.example>\r\n", "501 5.1.3"],
    "a domain that is no UTF-8": [b"MAIL FROM:<a@\xff.example> SMTPUTF8\r\n", "501 5.1.7"],
    "a full stop of another script": ["MAIL FROM:<a@x\u3002example> SMTPUTF8", "250|501 5.1.7"],
    "SMTPUTF8 with a value": [MAIL + " SMTPUTF8=1", "501 5.5.4"],
    "SMTPUTF8 after HELO": ["HELO x.example", "250", MAIL + " SMTPUTF8", "555 5.5.4"],

    # parameters: RFC 1870, 6152, 3461
    "SIZE that is none": [MAIL + " SIZE=x", "501 5.5.4"],
    "SIZE without value": [MAIL + " SIZE=", "501 5.5.4"],
    "SIZE below zero": [MAIL + " SIZE=-1", "501 5.5.4"],
    "SIZE with a plus": [MAIL + " SIZE=+1", "501 5.5.4"],
    "SIZE over 64 bits": [MAIL + " SIZE=18446744073709551616", "501 5.5.4"],
    "SIZE that wraps": [MAIL + " SIZE=18446744073709551615", "552 5.3.4"],
    "SIZE twice": [MAIL + " SIZE=1 SIZE=2", "501 5.5.4"],
    "an unknown body": [MAIL + " BODY=9BIT", "501 5.5.4"],
    "BINARYMIME is not offered": [MAIL + " BODY=BINARYMIME", "501 5.5.4"],
    "a parameter that is unknown": [MAIL + " EVIL=1", "555 5.5.4"],
    "a parameter glued on": ["MAIL FROM:<a@d.example>SIZE=1", "501 5.1.7"],
    "ENVID with octets": [MAIL + " ENVID=ä", "501 5.5.4"],
    "ENVID with a broken escape": [MAIL + " ENVID=a+4", "501 5.5.4"],
    "ENVID over 100": [MAIL + " ENVID=" + "a" * 101, "501 5.5.4"],
    "RET of something else": [MAIL + " RET=ALL", "501 5.5.4"],
    "NOTIFY NEVER and more": [MAIL, "250", RCPT + " NOTIFY=NEVER,FAILURE", "501 5.5.4"],
    "NOTIFY of nothing": [MAIL, "250", RCPT + " NOTIFY=", "501 5.5.4"],
    "ORCPT without type": [MAIL, "250", RCPT + " ORCPT=bob@good.example", "501 5.5.4"],
    "ORCPT with a line end inside": [MAIL, "250", RCPT + " ORCPT=rfc822;a+0D+0Ab", "250"],
    "MAIL's AUTH= says nothing": [MAIL + " AUTH=<>", "555 5.5.4"],

    # order: RFC 5321 section 4.1.4
    "RCPT first": [RCPT, "503 5.5.1"],
    "DATA first": ["DATA", "503 5.5.1"],
    "DATA without recipients": [MAIL, "250", "DATA", "554 5.5.1"],
    "MAIL twice": [MAIL, "250", MAIL, "503 5.5.1"],
    "EHLO ends a transaction": [MAIL, "250", "EHLO x.example", "250", RCPT, "503 5.5.1"],
    "RSET ends a transaction": [MAIL, "250", "RSET", "250", RCPT, "503 5.5.1"],
    "NOOP does not": [MAIL, "250", "NOOP", "250", RCPT, "250"],
    "NOOP takes anything": ["NOOP a b c", "250"],
    "HELP takes anything": ["HELP MAIL", "214"],
    "RSET takes nothing": ["RSET x", "501 5.5.4"],
    "QUIT takes nothing": ["QUIT x", "501 5.5.4"],
    "DATA takes nothing": [MAIL, "250", RCPT, "250", "DATA x", "501 5.5.4"],
    "VRFY tells nothing": ["VRFY root", "252"],
    "VRFY of nobody": ["VRFY", "501 5.5.4"],
    "EXPN is not here": ["EXPN list", "502 5.5.1"],
    "EHLO of nobody": ["EHLO", "501 5.5.4"],
    "LHLO is of another protocol": ["LHLO x.example", "500 5.5.1"],
    "STARTTLS without certificate": ["STARTTLS", "502 5.5.1"],
    "AUTH where there is none": ["AUTH PLAIN AGEAYg==", "503 5.5.1"],
    "TURN is not here": ["TURN", "500 5.5.2"],
    "ETRN is not here": ["ETRN x", "500 5.5.2"],
    "XCLIENT is not here": ["XCLIENT ADDR=127.0.0.1", "500 5.5.2"],
    "XFORWARD is not here": ["XFORWARD ADDR=127.0.0.1", "500 5.5.2"],
    "an empty line": ["", "500 5.5.2"],
    "a line over the limit": ["NOOP " + "x" * 5000, "500 5.5.2"],
    "... is skipped to its end": [b"NOOP " + b"x" * 70000 + b" QUIT\r\n", "500 5.5.2", "NOOP", "250"],

    # BDAT: RFC 3030
    "BDAT without a size": [MAIL, "250", RCPT, "250", "BDAT", "521 5.5.4", None],
    "BDAT of less than nothing": [MAIL, "250", RCPT, "250", "BDAT -1", "521 5.5.4", None],
    "BDAT with a plus": [MAIL, "250", RCPT, "250", "BDAT +1", "521 5.5.4", None],
    "BDAT in another base": [MAIL, "250", RCPT, "250", "BDAT 0x10", "521 5.5.4", None],
    "BDAT over 64 bits": [MAIL, "250", RCPT, "250", "BDAT 18446744073709551616", "521 5.5.4", None],
    "BDAT with something behind": [MAIL, "250", RCPT, "250", "BDAT 1 FIRST", "521 5.5.4", None],
    "BDAT LAST and more": [MAIL, "250", RCPT, "250", "BDAT 1 LAST x", "521 5.5.4", None],
    "BDAT of nothing": [MAIL, "250", RCPT, "250", "BDAT 0", "250", "BDAT 0 LAST", "250 2.0.0"],
    "BDAT before MAIL": [b"BDAT 6\r\nQUIT\r\n", "503 5.5.1", "NOOP", "250"],
    "BDAT without recipients": [MAIL, "250", b"BDAT 6 LAST\r\nQUIT\r\n", "554 5.5.1", "NOOP", "250"],
    "DATA within BDAT": [MAIL, "250", RCPT, "250", b"BDAT 2\r\nab", "250", "DATA", "503 5.5.1",
                         "BDAT 0 LAST", "250 2.0.0"],
    "RCPT within BDAT": [MAIL, "250", RCPT, "250", b"BDAT 2\r\nab", "250", RCPT, "503 5.5.1"],
    "MAIL within BDAT": [MAIL, "250", RCPT, "250", b"BDAT 2\r\nab", "250", MAIL, "503 5.5.1"],
    "RSET within BDAT": [MAIL, "250", RCPT, "250", b"BDAT 2\r\nab", "250", "RSET", "250",
                         b"BDAT 2 LAST\r\nab", "503 5.5.1"],
    "BDAT over the limit": [MAIL, "250", RCPT, "250", b"BDAT 60000\r\n" + b"x" * 60000, "552 5.3.4",
                            b"BDAT 6 LAST\r\nQUIT\r\n", "503 5.5.1", "NOOP", "250"],
    "commands in a chunk are content": [MAIL, "250", RCPT, "250",
                                        b"BDAT %d LAST\r\n%s" % (len(SMUGGLED), SMUGGLED), "250 2.0.0",
                                        "NOOP", "250"],
}


@pytest.mark.parametrize("pace", ["whole", "octets"])
def test_rules(gateway, sink, pace):
    s = sink()
    gateway.hopseal.configure(message_size_limit="50000", compatibility_level="3.6")
    wrong = []
    with gateway.running():
        for rule, script in RULES.items():
            if pace == "octets" and max(len(x) for x in script if x) > 2000:
                continue
            with Client() as c:
                c.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for said, want in itertools.zip_longest(script[::2], script[1::2]):
                    if said is None:
                        assert c.reply() == "", rule
                        break
                    octets = said if isinstance(said, bytes) else said.encode() + b"\r\n"
                    for piece in [octets] if pace == "whole" else struct.iter_unpack("c", octets):
                        c.send(piece if pace == "whole" else piece[0])
                    got = c.reply()
                    if not re.match(want, got):
                        wrong.append((rule, said[:60], want, got))
                        break
        assert not wrong, "\n".join(map(str, wrong))
        is_well(gateway, s)


STATES = {
    "greeting": [],
    "EHLO": ["EHLO x.example"],
    "half a command": ["EHLO x.example", b"MAIL FR"],
    "MAIL": ["EHLO x.example", MAIL],
    "RCPT": ["EHLO x.example", MAIL, RCPT],
    "DATA": ["EHLO x.example", MAIL, RCPT, "DATA"],
    "half a message": ["EHLO x.example", MAIL, RCPT, "DATA", b"Subject: smuggled\r\n\r\nx\r\n."],
    "half a chunk": ["EHLO x.example", MAIL, RCPT, b"BDAT 1000 LAST\r\nSubject: smuggled\r\n\r\n"],
    "between chunks": ["EHLO x.example", MAIL, RCPT, b"BDAT 4\r\nab\r\n"],
    "an oversize line": ["EHLO x.example", b"x" * 10000],
    "STARTTLS": ["EHLO x.example", "STARTTLS"],
    "half a handshake": ["EHLO x.example", "STARTTLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    "AUTH": ["EHLO x.example", "AUTH SCRAM-SHA-256"],
    "half a response": ["EHLO x.example", "AUTH SCRAM-SHA-256", b"biws"],
}


def reset(client):
    """Ends the connection by RST."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("how", ["close", "reset", "half-close", "stop"])
def test_clients_that_go_in_every_state(gateway, sink, ca, how):
    s = sink()
    gateway.hopseal.configure(
        {"users": "ann secret\n"}, **tls(ca), smtpd_sasl_auth_enable="yes", smtpd_tls_auth_only="no",
        hopseal_sasl_password_maps="texthash:TABLES/users")
    left = []
    with gateway.running():
        for script in STATES.values():
            c = Client(hello=None)
            for said in script:
                c.send(said if isinstance(said, bytes) else said.encode() + b"\r\n")
                if not isinstance(said, bytes):
                    assert c.reply()[0] in "23", (script, said)
            if how == "reset":
                reset(c)
            elif how == "half-close":
                c.socket.shutdown(socket.SHUT_WR)
                assert b"354" not in drain(c.socket), script
            elif how == "close":
                c.close()
            else:
                left.append(c)
        is_well(gateway, s)
        if how != "stop":
            gateway.wait_for(lambda: gateway.text().count("disconnect from") == len(STATES) + 1,
                             "their ends")
    for script, c in zip(STATES, left):
        assert b"queued" not in drain(c.socket), script


def test_quit_behind_the_dot_and_gone(gateway, sink):
    """The client has closed its end, or reads nothing more, before the message is safe: it is
    delivered all the same, and whoever listens hears of it."""
    s = sink()
    opening = f"EHLO x.example\r\n{MAIL}\r\n{RCPT}\r\nDATA\r\n".encode()
    with gateway.running():
        for n, how in enumerate(["half-close", "close", "reset"]):
            c = Client(hello=None)
            for line in opening.splitlines(True):
                c.send(line)
                c.reply()
            c.send(b"Subject: %d\r\n\r\nx\r\n.\r\nQUIT\r\n" % n)
            if how == "half-close":
                c.socket.shutdown(socket.SHUT_WR)
                said = drain(c.socket)
                assert re.match(rb"250 2\.0\.0 Ok: queued as \w+\r\n221 2\.0\.0 bye\r\n$", said), said
            elif how == "reset":
                c.wait_until_read()  # a reset takes along what the kernel still holds
                reset(c)
            else:
                c.close()
        gateway.wait_for(lambda: len(s.messages) == 3, "all three")
    assert subjects(s) == {"0": 1, "1": 1, "2": 1}


EARLY = {
    "before the greeting": (None, b"EHLO x.example\r\n" + SMUGGLED),
    "a browser": (None, b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\n" + SMUGGLED),
    "behind EHLO": (b"", b"EHLO x.example\r\n" + SMUGGLED),
    "behind DATA": (b"EHLO x.example\r\n", SMUGGLED),
    "behind NOOP": (b"EHLO x.example\r\n", b"NOOP\r\n" + SMUGGLED),
    "pipelined after HELO": (b"HELO x.example\r\n", SMUGGLED),
}


@pytest.mark.parametrize("rule", EARLY)
def test_early_talkers(gateway, sink, rule):
    s = sink()
    first, early = EARLY[rule]
    with gateway.running():
        gateway.child.send_signal(signal.SIGSTOP if first is None else signal.SIGCONT)
        sock = raw()
        if first is not None:
            sock.recv(1000)
        if first:
            sock.sendall(first)
            sock.recv(1000)
        sock.sendall(early)
        gateway.child.send_signal(signal.SIGCONT)
        said = drain(sock)
        assert re.match(b"554 5.5.0|221 2.7.0", said.splitlines()[-1]), said
        is_well(gateway, s)


@pytest.mark.parametrize("command", ["GET / HTTP/1.1", "POST / HTTP/1.1", "CONNECT x:25 HTTP/1.1",
                                     "get /", "\x16\x03\x01\x02", "{}", "*1", "<?xml?>"])
def test_other_protocols(gateway, sink, command):
    """Whoever speaks something else may carry our commands without knowing: smtpd_forbidden_commands."""
    s = sink()
    gateway.hopseal.configure(smtpd_forbid_unauth_pipelining="no")
    with gateway.running():
        with Client(hello=None) as c:
            c.send(command.encode() + b"\r\nEHLO x.example\r\n" + SMUGGLED)
            assert c.reply().startswith("221 2.7.0")
            assert c.reply() == ""
        is_well(gateway, s)


def test_commands_that_come_octet_by_octet(gateway, sink):
    """Octets that make no whole command buy no time."""
    s = sink()
    gateway.hopseal.configure(smtpd_timeout="2s")
    with gateway.running():
        with Client() as c:
            began = time.monotonic()
            while time.monotonic() - began < 30:
                try:
                    c.send(b"N")
                except OSError:
                    break
                time.sleep(0.1)
            assert 1.5 < time.monotonic() - began < 20
        is_well(gateway, s)
    assert "timeout after EHLO from" in gateway.text()


def test_messages_that_come_octet_by_octet(gateway, sink):
    s = sink()
    gateway.hopseal.configure(smtpd_timeout="2s", smtpd_min_data_rate="1000")
    with gateway.running():
        with Client() as c:
            for command in (MAIL, RCPT, "DATA"):
                c.say(command)
            began = time.monotonic()
            while time.monotonic() - began < 30:
                try:
                    c.send(b"N")
                except OSError:
                    break
                time.sleep(0.1)
            assert 1.5 < time.monotonic() - began < 20
        is_well(gateway, s)
    assert "timeout after DATA from" in gateway.text()


def memory(gateway):
    """What the daemon has in memory, in KiB."""
    with open(f"/proc/{gateway.child.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


@pytest.mark.parametrize("inside_tls", [False, True])
def test_clients_that_never_read(gateway, sink, ca, inside_tls):
    """They are slowed down and then given up; their replies do not pile up."""
    s = sink()
    gateway.hopseal.configure(**tls(ca), smtpd_timeout="3s", smtpd_junk_command_limit="1000000",
                              smtpd_forbid_unauth_pipelining="no")
    with gateway.running():
        is_well(gateway, s, "before")
        before = memory(gateway)
        c = Client()
        if inside_tls:
            c.starttls()
        c.socket.settimeout(1)
        sent = 0
        try:
            while sent < 64 << 20:
                c.send(b"HELP\r\n" * 10000)
                sent += 60000
        except OSError:
            pass
        assert sent < 40 << 20, "it took everything"
        assert memory(gateway) - before < 64 << 10
        gateway.wait_for(lambda: "timeout after HELP" in gateway.text(), "its end", 15)
        is_well(gateway, s)


def test_many_recipients_and_the_same_again(gateway, sink):
    """A recipient that is named twice gets the message once; another case of its local part is
    another recipient."""
    s = sink(extensions=("8BITMIME",))
    with gateway.running():
        with Client() as c:
            c.say(MAIL)
            for n in range(999):
                assert c.say(f"RCPT TO:<u{n % 300}@good.example>").startswith("250")
            assert c.say("RCPT TO:<U1@Good.Example>").startswith("250")
            assert c.say("RCPT TO:<one-more@good.example>").startswith("452 4.5.3")
            assert c.say("DATA").startswith("354")
            c.send(b"Subject: x\r\n\r\n.\r\n")
            assert c.reply().startswith("250")
        gateway.wait_for_fate("U1@Good.Example", "sent")
        gateway.wait_for(lambda: len(gateway.deliveries()) >= 301, "all of them", 60)
    got = [path(r) for m in s.messages for r in m.recipients]
    assert len(got) == len(set(got)) == 301


HEADERS = {
    "a hundred thousand Received": (b"Received: x\r\n" * 100000, "554 5.4.6"),
    "as many other fields": (b"X-A: b\r\n" * 100000, "250"),
    "one field without an end": (b"X-A: " + b"b" * 3000000 + b"\r\n", "250"),
    "a field of folded lines": (b"X-A: b\r\n" + b" b\r\n" * 100000, "250"),
    "a name without an end": (b"A" * 100000 + b": b\r\n", "250"),
    "colons": (b":" * 100000 + b"\r\n", "250"),
    "NULs": (b"Subject: a\0b\r\nFrom\0: x\r\n", "250"),
    "octets": (bytes(b for b in range(256) if b not in b"\r\n") * 100 + b"\r\n", "250"),
    "a continuation first": (b" x\r\nSubject: x\r\n", "250"),
    "nothing at all": (b"", "250"),
    "no header but text": (b"text\r\n\r\nmore\r\n", "250"),
}


def test_headers(gateway, sink):
    s = sink()
    gateway.hopseal.configure(always_add_missing_headers="yes")
    with gateway.running():
        for rule, (octets, want) in HEADERS.items():
            with Client() as c:
                said = c.mail(octets + b"\r\nbody\r\n")
                assert said.startswith(want), (rule, said)
        is_well(gateway, s)
        want = 1 + sum(want == "250" for _, want in HEADERS.values())
        gateway.wait_for(lambda: len(s.messages) == want, "all of them", 60)
    for m in s.messages:
        assert max(map(len, m.data.split(b"\r\n"))) <= 998
        assert not re.search(rb"[^\r]\n|\r[^\n]", m.data)


@pytest.mark.parametrize("length", [997, 998, 999, 2047, 2048, 2049, 70000])
def test_long_lines(gateway, sink, length):
    """Lines of any length are taken; what is over smtp_line_length_limit is broken on the way out."""
    s = sink()
    with gateway.running():
        with Client() as c:
            assert c.mail(b"Subject: x\r\n\r\n" + b"y" * length + b"\r\n").startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
    body = s.messages[0].data.split(b"\r\n\r\n", 1)[1].split(b"\r\n")
    assert max(map(len, body)) <= 998
    assert b"".join(line.lstrip(b" ") for line in body) == b"y" * length


def test_lmtp_answers_for_each_recipient(gateway, sink):
    """RFC 2033 section 4.2, also of one that was named twice."""
    s = sink()
    gateway.hopseal.configure(hopseal_listeners=f"lmtp:{HOST}:{PORT}", message_size_limit="3000")
    with gateway.running():
        with Client(hello="LHLO") as c:
            assert c.say("EHLO x.example").startswith("500 5.5.1")
            assert c.say("HELO x.example").startswith("500 5.5.1")
            for size, want in ((10, "250 2.0.0"), (5000, "552 5.3.4")):
                c.say(MAIL)
                for rcpt in ("a", "a", "b", "c"):
                    assert c.say(f"RCPT TO:<{rcpt}@good.example>").startswith("250")
                assert c.say("RCPT TO:<@>").startswith("501")
                c.say("DATA")
                c.send(b"Subject: x\r\n\r\n" + (b"y" * 78 + b"\r\n") * (size // 80) + b".\r\n")
                assert [c.reply()[:9] for _ in range(4)] == [want] * 4
                assert c.say("NOOP").startswith("250")
            c.say(MAIL)
            assert c.say("DATA").startswith("503 5.5.1")
        gateway.wait_for_fate("c@good.example", "sent")
    got = [path(r) for m in s.messages for r in m.recipients]
    assert sorted(got) == ["a@good.example", "b@good.example", "c@good.example"]
    assert b"with LMTP id" in s.messages[0].data and b"\tfor <" not in s.messages[0].data


# TLS.


def test_nothing_crosses_starttls(gateway, sink, ca):
    """CVE-2011-0411: octets behind STARTTLS in the clear are not commands inside TLS."""
    s = sink()
    gateway.hopseal.configure(**tls(ca))
    with gateway.running():
        for behind in (b"NOOP\r\n", b"EHLO x.example\r\n" + SMUGGLED, b"x", b"\r\n"):
            with Client() as c:
                c.send(b"STARTTLS\r\n" + behind)
                assert c.reply().startswith("421 4.7.0"), behind
                assert c.reply() == ""
        with Client() as c:  # with the handshake, after the 220
            assert c.say("STARTTLS").startswith("220")
            c.send(b"EHLO x.example\r\n" + SMUGGLED)
            assert c.reply() == "" or not c.reply().startswith("250")
        is_well(gateway, s)


def test_starttls_forgets(gateway, sink, ca):
    """RFC 3207 section 4.2: neither a name nor a transaction nor a login crosses it."""
    sink()
    gateway.hopseal.configure(**tls(ca), smtpd_helo_required="yes")
    with gateway.running():
        with Client() as c:
            assert c.say(MAIL).startswith("250")
            assert c.say("STARTTLS").startswith("220")
            c.secure()
            assert c.say(RCPT).startswith("503")
            assert c.say(MAIL).startswith("503")
            c.say("EHLO x.example")
            assert c.say(MAIL).startswith("250")
            assert c.say("STARTTLS").startswith("503")


def users(gateway, ca, **settings):
    """ann may authenticate."""
    gateway.hopseal.configure(
        {"users": "ann secret\n"}, **tls(ca), smtpd_sasl_auth_enable="yes",
        hopseal_sasl_password_maps="texthash:TABLES/users", **settings)


def test_a_login_does_not_cross_starttls(gateway, sink, ca):
    """RFC 3207 section 4.2, RFC 4954 section 4."""
    sink()
    users(gateway, ca, smtpd_tls_auth_only="no")
    with gateway.running():
        with Client(source=FOREIGN) as c:
            assert scram(c, "ann", "secret").startswith("235")
            assert c.say("STARTTLS").startswith("220")
            c.secure()
            c.say("EHLO x.example")
            assert c.mail().startswith("554 5.7.1")
            c.say("RSET")
            assert scram(c, "ann", "secret").startswith("235")
            assert c.mail().startswith("250")


def b64(octets):
    """As AUTH wants it."""
    return base64.b64encode(octets).decode()


PLAIN = "AUTH PLAIN " + b64(b"\0ann\0secret")

AUTHS = {
    "good": [PLAIN, "235", PLAIN, "503"],
    "no mechanism": ["AUTH", "501"],
    "unknown": ["AUTH CRAM-MD5", "504"],
    "ANONYMOUS": ["AUTH ANONYMOUS", "504"],
    "EXTERNAL": ["AUTH EXTERNAL =", "504"],
    "too many words": [PLAIN + " x", "501"],
    "no base 64": ["AUTH PLAIN !!!!", "501 5.5.2"],
    "base 64 cut": ["AUTH PLAIN AGF", "501 5.5.2"],
    "base 64 with more behind": ["AUTH PLAIN AGFubgBzZWNyZXQ=AAAA", "501 5.5.2"],
    "empty": ["AUTH PLAIN =", "535"],
    "later": ["AUTH PLAIN", "334", b64(b"\0ann\0secret"), "235"],
    "later, cancelled": ["AUTH PLAIN", "334", "*", "501 5.7.0", "NOOP", "250"],
    "later, no base 64": ["AUTH PLAIN", "334", "QUIT!", "501 5.5.2", "NOOP", "250"],
    "later, empty": ["AUTH PLAIN", "334", "", "334", "*", "501 5.7.0"],
    "LOGIN, empty": ["AUTH LOGIN", "334", "", "535|334"],
    "another's rights": ["AUTH PLAIN " + b64(b"bob\0ann\0secret"), "535"],
    "no user": ["AUTH PLAIN " + b64(b"\0\0secret"), "535"],
    "no password": ["AUTH PLAIN " + b64(b"\0ann\0"), "535"],
    "NULs": ["AUTH PLAIN " + b64(b"\0ann\0secret\0"), "535"],
    "a user with a line end": ["AUTH PLAIN " + b64(b"\0ann\nbob\0secret"), "535"],
    "a user that is no UTF-8": ["AUTH PLAIN " + b64(b"\0\xff\0secret"), "535"],
    "a long user": ["AUTH PLAIN " + b64(b"\0" + b"a" * 5000 + b"\0secret"), "535"],
    "a line over the limit": ["AUTH PLAIN " + "A" * 20000, "500 5.5.2", "NOOP", "250"],
    "a response over the limit": ["AUTH PLAIN", "334", "A" * 20000, "500 5.5.2", "NOOP", "250"],
    "LOGIN": ["AUTH LOGIN", "334 VXNlciBOYW1l|334 VXNlcm5hbWU6", b64(b"ann"), "334", b64(b"secret"),
              "235"],
    "LOGIN, wrong": ["AUTH LOGIN", "334", b64(b"ann"), "334", b64(b"Secret"), "535"],
    "LOGIN, cancelled": ["AUTH LOGIN", "334", b64(b"ann"), "334", "*", "501 5.7.0"],
    "SCRAM of nonsense": ["AUTH SCRAM-SHA-256 " + b64(b"xyz"), "535"],
    "SCRAM without nonce": ["AUTH SCRAM-SHA-256 " + b64(b"n,,n=ann"), "535"],
    "SCRAM with a false binding": ["AUTH SCRAM-SHA-256-PLUS " + b64(b"p=tls-exporter,,n=ann,r=abcdef"),
                                   "334", b64(b"c=biws,r=x,p=AAAA"), "535"],
    "in a transaction": [MAIL, "250", PLAIN, "503"],
    "wrong again and again": ["AUTH PLAIN " + b64(b"\0ann\0x"), "535"] * 5 + [PLAIN, "235"],
}


def test_auth(gateway, sink, ca):
    s = sink()
    users(gateway, ca)
    wrong = []
    with gateway.running():
        for rule, script in AUTHS.items():
            with Client(source=FOREIGN) as c:
                c.starttls()
                for said, want in zip(script[::2], script[1::2]):
                    got = c.say(said)
                    if not re.match(want, got):
                        wrong.append((rule, said[:60], want, got))
                        break
        assert not wrong, "\n".join(map(str, wrong))
        with Client(source=FOREIGN) as c:  # pipelined: what follows is not read as a command
            c.starttls()
            c.send(PLAIN.encode() + b"\r\n" + SMUGGLED)
            assert c.reply().startswith("554 5.5.0") and c.reply() == ""
        with Client(source=FOREIGN) as c:  # in the clear
            for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
                assert c.say(f"AUTH {mechanism} AGEAYg==").startswith("538 5.7.11")
        is_well(gateway, s)
    assert "\nbob" not in gateway.text()


def hello_of(version=None):
    """A client's hello and the objects that go on with it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version:
        context.maximum_version = version
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls_object = context.wrap_bio(come, go, server_hostname="gateway.example")
    with pytest.raises(ssl.SSLWantReadError):
        tls_object.do_handshake()
    return tls_object, come, go


def shake(sock, tls_object, come, go, step=None):
    """The handshake, in pieces of `step` octets."""
    while True:
        out = go.read()
        for at in range(0, len(out), step or len(out) or 1):
            sock.sendall(out[at:at + (step or len(out))])
            if step:
                time.sleep(0.001)
        try:
            tls_object.do_handshake()
            sock.sendall(go.read())
            return
        except ssl.SSLWantReadError:
            come.write(sock.recv(65536))


def records(hello, size):
    """The hello's handshake message over records of `size` octets: RFC 8446 section 5.1."""
    body = hello[5:]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(body[at:at + size])) + body[at:at + size]
                    for at in range(0, len(body), size))


SSLV2 = bytes.fromhex("802e0100020015000000100100800200800300800400800500800600400700c0"
                      "00112233445566778899aabbccddeeff")


def test_tls_from_the_first_octet(gateway, sink, ca):
    """Hellos in pieces, hellos of old, hellos that are none, and what happens at the wrong port."""
    s = sink()
    gateway.hopseal.configure(
        **tls(ca), hopseal_listeners=f"smtps:{HOST}:{PORT} smtp:{HOST}:{PORT + 1}")
    wrong = [b"EHLO x.example\r\n" + SMUGGLED, b"\r\n" * 100, b"\x00" * 1000, b"\xff" * 1000, SSLV2,
             b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x03\x01\xff\xff" + b"x" * 70000,
             b"\x16\x03\x01\x00\x00" * 1000, b"\x17\x03\x03\x00\x10" + b"x" * 16]
    with gateway.running():
        for octets in wrong:
            sock = raw()
            sock.sendall(octets)
            sock.shutdown(socket.SHUT_WR)
            said = drain(sock)
            assert b"250" not in said and b"554" not in said, said
        for size in (None, 1, 100):
            sock = raw()
            tls_object, come, go = hello_of()
            if size:
                first = records(go.read(), size)
                sock.sendall(first)
            shake(sock, tls_object, come, go)
        sock = raw()
        shake(sock, *hello_of(), step=1)
        with socket.create_connection((HOST, PORT + 1), timeout=5) as sock:
            tls_object, come, go = hello_of()
            sock.recv(1000)
            sock.sendall(go.read() + b"\r\nQUIT\r\n")
            assert b"220" not in drain(sock)
        with Client(tls=True) as c:
            assert c.mail(b"Subject: inside\r\n\r\n").startswith("250")
        gateway.wait_for(lambda: "inside" in subjects(s), "delivery")
    assert "smuggled" not in subjects(s)


def s_client(script, *options):
    """What openssl's client says about a session in which `script` is typed."""
    argv = ["openssl", "s_client", "-connect", f"{HOST}:{PORT}", "-starttls", "smtp", *options]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as child:
        for line in script:
            time.sleep(0.5)
            try:
                child.stdin.write(line)
                child.stdin.flush()
            except OSError:
                break
        return child.communicate(timeout=20)[0]


def test_no_renegotiation_and_no_early_data(gateway, sink, ca):
    s = sink()
    gateway.hopseal.configure(**tls(ca))
    with gateway.running():
        said = s_client(["R\n", "EHLO x.example\n"], "-tls1_2", "-crlf")
        assert "RENEGOTIATING" in said and "250 " not in said.split("RENEGOTIATING")[1], said
        said = s_client(["QUIT\n"], "-tls1_3", "-crlf")
        assert "Max Early Data: 0" in said or "Max Early Data" not in said
        is_well(gateway, s)
