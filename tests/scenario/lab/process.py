"""Daemons started by the lab: waited for by what they answer, ended by their process id."""

import contextlib
import os
import signal
import socket
import subprocess
import time

# Programs with sanitizers are some times slower, and share the machine with each other.
PATIENCE = 4 if os.environ.get("HOPSEAL_BUILD") in ("asan", "tsan") else 1


def wait_until(probe, what, seconds=60.0, daemon=None, log=None):
    """Calls probe() until it is true. A daemon that ends meanwhile, or the limit, is an error: for
    what never comes, not for what is slow."""
    end = time.monotonic() + seconds * PATIENCE
    while not probe():
        dead = daemon is not None and daemon.poll() is not None
        if dead or time.monotonic() > end:
            tail = ""
            if log and os.path.exists(log):
                with open(log, encoding="utf-8", errors="replace") as f:
                    tail = "\n" + f.read()[-3000:]
            raise RuntimeError(f"{what}: {'ended' if dead else 'not ready in time'}{tail}")
        time.sleep(0.02)


def accepts(address, port):
    """True if something listens there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(1)
        return s.connect_ex((address, port)) == 0


@contextlib.contextmanager
def daemon(argv, log, **kwargs):
    """Runs argv in a process group of its own for the length of the block. Should we be killed, it
    is told to end too."""
    argv = ["setpriv", "--pdeathsig", "TERM", *argv]
    with open(log, "ab") as out:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, **kwargs
        )
    try:
        yield child
    finally:
        end_group(child)


def end_group(child, grace=5.0):
    """Ends the process group that `child` leads."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
