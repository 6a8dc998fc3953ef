"""A system that refuses: memory, threads, descriptors, random numbers. The daemon goes on, or it
ends, says why, and has lost nothing when it starts again; it never says that it is ready when it is
not."""

import contextlib
import os
import pathlib
import signal
import subprocess

import pytest
from lab import system as lab_system
from lab.account import Account
from lab.client import Client, intake
from lab.process import PATIENCE, wait_until
from lab.system import OTHER_MEMORY, OWN_MEMORY
from lab.work import Work, working

REFUSED = 71  # EX_OSERR
SWEEP = int(os.environ.get("HOPSEAL_SWEEP", "24"))
NOBODY = "nobody@good.example"
SMALL, LARGE = b"A line.\r\n", b"x" * 70 + b"\r\n"

needs_own_memory = pytest.mark.skipif(
    PATIENCE > 1, reason="a sanitizer's memory is its own: it cannot be refused, nor limited"
)


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Listens for 127.0.0.1; relays to MX1; content beyond 2,000 octets is in files."""
    made = intake(hopseal, tmp_path)
    hopseal.base.update({"hopseal_content_inline_limit": "2000", "hopseal_workers": "1"})
    hopseal.configure()
    return made


@pytest.fixture
def system(gateway):
    """The daemon's system."""
    with contextlib.closing(lab_system.System(gateway.dir)) as made:
        gateway.env = made.env
        yield made


# ---- memory ----


class Script:
    """Small mail, mail in a file, and mail that comes back, each on a connection of its own."""

    MAIL = (("bob@good.example", SMALL), ("carol@good.example", LARGE * 100), (NOBODY, SMALL))

    def __init__(self, gateway, sink):
        self.gateway, self.ids = gateway, []
        self.account = Account(gateway, sink, lambda: self.ids)

    def give(self):
        """All three, as far as the daemon goes along; nothing but 250 and 45x is an answer."""
        for rcpt, line in self.MAIL:
            with contextlib.suppress(OSError), Client() as c:
                for command in ("MAIL FROM:<a@good.example>", f"RCPT TO:<{rcpt}>", "DATA"):
                    if c.say(command)[:1] not in ("2", "3"):
                        break
                else:
                    c.send(b"Subject: s\r\n\r\n" + line + b".\r\n")
                    said = c.reply()
                    assert said[:3] in ("250", "451", "452", "421", ""), said
                    if said.startswith("250"):
                        self.ids.append(said.split()[-1])

    def is_settled(self):
        """All was delivered or returned, and its sender has heard."""
        return set(self.ids) <= self.account.settled()

    def is_over(self):
        """The daemon has ended."""
        return self.gateway.child.poll() is not None

    def end(self):
        """An account of the daemon's end for want of memory."""
        out, _ = self.gateway.child.communicate(timeout=20)
        assert self.gateway.child.returncode == REFUSED, (self.gateway.child.returncode, out)
        assert "hopseal: out of memory\n" in out, out
        self.account.ended()

    def close(self):
        """A last run, with memory: everything comes, and once."""
        with self.gateway.running():
            self.gateway.wait_for(self.is_settled, "all mail", 60)
        return self.account.closed()


def measure(script, system, kind):
    """How many allocations a script takes, from the connection to the notice."""
    gateway = script.gateway
    with gateway.running():
        script.give()
        gateway.wait_for(script.is_settled, "the first", 20)
        before = system.calls(kind)
        script.give()
        gateway.wait_for(script.is_settled, "the second", 20)
        return system.calls(kind) - before


def fail_each(script, system, kind, total):
    """Allocations over the length of a script, from the first to the last, each in its turn; gives
    how often the daemon ended of it."""
    gateway, ends = script.gateway, 0
    gateway.start()
    for n in range(SWEEP):
        system.refuse(kind, n * total // SWEEP, 1)
        while not system.hits(kind):
            script.give()
            wait_until(lambda: system.hits(kind) or script.is_settled(), "the fault")
        if kind == OWN_MEMORY:
            wait_until(script.is_over, "the end")
        if script.is_over():
            script.end()
            ends += 1
            gateway.start()
    assert gateway.stop() == 0
    script.account.ended()
    return ends


@needs_own_memory
@pytest.mark.parametrize("kind", [OWN_MEMORY, OTHER_MEMORY], ids=["own", "others"])
def test_memory_that_fails_once(gateway, sink, system, ca, kind):
    """The program ends at once; what libraries do not get they do without, or it ends as well. No
    mail goes under less TLS for it."""
    gateway.hopseal.configure(relayhost=None, smtp_tls_security_level="verify")
    cert = ca.cert("valid", "mx1.good.example")
    s = sink(rcpt={NOBODY: "550 5.1.1 No such user"}, keep_data=True, cert=cert)
    script = Script(gateway, s)
    total = measure(script, system, kind)
    ends = fail_each(script, system, kind, total)
    print(total, "allocations,", ends, "ends,", script.close())
    assert ends == SWEEP or kind == OTHER_MEMORY
    assert all(m.tls for m in s.messages)


def has_ended(gateway):
    """Starts the daemon, which may not start; true if it ended, with its words for it."""
    try:
        gateway.start()
    except AssertionError as told:
        words = str(told)
        assert "hopseal: " in words and gateway.child.returncode > 0, words
        return True
    return False


@needs_own_memory
@pytest.mark.parametrize("kind", [OWN_MEMORY, OTHER_MEMORY], ids=["own", "others"])
def test_a_start_without_memory(gateway, system, kind):
    """It starts, or it ends with a message; what is in the queue stays there."""
    gateway.put("bob@good.example")
    gateway.hopseal.configure(relayhost="[192.0.2.90]:25")
    before = system.calls(kind)
    with gateway.running():
        total = system.calls(kind) - before
    ends = 0
    for n in range(SWEEP // 2):
        system.refuse(kind, 2 * n * total // SWEEP, 1)
        starts = gateway.starts()
        if has_ended(gateway):
            ends += 1
            assert gateway.starts() == starts
        else:
            system.heal()
            assert gateway.stop() == 0
    print(total, "allocations,", ends, "ends")
    assert gateway.hopseal.run("queue", "list").out.count("bob@good.example") == 1


def limit_memory(gateway, room):
    """So many octets more than the daemon has already."""
    pages = int((pathlib.Path("/proc") / str(gateway.child.pid) / "statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGESIZE") + room
    argv = ["prlimit", f"--pid={gateway.child.pid}", f"--as={limit}:{limit}"]
    subprocess.run(argv, check=True)


@needs_own_memory
def test_an_intake_beyond_the_memory(gateway, sink, monkeypatch):
    """Content in memory without a limit of ours, until the system's is met, again and again."""
    monkeypatch.setattr(Work, "large", 30_000_000)  # a thread has 64 MB of addresses
    gateway.hopseal.configure(
        hopseal_content_inline_limit="40000000",
        hopseal_content_memory_limit="0",
        message_size_limit="40000000",
    )
    s = sink(keep_data=True)
    ids = []
    account = Account(gateway, s, lambda: ids)
    for _ in range(2):
        gateway.start()
        with Client() as c:  # all threads are there
            ids.append(c.mail().split()[-1])
        limit_memory(gateway, 2_000_000)
        with working(3) as works:
            out, _ = gateway.child.communicate(timeout=60 * PATIENCE)
        ids.extend(i for work in works for i in work.ids)
        assert gateway.child.returncode == REFUSED and "out of memory" in out, out
        account.ended()
    with gateway.running():
        gateway.wait_for(lambda: set(ids) <= set(account.received()), "all mail", 60)
    print(account.closed())


@needs_own_memory
def test_a_table_beyond_the_memory(gateway, sink):
    """A reload that cannot be had ends the daemon, with a word; the next start has the mail."""
    sink()
    gateway.hopseal.configure(
        {"transport": "one.example smtp:[192.0.2.11]:25\n"},
        transport_maps="texthash:TABLES/transport",
    )
    lines = (f"domain-{n}.example smtp:[192.0.2.11]:25\n" for n in range(200_000))
    gateway.put("late@dead.example")
    gateway.start()
    limit_memory(gateway, 2_000_000)
    (gateway.hopseal.dir / "transport").write_text("".join(lines))
    gateway.child.send_signal(signal.SIGHUP)
    out, _ = gateway.child.communicate(timeout=60 * PATIENCE)
    assert gateway.child.returncode == REFUSED and "out of memory" in out, out
    with gateway.running():
        gateway.wait_for_fate("late@dead.example", "sent")
