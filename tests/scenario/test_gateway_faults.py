"""The gateway and what fails around it: the disk, the clock, names, servers, memory. After each fault
there is an account of every message that got a 250: delivered, returned, or in the queue still; and
delivered twice only where the last reply was not known."""

import collections
import contextlib
import email
import errno
import itertools
import os
import pathlib
import pwd
import random
import signal
import sqlite3
import subprocess
import threading
import time

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest
from lab import disk as lab_disk, dnsfault, zones
from lab.disk import (
    ALWAYS, FAIL, HANG, KILL, KILL_AFTER, LOSE, LOSE_AND_GO, OPEN, POWER, READ, SHORT, SIZE, SYNC,
    UNLINK, WRITE,
)
from lab.account import Account
from lab.gateway import Gateway
from lab.mapserver import SILENT, Error, MapServer, Raw
from lab.sink import DROP, RESET, STALL, Held, Last
from lab.client import HOST, PORT, Client
from lab.work import Work, accepted, refused, wait_for_more, working

WAL, DATABASE, CONTENT, RESERVE = "queue.db-wal", "queue.db$", "/content/", "/reserve"


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Listens on HOST:PORT for 127.0.0.1; relays to MX1. Every second message of a Work is in
    a file."""
    made = Gateway(hopseal, tmp_path)
    hopseal.base.update(
        {
            "hopseal_listeners": f"smtp:{HOST}:{PORT}",
            "mynetworks": "127.0.0.1/32",
            "relayhost": f"[{zones.MX1}]:25",
            "smtpd_error_sleep_time": "0",
            "hopseal_content_inline_limit": "2000",
            "smtpd_hard_error_limit": "100000",
        }
    )
    hopseal.configure()
    return made


@pytest.fixture
def disk(gateway):
    """The daemon's disk and clock."""
    with contextlib.closing(lab_disk.Disk(gateway.dir)) as made:
        gateway.env = made.env
        yield made


def subjects(s):
    """How often each Subject arrived."""
    return collections.Counter(email.message_from_bytes(m.data)["Subject"] for m in s.messages)


def wait_for_all(gateway, s, want, seconds=60):
    gateway.wait_for(lambda: want <= set(subjects(s)), f"all of {len(want)} messages", seconds)


def queue_is_empty(gateway):
    return gateway.hopseal.run("queue", "list").out.count("@") == 0


# ---- nothing fails ----


def test_fresh_mail_beside_retries_comes_once(gateway, sink):
    """What is read from the store for another try is beside what comes from the clients."""
    s = sink(rcpt={"late@good.example": "450 4.2.0 later"})
    gateway.hopseal.configure(maximal_backoff_time="1s", hopseal_workers="4")
    for _ in range(20):
        gateway.put("late@good.example")
    with gateway.running():
        with working(6) as works:
            wait_for_more(works, 1500, 180)
        wait_for_all(gateway, s, accepted(works))
    assert subjects(s) == dict.fromkeys(accepted(works), 1)


# ---- a disk that fails for a while ----

# Which calls, on which files, how.
FAULTS = {
    "wal-write": (WRITE, WAL, FAIL, errno.EIO),
    "wal-full": (WRITE, WAL, FAIL, errno.ENOSPC),
    "wal-quota": (WRITE, WAL, FAIL, errno.EDQUOT),
    "wal-short": (WRITE, WAL, SHORT, 0),
    "wal-sync": (SYNC, WAL, FAIL, errno.EIO),
    "wal-pages-lost": (SYNC, WAL, LOSE, errno.EIO),
    "wal-read": (READ, WAL, FAIL, errno.EIO),
    "content-open": (OPEN, CONTENT, FAIL, errno.EACCES),
    "content-files": (OPEN, CONTENT, FAIL, errno.EMFILE),
    "content-write": (WRITE, CONTENT, FAIL, errno.EIO),
    "content-full": (WRITE, CONTENT, FAIL, errno.ENOSPC),
    "content-short": (WRITE, CONTENT, SHORT, 0),
    "content-sync": (SYNC, CONTENT, FAIL, errno.EIO),
    "content-pages-lost": (SYNC, CONTENT, LOSE, errno.EIO),
    "content-unlink": (UNLINK, CONTENT, FAIL, errno.EIO),
    "content-quota": (WRITE, CONTENT, FAIL, errno.EDQUOT),
    "read-only": (WRITE | OPEN | SIZE | UNLINK, "/queue/", FAIL, errno.EROFS),
    "everything": (WRITE | SYNC | OPEN | READ | SIZE | UNLINK, "/queue/", FAIL, errno.EIO),
    "everything-full": (WRITE | SIZE, "/queue/", FAIL, errno.ENOSPC),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_disk_that_fails_for_a_while(gateway, sink, disk, fault):
    """Mail is refused for a time and what was accepted is delivered once, without a restart."""
    s = sink()
    if fault.endswith("lost"):
        disk.track("/queue/")
    with gateway.running():
        with working() as works:
            wait_for_more(works)
            for skip, count in ((0, 1), (3, 2), (1, 30)):
                n = disk.order(*FAULTS[fault], skip=skip, count=count)
                gateway.wait_for(lambda n=n: disk.hits(n) > 0, fault)
                time.sleep(0.1)
            disk.heal()  # what is left of the rules before
            n = disk.order(*FAULTS[fault])
            gateway.wait_for(lambda: disk.hits(n) > 0, fault)
            time.sleep(1.5)
            disk.heal()
            wait_for_more(works)
        want = accepted(works)
        wait_for_all(gateway, s, want)
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue")
        assert set(refused(works)) <= {"451 4.3.0", "452 4.3.1"}, refused(works)
    assert subjects(s) == dict.fromkeys(want, 1), (len(want), refused(works))
    with gateway.running():  # files that could not be removed go at the start
        pass
    assert list((gateway.dir / "queue/content").glob("*/*")) == []


@pytest.mark.parametrize("fault", ["content-open", "content-sync", "wal-sync", "wal-full"])
def test_a_notice_that_cannot_be_kept_comes_later(gateway, sink, disk, fault):
    """Without a restart, and once."""
    s = sink(rcpt={"nobody@good.example": "550 5.1.1 No such user"})
    gateway.hopseal.configure(hopseal_content_inline_limit="600")
    with gateway.running():
        with Client() as c:
            assert c.mail(rcpt="nobody@good.example").startswith("250")
            gateway.wait_for_fate("alice@client.example", "sent")
            # the next record is kept, what comes after it is not
            skip = 2 if fault.startswith("wal") else 0
            n = disk.order(*FAULTS[fault], skip=skip * 2)
            for _ in range(3):
                if not c.mail(rcpt="nobody@good.example").startswith("250"):
                    break
            gateway.wait_for(lambda: disk.hits(n) > 1, "the fault")
        time.sleep(1.2)
        disk.heal()
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue", 40)
    bounced = {d["id"] for d in gateway.deliveries("nobody@good.example")}
    notices = [d["id"] for d in gateway.deliveries("alice@client.example")]
    assert len(set(notices)) == len(notices) == len(bounced) > 1


@pytest.mark.parametrize("fault", ["content-full", "content-sync"])
def test_a_notice_that_waits_for_the_disk_has_its_text(gateway, sink, disk, fault):
    """It is the notice that cannot be written; what it is about can be read all the time."""
    s = sink(rcpt={"nobody@good.example": "550 5.1.1 No such user"})
    gateway.hopseal.configure(hopseal_content_inline_limit="600")
    gateway.put("nobody@good.example", message=b"Subject: x\r\n\r\n" + b"The text.\r\n" * 200)
    n = disk.order(*FAULTS[fault])
    with gateway.running():
        gateway.wait_for(lambda: disk.hits(n) > 3, "the fault")
        disk.heal()
        gateway.wait_for_fate("alice@client.example", "sent")
    (notice,) = s.messages
    assert notice.data.count(b"The text.") == 200


def test_mail_that_found_no_file_is_not_too_old_for_it(gateway, sink, disk):
    """It was not tried at all; it is when there are files again."""
    s = sink()
    gateway.hopseal.configure(maximal_queue_lifetime="0", bounce_queue_lifetime="0")
    gateway.put("bob@good.example", message=b"Subject: x\r\n\r\n" + b"x" * 5000 + b"\r\n")
    n = disk.order(*FAULTS["content-files"])
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries("bob@good.example")) > 1, "two attempts")
        disk.heal()
        gateway.wait_for_fate("bob@good.example", "sent")
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue")
    assert disk.n_rules == 0 and [m.recipients for m in s.messages] == [["RCPT TO:<bob@good.example>"]], n
    assert "returned to sender" not in gateway.text()


def test_a_message_that_cannot_be_read_comes_back_without_its_text(gateway, sink):
    """Its file has gone: it cannot be delivered, and its sender hears of that."""
    s = sink(rcpt={"late@good.example": "450 4.2.0 later"})
    with gateway.running():
        with Client() as c:
            said = c.mail(b"Subject: x\r\n\r\n" + b"x" * 5000 + b"\r\n", "late@good.example")
            assert said.startswith("250"), said
        gateway.wait_for_fate("late@good.example", "deferred")
        (file,) = (gateway.dir / "queue/content").glob("*/*")
        file.unlink()
        gateway.wait_for(lambda: "No such file" in gateway.text(), "another attempt")
    gateway.hopseal.configure(maximal_queue_lifetime="1s")
    with gateway.running():
        gateway.wait_for_fate("alice@client.example", "sent")
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue")
    (notice,) = s.messages
    report = email.message_from_bytes(notice.data)
    assert report.get_content_type() == "multipart/report"
    assert report.get_payload(1).get_payload(1)["Final-Recipient"] == "rfc822; late@good.example"


@pytest.mark.parametrize("fault", ["wal-write", "wal-full", "wal-sync"])
def test_a_stop_while_the_disk_fails(gateway, sink, disk, fault):
    """It ends in its time, and says what it could not keep."""
    s = sink()
    gateway.hopseal.configure(hopseal_stop_time="2s")
    gateway.put("bob@good.example")
    gateway.start()
    gateway.wait_for_fate("bob@good.example", "sent")
    assert gateway.stop() == 0
    gateway.put("carol@good.example")
    disk.order(*FAULTS[fault], skip=4)
    n = disk.order(*FAULTS[fault])
    gateway.start()
    gateway.wait_for(lambda: disk.hits(0) + disk.hits(n) > 1, fault)
    begun = time.monotonic()
    status = gateway.stop()
    assert status in (0, 74) and time.monotonic() - begun < 15
    delivered = "carol@good.example" in str([m.recipients for m in s.messages])
    disk.heal()
    with gateway.running():
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue")
    to = [m.recipients[0] for m in s.messages].count("RCPT TO:<carol@good.example>")
    assert 1 <= to <= 1 + delivered
    if to > 1:
        assert "will be delivered again" in gateway.text()


def test_what_cannot_be_recorded_is_not_begun(gateway, sink, disk):
    """All of it would come twice, should the daemon die before the disk is well."""
    go = threading.Event()
    s = sink(script={"dot": Held("250 2.0.0 Ok", go)})
    gateway.hopseal.configure(smtp_destination_recipient_limit="2")
    gateway.put(*[f"r{i}@good.example" for i in range(400)])
    with gateway.running():
        gateway.wait_for(lambda: s.messages, "the first dot")
        disk.order(*FAULTS["wal-write"])
        go.set()
        gateway.wait_for(lambda: gateway.text().count("keep an attempt") > 250, "the disk's no")
        assert 50 <= len(s.messages) < 150
        disk.heal()
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue", 60)
    assert collections.Counter(r for m in s.messages for r in m.recipients) == {
        f"RCPT TO:<r{i}@good.example>": 1 for i in range(400)
    }


# ---- a disk at which the process dies, or the power goes ----

POINTS = {
    "wal-write": (WRITE, WAL),
    "wal-sync": (SYNC, WAL),
    "content-open": (OPEN, CONTENT),
    "content-write": (WRITE, CONTENT),
    "content-sync": (SYNC, CONTENT),
    "content-unlink": (UNLINK, CONTENT),
    "database-write": (WRITE, DATABASE),
    "database-sync": (SYNC, DATABASE),
}
DEATHS = {"kill": KILL, "kill-after": KILL_AFTER, "power": POWER, "power-some": POWER}


@contextlib.contextmanager
def account(gateway, s, works):
    """An account of the works' messages, closed by a last run of the daemon."""
    made = Account(gateway, s, lambda: [i for work in works for i in work.ids])
    yield made
    with gateway.running():
        gateway.wait_for(lambda: set(made.promised()) <= set(made.received()), "all mail", 60)
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue")
    print(made.closed())


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("point", POINTS)
def test_a_death_at_a_call(gateway, sink, disk, monkeypatch, point, death):
    """Before, after, or in the place of a system call; with what was not synchronised, or without."""
    s = sink(keep_data=True)
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    is_copied = point.startswith("database")
    most = 2 if point == "database-sync" else 60
    if is_copied:  # so much that the log is copied into the database
        gateway.hopseal.configure(hopseal_content_inline_limit="500000")
        monkeypatch.setattr(Work, "large", 200_000)
    if death.startswith("power"):
        disk.track("/queue/", seed if death.endswith("some") else None)
    with working(3) as works:
        with account(gateway, s, works) as a:
            for _ in range(2 if is_copied else 4):
                gateway.start()
                disk.order(*POINTS[point], DEATHS[death], skip=int(rng.random() ** 2 * most))
                gateway.child.wait(60)
                gateway.child.communicate()
                disk.heal()
                a.ended()
            for work in works:
                work.is_over = True
    assert a.promised(), seed


@pytest.mark.parametrize("has_log", [True, False], ids=["log", "log-hangs"])
def test_pages_that_are_lost_while_somebody_reads(gateway, sink, disk, monkeypatch, has_log):
    """The log is copied in part, for a reader needs the rest; what was copied does not reach the disk,
    and the disk says so once. Nothing but a new process makes that good, from the log. The daemon's
    own log may be on that disk."""
    gateway.hopseal.configure(hopseal_content_inline_limit="500000")
    monkeypatch.setattr(Work, "large", 200_000)
    s = sink()
    disk.track("/queue/")
    with working(3) as works, account(gateway, s, works) as a:
        gateway.start()
        wait_for_more(works, 30)
        with contextlib.closing(sqlite3.connect(gateway.dir / "queue/queue.db")) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM message").fetchall()
            disk.order(SYNC, DATABASE, LOSE if has_log else LOSE_AND_GO)
            if not has_log:
                disk.order(WRITE, "/log$", HANG, skip=ALWAYS)
            gateway.child.wait(60)
        assert gateway.child.returncode == IO_ERROR
        told = gateway.child.communicate()[0]
        assert "Sanitizer" not in told
        assert told.count("the disk lost what was written") == 1
        said = [line for line in gateway.lines() if "the disk lost what was written" in line[1]]
        assert [line[0] for line in said] == ["hopseal"] * has_log
        disk.heal()
        a.ended()
        gateway.start()
        wait_for_more(works, 30)
        for work in works:
            work.is_over = True
        assert gateway.stop() == 0
        a.ended()
    database = sqlite3.connect(gateway.dir / "queue/queue.db")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# ---- clocks ----

HOUR = 3600


def arrived(s, to):
    """How often a recipient's mail came."""
    return [r for m in list(s.messages) for r in m.recipients].count(f"RCPT TO:<{to}>")


def log_ids(gateway):
    """Queue ids in the order in which messages were accepted."""
    return [text.split(":")[0] for _, text in gateway.lines("smtpd") if ": client=" in text]


@pytest.mark.parametrize("hours", [2, 24 * 30, 24 * 365 * 5])
def test_a_clock_that_jumps_ahead_expires_nothing(gateway, sink, disk, hours):
    """What failed for a moment is not given up for its age: the jump is said, and it is tried on."""
    s = sink(rcpt={"late@good.example": "450 4.2.0 later"})
    gateway.hopseal.configure(
        {"transport": "dead.example smtp:[192.0.2.90]:25\n"},
        transport_maps="texthash:TABLES/transport",
        maximal_queue_lifetime="1h",
        delay_warning_time="0",
    )
    gateway.put("late@good.example")
    gateway.put("late@dead.example")
    with gateway.running():
        gateway.wait_for_fate("late@good.example", "deferred")
        gateway.wait_for_fate("late@dead.example", "deferred")
        disk.shift_clock(hours * HOUR)
        before = len(gateway.deliveries())
        gateway.wait_for(lambda: len(gateway.deliveries()) > before + 2, "more attempts")
        gateway.wait_for(lambda: "clock" in gateway.text(), "a word about it")
        with Client() as c:
            assert c.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
        disk.shift_clock(0)
        del s.config.rcpt["late@good.example"]
        gateway.wait_for_fate("late@good.example", "sent")
    assert "expired" not in gateway.text()
    assert arrived(s, "late@good.example") == arrived(s, "bob@good.example") == 1
    assert gateway.hopseal.run("queue", "list").out.count("late@dead.example") == 1


@pytest.mark.parametrize("hours", [2, 24 * 365 * 5])
def test_a_clock_that_jumps_back_holds_nothing_up(gateway, sink, disk, hours):
    """Due times far ahead are no honest ones. Queue ids rise all the same."""
    s = sink(rcpt={"late@good.example": "450 4.2.0 later"})
    gateway.put("late@good.example")
    with gateway.running():
        gateway.wait_for_fate("late@good.example", "deferred")
        disk.shift_clock(-hours * HOUR)
        before = len(gateway.deliveries())
        gateway.wait_for(lambda: len(gateway.deliveries()) >= before + 2, "more attempts")
        for _ in range(3):
            with Client() as c:
                assert c.mail().startswith("250")
        del s.config.rcpt["late@good.example"]
        gateway.wait_for_fate("late@good.example", "sent")
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue")
    assert arrived(s, "bob@good.example") == 3 and arrived(s, "late@good.example") == 1


def test_a_clock_set_back_while_the_daemon_was_down(gateway, sink, disk):
    """What the queue says is due in years is due now."""
    s = sink(rcpt={"late@good.example": "450 4.2.0 later"})
    disk.shift_clock(24 * 365 * HOUR)
    gateway.put("other@good.example")
    with gateway.running():
        with Client() as c:
            assert c.mail(rcpt="late@good.example").startswith("250")
        gateway.wait_for_fate("late@good.example", "deferred")
        gateway.wait_for_fate("other@good.example", "sent")
    first = log_ids(gateway)
    disk.shift_clock(0)
    del s.config.rcpt["late@good.example"]
    with gateway.running():
        gateway.wait_for_fate("late@good.example", "sent")
        with Client() as c:
            assert c.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
    assert log_ids(gateway)[-1] > first[0]


def test_queue_ids_rise_while_the_clock_stands_still_or_goes_back(gateway, sink, disk):
    s = sink()
    gateway.hopseal.configure(hopseal_workers="1")
    with gateway.running():
        with Client() as c:
            for n in range(30):
                if n == 10:
                    disk.stop_clock(time.time_ns())
                elif n == 20:
                    disk.stop_clock(time.time_ns() - 10**12)
                assert c.mail(b"Subject: %d\r\n\r\n" % n).startswith("250")
        gateway.wait_for(lambda: len(s.messages) == 30, "all of them")
    ids = log_ids(gateway)
    assert ids == sorted(set(ids)) and len(ids) == 30


# ---- servers that die ----

GARBAGE = b"\xff\xfe hello there\r\n"
ENDS = {
    "fin": DROP,
    "reset": RESET,
    "stall": STALL,
    "garbage": Last(GARBAGE),
    "421": Last("421 4.3.2 going down"),
}
CLEAR = ["banner", "EHLO", "MAIL", "RCPT", "DATA", "body", "dot", "RSET", "QUIT"]
IN_TLS = ["STARTTLS", "tls", "tls:EHLO", "tls:MAIL", "tls:RCPT", "tls:DATA", "body", "tls:dot",
          "tls:QUIT"]
TIMES = ["connect", "helo", "mail", "rcpt", "data_init", "data_xfer", "data_done", "quit", "rset",
         "starttls"]


def deaths(stages):
    """What is done once, the first time or after the first message or some recipients, and then
    never again: name and script."""
    for stage, end in itertools.product(stages, ENDS):
        yield f"{stage}-{end}", {stage: [ENDS[end], None]}
        if stage.endswith("RCPT"):
            yield f"{stage}25-{end}", {stage: [None] * 24 + [ENDS[end], None]}
            yield f"{stage}50-{end}", {stage: [None] * 49 + [ENDS[end], None]}
        if stage.endswith(("MAIL", "DATA", "dot")) or stage == "body":
            yield f"second-{stage}-{end}", {stage: [None, ENDS[end], None]}
    dot = "tls:dot" if "tls" in stages else "dot"
    yield "closed-after-the-message", {dot: [Last("250 2.0.0 Ok"), None]}


def give(c, domain, n):
    """A message for n recipients there."""
    assert c.say("MAIL FROM:<alice@client.example>").startswith("250")
    for k in range(n):
        assert c.say(f"RCPT TO:<r{n}.{k}@{domain}>").startswith("250")
    assert c.say("DATA").startswith("354")
    c.send(b"Subject: %d\r\n\r\n" % n + b"A line.\r\n" * 1000 + b".\r\n")
    assert c.reply().startswith("250")


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one-by-one"])
@pytest.mark.parametrize("stages", [CLEAR, IN_TLS], ids=["clear", "tls"])
def test_servers_that_die(gateway, sink, ca, stages, pipelining):
    """In every state, by every means, with one recipient and with fifty: all is delivered in the
    end, once where the last reply was heard, and nothing is returned."""
    how = {"extensions": ("PIPELINING",) * pipelining}
    if "tls" in stages:
        how["cert"] = ca.cert("valid", "sink.example")
    cases = [(f"d{n}.example", name, sink(zones.MX1, 3000 + n, script=script, **how))
             for n, (name, script) in enumerate(deaths(stages))]
    gateway.hopseal.configure(
        {"transport": "".join(f"{to} smtp:[{s.address}]:{s.port}\n" for to, _, s in cases)},
        transport_maps="texthash:TABLES/transport",
        smtp_tls_security_level="encrypt" if "tls" in stages else "none",
        initial_destination_concurrency="1",
        default_destination_concurrency_limit="1",
        default_destination_concurrency_failed_cohort_limit="3",
        hopseal_suspend_time="1s",
        smtpd_recipient_limit="100",
        # a reply to the dot that comes late is one more delivery
        **{f"smtp_{name}_timeout": "10s" if name == "data_done" else "2s" for name in TIMES},
    )
    sizes = (50, 1, 3)
    want = {f"r{n}.{k}" for n in sizes for k in range(n)}

    def got(s):
        return collections.Counter(
            r[9:].split("@")[0] for m in list(s.messages) for r in m.recipients
        )

    with gateway.running():
        with Client() as c:
            for to, _, _ in cases:
                for n in sizes:
                    give(c, to, n)
        gateway.wait_for(
            lambda: all(want <= set(got(s)) for _, _, s in cases), "all of it", 60
        )
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue")
    assert not [d for d in gateway.deliveries() if d["status"] == "bounced"]
    for _, name, s in cases:
        again = {r: n for r, n in got(s).items() if n > 1}
        if "dot-" in name:
            assert set(again.values()) <= {2} and len(again) in (0, *sizes), (name, again)
        else:
            assert not again, (name, again)


# ---- names ----


class Moody(dnsfault.FaultyServer):
    """A name server, and all there is of names; `how` it fails can change at any time."""

    def __init__(self, address, records):
        self.how = "well"
        super().__init__(records, address)

    def _reply(self, query):
        reply = super()._reply(query)
        if self.how == "servfail-mx" and query.question[0].rdtype == dns.rdatatype.MX:
            reply.set_rcode(dns.rcode.SERVFAIL)
            reply.answer.clear()
        elif self.how == "servfail":
            reply.set_rcode(dns.rcode.SERVFAIL)
            reply.answer.clear()
        elif self.how == "refused":
            reply.set_rcode(dns.rcode.REFUSED)
            reply.answer.clear()
        elif self.how == "truncate":
            reply.flags |= dns.flags.TC
            reply.answer.clear()
        elif self.how == "slow":
            time.sleep(1.5)
        elif self.how == "silent":
            return None
        return reply


RECORDS = {
    ("named.example.", "MX"): ["10 mx.named.example."],
    ("named.example.", "A"): [zones.MX2],
    ("mx.named.example.", "A"): [zones.MX1],
}


HOWS = ["servfail", "servfail-mx", "refused", "truncate", "silent", "slow"]
FIRST_SERVER = 110  # 192.0.2.x: a closed server's thread keeps its address for a while


def names_at(server):
    """All names are there."""
    return {(".", "NS"): ["ns.named.example."], ("ns.named.example.", "A"): [server], **RECORDS}


@pytest.mark.parametrize("how", HOWS)
def test_names_that_cannot_be_looked_up(gateway, sink, how):
    """Mail waits; what routing tables name goes on; a lookup that failed is never "there is none", so
    that the domain's own address is not tried in its place."""
    s, other = sink(), sink(zones.MX2)
    server = f"192.0.2.{FIRST_SERVER + HOWS.index(how)}"
    gateway.hopseal.configure(
        {"transport": f"routed.example smtp:[{zones.MX1}]:25\n"},
        transport_maps="texthash:TABLES/transport",
        relayhost=None,
        hopseal_dns_stub_servers=f"{server}@53",
        hopseal_dns_trust_anchor_file="",
        hopseal_dns_timeout="1s",
    )
    with contextlib.closing(Moody(server, names_at(server))) as names, gateway.running():
        names.how = how
        with Client() as c:
            assert c.mail(b"Subject: 1\r\n\r\n", "bob@named.example").startswith("250")
            assert c.mail(b"Subject: 2\r\n\r\n", "bob@routed.example").startswith("250")
        gateway.wait_for_fate("bob@routed.example", "sent")
        failed = gateway.wait_for_fate("bob@named.example", "deferred")
        assert failed["dsn"] == "4.4.3", failed
        names.how = "well"
        gateway.wait_for_fate("bob@named.example", "sent", 30)
    assert subjects(s) == {"1": 1, "2": 1} and not other.sessions


def test_no_name_server_at_all(gateway, sink):
    s = sink()
    server = f"192.0.2.{FIRST_SERVER - 1}"
    gateway.hopseal.configure(
        relayhost=None,
        hopseal_dns_stub_servers=f"{server}@53",
        hopseal_dns_trust_anchor_file="",
        hopseal_dns_timeout="1s",
    )
    with gateway.running():
        with Client() as c:
            assert c.mail(rcpt="bob@named.example").startswith("250")
        assert gateway.wait_for_fate("bob@named.example", "deferred")["dsn"] == "4.4.3"
        with contextlib.closing(Moody(server, names_at(server))):
            gateway.wait_for_fate("bob@named.example", "sent", 30)
    assert len(s.messages) == 1


# ---- servers of tables ----


@pytest.mark.parametrize("end", ["stopped", "silent", "error", "garbage"])
@pytest.mark.parametrize("protocol", ["socketmap", "tcp"])
def test_a_policy_server_that_dies(gateway, sink, protocol, end):
    """Nothing is sent without the answer, and all of it when there is one again."""
    s = sink()
    ends = {"silent": SILENT, "error": Error(), "garbage": Raw(b"\xff\xff\xff\xff")}
    with MapServer(protocol, {"[192.0.2.11]:25": "may"}) as server:
        gateway.hopseal.configure(
            smtp_tls_policy_maps=server.spec, hopseal_table_timeout="1s",
            default_destination_concurrency_failed_cohort_limit="100",
        )
        with gateway.running():
            with Client() as c:
                assert c.mail(b"Subject: 1\r\n\r\n").startswith("250")
                gateway.wait_for_fate("bob@good.example", "sent")
                good = dict(server.script)
                if end == "stopped":
                    server.stop()
                else:
                    server.script["[192.0.2.11]:25"] = ends[end]
                for n in range(2, 6):
                    assert c.mail(b"Subject: %d\r\n\r\n" % n).startswith("250")
            gateway.wait_for_fate("bob@good.example", "deferred")
            assert subjects(s) == {"1": 1}
            server.script.update(good)
            if end == "stopped":
                server.start()
            gateway.wait_for(lambda: len(subjects(s)) == 5, "all of them", 30)
    assert set(subjects(s).values()) == {1}
    assert not [d for d in gateway.deliveries() if d["status"] == "bounced"]


def test_a_routing_server_that_dies(gateway, sink):
    """A recipient that cannot be routed is refused for now; one in the queue waits."""
    s = sink()
    with MapServer("socketmap", {"good.example": f"smtp:[{zones.MX1}]:25"}) as server:
        gateway.hopseal.configure(transport_maps=server.spec, hopseal_table_timeout="1s")
        gateway.put("carol@good.example")
        server.stop()
        with gateway.running():
            gateway.wait_for_fate("carol@good.example", "deferred")
            with Client() as c:
                assert c.mail().startswith("451 4.3.0")
                server.start()  # it is asked again after a while
                gateway.wait_for(
                    lambda: c.say("RSET") and c.mail().startswith("250"), "an answer again"
                )
            gateway.wait_for_fate("bob@good.example", "sent")
            gateway.wait_for_fate("carol@good.example", "sent")
    assert len(s.messages) == 2


# ---- a queue that cannot be used ----

IO_ERROR = 74


def refused_start(gateway, *words, code=IO_ERROR):
    """The daemon does not start, and says why."""
    result = gateway.hopseal.run("serve")
    assert result.code == code, result
    for word in words:
        assert word in result.err, result


def as_root():
    return os.geteuid() == 0


def test_a_read_only_file_system(gateway):
    where = gateway.dir / "queue"
    where.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", where],
                      capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        refused_start(gateway, str(where), "Read-only file system")
    finally:
        subprocess.run(["umount", "-l", where], check=True)


@pytest.mark.parametrize("name", ["queue.db", "lock", "content/00", "."])
def test_files_of_somebody_else(gateway, name):
    """Not opened, not mended, not made again: named."""
    if not as_root():
        pytest.skip("needs root")
    gateway.put("bob@good.example")
    anywhere = {"hopseal_dns_trust_anchor_file": "", "smtp_tls_CAfile": "", "lmtp_tls_CAfile": ""}
    gateway.hopseal.configure(hopseal_user="nobody", **anywhere)
    target = gateway.dir / "queue" / name
    for path in [gateway.dir, *gateway.dir.parents]:  # so that nobody gets there
        if path != pathlib.Path("/") and path != pathlib.Path("/tmp"):
            path.chmod(path.stat().st_mode | 0o011)
    queue = gateway.dir / "queue"
    for path in [queue, *queue.rglob("*")]:
        os.chown(path, pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    os.chown(target, 0, 0)
    target.chmod(0o700 if target.is_dir() else 0o600)
    gateway.log.touch()
    os.chown(gateway.log, pwd.getpwnam("nobody").pw_uid, 0)
    if name == ".":  # the folder itself is given to the user
        with gateway.running():
            pass
    elif name == "content/00":
        refused_start(gateway, str(target), "Permission denied")
    else:
        result = gateway.hopseal.run("serve")
        assert result.code == IO_ERROR and str(target) in result.err, result


def test_a_queue_directory_that_vanishes(gateway, sink):
    """What would be written nowhere gets no 250; with the directory back all goes on."""
    s = sink()
    queue, away = gateway.dir / "queue", gateway.dir / "away"
    with gateway.running():
        with Client() as c:
            assert c.mail(b"Subject: 1\r\n\r\n").startswith("250")
            gateway.wait_for(lambda: len(s.messages) == 1, "the first")
            gateway.wait_for(lambda: queue_is_empty(gateway), "its record")
            queue.rename(away)
            time.sleep(1.2)  # what is known of the room on the disk may be a second old
            for n, size in enumerate((10, 5000), 2):
                said = c.mail(b"Subject: %d\r\n\r\n" % n + b"x" * size + b"\r\n")
                assert said.startswith("45"), said
                c.say("RSET")
            away.rename(queue)
            time.sleep(1.2)
            said = c.mail(b"Subject: 4\r\n\r\n")
            assert said.startswith("250"), said
            assert c.mail(b"Subject: 5\r\n\r\n" + b"x" * 5000 + b"\r\n").startswith("250")
        gateway.wait_for(lambda: len(s.messages) == 3, "what was accepted")
    assert subjects(s) == {"1": 1, "4": 1, "5": 1}


@pytest.mark.parametrize("what", ["queue.db*", "queue.db-wal"])
def test_a_queue_that_is_removed(gateway, sink, what):
    """No 250 for what goes into files without a name."""
    sink()
    with gateway.running():
        with Client() as c:
            assert c.mail(b"Subject: 1\r\n\r\n").startswith("250")
            gateway.wait_for(lambda: queue_is_empty(gateway), "its record")
            for path in (gateway.dir / "queue").glob(what):
                path.unlink()
            said = c.mail(b"Subject: 2\r\n\r\n")
        assert said.startswith("451 4.3.0"), said
        assert "queue.db" in gateway.text()


def test_a_small_disk_under_load(gateway, sink):
    """A file system of 100 MB that fills up and empties: nothing that was promised is lost."""
    where = gateway.dir / "queue"
    where.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m,mode=0700", "tmpfs", where],
                      capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        s = sink()
        gateway.hopseal.configure(queue_minfree="0")
        with gateway.running(), working(3) as works:
            for _ in range(3):
                wait_for_more(works, 20)
                with contextlib.suppress(OSError), open(where / "filler", "wb") as f:
                    while True:
                        f.write(b"x" * 65536)
                        f.flush()
                n = sum(refused(works).values())
                gateway.wait_for(lambda n=n: sum(refused(works).values()) > n, "a refusal")
                (where / "filler").unlink()
            wait_for_more(works, 20)
            for work in works:
                work.is_over = True
            for work in works:
                work.join(30)
            wait_for_all(gateway, s, accepted(works))
            gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue")
        assert subjects(s) == dict.fromkeys(accepted(works), 1)
        assert "452 4.3.1" in refused(works), refused(works)
    finally:
        subprocess.run(["umount", "-l", where], check=True)
