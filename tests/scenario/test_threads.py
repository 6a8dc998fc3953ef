"""All threads of the daemon at work at once: clients, servers, operators and monitors, good and bad,
while it is reloaded, stopped and killed. Each message is accounted for. scripts/check runs this with
ThreadSanitizer, too."""

import base64
import collections
import contextlib
import email
import random
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request

import pytest

from lab.client import HOST, PORT, Client
from lab.gateway import Gateway
from lab.process import wait_until
from lab.sink import DROP, STALL

FOREIGN = "127.0.0.9"  # not of mynetworks
SMTPS, METRICS = PORT + 1, PORT + 2
PLAIN, STALLED, NOBODY = "127.0.5.1", "127.0.5.2", "127.0.5.3"
LIVES = [("2", "kill"), ("3", "SIGTERM"), ("2", "stop"), ("4", "kill"), ("2", "SIGINT")]
SECONDS, ACCEPTED = 2, 25  # of each life but the last, at least
LOGIN = base64.b64encode(b"\0ann\0secret").decode()

# What becomes of mail for each of these.
FATES = {
    "good.example": "delivered",  # under a policy, by sessions that are kept and resumed
    "plain.example": "delivered",  # after some trouble
    "mailbox.example": "delivered",  # by LMTP
    "stalled.example": "delivered",  # at the end, when its server speaks
    "refused.example": "returned",
    "deleted.example": "deleted",
}


def transports(gateway, stalled):
    """A table of them; what `deleted.example` has is never there."""
    return (
        f"plain.example smtp:[{PLAIN}]:2525\nrefused.example smtp:[{PLAIN}]:2525\n"
        f"client.example smtp:[{PLAIN}]:2525\nstalled.example smtp:[{stalled}]:2525\n"
        f"deleted.example smtp:[{NOBODY}]:2525\nmailbox.example lmtp:unix:{gateway.dir}/lmtp\n"
    )


class Account:
    """What was promised, by Subject."""

    def __init__(self):
        self.lock = threading.Lock()
        self.domain_of, self.accepted, self.kinds = {}, set(), collections.Counter()

    def mail(self, client, rng):
        """One transaction. The reply may be lost with the daemon."""
        domain = rng.choice(list(FATES))
        with self.lock:
            subject = f"m{len(self.domain_of)}"
            self.domain_of[subject] = domain
        said = client.mail(b"Subject: %s\r\n\r\nx\r\n" % subject.encode(), rcpt=f"bob@{domain}")
        with self.lock:
            self.kinds[said[:3]] += 1
            if said.startswith("250 "):
                self.accepted.add(subject)

    def promised(self, fate):
        """Subjects of accepted mail that is to end like that."""
        return {s for s in self.accepted if FATES[self.domain_of[s]] == fate}


class Busy(threading.Thread):
    """Does one thing again and again; a daemon that is away is no trouble, anything else is."""

    def __init__(self, do, seed, pause=0.01):
        super().__init__(daemon=True)
        self.do, self.rng, self.pause = do, random.Random(seed), pause
        self.is_over, self.trouble, self.n = False, None, 0

    def run(self):
        while not self.is_over:
            try:
                self.do(self)
                self.n += 1
            except (OSError, IndexError):
                time.sleep(0.05)
            except Exception as e:  # told by the test  # pylint: disable=broad-except
                self.trouble = e
                return
            time.sleep(self.rng.random() * 2 * self.pause)


class Scene:
    """A gateway with everything around it."""

    def __init__(self, gateway, ca):
        self.gateway, self.account = gateway, Account()
        self.lock = threading.Lock()  # of the configuration and the daemon's beginning and end
        self.served = ca.cert("valid", "gateway.example")
        self.configure(random.Random(0))

    def configure(self, rng, stalled=STALLED, **settings):
        """Writes a configuration that is one of several good ones."""
        g = self.gateway
        policy = rng.choice(["secure match=mx.good.example", "encrypt", "verify match=nexthop"])
        g.hopseal.configure(
            {
                "transport": transports(g, stalled),
                "policy": f"good.example {policy}\n" if policy[0] != "v" else "good.example may\n",
                "users": "ann secret\n",
            },
            hopseal_listeners=f"smtp:{HOST}:{PORT} smtps:{HOST}:{SMTPS} smtp:unix:{g.dir}/smtp",
            hopseal_metrics_listen=f"{HOST}:{METRICS}",
            hopseal_sasl_password_maps="texthash:TABLES/users",
            hopseal_stop_time="2s",
            lmtp_destination_concurrency_limit="2",
            minimal_backoff_time=rng.choice(["1s", "2s"]),
            mynetworks="127.0.0.1/32",
            smtp_helo_timeout="1s",
            smtp_tls_policy_maps="texthash:TABLES/policy",
            smtpd_client_connection_count_limit="0",
            smtpd_error_sleep_time="0",
            smtpd_sasl_auth_enable="yes",
            smtpd_tls_auth_only="yes",
            smtpd_tls_chain_files=f"{self.served.key}, {self.served.chain}",
            smtpd_tls_security_level="may",
            transport_maps="texthash:TABLES/transport",
            **settings,
        )

    # ---- clients ----

    def client(self, busy):
        """Some mail in one session."""
        how = busy.rng.choice(["plain", "auth", "wrapper", "unix"])
        to = {"wrapper": (HOST, SMTPS), "unix": f"{self.gateway.dir}/smtp"}.get(how, (HOST, PORT))
        source = FOREIGN if how in ("auth", "wrapper") else None
        with Client(to, source=source, tls=how == "wrapper") as c:
            if how == "auth" and c.say("STARTTLS").startswith("220"):
                c.secure()
                c.say("EHLO client.example")
            if source and not c.say(f"AUTH PLAIN {LOGIN}").startswith("235"):
                return
            for _ in range(busy.rng.randrange(1, 6)):
                self.account.mail(c, busy.rng)

    def rude_client(self, busy):
        """One that leaves in the middle."""
        with Client() as c:
            how = busy.rng.choice(["hello", "handshake", "garbage", "rcpt", "data", "reset"])
            if how in ("handshake", "garbage"):
                c.say("STARTTLS")
                c.send(bytes.fromhex("16030100c8010000c40303") if how == "handshake" else b"x" * 99)
            elif how in ("rcpt", "data", "reset"):
                c.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@good.example>\r\n")
            if how == "data":
                c.send(b"DATA\r\nSubject: never\r\n\r\n" + b"x" * 5000)
            if how == "reset":
                c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    # ---- operators ----

    def run(self, *argv):
        """A command of the operator's. The daemon may be away, and the configuration one
        that is to be refused."""
        result = self.gateway.hopseal.run(*argv)
        assert result.code in (0, 66, 69, 75, 78), result
        return result

    def operator(self, busy):
        """Looks, and changes what must not make a difference in the end."""
        argv = busy.rng.choice(
            ["queue list --json", "queue list --by-destination --json", "status --json",
             "queue hold --all", "queue release --all", "queue retry --all", "queue flush --all",
             f"queue requeue --destination smtp:[{PLAIN}]:2525",
             f"queue delete --destination smtp:[{NOBODY}]:2525"]
        )
        self.run(*argv.split())
        self.run("queue", "release", "--all")

    def hasty_operator(self, busy):
        """Hangs up before the answer is there."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(self.gateway.dir / "queue/control"))
            s.sendall(busy.rng.choice([b'{"request":"status"}\n', b'{"request":"destinations"}\n',
                                       b'{"request":"retry","all":true}\n', b'{"request":']))
            if busy.rng.random() < 0.5:
                s.recv(1000)

    def reload(self, busy):
        """A configuration that is good, or is refused; by signal or by request."""
        with self.lock:
            bad = {"smtp_tls_security_level": "strong"} if busy.rng.random() < 0.2 else {}
            self.configure(busy.rng, **bad)
            if busy.rng.random() < 0.5:
                child = self.gateway.child
                if child and child.poll() is None:
                    child.send_signal(signal.SIGHUP)
            else:
                assert self.gateway.hopseal.run("reload").code in (0, 69, 75, 78)
            self.configure(busy.rng)

    def monitor(self, busy):
        """Asks for figures, and for half of them."""
        if busy.rng.random() < 0.2:
            with socket.create_connection((HOST, METRICS)) as s:
                s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
            return
        at = f"http://{HOST}:{METRICS}{busy.rng.choice(['/metrics', '/healthz', '/readyz'])}"
        with contextlib.suppress(urllib.error.HTTPError):
            with urllib.request.urlopen(at, timeout=20) as reply:
                reply.read()

    # ---- the daemon ----

    def start(self):
        """An operator's command may have the queue just now."""
        for _ in range(20):
            try:
                return self.gateway.start()
            except AssertionError:  # it has ended
                assert self.gateway.child.poll() == 75, self.gateway.text()
            time.sleep(0.1)
        raise AssertionError("somebody has the queue")

    def is_enough(self, before):
        """A life sees some mail, however slow the machine."""
        return len(self.account.accepted) > before + ACCEPTED

    def live(self, workers, end):
        """One life of the daemon; 1 when it ended by force."""
        g, before = self.gateway, len(self.account.accepted)
        with self.lock:
            g.hopseal.base["hopseal_workers"] = workers
            self.configure(random.Random(workers))
            self.start()
        time.sleep(SECONDS)
        wait_until(lambda: self.is_enough(before), "mail", 60, daemon=g.child)
        with self.lock:
            if end == "kill":
                g.child.kill()
                g.child.communicate()
                return 1
            if end == "stop":
                assert g.hopseal.run("stop").code == 0
                g.child.wait(30)
            status = g.stop(getattr(signal, end, 0)) if end != "stop" else g.child.returncode
            assert status == 0, g.text()
        return 0


def path(command):
    """The address of a MAIL or RCPT command."""
    return re.search("<(.*?)>", command).group(1)


def arrived(sinks):
    """How often each Subject arrived."""
    found = [m for s in sinks for m in s.messages if path(m.sender)]
    return collections.Counter(str(email.message_from_bytes(m.data)["Subject"]) for m in found)


def returned(sinks):
    """The Subjects of what came back."""
    found = set()
    for m in (m for s in sinks for m in s.messages if not path(m.sender)):
        original = email.message_from_bytes(m.data).get_payload()[2].get_payload()[0]
        found.add(original["Subject"])
    return found


@pytest.fixture
def gateway(hopseal, tmp_path):
    return Gateway(hopseal, tmp_path)


@pytest.fixture
def sinks(sink, ca, gateway):
    """The receivers; the last one is in the way of stalled.example."""
    trouble = {
        "RCPT": [None] * 20 + ["450 4.2.0 later"] * 3 + [None],
        "DATA": [None] * 30 + [DROP] * 2 + [None],
    }
    return [
        sink(cert=ca.cert("valid", "mx.good.example"), takes_tickets=True),
        sink(PLAIN, 2525, script=trouble, rcpt={"bob@refused.example": "550 5.1.1 No such user"}),
        sink(f"{gateway.dir}/lmtp", lmtp=True),
        sink(STALLED, 2525, script={"banner": STALL}),
    ]


def test_everything_at_once(gateway, sinks, ca):
    seed = random.randrange(1 << 30)
    scene = Scene(gateway, ca)
    does = [scene.client] * 4 + [scene.rude_client] * 2 + [scene.hasty_operator, scene.monitor]
    busy = [Busy(do, seed + i) for i, do in enumerate(does)]
    busy += [Busy(scene.operator, seed + 98, 0.1), Busy(scene.reload, seed + 99, 0.1)]
    for b in busy:
        b.start()
    kills = sum(scene.live(workers, end) for workers, end in LIVES)
    for b in busy:
        b.is_over = True
    for b in busy:
        b.join(30)
        assert not b.trouble, (seed, b.do, b.trouble)
        assert b.n > 0, (seed, b.do)

    account, good = scene.account, sinks[:3]
    scene.configure(random.Random(seed), stalled=PLAIN)
    with gateway.running():
        # what waits for a server that does not speak is to go where it does
        gateway.wait_for(lambda: gateway.hopseal.run("queue", "requeue", "--all").code == 0, "it")
        want = account.promised("delivered")
        gateway.wait_for(lambda: want <= set(arrived(good)), f"deliveries (seed {seed})", 60)
        back = account.promised("returned")
        gateway.wait_for(lambda: back <= returned(good), f"notices (seed {seed})", 60)
    got = arrived(good)
    again = sum(got.values()) - len(got)
    unpromised = set(got) - want
    print(f"{len(account.accepted)} accepted, {dict(account.kinds)}, {len(got)} delivered, {again} "
          f"again, {len(unpromised)} unheard of, {len(back)} returned; "
          f"{[(b.do.__name__, b.n) for b in busy]}")
    assert {FATES[account.domain_of[s]] for s in got} == {"delivered"}, seed
    assert len(want) > 50 and len(back) > 5, (seed, len(want), len(back))
    assert again <= kills * 40 and len(unpromised) <= 4 * len(LIVES), (seed, again, unpromised)
