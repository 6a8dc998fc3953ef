"""Mail on its way in, through the daemon: who may relay, what is refused and how, and that a 250 is a
promise."""

import contextlib
import email
import json
import re
import subprocess
import time

import pytest

from lab import peers, postfix_client as lab_postfix_client, zones
from lab.client import FOREIGN, HOST, PORT, Client, intake, path, scram, subjects, tls


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Listens on HOST:PORT for 127.0.0.1; relays to MX1."""
    return intake(hopseal, tmp_path)


def test_relaying_is_for_mynetworks(gateway, sink):
    s = sink()
    with gateway.running():
        with Client(source=FOREIGN) as c:
            assert c.mail().startswith("554 5.7.1")
            assert c.say("RCPT TO:<x@y.example>").startswith("554 5.7.1")
        with Client() as c:
            assert re.match(r"250 2\.0\.0 Ok: queued as \w+$", c.mail())
        gateway.wait_for_fate("bob@good.example", "sent")
    (message,) = s.messages
    text = email.message_from_bytes(message.data)
    assert re.match(r"from client\.example \(localhost \[127\.0\.0\.1\]\)\s+by gateway\.example \(Hopseal\) "
                    r"with ESMTP id \w+\s+for <bob@good\.example>; ", text["Received"])


CLIENTS = {
    "192.0.2.60": "app.clients.example",
    "192.0.2.61": "unknown",  # the name is another's
    "192.0.2.62": "unknown",
    "192.0.2.64": "unknown",
    "192.0.2.65": "unknown",
}


def test_clients_have_names(gateway, sink):
    """The name that the address has, if the name has the address: in the log and in Received."""
    s = sink()
    at = (zones.MYSELF, PORT)
    gateway.hopseal.configure(hopseal_listeners=f"smtp:{zones.MYSELF}:{PORT}",
                              mynetworks="192.0.2.0/24")
    with gateway.running():
        for address, name in CLIENTS.items():
            with Client(at, source=address) as c:
                assert c.mail(b"Subject: %s\r\n\r\n" % address.encode()).startswith("250")
            assert f"connect from {name}[{address}]" in gateway.text()
        gateway.wait_for(lambda: len(s.messages) == len(CLIENTS), "all of them")
    for m in s.messages:
        text = email.message_from_bytes(m.data)
        address, name = text["Subject"], CLIENTS[text["Subject"]]
        told = f"[{address}]" if name == "unknown" else f"{name} [{address}]"
        assert f"from client.example ({told})" in text["Received"]
    gateway.log.unlink()
    gateway.hopseal.configure(smtpd_peername_lookup="no", hopseal_listeners=f"smtp:{zones.MYSELF}:{PORT}")
    with gateway.running():
        with Client(at, source="192.0.2.60"):
            pass
        assert "connect from unknown[192.0.2.60]" in gateway.text()


def test_a_client_does_not_wait_for_its_name(gateway, tree):
    """A name server that says nothing costs no more than hopseal_peername_timeout, and its client
    whatever the name would have given it."""
    gateway.hopseal.configure(
        hopseal_listeners=f"smtp:{zones.MYSELF}:{PORT}", hopseal_peername_timeout="1s",
        mynetworks="app.clients.example, 192.0.2.61", hopseal_dns_stub_servers=f"{zones.NOBODY}@53")
    with gateway.running():
        began = time.monotonic()
        with Client((zones.MYSELF, PORT), source="192.0.2.60") as c:
            assert 0.9 < time.monotonic() - began < 9
            assert c.mail().startswith("451 4.3.0")
        with Client((zones.MYSELF, PORT), source="192.0.2.61") as c:
            assert c.say("MAIL FROM:<>").startswith("250")
            assert not c.say("RCPT TO:<bob@good.example>").startswith("554")


def test_mynetworks_of_all_kinds(gateway, sink):
    """Networks, names, tables and files, in their order; tables that change, and one that fails."""
    sink()
    listed = gateway.hopseal.dir / "listed"
    clients = gateway.hopseal.dir / "clients"
    nets = gateway.hopseal.dir / "nets"
    listed.write_text("# ours\n192.0.2.62 ,\n  !192.0.2.63\n")
    clients.write_text("192.0.2.66 x\n")
    nets.write_text("192.0.2.72/29 x\n")
    gateway.hopseal.configure(
        hopseal_listeners=f"smtp:{zones.MYSELF}:{PORT}",
        mynetworks=f"!192.0.2.61, {listed}, clients.example, texthash:{clients}, cidr:{nets}")

    def may(address):
        with Client((zones.MYSELF, PORT), source=address) as c:
            c.say("MAIL FROM:<a@client.example>")
            return c.say("RCPT TO:<bob@good.example>")[:9]

    with gateway.running():
        said = {n: may(f"192.0.2.{n}") for n in (60, 61, 62, 63, 66, 67, 73, 80)}
        yes, no = "250 2.1.5", "554 5.7.1"
        assert said == {60: yes, 61: no, 62: yes, 63: no, 66: yes, 67: no, 73: yes, 80: no}
        clients.write_text("192.0.2.67 x\n")
        time.sleep(1.2)  # tables are looked at once a second
        assert (may("192.0.2.66"), may("192.0.2.67")) == (no, yes)
        listed.write_text("192.0.2.80\n")
        assert (may("192.0.2.62"), may("192.0.2.80")) == (yes, no)
        assert gateway.hopseal.run("reload").code == 0
        gateway.wait_for(lambda: may("192.0.2.80") == yes, "the reload")
        assert may("192.0.2.62") == no


@pytest.mark.parametrize("bad", ["10.0.0.1/8", "192.0.2.300", "/nowhere/list", "nowhere:", "a..b"])
def test_mynetworks_that_are_none(gateway, bad):
    gateway.hopseal.configure(mynetworks=f"127.0.0.1 {bad}")
    with pytest.raises(AssertionError, match="mynetworks: ") as failure:
        gateway.start()
    assert bad in str(failure.value)


@pytest.mark.parametrize("level", ["may", "wrapper"])
def test_tls(gateway, sink, ca, level):
    s = sink()
    kind = "smtps" if level == "wrapper" else "smtp"
    gateway.hopseal.configure(
        **tls(ca), hopseal_listeners=f"{kind}:{HOST}:{PORT}", smtpd_tls_received_header="yes"
    )
    with gateway.running():
        with Client(tls=level == "wrapper") as c:
            if level == "may":
                c.starttls()
            assert "STARTTLS" not in c.extensions
            assert c.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
    assert b"with ESMTPS id" in s.messages[0].data and b"using TLSv1" in s.messages[0].data


def test_requiretls(gateway, sink, ca):
    """Taken only inside TLS; then no next-hop without TLS gets the message."""
    sink()
    gateway.hopseal.configure(
        **tls(ca), smtp_tls_security_level="encrypt", smtp_requiretls_policy="enforce"
    )
    with gateway.running():
        with Client() as c:
            assert "REQUIRETLS" not in c.extensions
            assert c.mail(options=" REQUIRETLS")[0] == "5"
            c.starttls()
            assert "REQUIRETLS" in c.extensions
            assert c.mail(options=" REQUIRETLS").startswith("250")
        gateway.wait_for(lambda: gateway.deliveries("bob@good.example"), "an attempt")
    assert gateway.deliveries("bob@good.example")[0]["status"] in ("bounced", "deferred")


def test_requiretls_is_not_offered_where_it_is_off(gateway, ca):
    gateway.hopseal.configure(**tls(ca), requiretls_enable="no")
    with gateway.running():
        with Client() as c:
            c.starttls()
            assert "REQUIRETLS" not in c.extensions
            assert c.mail(options=" REQUIRETLS").startswith("555 5.5.4")


def swaks(*argv):
    """Its exit status and what it printed."""
    full = ["swaks", "--server", f"{HOST}:{PORT}", "--local-interface", FOREIGN, "--to",
            "bob@good.example", "--from", "alice@client.example", *argv]
    done = subprocess.run(full, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def with_users(gateway, ca, **settings):
    """Authentication, for everybody who is not of mynetworks."""
    gateway.hopseal.configure(
        {"users": "ann secret\n"},
        **tls(ca),
        smtpd_sasl_auth_enable="yes",
        smtpd_tls_auth_only="yes",
        smtpd_sasl_authenticated_header="yes",
        hopseal_sasl_password_maps="texthash:TABLES/users",
        **settings,
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_authenticates(gateway, sink, ca, mechanism):
    s = sink()
    with_users(gateway, ca)
    how = ["--tls", "--auth", mechanism, "--auth-user", "ann", "--auth-password"]
    with gateway.running():
        status, said = swaks(*how, "wrong")
        assert status != 0 and "535 5.7.8" in said, said
        status, said = swaks(*how, "secret")
        assert status == 0, said
        gateway.wait_for_fate("bob@good.example", "sent")
    assert b"(Authenticated sender: ann)" in s.messages[0].data
    assert b"with ESMTPSA id" in s.messages[0].data


def test_scram(gateway, sink, ca):
    s = sink()
    with_users(gateway, ca)
    with gateway.running():
        with Client(source=FOREIGN) as c:
            c.starttls()
            assert scram(c, "ann", "wrong").startswith("535 5.7.8")
            assert scram(c, "ann", "secret").startswith("235 2.7.0")
            assert c.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
    assert b"with ESMTPSA id" in s.messages[0].data


def test_no_password_in_clear(gateway, sink, ca):
    sink()
    with_users(gateway, ca)
    with gateway.running():
        with Client(source=FOREIGN) as c:
            assert "AUTH" not in c.extensions
            assert c.say("AUTH PLAIN AGFubgBzZWNyZXQ=")[0] == "5"
            assert c.mail().startswith("554 5.7.1")


@pytest.mark.parametrize("kind", ["smtp", "lmtp"])
def test_a_unix_listener(gateway, sink, kind):
    s = sink()
    at = f"{gateway.dir}/socket"
    gateway.hopseal.configure(hopseal_listeners=f"{kind}:unix:{at}")
    with gateway.running():
        with Client(at, hello="LHLO" if kind == "lmtp" else "EHLO") as c:
            c.say("MAIL FROM:<alice@client.example>")
            c.say("RCPT TO:<bob@good.example>")
            c.say("RCPT TO:<carol@good.example>")
            c.say("DATA")
            c.send(b"Subject: x\r\n\r\n.\r\n")
            assert [c.reply()[:3] for _ in range(2 if kind == "lmtp" else 1)][-1] == "250"
        gateway.wait_for_fate("carol@good.example", "sent")
    got = {path(r) for m in s.messages for r in m.recipients}
    assert got == {"bob@good.example", "carol@good.example"}


def test_size(gateway, sink):
    s = sink()
    gateway.hopseal.configure(message_size_limit="5000")
    line = b"x" * 98 + b"\r\n"
    with gateway.running():
        with Client() as c:
            assert "SIZE 5000" in c.extensions
            assert c.say("MAIL FROM:<a@b.example> SIZE=5001").startswith("552 5.3.4")
            assert c.mail(b"Subject: x\r\n\r\n" + 60 * line).startswith("552 5.3.4")
            assert c.mail(b"Subject: fits\r\n\r\n" + 40 * line).startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
    assert subjects(s) == {"fits": 1}


def test_bdat(gateway, sink):
    s = sink()
    with gateway.running():
        with Client() as c:
            assert "CHUNKING" in c.extensions
            c.say("MAIL FROM:<alice@client.example>")
            c.say("RCPT TO:<bob@good.example>")
            first, last = b"Subject: x\r\n\r\n.\r\n", b"..\r\n.no end\r\n.\r\n"
            c.send(b"BDAT %d\r\n%s" % (len(first), first))
            assert c.reply().startswith("250")
            c.send(b"BDAT %d LAST\r\n%s" % (len(last), last))
            assert "queued as" in c.reply()
        gateway.wait_for_fate("bob@good.example", "sent")
    assert s.messages[0].data.endswith(b"\r\n\r\n" + first[-3:] + last)


def test_smtputf8(gateway, sink):
    s = sink(extensions=("SMTPUTF8", "8BITMIME"))
    content = "Subject: Grüße\r\n\r\nJa.\r\n".encode()
    with gateway.running():
        with Client() as c:
            assert "SMTPUTF8" in c.extensions
            options = " SMTPUTF8 BODY=8BITMIME"
            assert c.mail(content, "jürgen@good.example", options=options).startswith("250")
        gateway.wait_for_fate("jürgen@good.example", "sent")
    assert "SMTPUTF8" in s.messages[0].sender and "Grüße".encode() in s.messages[0].data


def test_octets_in_a_header_alone_do_not_need_smtputf8(gateway, sink):
    """What the client did not ask for is not asked of the next server."""
    s = sink(extensions=("8BITMIME",))
    content = "Subject: Grüße\r\n\r\nJa.\r\n".encode()
    with gateway.running():
        with Client() as c:
            assert c.mail(content, options=" BODY=8BITMIME").startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
    assert "SMTPUTF8" not in s.messages[0].sender and "Grüße".encode() in s.messages[0].data


def test_a_success_is_told_when_it_was_asked_for(gateway, sink):
    s = sink(extensions=("8BITMIME",))  # no DSN: the notice is ours to send
    with gateway.running():
        with Client() as c:
            c.say("MAIL FROM:<alice@client.example> RET=HDRS ENVID=id-7")
            c.say("RCPT TO:<bob@good.example> NOTIFY=SUCCESS ORCPT=rfc822;robert@good.example")
            c.say("DATA")
            c.send(b"Subject: x\r\n\r\nText.\r\n.\r\n")
            assert c.reply().startswith("250")
        gateway.wait_for_fate("alice@client.example", "sent")
    (notice,) = [m for m in s.messages if not path(m.sender)]
    message, rcpt = email.message_from_bytes(notice.data).get_payload()[1].get_payload()
    assert message["Original-Envelope-Id"] == "id-7"
    assert rcpt["Action"] == "relayed" and rcpt["Status"][0] == "2"
    assert rcpt["Original-Recipient"] == "rfc822;robert@good.example"


SMUGGLED = (b"MAIL FROM:<eve@client.example>\r\nRCPT TO:<bob@good.example>\r\nDATA\r\n"
            b"Subject: smuggled\r\n\r\nx\r\n.\r\n")
FALSE_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n",
              b"\n.\r", b"\r\r\n.\n"]


@pytest.mark.parametrize("how", ["normalize", "reject", "reject of others"])
def test_nothing_is_smuggled(gateway, sink, how):
    """CVE-2023-51764 and its like: only CR LF "." CR LF ends a message, here and beyond."""
    s = sink()
    gateway.hopseal.configure(
        smtpd_forbid_bare_newline=how.partition(" ")[0],
        smtpd_forbid_bare_newline_exclusions="" if how == "reject" else "$mynetworks",
        mynetworks="127.0.0.0/8",
    )
    with gateway.running():
        for n, end in enumerate(FALSE_ENDS):
            with Client() as c:
                c.say("MAIL FROM:<alice@client.example>")
                c.say("RCPT TO:<bob@good.example>")
                c.say("DATA")
                c.send(b"Subject: %d\r\n\r\nA line." % n + end + SMUGGLED)
                c.say("QUIT")
        with Client() as c:
            assert c.mail(b"Subject: last\r\n\r\n").startswith("250")
        gateway.wait_for(lambda: "last" in subjects(s), "the last message")
        accepted = gateway.text().count("client=")
        gateway.wait_for(lambda: len(s.messages) >= accepted, "all that was accepted")
    assert "smuggled" not in subjects(s), subjects(s)
    for m in s.messages:
        assert path(m.sender) == "alice@client.example"


def test_bare_line_ends_become_whole_ones(gateway, sink):
    s = sink()
    with gateway.running():
        with Client() as c:
            assert c.mail(b"Subject: x\n\none\ntwo\r\n").startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
    assert s.messages[0].data.endswith(b"Subject: x\r\n\r\none\r\ntwo\r\n") or (
        b"Subject: x\r\n" in s.messages[0].data and b"\r\none\r\ntwo\r\n" in s.messages[0].data
    )


def test_some_clients_may_send_bare_line_ends(gateway, sink):
    """smtpd_forbid_bare_newline_exclusions: by address; a message of theirs ends as any other."""
    s = sink()
    gateway.hopseal.configure(
        smtpd_forbid_bare_newline="reject",
        smtpd_forbid_bare_newline_exclusions="127.0.0.3",
        mynetworks="127.0.0.0/8",
    )
    with gateway.running():
        with Client() as c:
            assert c.mail(b"Subject: x\n\none\r\n").startswith("550 5.6.0")
        with Client(source="127.0.0.3") as c:
            c.send(b"NOOP\n")
            assert c.reply().startswith("250")
            assert c.mail(b"Subject: x\n\none\n.\ntwo\r\n").startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
    assert s.messages[0].data.endswith(b"\r\n\r\none\r\n.\r\ntwo\r\n"), s.messages[0].data


def test_limits(gateway, sink):
    sink()
    gateway.hopseal.configure(
        hopcount_limit="5", smtpd_recipient_limit="3", smtpd_hard_error_limit="4"
    )
    with gateway.running():
        with Client() as c:
            assert c.mail(b"Received: x\r\n" * 5 + b"\r\n").startswith("554 5.4.6")
        with Client() as c:
            c.say("MAIL FROM:<alice@client.example>")
            said = [c.say(f"RCPT TO:<u{n}@good.example>")[:9] for n in range(4)]
            assert said == ["250 2.1.5"] * 3 + ["452 4.5.3"]
        with Client() as c:
            said = [c.say("NONSENSE") for _ in range(5)]
            assert said[0].startswith("500 5.5.2") and said[-1].startswith("421 4.7.0"), said
            assert c.reply() == ""


@pytest.fixture
def small_disk(gateway):
    """The queue lies in a file system of 200 MiB."""
    where = gateway.dir / "queue"
    where.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=200m,mode=0700", "tmpfs", where]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def test_no_room(gateway, sink, small_disk):
    s = sink()
    gateway.hopseal.configure(queue_minfree=str(100 << 20))
    with gateway.running():
        with Client() as c:
            assert c.mail(b"Subject: 1\r\n\r\n").startswith("250")
            (small_disk / "filler").write_bytes(b"x" * (150 << 20))
            time.sleep(1.2)  # the answer about room may be a second old
            assert c.say("MAIL FROM:<alice@client.example>").startswith("452 4.3.1")
            with Client() as other:
                assert other.say("MAIL FROM:<>").startswith("452 4.3.1")
            (small_disk / "filler").unlink()
            time.sleep(1.2)
            assert c.mail(b"Subject: 2\r\n\r\n").startswith("250")
        gateway.wait_for(lambda: len(s.messages) == 2, "delivery")
    assert subjects(s) == {"1": 1, "2": 1}


@pytest.mark.parametrize("command", ["DATA", "BDAT"])
def test_no_room_any_more(gateway, sink, small_disk, command):
    """There was room for MAIL; and no SIZE= is so large that it fits again."""
    s = sink()
    gateway.hopseal.configure(queue_minfree=str(100 << 20), message_size_limit="0")
    with gateway.running():
        with Client() as c:
            for size in (120 << 20, (1 << 64) - 1, (1 << 64) - (100 << 20)):
                assert c.say(f"MAIL FROM:<> SIZE={size}").startswith("452 4.3.1")
            assert c.say("MAIL FROM:<alice@client.example>").startswith("250")
            assert c.say("RCPT TO:<bob@good.example>").startswith("250")
            (small_disk / "filler").write_bytes(b"x" * (150 << 20))
            time.sleep(1.2)
            if command == "DATA":
                assert c.say("DATA").startswith("452 4.3.1")
            else:
                c.send(b"BDAT 6 LAST\r\nQUIT\r\n")
                assert c.reply().startswith("452 4.3.1")
            assert c.say("RSET").startswith("250")
            (small_disk / "filler").unlink()
            time.sleep(1.2)
            assert c.mail(b"Subject: 2\r\n\r\n").startswith("250")
        gateway.wait_for(lambda: len(s.messages) == 1, "delivery")
    assert subjects(s) == {"2": 1}


def held(gateway):
    """Memory of content, as `hopseal status` has it."""
    result = gateway.hopseal.run("status", "--json")
    return json.loads(result.out)["store"]["content_memory_octets"]


def begin(c, command="DATA"):
    """A transaction up to where content is wanted."""
    for said in ("MAIL FROM:<alice@client.example>", "RCPT TO:<bob@good.example>"):
        assert c.say(said).startswith("250")
    if command == "DATA":
        assert c.say("DATA").startswith("354")


def test_no_memory(gateway, sink):
    """Sessions that hold content open have the budget for it: early 452 for others, and nothing is
    lost of what had begun. All of it is given back: after a reset, a loss, and a 250."""
    s = sink()
    gateway.hopseal.configure(hopseal_content_memory_limit=str(3 * 65536))
    text = b"Subject: %d\r\n\r\n" + b"A line of some length.\r\n" * 1700
    with gateway.running(), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client()) for _ in range(12)]
        late, asked = clients.pop(), clients.pop()
        for c in clients[1:]:
            begin(c)
        begin(late, "BDAT")
        begin(clients[0], "BDAT")
        assert held(gateway) == 0
        clients[0].send(b"BDAT %d\r\n" % len(text % 0) + text % 0)
        assert clients[0].reply().startswith("250")
        for n in (1, 2):
            clients[n].send(text % n)
        gateway.wait_for(lambda: held(gateway) == 3 * 65536, "all of it in use")
        for n in range(3, len(clients)):
            clients[n].send(text % n)
        assert asked.say("MAIL FROM:<>").startswith("452 4.3.1")
        assert asked.say("MAIL FROM:<> SIZE=100").startswith("452 4.3.1")
        late.send(b"BDAT 6 LAST\r\nQUIT\r\n")
        assert late.reply().startswith("452 4.3.1")
        for n in range(3, len(clients)):
            clients[n].send(b".\r\n")
            assert clients[n].reply().startswith("250")
        assert held(gateway) == 3 * 65536
        assert clients[0].say("RSET").startswith("250")
        gateway.wait_for(lambda: held(gateway) == 2 * 65536, "what was reset")
        clients[1].close()
        gateway.wait_for(lambda: held(gateway) == 65536, "what was lost")
        clients[2].send(b".\r\n")
        assert clients[2].reply().startswith("250")
        assert asked.mail(text % 20, options=" SIZE=50000").startswith("250")
        gateway.wait_for(lambda: len(s.messages) == 9, "delivery")
        gateway.wait_for(lambda: held(gateway) == 0, "all of it again")
    assert subjects(s) == {str(n): 1 for n in (2, *range(3, 10), 20)}
    assert all(m.data.endswith(b"length.\r\n") and len(m.data) > len(text) for m in s.messages)


def test_a_250_is_a_promise(gateway, sink):
    """Killed at once after the reply, a hundred times: each message is delivered."""
    s = sink()
    gateway.hopseal.configure(relayhost=f"[{zones.NOBODY}]:25", smtp_connect_timeout="1s")
    for n in range(100):
        gateway.start()
        with Client() as c:
            assert c.mail(b"Subject: %d\r\n\r\n" % n).startswith("250")
            gateway.child.kill()
        gateway.child.communicate()
    gateway.hopseal.configure()
    with gateway.running():
        gateway.wait_for(lambda: len(subjects(s)) == 100, "all of them", 60)
    assert subjects(s) == {str(n): 1 for n in range(100)}


def smtp_source(*argv):
    """Debian's load generator, from Postfix."""
    full = ["/usr/sbin/smtp-source", "-f", "alice@client.example", "-t", "bob@good.example",
            *argv, f"inet:{HOST}:{PORT}"]
    done = subprocess.run(full, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_load(gateway, sink):
    s = sink(keep_data=False)
    with gateway.running():
        smtp_source("-m", "500", "-s", "10", "-l", "4096")
        gateway.wait_for(lambda: len(s.messages) >= 500, "all of them", 60)
        gateway.wait_for(lambda: gateway.text().count("status=sent") >= 500, "their ends", 30)
    assert len(s.messages) == 500


def test_postfix_and_exim_take_what_it_relays(gateway, postfix, exim):
    gateway.hopseal.configure(relayhost=None)
    with gateway.running():
        with Client() as c:
            assert c.mail(rcpt="bob@postfix.example").startswith("250")
            assert c.mail(rcpt="bob@exim.example").startswith("250")
        gateway.wait_for_fate("bob@postfix.example", "sent")
        gateway.wait_for_fate("bob@exim.example", "sent")
    for maildir in (postfix, exim):
        peers.wait_for_mail(maildir, b"by gateway.example (Hopseal)")


def test_postfix_relays_to_it(gateway, sink, ca, postfix_client):
    """Debian's Postfix as the client, under an entry of a policy table: its host and port are
    ours."""
    s = sink()
    port = lab_postfix_client.port_of("encrypt")
    gateway.hopseal.configure(
        **tls(ca, lab_postfix_client.HOST),
        hopseal_listeners=f"smtp:{zones.MX1}:{port}",
        mynetworks="192.0.2.0/24",
    )
    with gateway.running():
        fates = postfix_client.send_to(*(f"{user}@p{port}.example" for user in ("bob", "carol")))
        assert [fate[:2] for fate in fates] == [("delivered", "2.0.0")] * 2, fates
        gateway.wait_for_fate(f"carol@p{port}.example", "sent")
    got = {path(r) for m in s.messages for r in m.recipients}
    assert got == {f"bob@p{port}.example", f"carol@p{port}.example"}
    assert b"with ESMTPS id" in s.messages[0].data
