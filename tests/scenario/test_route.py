"""Next-hop selection beside Postfix's own: the same main.cf and tables, the same answers."""

import os

import pytest

from lab import rewrite
from lab.peers import Unavailable, public_folder

TABLE = """u@a.example          smtp:[user]
u+x@a.example        smtp:[extension]
a.example            relay:[domain]:26
.a.example           smtp:[below]
b.example            smtp:
c.example            :[only-nexthop]
d.example            :
e.example            lmtp
f.example            smtp:[one], [two]
"q."@g.example       smtp:[quoted]
p.@g.example         smtp:[plain]
UPPER.example        smtp:[upper]
[192.0.2.1]          smtp:[literal]
local.example        smtp:[away]
"""

ADDRESSES = [
    "u@a.example",
    "u+x@a.example",
    "u+y@a.example",
    "v@a.example",
    "v@sub.a.example",
    "v@deep.sub.a.example",
    "v@b.example",
    "v@sub.b.example",
    "v@c.example",
    "v@d.example",
    "v@e.example",
    "v@f.example",
    "q.@g.example",
    "q.+x@g.example",
    "p.@g.example",
    "v@upper.example",
    "v@Upper.EXAMPLE",
    "v@[192.0.2.1]",
    "v@[192.0.2.2]",
    "v@[IPv6:2001:db8::1]",
    "v@local.example",
    "v@relay.example",
    "v@sub.relay.example",
    "v@not.relay.example",
    "v@z.example",
    "v@z.example.",
    "owner-v@a.example",
    "v@host",
]

CONFIGURATIONS = {
    "plain": {},
    "relayhost": {"relayhost": "[gw.example]:587"},
    "default": {"default_transport": "smtp:[out.example]", "relayhost": "rh.example"},
    "default-empty": {"default_transport": "smtp:", "relayhost": "rh.example"},
    "relay-nexthop": {"relay_transport": "relay:[inner.example]", "relayhost": "rh.example"},
    "dash": {"recipient_delimiter": "-+"},
    "parents": {"parent_domain_matches_subdomains": "transport_maps"},
    "no-parents": {"parent_domain_matches_subdomains": ""},
    "dots": {"append_dot_mydomain": "yes", "mydomain": "example.org"},
    "origin": {"myorigin": "origin.example"},
    "no-table": {"transport_maps": ""},
    "star": {"transport_maps": "inline:{{* = smtp:[star]}}"},
    "star-empty": {"transport_maps": "inline:{{* = smtp:}}", "relayhost": "rh.example"},
    "error": {"transport_maps": "inline:{{a.example = error:5.7.1 closed}}"},
}

BASE = {
    "myhostname": "gw.example.net",
    "mydestination": "local.example",
    "local_transport": "smtp:[inside]",
    "relay_domains": "!not.relay.example, relay.example",
    "recipient_delimiter": "+",
    "inet_interfaces": "192.0.2.100",
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_same_as_postfix(hopseal, tmp_path, name):
    """Transport and next-hop of every address."""
    (tmp_path / "transport").write_text(TABLE)
    os.utime(tmp_path / "transport", (1, 1))  # as in lab.rewrite
    table = {"transport_maps": f"texthash:{tmp_path}/transport"}
    settings = {**BASE, **table, **CONFIGURATIONS[name]}
    hopseal.configure(**settings)
    main_cf = "".join(f"{key} = {value}\n" for key, value in settings.items())
    try:
        with public_folder("rewrite") as folder:
            with rewrite.Resolver(folder).running(main_cf) as postfix:
                theirs = {address: postfix.resolve(address) for address in ADDRESSES}
    except Unavailable as e:
        pytest.skip(str(e))
    ours = {}
    for address in ADDRESSES:
        route = hopseal.explain(rewrite.quoted(address)).json["route"]
        ours[address] = (route["transport"], route["nexthop"])
    assert ours == theirs
