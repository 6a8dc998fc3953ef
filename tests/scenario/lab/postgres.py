"""A PostgreSQL server of our own: below a folder, on a UNIX socket and a port of this machine, run by
an ordinary user."""

import contextlib
import glob
import os
import pathlib
import pwd
import signal
import subprocess

from lab import netns, peers, process

PASSWORD = "open sesame"
ADDRESS = "127.0.0.1"


def programs():
    """The folder of the newest initdb and postgres."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise peers.Unavailable("postgresql is not installed")
    return pathlib.Path(found[-1]).parent


def user():
    """Keyword arguments that run a program as the user for it: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    if not netns.has_many_users():
        raise peers.Unavailable("there is no ordinary user to run PostgreSQL")
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError as e:
        raise peers.Unavailable("postgresql is not installed") from e
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Postgres:
    """Started by start(), and by a with block; its data outlives a stop."""

    def __init__(self, folder, port):
        self.dir = pathlib.Path(folder)
        self.port = port
        self.bin = programs()
        self.how = user()
        self.data = self.dir / "data"
        if self.how:
            os.chown(self.dir, self.how["user"], self.how["group"])
        secret = self.dir / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run("initdb", "-D", self.data, "-U", "mail", "-E", "UTF8", "--locale=C.UTF-8",
                  "-A", "scram-sha-256", "--pwfile", secret, "--no-sync")
        self._stack = None
        self.child = None

    def _run(self, name, *argv):
        subprocess.run(
            [str(self.bin / name), *map(str, argv)],
            cwd=self.dir, check=True, stdout=subprocess.DEVNULL, **self.how,
        )

    def start(self):
        self._stack = contextlib.ExitStack()
        argv = [
            self.bin / "postgres", "-D", self.data, "-p", self.port, "-k", self.dir,
            "-c", f"listen_addresses={ADDRESS}", "-c", "fsync=off", "-c", "max_connections=20",
            "-c", "shared_buffers=1MB",
        ]
        log = self.dir / "log"
        self.child = self._stack.enter_context(
            process.daemon(list(map(str, argv)), log, cwd=self.dir, **self.how)
        )
        ready = [str(self.bin / "pg_isready"), "-q", "-h", str(self.dir), "-p", str(self.port)]
        process.wait_until(
            lambda: subprocess.run(ready, check=False).returncode == 0,
            "postgres", daemon=self.child, log=log,
        )

    def stop(self):
        """At once: connections are told, and closed."""
        self.thaw()
        self.child.send_signal(signal.SIGINT)
        self.child.wait(60)
        self._stack.close()

    def processes(self):
        """The ids of the server and of what it has started; it ends none that is not its own."""
        found = [self.child.pid]
        for path in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
                if int(fields[1]) == self.child.pid:
                    found.append(int(path.split("/")[2]))
        return found

    def _signal(self, number):
        """To all of them; some may have ended since they were listed."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self):
        """Answers nothing any more; the kernel goes on accepting connections for it."""
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def execute(self, sql):
        """Runs statements in the database "mail"."""
        subprocess.run(
            [str(self.bin / "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.dir),
             "-p", str(self.port), "-U", "mail", "-d", "postgres"],
            input=sql, text=True, check=True, env={**os.environ, "PGPASSWORD": PASSWORD},
        )

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.stop()
        self._stack.close()
