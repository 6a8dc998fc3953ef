"""Sessions that are kept for further mail, and TLS sessions that are resumed: never for mail that
would be judged otherwise, and never at the cost of mail."""

import json
import re
import signal
import sqlite3
import time

import pytest

from lab import peers
from lab.gateway import Gateway
from lab.sink import DROP, Last

ONE_AT_A_TIME = {
    "smtp_destination_concurrency_limit": "1",
    "initial_destination_concurrency": "1",
}
SECURE = {
    "policy": "good.example secure match=mx.good.example\n",
}
MAPS = {"smtp_tls_policy_maps": "texthash:TABLES/policy"}
OK = "250 2.0.0 Ok"


@pytest.fixture
def gateway(hopseal, tmp_path):
    g = Gateway(hopseal, tmp_path)
    hopseal.base.update(ONE_AT_A_TIME)
    return g


@pytest.fixture
def good(sink, ca):
    """A sink for good.example with the certificate that it should have."""
    return lambda **how: sink(cert=ca.cert("valid", "mx.good.example"), **how)


def put_many(gateway, n, domain="good.example"):
    for i in range(n):
        gateway.put(f"r{i}@{domain}")


def deliver(gateway, n):
    """Runs the daemon until n recipients are delivered; gives their log lines in order."""
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) >= n, f"{n} deliveries")
    found = gateway.deliveries()
    assert [d["status"] for d in found] == ["sent"] * n, gateway.text()
    return found


def test_mail_goes_over_few_connections(gateway, good):
    s = good()
    gateway.hopseal.configure(SECURE, **MAPS, smtp_destination_concurrency_limit="3")
    put_many(gateway, 50)
    sent = deliver(gateway, 50)
    s.wait_ended()
    assert len(s.messages) == 50 and len(s.sessions) <= 3
    assert all(m.tls for m in s.messages)
    assert {d["tls"] for d in sent} == {"secure/verified"}
    assert sum(d["use"] is None for d in sent) == len(s.sessions)
    assert [x.ended for x in s.sessions] == ["quit"] * len(s.sessions)


def evidence(gateway):
    """Of each attempt: the number of what it shares, that, and what is its own."""
    with sqlite3.connect(f"file:{gateway.dir}/queue/queue.db?mode=ro", uri=True) as db:
        return db.execute(
            "SELECT g.id, g.text, a.evidence FROM attempt a JOIN ground g ON g.id = a.ground"
            " ORDER BY a.message, a.n"
        ).fetchall()


def test_evidence_is_shared_over_a_connection(gateway, good):
    """What was asked, decided, shown and judged is kept once; each mail adds what is its own."""
    s = good()
    gateway.hopseal.configure(SECURE, **MAPS)
    put_many(gateway, 20)
    deliver(gateway, 20)
    assert len(s.sessions) == 1
    rows = evidence(gateway)
    assert len(rows) == 20 and len({r[0] for r in rows}) == 1, [r[1] for r in rows[:3]]
    shared, own = json.loads(rows[-1][1]), [json.loads(r[2]) for r in rows]
    (tried,) = shared["tries"]
    assert tried["decision"]["level"] == "secure" and tried["decision"]["trace"]
    assert tried["peer"]["protocol"] and tried["judgement"]["reached"] == "verified"
    assert {f["question"]["kind"] for f in shared["facts"]} >= {"mx", "address", "table"}
    assert len({o["configuration"] for o in own}) == 1
    assert sorted(o["tries"][0]["use_count"] for o in own) == list(range(1, 21))
    assert sum(o["tries"][0]["reused"] for o in own) == 19
    assert all("transcript" in o["tries"][0] and "timings_ms" in o["tries"][0] for o in own)
    longest = max(len(r[2]) for r in rows if json.loads(r[2])["tries"][0]["reused"])
    assert longest < len(rows[0][1]) / 2


def test_each_use_is_counted_and_idle_sessions_end_with_quit(gateway, good):
    s = good()
    gateway.hopseal.configure(SECURE, **MAPS)
    put_many(gateway, 5)
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) == 5, "deliveries")
        gateway.wait_for(lambda: s.session.ended == "quit", "the end of an idle session")
    assert [d["use"] for d in gateway.deliveries()] == [None, "2", "3", "4", "5"]
    assert s.session.verbs().count("EHLO") == 2


OWN_CONNECTIONS = {
    "hopseal_connection_reuse": {"hopseal_connection_reuse": "no"},
    "smtp_tls_connection_reuse": {"smtp_tls_connection_reuse": "no"},
    "smtp_connection_cache_on_demand": {"smtp_connection_cache_on_demand": "no"},
    "smtp_connection_cache_time_limit": {"smtp_connection_cache_time_limit": "0"},
}


@pytest.mark.parametrize("name", OWN_CONNECTIONS)
def test_each_has_its_own_where_that_is_wanted(gateway, good, name):
    s = good()
    gateway.hopseal.configure(SECURE, **MAPS, **OWN_CONNECTIONS[name])
    put_many(gateway, 4)
    assert {d["use"] for d in deliver(gateway, 4)} == {None}
    assert len(s.sessions) == 4


@pytest.mark.parametrize(
    "entry, settings, n",
    [
        ("encrypt connection_reuse=no", {}, 4),
        ("encrypt connection_reuse=yes", {"smtp_tls_connection_reuse": "no"}, 1),
        ("none", {"smtp_tls_connection_reuse": "no"}, 1),
        ("none", {"smtp_connection_cache_on_demand": "no"}, 4),
        (
            "encrypt",
            {
                "smtp_connection_cache_on_demand": "no",
                "smtp_connection_cache_destinations": "x.example, Good.Example",
            },
            1,
        ),
        ("encrypt", {"smtp_connection_reuse_count_limit": "2"}, 2),
    ],
)
def test_who_says_what(gateway, good, entry, settings, n):
    s = good()
    gateway.hopseal.configure({"policy": f"good.example {entry}\n"}, **MAPS, **settings)
    put_many(gateway, 4)
    deliver(gateway, 4)
    assert len(s.sessions) == n


@pytest.mark.parametrize(
    "settings, n",
    [
        ({}, 1),
        ({"lmtp_connection_cache_on_demand": "no"}, 4),
        ({"lmtp_connection_cache_time_limit": "0"}, 4),
        ({"lmtp_connection_reuse_count_limit": "2"}, 2),
        ({"smtp_connection_cache_on_demand": "no"}, 1),
    ],
)
def test_lmtp_has_limits_of_its_own(gateway, sink, settings, n):
    s = sink("127.0.5.9", 2525, lmtp=True)
    gateway.hopseal.configure(
        {"transport": "x.example lmtp:inet:127.0.5.9:2525\n"},
        transport_maps="texthash:TABLES/transport",
        lmtp_destination_concurrency_limit="1",
        **settings,
    )
    put_many(gateway, 4, "x.example")
    deliver(gateway, 4)
    assert len(s.sessions) == n


def test_equal_mx_hosts_share_what_is_open(gateway, sink):
    hosts = [sink(f"192.0.2.{14 + i}") for i in range(4)]
    gateway.hopseal.configure()
    put_many(gateway, 12, "equal.example")
    deliver(gateway, 12)
    assert sum(len(s.sessions) for s in hosts) == 1
    rows = evidence(gateway)
    assert len(rows) == 12 and len({r[0] for r in rows}) == 1, [r[1] for r in rows[:3]]


GONE = {
    "lost at MAIL": {"MAIL": ["250 2.1.0 Ok", DROP, "250 2.1.0 Ok"]},
    "421 to MAIL": {"MAIL": ["250 2.1.0 Ok", Last("421 4.4.2 Bye"), "250 2.1.0 Ok"]},
    "nonsense at MAIL": {"MAIL": ["250 2.1.0 Ok", Last("hello?"), "250 2.1.0 Ok"]},
    "closed while idle": {"dot": [Last(OK), OK]},
    "421 while idle": {"dot": [Last(OK + "\r\n421 4.4.2 Bye"), OK]},
}


@pytest.mark.parametrize("how", GONE)
def test_a_session_that_the_peer_gave_up_costs_a_connection_only(gateway, good, how):
    s = good(script=GONE[how])
    gateway.hopseal.configure(SECURE, **MAPS)
    put_many(gateway, 4)
    deliver(gateway, 4)
    assert len(s.sessions) == 2 and len(s.messages) == 4
    assert "suspended" not in gateway.text() and "dead" not in gateway.text()


LATER = ["450 4.2.0 Later", "250 2.1.5 Ok"]  # to the first RCPT, in one attempt with others or not
KEPT_LONG = {
    "smtp_connection_cache_time_limit": "60s",
    "minimal_backoff_time": "300s",  # the next attempt is asked for
    "maximal_backoff_time": "300s",
}


@pytest.mark.parametrize(
    "before, after, n",
    [
        ("encrypt", "encrypt", 1),
        ("encrypt", "secure match=mx.good.example", 2),
        ("secure match=mx.good.example", "encrypt", 2),
        ("secure match=mx.good.example", "secure match=mx.good.example:x.example", 2),
        ("secure match=mx.good.example", "secure match=mx.good.example servername=hostname", 2),
        ("encrypt", "encrypt ciphers=high", 2),
        ("encrypt", "encrypt protocols=>=TLSv1.3", 2),
    ],
)
def test_a_reload_keeps_sessions_whose_terms_stay(gateway, good, before, after, n):
    s = good(script={"RCPT": LATER})
    gateway.hopseal.configure({"policy": f"good.example {before}\n"}, **MAPS, **KEPT_LONG)
    gateway.put("later@good.example", "now@good.example")
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) == 2, "the first attempt")
        before_reload = len(s.sessions)
        gateway.hopseal.configure(
            {"policy": f"good.example {after}\n"}, **MAPS, **KEPT_LONG, delay_warning_time="9h"
        )
        gateway.child.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: "reloaded" in gateway.text(), "the reload")
        assert len(gateway.deliveries()) == 2
        assert gateway.hopseal.run("queue", "retry", "--all").code == 0
        gateway.wait_for_fate("later@good.example", "sent")
    s.wait_ended()
    assert len(s.sessions) == before_reload + n - 1, gateway.text()
    assert {x.ended for x in s.sessions} == {"quit"}


def test_no_session_grows_old(gateway, good):
    s = good(script={"RCPT": LATER})
    gateway.hopseal.configure(
        SECURE, **MAPS, **{**KEPT_LONG, "smtp_connection_reuse_time_limit": "1s"}
    )
    gateway.put("later@good.example", "now@good.example")
    with gateway.running():
        gateway.wait_for(lambda: len(gateway.deliveries()) == 2, "the first attempt")
        before = len(s.sessions)
        time.sleep(1.5)
        assert gateway.hopseal.run("queue", "retry", "--all").code == 0
        gateway.wait_for_fate("later@good.example", "sent")
    assert len(s.sessions) == before + 1


# ---- TLS sessions ----

OWN = {"smtp_tls_connection_reuse": "no"}


def test_tls_sessions_are_resumed_and_still_verified(gateway, good):
    s = good(takes_tickets=True)
    gateway.hopseal.configure(SECURE, **MAPS, **OWN)
    put_many(gateway, 6)
    sent = deliver(gateway, 6)
    assert [x.tls_resumed for x in s.sessions] == [False] + [True] * 5
    assert {d["tls"] for d in sent} == {"secure/verified"}


@pytest.mark.parametrize(
    "settings", [{"hopseal_tls_session_cache": "no"}, {"smtp_tls_session_cache_timeout": "0"}]
)
def test_tls_sessions_are_not_resumed_where_that_is_not_wanted(gateway, good, settings):
    s = good(takes_tickets=True)
    gateway.hopseal.configure(SECURE, **MAPS, **OWN, **settings)
    put_many(gateway, 3)
    deliver(gateway, 3)
    assert [x.tls_resumed for x in s.sessions] == [False] * 3


def test_a_session_is_no_proof_of_another_demand(gateway, good):
    """Mail of another next-hop for the same host, with another name to prove: never delivered,
    though the host was resumed with all the time."""
    s = good(takes_tickets=True)
    gateway.hopseal.configure(
        {
            "policy": "good.example encrypt\n[192.0.2.11] secure match=other.example\n",
            "transport": "strict.example smtp:[192.0.2.11]\n",
        },
        **MAPS,
        **OWN,
        transport_maps="texthash:TABLES/transport",
    )
    put_many(gateway, 3)
    gateway.put("eve@strict.example")
    with gateway.running():
        waits = gateway.wait_for_fate("eve@strict.example", "deferred")
        gateway.wait_for(lambda: len(s.messages) == 3, "three messages")
    assert waits["tls"] == "secure/trusted" and waits["dsn"] == "4.7.5", waits
    assert not any("eve" in r for m in s.messages for r in m.recipients)


def test_postfix_sees_resumed_sessions(gateway, postfix):
    gateway.hopseal.configure(
        {"policy": "postfix.example secure match=mx.postfix.example\n"}, **MAPS, **OWN
    )
    before = len(list((postfix / "new").iterdir())) if (postfix / "new").is_dir() else 0
    put_many(gateway, 4, "postfix.example")
    sent = deliver(gateway, 4)
    assert {d["tls"] for d in sent} == {"secure/verified"}
    assert len(peers.mails_in(postfix, before + 4)) >= before + 4
    (log,) = postfix.parents[1].rglob("maillog")
    lines = re.findall("TLS connection established from .*", log.read_text())
    # A handshake that resumes signs no digest. Postfix gives one ticket with a full handshake and
    # none with a resumed one, and we use none twice.
    assert ["server-digest" in line for line in lines[-4:]] == [True, False] * 2, lines


def test_postfix_takes_many_over_one_connection(gateway, postfix):
    gateway.hopseal.configure(
        {"policy": "postfix.example secure match=mx.postfix.example\n"}, **MAPS
    )
    put_many(gateway, 10, "postfix.example")
    sent = deliver(gateway, 10)
    assert [d["use"] for d in sent] == [None, *map(str, range(2, 11))]
