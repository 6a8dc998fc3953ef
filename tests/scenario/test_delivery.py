"""The daemon's turns, windows and limits: what Postfix's parameters for them say, and that nobody
waits for somebody else's trouble. Counts and orders, not times."""

import collections
import contextlib
import json
import random
import re
import signal
import sqlite3
import threading
import time

import pytest

from lab.gateway import Gateway
from lab.hopseal import MESSAGE
from lab.sink import DEAF, DROP, STALL, Held, Slow, full_backlog


@pytest.fixture
def gateway(hopseal, tmp_path):
    return Gateway(hopseal, tmp_path)


ONE_AT_A_TIME = {
    "default_destination_concurrency_limit": "1",
    "initial_destination_concurrency": "1",
    "hopseal_workers": "1",
}


def relayed(gateway, sink, settings=None, **how):
    """A sink to which all mail goes."""
    s = sink(**how)
    gateway.hopseal.configure(relayhost=f"[{s.address}]:{s.port}", **(settings or {}))
    return s


def test_one_of_many_is_tried_again_though_the_others_took_long(gateway, sink):
    """It was due again while the rest of its message was still under way."""
    s = relayed(
        gateway,
        sink,
        {**ONE_AT_A_TIME, "smtp_destination_recipient_limit": "2"},
        script={
            "RCPT": ["450 4.2.0 later", "250 2.1.5 Ok"],
            "dot": Slow(b"250 2.0.0 Ok\r\n", 0.05),
        },
    )
    gateway.put(*[f"r{i}@good.example" for i in range(12)])
    with gateway.running():
        gateway.wait_for(lambda: len({d["to"] for d in gateway.deliveries()}) == 12, "all once")
        gateway.wait_for_fate("r0@good.example", "sent", 8)
    assert len(s.messages) == 7


def test_a_lifetime_of_nothing_is_one_attempt(gateway, sink):
    s = relayed(
        gateway,
        sink,
        {"maximal_queue_lifetime": "0", "bounce_queue_lifetime": "0"},
        rcpt={"late@good.example": "450 4.2.0 later"},
    )
    gateway.put("late@good.example", "bob@good.example")
    with gateway.running():
        gateway.wait_for_fate("bob@good.example", "sent")
        gateway.wait_for_fate("alice@client.example", "sent")
    assert [d["status"] for d in gateway.deliveries("late@good.example")] == ["deferred"]
    assert len(s.messages) == 2


def test_mail_that_waited_for_the_daemon_too_long_is_tried_first(gateway, sink):
    """What nobody tried was not refused by anybody."""
    s = relayed(gateway, sink, {"maximal_queue_lifetime": "1s"})
    gateway.put("bob@good.example")
    time.sleep(1.5)
    with gateway.running():
        gateway.wait_for_fate("bob@good.example", "sent")
    assert len(s.messages) == 1 and "returned to sender" not in gateway.text()


def heads(s):
    """The first recipient of each message, in the order of arrival at a sink of one session."""
    return [re.search("<(.*?)@", m.recipients[0]).group(1) for m in s.messages]


def test_a_huge_message_lets_others_to_the_same_place_go_between(gateway, sink):
    s = relayed(
        gateway, sink, {**ONE_AT_A_TIME, "smtp_destination_recipient_limit": "10"}
    )
    gateway.put(*[f"huge{i}@good.example" for i in range(2000)])
    for i in range(5):
        gateway.put(f"single{i}@good.example")
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) == 2005, "all of it", 60)
    places = [i for i, name in enumerate(heads(s)) if name.startswith("single")]
    assert len(places) == 5 and places[-1] < 20, places


def test_a_destination_that_stalls_leaves_attempts_to_others(gateway, sink):
    """Twenty might go to it at once, and there are eight in all."""
    good, slow = sink(), sink("127.0.5.9", 2525, script={"banner": STALL})
    gateway.hopseal.configure(
        {"transport": "slow.example smtp:[127.0.5.9]:2525\n"},
        transport_maps="texthash:TABLES/transport",
        relayhost=f"[{good.address}]:25",
        initial_destination_concurrency="20",
        hopseal_delivery_limit="8",
        hopseal_workers="1",
        smtp_helo_timeout="300s",
    )
    for i in range(12):
        gateway.put(f"u{i}@slow.example")
    for i in range(20):
        gateway.put(f"r{i}@good.example")
    with gateway.running():
        gateway.wait_for(lambda: len(good.messages) == 20, "the others' mail")
        gateway.wait_for(lambda: len(slow.sessions) >= 6, "its own")
        assert len(slow.sessions) == 6
        gateway.child.kill()
        gateway.child.communicate()


@pytest.mark.parametrize("limit, n", [("3", 3), ("1", 1)])
def test_no_more_go_to_a_destination_at_once(gateway, sink, limit, n):
    s = relayed(
        gateway, sink, {"smtp_destination_concurrency_limit": limit}, script={"dot": STALL}
    )
    for i in range(8):
        gateway.put(f"r{i}@good.example")
    with gateway.running():
        gateway.wait_for(lambda: sum("DATA" in x.verbs() for x in s.sessions) == n, "the window")
        time.sleep(0.5)
        assert len(s.sessions) == n
        gateway.child.kill()
        gateway.child.communicate()


@pytest.mark.parametrize("transport", ["smtp", "relay", "lmtp"])
def test_a_transport_has_limits_of_its_own(gateway, sink, transport):
    s = sink("127.0.5.9", 2525, lmtp=transport == "lmtp")
    where = "inet:127.0.5.9:2525" if transport == "lmtp" else "[127.0.5.9]:2525"
    gateway.hopseal.configure(
        {"transport": f"x.example {transport}:{where}\n"},
        transport_maps="texthash:TABLES/transport",
        default_destination_recipient_limit="7",
        **{f"{transport}_destination_recipient_limit": "2"},
    )
    gateway.put(*[f"r{i}@x.example" for i in range(6)])
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) == 6, "deliveries")
    assert [len(m.recipients) for m in s.messages] == [2, 2, 2], gateway.text()


def test_a_rate_delay_is_kept_between_attempts(gateway, sink):
    s = relayed(gateway, sink, {"smtp_destination_rate_delay": "1s"})
    for i in range(3):
        gateway.put(f"r{i}@good.example")
    begun = time.monotonic()
    with gateway.running():
        gateway.wait_for(lambda: len(s.messages) == 3, "three messages")
    assert time.monotonic() - begun >= 2


def test_a_recipient_that_is_deferred_is_no_trouble_of_the_destination(gateway, sink):
    """Greylisting: the others go on, and at full width."""
    s = relayed(
        gateway, sink, rcpt={f"grey{i}@good.example": "450 4.2.0 later" for i in range(10)}
    )
    for i in range(10):
        gateway.put(f"grey{i}@good.example", f"r{i}@good.example")
    with gateway.running():
        gateway.wait_for(lambda: len(s.messages) >= 10, "the others")
        gateway.wait_for(lambda: len(gateway.deliveries("grey9@good.example")) > 1, "a retry")
    assert "dead for" not in gateway.text() and "suspended" not in gateway.text()


def test_one_broken_host_is_no_trouble_of_the_destination(gateway, sink):
    sink(script={"EHLO": DROP, "HELO": DROP})
    second = sink("192.0.2.12")
    gateway.hopseal.configure()
    for i in range(10):
        gateway.put(f"r{i}@two.example")
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) == 10, "deliveries")
    assert len(second.messages) == 10 and {d["status"] for d in gateway.deliveries()} == {"sent"}
    assert "dead for" not in gateway.text()


def test_who_asks_to_be_left_alone_is(gateway, sink):
    good, busy = sink(), sink("127.0.5.9", 2525, script={"banner": "421 4.7.0 Too many"})
    gateway.hopseal.configure(
        {"transport": "busy.example smtp:[127.0.5.9]:2525\n"},
        transport_maps="texthash:TABLES/transport",
        relayhost=f"[{good.address}]:25",
        initial_destination_concurrency="1",
        hopseal_suspend_time="60s",
    )
    for i in range(5):
        gateway.put(f"u{i}@busy.example")
    gateway.put("bob@good.example")
    with gateway.running():
        gateway.wait_for(lambda: "suspended for 60s" in gateway.text(), "the suspension")
        gateway.wait_for_fate("bob@good.example", "sent")
        time.sleep(2.5)
        assert len(busy.sessions) == 1


BIG = MESSAGE + b"x" * 76 * 1000000
TIMES = {
    "smtp_helo_timeout": {"banner": STALL},
    "smtp_helo_timeout, in EHLO": {"EHLO": STALL},
    "smtp_starttls_timeout": {"STARTTLS": STALL},
    "smtp_starttls_timeout, in the handshake": {"tls": STALL},
    "smtp_mail_timeout": {"MAIL": STALL},
    "smtp_rcpt_timeout": {"RCPT": STALL},
    "smtp_data_init_timeout": {"DATA": STALL},
    "smtp_data_xfer_timeout": {"body": DEAF},
    "smtp_data_done_timeout": {"dot": STALL},
}


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "one by one"])
@pytest.mark.parametrize("name", TIMES)
def test_a_peer_that_stalls_holds_nothing_beyond_its_time(gateway, sink, ca, name, pipelining):
    extensions = ("PIPELINING", "SIZE 209715200", "8BITMIME")
    relayed(
        gateway,
        sink,
        {
            **ONE_AT_A_TIME,
            name.split(",")[0]: "1s",
            "smtp_tls_security_level": "encrypt" if "starttls" in name else "none",
            "message_size_limit": "100000000",
            "minimal_backoff_time": "300s",
        },
        script=TIMES[name],
        cert=ca.cert("valid", "mx.good.example"),
        extensions=extensions[not pipelining :],
    )
    gateway.put("bob@good.example", message=BIG if "xfer" in name else MESSAGE)
    with gateway.running():
        waits = gateway.wait_for_fate("bob@good.example", "deferred", 25)
    assert "timed out" in waits["reason"], waits


def test_a_host_that_does_not_answer_holds_nothing_beyond_its_time(gateway):
    gateway.hopseal.configure(relayhost="[192.0.2.11]:25", smtp_connect_timeout="1s")
    gateway.put("bob@good.example")
    with full_backlog("192.0.2.11"), gateway.running():
        waits = gateway.wait_for_fate("bob@good.example", "deferred", 25)
    assert "timed out" in waits["reason"], waits


def test_mail_of_a_dead_destination_comes_back_in_time(gateway, sink):
    """One of them is tried, again and again; the others expire without."""
    back = sink()
    gateway.hopseal.configure(
        {"transport": "dead.example smtp:[127.0.5.9]:2525\n"},
        transport_maps="texthash:TABLES/transport",
        relayhost=f"[{back.address}]:25",
        maximal_queue_lifetime="4s",
    )
    for i in range(20):
        gateway.put(f"u{i}@dead.example")
    with gateway.running():
        gateway.wait_for(lambda: "dead for" in gateway.text(), "the death")
        gateway.wait_for(lambda: len(back.messages) == 20, "all of them", 30)
    assert all(b"Action: failed" in m.data for m in back.messages)


# ---- an operator in the middle of it ----


def listed(gateway):
    """What is in the queue, by recipient."""
    out = gateway.hopseal.run("queue", "list", "--json").out
    return [json.loads(line) for line in out.splitlines()]


def under_way(gateway, sink, reply="250 2.0.0 Ok", **settings):
    """One message whose attempt waits for the reply to the dot; gives its id, the sink and what
    lets the reply go."""
    go = threading.Event()
    s = relayed(gateway, sink, settings, script={"dot": Held(reply, go)})
    gateway.put("bob@good.example", "carol@good.example")
    gateway.start()
    gateway.wait_for(lambda: any(x.messages for x in s.sessions), "the dot")
    (entry,) = {r["queue_id"] for r in listed(gateway)}
    assert not gateway.deliveries()
    return entry, s, go


COMMANDS = ["hold", "release", "retry", "requeue", "delete"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_not_undo_what_is_being_delivered(gateway, sink, command):
    message, s, go = under_way(gateway, sink)
    result = gateway.hopseal.run("queue", command, message)
    assert result.code == 0, result
    go.set()
    gateway.wait_for(lambda: len(gateway.deliveries()) == 2, "the end of the attempt")
    time.sleep(1.5)
    assert gateway.stop() == 0
    assert len(s.messages) == 1 and len(gateway.deliveries()) == 2
    assert listed(gateway) == []


@pytest.mark.parametrize("command, stays", [("hold", True), ("delete", False), ("retry", True)])
def test_a_command_holds_for_what_is_being_deferred(gateway, sink, command, stays):
    message, s, go = under_way(gateway, sink, "450 4.2.0 Later")
    assert gateway.hopseal.run("queue", command, message).code == 0
    go.set()
    gateway.wait_for(lambda: len(gateway.deliveries()) >= 2, "the end of the attempt")
    if command == "retry":
        gateway.wait_for(lambda: len(gateway.deliveries()) > 2, "another attempt")
    else:
        time.sleep(3)
    left = listed(gateway)
    assert len(left) == (2 if stays else 0), left
    if command == "hold":
        assert {r["state"] for r in left} == {"held"} and len(s.messages) == 1
    if command == "delete":
        assert len(s.messages) == 1
    gateway.child.kill()
    gateway.child.communicate()


def test_what_a_change_did_before_it_failed_is_done(gateway, sink):
    """It is done in pieces of 500 recipients."""
    s = relayed(gateway, sink)
    gateway.put(*[f"r{i}@good.example" for i in range(600)])
    assert gateway.hopseal.run("queue", "hold", "--all").code == 0
    with contextlib.closing(sqlite3.connect(gateway.dir / "queue/queue.db")) as database:
        database.execute(
            "CREATE TRIGGER no BEFORE UPDATE ON recipient WHEN NEW.n = 550"
            " BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )
        database.commit()
    with gateway.running():
        result = gateway.hopseal.run("queue", "release", "--all")
        assert result.code != 0 and "not this one" in result.err, result
        gateway.wait_for(lambda: len(gateway.deliveries()) == 500, "those that were released")
    assert sum(len(m.recipients) for m in s.messages) == 500


def test_a_peer_that_reads_too_slowly_is_given_up(gateway, sink):
    """It makes progress all the time, at far less than the rate that is asked for."""
    relayed(
        gateway,
        sink,
        {
            "smtp_data_xfer_timeout": "10s",
            "smtp_per_request_deadline": "yes",
            "smtp_min_data_rate": "50000000",
            "message_size_limit": "100000000",
        },
        line_pause=0.0001,
        keep_data=False,
    )
    gateway.put("bob@good.example", message=BIG)
    with gateway.running():
        waits = gateway.wait_for_fate("bob@good.example", "deferred", 25)
        gateway.child.kill()
        gateway.child.communicate()
    assert "timed out" in waits["reason"], waits


class Moody(dict):
    """Replies to RCPT: each recipient is put off some times before it is taken."""

    def __init__(self, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.left = {}

    def get(self, address, default=None):
        """Its next reply."""
        left = self.left.setdefault(address, self.random.choice((0, 0, 0, 1, 2)))
        self.left[address] = left - 1
        return "450 4.2.0 later" if left > 0 else default


def test_many_recipients_of_many_messages_all_arrive_once(gateway, sink):
    """More than memory may have of one destination, some put off again and again."""
    s = relayed(gateway, sink, rcpt=Moody(11), keep_data=False)
    want = collections.Counter()
    for i in range(6):
        rcpts = [f"r{k}.{i}@good.example" for k in range(700)]
        gateway.put(*rcpts)
        want.update(rcpts)
    for i in range(40):
        gateway.put(f"s{i}@good.example")
        want[f"s{i}@good.example"] += 1
    with gateway.running():
        gateway.wait_for(
            lambda: sum(len(m.recipients) for m in s.messages) >= len(want), "all of it", 60
        )
        gateway.wait_for(lambda: not listed(gateway), "an empty queue")
    found = collections.Counter(
        re.search("<(.*?)>", r).group(1) for m in s.messages for r in m.recipients
    )
    assert found == want


def by_lmtp(gateway, sink, settings, **how):
    """A server behind LMTP for x.example and y.example."""
    s = sink("127.0.5.9", 2525, lmtp=True, **how)
    where = "lmtp:inet:127.0.5.9:2525"
    gateway.hopseal.configure(
        {"transport": f"x.example {where}\ny.example {where}\n"},
        transport_maps="texthash:TABLES/transport",
        lmtp_destination_recipient_limit="1",
        **settings,
    )
    return s


def address(message):
    """Of its only recipient."""
    (line,) = message.recipients
    return re.search("<(.*?)>", line)[1]


def test_concurrency_counts_for_each_recipient_when_an_attempt_has_one(gateway, sink):
    """Two attempts at the one, at whatever domain of the next-hop; others do not wait for them."""
    go_on = threading.Event()
    s = by_lmtp(
        gateway,
        sink,
        {
            "lmtp_destination_concurrency_limit": "2",
            "recipient_delimiter": "+",
            "hopseal_connection_reuse": "no",
        },
        script={"dot": Held("250 2.0.0 Ok", go_on)},
    )
    gateway.put("anna@x.example", "ANNA+2@y.example", "bert@x.example", "carl@x.example")
    for i in range(3):
        gateway.put(f"anna+{i}@x.example")

    def under_way():
        to = [re.search("<(.*?)[+@]", c)[1].lower() for x in s.sessions for c, _ in x.commands
              if c.startswith("RCPT")]
        return sorted(to)

    with gateway.running():
        gateway.wait_for(lambda: len(under_way()) >= 4, "the first attempts")
        assert under_way() == ["anna", "anna", "bert", "carl"]
        go_on.set()
        gateway.wait_for(lambda: len(s.messages) == 7, "all of them")
    assert all(len(m.recipients) == 1 for m in s.messages)


def test_a_rate_delay_counts_for_each_recipient_when_an_attempt_has_one(gateway, sink):
    """One attempt at each; the next at the first comes an hour later, and for nobody else."""
    settings = {"lmtp_destination_rate_delay": "1h", "recipient_delimiter": "+"}
    s = by_lmtp(gateway, sink, settings)
    gateway.put(*[f"anna+{i}@x.example" for i in range(70)])
    gateway.put(*[f"r{i}@x.example" for i in range(20)])
    with gateway.running():
        gateway.wait_for(lambda: len(s.messages) >= 21, "one of each")
        gateway.hopseal.run("queue", "flush", "--all")
        gateway.wait_for(lambda: len(s.messages) >= 22, "one that an operator asks for")
    to = collections.Counter(re.split("[+@]", address(m))[0] for m in s.messages)
    assert to.pop("anna") == 2 and set(to.values()) == {1}, to


def test_a_transport_rate_delay_counts_for_all_its_destinations(gateway, sink):
    """The next comes an hour later, whichever worker has its destination; another transport does
    not wait, and a reload takes the delay away."""
    s = sink("127.0.5.9", 2525)
    by = {f"{t}{i}.example": t for t in ("smtp", "relay") for i in range(5)}
    tables = {"transport": "".join(f"{d} {t}:[127.0.5.9]:2525\n" for d, t in by.items())}
    tables["transport"] += "again.example smtp:[127.0.5.9]:2525\n"
    how = {"transport_maps": "texthash:TABLES/transport", "hopseal_workers": "3"}
    gateway.hopseal.configure(tables, smtp_transport_rate_delay="1h", **how)
    for domain in by:
        gateway.put(f"r@{domain}")
    with gateway.running():
        gateway.wait_for(lambda: len(s.messages) >= 6, "one, and all of relay")
        to = [address(m).partition("@")[2] for m in s.messages]
        assert sorted(by[d] for d in to) == ["relay"] * 5 + ["smtp"]
        gateway.hopseal.configure(**how)
        gateway.child.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: len(s.messages) == 10, "the others")


def test_a_deferred_transport_waits_for_an_operator(gateway, sink):
    """Each attempt is put off; what is asked for has one, also when the daemon was down then."""
    s = sink("127.0.5.9", 2525)
    tables = {"transport": "x.example smtp:[127.0.5.9]:2525\ny.example relay:[127.0.5.9]:2525\n"}
    settings = {"transport_maps": "texthash:TABLES/transport"}
    gateway.hopseal.configure(tables, defer_transports="lmtp, smtp", **settings)
    gateway.put("a@x.example", "b@x.example", "c@x.example", "d@y.example")

    def asked(what, rcpt):
        result = gateway.hopseal.run("queue", what, f"{deferred['id']}/{rcpt}")
        return result.code == 0 and f"{what}: 1 recipients" in result.out

    with gateway.running():
        gateway.wait_for_fate("d@y.example", "sent")
        gateway.wait_for(lambda: len(gateway.deliveries("c@x.example")) > 1, "a second attempt")
        deferred = gateway.wait_for_fate("a@x.example", "deferred")
        assert (deferred["dsn"], deferred["relay"]) == ("4.3.2", "none"), deferred
        assert "defer_transports" in deferred["reason"]
        patient = {"minimal_backoff_time": "1h", "maximal_backoff_time": "1h"}
        gateway.hopseal.configure(tables, defer_transports="smtp", **settings, **patient)
        gateway.child.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: "reloaded, " in gateway.text(), "the reload")
        before = len(gateway.deliveries("c@x.example"))
        gateway.wait_for(
            lambda: len(gateway.deliveries("c@x.example")) > before, "an attempt after it"
        )
        gateway.wait_for(lambda: asked("retry", "a@x.example"), "what is not due yet")
        gateway.wait_for_fate("a@x.example", "sent")
    assert asked("flush", "b@x.example")
    with gateway.running():
        gateway.wait_for_fate("b@x.example", "sent")
    assert sorted(map(address, s.messages)) == ["a@x.example", "b@x.example", "d@y.example"]
