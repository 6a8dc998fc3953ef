"""The daemon's turns, windows and limits: what Postfix's parameters for them say, and that nobody
waits for somebody else's trouble. Counts and orders, not times."""

import time

import pytest

from lab.gateway import Gateway
from lab.sink import Slow

CONFIG = 78


@pytest.fixture
def gateway(hopseal, tmp_path):
    return Gateway(hopseal, tmp_path)


@pytest.mark.parametrize("name", ["smtp_sasl_auth_enable", "lmtp_sasl_auth_enable"])
def test_mail_is_not_sent_without_the_password_that_it_needs(gateway, name):
    """The servers would refuse it, and it would be returned."""
    gateway.hopseal.configure(**{name: "yes", "smtp_sasl_password_maps": "inline:{x=a:b}"})
    result = gateway.hopseal.run("serve")
    assert result.code == CONFIG, result
    assert f"{name} = yes: hopseal cannot authenticate itself" in result.err, result
    (finding,) = [f for f in gateway.hopseal.check().json["findings"] if f["code"] == "smtp-auth"]
    assert finding["severity"] == "error" and finding["parameter"] == name


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
