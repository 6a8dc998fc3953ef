"""A system that refuses memory, threads and descriptors as told, for programs that run with its
`env`: the orders of bad_system.c, which both sides have mapped."""

import errno
import mmap
import os
import pathlib
import struct

from lab.disk import library

OWN_MEMORY, OTHER_MEMORY, THREAD, EPOLL, RANDOM, ACCEPT, SOCKET, PAIR, EVENT = range(9)
ALWAYS = 0xFFFFFFFF

RULE = struct.Struct("=IIiII")  # skip, count, error, calls, hits


class System:
    """Gives all that it is asked for until it is told otherwise."""

    def __init__(self, folder):
        path = pathlib.Path(folder) / "bad_system"
        path.write_bytes(bytes(9 * RULE.size))
        with open(path, "r+b") as f:
            self.orders = mmap.mmap(f.fileno(), 0)
        # libraries that are refused something forget what they had before
        asan = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        preload = library("bad_system.so")
        self.env = {"BAD_SYSTEM": str(path), "LD_PRELOAD": preload, "ASAN_OPTIONS": asan}

    def close(self):
        self.orders.close()

    def _get(self, kind):
        return RULE.unpack_from(self.orders, kind * RULE.size)

    def calls(self, kind):
        """How many of the kind there were, over all runs of the program."""
        return self._get(kind)[3]

    def hits(self, kind):
        """How many were refused since the last order."""
        return self._get(kind)[4]

    def refuse(self, kind, skip=0, count=ALWAYS, error=errno.ENOMEM):
        """From now on: some calls are let through, then `count` are refused."""
        at = kind * RULE.size
        struct.pack_into("=I", self.orders, at + 4, 0)
        skip = min(self.calls(kind) + skip, ALWAYS)
        struct.pack_into("=I", self.orders, at, skip)
        struct.pack_into("=i", self.orders, at + 8, error)
        struct.pack_into("=I", self.orders, at + 16, 0)
        struct.pack_into("=I", self.orders, at + 4, min(count, ALWAYS - skip))

    def heal(self):
        """Nothing is refused."""
        for kind in range(9):
            struct.pack_into("=I", self.orders, kind * RULE.size + 4, 0)
