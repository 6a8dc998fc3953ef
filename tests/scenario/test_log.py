"""Where the log goes: files and their rotation, standard output, the system's log, the journal of
systemd."""

import contextlib
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess

import pytest
from lab import netns, peers, process
from lab.client import HOST, PORT, Client
from lab.hopseal import TREE, program
from lab.process import wait_until

pytestmark = pytest.mark.usefixtures("network")

IN_A_FILE = r"^\w{3} [ \d]\d [\d:]{8} \S+ "
SENT = "status=sent"


class Daemon:
    """A gateway that discards its mail, and its log."""

    def __init__(self, folder, **settings):
        self.dir = pathlib.Path(folder)
        self.settings = {
            "compatibility_level": "3.6",
            "myhostname": "gateway.example",
            "hopseal_listeners": f"smtp:{HOST}:{PORT}",
            "mynetworks": "127.0.0.0/8",
            "default_transport": "discard:",
            "hopseal_queue_directory": self.dir / "queue",
            "hopseal_user": pwd.getpwuid(os.geteuid()).pw_name,
            "hopseal_workers": "2",
            "maillog_file_prefixes": f"{self.dir}, /dev/stdout",
        }
        self.configure(**settings)

    def configure(self, **settings):
        """Writes main.cf; what is set stays set."""
        self.settings.update(settings)
        lines = [f"{name} = {value}\n" for name, value in self.settings.items()]
        (self.dir / "main.cf").write_text("".join(lines))

    @property
    def argv(self):
        """The command that starts it."""
        return [program(), "serve", "-c", self.dir]

    def answers(self):
        """True if it runs, and says so."""
        argv = [program(), "status", "-c", self.dir]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    @contextlib.contextmanager
    def running(self, argv=None, **kwargs):
        """The daemon, started by `argv`, to the end of the block."""
        self.child = subprocess.Popen(argv or self.argv, stdin=subprocess.DEVNULL, **kwargs)
        try:
            wait_until(self.answers, "hopseal serve", daemon=self.child)
            yield self.child
            self.stop()
            assert self.child.wait(20) == 0
        finally:
            if self.child.poll() is None:
                self.child.kill()
                self.child.wait()

    def stop(self):
        """Tells it to end."""
        subprocess.run([program(), "stop", "-c", self.dir], check=True)

    def reload(self):
        """As an operator does."""
        return subprocess.run([program(), "reload", "-c", self.dir], check=True)


def send(n=1):
    """Messages that the daemon takes."""
    with Client() as c:
        for _ in range(n):
            assert c.mail().startswith("250")


def sent_in(*paths):
    """Deliveries that those files tell of."""
    return sum(path.read_text().count(SENT) for path in paths if path.exists())


# ---- files ----


def test_a_file_that_is_renamed(tmp_path):
    log, old = tmp_path / "log", tmp_path / "log.1"
    d = Daemon(tmp_path, maillog_file=log, maillog_file_permissions="0640")
    with d.running():
        assert log.stat().st_mode & 0o777 == 0o640
        send(3)
        log.rename(old)
        send(3)  # goes to the old file, whatever its name
        wait_until(lambda: sent_in(old) == 6, "six lines")
        d.child.send_signal(signal.SIGHUP)
        wait_until(log.exists, "a new file")
        send(3)
        wait_until(lambda: sent_in(log) == 3, "three lines")
    assert log.stat().st_mode & 0o777 == 0o640
    assert sent_in(old) == 6
    assert all(re.match(IN_A_FILE + r"hopseal/\w+\[\d+\]: ", x) for x in log.read_text().splitlines())


def test_no_line_is_lost_by_rotation(tmp_path):
    """Renamed and opened again all the time, under load."""
    log, files = tmp_path / "log", [tmp_path / "log"]
    d = Daemon(tmp_path, maillog_file=log)
    with d.running():
        with Client() as c:
            for n in range(60):
                assert c.mail().startswith("250")
                if n % 6 == 0:
                    files.append(log.rename(tmp_path / f"log.{n}"))
                    d.reload()
        wait_until(lambda: sent_in(*files) == 60, "sixty lines")


def test_permissions_that_are_none(tmp_path):
    d = Daemon(tmp_path, maillog_file=tmp_path / "log", maillog_file_permissions="0777")
    done = subprocess.run(d.argv, capture_output=True, text=True, check=False)
    assert done.returncode == 78 and "0600, 0640 or 0644" in done.stderr, done


@pytest.fixture
def of_nobody():
    """A folder that everybody can enter; the daemon becomes nobody."""
    if not netns.has_many_users():
        pytest.skip("takes root to become another user")
    with peers.public_folder("log") as folder:
        yield folder


def test_root_gives_the_file_away(of_nobody):
    """A new file is logrotate's to make where the folder is root's."""
    log, old = of_nobody / "log", of_nobody / "log.1"
    d = Daemon(of_nobody, maillog_file=log, hopseal_user="nobody")
    with d.running():
        assert log.owner() == "nobody"
        send()
        log.rename(old)
        d.reload()
        wait_until(lambda: "the old log is written on: " in old.read_text(), "a word of it")
        assert f"{log}: Permission denied" in old.read_text()
        log.touch(0o640)
        shutil.chown(log, "nobody")
        d.reload()
        send()
        wait_until(lambda: sent_in(log) == 1, "a line")
    assert "the configuration was not reloaded" not in old.read_text()


def test_root_gives_no_link_away(of_nobody):
    (of_nobody / "secret").touch()
    (of_nobody / "log").symlink_to(of_nobody / "secret")
    d = Daemon(of_nobody, maillog_file=of_nobody / "log", hopseal_user="nobody")
    done = subprocess.run(d.argv, capture_output=True, text=True, check=False)
    assert done.returncode == 74 and "a link" in done.stderr, done
    assert (of_nobody / "secret").owner() == "root"


def test_logrotate(of_nobody):
    """The file that comes with the program, with other paths."""
    if not shutil.which("logrotate", path="/usr/sbin"):
        pytest.skip("logrotate is not installed")
    logs = of_nobody / "logs"
    logs.mkdir()
    shutil.chown(logs, "nobody", "nogroup")
    d = Daemon(of_nobody, maillog_file=logs / "log", hopseal_user="nobody")
    rules = (TREE / "packaging/hopseal.logrotate").read_text()
    for was, now in [
        ("/var/log/hopseal", logs),
        ("hopseal reload", f"{program()} reload -c {of_nobody}"),
        ("su hopseal hopseal", "su nobody nogroup"),
    ]:
        assert was in rules
        rules = rules.replace(was, str(now))
    (of_nobody / "rules").write_text(rules)
    (of_nobody / "rules").chmod(0o644)
    rotate = ["/usr/sbin/logrotate", "--force", "--state", of_nobody / "state", of_nobody / "rules"]
    with d.running():
        for n in range(3):
            send()
            wait_until(lambda n=n: sent_in(logs / "log") == 1, "a line")
            done = subprocess.run(rotate, capture_output=True, text=True, check=False)
            assert done.returncode == 0 and not done.stderr, done
            wait_until((logs / "log").exists, "a new file")
    names = {path.name for path in logs.iterdir()}
    assert names == {"log", "log.1", "log.2.gz", "log.3.gz"}
    assert sent_in(logs / "log.1") == 1
    done = subprocess.run(rotate, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, ("nobody to tell while it is down", done)
    assert (logs / "log.4.gz").exists()


# ---- standard output ----


@pytest.mark.parametrize("form", ["text", "json"])
def test_standard_output_that_is_a_pipe(tmp_path, form):
    """As in a container."""
    d = Daemon(tmp_path, maillog_file="/dev/stdout", hopseal_log_format=form)
    with d.running(stdout=subprocess.PIPE, text=True):
        send()
        d.reload()
        send()
        d.stop()
        lines = d.child.stdout.read().splitlines()
        d.child.wait(20)
        d.stop = lambda: None
    if form == "json":
        events = [json.loads(line)["event"] for line in lines]
        assert events[0] == "starting" and events[-1] == "stopped" and events.count("delivery") == 2
    else:
        assert all(re.match(IN_A_FILE, line) for line in lines), lines
        assert sum(SENT in line for line in lines) == 2 and "stopped" in lines[-1]


def test_standard_error_that_is_a_socket(tmp_path):
    """Not one of systemd's journal, for nothing says so."""
    ours, theirs = socket.socketpair()
    d = Daemon(tmp_path, maillog_file="/dev/stderr")
    with ours, theirs:
        with d.running(stderr=theirs):
            send()
        theirs.close()
        said = b"".join(iter(lambda: ours.recv(65536), b"")).decode()
    assert said.count(SENT) == 1 and re.match(IN_A_FILE, said)


def test_a_reader_that_is_asleep_holds_up_nobody(tmp_path):
    d = Daemon(tmp_path, maillog_file="/dev/stdout")
    with d.running(stdout=subprocess.PIPE):
        send(400)  # their lines are more than a pipe holds
        text = b""
        while text.count(SENT.encode()) < 400:
            text += os.read(d.child.stdout.fileno(), 65536)
    assert b"lines of the log were lost" not in text


def test_a_reader_that_goes(tmp_path):
    d = Daemon(tmp_path, maillog_file="/dev/stdout")
    with d.running(stdout=subprocess.PIPE):
        d.child.stdout.close()
        send(3)
        assert d.answers()


# ---- the journal ----

JOURNALD = "/lib/systemd/systemd-journald"
# A mount namespace in which /dev/log and the journal are ours; $1 is a folder, $2... is run there.
WITH_JOURNAL = f"""set -e
top=$1; shift
mkdir -p $top/dev $top/journal
mount --make-rprivate /
mount -t tmpfs tmpfs $top/dev
for n in null zero urandom random; do touch $top/dev/$n; mount --bind /dev/$n $top/dev/$n; done
for n in stdin stdout stderr fd; do cp -P /dev/$n $top/dev/$n; done
ln -s /run/systemd/journal/dev-log $top/dev/log
mount --rbind $top/dev /dev
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
mount --bind $top/journal /run/log/journal
setpriv --pdeathsig TERM {JOURNALD} 2>/dev/null &
while [ ! -S /run/systemd/journal/stdout ]; do sleep 0.05; done
exec "$@"
"""
# What systemd does for a service; systemd-cat connects, and leaves the variable to systemd.
AS_A_SERVICE = """exec 3>&1
export JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/3)
exec "$@" 3>&-
"""


@contextlib.contextmanager
def with_journal(d, argv):
    """The daemon beside a systemd-journald; gives what reads the journal."""
    if not (netns.has_many_users() and os.path.exists(JOURNALD) and shutil.which("journalctl")):
        pytest.skip("needs root and systemd-journald")
    start = ["unshare", "-m", "sh", "-c", WITH_JOURNAL, "sh", d.dir, *argv]

    def entries():
        (folder,) = (d.dir / "journal").iterdir()
        argv = ["journalctl", "-D", folder, "-o", "json", "--all", "--no-pager"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        found = map(json.loads, done.stdout.splitlines())
        return [e for e in found if e.get("_PID") == str(d.child.pid)]

    with d.running(start):
        yield entries


def refused_reload(d, entries):
    """The entry of a reload that is refused."""
    d.configure(smtp_helo_timeout="odd")
    d.child.send_signal(signal.SIGHUP)
    found = lambda: [e for e in entries() if re.search("not reloaded|reload_refused", e["MESSAGE"])]
    wait_until(found, "the refusal")
    d.configure(smtp_helo_timeout="5s")
    return found()[0]


def test_the_journal_by_its_system_log(tmp_path):
    """What is the default, and is right for a service."""
    d = Daemon(tmp_path)
    with with_journal(d, d.argv) as entries:
        send(1000)
        sent = lambda: [e for e in entries() if SENT in e["MESSAGE"]]
        wait_until(lambda: len(sent()) == 1000, "every line", 60)
        one, refusal = sent()[0], refused_reload(d, entries)
    assert re.match(r"\w+: to=<bob@good.example>, ", one["MESSAGE"])
    assert one["SYSLOG_FACILITY"] == "2" and one["PRIORITY"] == "6"
    assert one["SYSLOG_IDENTIFIER"].startswith("hopseal/") and one["SYSLOG_PID"] == one["_PID"]
    assert refusal["PRIORITY"] == "3" and refusal["SYSLOG_IDENTIFIER"] == "hopseal/hopseal"


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_journal_by_standard_output(tmp_path, form):
    d = Daemon(tmp_path, maillog_file="/dev/stdout", hopseal_log_format=form)
    as_service = ["systemd-cat", "--identifier=hopseal", "sh", "-c", AS_A_SERVICE, "sh", *d.argv]
    with with_journal(d, as_service) as entries:
        send(20)
        sent = lambda: [e for e in entries() if re.search('status=sent|"sent"', e["MESSAGE"])]
        wait_until(lambda: len(sent()) == 20, "every line", 30)
        one, refusal = sent()[0], refused_reload(d, entries)
    assert one["PRIORITY"] == "6" and refusal["PRIORITY"] == "3"
    assert one["SYSLOG_IDENTIFIER"] == "hopseal"
    if form == "json":
        assert json.loads(one["MESSAGE"])["status"] == "sent"
    else:
        assert re.match(r"hopseal/\w+\[\d+\]: \w+: to=<bob@good.example>, ", one["MESSAGE"])
