"""What the daemon lives on goes, and comes back: the rights of its folder, a certificate, the name
servers, the system's log, its control socket."""

import contextlib
import errno
import os
import pathlib
import pwd

import pytest
from lab import disk as lab_disk, dnsfault, netns, peers, zones
from lab.client import Client, intake, tls
from lab.disk import FOLDER, OPEN, UNLINK

IO_ERROR = 74


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Listens for 127.0.0.1; relays to MX1; content beyond 2,000 octets is in files."""
    made = intake(hopseal, tmp_path)
    hopseal.base.update({"hopseal_content_inline_limit": "2000", "hopseal_workers": "1"})
    hopseal.configure()
    yield made
    if made.child and made.child.poll() is None:
        made.child.kill()
        made.child.communicate()


@pytest.fixture
def disk(gateway):
    """The daemon's disk."""
    with contextlib.closing(lab_disk.Disk(gateway.dir)) as made:
        gateway.env = made.env
        yield made


def give(c, subject, size=100):
    """One message; its reply."""
    c.say("RSET")
    return c.mail(b"Subject: %s\r\n\r\n" % subject + b"x" * size + b"\r\n")


# ---- the folder of the queue ----


@pytest.fixture
def of_nobody(gateway):
    """The folder of a queue that the user nobody has."""
    if not netns.has_many_users():
        pytest.skip("needs root")
    with peers.public_folder("rights") as folder:
        gateway.hopseal.configure(
            hopseal_queue_directory=folder / "queue", hopseal_user="nobody",
            hopseal_dns_trust_anchor_file="", smtp_tls_CAfile="", lmtp_tls_CAfile="",
        )
        gateway.log.touch()
        os.chown(gateway.log, pwd.getpwnam("nobody").pw_uid, 0)
        yield folder / "queue"


@pytest.mark.parametrize("what", [".", "content", "queue.db"])
def test_rights_that_are_taken_away(gateway, of_nobody, sink, what):
    """Whoever opens files is refused, and mail with it; files that are open already go on."""
    s = sink()
    target, promised = of_nobody / what, 0
    with gateway.running(), Client() as c:
        for size in (100, 5000):
            assert give(c, b"before", size).startswith("250")
        gateway.wait_for(lambda: len(s.messages) == 2, "the first")
        mode = target.stat().st_mode
        target.chmod(0)
        for size in (100, 5000):
            said = give(c, b"meanwhile", size)
            assert said[:3] in ("250", "451", "452"), said
            promised += said.startswith("250")
        target.chmod(mode)
        gateway.wait_for(lambda: give(c, b"after", 5000).startswith("250"), "a 250 again")
        gateway.wait_for(lambda: len(s.messages) == 3 + promised, "all that was promised")
    assert promised < 2 or what == "queue.db"


@pytest.mark.parametrize("kind, path, error", [
    (FOLDER, "/queue/content/7f$", "EDQUOT"), (FOLDER, "/queue/content$", "EMFILE"),
    (OPEN, "/queue/lock$", "ENFILE"), (OPEN, "/queue/queue.db$", "EMFILE"),
    (OPEN, "/queue/queue.db-wal$", "ENFILE"),
], ids=["quota", "content", "lock", "database", "log"])
def test_a_start_without_a_file(gateway, disk, kind, path, error):
    """The daemon names it, and starts when it can be had."""
    disk.order(kind, path, error=getattr(errno, error))
    with pytest.raises(AssertionError) as told:
        gateway.start()
    assert gateway.child.returncode == IO_ERROR, told.value
    assert path.rstrip("$").removesuffix("-wal") in str(told.value), told.value
    disk.heal()
    with gateway.running():
        pass


def test_a_file_that_cannot_be_swept(gateway, disk):
    """What a crash left and cannot be removed stays, and the daemon starts."""
    gateway.put("late@dead.example")
    orphan = gateway.dir / "queue/content/00/00000000001"
    orphan.write_bytes(b"x")
    gateway.hopseal.configure(relayhost="[192.0.2.90]:25")
    disk.order(UNLINK, "/queue/content/00")
    with gateway.running():
        assert orphan.exists() and disk.hits() == 1
    disk.heal()
    with gateway.running():
        assert not orphan.exists()


# ---- what it reads, and what it listens at ----


def test_a_certificate_that_vanishes(gateway, sink, ca):
    """The one that was read goes on; a reload is refused; a start names the file."""
    sink()
    settings = tls(ca)
    gateway.hopseal.configure(**settings)
    key = pathlib.Path(settings["smtpd_tls_chain_files"].split(",")[0])
    away = key.with_suffix(".away")
    key.rename(away)
    try:
        result = gateway.hopseal.run("serve")
        assert result.code == 78 and str(key) in result.err, result
        away.rename(key)
        with gateway.running():
            key.rename(away)
            result = gateway.hopseal.run("reload")
            assert result.code == 78 and str(key) in result.err, result
            with Client() as c:
                c.starttls()
                assert c.mail().startswith("250")
            gateway.wait_for_fate("bob@good.example", "sent")
            away.rename(key)
            assert gateway.hopseal.run("reload").code == 0
            with Client() as c:
                c.starttls()
    finally:
        if away.exists():
            away.rename(key)


def test_a_start_without_names(gateway, sink):
    """Nobody answers for names, of clients neither: mail is taken, and goes when there are names."""
    s = sink()
    server = "192.0.2.120"
    records = {
        (".", "NS"): ["ns.named.example."], ("ns.named.example.", "A"): [server],
        ("named.example.", "MX"): ["10 mx.named.example."], ("mx.named.example.", "A"): [zones.MX1],
    }
    gateway.hopseal.configure(
        relayhost=None, hopseal_dns_stub_servers=f"{server}@53",
        hopseal_dns_trust_anchor_file="", hopseal_dns_timeout="1s",
    )
    gateway.put("early@named.example")
    with gateway.running():
        with Client() as c:
            assert c.mail(rcpt="bob@named.example").startswith("250")
        for to in ("early", "bob"):
            gateway.wait_for_fate(f"{to}@named.example", "deferred")
        with contextlib.closing(dnsfault.FaultyServer(records, server)):
            for to in ("early", "bob"):
                gateway.wait_for_fate(f"{to}@named.example", "sent", 40)
    assert len(s.messages) == 2


def test_a_control_socket_that_is_removed(gateway, sink):
    """Mail goes on, a second daemon is refused, and a signal ends it; the next one makes it anew."""
    sink()
    control = gateway.dir / "queue/control"
    gateway.start()
    control.unlink()
    with Client() as c:
        assert c.mail().startswith("250")
    gateway.wait_for_fate("bob@good.example", "sent")
    assert gateway.hopseal.run("status").code != 0
    assert gateway.hopseal.run("queue", "list").code == 0
    result = gateway.hopseal.run("queue", "hold", "--all")
    assert result.code != 0 and "another process has this queue" in result.err, result
    assert gateway.stop() == 0
    with gateway.running():
        assert gateway.hopseal.run("status").code == 0
