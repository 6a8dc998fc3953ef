"""Postfix and Hopseal, given the same MX records and the same receivers, try the same hosts and
come to the same outcome. Where Hopseal differs on purpose, it stands here with the reason."""

import pytest

from lab import zones
from lab.sink import DROP, STALL, Last

LIMITS = "connect helo mail rcpt data_init data_xfer data_done quit".split()


@pytest.fixture(name="both")
def _both(hopseal, postfix_client, sink):
    """both(domain, {address: script}): (outcome, status, [addresses with a session], [addresses
    that took the mail]) of Postfix and of Hopseal."""
    limits = {f"smtp_{each}_timeout": "3s" for each in LIMITS}
    hopseal.configure(inet_protocols="ipv4", smtp_randomize_addresses="no", **limits)

    def run(domain, receivers):
        seen = []
        for send in (
            lambda to: postfix_client.send_to(to)[0][:2],
            lambda to: hopseal.send(to).fate,
        ):
            sinks = {a: sink(a, **how) for a, how in receivers.items()}
            fate = send(f"bob@{domain}")
            for s in sinks.values():
                s.wait_ended().close()
            tried = [a for a, s in sinks.items() if s.sessions]
            seen.append((*fate, tried, [a for a, s in sinks.items() if s.messages]))
        return seen

    return run


GOOD = {}

DOMAINS = {
    "good.example": {zones.MX1: GOOD},
    "empty.example": {},
    "no-such-name.example": {},
    "nowhere.example": {},
    "halfgone.example": {zones.MX1: GOOD},
    "nomx.example": {zones.MX1: GOOD},
    "two.example": {zones.MX1: GOOD, zones.MX2: GOOD},
    "deadfirst.example": {zones.MX2: GOOD},
    "dead.example": {},
    "self.example": {zones.MYSELF: GOOD},
    "selffirst.example": {zones.MX1: GOOD, zones.MYSELF: GOOD},
    "backup.example": {zones.MX1: GOOD, zones.MYSELF: GOOD},
    "dual.example": {zones.MX1: GOOD, zones.MX1_V6: GOOD},
    "v6only.example": {zones.MX1_V6: GOOD},
}


@pytest.mark.parametrize("domain", DOMAINS)
def test_domain(both, domain):
    postfix, hopseal = both(domain, DOMAINS[domain])
    assert hopseal == postfix


def test_null_mx_has_the_status_of_its_rfc(both):
    """RFC 7505 section 4.2 gives it 5.1.10; Postfix says 5.1.0."""
    postfix, hopseal = both("null.example", {})
    assert postfix[:2] == ("bounced", "5.1.0") and hopseal[:2] == ("bounced", "5.1.10")


def test_address_in_an_mx_record_is_skipped(both):
    """RFC 5321 section 5.1 wants a name; Postfix connects to the address."""
    postfix, hopseal = both("ipmx.example", {zones.MX1: GOOD})
    assert postfix[0] == "delivered" and hopseal[:2] == ("bounced", "5.4.4")


def test_backup_mx_while_the_better_host_is_down(both):
    postfix, hopseal = both("backup.example", {zones.MYSELF: GOOD})
    assert hopseal == postfix


TROUBLE = {
    "drop": DROP,
    "stall": STALL,
    "421": Last("421 4.3.2 going down"),
    "450": "450 4.2.0 later",
    "550": "550 5.7.1 never",
}


@pytest.mark.parametrize("how", TROUBLE)
@pytest.mark.parametrize("stage", ["banner", "EHLO", "MAIL", "RCPT", "DATA", "dot"])
def test_trouble_at_the_first_of_two(both, stage, how):
    first = {"script": {stage: TROUBLE[how]}}
    postfix, hopseal = both("two.example", {zones.MX1: first, zones.MX2: GOOD})
    assert hopseal == postfix


@pytest.mark.parametrize("how", ["421", "450", "550"])
@pytest.mark.parametrize("stage", ["banner", "MAIL", "RCPT", "dot"])
def test_trouble_at_every_one_of_many(both, stage, how):
    every = {"script": {stage: TROUBLE[how]}}
    postfix, hopseal = both("many.example", {f"192.0.2.{i}": every for i in range(10, 22)})
    assert hopseal == postfix


def test_recipients_that_only_the_second_host_takes(hopseal, postfix_client, sink):
    """What the first host defers is offered to the next; what it took or refused is not."""
    rcpt = {"b@two.example": "450 4.2.0 later", "c@two.example": "550 5.1.1 unknown"}
    to = [f"{x}@two.example" for x in "abc"]
    seen = []
    hopseal_sends = lambda: [
        (r["outcome"], r["status"]) for r in hopseal.send(*to).json["recipients"]
    ]
    for send in (lambda: [x[:2] for x in postfix_client.send_to(*to)], hopseal_sends):
        with sink(zones.MX1, rcpt=rcpt) as first, sink(zones.MX2) as second:
            fates = send()
            taken = [[m.recipients for m in s.messages] for s in (first, second)]
            seen.append((fates, [[[r.split()[1] for r in m] for m in s] for s in taken]))
    assert seen[0] == seen[1]


def test_host_with_our_name(both):
    postfix, hopseal = both("good.example", {zones.MX1: {"name": "gateway.example"}})
    assert hopseal == postfix


def test_worse_host_with_our_name(both):
    postfix, hopseal = both("two.example", {zones.MX2: {"name": "gateway.example"}})
    assert hopseal[0] == postfix[0] and hopseal[3] == postfix[3] == []
