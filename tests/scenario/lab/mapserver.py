"""A server of lookup tables (socketmap, tcp_table(5), memcache), which does what its script says.

    with MapServer("socketmap", {"example.com": "may"}) as server:
        hopseal.configure(smtp_tls_policy_maps=server.spec)

The script gives for a key a value, or None for "not found", or one of the classes below; a key that it
does not name is not found. It may be changed at any time."""

import contextlib
import dataclasses
import os
import socket
import threading


@dataclasses.dataclass
class Error:
    """The server's own error: TEMP, TIMEOUT or PERM; 400 in a tcp table, SERVER_ERROR of memcached."""

    text: str = "later"
    status: str = "TEMP"


@dataclasses.dataclass
class Raw:
    """These octets, whatever the protocol says."""

    octets: bytes


@dataclasses.dataclass
class Slow:
    """The same after some seconds."""

    seconds: float
    then: object = None


CLOSE = object()  # the connection ends without an answer
SILENT = object()  # no answer, ever


class MapServer:
    """Listens from construction until the end of a with block, on a port or at a path."""

    def __init__(self, protocol, script=None, path=None, port=0, name="map"):
        self.protocol, self.script, self.name = protocol, dict(script or {}), name
        self.requests = []  # (number of the connection, key)
        self.path = path
        self.accepted = 0
        self._connections = set()
        self._ended = threading.Event()
        self._port = port
        self._listen()

    @property
    def place(self):
        """Where it listens, as main.cf names it."""
        return f"unix:{self.path}" if self.path else f"inet:127.0.0.1:{self._port}"

    @property
    def spec(self):
        """The table as main.cf names it; that of a memcache server is a file."""
        if self.protocol == "tcp":
            return f"tcp:127.0.0.1:{self._port}"
        return f"socketmap:{self.place}:{self.name}"

    @property
    def keys(self):
        """What was asked, in order."""
        return [key for _, key in self.requests]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends the listener and every connection; `start` brings it back at the same place."""
        self._ended.set()
        self._shut(self._listener)  # a thread may wait for it
        self._listener.close()
        self.hang_up()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)

    def start(self):
        self._ended = threading.Event()
        self._listen()

    def hang_up(self):
        """Ends every connection."""
        for each in list(self._connections):
            self._shut(each)

    @staticmethod
    def _shut(what):
        with contextlib.suppress(OSError):
            what.shutdown(socket.SHUT_RDWR)

    def _listen(self):
        if self.path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self.path))
        else:
            self._listener = socket.socket()
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(("127.0.0.1", self._port))
            self._port = self._listener.getsockname()[1]
        self._listener.listen(64)
        self._listener.settimeout(0.1)
        self._start(self._accept, self._listener, self._ended)

    @staticmethod
    def _start(target, *args):
        threading.Thread(target=target, args=args, daemon=True).start()

    def _accept(self, listener, ended):
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.accepted += 1
            connection.settimeout(None)
            self._connections.add(connection)
            self._start(self._serve, connection, self.accepted)

    def _serve(self, connection, number):
        stream = connection.makefile("rb")
        read = getattr(self, f"_read_{self.protocol}")
        try:
            while True:
                key = read(stream)
                self.requests.append((number, key))
                if not self._answer(connection, key, self.script.get(key)):
                    return
        except (OSError, EOFError, ValueError):
            pass
        finally:
            self._connections.discard(connection)
            stream.close()
            connection.close()

    def _answer(self, connection, key, what):
        if isinstance(what, Slow):
            self._ended.wait(what.seconds)
            return self._answer(connection, key, what.then)
        if what is CLOSE:
            return False
        if what is not SILENT:
            write = getattr(self, f"_write_{self.protocol}")
            connection.sendall(what.octets if isinstance(what, Raw) else write(key, what))
        return True

    def _read_socketmap(self, stream):
        length = b""
        while not length.endswith(b":"):
            octet = stream.read(1)
            if not octet:
                raise EOFError
            length += octet
        payload = stream.read(int(length[:-1]))
        assert stream.read(1) == b","
        name, key = payload.split(b" ", 1)
        assert name.decode() == self.name
        return key.decode("utf-8", "surrogateescape")

    @staticmethod
    def _write_socketmap(_, what):
        if isinstance(what, Error):
            text = f"{what.status} {what.text}"
        else:
            text = "NOTFOUND " if what is None else f"OK {what}"
        octets = text.encode()
        return b"%d:%s," % (len(octets), octets)

    @staticmethod
    def _read_tcp(stream):
        line = stream.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        assert line.startswith(b"get ")
        parts = line[4:-1].split(b"%")
        key = parts[0] + b"".join(bytes([int(p[:2], 16)]) + p[2:] for p in parts[1:])
        return key.decode("utf-8", "surrogateescape")

    @staticmethod
    def _write_tcp(_, what):
        if isinstance(what, Error):
            code, text = 400, what.text
        else:
            code, text = (500, "not found") if what is None else (200, what)
        plain = (chr(c) if 32 < c < 127 and c != 37 else f"%{c:02x}" for c in text.encode())
        return f"{code} {''.join(plain)}\n".encode()

    @staticmethod
    def _read_memcache(stream):
        line = stream.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError
        assert line.startswith(b"get ")
        return line[4:-2].decode("utf-8", "surrogateescape")

    @staticmethod
    def _write_memcache(key, what):
        if isinstance(what, Error):
            return f"SERVER_ERROR {what.text}\r\n".encode()
        if what is None:
            return b"END\r\n"
        value = what.encode()
        return b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key.encode(), len(value), value)
