"""A queue that is not what the daemon left: damaged, incomplete, somebody else's. The daemon says so
and ends, or goes on and says so; what it leaves can be recovered as the guide has it."""

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess

import pytest
from lab.client import Client, intake
from lab.hopseal import TREE

SEEDS = int(os.environ.get("HOPSEAL_SEEDS", "12"))
DATA, CONFIG = 65, 78
N = 12
LARGE = b"Subject: large\r\n\r\n" + (b"x" * 70 + b"\r\n") * 100
SMALL = b"Subject: small\r\n\r\nA line.\r\n"


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Content beyond 2,000 octets is in files; mail for late@ waits."""
    made = intake(hopseal, tmp_path)
    hopseal.base.update({"hopseal_content_inline_limit": "2000", "hopseal_workers": "1"})
    hopseal.configure()
    yield made
    if made.child and made.child.poll() is None:
        made.child.kill()
        made.child.communicate()


@pytest.fixture
def queue(gateway):
    """The folder of the queue."""
    return gateway.dir / "queue"


def listed(gateway):
    """How many recipients the queue says that it has; None: it cannot be read, and that is said."""
    result = gateway.hopseal.run("queue", "list", "--json")
    if result.code != 0:
        assert str(gateway.dir / "queue") in result.err, result
        return None
    return len(result.out.splitlines())


def refusal(gateway):
    """Starts the daemon and stops it; gives its exit status and words when it does not start."""
    try:
        gateway.start()
    except AssertionError as told:
        return gateway.child.returncode, str(told)
    assert gateway.stop() == 0
    return None


def fill(gateway, sink, n=N):
    """Mail that was tried and waits, small and large in turn; gives the sink that refused it."""
    s = sink(rcpt={f"late{i}@good.example": "450 4.2.0 later" for i in range(n)})
    gateway.hopseal.configure(minimal_backoff_time="1h", maximal_backoff_time="2h")
    with gateway.running(), Client() as c:
        for i in range(n):
            assert c.mail(LARGE if i % 2 else SMALL, f"late{i}@good.example").startswith("250")
        gateway.wait_for(lambda: len(gateway.deliveries()) >= n, "all attempts")
    s.config.rcpt.clear()
    return s


def flip(rng, octets, page):
    """Bits, bytes, a page, or the end: gives what it did."""
    how = rng.choice(["bits", "bits", "bits", "bytes", "zeros", "swap", "cut"])
    pages = len(octets) // page
    if how == "bits":
        for _ in range(rng.choice([1, 16, 256])):
            octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
    elif how == "bytes":
        at = rng.randrange(len(octets) - 64)
        octets[at : at + 64] = rng.randbytes(64)
    elif how == "zeros":
        at = rng.randrange(1, pages) * page
        octets[at : at + page] = bytes(page)
    elif how == "swap":
        a, b = (rng.randrange(1, pages) * page for _ in range(2))
        octets[a : a + page], octets[b : b + page] = octets[b : b + page], octets[a : a + page]
    else:
        del octets[rng.randrange(1, pages) * page :]
    return how


def test_a_damaged_database(gateway, sink, queue):
    """By bits, pages and its length. Whatever the daemon does not refuse, or says to be damaged, is
    there as a whole; content is removed in no case."""
    s = fill(gateway, sink)
    good = gateway.dir / "good"
    queue.rename(good)
    refusals = 0
    for seed in range(SEEDS):
        shutil.copytree(good, queue)
        octets = bytearray((good / "queue.db").read_bytes())
        how = flip(random.Random(seed), octets, 4096)
        (queue / "queue.db").write_bytes(octets)
        before, log = len(s.messages), len(gateway.text())
        refused = refusal(gateway)
        if refused:
            refusals += 1
            code, words = refused
            assert code == DATA and "queue.db: " in words, (seed, how, refused)
            assert len(list((queue / "content").glob("*/*"))) == N // 2, (seed, how)
        else:
            came, words = len(s.messages) - before, gateway.text()[log:]
            assert listed(gateway) + came == N or "damaged" in words, (seed, how, words)
        shutil.rmtree(queue)
    print(refusals, "refused of", SEEDS)
    assert refusals > SEEDS // 5


@pytest.mark.parametrize("what", ["missing", "empty", "log-alone"])
def test_a_database_that_is_missing(gateway, sink, queue, what):
    """A new one would have no use for the content that is there, and remove it."""
    fill(gateway, sink)
    files = sorted((queue / "content").glob("*/*"))
    assert len(files) == N // 2
    kept = gateway.dir / "kept"
    shutil.copy(queue / "queue.db", kept)
    for path in queue.glob("queue.db*"):
        path.unlink()
    if what == "empty":
        (queue / "queue.db").touch()
    if what == "log-alone":
        shutil.rmtree(queue / "content")
        (queue / "queue.db-wal").write_bytes(b"x" * 5000)
    code, words = refusal(gateway)
    assert code == DATA and f"{queue}/queue.db is missing or empty" in words, words
    if what == "log-alone":
        assert (queue / "queue.db-wal").stat().st_size == 5000
        return
    result = gateway.hopseal.run("sendmail", "-f", "a@client.example", "b@good.example",
                                 stdin=SMALL)
    assert result.code != 0, result
    assert sorted((queue / "content").glob("*/*")) == files
    shutil.copy(kept, queue / "queue.db")
    assert refusal(gateway) is None
    assert listed(gateway) == N


@pytest.mark.parametrize("sql", [
    "DELETE FROM destination", "DELETE FROM message WHERE id = (SELECT min(id) FROM message)",
    "DELETE FROM recipient WHERE message = (SELECT max(id) FROM message)",
], ids=["destination", "message", "recipient"])
def test_rows_that_are_lost(gateway, sink, queue, sql):
    """What nothing leads to any more is told, and its content stays; other mail goes on."""
    s = fill(gateway, sink)
    with contextlib.closing(sqlite3.connect(queue / "queue.db")) as db, db:
        db.execute(sql)
    files = len(list((queue / "content").glob("*/*")))
    with gateway.running(), Client() as c:
        assert c.mail(rcpt="new@good.example").startswith("250")
        gateway.wait_for_fate("new@good.example", "sent")
    assert "queue.db is damaged: " in gateway.text()
    assert len(list((queue / "content").glob("*/*"))) == files == N // 2
    assert len(s.messages) == 1


def test_rows_that_are_lost_of_a_large_database(gateway, sink, queue):
    """It is not looked through at the start; content that still has recipients stays all the same."""
    fill(gateway, sink)
    with contextlib.closing(sqlite3.connect(queue / "queue.db")) as db, db:
        db.execute("DELETE FROM message")
        db.execute("INSERT INTO content VALUES (1, zeroblob(70000000))")
    names = sorted(p.name for p in (queue / "content").glob("*/*"))
    with gateway.running():
        pass
    assert sorted(p.name for p in (queue / "content").glob("*/*")) == names
    assert len(names) == N // 2


@pytest.mark.parametrize("sql, word", [
    ("PRAGMA user_version = 99", "newer release"),
    ("PRAGMA application_id = 7", "not a mail queue"),
])
def test_a_database_of_somebody_else(gateway, queue, sql, word):
    """A newer release's, or another program's: not touched."""
    gateway.put("bob@good.example")
    with contextlib.closing(sqlite3.connect(queue / "queue.db")) as db, db:
        db.execute(sql)
    before = (queue / "queue.db").read_bytes()
    code, words = refusal(gateway)
    assert code == CONFIG and word in words and "queue.db" in words, words
    result = gateway.hopseal.run("sendmail", "b@good.example", stdin=SMALL)
    assert result.code != 0 and (queue / "queue.db").read_bytes() == before


# ---- what operators do ----


def recipe():
    """The commands of docs/design/store.md, for a queue in $QUEUE."""
    text = (TREE / "docs/design/store.md").read_text()
    block = text.split("## When the database is damaged")[1].split("```sh\n")[1].split("```")[0]
    lines = [line.split("  #")[0] for line in block.splitlines()]
    assert len(lines) > 5
    return "\n".join(line for line in lines if not line.startswith("systemctl"))


def recover(queue):
    """As the document has it."""
    script = recipe().replace("/var/spool/hopseal", str(queue)).replace("hopseal:", "root:")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_a_recovery_of_an_index(gateway, sink, queue):
    """Nothing is lost, and it is delivered."""
    s = fill(gateway, sink)
    with contextlib.closing(sqlite3.connect(queue / "queue.db")) as db:
        page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'recipient_due'")
        at = (page.fetchone()[0] - 1) * 4096
    octets = bytearray((queue / "queue.db").read_bytes())
    octets[at : at + 4096] = bytes(4096)
    (queue / "queue.db").write_bytes(octets)
    code, words = refusal(gateway)
    assert code == DATA and "damaged" in words, words
    assert f"ok\n{N}" in recover(queue)
    assert refusal(gateway) is None
    assert listed(gateway) == N
    assert gateway.hopseal.run("queue", "retry", "--all").code == 0
    with gateway.running():
        gateway.wait_for(lambda: len(s.messages) == N, "all of it")
        gateway.wait_for(lambda: listed(gateway) == 0, "an empty queue")


def test_recoveries(gateway, sink, queue):
    """Of damage of all kinds: what comes out is a queue, and what does not come out is in the copy."""
    fill(gateway, sink)
    good = gateway.dir / "good"
    queue.rename(good)
    came = []
    for seed in range(SEEDS // 3):
        shutil.copytree(good, queue)
        octets = bytearray((good / "queue.db").read_bytes())
        flip(random.Random(seed), octets, 4096)
        (queue / "queue.db").write_bytes(octets)
        words = recover(queue)
        refused = refusal(gateway)
        assert refused is None or "no such table" in words, (seed, refused, words)
        came.append(None if refused else listed(gateway))
        assert (queue.with_name("queue.damaged") / "queue.db").read_bytes() == octets
        shutil.rmtree(queue)
        shutil.rmtree(queue.with_name("queue.damaged"))
    print("recipients that came through, of", N, "each:", came)
