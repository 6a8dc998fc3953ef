"""Mail that is routed anew while an attempt at it is under way: it is delivered once, and what the
old route says for good does not settle what the new one is to decide."""

import contextlib
import threading

import pytest
from lab.sink import Held, Sink
from test_operation import gateway, until

WORKERS = 2


def owner(destination):
    """The worker that has a destination: FNV-1a, folded."""
    h = 0xCBF29CE484222325
    for octet in destination.encode():
        h = (h ^ octet) * 0x100000001B3 % (1 << 64)
    return (h ^ h >> 32) % WORKERS


@contextlib.contextmanager
def sink_of(worker, **config):
    """A receiver whose destination belongs to that worker."""
    with contextlib.ExitStack() as others:
        while True:
            s = Sink("127.0.0.1", 0, **config)
            if owner(f"smtp:{relay(s)}") == worker:
                break
            others.enter_context(s)  # so that its port is not given again
        with s:
            yield s


def relay(sink):
    return f"[127.0.0.1]:{sink.port}"


@contextlib.contextmanager
def requeued_under_way(reply, new):
    """One recipient whose old server has all of it and waits with its reply, routed anew to the new
    server, of that worker. Gives the gateway, both servers, and what lets the reply go."""
    go = threading.Event()
    other = 1 - owner("")
    with (
        sink_of(other, script={"dot": Held(reply, go)}) as old_sink,
        sink_of(other if new == "same" else owner("")) as new_sink,
        gateway(relayhost=relay(old_sink), hopseal_workers=WORKERS) as g,
    ):
        try:
            g.put("u@one.example")
            g.start()
            until(lambda: old_sink.messages)
            g.configure(relayhost=relay(new_sink))
            g.run("reload")
            assert g.queue("requeue", "--all") == "requeue: 1 recipients\n"
            with contextlib.suppress(AssertionError):  # time for a second attempt, if it is one
                until(lambda: new_sink.messages, 1)
            yield g, old_sink, new_sink, go
        finally:
            go.set()


@pytest.mark.parametrize("new", ["same", "other"])
def test_delivered_by_the_old_route_alone(network, new):
    with requeued_under_way("250 2.0.0 Ok", new) as (g, old_sink, new_sink, go):
        assert not new_sink.messages, "delivered twice"
        go.set()
        until(lambda: "nothing in the queue" in g.queue())
        assert len(old_sink.messages) == 1 and not new_sink.messages


@pytest.mark.parametrize("new", ["same", "other"])
@pytest.mark.parametrize("reply", ["554 5.7.1 No", "451 4.3.0 Later"])
def test_refused_by_the_old_route(network, new, reply):
    """Whatever the old server says, the new one has its turn, and nobody is told of a failure."""
    with requeued_under_way(reply, new) as (g, _, new_sink, go):
        assert not new_sink.messages, "under way twice"
        go.set()
        until(lambda: "nothing in the queue" in g.queue())
        assert [m.sender for m in new_sink.messages if "alice@" in m.sender], g.log
        assert len(new_sink.messages) == 1, "a notice came, too"


@pytest.mark.parametrize("new", ["same", "other"])
def test_connection_lost_before_the_reply(network, new):
    """Its fate is unknown: then, and only then, it may come twice."""
    with requeued_under_way("250 2.0.0 Ok", new) as (g, old_sink, new_sink, go):
        assert not new_sink.messages
        old_sink.close()
        until(lambda: "nothing in the queue" in g.queue())
        assert len(new_sink.messages) == 1
