"""The second half of the demonstration: `hopseal serve` on loopback, with a queue of its own, a
receiver to relay to, and commands to try it with.

In a terminal it runs until Ctrl-C. Where standard input is none it runs those commands itself,
looks whether the mail went as the policy demands, and ends.
"""

import os
import pwd
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time

from demo_parts import HOPSEAL, Child, Folder, Sink, Stopped, make_ca, make_certificate

SENDER, RECIPIENT, AGAIN = "me@sender.example", "anna@partner.example", "bob@partner.example"
USUAL_PORT = 2525
STOP_SECONDS = 10

MAIN_CF = """# The gateway of "make run".
compatibility_level = 3.6
myhostname = gateway.sender.example

# Mail comes in here, from this machine, and waits here.
hopseal_listeners = smtp:127.0.0.1:{port}
mynetworks = 127.0.0.0/8
hopseal_queue_directory = {dir}/queue

# All of it goes to one receiver. Others would get TLS if they offer it; of this one the table demands
# a certificate of our CA for the name localhost.
relayhost = [localhost]:{relay}
smtp_host_lookup = native
inet_protocols = ipv4
smtp_tls_security_level = may
smtp_tls_policy_maps = texthash:{dir}/tls_policy
smtp_tls_CAfile = {dir}/ca.pem

maillog_file = {dir}/log
maillog_file_prefixes = {dir}
hopseal_stop_time = {stop}s
{user}"""

SMTPLIB = """import smtplib; s = smtplib.SMTP("127.0.0.1", {port}); \
print(s.sendmail("{sender}", "{rcpt}", "Subject: by SMTP\\n\\nHello.\\n") or "accepted"); s.quit()"""


def is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return s.connect_ex(("127.0.0.1", port)) != 0


def ports():
    """The usual one when nobody has it, then some that nobody has at the moment."""
    if is_free(USUAL_PORT):
        yield USUAL_PORT
    for _ in range(10):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        yield port


class Gateway:
    """The daemon and its receiver."""

    def __init__(self, folder):
        self.folder = folder
        make_ca(folder, "ca")
        make_certificate(folder, "receiver", "ca", "localhost")
        self.sink = self.daemon = None

    def start(self):
        self.sink = Sink(self.folder, "inbox", 1, "--cert", self.folder.at("receiver.pem"),
                         "--key", self.folder.at("receiver.key"))
        self.nexthop = "[localhost]:%d" % self.sink.ports[0]
        self.folder.write("tls_policy", "%s verify\n" % self.nexthop)
        said = ""
        for self.port in ports():
            self.configure()
            if self.is_up():
                return
            said = self.output()
            if "already in use" not in said:
                break
        sys.exit("demo: hopseal serve did not start: " + said)

    def configure(self):
        # started by root, the daemon becomes hopseal_user: here nobody but who runs this
        user = "hopseal_user = %s\n" % pwd.getpwuid(0).pw_name if os.geteuid() == 0 else ""
        self.folder.write("main.cf", MAIN_CF.format(
            dir=self.folder.path, port=self.port, relay=self.sink.ports[0], user=user,
            stop=STOP_SECONDS))

    def is_up(self):
        """Starts the daemon, waits until it answers; False: it ended instead."""
        with open(self.folder.at("output"), "w") as out:
            self.daemon = Child(self.folder, HOPSEAL, "serve", "-c", self.folder.path,
                                stdout=out, stderr=out)
        end = time.monotonic() + 30
        while self.daemon.is_running() and time.monotonic() < end:
            if subprocess.run(self.argv("status"), capture_output=True).returncode == 0:
                return True
            time.sleep(0.05)
        self.daemon.stop()
        return False

    def output(self):
        with open(self.folder.at("output")) as f:
            return f.read().strip()

    def log(self):
        with open(self.folder.at("log"), errors="replace") as f:
            return f.read()

    def argv(self, *words):
        """A hopseal command with this configuration."""
        return [HOPSEAL, words[0], "-c", self.folder.path, *words[1:]]

    def shell(self, *words):
        return shlex.join(self.argv(*words))

    def stop(self):
        """Ends the daemon, then what it delivers to; gives what is wrong with that, if anything."""
        status = self.daemon.stop(STOP_SECONDS + 20) if self.daemon else 0
        if self.sink:
            self.sink.stop()
        return "" if status == 0 else "the gateway ended with status %d" % status


def by_smtp(gateway):
    """A line that speaks SMTP: swaks where it is installed, else Python's library."""
    if shutil.which("swaks"):
        return shlex.join(["swaks", "--server", "127.0.0.1:%d" % gateway.port, "--from", SENDER,
                           "--to", AGAIN])
    code = SMTPLIB.format(port=gateway.port, sender=SENDER, rcpt=AGAIN)
    return shlex.join([sys.executable, "-c", code])


def commands(gateway):
    """(what it is for, command) for another terminal."""
    message = "From: %s\\nTo: %s\\nSubject: hello\\n\\nHello.\\n" % (SENDER, RECIPIENT)
    send = gateway.shell("sendmail", "-v", "-f", SENDER, RECIPIENT)
    inbox = shlex.quote(gateway.folder.at("inbox", "new"))
    return [
        ("a first message", "printf '%s' | %s" % (message, send)),
        ("another one, by SMTP", by_smtp(gateway)),
        ("what the receiver got", "cat %s/*" % inbox),
        ("what is still in the queue", gateway.shell("queue", "list")),
        ("how the gateway is", gateway.shell("status")),
        ("what it did: the log", "cat " + shlex.quote(gateway.folder.at("log"))),
        ("why mail goes as it does", gateway.shell("explain", RECIPIENT)),
    ]


def show(gateway):
    print("The gateway: hopseal serve -c %s\n" % gateway.folder.path)
    print("It listens on 127.0.0.1:%d, keeps its queue in that folder, and relays all mail to a\n"
          "receiver at %s, whose certificate it verifies. Commands for another terminal:\n"
          % (gateway.port, gateway.nexthop))
    for what, command in commands(gateway):
        print("  %s\n\n    %s\n" % (what, command), flush=True)


def delivered(gateway):
    """recipient -> "level/reached" of each message that was delivered, from the log."""
    line = r": to=<(\S+)>, .*dsn=2\.\S+, status=sent .*, tls=(\S+)$"
    return dict(re.findall(line, gateway.log(), flags=re.M))


def wait_for(gateway, probe, seconds=30):
    """True when probe() becomes true in time, and the gateway runs."""
    end = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > end or not gateway.daemon.is_running():
            return False
        time.sleep(0.05)
    return True


def wrong(gateway):
    """What is wrong after the commands; "" when nothing is."""
    want = {rcpt: "verify/verified" for rcpt in (RECIPIENT, AGAIN)}
    if delivered(gateway) != want:
        return "delivered was %s instead of %s" % (delivered(gateway), want)
    if len(gateway.sink.mails()) != len(want):
        return "the receiver has %d messages" % len(gateway.sink.mails())
    listed = subprocess.run(gateway.argv("queue", "list", "--json"), capture_output=True, text=True)
    if listed.returncode != 0 or listed.stdout:
        return "the queue is not empty: %s%s" % (listed.stdout, listed.stderr)
    return ""


def try_out(gateway):
    """Runs what was printed; gives what is wrong."""
    for n, (_, command) in enumerate(commands(gateway), 1):
        print("$ " + command, flush=True)
        done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL)
        print(flush=True)
        if done.returncode != 0:
            return "that command ended with status %d" % done.returncode
        if n == 2:
            wait_for(gateway, lambda: len(delivered(gateway)) == 2)
            wait_for(gateway, lambda: not wrong(gateway), 5)
    return wrong(gateway)


def stay(gateway):
    """Until Ctrl-C, or the daemon's end; gives what is wrong."""
    try:
        print("Ctrl-C stops it.", flush=True)
        while gateway.daemon.is_running():
            time.sleep(0.2)
    except Stopped as e:
        print("\n%s: stopping" % e, flush=True)
        return ""
    return "the gateway ended by itself: %s" % gateway.output()


def left(gateway):
    """What a stop leaves behind, in words."""
    listed = subprocess.run(gateway.argv("queue", "list", "--json"), capture_output=True, text=True)
    n = len(listed.stdout.splitlines())
    mail = "%d recipients wait in its queue" % n if n else "nothing waits in its queue"
    return "no process is left; %s. What it wrote stays in\n%s until the next run." % (
        mail, gateway.folder.path)


def run():
    """Gives what is wrong, "" when nothing is."""
    gateway = Gateway(Folder("gateway"))
    problem = ""
    try:
        gateway.start()
        show(gateway)
        problem = stay(gateway) if os.isatty(0) else try_out(gateway)
    finally:
        problem = gateway.stop() or problem
    if problem:
        print("the gateway's log:\n" + gateway.log(), flush=True)
    else:
        print("The gateway stopped: " + left(gateway))
    return problem
