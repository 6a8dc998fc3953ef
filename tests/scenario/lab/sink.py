"""An SMTP or LMTP receiver that does what it is told, right or wrong, and remembers what it saw.

A Sink listens on one address. What it does differently from a well-behaved receiver is said by
`script`, a dict from a stage to an action. Stages: "banner", each command verb ("EHLO", "MAIL",
"RCPT", "DATA", ...), "tls" (the handshake), "body" (while the message comes), "dot" (the reply to
the message); a verb may be asked for only inside TLS with "tls:EHLO". Actions: a string (a reply,
sent with CRLF), octets (sent raw), STALL, DEAF, DROP, RESET, Slow, Last, or a list of actions of
which each session takes the next one, the last for ever. `rcpt` gives single recipients their
replies.
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
import warnings
from dataclasses import dataclass, field

OLD_TLS = "ALL:@SECLEVEL=0"
STALL = object()  # says nothing more until the peer leaves
DEAF = object()  # the same, and reads nothing
DROP = object()  # closes the connection
RESET = object()  # closes it with a TCP reset


@dataclass(frozen=True)
class Slow:
    """Octets sent one at a time with a pause after each."""

    octets: bytes
    pause: float


@dataclass(frozen=True)
class Held:
    """A reply that waits for an event."""

    reply: object
    until: threading.Event


@dataclass(frozen=True)
class Last:
    """Octets or a reply after which the connection is closed."""

    reply: object


@dataclass
class Message:
    """One message as received: dots unstuffed, line ends as they came."""

    sender: str
    recipients: list
    data: bytes
    tls: bool


@dataclass
class Session:
    """What one connection showed."""

    peer: tuple
    commands: list = field(default_factory=list)  # (line, inside TLS?)
    messages: list = field(default_factory=list)
    sni: str = None
    tls_version: str = None
    tls_resumed: bool = False
    cipher: str = None
    tls_error: str = None
    client_cert: dict = None
    ended: str = None
    leftover: bytes = b""  # octets that came where none were expected

    @property
    def tls(self):
        """True if a handshake was completed."""
        return self.tls_version is not None

    def verbs(self):
        """The commands' verbs in order."""
        return [line.split(" ")[0].upper() for line, _ in self.commands]


@dataclass
class Config:
    """How a Sink behaves; the defaults are those of a good receiver without TLS."""

    name: str = "sink.example"
    cert: object = None  # lab.ca.Cert: STARTTLS is offered
    certs: dict = field(default_factory=dict)  # by SNI
    lmtp: bool = False
    extensions: tuple = ("PIPELINING", "SIZE 209715200", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN")
    extensions_in_tls: tuple = ()  # in addition, inside TLS
    extensions_in_clear: tuple = ()  # and outside
    starttls_line: str = "STARTTLS"  # how it is announced; "" for not at all
    tls_min: object = ssl.TLSVersion.TLSv1_2
    tls_max: object = ssl.TLSVersion.MAXIMUM_SUPPORTED
    tls_ciphers: str = ""  # of TLS 1.2 and below; OLD_TLS for what OpenSSL no longer likes
    ask_client_cert: object = None  # CA file
    takes_tickets: bool = False  # its TLS sessions can be resumed
    script: dict = field(default_factory=dict)
    rcpt: dict = field(default_factory=dict)
    keep_data: bool = True  # False: count octets only
    line_pause: float = 0  # before each line of a message is read


class _Gone(Exception):
    """The session is over; the text says why."""


class Sink:
    """Listens from construction until close(); each connection has a thread."""

    def __init__(self, address="192.0.2.11", port=25, **config):
        self.config = Config(**config)
        self.sessions = []
        self.octets = 0
        self._lock = threading.Lock()
        self._taken = {}
        self._context = None
        self._open = set()
        self._stop = threading.Event()
        if address.startswith("/"):
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(address)
            self._listener.listen(64)
            self.address, self.port = address, None
        else:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            self._listener = socket.create_server((address, port), family=family, backlog=64)
            self.address, self.port = self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the listener and every session."""
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for s in self._open:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    @property
    def messages(self):
        """All messages of all sessions."""
        return [m for s in self.sessions for m in s.messages]

    @property
    def session(self):
        """The only session there was."""
        assert len(self.sessions) == 1, f"{len(self.sessions)} sessions"
        return self.sessions[0]

    def wait_ended(self, seconds=20.0):
        """Waits until every session has come to its end."""
        end = time.monotonic() + seconds
        while any(s.ended is None for s in self.sessions) and time.monotonic() < end:
            time.sleep(0.01)
        return self

    def next_action(self, stage):
        """The scripted action for a stage, None if it has none."""
        action = self.config.script.get(stage)
        if not isinstance(action, list):
            return action
        with self._lock:
            at = self._taken.get(stage, 0)
            self._taken[stage] = at + 1
        return action[min(at, len(action) - 1)]

    def _accept(self):
        while not self._stop.is_set():
            try:
                conn, peer = self._listener.accept()
            except OSError:
                return
            session = Session(peer)
            with self._lock:
                self.sessions.append(session)
                self._open.add(conn)
            threading.Thread(target=self._serve, args=(conn, session), daemon=True).start()

    def _serve(self, conn, session):
        conn.settimeout(120)
        if conn.family != socket.AF_UNIX:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _Conversation(self, conn, session).run()
            session.ended = "quit"
        except _Gone as e:
            session.ended = str(e)
        except (OSError, ValueError) as e:
            session.ended = f"error: {e}"
        finally:
            with self._lock:
                self._open.discard(conn)
            with contextlib.suppress(OSError):
                conn.close()

    def session_context(self):
        """The context of one more session; tickets are good for the one that gave them."""
        if not self.config.takes_tickets:
            return self.tls_context()
        with self._lock:
            if self._context is None:
                self._context = self.tls_context()
            return self._context

    def tls_context(self):
        """A server context for the configured certificates, versions and client policy."""
        c = self.config
        context = _context(c, c.cert)
        others = {name: _context(c, cert) for name, cert in c.certs.items()}

        def choose(sslsocket, name, _):
            sslsocket.lab_sni = name
            if name in others:
                sslsocket.context = others[name]

        context.sni_callback = choose
        return context


def _context(config, cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.0 and 1.1 are meant
        context.minimum_version, context.maximum_version = config.tls_min, config.tls_max
    if config.tls_ciphers:
        context.set_ciphers(config.tls_ciphers)
    context.load_cert_chain(cert.chain, cert.key)
    if config.ask_client_cert:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(config.ask_client_cert)
    return context


@contextlib.contextmanager
def full_backlog(address, port=25):
    """An address whose connection requests are dropped silently: the queue of its listener is
    full, and nobody accepts."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        time.sleep(0.05)
        yield


class _Conversation:
    """One session, from the banner to the end."""

    def __init__(self, sink, conn, session):
        self.sink, self.conn, self.session = sink, conn, session
        self.config = sink.config
        self.input = conn.makefile("rb", 1 << 18)
        self.in_tls = False
        self.sender, self.recipients = None, []

    def run(self):
        """Talks until QUIT, or raises _Gone."""
        self._answer("banner", f"220 {self.config.name} ESMTP lab")
        while True:
            line = self._line().decode("utf-8", "surrogateescape").rstrip("\r\n")
            self.session.commands.append((line, self.in_tls))
            verb = line.split(" ")[0].upper()
            if verb == "QUIT":
                self._answer(verb, "221 2.0.0 Bye")
                return
            self._command(verb, line)

    def _command(self, verb, line):
        if verb in ("EHLO", "LHLO"):
            self._answer(verb, self._greeting())
        elif verb == "STARTTLS":
            self._starttls()
        elif verb == "MAIL":
            self.sender, self.recipients = line, []
            self._answer(verb, "250 2.1.0 Ok")
        elif verb == "RCPT":
            self._rcpt(line)
        elif verb == "DATA":
            self._data()
        elif verb in ("HELO", "RSET", "NOOP"):
            self._answer(verb, f"250 {self.config.name}")
        else:
            self._answer(verb, "500 5.5.2 Unknown command")

    def _greeting(self):
        lines = [self.config.name, *self.config.extensions]
        lines += self.config.extensions_in_tls if self.in_tls else self.config.extensions_in_clear
        if (self.config.cert or "STARTTLS" in self.config.script) and not self.in_tls:
            lines += [self.config.starttls_line] if self.config.starttls_line else []
        return "\r\n".join(f"250-{x}" for x in lines[:-1]) + ("\r\n" if lines[1:] else "") + (
            f"250 {lines[-1]}"
        )

    def _starttls(self):
        action = self._scripted("STARTTLS")
        self._do(action if action is not None else "220 2.0.0 Ready to start TLS")
        if action is None or (isinstance(action, bytes) and action.startswith(b"220")):
            self._handshake()

    def _handshake(self):
        action = self.sink.next_action("tls")
        if action is not None:
            with contextlib.suppress(socket.timeout):
                self.session.leftover = self.conn.recv(4096)
            self._do(action)
            return
        try:
            tls = self.sink.session_context().wrap_socket(self.conn, server_side=True)
        except (ssl.SSLError, OSError) as e:
            self.session.tls_error = str(e)
            raise _Gone(f"handshake: {e}") from e
        self.conn, self.input, self.in_tls = tls, tls.makefile("rb", 1 << 18), True
        s = self.session
        s.sni = getattr(tls, "lab_sni", None)
        s.tls_resumed = tls.session_reused
        s.tls_version, s.client_cert = tls.version(), tls.getpeercert()
        s.cipher = (tls.cipher() or [None])[0]  # none when the peer has gone

    def _rcpt(self, line):
        address = line[line.find("<") + 1 : line.rfind(">")]
        reply = self.config.rcpt.get(address)
        if reply is None:
            reply = self._scripted("RCPT")
        if reply is None:
            reply = "250 2.1.5 Ok"
        if isinstance(reply, str) and reply.startswith("2"):
            self.recipients.append(line)
        self._do(reply)

    def _data(self):
        action = self._scripted("DATA")
        if action is None and not self.recipients:
            action = "554 5.5.1 No valid recipients"
        self._do(action if action is not None else "354 End data with <CR><LF>.<CR><LF>")
        if action is not None and not (isinstance(action, str) and action.startswith("354")):
            return
        action = self.sink.next_action("body")
        if action is not None:
            self._line()
            self._do(action)
        data = self._message()
        message = Message(self.sender, self.recipients, data, self.in_tls)
        self.session.messages.append(message)
        dots = len(self.recipients) if self.config.lmtp else 1
        self.sender, self.recipients = None, []
        for _ in range(dots):
            self._answer("dot", "250 2.0.0 Ok: taken")

    def _message(self):
        lines, size = [], 0
        while True:
            if self.config.line_pause:
                time.sleep(self.config.line_pause)
            line = self._line()
            if line == b".\r\n":
                break
            line = line[1:] if line.startswith(b".") else line
            size += len(line)
            if self.config.keep_data:
                lines.append(line)
        with self.sink._lock:
            self.sink.octets += size
        return b"".join(lines)

    def _scripted(self, stage):
        action = self.sink.next_action(f"tls:{stage}") if self.in_tls else None
        return self.sink.next_action(stage) if action is None else action

    def _answer(self, stage, usual):
        action = self._scripted(stage)
        self._do(usual if action is None else action)

    def _do(self, action):
        if action is STALL:
            self._stall()
        elif action is DEAF:
            self.sink._stop.wait(120)
            raise _Gone("stopped")
        elif action is DROP:
            raise _Gone("dropped")
        elif action is RESET:
            self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise _Gone("reset")
        elif isinstance(action, Slow):
            for i in range(len(action.octets)):
                self.conn.sendall(action.octets[i : i + 1])
                time.sleep(action.pause)
        elif isinstance(action, Held):
            action.until.wait(120)
            self._do(action.reply)
        elif isinstance(action, Last):
            self._do(action.reply)
            self.conn.shutdown(socket.SHUT_WR)
            self.conn.settimeout(2)
            self._stall()
        elif isinstance(action, bytes):
            self.conn.sendall(action)
        else:
            self.conn.sendall(action.encode() + b"\r\n")

    def _stall(self):
        """Keeps silent; what the peer still says is kept as leftover."""
        with contextlib.suppress(OSError):
            while more := self.conn.recv(65536):
                self.session.leftover += more
        raise _Gone("peer left")

    def _line(self):
        line = self.input.readline()
        if not line.endswith(b"\n"):
            self.session.leftover += line
            raise _Gone("peer closed")
        return line
