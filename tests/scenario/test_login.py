"""Logging in at servers that want it: which login, over what, by which mechanism, and what becomes of the
mail when it is refused."""

import base64
import re

import pytest

from aiosmtpd.smtp import AuthResult

from lab import hopseal as lab_hopseal, peers, zones
from lab.gateway import Gateway
from lab.hopseal import TABLES
from lab.sink import DROP

RELAY = "[mx1.good.example]:587"
SECRET = "s3:cret"
PLAIN = base64.b64encode(f"\0me\0{SECRET}".encode()).decode()
AUTH = ("ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN")
TAKES = {"AUTH": "235 2.7.0 welcome"}


@pytest.fixture
def client(hopseal):
    """The program with a relayhost, a login for it and TLS that shows who it is."""
    return with_login(hopseal)


def with_login(hopseal, entries=f"{RELAY} me:{SECRET}\n", **settings):
    settings = {"smtp_tls_security_level": "secure",
                "smtp_sasl_tls_security_options": "noanonymous", **settings}
    hopseal.base.update({
        "relayhost": RELAY,
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": f"texthash:{TABLES}/logins",
    })
    hopseal.configure({"logins": entries}, **settings)
    (hopseal.dir / "logins").chmod(0o600)
    return hopseal


@pytest.fixture
def server(sink, ca):
    """Starts the relay: a sink with a certificate."""
    def start(**config):
        cert = ca.cert("valid", "mx1.good.example")
        return sink(port=587, cert=cert, **{"extensions": AUTH, "script": TAKES, **config})

    return start


def auth_lines(s):
    """What was said in AUTH, by (line, inside TLS)."""
    return [c for c in s.session.commands if c[0].startswith("AUTH")]


def no_secret(text):
    """Nothing that gives the password away."""
    for secret in (SECRET, PLAIN, base64.b64encode(SECRET.encode()).decode()):
        assert secret not in text, text


# ---- which login, and over what ----


def test_a_relayhost_wants_a_login(client, server):
    s = server()
    result = client.send("bob@good.example")
    assert result.fate == ("delivered", "2.0.0"), result
    assert auth_lines(s) == [(f"AUTH PLAIN {PLAIN}", True)]
    (tried,) = result.tries
    assert tried["login"] == {"key": RELAY, "source": f"texthash:{client.dir}/logins",
                              "file": f"{client.dir}/logins", "line": 1, "mechanism": "PLAIN"}
    assert "C: AUTH PLAIN ***" in tried["transcript"]
    assert "smtp_sasl_password_maps" not in str(result.json["deliveries"][0]["facts"])
    no_secret(result.out + result.err)


ENTRIES = {
    "host": ("mx1.good.example me:{0}\n{1} x:y\n", False),
    "next-hop": ("{1} me:{0}\nmx1.good.example:587 x:y\n", False),
    "sender": ("{1} x:y\nalice@client.example me:{0}\n", True),
    "domain of the sender": ("{1} x:y\n@client.example me:{0}\n", True),
    "sender of our own domain": ("{1} x:y\nalice me:{0}\n@client.example x:y\n", True),
    "no sender of its own": ("{1} me:{0}\n@other.example x:y\n", True),
    "sender unasked": ("{1} me:{0}\nalice@client.example x:y\n", False),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_which_entry_counts(hopseal, server, name):
    text, by_sender = ENTRIES[name]
    client = with_login(hopseal, text.format(SECRET, RELAY),
                        smtp_sender_dependent_authentication="yes" if by_sender else "no",
                        mydestination="inline:{ {client.example = x} }")
    s = server()
    assert client.send("bob@good.example").code == 0
    assert auth_lines(s) == [(f"AUTH PLAIN {PLAIN}", True)]


def test_no_login_for_this_server(hopseal, server):
    client = with_login(hopseal, "other.example me:x\n")
    s = server()
    result = client.send("bob@good.example")
    assert result.code == 0 and auth_lines(s) == []
    assert result.tries[0]["login"] is None


def test_mail_from_with_dummy_auth(hopseal, server):
    client = with_login(hopseal, smtp_send_dummy_mail_auth="yes")
    s = server()
    assert client.send("bob@good.example").code == 0
    (mail,) = [line for line, _ in s.session.commands if line.startswith("MAIL")]
    assert mail.endswith(" AUTH=<>")


def test_noplaintext_is_the_default(hopseal, server):
    """Inside TLS, too, as in Postfix."""
    client = with_login(hopseal, smtp_sasl_tls_security_options=None)
    s = server()
    result = client.send("bob@good.example")
    assert result.fate == ("deferred", "4.7.0"), result
    assert 'offers no mechanism that may be used: it offers "PLAIN LOGIN"' in result.reason
    assert "smtp_sasl_tls_verified_security_options = noplaintext, noanonymous" in result.reason
    assert auth_lines(s) == [] and not s.messages


def test_never_in_the_clear_by_default(hopseal, sink):
    client = with_login(hopseal, smtp_tls_security_level="may")
    s = sink(port=587, extensions=AUTH, script=TAKES)
    result = client.send("bob@good.example")
    assert result.fate == ("deferred", "4.7.0"), result
    assert "smtp_sasl_security_options = noplaintext, noanonymous" in result.reason
    assert auth_lines(s) == []


def test_in_the_clear_when_that_is_wanted(hopseal, sink):
    client = with_login(hopseal, smtp_tls_security_level="may",
                        smtp_sasl_security_options="noanonymous")
    s = sink(port=587, extensions=AUTH, script=TAKES)
    assert client.send("bob@good.example").code == 0
    assert auth_lines(s) == [(f"AUTH PLAIN {PLAIN}", False)]


def test_nothing_is_said_to_an_impostor(client, sink, ca):
    """The level asks for a certificate that this server does not have."""
    s = sink(port=587, cert=ca.cert("valid", "evil.example"), extensions=AUTH, script=TAKES)
    result = client.send("bob@good.example")
    assert result.fate == ("deferred", "4.7.5"), result
    assert auth_lines(s) == []


@pytest.mark.parametrize("level, mechanism", [("may", None), ("encrypt", None), ("secure", "PLAIN")])
def test_verified_servers_are_told_more(hopseal, server, level, mechanism):
    client = with_login(hopseal, smtp_tls_security_level=level,
                        smtp_sasl_tls_security_options="noplaintext",
                        smtp_sasl_tls_verified_security_options="noanonymous")
    s = server()
    result = client.send("bob@good.example")
    assert result.fate[0] == ("delivered" if mechanism else "deferred"), result
    assert [line.split()[1] for line, _ in auth_lines(s)] == ([mechanism] if mechanism else [])


def test_offers_before_tls_do_not_count(client, server):
    """Only what EHLO says inside TLS does: the mail goes without a login, as from Postfix."""
    s = server(extensions=("ENHANCEDSTATUSCODES",), extensions_in_clear=("AUTH PLAIN",))
    result = client.send("bob@good.example")
    assert result.code == 0 and auth_lines(s) == []
    assert result.tries[0]["login"]["mechanism"] is None


def test_a_broken_tls_is_not_gone_around(hopseal, sink, tmp_path):
    """At level may old mail would go in the clear; not where a password would go with it."""
    gateway = Gateway(hopseal, tmp_path)
    with_login(hopseal, smtp_tls_security_level="may", smtp_sasl_security_options="noanonymous")
    s = sink(port=587, extensions=AUTH, script={**TAKES, "STARTTLS": "220 go", "tls": "rubbish"})
    gateway.put("bob@good.example")
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) >= 3, "some attempts")
    assert {d["status"] for d in gateway.deliveries()} == {"deferred"} and not s.messages
    assert not [line for x in s.sessions for line, _ in x.commands if line.startswith("AUTH")]


# ---- mechanisms ----


def authenticator(said):
    def check(server, session, envelope, mechanism, data):
        said.append(mechanism)
        return AuthResult(success=(data.login, data.password) == (b"me", SECRET.encode()))

    return check


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_aiosmtpd(hopseal, ca, mechanism):
    """LOGIN has no initial response; PLAIN goes with the command."""
    said = []
    client = with_login(hopseal, smtp_sasl_mechanism_filter=mechanism.lower())
    cert = ca.cert("valid", "mx1.good.example")
    with peers.aiosmtpd(zones.MX1, cert, 587, authenticator=authenticator(said),
                        auth_required=True) as (received, _):
        result = client.send("bob@good.example")
        assert result.code == 0, result
        assert said == [mechanism] and len(received) == 1
        assert client.send("bob@good.example").code == 0
    no_secret(result.out)


def listener(hopseal, ca, tmp_path, mechanisms):
    """A second gateway, with a listener that wants a login, and a sink behind it."""
    other = lab_hopseal.Hopseal.__new__(lab_hopseal.Hopseal)
    other.dir, other.base = tmp_path / "other", dict(hopseal.base)
    other.dir.mkdir()
    made = Gateway(other, tmp_path / "other")
    cert = ca.cert("valid", "mx1.good.example")
    other.base.update({
        "myhostname": "mx1.good.example",
        "hopseal_listeners": f"smtp:{zones.MX1}:587",
        "mynetworks": "127.0.0.1/32",
        "relayhost": f"[{zones.MX2}]:25",
        "smtpd_tls_chain_files": f"{cert.key}, {cert.chain}",
        "smtpd_tls_security_level": "may",
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sasl_authenticated_header": "yes",
        "hopseal_sasl_mechanisms": mechanisms,
        "hopseal_sasl_password_maps": "inline:{ { me = %s } }" % SECRET,
        "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
    })
    other.configure()
    return made


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"])
def test_our_own_listener(hopseal, sink, ca, tmp_path, mechanism):
    """Under noplaintext, and with channel binding; the password is never said."""
    s = sink(zones.MX2)
    other = listener(hopseal, ca, tmp_path, mechanism)
    plain = {} if mechanism == "PLAIN" else {"smtp_sasl_tls_security_options": None}
    client = with_login(hopseal, **plain)
    with other.running():
        result = client.send("bob@good.example")
        assert result.code == 0, result
        assert result.tries[0]["login"]["mechanism"] == mechanism
        no_secret(result.out)
        client = with_login(hopseal, f"{RELAY} me:wrong\n", **plain)
        result = client.send("bob@good.example")
        assert result.fate == ("deferred", "4.7.8"), result
        other.wait_for(lambda: s.messages, "the mail")
    assert b"Authenticated sender: me" in s.messages[0].data


def test_a_proof_that_never_came(hopseal, server):
    """235 in the middle of SCRAM: the server does not know the password."""
    client = with_login(hopseal, smtp_sasl_tls_security_options=None)
    s = server(extensions=("AUTH SCRAM-SHA-256",))
    result = client.send("bob@good.example")
    assert result.fate == ("deferred", "4.7.0"), result
    assert "without the proof that it knows the password" in result.reason
    assert result.tries[0]["login"]["mechanism"] is None
    assert not s.messages


def test_the_message_does_not_give_up_the_password(client, sink, ca):
    """TLS-Required: No, and a server that cannot show who it is."""
    s = sink(port=587, cert=ca.cert("valid", "other.example"), extensions=AUTH, script=TAKES)
    result = client.send("bob@good.example", message=b"TLS-Required: No\r\n\r\nA line.\r\n")
    assert result.fate[0] == "deferred", result
    assert not s.messages and not auth_lines(s)
    assert "login-over-header" in [t["code"] for t in result.tries[0]["decision"]["trace"]]


# ---- refusals ----

REFUSALS = {
    "wrong password": ("535 5.7.8 Authentication failed", {}, ("deferred", "4.7.8")),
    "wrong password, for good": ("535 5.7.8 Authentication failed",
                                 {"smtp_sasl_auth_soft_bounce": "no"}, ("bounced", "5.7.8")),
    "another mechanism": ("534 5.7.9 too weak", {}, ("deferred", "4.7.9")),
    "not now": ("454 4.7.0 later", {"smtp_sasl_auth_soft_bounce": "no"}, ("deferred", "4.7.0")),
    "password expired": ("432 4.7.12 expired", {}, ("deferred", "4.7.12")),
    "bye": ("421 4.3.2 bye", {}, ("deferred", "4.3.2")),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(hopseal, server, name):
    reply, settings, fate = REFUSALS[name]
    client = with_login(hopseal, **settings)
    s = server(script={"AUTH": reply})
    result = client.send("bob@good.example")
    assert result.fate == fate, result
    assert f"said: {reply} (in reply to AUTH)" in result.reason
    assert re.match("(SASL authentication failed; )?host mx1.good.example", result.reason)
    assert result.rcpt()["reply"]["code"] == int(reply[:3])
    assert not s.messages


def test_the_next_host_is_tried(hopseal, sink, ca):
    client = with_login(hopseal, "mx2.two.example me:x\nmx1.two.example me:wrong\n",
                        relayhost="two.example")
    cert = [ca.cert("valid", f"mx{i}.two.example") for i in (1, 2)]
    client.configure(relayhost="two.example", smtp_tls_security_level="encrypt",
                     smtp_sasl_tls_security_options="noanonymous")
    first = sink(zones.MX1, cert=cert[0], extensions=AUTH, script={"AUTH": "535 5.7.8 no"})
    second = sink(zones.MX2, cert=cert[1], extensions=AUTH, script=TAKES)
    result = client.send("bob@good.example")
    assert result.code == 0, result
    assert len(auth_lines(first)) == 1 and len(second.messages) == 1


@pytest.mark.parametrize("reply", ["535 5.7.8 no", None])
def test_refused_logins_are_no_sessions(hopseal, sink, ca, reply):
    """smtp_mx_session_limit = 2 is for servers that let us in."""
    client = with_login(hopseal, "equal.example me:x\n", relayhost="equal.example")
    client.configure(relayhost="equal.example", smtp_tls_security_level="encrypt",
                     smtp_sasl_tls_security_options="noanonymous")
    hosts = [sink(f"192.0.2.{14 + i}", cert=ca.cert("valid", f"mx{i}.equal.example"), extensions=AUTH,
                  script={"AUTH": reply or DROP}) for i in range(4)]
    last = sink("192.0.2.18", cert=ca.cert("valid", "last.equal.example"), extensions=AUTH, script=TAKES)
    result = client.send("bob@good.example")
    assert result.code == 0, result
    assert [len(auth_lines(s)) for s in hosts] == [1] * 4 and len(last.messages) == 1


def test_a_reply_that_quotes_the_password(client, server):
    server(script={"AUTH": f"500 5.5.1 unknown command: AUTH PLAIN {PLAIN}"})
    result = client.send("bob@good.example")
    assert result.fate[0] == "deferred"
    no_secret(result.out + result.err)


BROKEN = {
    "no such file": (None, "4.3.0"),
    "no password": (f"{RELAY} {SECRET.replace(':', '')}\n", "4.3.5"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_login_that_cannot_be_had(hopseal, server, name):
    """That is not the same as none: nobody is connected to."""
    entries, status = BROKEN[name]
    client = with_login(hopseal, entries or "")
    if entries is None:
        (client.dir / "logins").unlink()
    s = server()
    result = client.send("bob@good.example")
    assert result.fate == ("deferred", status), result
    assert result.reason.startswith("smtp_sasl_password_maps: ")
    assert s.sessions == [] and result.tries[0]["kind"] == "skipped"
    no_secret(result.out + result.err)


# ---- the daemon ----


def test_sessions_are_kept_for_the_same_login(hopseal, server, tmp_path):
    """Not for another one."""
    gateway = Gateway(hopseal, tmp_path)
    with_login(hopseal, f"alice@client.example me:{SECRET}\n@client.example you:{SECRET}\n",
               smtp_sender_dependent_authentication="yes", hopseal_workers="1",
               smtp_connection_cache_time_limit="60s", smtp_destination_concurrency_limit="1")
    s = server(takes_tickets=True)
    for sender, to in (("alice", "a"), ("alice", "b"), ("carol", "c"), ("alice", "d")):
        gateway.put(f"{to}@good.example", sender=f"{sender}@client.example")
    with gateway.running():
        gateway.wait_for(lambda: len(s.messages) == 4, "all of them")
    said = [[base64.b64decode(line.split()[2]).split(b"\0")[1] for line, _ in x.commands
             if line.startswith("AUTH")] for x in s.sessions]
    assert sorted(said) == [[b"me"], [b"you"]]
    assert sorted(len(x.messages) for x in s.sessions) == [1, 3]
    no_secret(gateway.text())


def test_the_daemon_tells_why(hopseal, server, tmp_path):
    gateway = Gateway(hopseal, tmp_path)
    with_login(hopseal)
    server(script={"AUTH": "535 5.7.8 no"})
    gateway.put("bob@good.example")
    with gateway.running():
        fate = gateway.wait_for_fate("bob@good.example", "deferred")
        queued = hopseal.run("queue", "list")
    assert "SASL authentication failed; host mx1.good.example[192.0.2.11]:587 said: 535" in fate["reason"]
    no_secret(gateway.text() + queued.out)


WRONG = {
    "no tables": {"smtp_sasl_password_maps": None},
    "a slip in the options": {"smtp_sasl_security_options": "noplain"},
    "a file as filter": {"smtp_sasl_mechanism_filter": "/etc/mechanisms"},
    "LMTP without tables": {"lmtp_sasl_auth_enable": "yes"},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_done_is_refused_at_the_start(hopseal, tmp_path, name):
    Gateway(hopseal, tmp_path)  # with a queue of its own
    with_login(hopseal, **WRONG[name])
    for command in ("serve", "send"):
        argv = ["-f", "a@b.example", "bob@good.example"] if command == "send" else []
        result = hopseal.run(command, *argv)
        assert result.code == 78, result
        assert "main.cf:" in result.err, result
    (found,) = [f for f in hopseal.check().json["findings"] if f["code"] == "smtp-auth"]
    assert found["severity"] == "error" and found["line"]


# ---- what is said beforehand ----


def test_explain(client):
    result = client.explain("bob@good.example")
    (login,) = result.json["destinations"][0]["logins"]
    assert login == {"host": "mx1.good.example", "port": 587, "key": RELAY,
                     "source": f"texthash:{client.dir}/logins", "file": f"{client.dir}/logins",
                     "line": 1, "error": None}
    text = client.run("explain", "bob@good.example").out
    assert f"login: {RELAY} ({client.dir}/logins:1)" in " ".join(text.split())
    no_secret(result.out + text)
    none = client.explain("other.example", "--host", "mx.other.example").json
    assert none["destinations"][0]["logins"][0]["key"] is None


CHECKED = {
    "all is well": ({}, set()),
    "no TLS needed": ({"smtp_tls_security_level": "may"}, {"login-without-tls", "login-unverified"}),
    "dane is may here": ({"smtp_tls_security_level": "dane"}, {"login-without-tls", "login-unverified"}),
    "no server is verified": ({"smtp_tls_security_level": "encrypt"}, {"login-unverified"}),
    "but nothing is shown": ({"smtp_tls_security_level": "encrypt",
                              "smtp_sasl_tls_security_options": None}, set()),
}


@pytest.mark.parametrize("name", CHECKED)
def test_check(hopseal, name):
    settings, want = CHECKED[name]
    client = with_login(hopseal, **settings)
    codes = {f["code"] for f in client.check().json["findings"]}
    assert {c for c in codes if "login" in c or "readable" in c} == want


def test_check_who_can_read_the_passwords(client):
    (client.dir / "logins").chmod(0o644)
    (found,) = [f for f in client.check().json["findings"] if f["code"] == "table-readable-by-all"]
    assert found["file"].endswith("/logins") and found["severity"] == "warning"


def test_passwords_in_main_cf_are_not_quoted(hopseal, server):
    client = with_login(hopseal, smtp_sasl_password_maps=f"static:me:{SECRET}")
    s = server()
    result = client.send("bob@good.example")
    assert result.code == 0 and auth_lines(s) == [(f"AUTH PLAIN {PLAIN}", True)]
    assert result.tries[0]["login"]["source"] == "static:..."
    no_secret(result.out + client.explain("bob@good.example").out)
