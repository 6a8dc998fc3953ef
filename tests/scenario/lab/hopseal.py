"""The program under test, run as an operator would run it."""

import json
import os
import pathlib
import re
import subprocess
from dataclasses import dataclass

from lab import dns, zones

TREE = pathlib.Path(__file__).resolve().parents[3]
MESSAGE = b"From: alice@client.example\r\nSubject: hello\r\n\r\nA line.\r\n"

# Tables are written below the configuration folder; TABLES stands for that folder.
TABLES = "TABLES"

# What `send` exits with: sysexits(3).
DELIVERED, BOUNCED, DEFERRED = 0, 69, 75


def program():
    """The binary that $HOPSEAL names, or the one of the usual build folder."""
    named = os.environ.get("HOPSEAL")
    return pathlib.Path(named).resolve() if named else TREE / "build/src/hopseal"


@dataclass(repr=False)
class Result:
    """What one run gave."""

    argv: list
    code: int
    out: str
    err: str

    @property
    def json(self):
        """Standard output as JSON."""
        try:
            return json.loads(self.out)
        except ValueError as e:
            raise AssertionError(f"not JSON: {e}\n{self}") from e

    def rcpt(self, address=None):
        """The record of one recipient of a send; of the only one when none is named."""
        found = [r for r in self.json["recipients"] if address in (None, r["recipient"])]
        assert len(found) == 1, f"{len(found)} recipients\n{self}"
        return found[0]

    @property
    def fate(self):
        """(outcome, status) of the only recipient of a send."""
        r = self.rcpt()
        return r["outcome"], r["status"]

    @property
    def reason(self):
        """Why, in the words of the outcome of the only recipient of a send."""
        return self.rcpt()["reason"]

    @property
    def tries(self):
        """The hosts that a send tried, in order, whatever the delivery."""
        return [t for d in self.json["deliveries"] for t in d["tries"]]

    def facts(self, kind, name):
        """The answers to one question in the facts of a send or explain."""
        sets = [d["facts"] for d in self.json.get("deliveries", [])] or [self.json["facts"]]
        return [
            f["answer"]
            for facts in sets
            for f in facts
            if (f["question"]["kind"], f["question"]["name"]) == (kind, name)
        ]

    @property
    def decision(self):
        """The only decision of an explain."""
        made = [d for each in self.json["destinations"] for d in each["decisions"]]
        assert len(made) == 1, f"{len(made)} decisions\n{self}"
        return made[0]

    def __repr__(self):
        """For failed assertions: the outcomes first, for pytest cuts what is long."""
        fates = re.findall(r'"(?:outcome|status|reason)": "(.*)"', self.out)
        return f"exit {self.code}, {fates[:6]}\n{self}"

    def __str__(self):
        return f"{' '.join(map(str, self.argv))}\nexit {self.code}\n{self.out}\n{self.err}"


class Hopseal:
    """A configuration folder and the commands that use it."""

    def __init__(self, folder, tree, ca):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.base = {
            "compatibility_level": "3.6",
            "myhostname": "gateway.example",
            "inet_interfaces": zones.MYSELF,
            "smtp_tls_CAfile": str(ca.root),
            "lmtp_tls_CAfile": str(ca.root),
            "hopseal_dns_stub_servers": f"{dns.SERVER}@53",
            "hopseal_dns_trust_anchor_file": str(tree.anchor),
            "smtp_connect_timeout": "3s",
            "smtp_helo_timeout": "5s",
        }
        self.configure()

    def configure(self, tables=None, **settings):
        """Writes main.cf from the base and `settings` (None drops one), and tables by file name."""
        values = {**self.base, **settings}
        for name, text in (tables or {}).items():
            self._write(name, text)
        lines = [
            f"{name} = {str(value).replace(TABLES, str(self.dir))}\n"
            for name, value in values.items()
            if value is not None
        ]
        self._write("main.cf", "".join(lines))
        return self

    def _write(self, name, text):
        """At once: a daemon may be reading what was there."""
        new = self.dir / f"{name}.new"
        new.write_text(text)
        os.replace(new, self.dir / name)

    def per_site(self, table, **settings):
        """A configuration with that smtp_tls_per_site table, a dict."""
        text = "".join(f"{key} {value}\n" for key, value in table.items())
        where = f"texthash:{TABLES}/per_site"
        return self.configure({"per_site": text}, smtp_tls_per_site=where, **settings)

    def run(self, *argv, stdin=b"", timeout=60):
        """Runs `hopseal ARGV`; the configuration folder goes with every command."""
        command, rest = argv[0], list(map(str, argv[1:]))
        full = [str(program()), command, "-c", str(self.dir), *rest]
        done = subprocess.run(full, input=stdin, capture_output=True, timeout=timeout, check=False)
        result = Result(full, done.returncode, _text(done.stdout), _text(done.stderr))
        assert result.code >= 0, f"died by signal {-result.code}\n{result}"
        assert "Sanitizer" not in result.err and "runtime error:" not in result.err, str(result)
        return result

    def send(self, *rcpts, message=MESSAGE, sender="alice@client.example", options=(), **kwargs):
        """hopseal send --json."""
        argv = ["send", "--json", "-f", sender, *options, *rcpts]
        return self.run(*argv, stdin=message, **kwargs)

    def send_text(self, *rcpts, message=MESSAGE, sender="alice@client.example", options=()):
        """hopseal send, for people."""
        return self.run("send", "-f", sender, *options, *rcpts, stdin=message)

    def explain(self, subject, *options):
        """hopseal explain --json."""
        return self.run("explain", "--json", *options, subject)

    def check(self, *options):
        """hopseal check --json."""
        return self.run("check", "--json", *options)


class OwnSink:
    """`hopseal sink`: listens from construction until the end of a with block."""

    def __init__(self, folder, *options, listen=f"{zones.MX1}:25"):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        argv = [program(), "sink", "--listen", listen, "--maildir", self.dir / "mail", *options]
        self.told = ""
        self._child = subprocess.Popen(
            list(map(str, argv)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = self._child.stdout.readline()
        if not first.startswith("listening on "):
            raise RuntimeError(first + self._child.communicate()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._child.poll() is None:
            self._child.terminate()
        self.wait()

    def wait(self, seconds=60):
        """Waits for the end; gives the exit status."""
        if self._child.stdout.closed:
            return self._child.returncode
        out, err = self._child.communicate(timeout=seconds)
        self.told += out + err
        assert "Sanitizer" not in err and "runtime error:" not in err, err
        return self._child.returncode

    @property
    def mails(self):
        """What was received, in order of arrival."""
        new = self.dir / "mail/new"
        if not new.is_dir():
            return []
        return [p.read_bytes() for p in sorted(new.iterdir(), key=lambda p: p.stat().st_mtime_ns)]


def _text(octets):
    return octets.decode("utf-8", "backslashreplace")
