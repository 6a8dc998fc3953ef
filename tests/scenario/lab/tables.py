"""Tables as files of one folder, looked up by `hopseal query` and by Debian's `postmap -q`."""

import os
import shutil
import subprocess

import pytest

from lab.hopseal import program

POSTMAP = shutil.which("postmap") or "/usr/sbin/postmap"
MAPS = "/etc/postfix/dynamicmaps.cf"

# Debian has types that are no part of the package postfix itself.
PACKAGES = {
    "cdb": "postfix-cdb",
    "lmdb": "postfix-lmdb",
    "pcre": "postfix-pcre",
    "sqlite": "postfix-sqlite",
    "pgsql": "postfix-pgsql",
}


class Folder:
    """Tables below a folder, and two programs to look them up with."""

    def __init__(self, folder):
        self.dir = folder
        self.write("main.cf", "compatibility_level = 3.6\n")  # Postfix waits for a young one

    def write(self, name, text):
        path = self.dir / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.utime(path, (1e9, 1e9))  # nobody is writing it any more
        return path

    def _run(self, argv, **kwargs):
        return subprocess.run(
            list(map(str, argv)), capture_output=True, text=True, check=False, **kwargs
        )

    def hopseal(self, *argv, **kwargs):
        return self._run([program(), argv[0], "-c", self.dir, *argv[1:]], **kwargs)

    def start(self, spec):
        """`hopseal query SPEC -`, to be asked key by key."""
        pipe = subprocess.PIPE
        argv = [str(program()), "query", "-c", str(self.dir), str(spec), "-"]
        return subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def ask(self, child, key):
        """One key, which is there, of such a process. "" when it ended."""
        child.stdin.write(f"{key}\n")
        child.stdin.flush()
        return child.stdout.readline().rstrip("\n").partition("\t")[2]

    def postmap(self, *argv, **kwargs):
        return self._run([POSTMAP, "-c", self.dir, *argv], **kwargs)

    def make(self, spec):
        done = self.postmap(spec)
        assert done.returncode == 0, done.stderr

    def build(self, spec):
        done = self.hopseal("table", "build", spec)
        assert done.returncode == 0, done.stderr

    def agree(self, spec, key):
        """What both programs say: the value, or None for not found."""
        ours, theirs = self.hopseal("query", spec, key), self.postmap("-q", key, spec)
        assert ours.returncode == theirs.returncode, (spec, key, ours, theirs)
        assert ours.stdout == theirs.stdout, (spec, key, ours, theirs)
        assert ours.returncode in (0, 1), ours
        return ours.stdout.removesuffix("\n") if ours.returncode == 0 else None

    def agree_on_all(self, spec, keys):
        """The same for many keys at a time: the values of those that are found."""
        lines = "".join(f"{key}\n" for key in keys)
        ours = self.hopseal("query", spec, "-", input=lines)
        theirs = self.postmap("-q", "-", spec, input=lines)
        assert ours.returncode == theirs.returncode, (spec, ours, theirs)
        assert ours.stdout == theirs.stdout, (spec, ours, theirs)
        assert ours.returncode in (0, 1), ours
        return dict(line.split("\t", 1) for line in ours.stdout.splitlines())


def needs_postmap(kind):
    """Skips the test where Postfix or this type of it is not installed."""
    if not os.path.exists(POSTMAP):
        pytest.skip("postfix is not installed")
    if kind in PACKAGES:
        with open(MAPS) as maps:
            if not any(line.split()[:1] == [kind] for line in maps):
                pytest.skip(f"{PACKAGES[kind]} is not installed")
