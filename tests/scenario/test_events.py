"""The log: a message from its connection to its end, each event there is, and what Postfix's log tools
make of it."""

import contextlib
import json
import re
import signal
import subprocess

import pytest

from lab import zones
from lab.client import FOREIGN, HOST, PORT, Client, intake, tls
from lab.hopseal import MESSAGE, TREE

# Not of these scenarios: where it is shown.
ELSEWHERE = {
    "clock_jumped": ("tests/scenario/test_gateway_faults.py", '"clock" in gateway.text()'),
    "lost": ("tests/scenario/test_gateway_faults.py", "the disk lost what was written"),
    "postmaster_bounced": (
        "tests/scenario/test_notices.py", "postmaster non-delivery notification: "
    ),
    "postmaster_delayed": (
        "tests/scenario/test_notices.py", "postmaster delay notification: "
    ),
    "log_kept": ("src/cmd/serve.c", "EVENT_log_kept"),
    "lines_lost": ("src/os/log_test.c", "lost"),
}


def events():
    text = (TREE / "lib/log/events.def").read_text()
    return set(re.findall(r"^EVENT\((\w+),", text, flags=re.M))


def objects(gateway):
    whole, _, _ = gateway.text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


@pytest.fixture
def gateway(hopseal, tmp_path, ca):
    g = intake(hopseal, tmp_path)
    hopseal.base.update(
        {
            **tls(ca),
            "smtpd_sasl_auth_enable": "yes",
            "hopseal_sasl_password_maps": f"inline:{{{{bob@x = secret}}}}",
            "smtp_tls_CAfile": str(ca.root),
            "smtp_tls_policy_maps": f"inline:{{{{[{zones.MX1}]:25 = verify match=mx.good.example}}}}",
            "transport_maps": "inline:{{dead.example = smtp:[127.0.0.1]:1}}",
            "minimal_backoff_time": "1s",
            "maximal_backoff_time": "1s",
            "hopseal_suspend_time": "1s",
            "initial_destination_concurrency": "1",
            "default_destination_concurrency_failed_cohort_limit": "1",
        }
    )
    hopseal.configure()
    return g


def receiver(sink, ca):
    return sink(
        cert=ca.cert("valid", "mx.good.example"),
        extensions=("PIPELINING", "SIZE 209715200", "ENHANCEDSTATUSCODES", "8BITMIME"),
        rcpt={
            "gone@good.example": "550 5.1.1 No such user",
            "none@good.example": "550 5.1.1 No such user",
            "busy@good.example": "421 4.3.2 Come back later",
        },
    )


def say_all(client, *commands):
    for command in commands:
        assert client.say(command)[0] in "23", command


def drive(gateway):
    """Clients of all kinds."""
    with Client() as c:
        c.starttls()
        assert c.say("AUTH PLAIN AGJvYkB4AG9kZA==").startswith("535")
        assert c.say("AUTH PLAIN AGJvYkB4AHNlY3JldA==").startswith("235")
        assert c.mail(MESSAGE, rcpt="ann@good.example").startswith("250")
        told = ("MAIL FROM:<alice@good.example>", "RCPT TO:<told@good.example> NOTIFY=SUCCESS")
        say_all(c, *told, "DATA")
        c.send(b"Message-ID: <told@client.example>\r\nSubject: x\r\n\r\nx\r\n.\r\n")
        assert c.reply().startswith("250")
        c.say("QUIT")
    with Client(source=FOREIGN) as c:
        assert c.mail().startswith("554")
    with Client() as c:
        for rcpt in ("none@good.example", "busy@good.example", "x@dead.example", "y@dead.example"):
            assert c.mail(rcpt=rcpt, sender="alice@good.example").startswith("250")
        assert c.mail(rcpt="none@good.example", sender="").startswith("250")
        say_all(c, "MAIL FROM:<>", "RCPT TO:<bob@good.example>", "DATA")  # and is gone


def test_every_event(gateway, sink, ca, tmp_path):
    """What can be logged is logged: each event of the list is seen here, or named with its place."""
    table = tmp_path / "canonical"
    table.write_text("good.example smtp:[%s]:25\n" % zones.MX1)
    gateway.hopseal.base.update(
        {
            "hopseal_log_format": "json",
            "notify_classes": "2bounce",
            "2bounce_notice_recipient": "gone@good.example",
            "delay_warning_time": "1s",
            "maximal_queue_lifetime": "4s",
            "bounce_queue_lifetime": "4s",
            "transport_maps": f"inline:{{{{dead.example = smtp:[127.0.0.1]:1}}}}, texthash:{table}",
            "hopseal_control_socket": str(tmp_path / "control"),
        }
    )
    gateway.hopseal.configure()
    receiver(sink, ca)

    def seen():
        return {o["event"] for o in objects(gateway)}

    gateway.start()
    drive(gateway)
    table.write_text("good.example smtp:[%s]:25\nother.example smtp:other\n" % zones.MX1)

    def asked(event):
        with Client() as c:
            c.say("MAIL FROM:<>")
            c.say("RCPT TO:<x@good.example>")
        return event in seen()

    gateway.wait_for(lambda: asked("notice"), "the new table")
    gateway.hopseal.configure(inet_protocols="odd")
    gateway.child.send_signal(signal.SIGHUP)
    gateway.wait_for(lambda: "reload_refused" in seen(), "a refused reload")
    gateway.hopseal.configure(smtp_helo_timeout="6s")
    gateway.child.send_signal(signal.SIGHUP)
    gateway.wait_for(lambda: "reloaded" in seen(), "a reload")
    with Client() as c:  # what came before has expired, maybe
        assert c.mail(rcpt="z@dead.example").startswith("250")
    assert gateway.hopseal.run("queue", "hold", "--all").code == 0
    rows = gateway.hopseal.run("queue", "--state", "held", "--json").out.splitlines()
    assert gateway.hopseal.run("queue", "hold", json.loads(rows[0])["queue_id"]).code == 0
    assert gateway.hopseal.run("queue", "release", "--all").code == 0
    wanted = events() - set(ELSEWHERE) - {"stopping", "stopped", "trouble"}
    with contextlib.suppress(RuntimeError):
        gateway.wait_for(lambda: wanted <= seen(), "the events", seconds=30)
    table.write_text("good.example x\ngood.example y\n")
    gateway.wait_for(lambda: asked("trouble"), "a broken table")
    assert gateway.stop() == 0
    assert sorted(events() - seen() - set(ELSEWHERE)) == []
    for path, word in ELSEWHERE.values():
        assert word in (TREE / path).read_text()


def lines_of(gateway, queue_id):
    """(program, what) of a message, without what differs from run to run."""
    found = [
        (program, text.removeprefix(f"{queue_id}: "))
        for program, text in gateway.lines()
        if text.startswith(f"{queue_id}: ")
    ]
    return [(program, re.sub(r"delays?=[^,]+", "delay", text)) for program, text in found]


def test_one_message_from_beginning_to_end(gateway, sink, ca):
    """Its lines, in their order, for people and for programs the same."""
    s = receiver(sink, ca)
    with gateway.running():
        with Client() as c:
            c.starttls()
            say_all(c, "MAIL FROM:<alice@good.example>", "RCPT TO:<ann@good.example>",
                    "RCPT TO:<none@good.example>", "DATA")
            c.send(b"Message-ID:\r\n <1@client.example>\r\nSubject: x\r\n\r\nx\r\n.\r\n")
            first = c.reply().split()[-1]
            c.say("QUIT")
        gateway.wait_for_fate("alice@good.example", "sent")
        gateway.wait_for(lambda: gateway.text().count(": removed") == 2, "the end")
    relay = f"{zones.MX1}[{zones.MX1}]:25"
    size = len(s.messages[0].data)
    own = lines_of(gateway, first)
    notice = re.search(r"notification: (\w+)", own[-2][1]).group(1)
    taken = re.escape(f"to=<ann@good.example>, relay={relay}, delay, delay, dsn=2.0.0, status=sent (250 ")
    assert own[0] == ("smtpd", "client=localhost[127.0.0.1]")
    assert own[1] == ("cleanup", "message-id=<1@client.example>")
    assert own[2] == ("qmgr", f"from=<alice@good.example>, size={size}, nrcpt=2 (queue active)")
    assert own[3][0] == "smtp" and re.match(taken + r".*\), tls=verify/verified$", own[3][1]), own[3]
    assert own[4] == (
        "smtp",
        f"to=<none@good.example>, relay={relay}, delay, delay, dsn=5.1.1, status=bounced (host {relay} said: "
        "550 5.1.1 No such user (in reply to RCPT TO)), tls=verify/verified",
    )
    assert own[5:] == [
        ("bounce", f"sender non-delivery notification: {notice}"),
        ("qmgr", "removed"),
    ]
    theirs = lines_of(gateway, notice)
    assert [program for program, _ in theirs] == ["cleanup", "qmgr", "smtp", "qmgr"]
    assert theirs[1][1].startswith("from=<>, size=") and theirs[-1][1] == "removed"
    begins = [text.split(" TLS ")[0] for _, text in gateway.lines("smtp") if " TLS connection" in text]
    assert begins == ["Verified"] * len([x for x in s.sessions if x.tls])
    daemon = [text for _, text in gateway.lines("smtpd") if not text.startswith(first)]
    assert daemon[0] == "connect from localhost[127.0.0.1]"
    assert re.match(r"Anonymous TLS connection established from localhost\[127.0.0.1\]: TLSv1.3 with "
                    r"cipher \w+ \(\d+ bits\)$", daemon[1])
    assert re.match(r"disconnect from localhost\[127.0.0.1\] ehlo=2 starttls=1 mail=1 rcpt=2 data=1 "
                    r"quit=1 commands=8$", daemon[-1]), daemon[-1]


def test_pflogsumm(gateway, sink, ca):
    """Debian's reporter of Postfix's log counts what happened."""
    s = receiver(sink, ca)
    with gateway.running():
        drive(gateway)
        for rcpt in ("ann@good.example", "told@good.example"):
            gateway.wait_for_fate(rcpt, "sent")
        gateway.wait_for(lambda: len(gateway.deliveries("none@good.example")) == 2, "two bounces")
        gateway.wait_for_fate("busy@good.example", "deferred")
        gateway.wait_for_fate("x@dead.example", "deferred")
        gateway.wait_for(lambda: sum(d["status"] == "sent" for d in gateway.deliveries()) == 4,
                         "the notices")
    said = subprocess.run(
        ["pflogsumm", "--syslog-name", "hopseal", "--detail", "5", gateway.log], capture_output=True, text=True, check=True
    ).stdout
    fates = [d["status"] for d in gateway.deliveries()]

    def count(what):
        return int(re.search(rf"^ +(\d+) +{what}", said, flags=re.M).group(1))

    accepted = [text for _, text in gateway.lines("smtpd") if ": client=" in text]
    assert count("received") == len(accepted) == 7
    assert count("delivered") == fates.count("sent") == 4
    late = {d["id"] for d in gateway.deliveries() if d["status"] == "deferred"}
    assert count("deferred") == len(late) >= 2
    assert int(re.search(r"deferred +\((\d+) +deferrals\)", said).group(1)) == fates.count("deferred")
    assert count("bounced") == fates.count("bounced") == 2
    assert count("rejected ") == sum("NOQUEUE: reject: " in text for _, text in gateway.lines()) > 0
    assert count("bytes delivered") == sum(
        len(m.data) * len(m.recipients) for m in s.messages
    )
    for text in ("No such user", "Come back later", "connection refused", "Relay access denied"):
        assert text in said, said
