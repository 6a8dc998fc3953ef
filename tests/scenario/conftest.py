"""Fixtures: the network, the CA and the DNS tree are made once per pytest worker (a second in all);
a sink and a configuration belong to one test. Everything lies below pytest's temporary folder."""

import contextlib
import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from lab import ca as lab_ca  # noqa: E402
from lab import dns as lab_dns  # noqa: E402
from lab import dnsfault, hopseal as lab_hopseal, netns, peers  # noqa: E402
from lab import postfix_client as lab_postfix_client  # noqa: E402
from lab import sink as lab_sink, tables, zones  # noqa: E402


def pytest_sessionstart(session):
    """Fetches what takes a network, once, before the workers leave for theirs."""
    if not hasattr(session.config, "workerinput"):
        peers.fetch_all()


def pytest_collection_modifyitems(items):
    """The longest by far begins first: nobody waits for it alone at the end."""
    items.sort(key=lambda item: item.path.name != "test_threads.py")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Notes on the test that something of it failed."""
    report = (yield).get_result()
    item.has_failed = getattr(item, "has_failed", False) or report.failed


@pytest.fixture
def tmp_path(tmp_path, request):
    """A folder that stays only when its test failed: each queue keeps 40 MB of the disk for itself."""
    yield tmp_path
    if not request.node.has_failed:
        shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(autouse=True)
def races(tmp_path_factory, monkeypatch):
    """Where a program with ThreadSanitizer tells what it saw: that fails the test, whatever the
    program's exit status was, and should the test have killed it."""
    where = tmp_path_factory.mktemp("races")
    told = os.environ.get("TSAN_OPTIONS", "")
    monkeypatch.setenv("TSAN_OPTIONS", f"{told}:log_path={where}/report")
    yield
    reports = sorted(where.iterdir())
    assert not reports, "\n".join(p.read_text(errors="replace") for p in reports)


@pytest.fixture(scope="session")
def network():
    """A network namespace of this worker's own."""
    netns.enter()


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    """The certificate authorities."""
    return lab_ca.Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def tree(network, tmp_path_factory):
    """The DNS tree of lab.zones, served."""
    faulty = dnsfault.FaultyServer()
    with contextlib.closing(faulty):
        with lab_dns.Tree(tmp_path_factory.mktemp("dns"), zones.ZONES).served() as served:
            yield served


@pytest.fixture
def sink(network):
    """Starts sinks: sink(address, port, **config); they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(address=zones.MX1, port=25, **config):
            return stack.enter_context(lab_sink.Sink(address, port, **config))

        yield start


@pytest.fixture
def own_sink(network, tmp_path):
    """Starts `hopseal sink`: own_sink(*options, listen=ADDRESS:PORT); it ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(*options, **kwargs):
            folder = tmp_path / f"sink{len(list(tmp_path.glob('sink*')))}"
            return stack.enter_context(lab_hopseal.OwnSink(folder, *options, **kwargs))

        yield start


@pytest.fixture
def hopseal(tree, ca, tmp_path):
    """The program with the lab's configuration."""
    return lab_hopseal.Hopseal(tmp_path / "etc", tree, ca)


@pytest.fixture
def folder(tmp_path):
    """Tables, and two programs to look them up with."""
    return tables.Folder(tmp_path)


def _peer(start, name, address, ca, **how):
    """A session fixture's body: a receiver we did not write, or the reason why it is not here."""
    cert = ca.cert("valid", f"mx.{name}.example", **how)
    try:
        with peers.public_folder(name) as folder:
            with start(folder, address, cert, f"{name}.example") as maildir:
                yield maildir
    except peers.Unavailable as e:
        pytest.skip(str(e))


@pytest.fixture(scope="session")
def postfix(tree, ca):
    """Postfix as the MX host of postfix.example; gives its maildir."""
    yield from _peer(peers.postfix, "postfix", zones.POSTFIX, ca)


@pytest.fixture(scope="session")
def postfix_login(postfix):
    """The same Postfix, which lets peers.LOGIN in at port 587."""
    try:
        peers.let_in(postfix, "mx.postfix.example")
    except peers.Unavailable as e:
        pytest.skip(str(e))
    return postfix


@pytest.fixture(scope="session")
def exim(tree, ca):
    """Exim, with an RSA key, as the MX host of exim.example; gives its maildir."""
    yield from _peer(peers.exim, "exim", zones.EXIM, ca, algorithm="rsa")


@pytest.fixture(scope="session")
def opensmtpd(tree, ca):
    """OpenSMTPD, whose handshakes fail, as the MX host of opensmtpd.example; gives its maildir."""
    yield from _peer(peers.opensmtpd, "opensmtpd", zones.OPENSMTPD, ca)


@pytest.fixture
def aiosmtpd(tree, ca):
    """aiosmtpd as the MX host of aiosmtpd.example; gives what it received."""
    with peers.aiosmtpd(zones.AIOSMTPD, ca.cert("valid", "mx.aiosmtpd.example")) as received:
        yield received


@pytest.fixture(scope="session")
def postfix_client(tree, ca):
    """Postfix as the sender."""
    try:
        with peers.public_folder("postfix_client") as folder:
            with lab_postfix_client.postfix_client(folder, ca) as client:
                yield client
    except peers.Unavailable as e:
        pytest.skip(str(e))
