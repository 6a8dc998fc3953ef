"""A DNS tree of our own, from a signed root down, served by NSD.

What was learned about libunbound against it:

* With the root's server at 192.0.2.53 port 53 (as root hints, or as a stub for "."), libunbound
  recurses through the delegations and validates everything under our anchor. This is the way the
  tests go; it needs a namespace, since delegations cannot name a port.
* With NSD on 127.0.0.1 and a high port, and a stub for "." naming that port, most lookups hung: the
  answers carry NS records, and libunbound follows those to port 53. So it is not done that way.
* libunbound answers "test." from a built-in empty zone unless told `local-zone: "test." nodefault`;
  "example." and names below it have no such zone. The tree has both.
* Servers in 127.0.0.0/8 are not asked unless do-not-query-localhost is off; 192.0.2.53 is asked.
* A server that refuses our packets keeps libunbound trying for minutes (438 s were seen): the
  program needs a time limit of its own.
"""

import contextlib
import pathlib
import subprocess
from dataclasses import dataclass, field

from lab import process

SERVER = "192.0.2.53"
FAULTY_SERVER = "192.0.2.54"
NS_HOST = "ns.example."
PARENTS = ("", "example", "test", "insecure", "arpa")

HEADER = """$ORIGIN {origin}
$TTL 300
@ IN SOA {ns} hostmaster.example. 1 3600 600 86400 60
@ IN NS {ns}
"""

NSD_CONF = """server:
    ip-address: {address}
    username: ""
    chroot: ""
    database: ""
    zonesdir: "{dir}"
    zonelistfile: "{dir}/nsd.zonelist"
    xfrdfile: "{dir}/nsd.xfrd"
    xfrdir: "{dir}"
    pidfile: "{dir}/nsd.pid"
    logfile: "{dir}/nsd.log"
    server-count: 1
remote-control:
    control-enable: no
"""


@dataclass
class Zone:
    """A zone and how it is signed.

    `records` are lines of a zone file, with names relative to the zone. `signed` without `ds` is
    an island nobody can validate. `broken` names "NAME TYPE" sets whose signature is damaged after
    signing; `expired` dates all signatures in the past; `no_denial` removes the NSEC records;
    `wrong_ds` puts a DS of another key into the parent.
    """

    name: str
    records: list = field(default_factory=list)
    signed: bool = True
    ds: bool = True
    broken: tuple = ()
    expired: bool = False
    no_denial: bool = False
    wrong_ds: bool = False
    server: str = SERVER

    @property
    def origin(self):
        """The zone's name with its final dot; "." for the root."""
        return self.name + "."


class Tree:
    """Builds, signs and serves the zones given, with their parents."""

    def __init__(self, folder, zones):
        self.dir = pathlib.Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.zones = [self._parent(name) for name in PARENTS] + list(zones)
        self.anchor = self.dir / "anchor.ds"
        self.hints = self.dir / "root.hints"
        self.hints.write_text(f". 300 IN NS {NS_HOST}\n{NS_HOST} 300 IN A {SERVER}\n")
        self._build()

    @staticmethod
    def _parent(name):
        glue = {"": [f"{NS_HOST} IN A {SERVER}"], "example": [f"ns IN A {SERVER}"]}
        return Zone(name, glue.get(name, []), signed=name != "insecure", ds=name != "insecure")

    def _build(self):
        ds = {}
        for zone in sorted(self.zones, key=lambda z: -depth(z.name)):
            if zone.server == SERVER:
                self._build_zone(zone, ds)
        self.anchor.write_text(ds[""])

    def _build_zone(self, zone, ds):
        text = HEADER.format(origin=zone.origin, ns=NS_HOST)
        text += "".join(line + "\n" for line in zone.records)
        for child in self.zones:
            if child.name and parent_of(child.name) == zone.name:
                text += self._delegation(child) + ds.get(child.name, "")
        plain, served = self._file(zone, "zone"), self._file(zone, "served")
        plain.write_text(text)
        if not zone.signed:
            served.write_text(text)
            return
        ksk, zsk = self._new_key(zone, "-k"), self._new_key(zone)
        if zone.ds:
            key = self._new_key(zone, "-k") if zone.wrong_ds else ksk
            ds[zone.name] = (self.dir / f"{key}.ds").read_text()
        dates = ("-i", "20250101000000", "-e", "20250201000000") if zone.expired else ()
        self._run("ldns-signzone", *dates, "-f", served, plain, zsk, ksk)
        served.write_text(damaged(served.read_text(), zone))

    @staticmethod
    def _delegation(child):
        if child.server == SERVER:
            return f"{child.origin} IN NS {NS_HOST}\n"
        return f"{child.origin} IN NS ns.{child.origin}\nns.{child.origin} IN A {child.server}\n"

    def _file(self, zone, suffix):
        return self.dir / f"{zone.name or 'root'}.{suffix}"

    def _new_key(self, zone, *flags):
        made = self._run("ldns-keygen", "-a", "ECDSAP256SHA256", *flags, zone.origin)
        return made.stdout.strip()

    def _run(self, *argv):
        done = subprocess.run(
            [str(a) for a in argv], cwd=self.dir, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, argv))}\n{done.stderr}")
        return done

    @contextlib.contextmanager
    def served(self):
        """Serves the tree at SERVER, port 53, for the length of the block."""
        conf, log = self.dir / "nsd.conf", self.dir / "nsd.log"
        text = NSD_CONF.format(address=SERVER, dir=self.dir)
        for zone in self.zones:
            if zone.server == SERVER:
                file = self._file(zone, "served").name
                text += f'zone:\n    name: "{zone.origin}"\n    zonefile: "{file}"\n'
        conf.write_text(text)
        with process.daemon(["/usr/sbin/nsd", "-d", "-c", str(conf)], log) as child:
            process.wait_until(lambda: process.accepts(SERVER, 53), "nsd", daemon=child, log=log)
            self._wait_for_answers(child, log)
            yield self

    def _wait_for_answers(self, child, log):
        def answers():
            done = subprocess.run(
                ["drill", "-Q", f"@{SERVER}", ".", "SOA"], capture_output=True, check=False
            )
            return done.returncode == 0 and done.stdout.strip() != b""

        process.wait_until(answers, "nsd answers", daemon=child, log=log)

    def unbound_conf(self):
        """A configuration for unbound-host with the tree's hints and anchor."""
        path = self.dir / "unbound.conf"
        path.write_text(
            f'server:\n  root-hints: "{self.hints}"\n  trust-anchor-file: "{self.anchor}"\n'
            '  local-zone: "test." nodefault\n  ede: yes\n  module-config: "validator iterator"\n'
        )
        return path

    def lookup(self, name, kind):
        """What a validating resolver says: "secure", "insecure", "bogus", "servfail" + text."""
        done = subprocess.run(
            ["unbound-host", "-C", self.unbound_conf(), "-v", "-t", kind, name],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        text = done.stdout + done.stderr
        for word, mark in (("bogus", "(BOGUS"), ("insecure", "(insecure)"), ("secure", "(secure)")):
            if mark in text:
                return word, text
        return "servfail", text


def depth(name):
    """Labels in a zone name; 0 for the root."""
    return name.count(".") + 1 if name else 0


def parent_of(name):
    """The zone above: all our zones hang directly below "", a TLD, or another leaf's parent."""
    return name.split(".", 1)[1] if "." in name else ""


def damaged(text, zone):
    """The signed zone's text with what `zone` wants broken."""
    lines = text.splitlines()
    if zone.no_denial:
        lines = [line for line in lines if "\tNSEC\t" not in line and " NSEC " not in line[:80]]
    for target in zone.broken:
        name, kind = target.split()
        owner = zone.origin if name == "@" else f"{name}.{zone.origin}"
        hit = [i for i, x in enumerate(lines) if is_signature(x, owner, kind)]
        if not hit:
            raise ValueError(f"nothing to break: {target} in {zone.origin}")
        for i in hit:
            lines[i] = flip(lines[i])
    return "\n".join(lines) + "\n"


def is_signature(line, owner, kind):
    """True if the line is the RRSIG of owner's records of that type."""
    f = line.split()
    return len(f) > 4 and f[0] == owner and f[3] == "RRSIG" and f[4] == kind


def flip(line):
    """Changes one base64 character in the middle of the signature, the last field."""
    head, signature = line.rsplit(None, 1)
    at = len(signature) // 2
    other = "A" if signature[at] != "A" else "B"
    return f"{head} {signature[:at]}{other}{signature[at + 1:]}"
