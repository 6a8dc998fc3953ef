"""The gateway and what fails around it: the disk, the clock, names, servers, memory. After each fault
there is an account of every message that got a 250: delivered, returned, or in the queue still; and
delivered twice only where the last reply was not known."""

import collections
import contextlib
import email
import errno
import itertools
import random
import time

import pytest

from lab import disk as lab_disk, zones
from lab.disk import (
    ALWAYS, FAIL, KILL, KILL_AFTER, LOSE, OPEN, POWER, READ, SHORT, SIZE, SYNC, UNLINK, WRITE,
)
from lab.account import Account
from lab.gateway import Gateway
from lab.client import Client
from test_intake import HOST, PORT, Load

WAL, DATABASE, CONTENT, RESERVE = "queue.db-wal", "queue.db$", "/content/", "/reserve"


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Listens on HOST:PORT for 127.0.0.1; relays to MX1. Every second message of a Load is in a
    file."""
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


class Work(Load):
    """A client that sends small and large messages, and remembers what it was answered."""

    large = 5000

    def __init__(self, name):
        super().__init__(name)
        self.refused = collections.Counter()
        self.ids = []

    def session(self):
        with Client() as c:
            while not self.is_over:
                self.tried += 1
                subject = f"{self.prefix}{self.tried}"
                size = self.large if self.tried % 2 else 100
                said = c.mail(b"Subject: %s\r\n\r\n" % subject.encode() + b"x" * size + b"\r\n")
                if said.startswith("250 "):
                    self.accepted.append(subject)
                    self.ids.append(said.split()[-1])
                else:
                    self.refused[said[:9]] += 1
                if said[:3] in ("", "421"):
                    return


@contextlib.contextmanager
def working(n=3):
    """Clients at work inside the block; gives them."""
    works = [Work(name) for name in "abcdef"[:n]]
    for work in works:
        work.start()
    try:
        yield works
    finally:
        for work in works:
            work.is_over = True
        for work in works:
            work.join(30)


def accepted(works):
    return {subject for work in works for subject in work.accepted}


def refused(works):
    return sum((work.refused for work in works), collections.Counter())


def subjects(s):
    """How often each Subject arrived."""
    return collections.Counter(email.message_from_bytes(m.data)["Subject"] for m in s.messages)


def wait_for_all(gateway, s, want, seconds=60):
    gateway.wait_for(lambda: want <= set(subjects(s)), f"all of {len(want)} messages", seconds)


def queue_is_empty(gateway):
    return gateway.hopseal.run("queue", "list").out.count("@") == 0


def wait_for_more(works, n=20, seconds=30):
    """Waits until that many more messages were accepted."""
    end, goal = time.monotonic() + seconds, len(accepted(works)) + n
    while len(accepted(works)) < goal:
        assert time.monotonic() < end, (len(accepted(works)), goal, refused(works))
        time.sleep(0.02)


# ---- nothing fails ----


def test_fresh_mail_beside_retries_comes_once(gateway, sink):
    """What is read from the store for another try is beside what comes from the clients."""
    s = sink(rcpt={"late@good.example": "450 4.2.0 later"})
    gateway.hopseal.configure(maximal_backoff_time="1s", hopseal_workers="4")
    for _ in range(20):
        gateway.put("late@good.example")
    with gateway.running():
        with working(6) as works:
            wait_for_more(works, 1500)
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
            n = disk.order(*FAULTS[fault])
            time.sleep(1.5)
            assert disk.hits(n) > 0
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
    begun = time.monotonic()
    gateway.wait_for(lambda: disk.hits(0) + disk.hits(n) > 1, fault)
    status = gateway.stop()
    assert status in (0, 74) and time.monotonic() - begun < 10
    delivered = "carol@good.example" in str([m.recipients for m in s.messages])
    disk.heal()
    with gateway.running():
        gateway.wait_for(lambda: queue_is_empty(gateway), "an empty queue")
    to = [m.recipients[0] for m in s.messages].count("RCPT TO:<carol@good.example>")
    assert 1 <= to <= 1 + delivered
    if to > 1:
        assert "will be delivered again" in gateway.text()


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
