"""The daemon's turns, windows and limits: what Postfix's parameters for them say, and that nobody
waits for somebody else's trouble. Counts and orders, not times."""

import pytest

from lab.gateway import Gateway

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
