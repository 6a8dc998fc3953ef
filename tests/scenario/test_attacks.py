"""Peers, messages and people in the middle that want mail to leave weaker than was decided, to be
believed, or to be told as something else."""

import pytest

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
