"""A client of the gateway, and the gateway that it talks to."""

import base64
import collections
import email
import hashlib
import hmac
import os
import pathlib
import re
import socket
import ssl
import struct

from lab import zones
from lab.gateway import Gateway
from lab.process import wait_until

HOST, PORT = "127.0.0.1", 2525
FOREIGN = "127.0.0.9"  # not of mynetworks


def as_numbers(name):
    """An address of IPv4 and a port as numbers, as /proc/net/tcp has them."""
    return struct.unpack("=I", socket.inet_aton(name[0]))[0], name[1]


class Client:
    """A client that says exactly what it is told."""

    def __init__(self, to=(HOST, PORT), source=None, tls=False, hello="EHLO"):
        if isinstance(to, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(20)
            self.socket.connect(to)
        else:
            source = (source, 0) if source else None
            self.socket = socket.create_connection(to, timeout=20, source_address=source)
        if tls:
            self.secure()
        self.input = self.socket.makefile("rb")
        self.greeting = self.reply()
        self.extensions = self.say(f"{hello} client.example") if hello else ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends the connection: at once, not when the last file on it is forgotten."""
        self.input.close()
        self.socket.close()

    def secure(self):
        """Begins TLS; the server's certificate is not what is tested here."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.input = self.socket.makefile("rb")

    def starttls(self):
        """STARTTLS, the handshake, EHLO."""
        assert self.say("STARTTLS").startswith("220")
        self.secure()
        self.extensions = self.say("EHLO client.example")

    def send(self, octets):
        """Octets as they are."""
        self.socket.sendall(octets)

    def wait_until_read(self):
        """Waits until the gateway's program, not only its kernel, has what was sent."""
        mine = "%08X:%04X" % as_numbers(self.socket.getsockname())
        its = "%08X:%04X" % as_numbers(self.socket.getpeername())

        def is_read():
            queues = {}
            for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
                _, local, remote, _, waiting, *_ = line.split()
                queues[local, remote] = waiting.split(":")
            unacknowledged, _ = queues[mine, its]
            return int(unacknowledged, 16) == 0 == int(queues[its, mine][1], 16)

        wait_until(is_read, "octets that are read")

    def reply(self):
        """One reply, its lines joined; "" at the end of the connection."""
        lines = []
        while True:
            try:
                line = self.input.readline().decode()
            except OSError:
                line = ""
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, command):
        """A command and its reply."""
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def mail(self, octets=b"Subject: hello\r\n\r\nA line.\r\n", rcpt="bob@good.example",
             sender="alice@client.example", options=""):
        """A transaction; its last reply."""
        for command in (f"MAIL FROM:<{sender}>{options}", f"RCPT TO:<{rcpt}>", "DATA"):
            said = self.say(command)
            if said[0] not in "23":
                return said
        self.send(octets + b".\r\n")
        return self.reply()


def path(command):
    """The address of a MAIL or RCPT command."""
    return re.search("<(.*?)>", command).group(1)


def subjects(s):
    """How often each Subject arrived."""
    return collections.Counter(email.message_from_bytes(m.data)["Subject"] for m in s.messages)


def tls(ca, name="gateway.example"):
    """Settings of a listener with a certificate."""
    cert = ca.cert("valid", name)
    return {"smtpd_tls_chain_files": f"{cert.key}, {cert.chain}", "smtpd_tls_security_level": "may"}


def intake(hopseal, folder):
    """A gateway that listens on HOST:PORT for 127.0.0.1 and relays to MX1."""
    made = Gateway(hopseal, folder)
    hopseal.base.update(
        {
            "hopseal_listeners": f"smtp:{HOST}:{PORT}",
            "mynetworks": "127.0.0.1/32",
            "relayhost": f"[{zones.MX1}]:25",
            "smtpd_error_sleep_time": "0",
        }
    )
    hopseal.configure()
    return made


def scram(client, user, password):
    """SCRAM-SHA-256 without channel binding, both proofs checked: RFC 5802, RFC 7677."""
    bare = f"n={user},r=" + base64.b64encode(os.urandom(18)).decode()
    first = client.say("AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,," + bare.encode()).decode())
    server = base64.b64decode(first.removeprefix("334 ")).decode()
    told = dict(word.split("=", 1) for word in server.split(","))
    salt = base64.b64decode(told["s"])
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, int(told["i"]))
    last = f"c=biws,r={told['r']}"
    signed = ",".join([bare, server, last]).encode()
    key = hmac.digest(salted, b"Client Key", "sha256")
    mask = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, mask))).decode()
    said = client.say(base64.b64encode(f"{last},p={proof}".encode()).decode())
    if not said.startswith("334 "):
        return said
    signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
    assert base64.b64decode(said[4:]) == b"v=" + base64.b64encode(signature)
    return client.say("")
