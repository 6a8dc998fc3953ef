"""Fixtures: the network, the CA and the DNS tree are made once per pytest worker (a second in all);
a sink and a configuration belong to one test. Everything lies below pytest's temporary folder."""

import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from lab import ca as lab_ca  # noqa: E402
from lab import dns as lab_dns  # noqa: E402
from lab import dnsfault, hopseal as lab_hopseal, netns, sink as lab_sink, zones  # noqa: E402


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
def hopseal(tree, ca, tmp_path):
    """The program with the lab's configuration."""
    return lab_hopseal.Hopseal(tmp_path / "etc", tree, ca)
