"""Postfix's own next-hop selection, asked directly: trivial-rewrite(8) without a running Postfix.

It is started as its master would do it: the listening socket is descriptor 6, the status pipe 5,
the flow control pipe 3 and 4. Requests and replies are names and values that end in NUL octets.
"""

import contextlib
import os
import pathlib
import socket
import subprocess

from lab import netns
from lab.peers import Unavailable

PROGRAM = "/usr/lib/postfix/sbin/trivial-rewrite"

BASE = """compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
mail_owner = postfix
setgid_group = postdrop
"""


class Resolver:
    """Answers resolve(address) from the configuration in a folder."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        for name in ("queue/private", "data", "etc"):
            (self.dir / name).mkdir(parents=True)
        self._path = str(self.dir / "queue/private/rewrite")
        self._socket = None

    @contextlib.contextmanager
    def running(self, main_cf):
        """The service under that main.cf."""
        if not netns.has_many_users():
            raise Unavailable("Postfix needs root with its users")
        if not os.path.exists(PROGRAM):
            raise Unavailable("postfix is not installed")
        path = self.dir / "etc/main.cf"
        path.write_text(BASE.format(dir=self.dir) + main_cf)
        os.utime(path, (1, 1))  # Postfix waits for a file that was written just now
        (self.dir / "etc/master.cf").write_text("")
        with contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(self._path)
            stack.callback(os.unlink, self._path)
            listener.listen(8)
            child = self._start(listener, stack)
            try:
                self._socket = stack.enter_context(socket.socket(socket.AF_UNIX))
                self._socket.settimeout(10)
                self._socket.connect(self._path)
                self._read()  # the service says which protocol it speaks
                yield self
            finally:
                child.kill()
                child.wait()

    def _start(self, listener, stack):
        pipes = [*os.pipe(), *os.pipe()]
        for fd in pipes:
            stack.callback(os.close, fd)
        wanted = {3: pipes[0], 4: pipes[1], 5: pipes[3], 6: listener.fileno()}

        def descriptors():
            high = {to: os.dup2(fd, 200 + to) for to, fd in wanted.items()}
            for to, fd in high.items():
                os.dup2(fd, to, inheritable=True)

        log = stack.enter_context(open(self.dir / "log", "wb"))
        return subprocess.Popen(
            [PROGRAM, "-n", "rewrite", "-t", "unix", "-u"],
            preexec_fn=descriptors,
            close_fds=False,
            env=dict(os.environ, MAIL_CONFIG=str(self.dir / "etc"), GENERATION="1"),
            stdout=log,
            stderr=log,
        )

    def resolve(self, address):
        """What mail to an address in internal form (no quotes) does: (transport, next-hop)."""
        rewritten = self._ask(request="rewrite", rule="local", address=quoted(address))
        reply = self._ask(request="resolve", sender="", address=unquoted(rewritten["address"]))
        return reply["transport"], reply["nexthop"]

    def _ask(self, **attributes):
        flat = [word for item in attributes.items() for word in item]
        self._socket.sendall("".join(word + "\0" for word in flat).encode() + b"\0")
        words = self._read().decode().split("\0")
        return dict(zip(words[0::2], words[1::2]))

    def _read(self):
        octets = b""
        while not octets.endswith(b"\0\0"):
            more = self._socket.recv(4096)
            if not more:
                break
            octets += more
        return octets


def quoted(address):
    """External form, with quotes if a dot at an edge needs them: all that the tests use."""
    local, at, domain = address.rpartition("@")
    return f'"{local}"{at}{domain}' if local.endswith(".") else address


def unquoted(address):
    """Internal form."""
    return address.replace('"', "")
