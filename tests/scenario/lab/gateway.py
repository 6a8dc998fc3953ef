"""`hopseal serve` with a queue of its own."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess

from lab.hopseal import MESSAGE, program
from lab.process import wait_until

LINE = re.compile(r"^\w{3} [ \d]\d [\d:]{8} \S+ hopseal/(\w+)\[\d+\]: (.*)$")
DELIVERY = re.compile(
    r"^(?P<id>\w+): to=<(?P<to>.*?)>, relay=(?P<relay>.*?), (?:conn_use=(?P<use>\d+), )?"
    r"delay=[\d.]+, delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, "
    r"dsn=(?P<dsn>[\d.]+), status=(?P<status>\w+) \((?P<reason>.*?)\)(?:, tls=(?P<tls>\S+))?$"
)


class Gateway:
    """A configuration with a queue; the daemon runs inside `with gateway.running():`."""

    def __init__(self, hopseal, folder):
        self.hopseal = hopseal
        self.dir = pathlib.Path(folder)
        self.log = self.dir / "log"
        hopseal.base.update(
            {
                "hopseal_queue_directory": str(self.dir / "queue"),
                "maillog_file": str(self.log),
                "maillog_file_prefixes": str(self.dir),
                "hopseal_user": "root",
                "hopseal_workers": "2",
                "hopseal_listeners": "",
                "minimal_backoff_time": "1s",
                "maximal_backoff_time": "2s",
            }
        )
        hopseal.configure()
        self.child = None
        self.env = {}  # in addition
        self.files = None  # the most that may be open; None: as many as here

    def start(self):
        """Starts the daemon and waits until it says that it has."""
        before = self.starts()
        argv = [program(), "serve", "-c", self.hopseal.dir]
        if self.files:
            argv = ["prlimit", f"--nofile={self.files}:{self.files}", *argv]
        self.child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *map(str, argv)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **self.env},
        )

        def has_started():
            assert self.child.poll() is None, (self.child.returncode, self.child.communicate()[0])
            return self.starts() > before

        wait_until(has_started, "hopseal serve", log=self.log)

    def starts(self):
        """How often it has started, by the log of either form."""
        return len(re.findall('started, version|"event":"starting"', self.text()))

    def stop(self, signum=signal.SIGTERM, seconds=90):
        """Ends it; gives its exit status."""
        self.child.send_signal(signum)
        out, _ = self.child.communicate(timeout=seconds)
        assert "Sanitizer" not in out and "runtime error:" not in out, out
        return self.child.returncode

    @contextlib.contextmanager
    def running(self):
        """The daemon for the length of the block; it must stop when told, and cleanly."""
        self.start()
        try:
            yield self
        finally:
            if self.child.poll() is None:
                status = self.stop()
                assert status == 0, (status, self.text())

    def text(self):
        """The log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def lines(self, name=None):
        """The log's lines, as (program, text); of one program when it is named."""
        found = [LINE.match(line) for line in self.text().splitlines()]
        return [m.groups() for m in found if m and name in (None, m.group(1))]

    def deliveries(self, to=None):
        """Attempts at recipients, as the log has them."""
        found = [DELIVERY.match(text) for _, text in self.lines()]
        return [m.groupdict() for m in found if m and to in (None, m["to"])]

    def wait_for(self, probe, what, seconds=60):
        """Waits until probe() is true of the running daemon."""
        wait_until(probe, what, seconds, daemon=self.child, log=self.log)

    def wait_for_fate(self, to, status, seconds=60):
        """Waits until a recipient is "sent", "bounced" or "deferred"; gives that attempt."""

        def found():
            return [d for d in self.deliveries(to) if d["status"] == status]

        self.wait_for(found, f"{to} {status}", seconds)
        return found()[-1]

    def put(self, *rcpts, sender="alice@client.example", message=MESSAGE):
        """Puts a message into the queue while the daemon is down."""
        result = self.hopseal.run("sendmail", "-f", sender, *rcpts, stdin=message)
        assert result.code == 0, result
