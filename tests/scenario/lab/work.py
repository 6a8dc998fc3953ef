"""Clients at work for the length of a scenario, whatever becomes of the gateway meanwhile."""

import collections
import contextlib
import threading
import time

from lab.client import Client
from lab.process import PATIENCE


class Work(threading.Thread):
    """A client that sends message after message, small and large, and remembers what it was
    answered. `rcpts` are taken in turn."""

    large = 5000

    def __init__(self, name, rcpts=("bob@good.example",)):
        super().__init__(daemon=True)
        self.prefix, self.rcpts, self.tried, self.is_over = name, rcpts, 0, False
        self.accepted, self.ids, self.of = [], [], collections.defaultdict(list)
        self.refused = collections.Counter()

    def run(self):
        """Until is_over; a connection that breaks is made anew."""
        while not self.is_over:
            with contextlib.suppress(OSError, IndexError, AssertionError):
                self.session()
            time.sleep(0.01)

    def session(self):
        """Messages on one connection."""
        with Client() as c:
            while not self.is_over:
                self.tried += 1
                subject = f"{self.prefix}{self.tried}"
                size = self.large if self.tried % 2 else 100
                octets = b"Subject: %s\r\n\r\n" % subject.encode() + b"x" * size + b"\r\n"
                rcpt = self.rcpts[self.tried % len(self.rcpts)]
                said = c.mail(octets, rcpt)
                if said.startswith("250 "):
                    queue_id = said.split()[-1]
                    self.of[rcpt].append(queue_id)
                    self.accepted.append(subject)
                    self.ids.append(queue_id)
                else:
                    self.refused[said[:9]] += 1
                if said[:3] in ("", "421"):
                    return


@contextlib.contextmanager
def working(n=3, **how):
    """Clients at work inside the block; gives them."""
    works = [Work(name, **how) for name in "abcdef"[:n]]
    for work in works:
        work.start()
    try:
        yield works
    finally:
        end(works)


def end(works):
    """They finish what they are at."""
    for work in works:
        work.is_over = True
    for work in works:
        work.join(30)


def accepted(works):
    """The Subjects of what got a 250."""
    return {subject for work in works for subject in work.accepted}


def refused(works):
    """How often which reply came in place of a 250."""
    return sum((work.refused for work in works), collections.Counter())


def wait_for_more(works, n=20, seconds=60):
    """Waits until that many more messages were accepted."""
    limit, goal = time.monotonic() + seconds * PATIENCE, len(accepted(works)) + n
    while len(accepted(works)) < goal:
        assert time.monotonic() < limit, (len(accepted(works)), goal, refused(works))
        time.sleep(0.02)
