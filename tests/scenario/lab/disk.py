"""A disk and a wall clock that fail as told, for programs that run with a disk's `env`: the orders
of bad_disk.c, which both sides have mapped."""

import errno
import mmap
import pathlib
import struct
import subprocess

from lab.hopseal import program

WRITE, SYNC, OPEN, READ, UNLINK, SIZE, FOLDER = 1, 2, 4, 8, 16, 32, 64
FAIL, SHORT, KILL, KILL_AFTER, LOSE, POWER, SLOW, HANG, LOSE_AND_GO = range(1, 10)
ALWAYS = 0xFFFFFFFF

HEAD, RULE = struct.Struct("=IIIIqq8I64s"), struct.Struct("=IIiIII104s")
RULES = 16
SHIFT_AT, STILL_AT = 16, 24


def library(name="bad_disk.so"):
    """What is loaded before the C library; a program with gcc's ASan wants that one's before it."""
    ours = program().parents[1] / "tests" / name
    needs = subprocess.run(["ldd", program()], capture_output=True, text=True, check=False).stdout
    asan = [line.split()[2] for line in needs.splitlines() if "libasan" in line]
    return " ".join([*asan, str(ours)])


class Disk:
    """Good until it is told otherwise."""

    def __init__(self, folder):
        path = pathlib.Path(folder) / "bad_disk"
        path.write_bytes(bytes(HEAD.size + RULES * RULE.size))
        with open(path, "r+b") as f:
            self.orders = mmap.mmap(f.fileno(), 0)
        self.env = {"BAD_DISK": str(path), "LD_PRELOAD": library()}
        self.n_rules = 0

    def close(self):
        self.orders.close()

    def _set(self, at, form, value):
        struct.pack_into(form, self.orders, at, value)

    def order(self, kinds, path, action=FAIL, error=errno.EIO, skip=0, count=ALWAYS):
        """One more rule; gives its number. `path` is a part of the file's name, or its end before
        "$"."""
        n = self.n_rules
        rule = RULE.pack(kinds, action, error, skip, count, 0, path.encode())
        self.orders[HEAD.size + n * RULE.size : HEAD.size + (n + 1) * RULE.size] = rule
        self.n_rules += 1
        self._set(0, "=I", self.n_rules)
        return n

    def heal(self):
        """No rules; calls that hang go on."""
        self.n_rules = 0
        self._set(0, "=I", 0)

    def hits(self, n=0):
        """How often a rule was applied."""
        return struct.unpack_from("=I", self.orders, HEAD.size + n * RULE.size + 20)[0]

    def track(self, folder, seed=None):
        """What is written below a folder can be lost from now on: all that is not synchronised, or
        each write by chance. Before the program starts."""
        self._set(4, "=I", 1)
        self._set(8, "=I", int(seed is not None))
        self._set(12, "=I", seed or 0)
        self._set(64, "=64s", str(folder).encode()[-60:])

    def shift_clock(self, seconds):
        """The wall clock is wrong by that much."""
        self._set(SHIFT_AT, "=q", int(seconds * 1_000_000_000))

    def stop_clock(self, utc_ns):
        """The wall clock stands at this; 0: it goes on."""
        self._set(STILL_AT, "=q", utc_ns)

