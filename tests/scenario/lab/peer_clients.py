"""Mail servers that we did not write, relaying all that they get to the gateway: Debian's OpenSMTPD
and Exim. Postfix is in postfix_client."""

import contextlib
import os
import re
import shutil
import smtplib

from lab import peers

OPENSMTPD, EXIM = "192.0.2.44", "192.0.2.45"


class Relay:
    """A running mail server, and its log."""

    def __init__(self, address, log):
        self.address, self.log = address, log

    def send(self, message, *rcpts, sender="alice@client.example", options=()):
        """Hands it a message; `options` are those of MAIL."""
        with smtplib.SMTP(self.address, 25, timeout=30) as s:
            s.ehlo("client.example")
            s.sendmail(sender, rcpts, message, mail_options=options)

    def text(self):
        """What it logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def says(self, pattern):
        """The last place in its log where that is said."""
        return (re.findall(pattern, self.text()) or [None])[-1]


OPENSMTPD_CONF = """smtp max-message-size 200M
listen on {address} port 25 hostname opensmtpd.client.example
action "out" relay host {url}{how}
match from any for any action "out"
"""


@contextlib.contextmanager
def opensmtpd(folder, to, proto="smtp"):
    """OpenSMTPD; `proto` is smtp (TLS if it is offered), smtp+tls, smtp+notls, smtps or lmtp."""
    top = peers.prepare_elsewhere(folder, ["opensmtpd", "opensmtpq"])
    package = peers.unpacked("opensmtpd")
    (top / "spool/smtpd").mkdir(mode=0o711)
    (top / "varlib/opensmtpd/empty").mkdir(parents=True)
    shutil.copytree(package / "usr/libexec/opensmtpd", top / "libexec/opensmtpd")
    how = " tls no-verify" if proto in ("smtp+tls", "smtps") else ""
    conf = top / "smtpd.conf"
    conf.write_text(
        OPENSMTPD_CONF.format(address=OPENSMTPD, url=f"{proto}://{to[0]}:{to[1]}", how=how)
    )
    argv = [package / "usr/sbin/smtpd", "-d", "-f", conf]
    with peers.run_elsewhere(top, argv, OPENSMTPD, "opensmtpd"):
        yield Relay(OPENSMTPD, top / "log")


EXIM_CONF = """primary_hostname = exim.client.example
local_interfaces = {address}
daemon_smtp_ports = 25
spool_directory = {dir}/spool/exim
log_file_path = {dir}/varlog/%slog
log_selector = +all
message_size_limit = 200M
accept_8bitmime = true
smtputf8_advertise_hosts = *
host_lookup =
rfc1413_hosts =
dsn_advertise_hosts = *
acl_smtp_rcpt = accept_all
acl_smtp_data = accept_all
never_users =
exim_path = {exe}
keep_environment = LD_LIBRARY_PATH
begin acl
accept_all:
  accept
begin routers
out:
  driver = manualroute
  route_list = * {to}
  self = send
  transport = out
begin transports
out:
  driver = smtp
  port = {port}
  hosts_try_chunking = *
  tls_verify_certificates = {ca}
  tls_verify_hosts = *
  tls_verify_cert_hostnames =
  {tls}
"""


@contextlib.contextmanager
def exim(folder, to, ca, tls="hosts_require_tls = *"):
    """Exim, with GnuTLS. It uses BDAT where CHUNKING is offered."""
    top = peers.prepare_elsewhere(folder, ["Debian-exim"])
    package = peers.unpacked("exim")
    entry = next(x for x in (top / "passwd").read_text().split("\n") if "Debian-exim:" in x)
    uid = int(entry.split(":")[2])
    for path in (top / "spool/exim", top / "varlog"):
        path.mkdir(exist_ok=True)
        os.chown(path, uid, uid)
    shutil.copy(ca.root, top / "ca.pem")
    (top / "ca.pem").chmod(0o644)
    conf, exe = top / "exim.conf", package / "usr/sbin/exim4"
    conf.write_text(
        EXIM_CONF.format(
            dir=top, exe=exe, address=EXIM, to=to[0], port=to[1], ca=top / "ca.pem", tls=tls
        )
    )
    libraries = dict(os.environ, LD_LIBRARY_PATH=str(package / "usr/lib/x86_64-linux-gnu"))
    argv = [exe, "-C", conf, "-bdf", "-q1h"]
    with peers.run_elsewhere(top, argv, EXIM, "exim", env=libraries):
        yield Relay(EXIM, top / "varlog/mainlog")
