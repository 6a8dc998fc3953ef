"""The daemon: what is in the queue is delivered under its policy, tried again, or comes back; and
nothing is lost, however it ends."""

import collections
import email
import fcntl
import random
import re
import signal
import socket
import threading
import time

import pytest

from lab.client import HOST, PORT, Client
from lab.gateway import Gateway
from lab.mapserver import SILENT, MapServer
from lab.sink import DROP, STALL

NO_ADDRESS, NO_QUEUE = 69, 75


@pytest.fixture
def gateway(hopseal, tmp_path):
    return Gateway(hopseal, tmp_path)


def path(command):
    """The address of a MAIL or RCPT command."""
    return re.search("<(.*?)>", command).group(1)


def received(s):
    """How often each recipient got which message: by (recipient, Subject)."""
    return collections.Counter(
        (path(rcpt), email.message_from_bytes(m.data)["Subject"])
        for session in s.sessions
        for m in session.messages
        for rcpt in m.recipients
    )


def subject(n):
    return f"From: alice@client.example\r\nSubject: {n}\r\n\r\nA line.\r\n".encode()


def test_mail_of_the_queue_is_delivered_under_its_policy(gateway, sink, ca):
    good, plain = sink(cert=ca.cert("valid", "mx.good.example")), sink("127.0.5.9", 2525)
    gateway.hopseal.configure(
        {"policy": "good.example secure match=mx.good.example\n[127.0.5.9]:2525 encrypt\n",
         "transport": "strict.example smtp:[127.0.5.9]:2525\n"},
        smtp_tls_policy_maps="texthash:TABLES/policy",
        transport_maps="texthash:TABLES/transport",
    )
    gateway.put("bob@good.example", "eve@strict.example")
    with gateway.running():
        sent = gateway.wait_for_fate("bob@good.example", "sent")
        waits = gateway.wait_for_fate("eve@strict.example", "deferred")
    assert sent["tls"] == "secure/verified" and sent["dsn"] == "2.0.0", sent
    assert waits["tls"] == "encrypt/cleartext" and waits["dsn"] == "4.7.4", waits
    assert received(good)[("bob@good.example", "hello")] == 1
    assert not received(plain)


def test_a_refused_recipient_comes_back_to_its_sender(gateway, sink):
    s = sink(rcpt={"nobody@good.example": "550 5.1.1 No such user"})
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25")
    gateway.put("nobody@good.example", "bob@good.example")
    with gateway.running():
        gateway.wait_for_fate("nobody@good.example", "bounced")
        gateway.wait_for_fate("bob@good.example", "sent")
        gateway.wait_for_fate("alice@client.example", "sent")
    (notice,) = [m for session in s.sessions for m in session.messages if not path(m.sender)]
    text = email.message_from_bytes(notice.data)
    assert text.get_content_type() == "multipart/report"
    assert text.get_param("report-type") == "delivery-status"
    human, machine, original = text.get_payload()
    assert "nobody@good.example" in human.get_payload()
    assert "No such user" in human.get_payload() and "bob@good.example" not in str(machine)
    fields = machine.get_payload()[1]
    assert fields["Action"] == "failed" and fields["Status"] == "5.1.1"
    assert original.get_payload()[0]["Subject"] == "hello"
    assert received(s)[("bob@good.example", "hello")] == 1


def test_a_notice_never_causes_a_notice(gateway, sink):
    s = sink(rcpt={"nobody@good.example": "550 5.1.1 No such user"})
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25")
    gateway.put("nobody@good.example", sender="")
    with gateway.running():
        gateway.wait_for_fate("nobody@good.example", "bounced")
        gateway.wait_for(lambda: "discarded" in gateway.text(), "the end of it")
    assert not received(s)


def test_the_postmaster_hears_of_a_lost_notice_once(gateway, sink):
    s = sink(rcpt={"nobody@good.example": "550 5.1.1 No such user",
                   "postmaster@client.example": "550 5.1.1 Nor that one"})
    gateway.hopseal.configure(
        relayhost=f"[{s.address}]:25",
        notify_classes="2bounce",
        myorigin="client.example",
    )
    gateway.put("nobody@good.example", sender="")
    with gateway.running():
        gateway.wait_for_fate("postmaster@client.example", "bounced")
        gateway.wait_for(lambda: "discarded" in gateway.text(), "the end of it")
    assert len(gateway.deliveries("postmaster@client.example")) == 1


def test_a_deferred_recipient_is_tried_again_and_the_others_are_not(gateway, sink):
    s = sink(script={"RCPT": ["250 ok", "450 4.2.0 later", "450 4.2.0 later", "250 ok"]})
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25")
    gateway.put("bob@good.example")
    with gateway.running():
        gateway.wait_for_fate("bob@good.example", "sent")
    gateway.put("carol@good.example")
    with gateway.running():
        gateway.wait_for_fate("carol@good.example", "sent")
    assert sum(received(s).values()) == 2


def test_mail_that_is_too_old_comes_back(gateway, sink):
    s = sink(rcpt={"late@good.example": "450 4.2.0 later"})
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25", maximal_queue_lifetime="2s")
    gateway.put("late@good.example")
    with gateway.running():
        gateway.wait_for_fate("alice@client.example", "sent")
    assert "status=expired, returned to sender" in gateway.text()


def test_a_delay_is_told_once(gateway, sink):
    s = sink(rcpt={"late@good.example": "450 4.2.0 later"})
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25", delay_warning_time="1s")
    gateway.put("late@good.example")
    with gateway.running():
        gateway.wait_for_fate("alice@client.example", "sent")
        n = len(gateway.deliveries("late@good.example"))
        gateway.wait_for(
            lambda: len(gateway.deliveries("late@good.example")) >= n + 2, "two more attempts"
        )
    assert len(gateway.deliveries("alice@client.example")) == 1
    assert "sender delay notification" in gateway.text()


def test_a_dead_destination_does_not_hold_up_others(gateway, sink):
    good = sink()
    sink("127.0.5.9", 2525, script={"banner": STALL})
    gateway.hopseal.configure(
        {"transport": "dead.example smtp:[127.0.5.9]:2525\n"},
        transport_maps="texthash:TABLES/transport",
        relayhost=f"[{good.address}]:25",
        smtp_helo_timeout="2s",
        smtp_connect_timeout="2s",
        hopseal_workers="1",
        hopseal_delivery_limit="8",
    )
    for n in range(30):
        gateway.put(*[f"u{n}.{k}@dead.example" for k in range(5)], message=subject(n))
    gateway.put("bob@good.example")
    with gateway.running():
        gateway.wait_for_fate("bob@good.example", "sent")
        gateway.wait_for(lambda: "dead for" in gateway.text(), "the dead destination")
    assert received(good)[("bob@good.example", "hello")] == 1


def test_one_daemon_has_the_queue(gateway):
    with gateway.running():
        result = gateway.hopseal.run("serve")
        assert result.code == NO_QUEUE and "another process has this queue" in result.err, result


def test_a_start_waits_for_who_fills_the_queue(gateway, sink):
    """A program that puts its own mail into the queue has it for a moment."""
    s = sink()
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25")
    gateway.put("bob@good.example")
    lock = open(gateway.dir / "queue/lock")
    fcntl.flock(lock, fcntl.LOCK_EX)
    threading.Timer(1, lock.close).start()
    with gateway.running():
        gateway.wait_for_fate("bob@good.example", "sent")


def test_a_reload_takes_good_and_refuses_bad(gateway, sink):
    s = sink()
    gateway.hopseal.configure(relayhost="[127.0.5.9]:2525")
    gateway.put("bob@good.example")
    with gateway.running():
        gateway.wait_for_fate("bob@good.example", "deferred")
        gateway.hopseal.configure(relayhost=f"[{s.address}]:25", smtp_tls_security_level="strong")
        gateway.child.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: "was not reloaded" in gateway.text(), "the refusal")
        assert "strong" in gateway.text()
        gateway.hopseal.configure(relayhost=f"[{s.address}]:25")
        gateway.child.send_signal(signal.SIGHUP)
        gateway.wait_for_fate("bob@good.example", "sent")
    assert received(s) == {("bob@good.example", "hello"): 1}


def test_a_stop_tells_sessions_from_before_a_reload(gateway):
    gateway.hopseal.configure(hopseal_listeners=f"smtp:{HOST}:{PORT}")
    with gateway.running():
        with Client() as old:
            gateway.child.send_signal(signal.SIGHUP)
            gateway.wait_for(lambda: "reloaded, " in gateway.text(), "the reload")
            with Client() as young:
                gateway.child.send_signal(signal.SIGTERM)
                started = time.monotonic()
                assert [c.reply()[:9] for c in (old, young)] == ["421 4.3.2"] * 2
        assert gateway.child.wait(40) == 0
        assert time.monotonic() - started < 25  # hopseal_stop_time is 30 s


def test_an_address_that_a_reload_takes_away_is_free_at_once(gateway):
    """Sessions of before go on, and hold no socket that nobody accepts from any more."""
    other = (HOST, PORT + 1)

    def reload(*ports):
        before = gateway.text().count("reloaded, ")
        gateway.hopseal.configure(hopseal_listeners=", ".join(f"smtp:{HOST}:{p}" for p in ports))
        gateway.child.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: gateway.text().count("reloaded, ") > before, "the reload")

    def is_refused():
        try:
            socket.create_connection(other, timeout=10).close()
        except ConnectionRefusedError:
            return True
        return False

    gateway.hopseal.configure(hopseal_listeners=f"smtp:{HOST}:{PORT}, smtp:{HOST}:{PORT + 1}")
    with gateway.running(), Client() as old:
        reload(PORT)
        gateway.wait_for(is_refused, "nobody there")
        reload(PORT, PORT + 1)
        assert not is_refused()
        assert old.say("NOOP")[:3] == "250"


def test_a_reload_refuses_an_address_that_is_there_twice(gateway):
    """As a start does: clients would get the one listener or the other."""
    gateway.hopseal.configure(hopseal_listeners=f"smtp:{HOST}:{PORT}")
    with gateway.running():
        gateway.hopseal.configure(hopseal_listeners=f"smtp:{HOST}:{PORT}, lmtp:{HOST}:{PORT}")
        gateway.child.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: "reloaded" in gateway.text(), "an answer")
        assert f"cannot listen on {HOST}:{PORT}: Address already in use" in gateway.text()


def test_an_address_of_ipv6_that_is_taken_is_told(gateway):
    """Only a machine without IPv6 may be content with half of "*"."""
    gateway.hopseal.configure(hopseal_listeners=f"smtp:*:{PORT}", inet_protocols="all")
    with socket.create_server(("::", PORT), family=socket.AF_INET6):
        result = gateway.hopseal.run("serve")
    assert result.code == NO_ADDRESS and f"[::]:{PORT}: Address already in use" in result.err


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
def test_whoever_stops_it_twice_does_not_wait(gateway, sink, again):
    """A delivery and a session that would go on for long are cut off, and nothing is lost."""
    s = sink(script={"dot": STALL})
    gateway.put("bob@good.example", message=subject(1))
    gateway.hopseal.configure(
        relayhost=f"[{s.address}]:25",
        hopseal_stop_time="100s",
        hopseal_listeners=f"smtp:{HOST}:{PORT}",
        mynetworks="127.0.0.1/32",
    )
    with gateway.running():
        gateway.wait_for(lambda: any("DATA" in x.verbs() for x in s.sessions), "the content")
        with Client() as c:
            for command in ("MAIL FROM:<a@client.example>", "RCPT TO:<b@good.example>", "DATA"):
                assert c.say(command)[0] in "23"
            gateway.child.send_signal(signal.SIGTERM)
            gateway.wait_for(lambda: "stopping: SIGTERM" in gateway.text(), "the first signal")
            gateway.child.send_signal(signal.SIGHUP)
            time.sleep(1)
            assert gateway.child.poll() is None, "it waits for both"
            gateway.child.send_signal(again)
            assert gateway.child.wait(40) == 0, "hopseal_stop_time is 100 s"
    assert "told so again" in gateway.text()
    s.close()
    good = sink()
    with gateway.running():
        gateway.wait_for(lambda: len(good.messages) == 1, "the message")
    assert received(good) == {("bob@good.example", "1"): 1}


SLOW = "carol@slow.example"


@pytest.fixture
def silent(gateway):
    """A routing table that says nothing of SLOW."""
    with MapServer("socketmap", {SLOW: SILENT}) as server:
        gateway.hopseal.base.update(
            transport_maps=server.spec, hopseal_table_timeout="100s", hopseal_stop_time="3s"
        )
        yield server


def test_a_stop_has_one_time_for_all(gateway, sink, silent):
    """Who brings mail and who is sent mail are cut off together."""
    s = sink(script={"dot": STALL})
    gateway.put("bob@good.example", message=subject(1))
    gateway.hopseal.configure(
        relayhost=f"[{s.address}]:25",
        hopseal_listeners=f"smtp:{HOST}:{PORT}",
        mynetworks="127.0.0.1/32",
        hopseal_stop_time="8s",
    )
    with gateway.running():
        gateway.wait_for(lambda: any(x.messages for x in s.sessions), "the dot")
        with Client() as c:
            assert c.say("MAIL FROM:<a@client.example>").startswith("250")
            c.send(b"RCPT TO:<%s>\r\n" % SLOW.encode())
            gateway.wait_for(lambda: SLOW in str(silent.requests), "the question")
            gateway.child.send_signal(signal.SIGTERM)
            assert c.reply() == ""
            cut = time.monotonic()
            assert gateway.child.wait(40) == 0 and time.monotonic() - cut < 7


def test_a_notice_that_finds_no_route_does_not_hold_up_a_stop(gateway, sink, silent):
    """The next start makes it."""
    s = sink(rcpt={"nobody@good.example": "550 5.1.1 No such user"})
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25")
    gateway.put("nobody@good.example", sender=SLOW, message=subject(1))
    with gateway.running():
        gateway.wait_for(lambda: SLOW in str(silent.requests), "the question")
        assert gateway.stop(seconds=60) == 0
    silent.script.clear()
    with gateway.running():
        gateway.wait_for_fate(SLOW, "sent")
    assert len(s.messages) == 1


def test_what_is_under_way_may_end_before_a_stop(gateway, sink):
    s = sink()
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25")
    for n in range(5):
        gateway.put("bob@good.example", message=subject(n))
    gateway.start()
    assert gateway.stop() == 0
    with gateway.running():
        gateway.wait_for(
            lambda: len({k for k in received(s)}) == 5, "all five messages"
        )
        gateway.wait_for(
            lambda: sum(d["status"] == "sent" for d in gateway.deliveries()) >= 5, "their records"
        )
    assert max(received(s).values()) == 1


def test_killed_at_any_moment_nothing_is_lost(gateway, sink):
    """At least once; twice only where the process died between the reply and its record."""
    s = sink()
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25")
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    n_messages, kills = 40, 0
    for n in range(n_messages):
        gateway.put(f"u{n}@good.example", message=subject(n))
    want = {(f"u{n}@good.example", str(n)) for n in range(n_messages)}
    while kills < 12 and set(received(s)) != want:
        gateway.start()
        time.sleep(rng.random() * 0.02)
        gateway.child.kill()
        gateway.child.communicate()
        kills += 1
    with gateway.running():
        gateway.wait_for(lambda: set(received(s)) == want, f"all mail (seed {seed})")
    again = sum(received(s).values()) - n_messages
    assert again <= kills * 20, (seed, again)  # no more than was under way at each end


def test_a_connection_that_is_lost_after_the_dot_is_told_as_doubtful(gateway, sink):
    s = sink(script={"dot": [DROP, "250 ok"]})
    gateway.hopseal.configure(relayhost=f"[{s.address}]:25")
    gateway.put("bob@good.example")
    with gateway.running():
        gateway.wait_for_fate("bob@good.example", "sent")
    first = gateway.deliveries("bob@good.example")[0]
    assert first["status"] == "deferred" and re.search("twice|lost", first["reason"]), first
