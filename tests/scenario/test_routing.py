"""From recipients to next-hops: transport_maps, relayhost, next-hop forms, LMTP."""

import pytest

from lab import zones
from lab.hopseal import BOUNCED, DEFERRED, DELIVERED


def transport(hopseal, table, **settings):
    text = "".join(f"{key} {value}\n" for key, value in table.items())
    return hopseal.configure(
        {"transport": text}, transport_maps="texthash:TABLES/transport", **settings
    )


@pytest.mark.parametrize(
    "form, port",
    [
        ("[192.0.2.11]", 25),
        ("[192.0.2.11]:2525", 2525),
        ("[mx1.good.example]", 25),
        ("[mx1.good.example]:2525", 2525),
        ("good.example", 25),
        ("good.example:2525", 2525),
        ("good.example:submission", 587),
        ("[mx1.good.example]:submission", 587),
        ("[ipv6:2001:db8::11]", 25),
        ("[ipv6:2001:db8::11]:2525", 2525),
    ],
)
def test_nexthop_forms(hopseal, sink, form, port):
    s = sink(zones.MX1_V6 if "ipv6" in form else zones.MX1, port)
    result = hopseal.configure(relayhost=form).send("bob@anything.example")
    assert result.code == DELIVERED and len(s.messages) == 1, result
    assert result.tries[0]["nexthop"] == form


@pytest.mark.parametrize(
    "form", ["[192.0.2.11]:2525", "good.example:2525", "[mx1.good.example]:2525"]
)
def test_nexthop_is_the_table_key_verbatim(hopseal, sink, ca, form):
    s = sink(port=2525, cert=ca.cert("valid", "mx1.good.example"))
    hopseal.per_site({form: "MUST_NOPEERMATCH"}, relayhost=form)
    assert hopseal.send("bob@anything.example").code == DELIVERED
    assert s.messages[0].tls


@pytest.mark.parametrize("key", ["mx1.good.example", "[mx1.good.example]"])
def test_key_without_the_port_is_another_key(hopseal, sink, ca, key):
    """A bracketed next-hop is no host name; the host itself still is one."""
    s = sink(port=2525, cert=ca.cert("valid", "mx1.good.example"))
    hopseal.per_site({key: "MUST"}, relayhost="[mx1.good.example]:2525")
    assert hopseal.send("bob@anything.example").code == DELIVERED
    assert s.messages[0].tls == (key == "mx1.good.example")


@pytest.mark.parametrize(
    "table, rcpt, goes",
    [
        ({"bob@nomx.example": "smtp:[192.0.2.12]"}, "bob@nomx.example", zones.MX2),
        ({"bob@nomx.example": "smtp:[192.0.2.12]"}, "eve@nomx.example", zones.MX1),
        ({"bob@nomx.example": "smtp:[192.0.2.12]"}, "bob+x@nomx.example", zones.MX1),
        ({"nomx.example": "smtp:[192.0.2.12]"}, "eve@nomx.example", zones.MX2),
        ({"NoMX.Example": "smtp:[192.0.2.12]"}, "eve@NOMX.example", zones.MX2),
        ({".example": "smtp:[192.0.2.12]"}, "eve@nomx.example", zones.MX2),
        ({"example": "smtp:[192.0.2.12]"}, "eve@nomx.example", zones.MX1),
        ({"*": "smtp:[192.0.2.12]"}, "eve@nomx.example", zones.MX2),
        ({"*": "smtp:[192.0.2.13]", "nomx.example": ":"}, "eve@nomx.example", zones.MX1),
        ({"nomx.example": ":[192.0.2.12]"}, "eve@nomx.example", zones.MX2),
        ({"nomx.example": "relay:[192.0.2.12]"}, "eve@nomx.example", zones.MX2),
        ({"nomx.example": "smtp:"}, "eve@nomx.example", zones.MX1),
    ],
)
def test_transport_keys(hopseal, sink, table, rcpt, goes):
    sinks = {a: sink(a) for a in (zones.MX1, zones.MX2, zones.MX3)}
    result = transport(hopseal, table).send(rcpt)
    assert result.code == DELIVERED, result
    assert [a for a, s in sinks.items() if s.messages] == [goes]


def test_discard(hopseal, sink):
    s = sink()
    result = transport(hopseal, {"nomx.example": "discard:"}).send("bob@nomx.example")
    assert result.code == DELIVERED and s.sessions == [], result


@pytest.mark.parametrize(
    "value, fate",
    [
        ("error:mailbox gone", ("bounced", "5.0.0")),
        ("error:5.1.6 moved", ("bounced", "5.1.6")),
        ("error:4.2.1 later", ("bounced", "5.2.1")),
        ("retry:5.2.1 later", ("deferred", "4.2.1")),
        ("retry:busy", ("deferred", "4.0.0")),
    ],
)
def test_error_transport(hopseal, sink, value, fate):
    s = sink()
    result = transport(hopseal, {"nomx.example": value}).send("bob@nomx.example")
    assert result.fate == fate, result
    assert result.reason.endswith(value.split(":")[1].split(" ", 1)[-1]) and s.sessions == []


@pytest.mark.parametrize("value", ["local:", "virtual:", "uucp:host", "maildrop:"])
def test_other_transports_are_refused_by_name(hopseal, value):
    result = transport(hopseal, {"nomx.example": value}).send("bob@nomx.example")
    assert result.rcpt()["outcome"] == "deferred", result
    assert value.split(":")[0] in result.reason


def test_missing_transport_table_defers(hopseal, sink):
    s = sink()
    hopseal.configure(transport_maps="texthash:TABLES/nowhere")
    result = hopseal.send("bob@nomx.example")
    assert result.code in (DEFERRED, 78), result
    assert "nowhere" in result.out + result.err and s.sessions == []


def test_relayhost_is_not_for_transport_entries(hopseal, sink):
    relay, direct = sink(zones.MX2), sink(zones.MX1)
    transport(hopseal, {"nomx.example": "smtp:[192.0.2.11]"}, relayhost="[192.0.2.12]")
    assert hopseal.send("bob@nomx.example").code == DELIVERED
    assert hopseal.send("bob@elsewhere.example").code == DELIVERED
    assert len(relay.messages) == 1 and len(direct.messages) == 1


def test_relay_domains(hopseal, sink):
    s = sink(zones.MX2)
    hopseal.configure(relay_domains="nomx.example", relay_transport="relay:[192.0.2.12]")
    result = hopseal.send("bob@nomx.example")
    assert result.code == DELIVERED and len(s.messages) == 1, result


def test_default_transport(hopseal, sink):
    s = sink(zones.MX2)
    hopseal.configure(default_transport="smtp:[192.0.2.12]")
    assert hopseal.send("bob@nomx.example").code == DELIVERED
    assert len(s.messages) == 1


def test_mail_for_this_machine_is_refused_clearly(hopseal, sink):
    s = sink()
    hopseal.configure(mydestination="nomx.example")
    result = hopseal.send("bob@nomx.example")
    assert result.code in (DEFERRED, BOUNCED) and s.sessions == [], result
    assert "local" in result.reason


def test_one_transaction_for_recipients_of_one_nexthop(hopseal, sink):
    s = sink()
    result = hopseal.send("a@good.example", "b@good.example", "c@good.example")
    assert result.code == DELIVERED, result
    assert len(s.messages) == 1 and len(s.messages[0].recipients) == 3


def test_each_domain_is_a_delivery(hopseal, sink):
    s = sink()
    result = hopseal.send("a@good.example", "b@nomx.example", "c@no-such-name.example")
    assert len(s.messages) == 2 and result.code == BOUNCED, result
    assert result.json["summary"] == {"delivered": 2, "deferred": 0, "bounced": 1}


def test_several_nexthops_in_turn(hopseal, sink):
    s = sink(zones.MX2)
    hopseal.configure(relayhost="[192.0.2.90], [192.0.2.12]")
    result = hopseal.send("a@good.example")
    assert result.code == DELIVERED and len(s.messages) == 1, result
    assert [t["nexthop"] for t in result.tries] == ["[192.0.2.90]", "[192.0.2.12]"]


def test_lmtp_has_an_outcome_for_each_recipient(hopseal, sink):
    s = sink(port=2424, lmtp=True, script={"dot": ["250 2.1.5 Ok", "452 4.2.2 full"]})
    transport(hopseal, {"nomx.example": "lmtp:inet:[192.0.2.11]:2424"})
    result = hopseal.send("a@nomx.example", "b@nomx.example")
    assert result.rcpt("a@nomx.example")["outcome"] == "delivered", result
    assert result.rcpt("b@nomx.example")["status"] == "4.2.2", result
    assert "LHLO" in s.session.verbs() and result.code == DEFERRED


@pytest.mark.parametrize(
    "rcpt, code",
    [
        ("not an address", 64),
        ("@good.example", 64),
        ("", 64),
        ("a@" + "x" * 300 + ".example", None),
    ],
)
def test_bad_recipients(hopseal, rcpt, code):
    result = hopseal.send(rcpt)
    assert result.code == code if code else result.code in (64, BOUNCED), result


def test_null_sender(hopseal, sink):
    s = sink()
    assert hopseal.send("bob@good.example", sender="").code == DELIVERED
    assert s.messages[0].sender.startswith("MAIL FROM:<>")


def test_dsn_parameters(hopseal, sink):
    s = sink()
    options = ("--notify", "success,failure", "--ret", "hdrs", "--envid", "x1")
    assert hopseal.send("bob@good.example", options=options).code == DELIVERED
    message = s.messages[0]
    assert "RET=HDRS" in message.sender.upper() and "ENVID=x1" in message.sender
    assert "NOTIFY=SUCCESS,FAILURE" in message.recipients[0].upper()


def test_override_on_the_command_line(hopseal, sink):
    s = sink(zones.MX2)
    result = hopseal.send("bob@good.example", options=("-o", "relayhost=[192.0.2.12]"))
    assert result.code == DELIVERED and len(s.messages) == 1, result


def test_lmtp_over_a_unix_socket(hopseal, sink, tmp_path):
    s = sink(str(tmp_path / "lmtp"), lmtp=True)
    transport(hopseal, {"nomx.example": f"lmtp:unix:{tmp_path}/lmtp"})
    result = hopseal.send("a@nomx.example")
    assert result.code == DELIVERED and len(s.messages) == 1, result


LMTP = "lmtp:inet:[mx1.good.example]:2424"
LMTP_POLICIES = [
    # (parameters, level, status, what the certificate has to be)
    ({}, "none", DELIVERED, None),
    ({"smtp_tls_security_level": "encrypt"}, "none", DELIVERED, None),
    ({"lmtp_tls_security_level": "encrypt"}, "encrypt", DELIVERED, "wrong-name"),
    ({"lmtp_tls_security_level": "verify"}, "verify", DELIVERED, "valid"),
    ({"lmtp_tls_security_level": "verify"}, "verify", DEFERRED, "wrong-name"),
    (
        {"smtp_tls_policy_maps": "static:none", "lmtp_tls_policy_maps": "static:verify"},
        "verify",
        DEFERRED,
        "expired",
    ),
    (
        {"smtp_tls_per_site": "static:NONE", "lmtp_tls_per_site": "static:MUST"},
        "verify",
        DELIVERED,
        "valid",
    ),
    (
        {"lmtp_enforce_tls": "yes", "lmtp_tls_enforce_peername": "no"},
        "encrypt",
        DELIVERED,
        "expired",
    ),
]


@pytest.mark.parametrize("main_cf, level, code, cert", LMTP_POLICIES)
def test_lmtp_has_a_policy_of_its_own(hopseal, sink, ca, main_cf, level, code, cert):
    cert = ca.cert(cert, "mx1.good.example") if cert else None
    s = sink(port=2424, lmtp=True, cert=cert)
    hopseal.configure({}, transport_maps=f"static:{LMTP}", **main_cf)
    result = hopseal.send("a@nomx.example")
    assert result.code == code, result
    assert result.tries[0]["decision"]["level"] == level
    assert [m.tls for m in s.messages] == ([cert is not None] if code == DELIVERED else [])
    assert hopseal.explain("a@nomx.example").decision == result.tries[0]["decision"]


def test_lmtp_next_hop_is_the_table_key_without_inet(hopseal, sink, ca):
    s = sink(port=2424, lmtp=True, cert=ca.cert("valid", "mx1.good.example"))
    table = {"transport": "nomx.example lmtp:inet:[mx1.good.example]:2424\n"}
    table["per_site"] = "[mx1.good.example]:2424 MUST\n"
    hopseal.configure(
        table,
        transport_maps="texthash:TABLES/transport",
        lmtp_tls_per_site="texthash:TABLES/per_site",
    )
    result = hopseal.send("a@nomx.example")
    assert result.code == DELIVERED and s.messages[0].tls, result
    told = hopseal.explain("a@nomx.example")
    assert told.decision == result.tries[0]["decision"]
