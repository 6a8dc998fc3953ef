"""Debian's Postfix as the sender: what it makes of a receiver is what Hopseal is measured by.

Its resolver is the tree's name server itself, by an /etc/resolv.conf of its own (a mount
namespace): that does for names whose data, aliases aside, lies in one zone. Under send() a next-hop
is a name in brackets with a port; the port stands for the policy, since the table key is the
next-hop. send_to() goes by the domain's MX records and port 25, without TLS.

More transports reach the same hosts: POLICIES by smtp_tls_policy_maps, one entry a port, CONVERTED
by the table that `hopseal convert` makes of this main.cf, and AGED, for which a message is old
enough for plaintext after a second. By the others a slow machine makes no message old.
"""

import contextlib
import hashlib
import pathlib
import re
import shutil
import smtplib
import subprocess
import time

from lab import dns, hopseal, netns, peers, process, zones

ADDRESS = "192.0.2.50"
HOST = "mx1.good.example"
PORTS = {"NONE": 2501, "MAY": 2502, "MUST_NOPEERMATCH": 2503, "MUST": 2504, "no entry": 2505}

# The entries of a policy table: every level, and each attribute that Postfix 3.7 has. {ca} and
# {stranger} are files of certificates, {cert} and {key} digests.
POLICIES = [
    "none",
    "may",
    "may protocols=!TLSv1.3 ciphers=high",
    "encrypt",
    "encrypt protocols=TLSv1.2",
    "encrypt protocols=>=TLSv1.3",
    "encrypt ciphers=high exclude=aNULL:MD5",
    "encrypt servername=hostname",
    "encrypt connection_reuse=no",
    "verify",
    "verify match=nexthop",
    "verify match=somebody-else.example",
    "verify match=.good.example",
    "verify servername=other.example",
    "verify tafile={ca}",
    "verify tafile={stranger}",
    "secure",
    "secure match=hostname:somebody-else.example",
    "secure match=.elsewhere.example",
    "secure tafile={ca} match=dot-nexthop",
    "fingerprint match={cert}",
    "fingerprint match={key}",
    "fingerprint match=00:11:22|{cert}",
    "fingerprint match=00:11:22",
    "fingerprint",
    "dane",
    "dane-only",
    "junk",
    "verify nosuch=x",
    "encrypt match=x",
    "verify protocols=junk",
    "verify ciphers=junk",
]
FIRST_POLICY_PORT = 2601

# Keywords of the next-hop and of its server in smtp_tls_per_site, all pairs: a port for each.
KEYWORDS = ["no entry", "MAY", "NONE", "MUST_NOPEERMATCH", "MUST"]
MATRIX = {(n, h): 2701 + 5 * i + k for i, n in enumerate(KEYWORDS) for k, h in enumerate(KEYWORDS)}

MAIN = """compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
maillog_file = {dir}/log/maillog
maillog_file_prefixes = {dir}
mail_owner = postfix
setgid_group = postdrop
myhostname = gateway.example
mydestination =
inet_interfaces = {address}
proxy_interfaces = {myself}
smtp_bind_address = 192.0.2.51
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
alias_maps =
alias_database =
smtpd_peername_lookup = no
message_size_limit = 209715200
mailbox_size_limit = 0
default_destination_concurrency_failed_cohort_limit = 0
transport_maps = texthash:{dir}/etc/transport
smtp_tls_CAfile = {ca}
smtp_tls_per_site = texthash:{dir}/etc/per_site
smtp_tls_loglevel = 1
minimal_backoff_time = 1s
maximal_backoff_time = 1h
queue_run_delay = 1h
smtp_connect_timeout = 3s
smtp_helo_timeout = 3s
smtp_starttls_timeout = 3s
smtp_mail_timeout = 3s
smtp_rcpt_timeout = 3s
smtp_data_init_timeout = 3s
smtp_data_xfer_timeout = 3s
smtp_data_done_timeout = 3s
smtp_quit_timeout = 3s
"""

MASTER = peers.POSTFIX_MASTER + """smtp unix - - n - - smtp
 -o minimal_backoff_time=1h
aged unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
discard unix - - n - - discard
flush unix n - n 1000? 0 flush
"""

POLICY_MASTER = """policy unix - - n - - smtp
 -o smtp_tls_policy_maps=texthash:{dir}/etc/policy -o minimal_backoff_time=1h
converted unix - - n - - smtp
 -o smtp_tls_policy_maps=texthash:{dir}/new/tls_policy -o smtp_tls_security_level={level}
 -o minimal_backoff_time=1h
"""

SESSION = re.compile(r"(\w+) TLS connection established to \S+\.example\[")
MESSAGE = b"Subject: s\r\n\r\nx\r\n"
WAIT = 60  # seconds for a message
STATUS = re.compile(r" (\w+): to=<([^>]*)>.* dsn=([\d.]+), status=(\w+) \((.*?)\)?$", re.MULTILINE)


class Client:
    """A running Postfix; send() gives (outcome, DSN status, reason)."""

    def __init__(self, top):
        self.etc, self.log = top / "etc", top / "log/maillog"

    def send(self, policy, message=MESSAGE, users=("bob",)):
        """Sends to the sink that listens on the policy's port; waits for each recipient's fate."""
        return self.send_to(*(f"{user}@{domain_of(policy)}" for user in users), message=message)

    def send_to(self, *to, message=MESSAGE):
        """Sends to these recipients."""
        queue_id = self._submit(to, message)
        process.wait_until(lambda: len(self._fates(queue_id)) == len(to), queue_id, WAIT)
        fates = {rcpt: fate for rcpt, *fate in self._fates(queue_id)}
        return [tuple(fates[each]) for each in to]

    def send_twice(self, policy, message=MESSAGE, pause=0):
        """Sends to one recipient, is refused for now, and tries again when the message is old
        enough for plaintext, by the transport for which that is 1 s; gives the second fate. Postfix
        counts whole seconds of the clock: now and then a message is old at once, and the first fate
        is the last; a `pause` makes sure of that. There is no third, for another scenario's
        receiver would meet it."""
        queue_id = self._submit([f"bob@aged.{domain_of(policy)}"], message, pause)
        process.wait_until(lambda: self._fates(queue_id), queue_id, WAIT)

        def is_over():
            fates = self._fates(queue_id)
            return len(fates) > 1 or fates[0][1] != "deferred"

        def has_been_tried_again():
            if is_over():
                return True
            # Each time, for the queue file may be on its way while it is asked for.
            time.sleep(1.1)
            if not is_over():
                subprocess.run(["/usr/sbin/postqueue", "-c", self.etc, "-i", queue_id], check=True)
            return is_over()

        process.wait_until(has_been_tried_again, queue_id, WAIT)
        subprocess.run(["/usr/sbin/postsuper", "-c", self.etc, "-d", queue_id], capture_output=True,
                       check=False)
        return tuple(self._fates(queue_id)[:2][-1][1:])

    def sessions(self):
        """What Postfix said of each TLS session so far: Untrusted, Trusted, Verified, Anonymous."""
        return SESSION.findall(self.log.read_text(errors="replace"))

    def _submit(self, to, message, pause=0):
        with smtplib.SMTP(ADDRESS, 25, timeout=WAIT) as client:
            client.helo("x.example")
            client.mail("alice@client.example")
            for each in to:
                client.rcpt(each)
            time.sleep(pause)
            return client.data(message)[1].decode().rsplit(" ", 1)[-1]

    def _fates(self, queue_id):
        """(recipient, outcome, status, reason) in the order of the log."""
        found = STATUS.finditer(self.log.read_text(errors="replace"))
        return [(f[2], WORDS[f[4]], f[3], f[5]) for f in found if f[1] == queue_id]


def port_of(entry):
    """The port that stands for an entry of POLICIES."""
    return FIRST_POLICY_PORT + POLICIES.index(entry)


def matrix_host(keyword):
    """The server whose name has that keyword."""
    return keyword.lower().replace("_", "-").replace(" ", "-") + ".matrix.example"


def matrix_table():
    """smtp_tls_per_site for MATRIX."""
    rows = {matrix_host(k): k for k in KEYWORDS}
    rows |= {f"[{matrix_host(h)}]:{port}": n for (n, h), port in MATRIX.items()}
    return "".join(f"{key} {k}\n" for key, k in rows.items() if k != "no entry")


def policy_table(ca, folder):
    """smtp_tls_policy_maps: the entry of each port. The files of CAs are copied into a folder."""
    cert = ca.cert("valid", HOST)
    words = {"cert": _digest(cert, "x509"), "key": _digest(cert, "pkey")}
    for name, path in [("ca", ca.root), ("stranger", ca.stranger)]:
        words[name] = pathlib.Path(folder) / f"{name}.pem"
        words[name].write_text(path.read_text())
        words[name].chmod(0o644)
    return "".join(f"[{HOST}]:{port_of(e)} {e.format(**words)}\n" for e in POLICIES)


def _digest(cert, what):
    """SHA-256 of a certificate, or of its public key: AA:BB:..."""
    how = ["-in", cert.leaf] if what == "x509" else ["-in", cert.key, "-pubout"]
    argv = ["openssl", what, *how, "-outform", "DER"]
    der = subprocess.run(argv, check=True, capture_output=True).stdout
    return hashlib.sha256(der).digest().hex(":").upper()


def domain_of(policy):
    """The recipient domain whose next-hop has that policy."""
    return policy.lower().replace("_", "-").replace(" ", "-") + ".client.example"


WORDS = {"sent": "delivered", "deferred": "deferred", "bounced": "bounced"}


@contextlib.contextmanager
def postfix_client(folder, ca):
    """A Client for the length of the block."""
    if not netns.has_many_users():
        raise peers.Unavailable("Postfix needs root with its users")
    top = pathlib.Path(folder)
    for name in ("etc", "queue", "data", "log"):
        (top / name).mkdir(parents=True)
    shutil.chown(top / "data", "postfix")
    main_cf = MAIN.format(dir=top, address=ADDRESS, myself=zones.MYSELF, ca=ca.root)
    (top / "etc/main.cf").write_text(main_cf)
    (top / "etc/resolv.conf").write_text(f"nameserver {dns.SERVER}\noptions ndots:1\n")
    transport, per_site = "", ""
    for policy, port in PORTS.items():
        transport += f"{domain_of(policy)} smtp:[{HOST}]:{port}\n"
        transport += f"aged.{domain_of(policy)} aged:[{HOST}]:{port}\n"
        per_site += f"[{HOST}]:{port} {policy}\n" if policy != "no entry" else ""
        transport += f"converted.{domain_of(policy)} converted:[{HOST}]:{port}\n"
    for (_, host), port in MATRIX.items():
        transport += f"m{port}.example smtp:[{matrix_host(host)}]:{port}\n"
        transport += f"converted.m{port}.example converted:[{matrix_host(host)}]:{port}\n"
    for entry in POLICIES:
        transport += f"p{port_of(entry)}.example policy:[{HOST}]:{port_of(entry)}\n"
    (top / "etc/transport").write_text(transport)
    (top / "etc/per_site").write_text(per_site + matrix_table())
    (top / "etc/policy").write_text(policy_table(ca, top / "etc"))
    argv = [hopseal.program(), "convert", "-c", top / "etc", "--output", top / "new"]
    subprocess.run(argv, capture_output=True, check=True)
    new = (top / "new/main.cf").read_text()
    level = re.search(r"^smtp_tls_security_level = (\w+)$", new, flags=re.M)[1]
    (top / "etc/master.cf").write_text(MASTER + POLICY_MASTER.format(dir=top, level=level))
    command = ["/usr/sbin/postfix", "-c", str(top / "etc")]
    script = 'set -e; mount --make-rprivate /; mount --bind "$1" /etc/resolv.conf; shift; exec "$@"'
    argv = ["unshare", "-m", "sh", "-c", script, "sh", str(top / "etc/resolv.conf")]
    argv += [*command, "start-fg"]
    subprocess.run([*command, "check"], capture_output=True, check=True)
    with process.daemon(argv, top / "log/out") as child:
        up = lambda: process.accepts(ADDRESS, 25)
        process.wait_until(up, "postfix", daemon=child, log=top / "log/maillog")
        try:
            yield Client(top)
        finally:
            subprocess.run([*command, "stop"], capture_output=True, check=False)
