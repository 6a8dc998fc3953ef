"""`hopseal sendmail` as programs call sendmail(1): what the message and its envelope become, with the
daemon and without."""

import email
import email.policy
import email.utils
import os
import pathlib
import pwd
import re
import subprocess

import pytest

from lab.gateway import Gateway
from lab.hopseal import program

USAGE, BAD_DATA, REFUSED, LATER = 64, 65, 69, 75


@pytest.fixture
def gateway(hopseal, tmp_path):
    return Gateway(hopseal, tmp_path)


@pytest.fixture
def receiver(gateway, sink):
    """A sink that everything is relayed to; the daemon listens on a UNIX-domain socket."""
    s = sink(extensions=("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"))
    gateway.hopseal.base["hopseal_listeners"] = f"smtp:unix:{gateway.dir}/submit"
    gateway.hopseal.base["myorigin"] = "client.example"
    gateway.hopseal.base["relayhost"] = f"[{s.address}]:25"
    gateway.hopseal.configure()
    return s


def path(command):
    """The address of a MAIL or RCPT command."""
    return re.search("<(.*?)>", command).group(1)


def put(gateway, *argv, stdin):
    """Runs it while the daemon is down; it must succeed."""
    result = gateway.hopseal.run("sendmail", *argv, stdin=stdin)
    assert result.code == 0, result


def delivered(gateway, s, count=1):
    """Runs the daemon until that many messages have arrived."""
    with gateway.running():
        gateway.wait_for(lambda: len(s.messages) >= count, "delivery")
        gateway.wait_for(lambda: gateway.text().count("status=sent") >= count, "the end of it")
    return s.messages


def put_and_deliver(gateway, s, *argv, stdin):
    put(gateway, *argv, stdin=stdin)
    (message,) = delivered(gateway, s)
    return message


RECIPIENTS = {
    "To, Cc and Bcc": (
        b"To: Bob <bob@good.example>,\n carol@good.example\nCC: (x) dave@good.example\n"
        b"Bcc: eve@good.example\nReply-To: nobody@good.example\n",
        [],
        {"bob", "carol", "dave", "eve"},
    ),
    "with those of the command line": (
        b"To: bob@good.example\n", ["carol@good.example, bob@GOOD.example"], {"bob", "carol"}
    ),
    "Resent fields stand for the others": (
        b"To: bob@good.example\nResent-To: carol@good.example\nResent-Bcc: dave@good.example\n",
        [],
        {"carol", "dave"},
    ),
    "groups": (
        b'To: "A: B": bob@good.example, Carol <carol@good.example>;\nCc: undisclosed:;\n',
        [],
        {"bob", "carol"},
    ),
}


@pytest.mark.parametrize("rule", RECIPIENTS)
def test_recipients_of_the_header(gateway, receiver, rule):
    header, argv, want = RECIPIENTS[rule]
    message = put_and_deliver(gateway, receiver, "-t", *argv, stdin=header + b"\nText.\n")
    assert {path(r).lower() for r in message.recipients} == {f"{user}@good.example" for user in want}
    assert b"eve@" not in message.data and b"dave@good.example" not in message.data.replace(
        b"CC: (x) dave@good.example", b""
    )


def test_what_is_missing_is_added(gateway, receiver):
    message = put_and_deliver(
        gateway, receiver, "-F", "Lee, Ann", "-f", "ann", "bob@good.example", stdin=b"To: x\n\nHi"
    )
    assert path(message.sender) == "ann@client.example"
    text = email.message_from_bytes(message.data)
    assert text["From"] == '"Lee, Ann" <ann@client.example>'
    assert re.fullmatch(r"<[\w.]+@gateway\.example>", text["Message-ID"])
    assert email.utils.parsedate_to_datetime(text["Date"])
    assert re.match(rf"by gateway\.example \(Hopseal, from userid {os.getuid()}\)\r\n\tid \w+; ",
                    text["Received"])
    assert text.get_payload() == "Hi\r\n"


def test_a_name_of_utf8_is_encoded(gateway, receiver):
    message = put_and_deliver(
        gateway, receiver, "-F", "Jürgen", "-f", "j", "bob@good.example", stdin=b"To: x\n\nHi\n"
    )
    text = email.message_from_bytes(message.data, policy=email.policy.default)
    assert text["From"].addresses[0].display_name == "Jürgen"


def test_what_is_there_stays(gateway, receiver):
    stdin = (b"From: a@b.example\r\nDate: Sun, 22 Nov 2026 11:20:00 +0000\r\n"
             b"Message-ID: <x@y>\r\n\r\nA line.\r\n")
    message = put_and_deliver(gateway, receiver, "bob@good.example", stdin=stdin)
    assert message.data.endswith(stdin) and message.data.startswith(b"Received: by ")


def test_the_end_of_the_message(gateway, receiver):
    put(gateway, "bob@good.example", stdin=b"Subject: 1\n\none\n.\ntwo\n")
    put(gateway, "-i", "bob@good.example", stdin=b"Subject: 2\n\none\n.\n..\ntwo")
    put(gateway, "-oi", "bob@good.example", stdin=b"From bob Sun Nov 22\nSubject: 3\n\n.\n")
    put(gateway, "bob@good.example", stdin=b"Subject: 4\r\n\r\none\r\n.\r\ntwo\r\n")
    put(gateway, "bob@good.example", stdin=b"Subject: 5\n\n" + 300 * (b"x" * 900 + b"\n") + b".x\n.")
    got = {}
    for message in delivered(gateway, receiver, 5):
        text = email.message_from_bytes(message.data)
        got[text["Subject"]] = text.get_payload()
    assert got == {"1": "one\r\n", "2": "one\r\n.\r\n..\r\ntwo\r\n", "3": ".\r\n",
                   "4": "one\r\n", "5": 300 * ("x" * 900 + "\r\n") + ".x\r\n"}


def test_dsn(gateway, receiver):
    put(gateway, "-N", "success,delay", "-R", "hdrs", "-V", "id-1", "-f", "<>", "bob@good.example",
        stdin=b"Subject: x\n\n")
    delivered(gateway, receiver)
    (mail,) = [c for c, _ in receiver.session.commands if c.startswith("MAIL")]
    (rcpt,) = [c for c, _ in receiver.session.commands if c.startswith("RCPT")]
    assert mail.startswith("MAIL FROM:<>") and "RET=hdrs" in mail and "ENVID=id-1" in mail
    assert "NOTIFY=success,delay" in rcpt


def test_the_daemon_takes_it_at_once(gateway, receiver):
    with gateway.running():
        result = gateway.hopseal.run(
            "sendmail", "-v", "-t", "-F", "Ann", stdin=b"To: bob@good.example\nBcc: c@x.example\n\n"
        )
        assert result.code == 0 and "queued as" in result.err, result
        gateway.wait_for_fate("bob@good.example", "sent")
    message = receiver.messages[0]
    assert b"Bcc" not in message.data and b"from userid" in message.data


@pytest.mark.parametrize("listener", ["lmtp:unix:{dir}/lmtp", "smtp:127.0.0.1:2599"])
def test_other_listeners(gateway, receiver, listener):
    gateway.hopseal.configure(
        hopseal_listeners=listener.format(dir=gateway.dir), mynetworks="127.0.0.0/8"
    )
    with gateway.running():
        put(gateway, "bob@good.example", stdin=b"Subject: x\n\n")
        gateway.wait_for_fate("bob@good.example", "sent")


def test_a_daemon_without_a_way_to_it(gateway, receiver):
    gateway.hopseal.configure(hopseal_listeners="")
    with gateway.running():
        result = gateway.hopseal.run("sendmail", "bob@good.example", stdin=b"\n")
    assert result.code == LATER and "another process has this queue" in result.err, result


def test_another_server_on_the_port_gets_nothing(gateway, receiver, sink):
    other = sink("127.0.0.1", 2598, name="other.example")
    gateway.hopseal.configure(hopseal_listeners="smtp:127.0.0.1:2598")
    put(gateway, "bob@good.example", stdin=b"Subject: x\n\n")
    assert not other.messages


WRONG = {
    "no recipient": ([], b"\n", USAGE, "a recipient is missing"),
    "none in the header": (["-t"], b"Subject: x\n\n", USAGE, "names no recipients"),
    "no address": (["bob smith"], b"\n", USAGE, "no mail address"),
    "no address in the header": (["-t"], b"To: bob smith\n\n", BAD_DATA, "To: "),
    "no sender": (["-f", "a b", "bob@good.example"], b"\n", USAGE, "not a mail address"),
    "SMTP": (["-bs"], b"", USAGE, "listeners"),
    "aliases": (["-bi"], b"", USAGE, "all there is"),
    "too large": (["bob@good.example"], b"x" * 3000, BAD_DATA, "message_size_limit"),
    "NOTIFY": (["-N", "soon", "bob@good.example"], b"\n", USAGE, "-N soon"),
}


@pytest.mark.parametrize("rule", WRONG)
def test_what_is_wrong_is_told(gateway, receiver, rule):
    argv, stdin, code, text = WRONG[rule]
    gateway.hopseal.configure(message_size_limit="2000")
    result = gateway.hopseal.run("sendmail", *argv, stdin=stdin)
    assert result.code == code and text in result.err, result


def test_a_recipient_that_the_daemon_refuses(gateway, receiver):
    gateway.hopseal.configure(
        {"transport": "no.example error:5.1.1 not here\n"},
        transport_maps="texthash:TABLES/transport",
    )
    with gateway.running():
        result = gateway.hopseal.run("sendmail", "a@no.example", stdin=b"\n")
        assert result.code == REFUSED and "not here" in result.err, result
        result = gateway.hopseal.run("sendmail", "a@no.example", "bob@good.example", stdin=b"\n")
        assert result.code == REFUSED and "not for all" in result.err, result
        gateway.wait_for_fate("bob@good.example", "sent")


def test_options_that_mean_nothing_and_the_name(gateway, receiver, tmp_path):
    link = tmp_path / "sendmail"
    link.symlink_to(program())
    argv = [link, "-c", gateway.hopseal.dir, "-oem", "-odb", "-oQ/x", "-G", "-U", "-O", "x=y",
            "-bm", "-B8BITMIME", "bob@good.example"]
    done = subprocess.run(argv, input=b"To: x\n\n", capture_output=True, check=False)
    assert done.returncode == 0, done
    delivered(gateway, receiver)


@pytest.mark.parametrize("queue", ["new", "the daemon's", "a copy"])
def test_root_leaves_the_queue_to_the_daemon(gateway, receiver, queue):
    """Which is not root, and could open neither the lock nor a message in a file."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    nobody = pwd.getpwnam("nobody")
    anywhere = {"hopseal_dns_trust_anchor_file": "", "smtp_tls_CAfile": "", "lmtp_tls_CAfile": ""}
    gateway.hopseal.configure(hopseal_user="nobody", hopseal_listeners="",
                              hopseal_content_inline_limit=100, **anywhere)
    for path in [gateway.dir, *gateway.dir.parents]:  # so that nobody gets there
        if path not in (pathlib.Path("/"), pathlib.Path("/tmp")):
            path.chmod(path.stat().st_mode | 0o011)
    gateway.log.touch()
    os.chown(gateway.log, nobody.pw_uid, 0)
    if queue != "new":
        with gateway.running():
            pass
    if queue == "a copy":
        (gateway.dir / "queue" / "lock").unlink()
        assert gateway.hopseal.run("queue", "hold", "--all").code == 0
    put(gateway, "bob@good.example", stdin=b"Subject: x\n\n" + b"A line.\n" * 100)
    files = [gateway.dir / "queue", *(gateway.dir / "queue").rglob("*")]
    assert {p.stat().st_uid for p in files} == {nobody.pw_uid}
    (message,) = delivered(gateway, receiver)
    assert message.data.count(b"A line.") == 100
