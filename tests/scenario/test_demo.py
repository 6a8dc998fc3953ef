"""`make run`: the demonstration, with a terminal and without, twice at a time, and after one that
was killed."""

import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
import time

import pytest
from lab.hopseal import TREE, program
from lab.process import wait_until

pytestmark = pytest.mark.usefixtures("network")

DEMO = [TREE / "scripts/demo", program()]
COMMAND = re.compile(r"^  (\S.*)\n\n    (\S.*)$", flags=re.M)


def folder_of(said):
    """Where the gateway of a demonstration lives."""
    found = re.search(r"^The gateway: hopseal serve -c (.*)$", said, flags=re.M)
    return pathlib.Path(found.group(1))


def processes_of(folder):
    """The command lines of what runs with that folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            argv = path.read_bytes().decode(errors="replace").split("\0")
            if any(arg == str(folder) or arg.startswith(f"{folder}/") for arg in argv):
                found.append(argv)
    return found


def run(path=os.environ["PATH"]):
    """The demonstration as continuous integration runs it."""
    done = subprocess.run(
        DEMO,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not processes_of(folder_of(done.stdout))
    return done.stdout


class Terminal:
    """The demonstration in a terminal of its own."""

    def __init__(self):
        self.master, slave = pty.openpty()

        def lead():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.said = ""
        self.child = subprocess.Popen(DEMO, stdin=slave, stdout=slave, stderr=slave, preexec_fn=lead)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.master)

    def read(self, until=None, seconds=60):
        """Reads up to that text, else to the end; gives all that was said."""
        end = time.monotonic() + seconds
        while until is None or until not in self.said:
            assert time.monotonic() < end, self.said
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            try:
                more = os.read(self.master, 65536)
            except OSError:  # nobody has the other end any more
                break
            self.said += more.decode().replace("\r\n", "\n")
        assert until is None or until in self.said, self.said
        return self.said

    def press(self, key):
        os.write(self.master, key)


def deliveries(folder):
    """(recipient, level/reached) of what was delivered."""
    log = (folder / "log").read_text()
    return re.findall(r": to=<(\S+)>, .*dsn=2\S+, status=sent .*, tls=(\S+)$", log, flags=re.M)


def test_without_a_terminal():
    with socket.socket() as taken:
        with contextlib.suppress(OSError):
            # does not answer, and cannot be bound; what demonstrations before this one left does no harm
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", 2525))
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        said = run()
    assert "All 16 destinations came out as the policy demands." in said
    commands = [command for _, command in COMMAND.findall(said)]
    assert len(commands) == 7
    ran = re.findall(r"^\$ (.*)$", said, flags=re.M)[1:]
    assert ran == commands
    assert len(re.findall("dsn=2.0.0, status=sent .*, tls=verify/verified$", said, re.M)) == 2
    assert "nothing in the queue" in said and "The gateway stopped: no process is left" in said
    assert ":2525" not in said


def test_without_swaks(tmp_path):
    for name in ("sh", "cat", "openssl", "setpriv"):
        (tmp_path / name).symlink_to(shutil.which(name))
    said = run(tmp_path)
    assert "import smtplib" in said and "\naccepted\n" in said


def test_in_a_terminal():
    with Terminal() as t:
        said = t.read(until="Ctrl-C stops it.")
        folder, commands = folder_of(said), dict(COMMAND.findall(said))
        first, smtp, inbox, queue, status, log, explain = commands.values()
        for command in (first, smtp):
            subprocess.run(command, shell=True, check=True, capture_output=True)
        wait_until(lambda: len(deliveries(folder)) == 2, "two messages")

        other = run()  # beside this one
        assert folder_of(other) != folder

        told = subprocess.check_output(f"{inbox}; {queue}; {status}; {log}", shell=True, text=True)
        assert told.count("with ESMTPS; ") == 2 and "nothing in the queue" in told
        assert "level        verify" in subprocess.check_output(explain, shell=True, text=True)
        assert {tls for _, tls in deliveries(folder)} == {"verify/verified"}
        t.press(b"\x03")
        said = t.read()
        assert t.child.wait(30) == 0, said
    assert "SIGINT: stopping" in said and "nothing waits in its queue" in said
    assert "Traceback" not in said and not processes_of(folder)
    assert "stopped" in (folder / "log").read_text().splitlines()[-1]


def test_mail_that_still_waits_is_told():
    with Terminal() as t:
        said = t.read(until="Ctrl-C stops it.")
        folder, commands = folder_of(said), dict(COMMAND.findall(said))
        policy = (folder / "tls_policy").read_text()
        (folder / "new").write_text(policy.replace("verify", "secure match=nobody.example"))
        (folder / "new").rename(folder / "tls_policy")
        subprocess.run([program(), "reload", "-c", folder], check=True)
        subprocess.run(commands["a first message"], shell=True, check=True, capture_output=True)
        wait_until(lambda: "status=deferred" in (folder / "log").read_text(), "the deferral")
        t.press(b"\x03")
        said = t.read()
        assert t.child.wait(30) == 0 and "1 recipients wait in its queue" in said, said


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_end(how):
    with Terminal() as t:
        folder = folder_of(t.read(until="Ctrl-C stops it."))
        t.child.send_signal(how)
        said = t.read()
        assert t.child.wait(30) == 0, said
    assert not processes_of(folder)


def test_after_one_that_was_killed():
    with Terminal() as t:
        folder = folder_of(t.read(until="Ctrl-C stops it."))
        assert processes_of(folder)
        t.child.kill()
        t.child.wait()
    wait_until(lambda: not processes_of(folder), "the end of its processes")
    run()


def test_stopped_in_the_middle():
    with Terminal() as t:
        t.read(until="may.valid.example")
        t.press(b"\x03")
        said = t.read()
        assert t.child.wait(30) == 1, said
    assert "demo: stopped by SIGINT" in said and "Traceback" not in said
