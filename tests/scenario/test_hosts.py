"""From a domain to hosts: DNSSEC status, MX preference, names that lead nowhere, aliases, loops."""

import time

import pytest

from lab import zones
from lab.hopseal import BOUNCED, DEFERRED
from lab.sink import full_backlog


@pytest.mark.parametrize(
    "domain, mx, host",
    [
        ("good.example", "secure", "secure"),
        ("good.test", "secure", "secure"),
        ("plain.insecure", "insecure", "insecure"),
        ("island.example", "insecure", "insecure"),
    ],
)
def test_status_is_in_the_facts(hopseal, sink, domain, mx, host):
    sink()
    result = hopseal.send(f"bob@{domain}")
    assert result.code == 0, result
    assert [f["dnssec"] for f in result.facts("mx", domain)] == [mx]
    assert [f["dnssec"] for f in result.facts("address", f"mx1.{domain}")] == [host]
    assert result.tries[0]["dnssec"] == host


@pytest.mark.parametrize("domain", ["bogus.example", "expired.example", "wrongds.example"])
def test_bogus_mx_defers(hopseal, sink, domain):
    s = sink()
    result = hopseal.send(f"bob@{domain}")
    assert result.fate == ("deferred", "4.4.3") and result.code == DEFERRED, result
    fact = result.facts("mx", domain)[0]
    assert (fact["status"], fact["dnssec"]) == ("failed", "bogus")
    assert fact["failure"] and s.sessions == []


def test_unproved_absence_of_mx_is_not_absence(hopseal, sink):
    s = sink()
    result = hopseal.send("bob@nodenial.example")
    assert result.fate == ("deferred", "4.4.3"), result
    assert s.sessions == []


def test_bogus_host_is_skipped(hopseal, sink):
    s1, s2 = sink(zones.MX1), sink(zones.MX2)
    result = hopseal.send("bob@badhost.example")
    assert result.code == 0, result
    assert s1.sessions == [] and len(s2.messages) == 1
    assert result.facts("address", "mx1.badhost.example")[0]["dnssec"] == "bogus"


def test_no_anchor_means_insecure(hopseal, sink):
    sink()
    hopseal.configure(hopseal_dns_trust_anchor_file="")
    result = hopseal.send("bob@good.example")
    assert result.code == 0, result
    assert result.facts("mx", "good.example")[0].get("dnssec", "unchecked") in (
        "insecure",
        "unchecked",
    )


@pytest.mark.parametrize("name", ["servfail", "refused"])
def test_failing_name_server_defers(hopseal, name):
    result = hopseal.send(f"bob@a.{name}.fault.example")
    assert result.fate == ("deferred", "4.4.3") and result.code == DEFERRED, result


def test_silent_name_server_defers_in_time(hopseal):
    hopseal.configure(hopseal_dns_timeout="1s")
    start = time.monotonic()
    result = hopseal.send("bob@a.drop.fault.example")
    assert result.fate == ("deferred", "4.4.3"), result
    assert time.monotonic() - start < 9


@pytest.mark.parametrize(
    "domain, status",
    [
        ("null.example", "5.1.10"),
        ("empty.example", "5.4.4"),
        ("no-such-name.example", "5.4.4"),
        ("nowhere.example", "5.4.4"),
        ("ipmx.example", "5.4.4"),
    ],
)
def test_destinations_without_hosts_bounce(hopseal, sink, domain, status):
    s = sink()
    result = hopseal.send(f"bob@{domain}")
    assert result.fate == ("bounced", status) and result.code == BOUNCED, result
    assert domain in result.reason and s.sessions == []


def test_no_mx_address_may_defer(hopseal):
    hopseal.configure(smtp_defer_if_no_mx_address_found="yes")
    assert hopseal.send("bob@nowhere.example").rcpt()["outcome"] == "deferred"


def test_host_without_address_is_skipped(hopseal, sink):
    s = sink()
    assert hopseal.send("bob@halfgone.example").code == 0
    assert len(s.messages) == 1


def test_domain_without_mx_is_its_own_host(hopseal, sink):
    s = sink()
    result = hopseal.send("bob@nomx.example")
    assert result.code == 0 and len(s.messages) == 1, result
    assert result.tries[0]["host"] == "nomx.example"


def test_best_preference_first(hopseal, sink):
    s1, s2 = sink(zones.MX1), sink(zones.MX2)
    assert hopseal.send("bob@two.example").code == 0
    assert len(s1.messages) == 1 and s2.sessions == []


def test_a_recipient_given_twice_is_one(hopseal, sink):
    s = sink(zones.MX1)
    result = hopseal.send("bob@two.example", "<BOB@Two.Example>", "eve@two.example")
    assert result.code == 0, result
    assert [r["recipient"] for r in result.json["recipients"]] == [
        "bob@two.example",
        "eve@two.example",
    ]
    assert len(s.messages) == 1 and len(s.messages[0].recipients) == 2


def test_next_host_when_the_first_refuses_the_connection(hopseal, sink):
    s = sink(zones.MX2)
    result = hopseal.send("bob@deadfirst.example")
    assert result.code == 0 and len(s.messages) == 1, result
    assert [t["kind"] for t in result.tries] == ["not-connected", "session"]


def test_next_host_when_the_first_is_silent(hopseal, sink):
    s = sink(zones.MX2)
    hopseal.configure(smtp_connect_timeout="1s")
    with full_backlog(zones.MX1):
        assert hopseal.send("bob@two.example").code == 0
    assert len(s.messages) == 1


@pytest.mark.parametrize(
    "script",
    [
        {"banner": "421 4.3.2 down"},
        {"banner": "554 5.3.2 no"},
        {"EHLO": "421 4.3.2 down"},
        {"MAIL": "451 4.3.0 no"},
        {"RCPT": "451 4.3.0 no"},
        {"DATA": "451 4.3.0 no"},
        {"dot": "451 4.3.0 no"},
    ],
    ids=lambda s: " ".join(*s.items()),
)
def test_next_host_when_the_first_has_trouble(hopseal, sink, script):
    s1, s2 = sink(zones.MX1, script=script), sink(zones.MX2)
    result = hopseal.send("bob@two.example")
    assert result.code == 0, result
    assert len(s1.sessions) == 1 and len(s2.messages) == 1


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "dot"])
def test_permanent_refusal_is_final(hopseal, sink, stage):
    s2 = sink(zones.MX2)
    sink(zones.MX1, script={stage: "550 5.7.1 never"})
    result = hopseal.send("bob@two.example")
    assert result.fate == ("bounced", "5.7.1") and result.code == BOUNCED, result
    assert s2.sessions == []


def test_policy_is_decided_for_each_host(hopseal, sink, ca):
    s1 = sink(zones.MX1, cert=ca.cert("expired", "mx1.two.example"))
    s2 = sink(zones.MX2, cert=ca.cert("valid", "mx2.two.example"))
    result = hopseal.per_site({"two.example": "MUST"}).send("bob@two.example")
    assert result.code == 0, result
    assert s1.messages == [] and s2.messages[0].tls
    assert [t["judgement"]["acceptable"] for t in result.tries] == [False, True]


def test_all_hosts_refused_by_policy_defers(hopseal, sink, ca):
    sink(zones.MX1, cert=ca.cert("expired", "mx1.two.example"))
    sink(zones.MX2)
    result = hopseal.per_site({"two.example": "MUST"}).send("bob@two.example")
    assert result.rcpt()["outcome"] == "deferred" and result.code == DEFERRED, result
    assert result.rcpt()["status"] in ("4.7.4", "4.7.5")


def test_a_refusal_by_policy_says_more_than_a_dead_host(hopseal, sink, ca):
    sink(zones.MX1, cert=ca.cert("expired", "mx1.two.example"))
    result = hopseal.per_site({"two.example": "MUST"}).send("bob@two.example")
    assert [t["kind"] for t in result.tries] == ["session", "not-connected"]
    assert result.rcpt()["status"] in ("4.7.4", "4.7.5") and result.rcpt()["try"] == 0, result


def test_equal_preferences_are_mixed(hopseal):
    orders = set()
    hopseal.configure(smtp_mx_address_limit="0", smtp_connect_timeout="1s")
    for _ in range(6):
        tries = hopseal.send("bob@equal.example").tries
        hosts = [t["host"] for t in tries]
        assert sorted(hosts[:4]) == [f"mx{i}.equal.example" for i in range(4)]
        assert hosts[4] == "last.equal.example"
        orders.add(tuple(hosts))
    assert len(orders) > 1


@pytest.mark.parametrize("limit, tries", [(None, 5), ("2", 2), ("0", 12)])
def test_address_limit(hopseal, limit, tries):
    hopseal.configure(smtp_mx_address_limit=limit)
    result = hopseal.send("bob@many.example")
    assert result.rcpt()["outcome"] == "deferred", result
    assert len(result.tries) == tries
    assert [t["preference"] for t in result.tries] == list(range(10, 10 + tries))


@pytest.mark.parametrize("limit, sessions", [(None, 2), ("1", 1), ("3", 3), ("0", 5)])
def test_session_limit(hopseal, sink, limit, sessions):
    sinks = [sink(f"192.0.2.{i}", script={"MAIL": "451 4.3.0 no"}) for i in range(10, 15)]
    hopseal.configure(smtp_mx_session_limit=limit)
    result = hopseal.send("bob@many.example")
    assert result.rcpt()["outcome"] == "deferred", result
    assert sum(len(s.sessions) for s in sinks) == sessions


def test_sessions_that_end_at_the_greeting_do_not_count(hopseal, sink):
    sinks = [sink(f"192.0.2.{i}", script={"banner": "421 4.3.2 no"}) for i in range(10, 15)]
    hopseal.send("bob@many.example")
    assert sum(len(s.sessions) for s in sinks) == 5


def test_refused_connections_defer(hopseal):
    result = hopseal.send("bob@dead.example")
    assert result.fate == ("deferred", "4.4.1") and result.code == DEFERRED, result
    assert "refused" in result.reason.lower()


def test_we_are_the_best_mx(hopseal, sink):
    s = sink(zones.MX1)
    for domain in ("self.example", "selffirst.example"):
        result = hopseal.send(f"bob@{domain}")
        assert result.fate == ("bounced", "5.4.6"), result
    assert s.sessions == []


@pytest.mark.parametrize("hello", ["250 gateway.example", "250-Gateway.Example hi\r\n250 SIZE 1"])
def test_a_server_that_says_our_name_is_a_loop(hopseal, sink, hello):
    s = sink(script={"EHLO": hello})
    result = hopseal.send("bob@good.example")
    assert result.fate == ("bounced", "5.4.6") and result.code == BOUNCED, result
    assert "loops back to myself" in result.reason
    assert s.messages == [] and "MAIL" not in s.session.verbs()


def test_backup_mx_sends_to_better_hosts_only(hopseal, sink):
    me = sink(zones.MYSELF)
    assert hopseal.send("bob@backup.example").rcpt()["outcome"] == "deferred"
    s = sink(zones.MX1)
    assert hopseal.send("bob@backup.example").code == 0
    assert len(s.messages) == 1 and me.sessions == []


def test_alias_of_a_domain(hopseal, sink):
    s = sink()
    result = hopseal.per_site({"domain.alias.example": "NONE"}).send("bob@domain.alias.example")
    assert result.code == 0 and len(s.messages) == 1, result
    assert result.tries[0]["nexthop"] == "domain.alias.example"
    assert result.tries[0]["host"] == "mx1.good.example"


def test_alias_into_an_unsigned_zone_is_insecure(hopseal, sink):
    sink()
    result = hopseal.send("bob@half.alias.example")
    assert result.code == 0, result
    assert result.facts("mx", "half.alias.example")[0]["dnssec"] == "insecure"


def test_alias_loop_defers_or_bounces(hopseal):
    result = hopseal.send("bob@loop1.alias.example")
    assert result.rcpt()["outcome"] in ("deferred", "bounced"), result
    assert result.rcpt()["status"] in ("4.4.3", "5.4.4"), result


@pytest.mark.parametrize("override", ["yes", "no"])
def test_alias_of_a_host_and_its_certificate(hopseal, sink, ca, override):
    target, alias = "mx1.good.example", "host.alias.example"
    sink(cert=ca.cert("valid", target if override == "yes" else alias))
    table = {target if override == "yes" else "toalias.alias.example": "MUST"}
    hopseal.per_site(table, smtp_cname_overrides_servername=override)
    result = hopseal.send("bob@toalias.alias.example")
    assert result.code == 0, result
    assert result.tries[0]["host"] == (target if override == "yes" else alias)
    assert result.tries[0]["decision"]["level"] == "verify"


@pytest.mark.parametrize(
    "settings, family",
    [
        ({"smtp_address_preference": "ipv6"}, 6),
        ({"smtp_address_preference": "ipv4"}, 4),
        ({"inet_protocols": "ipv4"}, 4),
        ({"inet_protocols": "ipv6"}, 6),
    ],
)
def test_address_family(hopseal, sink, settings, family):
    by_family = {4: sink(zones.MX1), 6: sink(zones.MX1_V6)}
    assert hopseal.configure(**settings).send("bob@dual.example").code == 0
    assert len(by_family[family].messages) == 1
    assert by_family[10 - family].sessions == []


def test_other_family_is_tried_next(hopseal, sink):
    s = sink(zones.MX1)
    hopseal.configure(smtp_address_preference="ipv6")
    assert hopseal.send("bob@dual.example").code == 0
    assert len(s.messages) == 1


def test_only_ipv6(hopseal, sink):
    s = sink(zones.MX1_V6)
    assert hopseal.send("bob@v6only.example").code == 0
    assert len(s.messages) == 1


def test_no_address_of_our_family(hopseal):
    hopseal.configure(inet_protocols="ipv4")
    assert hopseal.send("bob@v6only.example").fate == ("bounced", "5.4.4")


def test_native_lookup(hopseal, sink):
    s = sink("127.0.0.1", 0)
    hopseal.configure(smtp_host_lookup="native", relayhost=f"[localhost]:{s.port}")
    result = hopseal.send("bob@good.example")
    assert result.code == 0 and len(s.messages) == 1, result


def test_no_dns_at_all(hopseal, sink):
    s = sink("127.0.0.1", 0)
    hopseal.configure(disable_dns_lookups="yes", relayhost=f"localhost:{s.port}")
    result = hopseal.send("bob@good.example")
    assert result.code == 0 and len(s.messages) == 1, result


def test_our_name_makes_nothing_final_where_the_policy_refuses_the_host(hopseal, sink, ca):
    """Whoever controls the path could otherwise have mail returned that has to wait."""
    sink(name="gateway.example", cert=ca.cert("self-signed", "mx1.good.example"))
    result = hopseal.per_site({"good.example": "MUST"}).send("bob@good.example")
    assert result.fate == ("deferred", "4.7.5"), result


def test_our_name_on_another_port_is_somebody_else(hopseal, sink):
    s = sink(port=2525, name="gateway.example")
    hopseal.configure(relayhost="good.example:2525")
    assert hopseal.send("bob@good.example").code == 0
    assert len(s.messages) == 1


def test_a_worse_host_with_our_name_is_passed_over(hopseal, sink):
    me = sink(zones.MX2, name="gateway.example")
    result = hopseal.send("bob@two.example")
    assert result.rcpt()["outcome"] == "deferred" and me.messages == [], result
