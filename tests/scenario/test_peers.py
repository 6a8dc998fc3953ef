"""Receivers that we did not write take exactly what was sent."""

import pytest

from lab import peers

BODIES = {
    "plain": b"Subject: s\r\n\r\nline\r\n",
    "dots": b"Subject: s\r\n\r\n.\r\n..\r\n.x\r\nx.\r\n",
    "empty body": b"Subject: s\r\n\r\n",
    "folded": b"Subject: a\r\n b\r\n\tc\r\n\r\nx\r\n",
    "8bit": b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n",
    "blanks": b"Subject: s\r\n\r\n \r\n\ttab\r\ntrailing  \r\n\r\n\r\n",
    "long lines": b"Subject: s\r\n\r\n" + b"y" * 990 + b"\r\n" + b"z" * 990 + b"\r\n",
    "many lines": b"Subject: s\r\n\r\n" + b"".join(b"%d\r\n" % i for i in range(20000)),
}
# Postfix and others complete a header without these.
HEAD = (
    b"From: alice@client.example\r\nTo: bob@client.example\r\n"
    b"Date: Sun, 22 Nov 2026 08:00:00 +0000\r\nMessage-ID: <%b@client.example>\r\n"
)


def message(name):
    return HEAD % name.replace(" ", "-").encode() + BODIES[name]


def received(maildir, name):
    """The mail with that Message-ID, without what the receiver put in front; LF line ends."""
    mark = b"<%b@client.example>" % name.replace(" ", "-").encode()
    for mail in peers.mails_in(maildir):
        if mark in mail:
            return peers.without_trace(mail)
    return None


def take(maildir, name):
    peers.process.wait_until(
        lambda: received(maildir, name) is not None if any_in(maildir) else False, name
    )
    return received(maildir, name)


def any_in(maildir):
    new = maildir / "new"
    return new.is_dir() and any(new.iterdir())


@pytest.mark.parametrize("name", BODIES)
def test_postfix(hopseal, postfix, name):
    hopseal.per_site({"postfix.example": "MUST"})
    result = hopseal.send("bob@postfix.example", message=message(name))
    assert result.fate == ("delivered", "2.0.0"), result
    assert result.tries[0]["judgement"]["reached"] == "verified"
    assert take(postfix, name) == message(name).replace(b"\r\n", b"\n")


@pytest.mark.parametrize("name", BODIES)
def test_exim(hopseal, exim, name):
    hopseal.per_site({"exim.example": "MUST"})
    result = hopseal.send("bob@exim.example", message=message(name))
    assert result.rcpt()["outcome"] == "delivered", result
    assert result.tries[0]["judgement"]["reached"] == "verified"
    assert take(exim, name) == message(name).replace(b"\r\n", b"\n")


@pytest.mark.parametrize("name", BODIES)
def test_aiosmtpd(hopseal, aiosmtpd, name):
    hopseal.per_site({"aiosmtpd.example": "MUST"})
    result = hopseal.send("bob@aiosmtpd.example", message=message(name))
    assert result.rcpt()["outcome"] == "delivered", result
    mails, over_tls = aiosmtpd
    assert mails == [message(name)] and over_tls == [True]


def test_many_recipients_at_postfix(hopseal, postfix):
    rcpts = [f"r{i}@postfix.example" for i in range(60)]
    result = hopseal.per_site({"postfix.example": "MUST"}).send(*rcpts, message=message("plain"))
    assert result.code == 0, result
    assert result.json["summary"]["delivered"] == 60


def test_postfix_says_tls_was_used(hopseal, postfix):
    hopseal.per_site({"postfix.example": "MUST"})
    mail = HEAD % b"seen" + b"Subject: s\r\n\r\nx\r\n"
    assert hopseal.send("bob@postfix.example", message=mail).code == 0
    peers.process.wait_until(
        lambda: any(b"<seen@" in m and b"with ESMTPS" in m for m in peers.mails_in(postfix)),
        "mail with ESMTPS",
    )


def test_opensmtpd_whose_handshakes_fail(hopseal, opensmtpd):
    hopseal.per_site({"opensmtpd.example": "MAY"})
    young = hopseal.send("bob@opensmtpd.example", message=message("plain"))
    assert young.fate == ("deferred", "4.7.5"), young
    old = hopseal.send("bob@opensmtpd.example", message=message("dots"), options=("--age", "400"))
    assert old.rcpt()["outcome"] == "delivered", old
    assert take(opensmtpd, "dots") == message("dots").replace(b"\r\n", b"\n")
    hopseal.per_site({"opensmtpd.example": "MUST_NOPEERMATCH"})
    must = hopseal.send("bob@opensmtpd.example", message=message("8bit"), options=("--age", "400"))
    assert must.fate == ("deferred", "4.7.5"), must
    hopseal.per_site({"opensmtpd.example": "NONE"})
    none = hopseal.send("bob@opensmtpd.example", message=message("folded"))
    assert none.rcpt()["outcome"] == "delivered", none
    assert take(opensmtpd, "folded") == message("folded").replace(b"\r\n", b"\n")
