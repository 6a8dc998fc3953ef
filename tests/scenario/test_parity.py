"""Postfix and Hopseal send the same message to the same receiver and must come to the same outcome
and status. Where Hopseal differs on purpose, the difference stands here with its reason."""

from ssl import TLSVersion as V

import pytest

from lab import postfix_client as pc
from lab.ca import KINDS
from lab.sink import DROP, OLD_TLS, RESET, STALL, Last
from test_matrix import RECEIVERS
from test_starttls import HANDSHAKES, INJECTED, REFUSALS

MANDATORY = ["MUST_NOPEERMATCH", "MUST"]
TIMEOUTS = "connect helo starttls mail rcpt data_init data_xfer data_done quit".split()


@pytest.fixture
def both(hopseal, postfix_client, sink):
    """both(policy, **sink) gives what Postfix and what Hopseal made of it: (outcome, status, for
    each session the verbs and the TLS version)."""
    table = {f"[{pc.HOST}]:{port}": policy for policy, port in pc.PORTS.items()}
    del table[f"[{pc.HOST}]:{pc.PORTS['no entry']}"]
    hopseal.per_site(table, **{f"smtp_{each}_timeout": "3s" for each in TIMEOUTS})

    def hopseal_sends(policy, message):
        port = pc.PORTS[policy]
        where = ("-o", f"relayhost=[{pc.HOST}]:{port}")
        return hopseal.send("bob@client.example", message=message, options=where).fate

    def postfix_sends(policy, message):
        return postfix_client.send(policy, message)[0][:2]

    def run(policy, message=b"Subject: s\r\n\r\nx\r\n", **config):
        seen = []
        for send in (postfix_sends, hopseal_sends):
            with sink(port=pc.PORTS[policy], **config) as s:
                fate = send(policy, message)
                sessions = s.wait_ended().sessions
                seen.append((*fate, [(x.verbs(), x.tls_version) for x in sessions]))
        return seen

    return run


@pytest.mark.parametrize("receiver", RECEIVERS)
@pytest.mark.parametrize("policy", pc.PORTS)
def test_matrix(both, ca, policy, receiver):
    cert = None if receiver == "no-starttls" else ca.cert(receiver, pc.HOST)
    postfix, hopseal = both(policy, cert=cert)
    assert hopseal == postfix


ACTIONS = {
    "drop": DROP,
    "reset": RESET,
    "stall": STALL,
    "421": Last("421 4.3.2 going down"),
    "450": "450 4.2.0 later",
    "550": "550 5.7.1 never",
    "553-without-status": "553 never",
    "452-without-status": "452 later",
    "4xx-with-5-status": "451 5.7.1 odd",
}


@pytest.mark.parametrize("how", ACTIONS)
@pytest.mark.parametrize("stage", ["banner", "EHLO", "MAIL", "RCPT", "DATA", "dot"])
def test_trouble_at_each_stage(both, stage, how):
    postfix, hopseal = both("NONE", script={stage: ACTIONS[how]})
    if (stage, how) == ("banner", "reset"):
        assert hopseal[0] == postfix[0]  # it may be seen while connecting
    else:
        assert hopseal[:2] == postfix[:2]


@pytest.mark.parametrize("how", ["drop", "reset"])
def test_trouble_after_the_message(both, how):
    postfix, hopseal = both("NONE", script={"QUIT": ACTIONS[how]})
    assert hopseal[:2] == postfix[:2] == ("delivered", "2.0.0")


@pytest.mark.parametrize("policy", ["MAY", *MANDATORY])
@pytest.mark.parametrize("how", HANDSHAKES)
def test_failed_handshake(both, ca, policy, how):
    postfix, hopseal = both(policy, cert=ca.cert("valid", pc.HOST), script=HANDSHAKES[how])
    assert hopseal[:2] == postfix[:2]


@pytest.mark.parametrize("reply", REFUSALS[:2])
def test_refused_starttls_at_may(both, ca, reply):
    script = {"STARTTLS": reply}
    postfix, hopseal = both("MAY", cert=ca.cert("valid", pc.HOST), script=script)
    assert hopseal[:2] == postfix[:2]


@pytest.mark.parametrize("policy", MANDATORY)
@pytest.mark.parametrize("reply", REFUSALS)
def test_refused_starttls_differs_on_purpose(both, ca, policy, reply):
    """Postfix takes the status of the reply, and so returns the mail on a 5xx. Hopseal says what
    the policy misses, and waits: a host that cannot do TLS today says nothing about the
    recipient."""
    script = {"STARTTLS": reply}
    postfix, hopseal = both(policy, cert=ca.cert("valid", pc.HOST), script=script)
    assert postfix[0] == ("bounced" if reply.startswith("5") else "deferred")
    assert hopseal[0] == "deferred"


def test_421_to_starttls_differs_on_purpose(both, ca):
    """Postfix goes on in a session that the server says it is closing (RFC 5321 section 3.8)."""
    script = {"STARTTLS": REFUSALS[2]}
    postfix, hopseal = both("MAY", cert=ca.cert("valid", pc.HOST), script=script)
    assert postfix[0] == "delivered" and hopseal[:2] == ("deferred", "4.7.0")


BREAKS = {
    **HANDSHAKES,
    **{f"{x}-drop": {f"tls:{x}": DROP} for x in ("EHLO", "MAIL", "RCPT", "DATA", "dot")},
    **{f"{x}-stall": {f"tls:{x}": STALL} for x in ("EHLO", "MAIL", "DATA")},
    "EHLO-450": {"tls:EHLO": "450 4.2.0 no", "tls:HELO": "450 4.2.0 no"},
    "MAIL-450": {"tls:MAIL": "450 4.2.0 no"},
    "MAIL-421": {"tls:MAIL": Last("421 4.2.0 no")},
}


@pytest.mark.parametrize(
    "policy, how",
    [("MAY", how) for how in BREAKS]
    + [("MUST_NOPEERMATCH", how) for how in ("alert", "EHLO-drop", "MAIL-421")],
)
def test_plaintext_after_tls_broke_once_the_message_is_old(
    hopseal, postfix_client, sink, ca, policy, how
):
    """The one sanctioned way down: level may, TLS broken, and minimal_backoff_time over."""
    port = pc.PORTS[policy]
    limits = {f"smtp_{each}_timeout": "3s" for each in TIMEOUTS}
    hopseal.per_site({f"[{pc.HOST}]:{port}": policy}, minimal_backoff_time="1s", **limits)
    options = ("--age", "2", "-o", f"relayhost=[{pc.HOST}]:{port}")
    seen = []
    for send in (
        lambda: postfix_client.send_twice(policy)[:2],
        lambda: hopseal.send("bob@client.example", options=options).fate,
    ):
        with sink(port=port, cert=ca.cert("valid", pc.HOST), script=BREAKS[how]) as s:
            fate = send()
            seen.append((*fate, [m.tls for m in s.wait_ended().messages][-1:]))
    if (policy, how) == ("MAY", "dot-drop"):
        # On purpose: the server may have taken the message, so that Hopseal waits.
        assert (seen[0][0], seen[1][0]) == ("delivered", "deferred")
    else:
        assert seen[1] == seen[0]


VERSIONS = [V.TLSv1, V.TLSv1_1, V.TLSv1_2, V.TLSv1_3]


@pytest.mark.parametrize("policy", ["MAY", "MUST"])
@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.name)
def test_servers_of_one_version(both, ca, policy, version):
    """Old versions are among the default protocols, whatever Debian's openssl.cnf says."""
    cert = ca.cert("valid", pc.HOST)
    how = {"tls_min": version, "tls_max": version, "tls_ciphers": OLD_TLS}
    postfix, hopseal = both(policy, cert=cert, **how)
    assert hopseal == postfix
    # OpenSSL's own security level forbids the old ones where TLS is mandatory.
    assert (postfix[2][0][1] == version.name.replace("_", ".")) == (postfix[0] == "delivered")
    assert (postfix[0] == "delivered") == (policy == "MAY" or version >= V.TLSv1_2)


@pytest.mark.parametrize("policy", ["MAY", *MANDATORY])
@pytest.mark.parametrize("algorithm", ["rsa", "rsa-1024"])
def test_servers_with_rsa_keys(both, ca, policy, algorithm):
    cert = ca.cert("valid", pc.HOST, algorithm=algorithm)
    postfix, hopseal = both(policy, cert=cert, tls_ciphers=OLD_TLS)
    assert hopseal == postfix


@pytest.mark.parametrize("policy", ["MAY", *MANDATORY])
@pytest.mark.parametrize(
    "ciphers",
    ["aNULL:@SECLEVEL=0", "AES128-SHA", "ECDHE-RSA-AES256-GCM-SHA384"],
)
def test_servers_with_one_cipher(both, ca, policy, ciphers):
    cert = ca.cert("valid", pc.HOST, algorithm="rsa")
    postfix, hopseal = both(policy, cert=cert, tls_max=V.TLSv1_2, tls_ciphers=ciphers)
    assert hopseal[:2] == postfix[:2]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_certificate(both, ca, kind):
    postfix, hopseal = both("MUST", cert=ca.cert(kind, pc.HOST, "192.0.2.11"))
    assert hopseal[:2] == postfix[:2]


@pytest.mark.parametrize("policy", ["MAY", *MANDATORY])
def test_helo_only(both, ca, policy):
    postfix, hopseal = both(policy, cert=ca.cert("valid", pc.HOST), script={"EHLO": "502 no"})
    assert hopseal == postfix


def test_size_too_big(both):
    long = b"Subject: s\r\n\r\n" + b"x\r\n" * 2000
    postfix, hopseal = both("NONE", long, extensions=("SIZE 999",))
    assert hopseal[:2] == postfix[:2]


@pytest.mark.parametrize("policy", ["MAY", "MUST"])
def test_injection_differs_on_purpose(both, ca, policy):
    """Postfix throws the injected octets away and goes on; Hopseal ends the session, for whoever
    injects them controls the path."""
    script = {"STARTTLS": INJECTED[0]}
    postfix, hopseal = both(policy, cert=ca.cert("valid", pc.HOST), script=script)
    assert postfix[0] == "delivered" and hopseal[0] == "deferred"


@pytest.mark.parametrize(
    "message",
    [
        b"Subject: s\r\n\r\n.\r\n..\r\n...\r\n",
        b"Subject: s\r\n\r\n" + b"x" * 3000 + b"\r\n",
        b"Subject: s\r\n\r\n" + b"." * 3000 + b"\r\n",
        b"Subject: s\r\n\r\n" + b"y" * 998 + b"\r\n" + b"z" * 997 + b"\r\n",
        b"Subject: " + b"long " * 600 + b"\r\n\r\nx\r\n",
    ],
    ids=["dots", "long-line", "long-dots", "limit", "long-header"],
)
def test_same_octets_on_the_wire(hopseal, postfix_client, sink, message):
    """After the header fields that Postfix adds when the message comes in."""
    taken = []
    hopseal.configure(relayhost=f"[{pc.HOST}]:{pc.PORTS['NONE']}")
    for send in (
        lambda: postfix_client.send("NONE", message),
        lambda: hopseal.send("bob@client.example", message=message),
    ):
        with sink(port=pc.PORTS["NONE"]) as s:
            send()
            taken.append(s.messages[0].data)
    head, _, body = taken[0].partition(b"\r\n\r\n")
    assert taken[1].partition(b"\r\n\r\n")[2] == body
    assert taken[1].partition(b"\r\n\r\n")[0].partition(b"Subject:")[2] in head
