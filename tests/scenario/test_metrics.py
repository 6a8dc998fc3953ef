"""What monitors are told: the page of metrics by the letter of its format, its figures against what
happened, and readiness while the disk fails."""

import concurrent.futures
import contextlib
import errno
import re
import socket
import ssl
import time
import urllib.error
import urllib.request

import pytest
from lab import disk as lab_disk, zones
from lab.client import FOREIGN, HOST, PORT, Client, tls
from lab.disk import HANG, SLOW, SYNC, WRITE
from lab.gateway import Gateway
from lab.hopseal import TREE
from lab.sink import DROP

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HEAD = re.compile(rf"# (HELP|TYPE) ({NAME}) (.+)")
VALUE = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|Inf)"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? ({VALUE})")
# What is measured is told in base units, and names end in them: seconds and bytes.
OTHER_UNIT = re.compile(r"_(octets|[kmg]?b|[mu]s|milliseconds|minutes|hours|days|percent)(_total)?$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)')


def labels_of(text):
    """The labels between braces, all of the text taken."""
    found, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        assert m and m[1] not in found, text
        found[m[1]], at = m[2], m.end()
    return found


def base_of(name, kind):
    """The family that a sample belongs to."""
    return re.sub("_(bucket|sum|count)$", "", name) if kind == "histogram" else name


def check_histogram(name, samples):
    buckets = [(float(of["le"]), v) for n, of, v in samples if n == f"{name}_bucket"]
    assert buckets == sorted(buckets) and len({le for le, _ in buckets}) == len(buckets), name
    assert [v for _, v in buckets] == sorted(v for _, v in buckets), name
    (count,) = [v for n, _, v in samples if n == f"{name}_count"]
    (_,) = [v for n, _, v in samples if n == f"{name}_sum"]
    assert buckets[-1] == (float("inf"), count), name


def read_strictly(page):
    """{family: (type, [(name, labels, value)])}; asserts what the text format of Prometheus, version
    0.0.4, and its customs ask for."""
    assert page.endswith("\n") and "\r" not in page
    found, last, told = {}, None, None
    for line in page[:-1].split("\n"):
        if m := HEAD.fullmatch(line):
            if m[1] == "HELP":
                assert not re.search(r"\\(?![\\n])", m[3]), line
                assert m[2] not in found and told is None, line
                told = m[2]
            else:
                assert m[2] == told and m[3] in ("counter", "gauge", "histogram"), line
                last, told = m[2], None
                found[last] = (m[3], [])
            continue
        m = SAMPLE.fullmatch(line)
        assert m and told is None and last, line
        kind, samples = found[last]
        assert base_of(m[1], kind) == last, line
        samples.append((m[1], labels_of(m[2] or ""), float(m[3])))
    for name, (kind, samples) in found.items():
        keys = [(n, tuple(sorted(of.items()))) for n, of, _ in samples]
        assert samples and len(set(keys)) == len(keys), name
        assert (kind == "counter") == name.endswith("_total"), name
        assert not OTHER_UNIT.search(name), name
        assert kind == "gauge" or all(v >= 0 for _, _, v in samples), name
        if kind == "histogram":
            check_histogram(name, samples)
    return found


@pytest.mark.parametrize("page", [
    "hopseal_a 1\n",
    "# HELP a A.\n# TYPE a gauge\na 1",
    "# HELP a A.\n# TYPE a counter\na 1\n",
    "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",
    "# HELP a A.\n# TYPE a gauge\na 1\n# HELP a A.\n# TYPE a gauge\na 2\n",
    '# HELP a A.\n# TYPE a gauge\na{b="c"d"} 1\n',
    '# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\n'
    "a_sum 1\na_count 1\n",
    '# HELP a A.\n# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 1\n'
    "a_sum 1\na_count 2\n",
    "# HELP a A \\ B.\n# TYPE a gauge\na 1\n",
    "# HELP a A.\n# TYPE a gauge\na 1_0\n",
    "# HELP a A.\n# TYPE a gauge\na\n",
    "# HELP a_ms A.\n# TYPE a_ms gauge\na_ms 1\n",
    "# HELP a_octets_total A.\n# TYPE a_octets_total counter\na_octets_total 1\n",
    "# HELP a A.\n# TYPE a gauge\n",
])
def test_the_reader_is_strict(page):
    with pytest.raises((AssertionError, ValueError)):
        read_strictly(page)


def test_the_guide_names_what_there_is():
    docs = TREE / "docs"
    there = re.findall(rf"^\| `({NAME})", (docs / "reference/metrics.md").read_text(), re.M)
    rows = re.findall(rf"^\| `.*\b(?:hopseal|process)_.*", (docs / "guide/gateway.md").read_text(), re.M)
    named = {n for row in rows for n in re.findall(r"\b(?:hopseal|process)_[a-z_]+", row)}
    assert len(rows) > 5 and {n.removesuffix("_bucket") for n in named} <= set(there)


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


@pytest.fixture
def gateway(hopseal, tmp_path):
    """Listens on HOST:PORT, relays to MX1, tells its figures."""
    made = Gateway(hopseal, tmp_path)
    made.monitor = free_port()
    hopseal.base.update(
        {
            "hopseal_listeners": f"smtp:{HOST}:{PORT}",
            "mynetworks": "127.0.0.1/32",
            "relayhost": f"[{zones.MX1}]:25",
            "smtpd_error_sleep_time": "0",
            "hopseal_metrics_listen": f"{HOST}:{made.monitor}",
            "minimal_backoff_time": "1h",
            "maximal_backoff_time": "2h",
            "message_size_limit": "100000",
        }
    )
    hopseal.configure()
    return made


def fetch(gateway, path):
    try:
        with urllib.request.urlopen(f"http://{HOST}:{gateway.monitor}{path}", timeout=20) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def figures(gateway):
    status, page = fetch(gateway, "/metrics")
    assert status == 200, page
    return read_strictly(page)


def value(found, name):
    ((_, _, v),) = found[f"hopseal_{name}"][1]
    return v


def kinds(found, name):
    """Those that are not 0, by the value of their one label."""
    return {v: n for _, of, n in found[f"hopseal_{name}"][1] for v in of.values() if n}


def count(found, name):
    return next(v for n, _, v in found[f"hopseal_{name}"][1] if n.endswith("_count"))


def test_figures_are_what_happened(gateway, sink, ca):
    sink(
        cert=ca.cert("valid", zones.MX1),
        rcpt={"later@good.example": "450 4.2.0 later", "gone@good.example": "550 5.1.1 gone"},
    )
    gateway.hopseal.configure(smtp_tls_security_level="may")
    with gateway.running():
        assert kinds(figures(gateway), "refusals_total") == {}
        with Client() as c:
            for rcpt in ("bob", "later", "gone"):
                assert c.mail(rcpt=f"{rcpt}@good.example").startswith("250")
            assert c.say("NONSENSE")[0] == "5"
            assert c.say("MAIL FROM:<a@client.example> SIZE=999999").startswith("552")
        with Client(source=FOREIGN) as c:
            assert c.mail().startswith("554")
        gateway.wait_for_fate("bob@good.example", "sent")
        gateway.wait_for_fate("later@good.example", "deferred")
        gateway.wait_for_fate("gone@good.example", "bounced")
        gateway.wait_for_fate("alice@client.example", "sent")  # the notice
        gateway.wait_for(
            lambda: value(figures(gateway), "queue_messages") == 1, "one message that is left"
        )
        time.sleep(1.1)  # for so long the page is kept
        found = figures(gateway)
    logged = [d["status"] for d in gateway.deliveries()]
    assert sorted(logged) == ["bounced", "deferred", "sent", "sent"]
    assert kinds(found, "refusals_total") == {"relay": 1, "limit": 1, "syntax": 1}
    assert value(found, "commands_rejected_total") == 1  # what is logged
    assert sum(kinds(found, "delivered_total").values()) == 2
    assert "cleartext" not in kinds(found, "delivered_total")
    assert kinds(found, "delivered_tls_total") == {"TLSv1.3": 2}
    assert kinds(found, "deferred_total") == {"mailbox": 1}
    assert kinds(found, "bounced_total") == {"address": 1}
    assert kinds(found, "notices_sent_total") == {"failure": 1}
    assert kinds(found, "queue_recipients") == {"queued": 1}
    assert value(found, "queue_oldest_seconds") < 60
    assert value(found, "log_lines_lost_total") == 0
    assert value(found, "messages_accepted_total") == 3
    assert count(found, "delivery_delay_seconds") == 2
    made = value(found, "sessions_made_total")
    assert count(found, "connect_seconds") == count(found, "tls_handshake_seconds") == made > 0
    for n in ("store_commits_total", "store_changes_total"):  # and there may be more at any time
        assert value(found, n) > 4
    assert count(found, "store_commit_seconds") > 4


# RFC 8460 section 4.3, and what a server shows that comes to it; "": no certificate at all
TLS_FAILURES = {
    "starttls-not-supported": "",
    "certificate-host-mismatch": "wrong-name",
    "certificate-not-trusted": "self-signed",
    "certificate-expired": "expired",
    "validation-failure": "valid",
}


@pytest.mark.parametrize("result", TLS_FAILURES)
def test_tls_that_fails_is_counted_by_its_result(gateway, sink, ca, result):
    shown = TLS_FAILURES[result]
    sink(
        cert=ca.cert(shown, "mx1.good.example") if shown else None,
        script={"tls": DROP} if shown == "valid" else {},
    )
    gateway.hopseal.configure(smtp_tls_security_level="secure")
    with gateway.running():
        with Client() as c:
            assert c.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "deferred")
        found = figures(gateway)
    assert kinds(found, "tls_failures_total") == {result: 1}
    assert kinds(found, "deferred_total") == {"security": 1}
    assert kinds(found, "delivered_total") == {} and value(found, "tls_refused_total") == 1


def test_a_server_without_tls_that_need_not_have_it(gateway, sink):
    sink()
    gateway.hopseal.configure(smtp_tls_security_level="may")
    with gateway.running():
        with Client() as c:
            assert c.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
        found = figures(gateway)
    assert kinds(found, "tls_failures_total") == {"starttls-not-supported": 1}
    assert kinds(found, "delivered_total") == {"cleartext": 1}
    assert value(found, "tls_refused_total") == 0


def test_mail_that_goes_in_the_clear_at_last_is_no_failure_more(gateway, sink, ca):
    mx = sink(cert=ca.cert("valid", zones.MX1), script={"tls": DROP})
    gateway.hopseal.configure(smtp_tls_security_level="may", minimal_backoff_time="1s")
    with gateway.running():
        with Client() as c:
            assert c.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
        found = figures(gateway)
    assert [s.tls for s in mx.sessions if s.messages] == [False]
    assert list(kinds(found, "tls_failures_total")) == ["validation-failure"]
    assert kinds(found, "delivered_total") == {"cleartext": 1}


# What a session comes to that has all that its level asks for.
REACHED = {
    "encrypted": ("encrypt", "self-signed", ssl.TLSVersion.TLSv1_2),
    "trusted": ("encrypt", "wrong-name", ssl.TLSVersion.TLSv1_3),
    "verified": ("secure", "valid", ssl.TLSVersion.TLSv1_3),
}


@pytest.mark.parametrize("reached", REACHED)
def test_mail_is_counted_by_how_far_it_was_secured(gateway, sink, ca, reached):
    level, shown, version = REACHED[reached]
    sink(cert=ca.cert(shown, "mx1.good.example"), tls_max=version)
    gateway.hopseal.configure(
        smtp_tls_security_level=level, smtp_tls_secure_cert_match="mx1.good.example"
    )
    with gateway.running():
        with Client() as c:
            assert c.mail().startswith("250")
        gateway.wait_for_fate("bob@good.example", "sent")
        found = figures(gateway)
    assert kinds(found, "delivered_total") == {reached: 1}
    assert kinds(found, "delivered_tls_total") == {version.name.replace("_", "."): 1}
    assert kinds(found, "tls_failures_total") == {}


def test_clients_without_tls_are_counted(gateway, ca):
    gateway.hopseal.configure(**(tls(ca) | {"smtpd_tls_security_level": "encrypt"}))
    with gateway.running():
        with Client() as c:
            assert c.mail().startswith("530")
        assert kinds(figures(gateway), "refusals_total") == {"tls": 1}


def test_refusals_are_counted_by_their_reason(gateway, ca):
    gateway.hopseal.configure(
        {"users": "ann secret\n"},
        **tls(ca),
        smtpd_sasl_auth_enable="yes",
        hopseal_sasl_password_maps="texthash:TABLES/users",
        smtpd_recipient_limit="1",
    )
    with gateway.running(), Client() as c:
        assert c.mail(b"Received: x\r\n" * 99 + b"\r\n").startswith("554 5.4.6")
        assert c.say("MAIL FROM:<>").startswith("250")
        assert c.say("RCPT TO:<bob@good.example>").startswith("250")
        assert c.say("RCPT TO:<eve@good.example>").startswith("452 4.5.3")
        c.starttls()
        assert c.say("AUTH PLAIN AGFubgB3cm9uZw==").startswith("535")
        found = kinds(figures(gateway), "refusals_total")
    assert found == {"other": 1, "limit": 1, "auth": 1}


@pytest.mark.parametrize("kind", ["delay", "success"])
def test_notices_are_counted_by_what_they_say(gateway, sink, kind):
    sink(
        extensions=("PIPELINING",),  # nobody further on tells of a success
        rcpt={} if kind == "success" else {"bob@good.example": "450 4.2.0 later"},
    )
    gateway.hopseal.configure(
        delay_warning_time="1s", minimal_backoff_time="1s", maximal_backoff_time="1s"
    )
    with gateway.running():
        with Client() as c:
            for command in ("MAIL FROM:<alice@client.example>",
                            f"RCPT TO:<bob@good.example> NOTIFY={kind.upper()}", "DATA"):
                assert c.say(command)[0] in "23"
            assert c.say("\r\nA line.\r\n.").startswith("250")
        gateway.wait_for(
            lambda: value(figures(gateway), "notices_total") == 1, f"a notice of {kind}"
        )
        gateway.wait_for(
            lambda: kinds(figures(gateway), "notices_sent_total") == {kind: 1}, "its figure"
        )


FAULTS = {
    "the disk is full": (WRITE, errno.ENOSPC, "full", "room"),
    "writing fails": (WRITE, errno.EIO, "io", "other"),
    "synchronising fails": (SYNC, errno.EIO, "io", "other"),
}


@contextlib.contextmanager
def disk_of(gateway):
    """The gateway runs with a disk that does what it is told."""
    with contextlib.closing(lab_disk.Disk(gateway.dir)) as disk:
        gateway.env = disk.env
        with gateway.running():
            try:
                yield disk
            finally:
                disk.heal()


@pytest.mark.parametrize("fault", FAULTS)
def test_not_ready_while_the_store_cannot_write(gateway, fault):
    call, error, why, refusal = FAULTS[fault]
    with disk_of(gateway) as disk:
        assert fetch(gateway, "/readyz") == (200, "ok\n")
        disk.order(call, "queue.db-wal", error=error)  # and no mail comes meanwhile
        gateway.wait_for(lambda: fetch(gateway, "/readyz") == (503, f"{why}\n"), why)
        assert fetch(gateway, "/healthz") == (200, "ok\n")
        with Client() as c:
            assert c.mail().startswith("45")
        assert kinds(figures(gateway), "refusals_total") == {refusal: 1}
        disk.heal()
        gateway.wait_for(lambda: fetch(gateway, "/readyz") == (200, "ok\n"), "ready again")


def test_strangers_cannot_wear_the_disk_out(gateway):
    with disk_of(gateway) as disk:
        disk.order(SYNC, "queue.db-wal", action=SLOW, error=0)  # counts, and does no harm
        since = time.monotonic()
        for _ in range(150):
            assert fetch(gateway, "/readyz") == (200, "ok\n")
        seconds = time.monotonic() - since
        assert disk.hits() <= 3 + seconds, f"{disk.hits()} times in {seconds:.1f} s"


def test_strangers_cannot_have_the_queue_counted_all_the_time(gateway):
    with gateway.running():
        since, pages = time.monotonic(), set()
        for _ in range(150):
            pages.add(fetch(gateway, "/metrics"))
        seconds = time.monotonic() - since
        assert len(pages) <= 2 + seconds, f"{len(pages)} pages in {seconds:.1f} s"
        with Client(source=FOREIGN) as c:
            assert c.mail().startswith("554")
        gateway.wait_for(lambda: kinds(figures(gateway), "refusals_total"), "another page")


def test_a_disk_that_hangs(gateway):
    hung = (503, "the store does not answer\n")
    with disk_of(gateway) as disk, concurrent.futures.ThreadPoolExecutor(12) as askers:
        asked = []

        def hangs():
            asked.append(askers.submit(fetch, gateway, "/readyz"))
            return disk.hits() > 0

        disk.order(SYNC, "queue.db-wal", action=HANG)
        gateway.wait_for(hangs, "a probe")  # what was learnt before is told for a while
        asked = [askers.submit(fetch, gateway, p) for p in ("/readyz", "/healthz") * 20]
        assert all(a.result() == hung for a in asked)
        figured = figures(gateway)  # others are answered
        assert value(figured, "store_notes") < 10, "one waits for all"
        disk.heal()
        for path in ("/readyz", "/healthz"):
            gateway.wait_for(lambda at=path: fetch(gateway, at) == (200, "ok\n"), path)
