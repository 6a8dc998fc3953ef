"""A network namespace for this process.

MX records and name server delegations carry no port, so the tests need ports 25 and 53 on many
addresses. Each pytest worker therefore moves into a network namespace of its own: ports cannot
collide between workers, nothing can leave the machine, and the kernel takes everything down when
the last process ends. It needs root; an ordinary user gets the same from `unshare -Urn` in front
of pytest (tests that need a second user id, such as Postfix, are then skipped).
"""

import ctypes
import errno
import os
import subprocess

CLONE_NEWNET = 0x40000000

# Documentation addresses (RFC 5737, RFC 3849) that the namespace owns.
V4 = [f"192.0.2.{i}" for i in range(1, 128)]
V6 = [f"2001:db8::{i}" for i in range(1, 32)]


def enter():
    """Moves the calling thread, and all it will start, into a new namespace with lo up."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        hint = " (not root? try: unshare -Urn pytest ...)" if code == errno.EPERM else ""
        raise OSError(code, os.strerror(code) + hint)
    batch = ["link set lo up"]
    batch += [f"addr add {a}/32 dev lo" for a in V4]
    batch += [f"addr add {a}/128 dev lo nodad" for a in V6]
    subprocess.run(["ip", "-batch", "-"], input="\n".join(batch), text=True, check=True)


def has_many_users():
    """True if user ids besides our own are mapped, so that daemons can change to theirs."""
    with open("/proc/self/uid_map", encoding="ascii") as f:
        return sum(int(line.split()[2]) for line in f) > 65000 and os.geteuid() == 0
