"""A system that refuses: memory, threads, descriptors, random numbers. The daemon goes on, or it
ends, says why, and has lost nothing when it starts again; it never says that it is ready when it is
not."""

import contextlib
import errno
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest
from lab import system as lab_system, zones
from lab.account import Account
from lab.client import Client, intake
from lab.mapserver import MapServer
from lab.process import PATIENCE, wait_until
from lab.system import (
    ACCEPT, ALWAYS, EPOLL, EVENT, OTHER_MEMORY, OWN_MEMORY, PAIR, RANDOM, SOCKET, THREAD,
)
from lab.work import Work, end, wait_for_more, working

REFUSED = 71  # EX_OSERR
ENDS = (REFUSED, 69, 74, 78, -signal.SIGABRT)
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
    yield made
    if made.child and made.child.poll() is None:
        made.child.kill()
        made.child.communicate()


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


def fail_each(script, system, total):
    """Allocations over the length of a script, from the first to the last, each in its turn; gives
    how often the daemon ended of it."""
    gateway, ends = script.gateway, 0
    gateway.start()
    for n in range(SWEEP):
        system.refuse(OWN_MEMORY, n * total // SWEEP, 1)
        while not system.hits(OWN_MEMORY):
            script.give()
            wait_until(lambda: system.hits(OWN_MEMORY) or script.is_settled(), "the fault")
        wait_until(script.is_over, "the end")
        script.end()
        ends += 1
        gateway.start()
    assert gateway.stop() == 0
    script.account.ended()
    return ends


@needs_own_memory
def test_memory_that_fails_once(gateway, sink, system, ca):
    """The program ends at once. No mail goes under less TLS for it."""
    gateway.hopseal.configure(relayhost=None, smtp_tls_security_level="verify")
    cert = ca.cert("valid", "mx1.good.example")
    s = sink(rcpt={NOBODY: "550 5.1.1 No such user"}, keep_data=True, cert=cert)
    script = Script(gateway, s)
    total = measure(script, system, OWN_MEMORY)
    ends = fail_each(script, system, total)
    print(total, "allocations,", ends, "ends,", script.close())
    assert ends == SWEEP
    assert all(m.tls for m in s.messages)


def has_ended(gateway):
    """Starts the daemon, which may not start; true if it ended, with its words for it."""
    try:
        gateway.start()
    except AssertionError as told:
        words = str(told)
        assert "hopseal: " in words and gateway.child.returncode in ENDS, words
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


# ---- threads, events, descriptors, random numbers ----

ERRORS = {
    THREAD: errno.EAGAIN, EPOLL: errno.ENOSPC, RANDOM: errno.ENOSYS, ACCEPT: errno.EMFILE,
    SOCKET: errno.ENFILE, PAIR: errno.EMFILE, EVENT: errno.EMFILE,
}
NAMES = ["memory", "others", "thread", "epoll", "random", "accept", "socket", "pair", "event"]


@pytest.fixture
def notified(gateway):
    """What the daemon tells systemd, so far."""
    name = f"\0hopseal-test-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(name)
        s.setblocking(False)
        gateway.env["NOTIFY_SOCKET"] = "@" + name[1:]
        said = []

        def so_far():
            with contextlib.suppress(BlockingIOError):
                while True:
                    said.append(s.recv(4096))
            return b"\n".join(said)

        yield so_far


@pytest.mark.parametrize("kind", [THREAD, EPOLL, RANDOM, SOCKET, PAIR, EVENT],
                         ids=lambda kind: NAMES[kind])
def test_a_start_that_is_refused(gateway, system, notified, kind):
    """Each call of the kind: the daemon is there as a whole and says so, or it is not and says
    why."""

    def ends_before(is_ready):
        wait_until(lambda: is_ready() or gateway.child.poll() is not None, "it is ready")
        return gateway.child.poll() is not None and "hopseal: " in gateway.child.communicate()[0]

    before = system.calls(kind)
    with gateway.running():
        gateway.wait_for(lambda: b"READY=1" in notified(), "it is ready")
        total = system.calls(kind) - before
    if kind == SOCKET:
        total -= 2  # the last are those by which systemd is told
    ends = 0
    for n in range(min(total, 8)):
        ready = notified().count(b"READY=1")
        system.refuse(kind, n * total // min(total, 8), 1, ERRORS[kind])
        is_ended = has_ended(gateway) or ends_before(lambda: notified().count(b"READY=1") > ready)
        system.heal()
        if is_ended:
            ends += 1
            assert notified().count(b"READY=1") == ready
        else:
            with Client() as c:
                assert c.say("NOOP").startswith("250")
            assert gateway.stop() == 0
    assert ends > 0, total


def test_events_that_are_refused_under_load(gateway, sink, system):
    """libuv ends the process. What was promised is there when it starts again."""
    s = sink(keep_data=True)
    with working(2) as works:
        account = Account(gateway, s, lambda: [i for work in works for i in work.ids])
        gateway.start()
        wait_for_more(works, 5)
        system.refuse(EPOLL, 0, 1, errno.ENOSPC)
        wait_until(lambda: gateway.child.poll() is not None, "the end")
        assert "hopseal: aborted" in gateway.child.communicate()[0]
        account.ended()
        with gateway.running():
            wait_for_more(works, 5)
            end(works)
            gateway.wait_for(
                lambda: set(account.promised()) <= set(account.received()), "all mail", 60
            )
    print(account.closed())


@pytest.mark.parametrize("error", ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"])
def test_connections_that_are_refused(gateway, sink, system, error):
    """Clients wait, and mail waits, until there is a descriptor again."""
    s = sink()
    with gateway.running():
        system.refuse(ACCEPT, 0, 3, getattr(errno, error))
        system.refuse(SOCKET, 0, 1, getattr(errno, error))
        with Client() as c:  # who is greeted when it can be
            assert system.hits(ACCEPT) == 3
            assert c.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
        assert system.hits(SOCKET) == 1
    assert len(s.messages) == 1


def test_a_lookup_without_a_thread(gateway, sink, system):
    """The recipient is refused for now, and taken when there can be one."""
    sink()
    with MapServer("socketmap", {"good.example": f"smtp:[{zones.MX1}]:25"}) as server:
        gateway.hopseal.configure(transport_maps=server.spec, hopseal_table_timeout="1s")
        with gateway.running(), Client() as c:
            system.refuse(THREAD, 0, ALWAYS, errno.EAGAIN)
            assert c.mail().startswith("451 4.3.0")
            assert system.hits(THREAD) > 0
            system.heal()
            gateway.wait_for(lambda: c.say("RSET") and c.mail().startswith("250"), "an answer")
            gateway.wait_for_fate("bob@good.example", "sent")
