"""A client of the gateway."""

import socket
import ssl

HOST, PORT = "127.0.0.1", 2525


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
