"""What ends, or is configured anew, in the middle of what it waits for: a handshake, an answer, a
commit. Nothing is lost, and nothing is used after its end: the builds with sanitizers look for
that."""

import contextlib
import signal
import socket
import sqlite3
import ssl
import struct
import time

import pytest

from lab import zones
from lab.client import HOST, PORT, Client
from lab.gateway import Gateway
from lab.mapserver import MapServer, Slow
from lab.sink import STALL

EVENTS = ["stop", "reload"]
LEAVING = ["close", "reset"]


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Listens on HOST:PORT for 127.0.0.1."""
    made = Gateway(hopseal, tmp_path)
    hopseal.base.update(
        {
            "hopseal_listeners": f"smtp:{HOST}:{PORT}",
            "hopseal_stop_time": "1s",
            "mynetworks": "127.0.0.1/32",
        }
    )
    hopseal.configure()
    return made


def reload(gateway):
    """A reload, to its end."""
    n = gateway.text().count("reloaded, configuration")
    gateway.child.send_signal(signal.SIGHUP)
    gateway.wait_for(lambda: gateway.text().count("reloaded, configuration") > n, "the reload")


def befall(gateway, event):
    """A reload, or an end and a new beginning."""
    if event == "reload":
        reload(gateway)
        return
    assert gateway.stop() == 0, gateway.text()
    gateway.start()


def leave(client, event):
    """The client's end of it."""
    if event == "reset":
        linger = struct.pack("ii", 1, 0)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.input.close()
    client.socket.close()


# ---- a handshake ----


@pytest.mark.parametrize("event", EVENTS)
def test_a_handshake_with_a_server(gateway, sink, ca, event):
    s = sink(cert=ca.cert("valid", "mx.good.example"), script={"tls": [STALL, None]})
    gateway.hopseal.configure(smtp_tls_security_level="encrypt", smtp_starttls_timeout="2s")
    gateway.put("bob@good.example")
    with gateway.running():
        gateway.wait_for(lambda: s.sessions and s.sessions[0].leftover, "a ClientHello")
        befall(gateway, event)
        gateway.wait_for_fate("bob@good.example", "sent")
    assert len(s.messages) == 1 and s.messages[0].tls


def half_a_handshake(client):
    """STARTTLS and the front of a ClientHello; gives what goes on with it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    to_us, to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(to_us, to_peer)
    assert client.say("STARTTLS").startswith("220")

    def go_on():
        while True:
            try:
                return tls.do_handshake()
            except ssl.SSLWantReadError:
                client.send(to_peer.read())
                to_us.write(client.socket.recv(65536))

    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    client.send(to_peer.read(50))
    return go_on


@pytest.mark.parametrize("event", [*EVENTS, *LEAVING])
def test_a_handshake_with_a_client(gateway, sink, ca, event):
    s = sink()
    cert = ca.cert("valid", "gateway.example")
    gateway.hopseal.configure(
        relayhost=f"[{zones.MX1}]:25",
        smtpd_tls_chain_files=f"{cert.key}, {cert.chain}",
        smtpd_tls_security_level="may",
    )
    with gateway.running():
        c = Client()
        go_on = half_a_handshake(c)
        if event in LEAVING:
            leave(c, event)
        else:
            befall(gateway, event)
        if event == "reload":
            go_on()
        with Client() as another:
            another.starttls()
            assert another.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
        c.socket.close()
    assert len(s.messages) == 1


# ---- an answer ----


@pytest.mark.parametrize("event", EVENTS)
def test_a_question_to_the_dns(gateway, tree, event):
    gateway.put("bob@x.drop.fault.example")
    with gateway.running():
        gateway.wait_for(
            lambda: gateway.hopseal.run("status", "--json").json["active"]["attempts"] > 0, "it"
        )
        befall(gateway, event)
        gateway.wait_for(
            lambda: gateway.hopseal.run("status", "--json").json["active"]["attempts"] > 0, "it"
        )
    assert "bob@x.drop.fault.example" in gateway.hopseal.run("queue", "list").out


@pytest.mark.parametrize("event", [*EVENTS, *LEAVING])
def test_a_lookup_for_rcpt(gateway, sink, event):
    """The answer comes when there is nobody any more who waits for it."""
    s = sink()
    route = f"smtp:[{zones.MX1}]:25"
    with MapServer("socketmap", {"bob@slow.example": Slow(0.7, route)}) as table:
        gateway.hopseal.configure(transport_maps=table.spec, relayhost=f"[{zones.MX1}]:25")
        with gateway.running():
            c = Client()
            assert c.say("MAIL FROM:<alice@client.example>").startswith("250")
            c.send(b"RCPT TO:<bob@slow.example>\r\n")
            gateway.wait_for(lambda: "bob@slow.example" in table.keys, "the lookup")
            if event in LEAVING:
                leave(c, event)
            else:
                befall(gateway, event)
            if event == "reload":
                assert c.reply().startswith("250")
                assert c.say("DATA").startswith("354")
                c.send(b"Subject: slow\r\n\r\n.\r\n")
                assert c.reply().startswith("250")
                gateway.wait_for_fate("bob@slow.example", "sent")
            time.sleep(0.8 if event in LEAVING else 0)
            with Client() as another:
                assert another.mail(rcpt="bob@other.example").startswith("250")
            gateway.wait_for_fate("bob@other.example", "sent")
            c.socket.close()
    assert len(s.messages) == (2 if event == "reload" else 1)


# ---- a commit ----


@contextlib.contextmanager
def locked(gateway):
    """The queue's database, as another program may lock it: no commit comes to its end."""
    database = sqlite3.connect(gateway.dir / "queue/queue.db", isolation_level=None)
    with contextlib.closing(database):
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


@pytest.mark.parametrize("event", [*EVENTS, *LEAVING])
def test_a_commit(gateway, sink, event):
    """A 250 is a promise, whatever happened while it was made."""
    s = sink()
    gateway.hopseal.configure(relayhost=f"[{zones.MX1}]:25")
    with gateway.running():
        c = Client()
        for command in ("MAIL FROM:<alice@client.example>", "RCPT TO:<bob@good.example>", "DATA"):
            assert c.say(command)[0] in "23"
        with locked(gateway):
            c.send(b"Subject: first\r\n\r\n.\r\n")
            time.sleep(0.2)
            if event in LEAVING:
                leave(c, event)
            elif event == "reload":
                reload(gateway)
            else:
                gateway.child.send_signal(signal.SIGTERM)
            time.sleep(0.2)
        said = "" if event in LEAVING else c.reply()
        if event == "stop":
            assert gateway.stop() == 0, gateway.text()
            gateway.start()
        if event == "reload":
            assert said.startswith("250 2.0.0")
        with Client() as another:
            assert another.mail(rcpt="carol@good.example").startswith("250")
        gateway.wait_for_fate("carol@good.example", "sent")
        if said.startswith("250"):
            gateway.wait_for_fate("bob@good.example", "sent")
        c.socket.close()
    assert sum(b"Subject: first" in m.data for m in s.messages) <= 1
