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
from lab.gateway import Gateway
from test_intake import HOST, PORT, Client, Load

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

    def session(self):
        with Client() as c:
            while not self.is_over:
                self.tried += 1
                subject = f"{self.prefix}{self.tried}"
                size = self.large if self.tried % 2 else 100
                said = c.mail(b"Subject: %s\r\n\r\n" % subject.encode() + b"x" * size + b"\r\n")
                if said.startswith("250 "):
                    self.accepted.append(subject)
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
