"""What the demonstrations share: folders, certificates, processes that end with them."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HOPSEAL = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else \
    os.path.join(TREE, "build", "src", "hopseal")


class Stopped(Exception):
    """A signal told the demonstration to end."""


def take_signals():
    """Ctrl-C, SIGTERM and a terminal that goes away end it in the same way, with all clean-ups."""
    def stop(signum, _):
        raise Stopped(signal.Signals(signum).name)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, stop)


class Folder:
    """An empty folder below .work that is this process's own: NAME, or NAME-2 and so on when
    another run has that. A lock says who has it, and children hold it too, so that a folder is
    free when the last process of its run has ended, however that came."""

    def __init__(self, name):
        for n in range(1, 100):
            self.path = os.path.join(TREE, ".work", name if n == 1 else "%s-%d" % (name, n))
            if self._claim():
                return
        sys.exit("demo: no folder below %s can be had" % os.path.join(TREE, ".work"))

    def _claim(self):
        try:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self.lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError:
            return False
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self.path, ignore_errors=True)
            os.mkdir(self.path, 0o700)
            return True
        except OSError:  # another run has it, or somebody else's leftovers are in it
            os.close(self.lock)
            return False

    def at(self, *names):
        """The path of a file in it."""
        return os.path.join(self.path, *names)

    def write(self, name, text):
        with open(self.at(name), "w") as f:
            f.write(text)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        os.unlink(self.path + ".lock")
        os.close(self.lock)


def openssl(folder, *args):
    """Runs openssl in the folder; what it says is shown when it fails."""
    done = subprocess.run(["openssl", *args], cwd=folder.path, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("demo: openssl %s: %s" % (args[0], done.stderr))


def make_ca(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", name + ".key", "-out", name + ".pem", "-days", "2",
            "-subj", "/CN=Hopseal demo CA " + name)


def make_certificate(folder, name, ca, host):
    folder.write(name + ".ext",
                 "subjectAltName = DNS:%s\nbasicConstraints = CA:FALSE\n" % host)
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + host)
    openssl(folder, "x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey",
            ca + ".key", "-CAcreateserial", "-out", name + ".pem", "-days", "2",
            "-extfile", name + ".ext")


class Child:
    """A process in a group of its own, so that Ctrl-C reaches us first and we end it in our order.
    It is told to end should we die without that."""

    def __init__(self, folder, *argv, **kwargs):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *argv], stdin=subprocess.DEVNULL,
            start_new_session=True, pass_fds=[folder.lock], text=True, **kwargs)

    def is_running(self):
        return self.process.poll() is None

    def stop(self, seconds=30):
        """Its exit status. When it does not end in time, or we are told to hurry, it is killed."""
        try:
            if self.is_running():
                self.process.terminate()
            return self.process.wait(seconds)
        except (Stopped, subprocess.TimeoutExpired):
            self.process.kill()
            return self.process.wait()


class Sink(Child):
    """A `hopseal sink` with `n_ports` free ports of 127.0.0.1, and a maildir."""

    def __init__(self, folder, maildir, n_ports, *options):
        self.maildir = folder.at(maildir)
        super().__init__(folder, HOPSEAL, "sink", "--hostname", "localhost", "--maildir",
                         self.maildir, *["--listen=127.0.0.1:0"] * n_ports, *options,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.ports = [self._port() for _ in range(n_ports)]

    def _port(self):
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            sys.exit("demo: a receiver did not start: " + line)
        return int(line.rsplit(":", 1)[1])

    def mails(self):
        """The paths of what it received."""
        new = os.path.join(self.maildir, "new")
        return [os.path.join(new, name) for name in os.listdir(new)] if os.path.isdir(new) else []
