"""Logging in at servers that we did not write: Postfix, whose logins Cyrus SASL checks, and Exim."""

import base64

import pytest

from lab import peers
from lab.gateway import Gateway
from lab.hopseal import TABLES
from lab.peers import LOGIN, SECRET

WRONG = "wr0ng:secret"

# By what each lets clients in, in alphabetical order.
OFFERS = {
    "postfix": ["CRAM-MD5", "LOGIN", "PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"],
    "exim": ["CRAM-MD5", "LOGIN", "PLAIN"],
}
EACH = [(name, mechanism) for name, offers in OFFERS.items() for mechanism in offers]
# The status without its class, and the reply: Exim's has no status of its own.
REFUSED = {
    "postfix": ("7.8", "535 5.7.8 Error: authentication failed"),
    "exim": ("0.0", "535 Incorrect authentication data"),
}


@pytest.fixture
def maildir_of(request):
    """Gives the maildir of one of them: the others are not started for it."""
    fixtures = {"postfix": "postfix_login", "exim": "exim"}
    return lambda name: request.getfixturevalue(fixtures[name])


def with_login(hopseal, name, mechanism, secret=SECRET, **settings):
    """The program with a relayhost that wants a login, and may be told it by that mechanism only."""
    relay = f"[mx.{name}.example]:587"
    if mechanism in ("PLAIN", "LOGIN"):
        settings = {"smtp_sasl_tls_security_options": "noanonymous", **settings}
    settings = {"smtp_tls_security_level": "secure", **settings}
    hopseal.base.update({
        "relayhost": relay,
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": f"texthash:{TABLES}/logins",
        "smtp_sasl_mechanism_filter": mechanism,
    })
    hopseal.configure({"logins": f"{relay} {LOGIN}:{secret}\n"}, **settings)
    (hopseal.dir / "logins").chmod(0o600)
    return hopseal


def message(mark):
    return f"From: alice@client.example\r\nSubject: {mark}\r\n\r\nA line.\r\n".encode()


def subject(mark):
    return f"Subject: {mark}\n".encode()


def no_secret(text, secret):
    """Nothing that gives the password away, as it stands or as it is sent."""
    for said in (secret, f"\0{LOGIN}\0{secret}"):
        assert said not in text, text
        assert base64.b64encode(said.encode()).decode() not in text, text


def offers(transcript):
    """What was offered before the handshake, and after it."""
    handshake = transcript.index("C: STARTTLS")
    found = [[], []]
    for i, line in enumerate(transcript):
        if line[3:].startswith(("250-AUTH ", "250 AUTH ")):
            found[i > handshake] += line[3:].split()[1:]
    return [sorted(x) for x in found]


@pytest.mark.parametrize("name, mechanism", EACH)
def test_the_right_password(hopseal, maildir_of, name, mechanism):
    maildir = maildir_of(name)
    client, mark = with_login(hopseal, name, mechanism), f"in by {mechanism}"
    result = client.send(f"bob@{name}.example", message=message(mark))
    assert result.rcpt()["outcome"] == "delivered", result
    (tried,) = result.tries
    assert tried["login"]["mechanism"] == mechanism
    assert tried["judgement"]["reached"] == "verified"
    assert offers(tried["transcript"]) == [[], OFFERS[name]]
    peers.wait_for_mail(maildir, subject(mark))
    (mail,) = [m for m in peers.mails_in(maildir) if subject(mark) in m]
    assert b"with esmtpsa " in mail.lower()  # TLS and a login: RFC 3848
    no_secret(result.out + result.err, SECRET)


@pytest.mark.parametrize("soft", ["yes", "no"])
@pytest.mark.parametrize("name, mechanism", EACH)
def test_a_wrong_password(hopseal, maildir_of, name, mechanism, soft):
    """Waits, or is returned, and nothing of it has come when the next mail has."""
    maildir, mark = maildir_of(name), f"{mechanism} {soft}"
    client = with_login(hopseal, name, mechanism, WRONG, smtp_sasl_auth_soft_bounce=soft)
    result = client.send(f"bob@{name}.example", message=message(f"out by {mark}"))
    status, reply = REFUSED[name]
    fate = ("deferred", f"4.{status}") if soft == "yes" else ("bounced", f"5.{status}")
    assert result.fate == fate, result
    assert f"said: {reply}" in result.reason
    assert result.tries[0]["login"]["mechanism"] is None
    no_secret(result.out + result.err, WRONG)
    client = with_login(hopseal, name, mechanism)
    result = client.send(f"bob@{name}.example", message=message(f"after {mark}"))
    assert result.rcpt()["outcome"] == "delivered", result
    peers.wait_for_mail(maildir, subject(f"after {mark}"))
    assert not [m for m in peers.mails_in(maildir) if subject(f"out by {mark}") in m]


@pytest.mark.parametrize("name", OFFERS)
def test_no_login_in_the_clear(hopseal, maildir_of, name):
    """AUTH is not offered without TLS, and there is no mail without a login."""
    maildir_of(name)
    client = with_login(hopseal, name, "PLAIN", smtp_tls_security_level="none",
                        smtp_sasl_security_options="noanonymous")
    result = client.send(f"bob@{name}.example")
    assert result.rcpt()["outcome"] == "bounced", result
    (tried,) = result.tries
    assert tried["login"]["mechanism"] is None
    assert "C: STARTTLS" not in tried["transcript"]
    assert not [line for line in tried["transcript"] if "AUTH" in line]


@pytest.mark.parametrize("name", OFFERS)
def test_the_first_that_fits(hopseal, maildir_of, name):
    """Without a filter: not CRAM-MD5, and nothing that tells the password unless that is allowed."""
    maildir_of(name)
    client = with_login(hopseal, name, "")
    result = client.send(f"bob@{name}.example")
    if name == "postfix":
        assert result.rcpt()["outcome"] == "delivered", result
        assert result.tries[0]["login"]["mechanism"] == "SCRAM-SHA-256"
    else:
        assert result.fate == ("deferred", "4.7.0"), result
        assert "offers no mechanism that may be used" in result.reason


@pytest.mark.parametrize("name", OFFERS)
def test_the_daemon(hopseal, maildir_of, name, tmp_path):
    """A wrong password is in no log, and neither is the right one."""
    maildir, mark = maildir_of(name), "by the daemon"
    gateway = Gateway(hopseal, tmp_path)
    with_login(hopseal, name, "LOGIN", WRONG)
    gateway.put(f"bob@{name}.example", message=message(f"out {mark}"))
    with gateway.running():
        fate = gateway.wait_for_fate(f"bob@{name}.example", "deferred")
        queued = hopseal.run("queue", "list")
    assert REFUSED[name][1] in fate["reason"]
    no_secret(gateway.text() + queued.out, WRONG)
    with_login(hopseal, name, "LOGIN")
    gateway.put(f"carol@{name}.example", message=message(f"in {mark}"))
    with gateway.running():
        gateway.wait_for_fate(f"carol@{name}.example", "sent")
    peers.wait_for_mail(maildir, subject(f"in {mark}"))
    no_secret(gateway.text(), SECRET)
