"""The destinations of the lab: one zone each, named for what is special about it.

Most tests start a sink at 192.0.2.11 (mx1) and 192.0.2.12 (mx2). 192.0.2.100 is the gateway itself,
at 192.0.2.90 nobody ever listens.
"""

from lab.dns import FAULTY_SERVER, Zone

MX1, MX2, MX3 = "192.0.2.11", "192.0.2.12", "192.0.2.13"
MX1_V6 = "2001:db8::11"
NOBODY = "192.0.2.90"
MYSELF = "192.0.2.100"
POSTFIX, OPENSMTPD, AIOSMTPD = "192.0.2.40", "192.0.2.41", "192.0.2.42"
EXIM = "192.0.2.43"


def to_mx1(name, **how):
    """A zone with one MX host, mx1.NAME, at MX1."""
    return Zone(name, ["@ MX 10 mx1", f"mx1 A {MX1}"], **how)


def peer(name, address):
    """A zone with one MX host, mx.NAME, at a receiver we did not write."""
    return Zone(name, ["@ MX 10 mx", f"mx A {address}"])


ZONES = [
    to_mx1("good.example"),
    to_mx1("good.test"),
    to_mx1("xn--bcher-kva.example"),
    to_mx1("plain.insecure", signed=False, ds=False),
    to_mx1("island.example", ds=False),
    # Lookups that fail validation.
    to_mx1("bogus.example", broken=("@ MX",)),
    to_mx1("expired.example", expired=True),
    to_mx1("wrongds.example", wrong_ds=True),
    Zone("nodenial.example", [f"@ A {MX1}"], no_denial=True),
    Zone(
        "badhost.example",
        ["@ MX 10 mx1", "@ MX 20 mx2", f"mx1 A {MX1}", f"mx2 A {MX2}"],
        broken=("mx1 A",),
    ),
    # Preferences.
    Zone(
        "two.example",
        ["@ MX 10 mx1", "@ MX 20 mx2", f"mx1 A {MX1}", f"mx2 A {MX2}"],
    ),
    Zone(
        "equal.example",
        [f"@ MX 10 mx{i}" for i in range(4)]
        + ["@ MX 20 last"]
        + [f"mx{i} A 192.0.2.{14 + i}" for i in range(4)]
        + ["last A 192.0.2.18"],
    ),
    Zone(
        "many.example",
        [f"@ MX {i} mx{i}" for i in range(10, 22)]
        + [f"mx{i} A 192.0.2.{i}" for i in range(10, 22)],
    ),
    Zone("deadfirst.example", ["@ MX 10 mx1", "@ MX 20 mx2", f"mx1 A {NOBODY}", f"mx2 A {MX2}"]),
    # One name for each keyword of a per-site table; see postfix_client.
    Zone(
        "matrix.example",
        [f"{x} A {MX1}" for x in ("no-entry", "may", "none", "must-nopeermatch", "must")],
    ),
    # Destinations without (usable) MX hosts.
    Zone("null.example", ["@ MX 0 ."]),
    Zone("nomx.example", [f"@ A {MX1}"]),
    Zone("empty.example"),
    Zone("nowhere.example", ["@ MX 10 gone"]),
    Zone("halfgone.example", ["@ MX 10 gone", "@ MX 20 mx1", f"mx1 A {MX1}"]),
    Zone("ipmx.example", [f"@ MX 10 {MX1}."]),
    Zone("dead.example", ["@ MX 10 mx1", f"mx1 A {NOBODY}"]),
    # Loops.
    Zone("self.example", ["@ MX 10 me", f"me A {MYSELF}"]),
    Zone("backup.example", ["@ MX 10 mx1", "@ MX 20 me", f"mx1 A {MX1}", f"me A {MYSELF}"]),
    Zone("selffirst.example", ["@ MX 10 me", "@ MX 20 mx1", f"mx1 A {MX1}", f"me A {MYSELF}"]),
    # Aliases.
    Zone(
        "alias.example",
        [
            "domain CNAME good.example.",
            "loop1 CNAME loop2",
            "loop2 CNAME loop1",
            "host CNAME mx1.good.example.",
            "toalias MX 10 host",
            "half CNAME plain.insecure.",
        ],
    ),
    # Address families.
    Zone("dual.example", ["@ MX 10 mx1", f"mx1 A {MX1}", f"mx1 AAAA {MX1_V6}"]),
    Zone("v6only.example", ["@ MX 10 mx1", f"mx1 AAAA {MX1_V6}"]),
    # What clients are called: 60 as it says, 61 by a name that is another's, 64 by what looks like an
    # address, 65 by a name whose server fails; 62 has no name.
    Zone(
        "in-addr.arpa",
        [
            "60.2.0.192 PTR app.clients.example.",
            "61.2.0.192 PTR app.clients.example.",
            "64.2.0.192 PTR 192.0.2.64.",
            "65.2.0.192 PTR x.servfail.fault.example.",
        ],
    ),
    Zone("clients.example", ["app A 192.0.2.60"]),
    # Name servers that fail; see dnsfault.
    Zone("fault.example", signed=False, ds=False, server=FAULTY_SERVER),
    # Receivers that we did not write; see peers.
    peer("postfix.example", POSTFIX),
    peer("opensmtpd.example", OPENSMTPD),
    peer("aiosmtpd.example", AIOSMTPD),
    peer("exim.example", EXIM),
]
