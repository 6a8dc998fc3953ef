"""Peers, messages and people in the middle that want mail to leave weaker than was decided, to be
believed, or to be told as something else."""

import contextlib
import ssl

import pytest

from lab import sink as lab_sink

HOST = "mx1.good.example"
TO = "b@good.example"

NOT_ASKED = {
    "folded": b"Subject: x\r\n TLS-Required: No\r\n\r\nA line.\r\n",
    "below text": b"hello\r\nTLS-Required: No\r\n\r\nA line.\r\n",
    "goes on": b"TLS-Required: No\r\n , not\r\n\r\nA line.\r\n",
}


@pytest.mark.parametrize("kind", NOT_ASKED)
def test_only_a_field_of_the_header_asks_for_less_tls(hopseal, sink, kind):
    s = sink()
    result = hopseal.per_site({"good.example": "MUST"}).send_text(TO, message=NOT_ASKED[kind])
    assert result.code == 75 and not s.messages, str(result)


class GoodbyeInTheHandshake(lab_sink._Conversation):
    """Completes the handshake and says close_notify in the same octets."""

    def _handshake(self):
        come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.sink.tls_context().wrap_bio(come, go, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.conn.sendall(go.read())
                come.write(self.conn.recv(65536))
        with contextlib.suppress(ssl.SSLError):
            tls.unwrap()
        self.conn.sendall(go.read())
        self.session.tls_version = tls.version()
        self._stall()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("policy", ["MAY", "MUST_NOPEERMATCH", "MUST"])
def test_goodbye_in_the_octets_of_the_handshake(hopseal, sink, ca, monkeypatch, policy, version):
    monkeypatch.setattr(lab_sink, "_Conversation", GoodbyeInTheHandshake)
    s = sink(cert=ca.cert("valid", HOST), tls_min=version, tls_max=version)
    result = hopseal.per_site({"good.example": policy}).send_text(TO)
    assert result.code == 75 and "lost while sending EHLO" in result.out, str(result)
    assert len(s.sessions) == 1
