"""The gateway between mail servers and clients that we did not write: OpenSMTPD and Exim on both
sides, swaks and smtp-source in front. Postfix is in test_intake and test_reuse."""

import email
import re
import subprocess

import pytest
from lab import peer_clients, peers, zones
from lab.client import HOST, PORT
from lab.gateway import Gateway

BODY = b"Subject: %b\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
TEXT = ".\r\n..\r\n.dots\r\ngrüße\r\n".encode()
TO = (zones.MX1, 2525)  # where the gateway listens for other servers


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Listens for clients of this machine and for the lab's servers; relays to MX1."""
    made = Gateway(hopseal, tmp_path)
    hopseal.base.update(
        {
            "hopseal_listeners": f"smtp:{HOST}:{PORT} smtp:{TO[0]}:{TO[1]}",
            "mynetworks": "127.0.0.0/8 192.0.2.0/24",
            "relayhost": f"[{zones.MX1}]:25",
        }
    )
    hopseal.configure()
    return made


@pytest.fixture
def out(gateway, tmp_path):
    """A gateway that goes by MX records, with what is in its queue when it starts."""
    made = Gateway(gateway.hopseal, tmp_path)
    made.hopseal.base.update({"relayhost": None, "hopseal_listeners": ""})
    made.hopseal.configure()
    return made


def certificate(ca):
    """Settings of a listener with STARTTLS."""
    cert = ca.cert("valid", "gateway.example")
    return {"smtpd_tls_chain_files": f"{cert.key}, {cert.chain}", "smtpd_tls_security_level": "may"}


def message(n):
    """A header whose Subject is a number."""
    return BODY % str(n).encode()


def path(command):
    """The address of a MAIL or RCPT command."""
    return re.search("<(.*?)>", command).group(1)


# ---- OpenSMTPD takes what we relay ----


def test_opensmtpd_gets_what_may_allows(out, opensmtpd):
    """Its handshakes fail: a young message waits, then goes in the clear, and the log says both."""
    policy = {"opensmtpd.example": "MAY"}
    out.hopseal.per_site(policy, minimal_backoff_time="1h", maximal_backoff_time="1h")
    out.put("bob@opensmtpd.example", message=b"Subject: may-1\r\n\r\n" + TEXT)
    with out.running():
        out.wait_for_fate("bob@opensmtpd.example", "deferred")
    out.hopseal.per_site(policy)
    with out.running():
        assert out.hopseal.run("queue", "retry", "--all").code == 0
        out.wait_for_fate("bob@opensmtpd.example", "sent")
    first, *_, last = out.deliveries("bob@opensmtpd.example")
    assert (first["status"], first["dsn"]) == ("deferred", "4.7.5"), first
    assert re.search("handshake|TLS|SSL", first["reason"]), first
    assert last["tls"] == "may/cleartext", last
    peers.wait_for_mail(opensmtpd, b"Subject: may-1")


def test_opensmtpd_gets_nothing_under_encrypt(out, opensmtpd):
    out.hopseal.per_site({"opensmtpd.example": "MUST_NOPEERMATCH"})
    out.put("bob@opensmtpd.example", message=b"Subject: encrypt-1\r\n\r\nx\r\n")
    with out.running():
        out.wait_for(lambda: len(out.deliveries("bob@opensmtpd.example")) >= 4, "four attempts")
    for tried in out.deliveries("bob@opensmtpd.example"):
        assert (tried["status"], tried["dsn"]) == ("deferred", "4.7.5"), tried
        assert "cleartext" not in tried["reason"], tried
        assert re.search("handshake|closed|SSL|TLS", tried["reason"]), tried
    assert not any(b"encrypt-1" in mail for mail in peers.mails_in(opensmtpd, 0))


def test_opensmtpd_takes_many_over_one_connection(out, opensmtpd):
    out.hopseal.per_site(
        {"opensmtpd.example": "NONE"}, default_destination_concurrency_limit="1",
        initial_destination_concurrency="1",
    )
    for n in range(6):
        out.put("bob@opensmtpd.example", message=b"Subject: many-%d\r\n\r\n" % n + TEXT)
    with out.running():
        out.wait_for(lambda: len(out.deliveries("bob@opensmtpd.example")) == 6, "six messages")
    sent = out.deliveries("bob@opensmtpd.example")
    assert {d["status"] for d in sent} == {"sent"}, sent
    assert [d["use"] for d in sent] == [None, *map(str, range(2, 7))]
    for n in range(6):
        peers.wait_for_mail(opensmtpd, b"Subject: many-%d" % n)


def test_opensmtpd_refuses_one_of_three(out, opensmtpd):
    """Those it takes get the message once; the sender of the third is told in OpenSMTPD's words."""
    out.hopseal.per_site({"opensmtpd.example": "NONE"})
    rcpts = [f"{name}@opensmtpd.example" for name in ("bob", "refused", "carol")]
    out.put(*rcpts, sender="alice@opensmtpd.example", message=b"Subject: three\r\n\r\nx\r\n")
    with out.running():
        refused = out.wait_for_fate("refused@opensmtpd.example", "bounced")
        for rcpt in (rcpts[0], rcpts[2], "alice@opensmtpd.example"):
            out.wait_for_fate(rcpt, "sent")
    assert refused["dsn"].startswith("5.") and "550" in refused["reason"], refused
    peers.wait_for_mail(opensmtpd, b"multipart/report")
    (notice,) = [m for m in peers.mails_in(opensmtpd, 0) if b"multipart/report" in m]
    fields = email.message_from_bytes(notice).get_payload()[1].get_payload()[1]
    assert fields["Action"] == "failed"
    assert fields["Final-Recipient"] == "rfc822; refused@opensmtpd.example"
    assert fields["Diagnostic-Code"].startswith("smtp; 550"), fields

    def copies():
        return [m for m in peers.mails_in(opensmtpd, 0) if b"Subject: three" in m and m != notice]

    peers.process.wait_until(lambda: len(copies()) >= 2, "both copies: it has a queue of its own")
    assert len(copies()) == 2


# ---- OpenSMTPD and Exim relay to us ----


def relayed_to(gateway, s, relay, n=5, level="ESMTPS"):
    """`n` messages go through the relay and the gateway, and arrive as they were."""
    for i in range(n):
        relay.send(message(i) + TEXT, "bob@good.example", "carol@good.example")
    gateway.wait_for(
        lambda: sum(len(m.recipients) for m in s.messages) >= 2 * n, "all mail", 30
    )
    got = [email.message_from_bytes(m.data) for m in s.messages]
    assert {m["Subject"] for m in got} == set(map(str, range(n)))
    assert all(m.data.endswith(b"\r\n\r\n" + TEXT) for m in s.messages)
    for rcpt in ("bob@good.example", "carol@good.example"):
        assert sum(path(r) == rcpt for m in s.messages for r in m.recipients) == n
    assert all(f"with {level} id" in m["Received"] for m in got), got[0]["Received"]


@pytest.mark.parametrize("proto", ["smtp+notls", "smtp+tls", "smtp", "smtps"])
def test_opensmtpd_relays_to_it(gateway, sink, ca, proto):
    """With TLS, without, as it likes, and from the first octet. As a client its TLS works."""
    s = sink()
    kind = "smtps" if proto == "smtps" else "smtp"
    gateway.hopseal.configure(**certificate(ca), hopseal_listeners=f"{kind}:{TO[0]}:{TO[1]}")
    with peers.public_folder("opensmtpd") as folder, gateway.running():
        with opensmtpd_client(folder, proto) as relay:
            level = "ESMTP" if proto == "smtp+notls" else "ESMTPS"
            relayed_to(gateway, s, relay, level=level)


def opensmtpd_client(folder, proto):
    try:
        return peer_clients.opensmtpd(folder, TO, proto)
    except peers.Unavailable as e:
        pytest.skip(str(e))


@pytest.fixture
def exim_client(gateway, ca):
    """Exim, which relays to the gateway inside TLS."""
    try:
        with peers.public_folder("exim") as folder, peer_clients.exim(folder, TO, ca) as relay:
            yield relay
    except peers.Unavailable as e:
        pytest.skip(str(e))


def test_exim_relays_to_it(gateway, sink, ca, exim_client):
    """STARTTLS with GnuTLS on the other side, the certificate verified there, and BDAT."""
    s = sink(extensions=("PIPELINING", "8BITMIME", "DSN"))
    gateway.hopseal.configure(**certificate(ca))
    with gateway.running():
        relayed_to(gateway, s, exim_client)
        gateway.wait_for(lambda: "bdat=" in gateway.text(), "BDAT")
    log = exim_client.text()
    assert len(re.findall(r"[-=]> (?:bob|carol)@good\.example .* CV=yes .* K ", log)) == 10, log
    assert "data=" not in "".join(re.findall("disconnect .*", gateway.text()))


def test_exim_hears_of_a_refused_recipient(gateway, sink, ca, exim_client):
    sink()
    gateway.hopseal.configure(
        {"transport": "nobody@good.example error:5.1.1 no such user\n"},
        **certificate(ca),
        transport_maps="texthash:TABLES/transport",
    )
    with gateway.running():
        exim_client.send(message(1) + TEXT, "nobody@good.example", "bob@good.example")
        gateway.wait_for_fate("bob@good.example", "sent")
        gateway.wait_for(
            lambda: exim_client.says(r"\*\* nobody@good\.example .*"), "Exim's word of it"
        )
    assert re.search(r"550[- ]5\.1\.1 .*no such user", exim_client.says(r"\*\* nobody@good.*"))


def test_a_large_message_by_bdat(gateway, sink, ca, exim_client):
    """More than the database keeps in a row, and many chunks."""
    s = sink()
    gateway.hopseal.configure(**certificate(ca), message_size_limit="0")
    lines = b"".join(b"%07d %b\r\n" % (n, b"x" * 60) for n in range(40000))
    with gateway.running():
        exim_client.send(message(1) + lines, "bob@good.example")
        gateway.wait_for_fate("bob@good.example", "sent", 60)
    assert s.messages[0].data.endswith(lines)


# ---- swaks and smtp-source ----


def swaks(*argv, to=f"{HOST}:{PORT}"):
    """Its exit status and the dialogue."""
    where = ["--socket", to] if to.startswith("/") else ["--server", to]
    full = ["swaks", *where, "--from", "alice@client.example", *argv]
    done = subprocess.run(full, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "how, kind, keyword",
    [
        ((), "smtp", "ESMTP"),
        (("--pipeline",), "smtp", "ESMTP"),
        (("--tls",), "smtp", "ESMTPS"),
        (("--tls", "--pipeline"), "smtp", "ESMTPS"),
        (("--tls-optional-strict",), "smtp", "ESMTPS"),
        (("--tls", "--tls-protocol", "tlsv1_2"), "smtp", "ESMTPS"),
        (("--tls-on-connect",), "smtps", "ESMTPS"),
        (("--tls-on-connect", "--pipeline"), "smtps", "ESMTPS"),
        (("--protocol", "SMTP"), "smtp", "SMTP"),
        (("--protocol", "LMTP"), "lmtp", "LMTP"),
        (("--protocol", "LMTP", "--pipeline"), "lmtp", "LMTP"),
        (("--protocol", "LMTP", "--tls"), "lmtp", "LMTPS"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else None,
)
def test_swaks(gateway, sink, ca, how, kind, keyword):
    s = sink()
    gateway.hopseal.configure(**certificate(ca), hopseal_listeners=f"{kind}:{HOST}:{PORT}")
    with gateway.running():
        status, said = swaks(*how, "--to", "bob@good.example,carol@good.example")
        assert status == 0, said
        for rcpt in ("bob@good.example", "carol@good.example"):
            gateway.wait_for_fate(rcpt, "sent")
    assert f"with {keyword} id".encode() in s.messages[0].data
    if "--pipeline" in how:
        assert re.search(r"> MAIL FROM.*\n.*> RCPT TO.*\n.*> RCPT TO.*\n.*> DATA\n", said), said
    if keyword.startswith("LMTP"):
        assert said.count("queued as") == 2, said


@pytest.mark.parametrize("kind", ["smtp", "lmtp"])
def test_swaks_at_a_unix_socket(gateway, sink, kind):
    sink()
    at = f"{gateway.dir}/socket"
    gateway.hopseal.configure(hopseal_listeners=f"{kind}:unix:{at}")
    with gateway.running():
        how = ["--protocol", "LMTP"] if kind == "lmtp" else []
        status, said = swaks(*how, "--to", "bob@good.example", to=at)
        assert status == 0, said
        gateway.wait_for_fate("bob@good.example", "sent")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("how, kind", [("--tls", "smtp"), ("--tls-on-connect", "smtps")])
def test_swaks_authenticates_and_pipelines(gateway, sink, ca, how, kind, mechanism):
    s = sink()
    gateway.hopseal.configure(
        {"users": "ann secret\n"},
        **certificate(ca),
        hopseal_listeners=f"{kind}:{HOST}:{PORT}",
        mynetworks="192.0.2.0/24",
        smtpd_sasl_auth_enable="yes",
        hopseal_sasl_password_maps="texthash:TABLES/users",
    )
    argv = [how, "--pipeline", "--auth", mechanism, "--auth-user", "ann"]
    argv += ["--to", "bob@good.example"]
    with gateway.running():
        assert swaks(*argv, "--auth-password", "wrong")[0] != 0
        status, said = swaks(*argv, "--auth-password", "secret")
        assert status == 0, said
        gateway.wait_for_fate("bob@good.example", "sent")
    assert b"with ESMTPSA id" in s.messages[0].data and len(s.messages) == 1


def smtp_source(*argv, to=f"inet:{HOST}:{PORT}"):
    full = ["/usr/sbin/smtp-source", "-f", "alice@client.example", "-t", "bob@good.example"]
    done = subprocess.run(
        [*full, *argv, to], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "kind, options, n_rcpt",
    [
        ("smtp", (), 1),
        ("smtp", ("-d",), 1),  # one connection for all
        ("smtp", ("-d", "-s", "5", "-r", "3"), 3),  # five at a time, three recipients
        ("smtp", ("-o",), 1),  # HELO is not said
        ("smtp", ("-N", "-l", "200000"), 1),  # larger than the database keeps in a row
        ("smtp", ("-T", "256", "-l", "20000"), 1),  # a small window
        ("smtp", ("-4",), 1),
        ("lmtp", ("-L",), 1),
        ("lmtp", ("-L", "-d", "-s", "5", "-r", "3"), 3),
        ("lmtp:unix", ("-L", "-d", "-r", "3"), 3),
    ],
)
def test_smtp_source(gateway, sink, kind, options, n_rcpt):
    s = sink(keep_data=False)
    at = f"unix:{gateway.dir}/socket" if kind == "lmtp:unix" else f"{HOST}:{PORT}"
    gateway.hopseal.configure(hopseal_listeners=f"{kind.split(':')[0]}:{at}")
    with gateway.running():
        smtp_source(
            "-m", "20", *options, to=at if at.startswith("unix:") else f"inet:{HOST}:{PORT}"
        )
        want = 20 * n_rcpt
        gateway.wait_for(
            lambda: sum(len(m.recipients) for m in s.messages) >= want, "all of them", 60
        )
    assert sum(len(m.recipients) for m in s.messages) == want
