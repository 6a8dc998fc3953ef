"""Receivers that we did not write: Debian's Postfix, Exim and OpenSMTPD, and aiosmtpd. Each runs
its own copy below a test folder; no service of the machine is touched.

The first three change to users of their own and so need root outside of a user namespace. Exim
and OpenSMTPD conflict with Postfix as packages and have paths and users compiled in: they are
unpacked into .work/ and run in a mount namespace where those lead to the test's folder.
"""

import asyncio
import contextlib
import email.utils
import grp
import os
import pathlib
import pwd
import shutil
import ssl
import subprocess
import tempfile
import threading
import time

from aiosmtpd.smtp import SMTP

from lab import hopseal, netns, process

USER = "nobody"

# Whom Postfix and Exim let in at port 587, where mail without a login is refused. SCRAM escapes what
# is in the name: RFC 5802 section 5.1.
LOGIN, SECRET = "me=1,2", "s3:cr=t, x"


@contextlib.contextmanager
def public_folder(name):
    """A folder for a daemon that changes to another user: pytest keeps its own closed to others."""
    with tempfile.TemporaryDirectory(prefix=f"hopseal-{name}-", ignore_cleanup_errors=True) as made:
        os.chmod(made, 0o755)
        yield pathlib.Path(made)


class Unavailable(Exception):
    """This receiver cannot be had here; the text says why."""


def mails_in(maildir, count=1, seconds=60.0):
    """The octets of the messages in a maildir, once `count` of them have come. A maildir that no
    message has reached yet is not there."""
    new = pathlib.Path(maildir) / "new"
    process.wait_until(lambda: len(list(new.glob("*"))) >= count, f"mail in {maildir}", seconds)
    return [path.read_bytes() for path in sorted(new.glob("*"))]


def wait_for_mail(maildir, part, seconds=60.0):
    """Waits until a message with these octets has come: the peer serves other scenarios, too."""
    process.wait_until(
        lambda: any(part in mail for mail in mails_in(maildir, 0)), f"{part} in {maildir}", seconds
    )


def without_trace(mail):
    """The message without the header fields that the receiver put in front."""
    names = (b"return-path", b"delivered-to", b"x-original-to", b"received", b"x-peer")
    names += (b"x-mailfrom", b"x-rcptto")
    lines = mail.splitlines(keepends=True)
    while lines and lines[0].split(b":")[0].lower() in names:
        lines.pop(0)
        while lines and lines[0][:1] in b" \t" and lines[0].strip():
            lines.pop(0)
    return b"".join(lines)


POSTFIX_MAIN = """compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
maillog_file = {dir}/log/maillog
maillog_file_prefixes = {dir}
mail_owner = postfix
setgid_group = postdrop
myhostname = {host}
mydestination =
inet_interfaces = {address}
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
alias_maps =
alias_database =
biff = no
message_size_limit = 209715200
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
smtpd_tls_security_level = {level}
smtpd_tls_chain_files = {key}, {chain}
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtputf8_enable = yes
smtpd_tls_auth_only = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = {host}
smtpd_sasl_tls_security_options = noanonymous
"""

# To be the file sasl/smtpd.conf beside main.cf: Debian's Postfix does not heed cyrus_sasl_config_path.
POSTFIX_SASL = """pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {dir}/etc/sasl/users
mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
"""

POSTFIX_MASTER = """smtp inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

POSTFIX_SUBMISSION = """587 inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
"""


@contextlib.contextmanager
def postfix(folder, address, cert, domain, level="may"):
    """Postfix on port 25 of `address`, and on port 587 for those who log in (nobody can before
    let_in); gives the maildir that all mail for `domain` goes to."""
    if not netns.has_many_users():
        raise Unavailable("Postfix needs root with its users")
    if not os.path.exists("/usr/sbin/postfix"):
        raise Unavailable("postfix is not installed")
    top = pathlib.Path(folder)
    user = pwd.getpwnam(USER)
    for name in ("etc", "queue", "data", "log", "mail"):
        (top / name).mkdir(parents=True)
    shutil.chown(top / "data", "postfix")
    shutil.chown(top / "mail", USER)
    (top / "etc/main.cf").write_text(
        POSTFIX_MAIN.format(
            dir=top,
            host=cert.name,
            domain=domain,
            address=address,
            uid=user.pw_uid,
            gid=user.pw_gid,
            level=level,
            key=cert.key,
            chain=cert.chain,
        )
    )
    (top / "etc/master.cf").write_text(POSTFIX_MASTER + POSTFIX_SUBMISSION)
    (top / "etc/sasl").mkdir()
    (top / "etc/sasl/smtpd.conf").write_text(POSTFIX_SASL.format(dir=top))
    command, log = ["/usr/sbin/postfix", "-c", top / "etc"], top / "log/out"
    done = subprocess.run([*command, "check"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"postfix check: {done.stderr}")
    with process.daemon([*command, "start-fg"], log) as child:
        up = lambda: process.accepts(address, 25) and process.accepts(address, 587)
        process.wait_until(up, "postfix", daemon=child, log=top / "log/maillog")
        try:
            yield top / "mail/inbox"
        finally:
            subprocess.run([*command, "stop"], capture_output=True, check=False)


def let_in(maildir, realm):
    """Makes LOGIN known to the Postfix that has this maildir, by way of Cyrus SASL's own database."""
    users = maildir.parents[1] / "etc/sasl/users"
    program = unpacked("sasl") / "usr/sbin/saslpasswd2"
    argv = [program, "-p", "-c", "-f", users, "-u", realm, LOGIN]
    subprocess.run(argv, input=SECRET, text=True, check=True)
    shutil.chown(users, "postfix")


@contextlib.contextmanager
def aiosmtpd(address, cert, port=25, **options):
    """aiosmtpd with STARTTLS; gives a list that the messages' octets are added to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert.chain, cert.key)
    received, seen = [], []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            received.append(envelope.original_content)
            seen.append(session.ssl is not None)
            return "250 OK"

    loop = asyncio.new_event_loop()
    kwargs = dict(data_size_limit=1 << 28, enable_SMTPUTF8=True, hostname=cert.name, **options)
    server = loop.run_until_complete(
        loop.create_server(
            lambda: SMTP(Handler(), tls_context=context, loop=loop, **kwargs), address, port
        )
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    received_and_tls = (received, seen)
    try:
        yield received_and_tls
    finally:
        loop.call_soon_threadsafe(server.close)
        time.sleep(0.05)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


# Runs in a mount namespace: compiled-in paths and users lead to the test's folder.
START_ELSEWHERE = """set -e
top=$1; shift
mount --make-rprivate /
for path in spool:/var/spool varlib:/var/lib varlog:/var/log run:/run libexec:/usr/libexec; do
    mount --bind "$top/${path%%:*}" "${path#*:}"
done
mount --bind "$top/passwd" /etc/passwd
mount --bind "$top/group" /etc/group
exec "$@"
"""

UNPACKED = {
    "sasl": ["sasl2-bin"],
    "opensmtpd": ["opensmtpd"],
    "exim": ["exim4-daemon-light", "libidn12", "libgnutls-dane0"],
}


def fetch_all():
    """Unpacks what is missing into .work/; to be called where there is a network. What cannot be
    had now is Unavailable later."""
    if not netns.has_many_users():
        return
    for name in UNPACKED:
        with contextlib.suppress(Unavailable):
            unpacked(name)


def unpacked(name):
    """The folder that the packages of one receiver are unpacked in."""
    cache = hopseal.TREE / ".work" / name
    if cache.exists():
        return cache
    fetch = cache.with_name(f"{name}.{os.getpid()}")
    (fetch / "tree").mkdir(parents=True)
    try:
        argv = ["apt-get", "download", *UNPACKED[name]]
        got = subprocess.run(argv, cwd=fetch, capture_output=True, text=True, check=False)
        if got.returncode != 0:
            raise Unavailable(f"{name}: apt-get download: {got.stderr.strip()}")
        for package in fetch.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, fetch / "tree"], check=True)
        for path in (fetch / "tree").rglob("*"):
            if path.is_file() and not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o777)  # nothing set-user-id is left about
        with contextlib.suppress(OSError):
            (fetch / "tree").rename(cache)
    finally:
        shutil.rmtree(fetch, ignore_errors=True)
    return cache


def prepare_elsewhere(folder, users):
    """The folders that START_ELSEWHERE mounts, and the machine's users with `users` added."""
    if not netns.has_many_users():
        raise Unavailable("needs root with its users")
    top = pathlib.Path(folder)
    for name in ("spool", "varlib", "varlog", "run", "libexec", "mail"):
        (top / name).mkdir(parents=True)
    shutil.chown(top / "mail", USER)
    taken = [e.pw_uid for e in pwd.getpwall()] + [g.gr_gid for g in grp.getgrall()]
    free = max(n for n in taken if n < 60000) + 1
    passwd, group = pathlib.Path("/etc/passwd").read_text(), pathlib.Path("/etc/group").read_text()
    for n, user in enumerate(users, free):
        passwd += f"{user}:x:{n}:{n}::/nonexistent:/usr/sbin/nologin\n"
        group += f"{user}:x:{n}:\n"
    (top / "passwd").write_text(passwd)
    (top / "group").write_text(group)
    return top


@contextlib.contextmanager
def run_elsewhere(top, argv, address, what, **kwargs):
    """Runs a receiver whose paths are compiled in, until the end of the block."""
    full = ["unshare", "-m", "sh", "-c", START_ELSEWHERE, "sh", top, *argv]
    log = top / "log"
    with process.daemon(list(map(str, full)), log, **kwargs) as child:
        process.wait_until(lambda: process.accepts(address, 25), what, daemon=child, log=log)
        yield child


OPENSMTPD_CONF = """pki lab cert "{dir}/chain.pem"
pki lab key "{dir}/key.pem"
smtp max-message-size 200M
table users {{ "@" = "{user}" }}
listen on {address} port 25 tls pki lab hostname {host} no-dsn
action "in" maildir "{dir}/mail/inbox" virtual <users>
match from any for rcpt-to "refused@{domain}" reject
match from any for domain "{domain}" action "in"
"""


@contextlib.contextmanager
def opensmtpd(folder, address, cert, domain):
    """OpenSMTPD on port 25 of `address`; gives the maildir that all mail for `domain` goes to.

    Debian 12's version offers STARTTLS but fails in every handshake (its key process does not
    work with OpenSSL 3: OpenSMTPD issue 1171): a real receiver of the kind that level may has to
    live with.
    """
    top, package = prepare_elsewhere(folder, ["opensmtpd", "opensmtpq"]), unpacked("opensmtpd")
    (top / "spool/smtpd").mkdir(mode=0o711)
    (top / "varlib/opensmtpd/empty").mkdir(parents=True)
    shutil.copytree(package / "usr/libexec/opensmtpd", top / "libexec/opensmtpd")
    shutil.copy(cert.key, top / "key.pem")
    (top / "key.pem").chmod(0o600)
    shutil.copy(cert.chain, top / "chain.pem")
    conf = top / "smtpd.conf"
    names = dict(dir=top, address=address, host=cert.name, domain=domain, user=USER)
    conf.write_text(OPENSMTPD_CONF.format(**names))
    argv = [package / "usr/sbin/smtpd", "-d", "-f", conf]
    with run_elsewhere(top, argv, address, "opensmtpd"):
        yield top / "mail/inbox"


EXIM_CONF = """primary_hostname = {host}
domainlist local = {domain}
local_interfaces = {address}
daemon_smtp_ports = 25 : 587
spool_directory = {dir}/spool/exim
log_file_path = {dir}/varlog/%slog
message_size_limit = 200M
tls_advertise_hosts = *
tls_certificate = {dir}/chain.pem
tls_privatekey = {dir}/key.pem
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}}}
accept_8bitmime = true
smtputf8_advertise_hosts =
host_lookup =
rfc1413_hosts =
acl_smtp_rcpt = accept_known
acl_smtp_data = accept_all
never_users =
exim_path = {exe}
keep_environment = LD_LIBRARY_PATH
deliver_drop_privilege = true
begin acl
accept_known:
  accept condition = ${{if eq{{$received_port}}{{25}}}}
  require message = Log in first
    authenticated = *
  accept
accept_all:
  accept
begin routers
inbox:
  driver = accept
  domains = +local
  transport = inbox
begin transports
inbox:
  driver = appendfile
  directory = {dir}/mail/inbox
  maildir_format
  envelope_to_add = false
  return_path_add = true
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{secret}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{user}}}}}{{eq{{$auth2}}{{{secret}}}}}}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{{user}}}{{{secret}}}fail}}
  server_set_id = $auth1
"""


@contextlib.contextmanager
def exim(folder, address, cert, domain):
    """Exim (with GnuTLS, the other TLS library) on port 25 of `address`, and on port 587 for those
    who log in; gives the maildir."""
    top, package = prepare_elsewhere(folder, ["Debian-exim"]), unpacked("exim")
    entry = next(x for x in (top / "passwd").read_text().split("\n") if "Debian-exim:" in x)
    uid = int(entry.split(":")[2])
    for path in (top / "spool/exim", top / "varlog", top / "mail"):
        path.mkdir(exist_ok=True)
        os.chown(path, uid, uid)
    for source, name in ((cert.key, "key.pem"), (cert.chain, "chain.pem")):
        shutil.copy(source, top / name)
        os.chown(top / name, uid, uid)
    conf = top / "exim.conf"
    exe = package / "usr/sbin/exim4"
    names = dict(dir=top, exe=exe, address=address, host=cert.name, domain=domain)
    conf.write_text(EXIM_CONF.format(**names, user=LOGIN, secret=SECRET))
    libraries = dict(os.environ, LD_LIBRARY_PATH=str(package / "usr/lib/x86_64-linux-gnu"))
    argv = [exe, "-C", conf, "-bdf", "-q1h"]
    with run_elsewhere(top, argv, address, "exim", env=libraries) as child:
        up = lambda: process.accepts(address, 587)
        process.wait_until(up, "exim", daemon=child, log=top / "log")
        yield top / "mail/inbox"
