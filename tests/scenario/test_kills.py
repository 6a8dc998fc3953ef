"""The daemon is killed again and again, and keeps what it promised: HOPSEAL_KILLS says how often."""

import os
import random
import re
import threading
import time

import pytest
from lab import zones
from lab.account import Account
from lab.client import intake
from lab.work import end, wait_for_more, working

KILLS = int(os.environ.get("HOPSEAL_KILLS", "20"))
BOB, NOBODY, LATE = "bob@good.example", "nobody@good.example", "late@good.example"


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Listens for 127.0.0.1; relays to MX1. Every second message of a Work is in a file."""
    made = intake(hopseal, tmp_path)
    hopseal.base.update({"hopseal_content_inline_limit": "2000"})
    hopseal.configure()
    return made


def kill(gateway, rng, least=0.05, most=0.3):
    """After a random time."""
    time.sleep(least + rng.random() * (most - least))
    gateway.child.kill()
    gateway.child.communicate()


def start_beside(gateway):
    """While operators are at the queue, too, which is theirs until they are done."""
    for _ in range(100):
        try:
            gateway.start()
            return
        except AssertionError as e:
            assert "another process has this queue" in str(e), e
            time.sleep(0.05)
    raise AssertionError("the queue was never free")


def drain(gateway, account, seed):
    """The last run, until nothing is left."""
    with gateway.running():
        gateway.wait_for(
            lambda: gateway.hopseal.run("queue", "list").out.count("@") == 0,
            f"an empty queue (seed {seed})", 120,
        )
    return account.closed()


def test_killed_under_load(gateway, sink):
    """At random moments."""
    s = sink()
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    with working(4) as works:
        account = Account(gateway, s, lambda: [i for work in works for i in work.ids])
        for _ in range(KILLS):
            gateway.start()
            kill(gateway, rng)
            account.ended()
        gateway.start()
        wait_for_more(works, KILLS)  # a slow machine may have had no time for any
        kill(gateway, rng)
        account.ended()
        end(works)
        figures = drain(gateway, account, seed)
    print(figures)
    assert figures["promised"] >= KILLS, seed
    assert figures["received without a 250 that was heard"] <= (KILLS + 1) * len(works)


class Operators(threading.Thread):
    """They hold, release, retry, requeue and delete, and reload the configuration."""

    def __init__(self, gateway, rng):
        super().__init__(daemon=True)
        self.gateway, self.rng = gateway, rng
        self.deleted, self.done, self.is_over = set(), 0, False

    def run(self):
        while not self.is_over:
            self.change()

    def ids(self):
        """Of what the log says was tried and has to wait."""
        return re.findall(r": (\w+): to=<late@.*status=deferred", self.gateway.text())[-50:]

    def change(self):
        """One of them, as the command line has it; the daemon may be there or not."""
        run, ids = self.gateway.hopseal.run, self.ids() or ["00000000001"]
        what = self.rng.choice(["hold", "release", "retry", "requeue", "delete", "flush", "reload"])
        if what == "reload":
            result = run("reload")
        elif what == "delete":
            one = self.rng.choice(ids)
            self.deleted.add(one)
            result = run("queue", what, one)
        elif self.rng.random() < 0.5:
            result = run("queue", what, "--all")
        else:
            result = run("queue", what, *{self.rng.choice(ids) for _ in range(5)})
        self.done += result.code == 0


def test_killed_while_operators_work(gateway, sink):
    """Mail is returned, delayed, held, released, deleted and routed anew meanwhile."""
    s = sink(rcpt={NOBODY: "550 5.1.1 No such user", LATE: "450 4.2.0 later"})
    gateway.hopseal.configure(delay_warning_time="1s")
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    operators = Operators(gateway, random.Random(seed + 1))
    with working(3, rcpts=(BOB, NOBODY, BOB, LATE)) as works:
        account = Account(gateway, s, lambda: [i for work in works for i in work.ids])
        account.deleted = operators.deleted
        gateway.start()
        operators.start()
        for _ in range(KILLS):
            kill(gateway, rng, 0.1, 0.8)
            account.ended()
            start_beside(gateway)
        gateway.wait_for(
            lambda: operators.done > KILLS
            and len(account.promised()) > KILLS
            and account.notices()
            and account.notices("delayed"),
            f"some of everything (seed {seed})", 120,
        )
        operators.is_over = True
        operators.join(60)
        end(works)
        kill(gateway, rng)
        account.ended()
        del s.config.rcpt[LATE]
        assert gateway.hopseal.run("queue", "release", "--all").code == 0
        figures = drain(gateway, account, seed)
    print(figures, f"{operators.done} changes by operators")
    assert min(figures["promised"], operators.done) > KILLS, seed
    assert figures["returned"] and figures["delays told"], figures


@pytest.mark.parametrize("workers", ["1", "4"])
def test_a_message_that_is_delivered_as_the_daemon_dies(gateway, sink, workers):
    """Each end is in the middle of a delivery: what may come twice is what was in doubt."""
    s = sink(zones.MX1)
    gateway.hopseal.configure(hopseal_workers=workers)
    seed = random.randrange(1 << 30)
    with working(2) as works:
        account = Account(gateway, s, lambda: [i for work in works for i in work.ids])
        for _ in range(min(KILLS, 20)):
            before = len(s.messages)
            gateway.start()
            gateway.wait_for(lambda n=before: len(s.messages) > n + 3, "some deliveries")
            gateway.child.kill()
            gateway.child.communicate()
            account.ended()
        end(works)
        print(drain(gateway, account, seed))
